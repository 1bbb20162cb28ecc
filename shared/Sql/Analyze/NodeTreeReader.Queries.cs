using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Analyze;

/// <summary>Stored queries: the SELECT of a view.</summary>
internal sealed partial class NodeTreeReader
{
    /// <summary>A query level that is being read: its join entries stand for expressions.</summary>
    private sealed class Level(Query query, Level? parent)
    {
        public Query Query { get; } = query;
        public Level? Parent { get; } = parent;
        public Dictionary<int, Expr[]> Joins { get; } = [];
        public Dictionary<string, CommonTable> Tables { get; } = new(StringComparer.Ordinal);
    }

    private Level? _level;

    private Expr ResolveVar(int entry, short column, Oid type, int typmod, Oid collation, int levelsUp)
    {
        Level? level = _level;
        for (int i = 0; i < levelsUp && level is not null; i++)
        {
            level.Query.IsCorrelated = true;
            level = level.Parent;
        }

        if (level is not null && level.Joins.TryGetValue(entry, out Expr[]? columns))
        {
            Expr joined = columns[column - 1];
            return levelsUp == 0 ? joined : joined.Rewrite(e => e is VarExpr v
                ? new VarExpr(v.Entry, v.Column, v.Type, v.Typmod, v.LevelsUp + levelsUp) { Collation = v.Collation } : null);
        }

        if (column == 0 && level is not null)
        {
            // The whole row: its columns together.
            EntryColumn[] all = [.. level.Query.Entry(entry).Columns];
            return new RowExpr([.. all.Select((c, i) => (Expr)new VarExpr(entry, (short)(i + 1), c.Type, c.Typmod, levelsUp) { Collation = c.Collation })], type, [.. all.Select(c => c.Name)]);
        }

        return new VarExpr(entry, column, type, typmod, levelsUp) { Collation = collation };
    }

    private Query ReadQuery(NodeTree n, Level? parent)
    {
        if (n.Int("commandType") != 1 || n.Bool("hasWindowFuncs") || n.List("groupingSets").Count > 0)
        {
            throw PgException.NotSupported("a view with window functions or grouping sets");
        }

        var query = new Query { HasAggregates = n.Bool("hasAggs"), HasSubLinks = n.Bool("hasSubLinks"), HasTargetSets = n.Bool("hasTargetSRFs") };
        Level? saved = _level;
        _level = new Level(query, parent);
        foreach (NodeTree cte in n.List("cteList").Cast<NodeTree>())
        {
            ReadCommonTable(cte);
        }

        foreach (NodeTree rte in n.List("rtable").Cast<NodeTree>())
        {
            ReadEntry(rte);
        }

        NodeTree from = n.Node("jointree")!;
        foreach (NodeTree item in from.List("fromlist").Cast<NodeTree>())
        {
            query.From.Add(ReadFrom(item));
        }

        query.Where = from.Node("quals") is { } quals ? Read(quals) : null;
        var refs = new Dictionary<long, int>();
        foreach (NodeTree t in n.List("targetList").Cast<NodeTree>())
        {
            if (t.Int("ressortgroupref") is > 0 and long r)
            {
                refs[r] = query.Targets.Count;
            }

            query.Targets.Add(new Target(Read(t["expr"]!), t.Text("resname") ?? "?column?", t.Bool("resjunk"))
            {
                TableId = t.Oid("resorigtbl"),
                TableColumn = (short)t.Int("resorigcol"),
            });
        }

        query.GroupBy.AddRange(Clauses(n.List("groupClause"), refs));
        query.Having = n.Node("havingQual") is { } having ? Read(having) : null;
        query.Distinct = n.List("distinctClause").Count > 0 ? [.. Clauses(n.List("distinctClause"), refs)] : null;
        query.IsDistinctOn = n.Bool("hasDistinctOn");
        query.Sort.AddRange(Clauses(n.List("sortClause"), refs));
        query.Offset = n.Node("limitOffset") is { } offset ? Read(offset) : null;
        query.Limit = n.Node("limitCount") is { } limit ? Read(limit) : null;
        query.SetOperation = n.Node("setOperations") is { } set ? ReadSet(set, query) : null;
        _level = saved;
        return query;
    }

    private void ReadCommonTable(NodeTree n)
    {
        if (n.Bool("cterecursive"))
        {
            throw PgException.NotSupported("a view with WITH RECURSIVE");
        }

        var table = new CommonTable { Name = n.Text("ctename")!, Query = ReadQuery(n.Node("ctequery")!, _level) };
        table.Columns.AddRange(n.List("ctecolnames").Select(c => ((NodeToken)c).Text));
        _level!.Tables[table.Name] = table;
        _level.Query.CommonTables.Add(table);
    }

    private IEnumerable<SortClause> Clauses(IReadOnlyList<NodeValue> items, Dictionary<long, int> refs)
    {
        foreach (NodeTree c in items.Cast<NodeTree>())
        {
            Oid sort = c.Oid("sortop");
            bool descending = sort.IsValid && catalog.OperatorFamilies(sort).Any(o => o.AmOpMethod.Value == PgOids.BtreeAm && o.AmOpStrategy == 5);
            Oid less = descending ? catalog.Operator(sort)!.OprCom : sort;
            yield return new SortClause(refs[c.Int("tleSortGroupRef")], less, c.Oid("eqop"), descending, c.Bool("nulls_first"));
        }
    }

    private static string[] ColumnNames(NodeTree alias) => [.. alias.List("colnames").Select(c => ((NodeToken)c).Text)];

    private void ReadEntry(NodeTree n)
    {
        Query query = _level!.Query;
        NodeTree eref = n.Node("eref")!;
        string alias = eref.Text("aliasname") ?? "";
        string[] names = ColumnNames(eref);
        switch (n.Int("rtekind"))
        {
            case 0:
                query.Entries.Add(RelationEntry(n, alias));
                return;
            case 1:
                Query sub = ReadQuery(n.Node("subquery")!, _level);
                query.Entries.Add(SubqueryEntry(sub, alias, names, n.Bool("lateral")));
                return;
            case 2:
                Expr[] columns = Exprs(n.List("joinaliasvars"));
                query.Entries.Add(new RangeEntry { Kind = EntryKind.Result, Alias = alias });
                _level.Joins[query.Entries.Count] = columns;
                return;
            case 3:
                query.Entries.Add(FunctionEntry(n, alias, names));
                return;
            case 5:
                var values = new RangeEntry { Kind = EntryKind.Values, Alias = alias };
                values.Values.AddRange(n.List("values_lists").Select(r => Exprs(((NodeList)r).Items)));
                values.Columns.AddRange(names.Select((name, i) => new EntryColumn(name, values.Values[0][i].Type, values.Values[0][i].Typmod, values.Values[0][i].Collation)));
                query.Entries.Add(values);
                return;
            case 6:
                Level? owner = _level;
                for (long i = n.Int("ctelevelsup"); i > 0; i--)
                {
                    owner = owner!.Parent;
                }

                CommonTable table = owner!.Tables[n.Text("ctename")!];
                table.References++;
                var cte = new RangeEntry { Kind = EntryKind.CommonTable, Alias = alias, CommonTable = table };
                cte.Columns.AddRange(table.Query.Targets.Where(t => !t.Junk).Select((t, i) => new EntryColumn(names[i], t.Expr.Type, t.Expr.Typmod, t.Expr.Collation)));
                query.Entries.Add(cte);
                return;
            default:
                throw PgException.NotSupported("this kind of table in a view");
        }
    }

    private RangeEntry RelationEntry(NodeTree n, string alias)
    {
        Oid id = n.Oid("relid");
        PgClass row = catalog.Class(id) ?? throw new PgException(SqlStates.UndefinedTable, $"relation with OID {id} does not exist");
        Relation relation = catalog.Relation(id)!;
        RangeEntry entry;
        // The rule's OLD and NEW name the view itself, and are not in FROM.
        if (row.RelKind == 'v' && n.Bool("inFromCl"))
        {
            string tree = catalog.ViewTree(id) ?? throw PgException.NotSupported($"view \"{row.RelName}\"");
            entry = new RangeEntry { Kind = EntryKind.Subquery, Alias = alias, Subquery = ReadQuery(catalog, tree) };
        }
        else
        {
            entry = new RangeEntry { Kind = EntryKind.Relation, Alias = alias, Relation = relation, Class = row, Lock = Transactions.Locks.LockMode.AccessShare };
        }

        entry.Columns.AddRange(relation.Desc.Attributes.ToArray().Select(a => new EntryColumn(a.Name, a.TypeId, a.TypeModifier, a.Collation, a.IsDropped)));
        return entry;
    }

    private static RangeEntry SubqueryEntry(Query sub, string alias, string[] names, bool lateral)
    {
        var entry = new RangeEntry { Kind = EntryKind.Subquery, Alias = alias, Subquery = sub, Lateral = lateral };
        entry.Columns.AddRange(sub.Targets.Where(t => !t.Junk).Select((t, i) => new EntryColumn(i < names.Length ? names[i] : t.Name, t.Expr.Type, t.Expr.Typmod, t.Expr.Collation)));
        return entry;
    }

    private RangeEntry FunctionEntry(NodeTree n, string alias, string[] names)
    {
        var entry = new RangeEntry { Kind = EntryKind.Function, Alias = alias, Lateral = true, Ordinality = n.Bool("funcordinality") };
        var types = new List<Oid>();
        foreach (NodeTree f in n.List("functions").Cast<NodeTree>())
        {
            entry.Functions.Add(Read(f["funcexpr"]!) as FuncExpr ?? throw PgException.NotSupported("this function in a view"));
            FuncExpr function = entry.Functions[^1];
            int count = (int)f.Int("funccolcount");
            Oid[] outs = function.Proc.ProAllArgTypes is { } all && function.Proc.ProArgModes is { } modes
                ? [.. all.Where((_, i) => modes[i] is 'o' or 'b' or 't')] : [];
            Relation? shape = catalog.Type(function.Type) is { TypType: 'c' } row ? catalog.Relation(row.TypRelId) : null;
            for (int i = 0; i < count; i++)
            {
                types.Add(count > 1 && outs.Length == count ? outs[i] : shape is not null ? shape.Desc[i].TypeId : function.Type);
            }
        }

        if (entry.Ordinality)
        {
            types.Add(new Oid(PgTypes.Int8));
        }

        entry.Columns.AddRange(types.Select((t, i) => new EntryColumn(i < names.Length ? names[i] : $"column{i + 1}", t, -1, catalog.Type(t)?.TypCollation ?? Oid.Invalid)));
        return entry;
    }

    private FromItem ReadFrom(NodeTree n)
    {
        if (n.Name == "RANGETBLREF")
        {
            return new FromEntry((int)n.Int("rtindex"));
        }

        if (n.Name == "FROMEXPR")
        {
            throw PgException.NotSupported("this FROM clause in a view");
        }

        FromItem left = ReadFrom(n.Node("larg")!), right = ReadFrom(n.Node("rarg")!);
        Expr? condition = n.Node("quals") is { } quals ? Read(quals) : null;
        return n.Int("jointype") switch
        {
            0 => new FromJoin(JoinKind.Inner, left, right, condition),
            1 => new FromJoin(JoinKind.Left, left, right, condition),
            2 => new FromJoin(JoinKind.Full, left, right, condition),
            3 => new FromJoin(JoinKind.Left, right, left, condition),
            _ => throw PgException.NotSupported("this join in a view"),
        };
    }

    private SetOperationNode ReadSet(NodeTree n, Query query)
    {
        if (n.Name == "RANGETBLREF")
        {
            return new SetLeaf((int)n.Int("rtindex"));
        }

        SetOperator op = n.Int("op") switch { 1 => SetOperator.Union, 2 => SetOperator.Intersect, _ => SetOperator.Except };
        var node = new SetNode(op, n.Bool("all"), ReadSet(n.Node("larg")!, query), ReadSet(n.Node("rarg")!, query));
        IReadOnlyList<NodeValue> types = n.List("colTypes"), typmods = n.List("colTypmods"), collations = n.List("colCollations");
        for (int i = 0; i < types.Count; i++)
        {
            node.Columns.Add(new EntryColumn("", Number(types[i]), (int)long.Parse(((NodeToken)typmods[i]).Raw, System.Globalization.CultureInfo.InvariantCulture), Number(collations[i])));
        }

        return node;
    }

    private static Oid Number(NodeValue v) => new(uint.Parse(((NodeToken)v).Raw, System.Globalization.CultureInfo.InvariantCulture));

    private AggExpr ReadAggregate(NodeTree n)
    {
        PgProc proc = Proc(n.Oid("aggfnoid"));
        PgAggregate aggregate = catalog.Aggregate(proc.Oid)!;
        if (aggregate.AggKind != 'n')
        {
            throw PgException.NotSupported($"ordered-set aggregate {proc.ProName}");
        }

        // Arguments are target entries; those that only ORDER BY uses are junk.
        NodeTree[] entries = [.. n.List("args").Cast<NodeTree>()];
        Expr[] args = [.. entries.Where(a => !a.Bool("resjunk")).Select(a => Read(a["expr"]!))];
        AggOrder[] order = [.. n.List("aggorder").Cast<NodeTree>().Select(c =>
        {
            Expr key = Read(entries.First(e => e.Int("ressortgroupref") == c.Int("tleSortGroupRef"))["expr"]!);
            bool descending = catalog.OperatorFamilies(c.Oid("sortop")).Any(o => o.AmOpStrategy == 5);
            return new AggOrder(key, c.Oid("sortop"), descending, c.Bool("nulls_first"));
        })];
        Oid trans = n.Oid("aggtranstype") is { IsValid: true } t ? t : aggregate.AggTransType;
        return new AggExpr(proc, aggregate, args, n.Oid("aggtype"), trans)
        {
            Star = n.Bool("aggstar"),
            Distinct = n.List("aggdistinct").Count > 0,
            Filter = n.Node("aggfilter") is { } f ? Read(f) : null,
            Order = order,
            LevelsUp = (int)n.Int("agglevelsup"),
            InputCollation = n.Oid("inputcollid"),
            Collation = n.Oid("aggcollid"),
        };
    }

    private SubLinkExpr ReadSubLink(NodeTree n)
    {
        Query query = ReadQuery(n.Node("subselect")!, _level);
        Target[] columns = [.. query.Targets.Where(t => !t.Junk)];
        var boolean = new Oid(PgTypes.Bool);
        switch (n.Int("subLinkType"))
        {
            case 0:
                return new SubLinkExpr(SubLinkKind.Exists, query, boolean, -1);
            case 1 or 2:
                NodeTree test = n.Node("testexpr")!;
                NodeTree[] tests = test.Name == "BOOLEXPR" ? [.. test.List("args").Cast<NodeTree>()] : [test];
                Expr[] comparisons = [.. tests.Select(t => ReadComparison(t, columns))];
                return new SubLinkExpr(n.Int("subLinkType") == 2 ? SubLinkKind.Any : SubLinkKind.All, query, boolean, -1)
                {
                    Tests = [.. comparisons.Select(c => c.Children[0])],
                    Comparisons = comparisons,
                };
            case 4:
                Expr value = columns[0].Expr;
                return new SubLinkExpr(SubLinkKind.Scalar, query, value.Type, value.Typmod) { Collation = value.Collation };
            case 6:
                Expr element = columns[0].Expr;
                return new SubLinkExpr(SubLinkKind.Array, query, catalog.Type(element.Type)!.TypArray, element.Typmod) { Collation = element.Collation };
            default:
                throw PgException.NotSupported("this subquery in a view");
        }
    }

    // The subquery's columns are parameters of kind PARAM_SUBLINK, numbered from 1.
    private OpExpr ReadComparison(NodeTree n, Target[] columns)
    {
        _columns = columns;
        PgOperator op = Operator(n.Oid("opno"));
        Expr[] args = [.. n.List("args").Select(ReadOperand)];
        return new OpExpr(op, Proc(op.OprCode), args, n.Oid("opresulttype")) { InputCollation = n.Oid("inputcollid") };
    }

    private Target[] _columns = [];

    private Expr ReadOperand(NodeValue value)
    {
        if (value is NodeTree { Name: "PARAM" } p)
        {
            int column = (int)p.Int("paramid") - 1;
            return new SubLinkColumn(column, p.Oid("paramtype"), (int)p.Int("paramtypmod")) { Collation = p.Oid("paramcollid") };
        }

        if (value is NodeTree { Name: "RELABELTYPE" } r && r.Node("arg") is { Name: "PARAM" } inner)
        {
            return new RelabelExpr(ReadOperand(inner), r.Oid("resulttype"), (int)r.Int("resulttypmod"), Form(r, "relabelformat")) { Collation = r.Oid("resultcollid") };
        }

        return Read(value);
    }
}
