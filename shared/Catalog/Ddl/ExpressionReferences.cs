using System.Buffers.Binary;
using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>
/// Finds the objects that an expression names: columns, functions, operators, types, collations, and through constants of the reg types relations and the like
/// (find_expr_references_walker of dependency.c). Covers expressions over one relation: defaults, checks, index expressions.
/// </summary>
internal sealed class ExpressionReferences(CatalogView view, Oid relation, HashSet<ObjectAddress> found)
{
    public void Visit(NodeValue value)
    {
        switch (value)
        {
            case NodeTree tree:
                Note(tree);
                foreach (KeyValuePair<string, NodeValue> field in tree.Fields)
                {
                    Visit(field.Value);
                }

                break;
            case NodeList list:
                foreach (NodeValue item in list.Items)
                {
                    Visit(item);
                }

                break;
        }
    }

    private void Note(NodeTree tree)
    {
        switch (tree.Name)
        {
            case "VAR" when tree.Int("varlevelsup") == 0 && relation.IsValid:
                found.Add(ObjectAddress.Relation(relation, (int)Math.Max(tree.Int("varattno"), 0)));
                break;
            case "CONST":
                AddType(tree.Oid("consttype"));
                AddCollation(tree.Oid("constcollid"));
                NoteRegConstant(tree);
                break;
            case "FUNCEXPR":
                Add(SystemCatalogs.Proc, tree.Oid("funcid"));
                break;
            case "OPEXPR" or "DISTINCTEXPR" or "NULLIFEXPR" or "SCALARARRAYOPEXPR":
                Add(SystemCatalogs.Operator, tree.Oid("opno"));
                break;
            case "RELABELTYPE":
                AddType(tree.Oid("resulttype"));
                AddCollation(tree.Oid("resultcollid"));
                break;
            case "COERCEVIAIO":
                AddType(tree.Oid("resulttype"));
                AddCollation(tree.Oid("resultcollid"));
                break;
            case "ARRAYCOERCEEXPR":
                AddType(tree.Oid("resulttype"));
                AddCollation(tree.Oid("resultcollid"));
                break;
            case "CONVERTROWTYPEEXPR" or "COERCETODOMAIN":
                AddType(tree.Oid("resulttype"));
                break;
            case "COLLATEEXPR":
                AddCollation(tree.Oid("collOid"));
                break;
            case "ROWEXPR":
                AddType(tree.Oid("row_typeid"));
                break;
            case "NEXTVALUEEXPR":
                found.Add(ObjectAddress.Relation(tree.Oid("seqid")));
                break;
        }
    }

    private void NoteRegConstant(NodeTree constant)
    {
        if (constant.Bool("constisnull") || constant["constvalue"] is not NodeDatum datum || datum.Bytes.Length < 4)
        {
            return;
        }

        var id = new Oid(BinaryPrimitives.ReadUInt32LittleEndian(datum.Bytes));
        switch (constant.Oid("consttype").Value)
        {
            case PgTypes.RegClass when view.ClassById(id) is not null:
                found.Add(ObjectAddress.Relation(id));
                break;
            case PgTypes.RegProc or PgTypes.RegProcedure when view.FunctionById(id) is not null:
                Add(SystemCatalogs.Proc, id);
                break;
            case PgTypes.RegOper or PgTypes.RegOperator when view.OperatorById(id) is not null:
                Add(SystemCatalogs.Operator, id);
                break;
            case PgTypes.RegType when view.TypeById(id) is not null:
                AddType(id);
                break;
            case PgTypes.RegNamespace when view.NamespaceById(id) is not null:
                found.Add(ObjectAddress.Namespace(id));
                break;
        }
    }

    private void AddType(Oid id) => Add(SystemCatalogs.Type, id);

    private void AddCollation(Oid id)
    {
        if (id.IsValid && id.Value != PgOids.DefaultCollation)
        {
            Add(SystemCatalogs.Collation, id);
        }
    }

    private void Add(CatalogTable catalog, Oid id)
    {
        if (id.IsValid)
        {
            found.Add(new ObjectAddress(catalog.Id, id, 0));
        }
    }
}
