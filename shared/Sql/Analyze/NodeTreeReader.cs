using SharedStorage.Catalog;
using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Analyze;

/// <summary>Expressions and queries from PostgreSQL's node trees (pg_node_tree: defaults, checks, index expressions, views).</summary>
internal sealed partial class NodeTreeReader(ISqlCatalog catalog)
{
    /// <summary>A tree that is one expression, or a list of them (index expressions, an implicit conjunction).</summary>
    public static IReadOnlyList<Expr> ReadExprs(ISqlCatalog catalog, string tree)
    {
        var reader = new NodeTreeReader(catalog);
        NodeValue value = NodeReader.Read(tree);
        return value is NodeList list ? reader.Exprs(list.Items) : [reader.Read(value)];
    }

    public static Expr ReadExpr(ISqlCatalog catalog, string tree) => ReadExprs(catalog, tree)[0];

    public static Query ReadQuery(ISqlCatalog catalog, string tree)
    {
        NodeValue value = NodeReader.Read(tree);
        return new NodeTreeReader(catalog).ReadQuery((NodeTree)(value is NodeList list ? list.Items[0] : value), null);
    }

    private Expr[] Exprs(IReadOnlyList<NodeValue> items)
    {
        var result = new Expr[items.Count];
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = Read(items[i]);
        }

        return result;
    }

    private PgProc Proc(Oid id) => catalog.Proc(id) ?? throw new PgException(SqlStates.UndefinedFunction, $"function with OID {id} does not exist");
    private PgOperator Operator(Oid id) => catalog.Operator(id) ?? throw new PgException(SqlStates.UndefinedFunction, $"operator with OID {id} does not exist");

    private static CallForm Form(NodeTree n, string field) => (CallForm)n.Int(field);

    private Expr Read(NodeValue value)
    {
        if (value is not NodeTree n)
        {
            throw PgException.NotSupported("an empty stored expression");
        }

        switch (n.Name)
        {
            case "CONST":
                return new ConstExpr(n.Bool("constisnull") ? Datum.Null : NodeConstants.Decode(n), n.Oid("consttype"), (int)n.Int("consttypmod")) { Collation = n.Oid("constcollid") };
            case "VAR":
                return ReadVar(n);
            case "FUNCEXPR":
                return new FuncExpr(Proc(n.Oid("funcid")), Exprs(n.List("args")), n.Oid("funcresulttype"), Form(n, "funcformat"))
                {
                    Variadic = n.Bool("funcvariadic"),
                    InputCollation = n.Oid("inputcollid"),
                    Collation = n.Oid("funccollid"),
                };
            case "OPEXPR":
                return ReadOperator(n, OperatorKind.Plain);
            case "DISTINCTEXPR":
                return ReadOperator(n, OperatorKind.Distinct);
            case "NULLIFEXPR":
                return ReadOperator(n, OperatorKind.NullIf);
            case "SCALARARRAYOPEXPR":
                return ReadArrayOperator(n);
            case "BOOLEXPR":
                string op = n.Text("boolop")!;
                return new BoolExpr(op == "and" ? BoolOperation.And : op == "or" ? BoolOperation.Or : BoolOperation.Not, Exprs(n.List("args")));
            case "NULLTEST":
                return new NullTestExpr(Read(n["arg"]!), n.Int("nulltesttype") == 0);
            case "BOOLEANTEST":
                return new BooleanTestExpr(Read(n["arg"]!), (BooleanTest)n.Int("booltesttype"));
            case "RELABELTYPE":
                return new RelabelExpr(Read(n["arg"]!), n.Oid("resulttype"), (int)n.Int("resulttypmod"), Form(n, "relabelformat")) { Collation = n.Oid("resultcollid") };
            case "COERCEVIAIO":
                return new IoCoerceExpr(Read(n["arg"]!), n.Oid("resulttype"), Form(n, "coerceformat")) { Collation = n.Oid("resultcollid") };
            default:
                return ReadMore(n);
        }
    }

    private Expr ReadMore(NodeTree n)
    {
        switch (n.Name)
        {
            case "ARRAYCOERCEEXPR":
                return new ArrayCoerceExpr(Read(n["arg"]!), Read(n["elemexpr"]!), n.Oid("resulttype"), (int)n.Int("resulttypmod"), Form(n, "coerceformat"))
                {
                    Collation = n.Oid("resultcollid"),
                };
            case "COLLATEEXPR":
                return new CollateExpr(Read(n["arg"]!), n.Oid("collOid"));
            case "CASEEXPR":
                NodeTree[] whens = [.. n.List("args").Cast<NodeTree>()];
                return new CaseExpr(n.Oid("casetype"), n.Node("arg") is { } arg ? Read(arg) : null, [.. whens.Select(w => Read(w["expr"]!))], [.. whens.Select(w => Read(w["result"]!))],
                    n.Node("defresult") is { } d ? Read(d) : new ConstExpr(Datum.Null, n.Oid("casetype")))
                { Collation = n.Oid("casecollid") };
            case "CASETESTEXPR":
                return new CaseTestExpr(n.Oid("typeId"), (int)n.Int("typeMod")) { Collation = n.Oid("collation") };
            case "COALESCEEXPR":
                return new CoalesceExpr(n.Oid("coalescetype"), Exprs(n.List("args"))) { Collation = n.Oid("coalescecollid") };
            case "MINMAXEXPR":
                return new MinMaxExpr(n.Oid("minmaxtype"), n.Int("op") == 0, Exprs(n.List("args"))) { Collation = n.Oid("minmaxcollid"), InputCollation = n.Oid("inputcollid") };
            case "ARRAYEXPR":
                return new ArrayExpr(n.Oid("array_typeid"), n.Oid("element_typeid"), n.Bool("multidims"), Exprs(n.List("elements"))) { Collation = n.Oid("array_collid") };
            case "ROWEXPR":
                return new RowExpr(Exprs(n.List("args")), n.Oid("row_typeid"), [.. n.List("colnames").Select(c => ((NodeToken)c).Text)]);
            case "FIELDSELECT":
                return new FieldSelectExpr(Read(n["arg"]!), (short)n.Int("fieldnum"), n.Oid("resulttype"), (int)n.Int("resulttypmod")) { Collation = n.Oid("resultcollid") };
            case "SUBSCRIPTINGREF":
                return new SubscriptExpr(Read(n["refexpr"]!), n.Oid("refcontainertype"), n.Oid("refelemtype"), n.Oid("refrestype"), n.List("reflowerindexpr").Count > 0,
                    Optional(n.List("reflowerindexpr")), Optional(n.List("refupperindexpr")))
                { Collation = n.Oid("refcollid") };
            case "SQLVALUEFUNCTION":
                // The grammar's protobuf counts from 1.
                return new SqlValueExpr((PgQuery.SQLValueFunctionOp)(n.Int("op") + 1), n.Oid("type"), (int)n.Int("typmod"));
            case "COERCETODOMAIN":
                return new DomainExpr(Read(n["arg"]!), n.Oid("resulttype"), (int)n.Int("resulttypmod")) { Collation = n.Oid("resultcollid") };
            case "COERCETODOMAINVALUE":
                // Within a domain's check: the value that is tested.
                return new CaseTestExpr(n.Oid("typeId"), (int)n.Int("typeMod")) { Collation = n.Oid("collation") };
            case "NEXTVALUEEXPR":
                return new NextValueExpr(n.Oid("seqid"), n.Oid("typeId"));
            case "AGGREF":
                return ReadAggregate(n);
            case "SUBLINK":
                return ReadSubLink(n);
            default:
                throw PgException.NotSupported($"node {n.Name} in a stored expression");
        }
    }

    private Expr?[] Optional(IReadOnlyList<NodeValue> items) => [.. items.Select(i => i is NodeTree t ? Read(t) : null)];

    private Expr ReadVar(NodeTree n)
    {
        int levelsUp = (int)n.Int("varlevelsup"), entry = (int)n.Int("varno");
        short column = (short)n.Int("varattno");
        return ResolveVar(entry, column, n.Oid("vartype"), (int)n.Int("vartypmod"), n.Oid("varcollid"), levelsUp);
    }

    private OpExpr ReadOperator(NodeTree n, OperatorKind kind)
    {
        PgOperator op = Operator(n.Oid("opno"));
        return new OpExpr(op, Proc(op.OprCode), Exprs(n.List("args")), n.Oid("opresulttype"), kind) { InputCollation = n.Oid("inputcollid"), Collation = n.Oid("opcollid") };
    }

    private ArrayOpExpr ReadArrayOperator(NodeTree n)
    {
        PgOperator op = Operator(n.Oid("opno"));
        Expr[] args = Exprs(n.List("args"));
        Oid element = catalog.Type(args[1].Type)?.TypElem ?? op.OprRight;
        return new ArrayOpExpr(op, Proc(op.OprCode), n.Bool("useOr"), args[0], args[1], element) { InputCollation = n.Oid("inputcollid") };
    }
}
