using SharedStorage.Catalog;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using Pg = PgQuery;

namespace SharedStorage.Sql.Analyze;

/// <summary>WITH, VALUES, UNION and its like, and the rules of grouping.</summary>
public sealed partial class Analyzer
{
    private void AddWith(Scope scope, Pg.WithClause? with)
    {
        if (with is null)
        {
            return;
        }

        if (with.Recursive && with.Ctes.Any(c => MentionsItself(c.CommonTableExpr)))
        {
            throw PgException.NotSupported("WITH RECURSIVE");
        }

        foreach (Pg.Node node in with.Ctes)
        {
            Pg.CommonTableExpr cte = node.CommonTableExpr;
            if (scope.CommonTables.ContainsKey(cte.Ctename))
            {
                throw _context.Error(SqlStates.DuplicateAlias, $"WITH query name \"{cte.Ctename}\" specified more than once", cte.Location);
            }

            if (cte.Ctequery.NodeCase != Pg.Node.NodeOneofCase.SelectStmt)
            {
                throw PgException.NotSupported("a data-modifying statement in WITH");
            }

            Query query = AnalyzeStatement(cte.Ctequery, scope);
            var table = new CommonTable { Name = cte.Ctename, Query = query };
            table.Columns.AddRange(cte.Aliascolnames.Select(ExprString));
            if (table.Columns.Count > query.Targets.Count(t => !t.Junk))
            {
                throw _context.Error(SqlStates.InvalidColumnReference,
                    $"WITH query \"{cte.Ctename}\" has {query.Targets.Count(t => !t.Junk)} columns available but {table.Columns.Count} columns specified", cte.Location);
            }

            scope.CommonTables[cte.Ctename] = table;
            scope.Query.CommonTables.Add(table);
        }
    }

    private static bool MentionsItself(Pg.CommonTableExpr cte) =>
        cte.Ctequery.ToString().Contains($"\"relname\": \"{cte.Ctename}\"", StringComparison.Ordinal);

    private Query AnalyzeValues(Pg.SelectStmt s, Scope? parent)
    {
        var query = new Query { Kind = QueryKind.Select };
        var scope = new Scope(query, parent) { Clause = ClauseKind.Values };
        AddWith(scope, s.WithClause);
        List<Expr[]> rows = ValuesRows(scope, s, false);
        int width = rows[0].Length;
        var entry = new RangeEntry { Kind = EntryKind.Values, Alias = "*VALUES*" };
        for (int i = 0; i < width; i++)
        {
            Expr[] column = [.. rows.Select(r => r[i])];
            Oid type = CommonType(column, "VALUES");
            int typmod = column.All(c => c.Typmod == column[0].Typmod && c.Type == type) ? column[0].Typmod : -1;
            foreach (Expr[] row in rows)
            {
                row[i] = CoerceToCommon(row[i], type, "VALUES");
            }

            entry.Columns.Add(new EntryColumn($"column{i + 1}", type, typmod, ResultCollation(type, MergeCollations(rows.Select(r => r[i])))));
        }

        entry.Values.AddRange(rows);
        NamespaceItem item = AddEntry(scope, entry, true);
        query.From.Add(new FromEntry(item.Entry));
        query.Targets = [.. item.Columns.Select(c => new Target(c.Expr, c.Name))];
        TransformSort(scope, s.SortClause);
        TransformLimit(scope, s);
        if (s.LockingClause.Count > 0)
        {
            throw new PgException(SqlStates.FeatureNotSupported, "FOR UPDATE cannot be applied to VALUES");
        }

        return query;
    }

    private List<Expr[]> ValuesRows(Scope scope, Pg.SelectStmt s, bool allowDefault)
    {
        var rows = new List<Expr[]>(s.ValuesLists.Count);
        scope.AllowDefault = allowDefault;
        foreach (Pg.Node node in s.ValuesLists)
        {
            Expr[] row = [.. node.List.Items.Select(i => TransformExpr(scope, i))];
            if (rows.Count > 0 && rows[0].Length != row.Length)
            {
                throw _context.Error(SqlStates.SyntaxError, "VALUES lists must all be the same length", NodeLocation(node.List.Items[0]));
            }

            rows.Add(row);
        }

        scope.AllowDefault = false;
        return rows;
    }

    private Query AnalyzeSetOperation(Pg.SelectStmt s, Scope? parent)
    {
        var query = new Query { Kind = QueryKind.Select };
        var scope = new Scope(query, parent);
        AddWith(scope, s.WithClause);
        query.SetOperation = TransformSetTree(scope, s, true);
        SetOperationNode first = query.SetOperation;
        while (first is SetNode n)
        {
            first = n.Left;
        }

        RangeEntry names = query.Entry(((SetLeaf)first).Entry);
        var top = (SetNode)query.SetOperation;
        var columns = new List<NamespaceColumn>();
        for (int i = 0; i < top.Columns.Count; i++)
        {
            // Columns of the result are those of the first entry, with the types of the whole.
            EntryColumn c = top.Columns[i];
            var value = new VarExpr(((SetLeaf)first).Entry, (short)(i + 1), c.Type, c.Typmod, 0) { Collation = c.Collation };
            query.Targets.Add(new Target(value, names.Columns[i].Name));
            columns.Add(new NamespaceColumn(names.Columns[i].Name, value));
        }

        scope.Items = [new NamespaceItem { Alias = null, AliasVisible = false, Columns = columns }];
        int before = query.Targets.Count;
        TransformSort(scope, s.SortClause);
        if (query.Targets.Count > before)
        {
            throw _context.Error(SqlStates.FeatureNotSupported, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause", ExprLocation(query.Targets[before].Expr),
                "Add the expression/function to every SELECT, or move the UNION into a FROM clause.", "Only result column names can be used, not expressions or functions.");
        }

        TransformLimit(scope, s);
        if (s.LockingClause.Count > 0)
        {
            throw new PgException(SqlStates.FeatureNotSupported, "FOR UPDATE is not allowed with UNION/INTERSECT/EXCEPT");
        }

        return query;
    }

    private SetOperationNode TransformSetTree(Scope scope, Pg.SelectStmt s, bool top)
    {
        System.Runtime.CompilerServices.RuntimeHelpers.EnsureSufficientExecutionStack();
        bool leaf = s.Op is Pg.SetOperation.SetopNone or Pg.SetOperation.Undefined
            || (!top && (s.SortClause.Count > 0 || s.LimitCount is not null || s.LimitOffset is not null || s.LockingClause.Count > 0 || s.WithClause is not null));
        if (leaf)
        {
            // The branches see outer queries and WITH, not each other.
            Query branch = AnalyzeSelectStatement(s, new Scope(scope.Query, scope.Parent) is var outer && CopyTables(scope, outer) ? outer : scope);
            NamespaceItem item = AddSubquery(scope, branch, $"*SELECT* {scope.Query.Entries.Count + 1}", null, false);
            return new SetLeaf(item.Entry);
        }

        SetOperationNode left = TransformSetTree(scope, s.Larg, false), right = TransformSetTree(scope, s.Rarg, false);
        (SetOperator op, string name) = s.Op switch
        {
            Pg.SetOperation.SetopUnion => (SetOperator.Union, "UNION"),
            Pg.SetOperation.SetopIntersect => (SetOperator.Intersect, "INTERSECT"),
            _ => (SetOperator.Except, "EXCEPT"),
        };
        var node = new SetNode(op, s.All, left, right);
        IReadOnlyList<Expr> l = SetColumns(scope, left), r = SetColumns(scope, right);
        if (l.Count != r.Count)
        {
            throw _context.Error(SqlStates.SyntaxError, $"each {name} query must have the same number of columns", -1);
        }

        for (int i = 0; i < l.Count; i++)
        {
            Oid type = CommonType([l[i], r[i]], name);
            CoerceBranch(scope, left, i, type, name);
            CoerceBranch(scope, right, i, type, name);
            int typmod = l[i].Typmod == r[i].Typmod && l[i].Type == type && r[i].Type == type ? l[i].Typmod : -1;
            node.Columns.Add(new EntryColumn("", type, typmod, ResultCollation(type, MergeCollations([l[i], r[i]]))));
            if (op != SetOperator.Union || !s.All)
            {
                (Oid less, Oid equal) = SortOperators(type, ExprLocation(l[i]));
                node.Keys.Add(new SortClause(i, less, equal, false, false));
            }
        }

        return node;
    }

    private static bool CopyTables(Scope from, Scope to)
    {
        foreach ((string name, CommonTable table) in from.CommonTables)
        {
            to.CommonTables[name] = table;
        }

        return true;
    }

    private static IReadOnlyList<Expr> SetColumns(Scope scope, SetOperationNode node) => node is SetNode n
        ? [.. n.Columns.Select(c => (Expr)new CaseTestExpr(c.Type, c.Typmod) { Collation = c.Collation })]
        : [.. scope.Query.Entry(((SetLeaf)node).Entry).Subquery!.Targets.Where(t => !t.Junk).Select(t => t.Expr)];

    // A leaf's own target list is coerced; a tree's leaves all are.
    private void CoerceBranch(Scope scope, SetOperationNode node, int column, Oid type, string name)
    {
        if (node is SetNode n)
        {
            if (n.Columns[column].Type != type)
            {
                CoerceBranch(scope, n.Left, column, type, name);
                CoerceBranch(scope, n.Right, column, type, name);
                n.Columns[column] = n.Columns[column] with { Type = type, Typmod = -1, Collation = TypeCollation(type) };
                if (n.Keys.Count > 0)
                {
                    (Oid less, Oid equal) = SortOperators(type, -1);
                    n.Keys[column] = n.Keys[column] with { LessOperator = less, EqualOperator = equal };
                }
            }

            return;
        }

        RangeEntry entry = scope.Query.Entry(((SetLeaf)node).Entry);
        Query sub = entry.Subquery!;
        Target target = sub.Targets.Where(t => !t.Junk).ElementAt(column);
        if (target.Expr.Type == type)
        {
            return;
        }

        if (sub.SetOperation is not null || sub.Sort.Exists(s => sub.Targets[s.Target] == target) || sub.Distinct is not null || sub.GroupBy.Exists(g => sub.Targets[g.Target] == target))
        {
            // The value takes part in the branch's own work: it is coerced outside of it.
            entry.Subquery = WrapCoercion(sub, column, type, name);
        }
        else
        {
            target.Expr = CoerceToCommon(target.Expr, type, name);
        }

        entry.Columns[column] = entry.Columns[column] with { Type = type, Typmod = target.Expr.Typmod };
    }

    private Query WrapCoercion(Query inner, int column, Oid type, string name)
    {
        var outer = new Query { Kind = QueryKind.Select, Parent = inner.Parent, IsCorrelated = inner.IsCorrelated };
        var scope = new Scope(outer, null);
        NamespaceItem item = AddSubquery(scope, inner, "*SELECT*", null, false);
        outer.From.Add(new FromEntry(item.Entry));
        int i = 0;
        foreach (NamespaceColumn c in item.Columns)
        {
            outer.Targets.Add(new Target(i++ == column ? CoerceToCommon(c.Expr, type, name) : c.Expr, c.Name));
        }

        return outer;
    }

    /// <summary>With grouping, each column outside of aggregates must be a group key or depend on one (parse_agg.c).</summary>
    private void CheckGrouping(Query query)
    {
        if (query.GroupBy.Count == 0 && !query.HasAggregates && query.Having is null)
        {
            return;
        }

        List<Expr> keys = [.. query.GroupBy.Select(g => query.Targets[g.Target].Expr)];
        var dependent = new Dictionary<int, bool>();
        foreach (Target t in query.Targets)
        {
            CheckUngrouped(query, t.Expr, keys, 0, dependent);
        }

        if (query.Having is not null)
        {
            CheckUngrouped(query, query.Having, keys, 0, dependent);
        }
    }

    private void CheckUngrouped(Query query, Expr expr, List<Expr> keys, int level, Dictionary<int, bool> dependent)
    {
        if (expr is AggExpr a && a.LevelsUp == level)
        {
            return;
        }

        if (level == 0 && keys.Exists(k => k.SameAs(expr)))
        {
            return;
        }

        if (expr is VarExpr v && v.LevelsUp == level)
        {
            bool isKey = keys.Exists(k => k is VarExpr kv && kv.Entry == v.Entry && kv.Column == v.Column);
            if (!isKey && !DependsOnKeys(query, v.Entry, keys, dependent))
            {
                RangeEntry entry = query.Entry(v.Entry);
                string name = v.Column > 0 && v.Column <= entry.Columns.Count ? entry.Columns[v.Column - 1].Name : "";
                throw _context.Error(SqlStates.GroupingError, level == 0
                    ? $"column \"{entry.Alias}.{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
                    : $"subquery uses ungrouped column \"{entry.Alias}.{name}\" from outer query", v.Location);
            }

            return;
        }

        if (expr is SubLinkExpr link)
        {
            ForEachExpr(link.Query, e => CheckUngrouped(query, e, keys, level + 1, dependent));
        }

        foreach (Expr child in expr.Children)
        {
            CheckUngrouped(query, child, keys, level, dependent);
        }
    }

    // Functional dependency: all columns of the table's primary key are group keys.
    private bool DependsOnKeys(Query query, int entry, List<Expr> keys, Dictionary<int, bool> known)
    {
        if (known.TryGetValue(entry, out bool result))
        {
            return result;
        }

        RangeEntry e = query.Entry(entry);
        if (e.Kind == EntryKind.Relation)
        {
            short[]? primary = Catalog.Constraints(e.Relation!.Id).FirstOrDefault(c => c.ConType == 'p' && !c.ConDeferrable)?.ConKey;
            result = primary is not null && primary.All(p => keys.Exists(k => k is VarExpr { LevelsUp: 0 } v && v.Entry == entry && v.Column == p));
        }

        known[entry] = result;
        return result;
    }

    /// <summary>The expressions of a query itself, not of queries within.</summary>
    internal static void ForEachExpr(Query query, Action<Expr> action)
    {
        foreach (Target t in query.Targets)
        {
            action(t.Expr);
        }

        foreach (Expr? e in new[] { query.Where, query.Having, query.Limit, query.Offset })
        {
            if (e is not null)
            {
                action(e);
            }
        }

        foreach (FromItem item in query.From)
        {
            ForEachCondition(item, action);
        }

        foreach (RangeEntry entry in query.Entries)
        {
            entry.Functions.ForEach(action);
            foreach (Expr[] row in entry.Values)
            {
                Array.ForEach(row, action);
            }
        }
    }

    private static void ForEachCondition(FromItem item, Action<Expr> action)
    {
        if (item is FromJoin join)
        {
            ForEachCondition(join.Left, action);
            ForEachCondition(join.Right, action);
            if (join.Condition is not null)
            {
                action(join.Condition);
            }
        }
    }
}
