using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;

namespace SharedStorage.Sql.Plan;

/// <summary>A part of the FROM clause that joins are made of: one entry, or an outer join as a whole.</summary>
internal sealed class Leaf
{
    public required ulong Entries { get; init; }

    /// <summary>Entries that must come before, since the leaf refers to them (LATERAL).</summary>
    public ulong Requires { get; init; }

    /// <summary>The entry number; 0 for an outer join.</summary>
    public int Entry { get; init; }
    public FromJoin? Join { get; init; }
    public List<Expr> Filters { get; } = [];
}

/// <summary>Plans the FROM and WHERE of one query level.</summary>
internal sealed partial class LevelPlanner
{
    private readonly Planner _planner;
    private readonly Query _query;

    public LevelPlanner(Planner planner, Query query)
    {
        (_planner, _query) = (planner, query);
        Usage = new ColumnUsage(query);
        for (int i = 1; i <= query.Entries.Count; i++)
        {
            AllEntries |= 1UL << i;
        }
    }

    public ColumnUsage Usage { get; }

    /// <summary>All entries of the level, those that FROM does not mention left out.</summary>
    public ulong AllEntries { get; private set; }

    /// <summary>WHERE and the conditions of inner joins: what is tested again when a row has changed (EvalPlanQual).</summary>
    public List<Expr> RecheckConditions { get; } = [];

    public PlanNode PlanFrom(IReadOnlyList<SortClause> order, bool hasLimit, out bool ordered)
    {
        ordered = false;
        var conditions = new List<Expr>();
        Exprs.Conjuncts(_query.Where, conditions);
        if (_query.From.Count == 0)
        {
            AllEntries = 0;
            return new ResultPlan(conditions) { Rows = 1, Cost = Costs.Tuple };
        }

        var leaves = new List<Leaf>();
        foreach (FromItem item in _query.From)
        {
            Flatten(item, leaves, conditions);
        }

        AllEntries = 0;
        leaves.ForEach(l => AllEntries |= l.Entries);
        RecheckConditions.AddRange(conditions);
        return PlanJoins(leaves, conditions, 0, order, hasLimit, out ordered);
    }

    // Inner joins become a list of leaves with conditions; an outer join is a leaf of its own.
    private void Flatten(FromItem item, List<Leaf> leaves, List<Expr> conditions)
    {
        switch (item)
        {
            case FromEntry e:
                leaves.Add(new Leaf { Entries = 1UL << e.Entry, Entry = e.Entry, Requires = RequiredBy(e.Entry) });
                break;
            case FromJoin { Kind: JoinKind.Inner } join:
                Flatten(join.Left, leaves, conditions);
                Flatten(join.Right, leaves, conditions);
                Exprs.Conjuncts(join.Condition, conditions);
                break;
            case FromJoin join:
                ulong entries = EntriesOf(join);
                leaves.Add(new Leaf { Entries = entries, Join = join, Requires = RequiredBy(join) & ~entries });
                break;
        }
    }

    private static ulong EntriesOf(FromItem item) => item is FromEntry e ? 1UL << e.Entry : EntriesOf(((FromJoin)item).Left) | EntriesOf(((FromJoin)item).Right);

    private ulong RequiredBy(FromItem item) => item is FromEntry e ? RequiredBy(e.Entry) : RequiredBy(((FromJoin)item).Left) | RequiredBy(((FromJoin)item).Right);

    private ulong RequiredBy(int number)
    {
        RangeEntry entry = _query.Entry(number);
        ulong result = 0;
        switch (entry.Kind)
        {
            case EntryKind.Subquery when entry.Lateral:
                result = Exprs.Entries(entry.Subquery!, 1);
                break;
            case EntryKind.Function:
                foreach (FuncExpr f in entry.Functions)
                {
                    result |= Exprs.Entries(f);
                }

                break;
            case EntryKind.Values:
                foreach (Expr[] row in entry.Values)
                {
                    foreach (Expr e in row)
                    {
                        result |= Exprs.Entries(e);
                    }
                }

                break;
        }

        return result & ~(1UL << number);
    }

    /// <summary>Joins the leaves; <paramref name="outside"/> are entries whose columns come from outer sides already.</summary>
    private PlanNode PlanJoins(List<Leaf> leaves, List<Expr> conditions, ulong outside, IReadOnlyList<SortClause> order, bool hasLimit, out bool ordered)
    {
        ordered = false;
        var pending = new List<(Expr Expr, ulong Entries)>();
        var constant = new List<Expr>();
        foreach (Expr c in conditions)
        {
            ulong entries = Exprs.Entries(c) & ~outside;
            Leaf? leaf = leaves.Find(l => entries != 0 && (entries & ~l.Entries) == 0);
            if (leaf is not null && leaf.Requires == 0)
            {
                leaf.Filters.Add(c);
            }
            else if (entries == 0)
            {
                constant.Add(c);
            }
            else
            {
                pending.Add((c, entries));
            }
        }

        PlanNode plan;
        if (leaves.Count == 1)
        {
            plan = PlanLeaf(leaves[0], outside, [.. pending.Select(p => p.Expr)], order, hasLimit, out ordered);
            List<Expr> rest = [.. pending.Select(p => p.Expr).Where(p => !_usedByLeaf.Contains(p))];
            if (rest.Count > 0)
            {
                plan = new FilterPlan(plan, rest) { Rows = plan.Rows, Cost = plan.Cost };
            }
        }
        else
        {
            plan = leaves.Count <= 9 ? SearchJoins(leaves, pending, outside) : GreedyJoins(leaves, pending, outside);
        }

        return constant.Count == 0 ? plan : AddConstantConditions(plan, constant);
    }

    private static FilterPlan AddConstantConditions(PlanNode plan, List<Expr> constant) => new(plan, constant) { Rows = plan.Rows, Cost = plan.Cost };

    private sealed record Partial(PlanNode Plan, ulong Entries);

    // Left-deep trees over all subsets, the cheapest plan of each kept.
    private PlanNode SearchJoins(List<Leaf> leaves, List<(Expr Expr, ulong Entries)> pending, ulong outside)
    {
        int n = leaves.Count;
        var best = new Partial?[1 << n];
        for (int i = 0; i < n; i++)
        {
            if ((leaves[i].Requires & ~outside) == 0)
            {
                best[1 << i] = new Partial(PlanLeaf(leaves[i], outside, [], [], false, out _), leaves[i].Entries);
            }
        }

        for (int set = 1; set < 1 << n; set++)
        {
            if (best[set] is not { } left)
            {
                continue;
            }

            for (int i = 0; i < n; i++)
            {
                if ((set & (1 << i)) != 0 || (leaves[i].Requires & ~(left.Entries | outside)) != 0)
                {
                    continue;
                }

                PlanNode joined = JoinLeaf(left, leaves[i], pending, outside);
                int next = set | (1 << i);
                if (best[next] is null || joined.Cost < best[next]!.Plan.Cost)
                {
                    best[next] = new Partial(joined, left.Entries | leaves[i].Entries);
                }
            }
        }

        return best[(1 << n) - 1]?.Plan ?? throw PgException.NotSupported("this order of LATERAL references");
    }

    private PlanNode GreedyJoins(List<Leaf> leaves, List<(Expr Expr, ulong Entries)> pending, ulong outside)
    {
        List<Leaf> rest = [.. leaves];
        Leaf first = rest.Where(l => (l.Requires & ~outside) == 0).MinBy(l => PlanLeaf(l, outside, [], [], false, out _).Rows)
            ?? throw PgException.NotSupported("this order of LATERAL references");
        rest.Remove(first);
        var current = new Partial(PlanLeaf(first, outside, [], [], false, out _), first.Entries);
        while (rest.Count > 0)
        {
            (Leaf? leaf, PlanNode? plan) = (null, null);
            foreach (Leaf candidate in rest)
            {
                if ((candidate.Requires & ~(current.Entries | outside)) != 0)
                {
                    continue;
                }

                PlanNode joined = JoinLeaf(current, candidate, pending, outside);
                if (plan is null || joined.Cost < plan.Cost)
                {
                    (leaf, plan) = (candidate, joined);
                }
            }

            if (leaf is null)
            {
                throw PgException.NotSupported("this order of LATERAL references");
            }

            rest.Remove(leaf);
            current = new Partial(plan!, current.Entries | leaf.Entries);
        }

        return current.Plan;
    }

    /// <summary>The cheapest inner join of what is there with one more leaf.</summary>
    private PlanNode JoinLeaf(Partial left, Leaf leaf, List<(Expr Expr, ulong Entries)> pending, ulong outside)
    {
        ulong all = left.Entries | leaf.Entries;
        List<Expr> conditions = [.. pending.Where(p => (p.Entries & ~all) == 0 && (p.Entries & leaf.Entries) != 0 && ((p.Entries & ~left.Entries) != 0)).Select(p => p.Expr)];
        bool dependent = (leaf.Requires & left.Entries) != 0;
        return BestJoin(left.Plan, left.Entries, leaf, JoinKind.Inner, conditions, [], outside, dependent);
    }

    /// <summary>Chooses between a parameterized inner scan, a hash join and a plain nested loop.</summary>
    private PlanNode BestJoin(PlanNode left, ulong leftEntries, Leaf leaf, JoinKind kind, List<Expr> conditions, List<Expr> filters, ulong outside, bool dependent)
    {
        double selectivity = 1;
        foreach (Expr c in conditions)
        {
            selectivity *= JoinSelectivity(c);
        }

        // The inner side may use columns of the outer one.
        PlanNode inner = PlanLeaf(leaf, outside | leftEntries, conditions, [], false, out _);
        List<Expr> rest = [.. conditions.Where(c => !_usedByLeaf.Contains(c))];

        // Of a full join the inner rows without a partner are wanted too: a scan that looks for partners only does not find them.
        bool usesOuter = kind != JoinKind.Full && (dependent || rest.Count < conditions.Count);
        PlanNode? plain = dependent ? null : PlanLeaf(leaf, outside, [], [], false, out _);
        double rows = Math.Max(1, left.Rows * (plain ?? inner).Rows * (plain is null ? 1 : selectivity));
        rows = kind == JoinKind.Left ? Math.Max(rows, left.Rows) : rows;
        PlanNode? best = null;
        if (usesOuter)
        {
            best = new NestedLoopPlan(left, inner, kind, rest, filters)
            {
                Rows = rows,
                Cost = left.Cost + (left.Rows * (inner.Cost + (inner.Rows * Costs.Tuple))) + Costs.Tuple,
            };
        }

        if (plain is null)
        {
            return best!;
        }

        ulong inside = leaf.Entries;
        List<HashKey> keys = HashKeys(conditions, leftEntries | outside, inside, out List<Expr> others);
        List<(int, short)> columns = Usage.Columns(inside);
        if (keys.Count > 0)
        {
            double cost = left.Cost + plain.Cost + (plain.Rows * (Costs.Tuple + Costs.Operator)) + (left.Rows * Costs.Operator * 2) + (rows * Costs.Tuple);
            if (best is null || cost < best.Cost)
            {
                best = new HashJoinPlan(left, plain, kind, keys, columns, others, filters, outside != 0 || DependsOnOuter(leaf)) { Rows = rows, Cost = cost };
            }
        }

        double loopCost = left.Cost + plain.Cost + (left.Rows * plain.Rows * (Costs.Operator + (conditions.Count * Costs.Operator))) + (rows * Costs.Tuple);
        if (best is null || (loopCost < best.Cost && kind != JoinKind.Full))
        {
            if (kind == JoinKind.Full)
            {
                throw new PgException(SqlStates.FeatureNotSupported, "FULL JOIN is only supported with merge-joinable or hash-joinable join conditions");
            }

            // Kept rows depend on nothing outside only when the leaf does not either.
            bool keep = (leaf.Requires & ~inside) == 0 && !DependsOnOuter(leaf);
            PlanNode source = keep ? new MaterializePlan(plain, columns) { Rows = plain.Rows, Cost = plain.Cost } : plain;
            best = new NestedLoopPlan(left, source, kind, conditions, filters) { Rows = rows, Cost = loopCost };
        }

        return best;
    }

    // Rows that are kept for a whole execution must not depend on an outer query's current row.
    private bool DependsOnOuter(Leaf leaf)
    {
        if (_query.IsCorrelated || leaf.Filters.Exists(Exprs.HasOuterVars))
        {
            return true;
        }

        return leaf.Entry > 0 && _query.Entry(leaf.Entry).Subquery is { IsCorrelated: true };
    }

    private static List<HashKey> HashKeys(List<Expr> conditions, ulong left, ulong right, out List<Expr> others)
    {
        var keys = new List<HashKey>();
        others = [];
        foreach (Expr c in conditions)
        {
            if (c is OpExpr { Kind: OperatorKind.Plain, Operator.OprCanHash: true, Args.Count: 2 } op && Family(op.Args[0].Type) == Family(op.Args[1].Type) && !Exprs.IsVolatile(c))
            {
                ulong a = Exprs.Entries(op.Args[0]), b = Exprs.Entries(op.Args[1]);
                if (b != 0 && (b & ~right) == 0 && (a & right) == 0 && (a & ~left) == 0)
                {
                    keys.Add(new HashKey(op.Args[0], op.Args[1]));
                    continue;
                }

                if (a != 0 && (a & ~right) == 0 && (b & right) == 0 && (b & ~left) == 0)
                {
                    keys.Add(new HashKey(op.Args[1], op.Args[0]));
                    continue;
                }
            }

            others.Add(c);
        }

        return keys;
    }

    // Types whose hashes agree with each other.
    private static uint Family(Oid type) => type.Value switch
    {
        Catalog.PgTypes.Int2 or Catalog.PgTypes.Int4 or Catalog.PgTypes.Int8 => Catalog.PgTypes.Int8,
        Catalog.PgTypes.Float4 or Catalog.PgTypes.Float8 => Catalog.PgTypes.Float8,
        Catalog.PgTypes.Text or Catalog.PgTypes.VarChar => Catalog.PgTypes.Text,
        Catalog.PgTypes.Oid or Catalog.PgTypes.RegClass or Catalog.PgTypes.RegProc or Catalog.PgTypes.RegType => Catalog.PgTypes.Oid,
        uint other => other,
    };
}
