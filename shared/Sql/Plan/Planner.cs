using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute.Nodes;

namespace SharedStorage.Sql.Plan;

/// <summary>
/// Makes plans: access paths by indexes, order and method of joins by cost (join order by dynamic programming over left-deep trees), then grouping,
/// distinct, order, limit. Follows the shape of PostgreSQL's planner.c, with its cost units.
/// </summary>
public sealed partial class Planner(ISqlCatalog catalog, Func<Access.Relation, uint> blockCount, PlanPaths disabled = PlanPaths.None)
{
    /// <summary>A SELECT's plan. Its first columns are the result; more of them may follow (sort keys).</summary>
    public RowPlan PlanSelect(Query query)
    {
        System.Runtime.CompilerServices.RuntimeHelpers.EnsureSufficientExecutionStack();
        if (query.Entries.Count > 62)
        {
            throw PgException.NotSupported("a query level with more than 62 tables");
        }

        if (query.SetOperation is not null)
        {
            return PlanSetQuery(query);
        }

        var level = new LevelPlanner(this, query);
        if (query.RowMarks.Count > 0)
        {
            return PlanLocking(query, level);
        }

        IReadOnlyList<SortKeyPlan> sort = SortKeys(query, query.Sort);
        bool grouped = query.GroupBy.Count > 0 || query.HasAggregates || query.Having is not null;
        bool wantsOrder = sort.Count > 0 && !grouped && query.Distinct is null && !query.HasTargetSets && !query.LimitWithTies;
        PlanNode input = level.PlanFrom(wantsOrder ? query.Sort : [], query.Limit is not null, out bool ordered);
        if (grouped)
        {
            input = PlanGrouping(query, input);
        }

        RowPlan plan = new ProjectPlan(input, [.. query.Targets.Select(t => t.Expr)]) { Rows = input.Rows, Cost = input.Cost };
        plan = PlanDistinct(query, plan, ref sort);
        if (sort.Count > 0 && !ordered)
        {
            Expr? bound = query.LimitWithTies ? null : query.Limit;
            plan = new SortPlan(plan, sort, query.Offset, bound) { Rows = plan.Rows, Cost = plan.Cost + SortCost(plan.Rows) };
        }

        if (query.Distinct is not null && query.IsDistinctOn)
        {
            plan = DistinctOf(query, plan);
        }

        return AddLimit(query, plan, query.LimitWithTies ? sort : null);
    }

    internal ISqlCatalog Catalog => catalog;
    internal PlanPaths Disabled => disabled;
    internal uint BlockCount(Access.Relation table) => blockCount(table);
    internal static double SortCost(double rows) => rows * Math.Log2(Math.Max(rows, 2)) * 2 * Costs.Operator;

    private static RowPlan AddLimit(Query query, RowPlan plan, IReadOnlyList<SortKeyPlan>? ties)
    {
        if (query.Limit is null && query.Offset is null)
        {
            return plan;
        }

        double rows = query.Limit is ConstExpr { Value.IsNull: false } c ? Math.Min(plan.Rows, c.Value.Int64) : plan.Rows;
        return new LimitPlan(plan, query.Offset, query.Limit, ties) { Rows = rows, Cost = plan.Cost };
    }

    // Plain DISTINCT is hashed before the sort; DISTINCT ON takes the first row of each key after it.
    private static RowPlan PlanDistinct(Query query, RowPlan plan, ref IReadOnlyList<SortKeyPlan> sort)
    {
        if (query.Distinct is null)
        {
            return plan;
        }

        if (!query.IsDistinctOn)
        {
            return DistinctOf(query, plan);
        }

        if (sort.Count == 0)
        {
            return plan;
        }

        return plan;
    }

    private static DistinctPlan DistinctOf(Query query, RowPlan plan) => new(plan, [.. query.Distinct!.Select(d => d.Target)],
        [.. query.Distinct!.Select(d => query.Targets[d.Target].Expr.Type)])
    { Rows = Math.Max(1, plan.Rows / 2), Cost = plan.Cost + (plan.Rows * Costs.Operator) };

    private static IReadOnlyList<SortKeyPlan> SortKeys(Query query, IReadOnlyList<SortClause> sort) =>
        [.. sort.Select(s => new SortKeyPlan(s.Target, query.Targets[s.Target].Expr.Type, query.Targets[s.Target].Expr.Collation, s.Descending, s.NullsFirst))];

    private static AggregatePlan PlanGrouping(Query query, PlanNode input)
    {
        List<Expr> keys = [.. query.GroupBy.Select(g => query.Targets[g.Target].Expr)];
        var aggregates = new List<AggExpr>();
        var carried = new List<VarExpr>();
        var having = new List<Expr>();
        Exprs.Conjuncts(query.Having, having);

        void Visit(Expr e, int level)
        {
            if (e is AggExpr a && a.LevelsUp == level)
            {
                AggExpr here = level == 0 ? a : LowerLevels(a, level);
                if (!aggregates.Exists(x => x.SameAs(here)))
                {
                    aggregates.Add(here);
                }

                return;
            }

            if (level == 0 && keys.Exists(k => k.SameAs(e)))
            {
                return;
            }

            if (e is VarExpr v && v.LevelsUp == level)
            {
                var here = new VarExpr(v.Entry, v.Column, v.Type, v.Typmod, 0) { Collation = v.Collation };
                if (!keys.Exists(k => k.SameAs(here)) && !carried.Exists(c => c.SameAs(here)))
                {
                    carried.Add(here);
                }
            }

            if (e is SubLinkExpr s)
            {
                VisitQuery(s.Query, level + 1);
            }

            foreach (Expr child in e.Children)
            {
                Visit(child, level);
            }
        }

        void VisitQuery(Query q, int level)
        {
            Exprs.OfQuery(q, e => Visit(e, level));
            foreach (RangeEntry entry in q.Entries.Where(x => x.Subquery is not null))
            {
                VisitQuery(entry.Subquery!, level + 1);
            }
        }

        foreach (Target t in query.Targets)
        {
            Visit(t.Expr, 0);
        }

        having.ForEach(h => Visit(h, 0));
        double groups = keys.Count == 0 ? 1 : Math.Max(1, input.Rows / 10);
        return new AggregatePlan(input, keys, aggregates, carried, having)
        {
            Rows = groups,
            Cost = input.Cost + (input.Rows * Costs.Operator * (keys.Count + aggregates.Count + 1)),
        };
    }

    // An aggregate of this level that stands in a subquery.
    private static AggExpr LowerLevels(AggExpr a, int level)
    {
        Expr[] children = [.. a.Children.Select(c => c.Rewrite(e => e is VarExpr v
            ? new VarExpr(v.Entry, v.Column, v.Type, v.Typmod, v.LevelsUp - level) { Collation = v.Collation } : null))];
        return (AggExpr)a.With(children);
    }

    private RowPlan PlanLocking(Query query, LevelPlanner level)
    {
        foreach (RowMark mark in query.RowMarks)
        {
            level.Usage.Add(mark.Entry, SystemColumn.PackedTid);
        }

        PlanNode input = level.PlanFrom([], false, out _);
        IReadOnlyList<SortKeyPlan> keys = [.. SortKeys(query, query.Sort).Select((k, i) => k with { Column = i })];
        Expr[] values = [.. query.Sort.Select(s => query.Targets[s.Target].Expr)];
        List<(int Entry, short Column)> columns = level.Usage.Columns(level.AllEntries);
        var locked = new LockRowsPlan(input, [.. query.RowMarks.Select(m => new LockPlan(m, query.Entry(m.Entry)))], columns, values, keys, level.RecheckConditions)
        {
            Rows = input.Rows,
            Cost = input.Cost,
        };
        RowPlan plan = new ProjectPlan(locked, [.. query.Targets.Select(t => t.Expr)]) { Rows = input.Rows, Cost = input.Cost };
        return AddLimit(query, plan, query.LimitWithTies ? SortKeys(query, query.Sort) : null);
    }

    private RowPlan PlanSetQuery(Query query)
    {
        RowPlan plan = PlanSetTree(query, query.SetOperation!);
        IReadOnlyList<SortKeyPlan> sort = SortKeys(query, query.Sort);
        if (sort.Count > 0)
        {
            plan = new SortPlan(plan, sort, query.Offset, query.LimitWithTies ? null : query.Limit) { Rows = plan.Rows, Cost = plan.Cost + SortCost(plan.Rows) };
        }

        return AddLimit(query, plan, query.LimitWithTies ? sort : null);
    }

    private RowPlan PlanSetTree(Query query, SetOperationNode node)
    {
        if (node is SetLeaf leaf)
        {
            RowPlan branch = PlanSelect(query.Entry(leaf.Entry).Subquery!);
            return new BranchPlan(branch) { Rows = branch.Rows, Cost = branch.Cost };
        }

        var set = (SetNode)node;
        RowPlan left = PlanSetTree(query, set.Left), right = PlanSetTree(query, set.Right);
        double rows = left.Rows + right.Rows, cost = left.Cost + right.Cost;
        if (set.Operator != SetOperator.Union)
        {
            return new SetOperationPlan(left, right, set) { Rows = left.Rows, Cost = cost + (rows * Costs.Operator) };
        }

        RowPlan append = new AppendPlan([left, right]) { Rows = rows, Cost = cost };
        return set.All ? append : new DistinctPlan(append, [.. Enumerable.Range(0, set.Columns.Count)], [.. set.Columns.Select(c => c.Type)])
        {
            Rows = rows,
            Cost = cost + (rows * Costs.Operator),
        };
    }
}

public sealed partial class Planner
{
    private readonly Dictionary<CommonTable, RowPlan> _commonTables = [];

    internal RowPlan PlanCommonTable(CommonTable table)
    {
        if (!_commonTables.TryGetValue(table, out RowPlan? plan))
        {
            _commonTables[table] = plan = PlanSelect(table.Query);
        }

        return plan;
    }
}
