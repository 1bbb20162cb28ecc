using SharedStorage.Sql.Analyze;

namespace SharedStorage.Sql.Plan;

/// <summary>Which columns of a query level's entries are used anywhere, queries within included. Nodes that keep rows keep just these.</summary>
internal sealed class ColumnUsage
{
    private readonly SortedSet<short>[] _columns;

    public ColumnUsage(Query query)
    {
        _columns = new SortedSet<short>[query.Entries.Count + 1];
        for (int i = 0; i < _columns.Length; i++)
        {
            _columns[i] = [];
        }

        Visit(query, 0);
    }

    public IReadOnlyCollection<short> Of(int entry) => _columns[entry];
    public void Add(int entry, short column) => _columns[entry].Add(column);

    public List<(int Entry, short Column)> Columns(ulong entries)
    {
        var result = new List<(int, short)>();
        for (int i = 1; i < _columns.Length; i++)
        {
            if ((entries & (1UL << i)) != 0)
            {
                foreach (short c in _columns[i])
                {
                    result.Add((i, c));
                }
            }
        }

        return result;
    }

    private void Visit(Query query, int level)
    {
        void Walk(Expr e)
        {
            if (e is VarExpr v && v.LevelsUp == level && v.Entry < _columns.Length)
            {
                _columns[v.Entry].Add(v.Column);
            }

            if (e is SubLinkExpr s)
            {
                Visit(s.Query, level + 1);
            }

            foreach (Expr child in e.Children)
            {
                Walk(child);
            }
        }

        Exprs.OfQuery(query, Walk);
        foreach (RangeEntry entry in query.Entries)
        {
            if (entry.Subquery is not null)
            {
                Visit(entry.Subquery, level + 1);
            }
        }

        foreach (CommonTable table in query.CommonTables)
        {
            Visit(table.Query, level + 1);
        }
    }
}

/// <summary>Walks over expressions that planning needs.</summary>
internal static class Exprs
{
    /// <summary>All expressions that stand directly in a query.</summary>
    public static void OfQuery(Query query, Action<Expr> action)
    {
        Analyzer.ForEachExpr(query, action);
        foreach (Expr? e in query.NewValues)
        {
            if (e is not null)
            {
                action(e);
            }
        }

        foreach (Target t in query.Returning ?? [])
        {
            action(t.Expr);
        }
    }

    public static void Conjuncts(Expr? e, List<Expr> into)
    {
        if (e is BoolExpr { Operation: BoolOperation.And } and)
        {
            foreach (Expr arg in and.Args)
            {
                Conjuncts(arg, into);
            }
        }
        else if (e is not null)
        {
            into.Add(e);
        }
    }

    /// <summary>The entries of this query level that an expression uses, subqueries included.</summary>
    public static ulong Entries(Expr e)
    {
        ulong result = 0;
        Collect(e, 0, ref result);
        return result;
    }

    public static ulong Entries(Query query, int level)
    {
        ulong result = 0;
        Collect(query, level, ref result);
        return result;
    }

    private static void Collect(Query query, int level, ref ulong result)
    {
        ulong found = 0;
        OfQuery(query, e => Collect(e, level, ref found));
        foreach (RangeEntry entry in query.Entries)
        {
            if (entry.Subquery is not null)
            {
                Collect(entry.Subquery, level + 1, ref found);
            }
        }

        foreach (CommonTable table in query.CommonTables)
        {
            Collect(table.Query, level + 1, ref found);
        }

        result |= found;
    }

    private static void Collect(Expr e, int level, ref ulong result)
    {
        if (e is VarExpr v && v.LevelsUp == level)
        {
            result |= 1UL << v.Entry;
        }

        if (e is SubLinkExpr s)
        {
            Collect(s.Query, level + 1, ref result);
        }

        foreach (Expr child in e.Children)
        {
            Collect(child, level, ref result);
        }
    }

    public static bool IsVolatile(Expr e) => e.Any(x => x is FuncExpr { Proc.ProVolatile: 'v' } or OpExpr { Proc.ProVolatile: 'v' } or NextValueExpr);

    public static bool HasOuterVars(Expr e) => e.Any(x => x is VarExpr { LevelsUp: > 0 } or SubLinkExpr { Query.IsCorrelated: true });
}
