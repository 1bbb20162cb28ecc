using SharedStorage.Access;
using SharedStorage.Format.RelMap;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog;

/// <summary>
/// Opens system catalogs from their fixed descriptions. The files of mapped ones (pg_class, pg_attribute, pg_type, pg_proc and the shared catalogs,
/// with their indexes) come from the relation maps, those of the others from pg_class.
/// </summary>
internal static class CatalogBootstrap
{
    public static CatalogRelation Open(CatalogView view, CatalogTable table)
    {
        Relation? toast = null;
        IndexInfo? toastIndex = null;
        if (table.ToastId.IsValid)
        {
            toast = MakeRelation(view, table, table.ToastId, table.Name + "_toast", ToastTables.Desc, 't');
            toastIndex = ToastTables.Index(MakeRelation(view, table, table.ToastIndexId, table.Name + "_toast_index", ToastTables.IndexDesc, 'i'), table.ToastId);
        }

        Relation relation = MakeRelation(view, table, table.Id, table.Name, table.Desc, 'r') with
        {
            ToastRelation = table.ToastId,
            Toast = toast,
            ToastIndex = toastIndex,
        };
        return new CatalogRelation(table, relation, [.. table.Indexes.Select(i => MakeIndex(view, table, i))]);
    }

    private static IndexInfo MakeIndex(CatalogView view, CatalogTable table, CatalogIndex index)
    {
        var attributes = index.Columns.Select((c, i) => IndexAttribute(table.Desc[c - 1], (short)(i + 1))).ToArray();
        var columns = index.Columns.Select((c, i) => new IndexColumn
        {
            HeapAttribute = c,
            Attribute = attributes[i],
            InputType = table.Desc[c - 1].TypeId,
            Collation = table.Desc[c - 1].Collation,
            Compare = BuiltInComparators.ForType(table.Desc[c - 1].TypeId.Value),
            EqualImage = table.Desc[c - 1].TypeId.Value != PgTypes.Float4,
        });
        return new IndexInfo
        {
            Relation = MakeRelation(view, table, index.Id, index.Name, new TupleDesc(attributes), 'i'),
            TableId = table.Id,
            Columns = [.. columns],
            KeyCount = attributes.Length,
            IsUnique = index.IsUnique,
            IsPrimary = index.IsPrimary,
            AccessMethod = new Oid(PgOids.BtreeAm),
        };
    }

    /// <summary>A name column is stored in an index as a C string (name_ops has the key type cstring).</summary>
    public static TupleAttribute IndexAttribute(TupleAttribute column, short number) =>
        column.TypeId.Value == PgTypes.Name
            ? column with { Number = number, TypeId = new Oid(PgTypes.CString), Length = -2, Alignment = 1, NotNull = false }
            : column with { Number = number, NotNull = false };

    private static Relation MakeRelation(CatalogView view, CatalogTable table, Oid id, string name, TupleDesc desc, char kind)
    {
        Oid database = table.IsShared ? Oid.Invalid : view.Database.Id;
        Oid tablespace = table.IsShared ? RelFileNode.GlobalTablespace : view.Database.Tablespace;
        RelationMapFile map = view.Database.Manager.Maps.Get(database, tablespace);
        Oid file = map.Find(id);
        return new Relation
        {
            Id = id,
            Name = name,
            Namespace = new Oid(kind == 't' ? PgOids.ToastNamespace : PgOids.CatalogNamespace),
            Node = new RelFileNode(tablespace, database, file.IsValid ? file : view.FileNodeOf(id)),
            Desc = desc,
            Kind = kind,
            Owner = new Oid(PgOids.BootstrapSuperuser),
            AccessMethod = new Oid(kind == 'i' ? PgOids.BtreeAm : PgOids.HeapAm),
            FillFactor = kind == 'i' ? 90 : 100,
        };
    }
}
