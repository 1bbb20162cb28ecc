using SharedStorage.Catalog;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;

namespace SharedStorage.Sql.Plan;

/// <summary>Access paths of the leaves: what is no table, and outer joins.</summary>
internal sealed partial class LevelPlanner
{
    private readonly HashSet<Expr> _usedByLeaf = new(ReferenceEqualityComparer.Instance);

    /// <summary>
    /// The cheapest plan of a leaf. Of <paramref name="conditions"/> those that it tests are in _usedByLeaf afterwards; columns of
    /// <paramref name="outside"/> may be used.
    /// </summary>
    private PlanNode PlanLeaf(Leaf leaf, ulong outside, IReadOnlyList<Expr> conditions, IReadOnlyList<SortClause> order, bool hasLimit, out bool ordered)
    {
        ordered = false;
        _usedByLeaf.Clear();
        List<Expr> usable = [.. conditions.Where(c => (Exprs.Entries(c) & ~(leaf.Entries | outside)) == 0)];
        if (leaf.Join is { } join)
        {
            List<Expr> filters = [.. leaf.Filters, .. usable];
            PlanNode plan = PlanOuterJoin(join, filters, outside);
            _usedByLeaf.Clear();
            usable.ForEach(c => _usedByLeaf.Add(c));
            return plan;
        }

        RangeEntry entry = _query.Entry(leaf.Entry);
        if (entry.Kind == EntryKind.Relation)
        {
            return PlanTable(leaf, entry, usable, outside, order, hasLimit, out ordered);
        }

        usable.ForEach(c => _usedByLeaf.Add(c));
        List<Expr> tests = [.. leaf.Filters, .. usable];
        double selectivity = Math.Pow(0.3, tests.Count);
        switch (entry.Kind)
        {
            case EntryKind.Subquery:
                RowPlan sub = _planner.PlanSelect(entry.Subquery!);
                return new SubqueryPlan(leaf.Entry, entry, sub, tests) { Rows = Math.Max(1, sub.Rows * selectivity), Cost = sub.Cost + (sub.Rows * Costs.Tuple) };
            case EntryKind.CommonTable:
                RowPlan table = _planner.PlanCommonTable(entry.CommonTable!);
                return new CommonTablePlan(leaf.Entry, entry, table, tests) { Rows = Math.Max(1, table.Rows * selectivity), Cost = table.Cost + (table.Rows * Costs.Tuple) };
            case EntryKind.Values:
                return new ValuesPlan(leaf.Entry, entry, tests) { Rows = Math.Max(1, entry.Values.Count * selectivity), Cost = entry.Values.Count * Costs.Tuple };
            default:
                double rows = FunctionRows(entry);
                return new FunctionPlan(leaf.Entry, entry, tests) { Rows = Math.Max(1, rows * selectivity), Cost = rows * Costs.Tuple };
        }
    }

    private static double FunctionRows(RangeEntry entry)
    {
        FuncExpr f = entry.Functions[0];
        if (f.Proc.ProName == "generate_series" && f.Args.Count >= 2 && f.Args[0] is ConstExpr { Value.IsNull: false } a && f.Args[1] is ConstExpr { Value.IsNull: false } b
            && a.Type.Value is PgTypes.Int4 or PgTypes.Int8 && b.Type.Value is PgTypes.Int4 or PgTypes.Int8)
        {
            return Math.Max(1, b.Value.Int64 - a.Value.Int64 + 1);
        }

        return f.Proc.ProRetSet ? Math.Max(1, f.Proc.ProRows) : 1;
    }

    private PlanNode PlanOuterJoin(FromJoin join, List<Expr> filters, ulong outside)
    {
        ulong left = EntriesOf(join.Left), right = EntriesOf(join.Right);
        var on = new List<Expr>();
        Exprs.Conjuncts(join.Condition, on);
        var leftConditions = new List<Expr>();
        var rest = new List<Expr>();
        foreach (Expr f in filters)
        {
            // A condition on the preserved side alone may be tested before the join.
            bool pushable = join.Kind == JoinKind.Left && (Exprs.Entries(f) & ~(left | outside)) == 0 && !Exprs.IsVolatile(f);
            (pushable ? leftConditions : rest).Add(f);
        }

        var leftLeaves = new List<Leaf>();
        Flatten(join.Left, leftLeaves, leftConditions);
        PlanNode outer = PlanJoins(leftLeaves, leftConditions, outside, [], false, out _);
        var rightConditions = new List<Expr>();
        var between = new List<Expr>();
        foreach (Expr c in on)
        {
            bool inner = join.Kind == JoinKind.Left && (Exprs.Entries(c) & ~(right | outside)) == 0 && (Exprs.Entries(c) & right) != 0;
            (inner ? rightConditions : between).Add(c);
        }

        var rightLeaves = new List<Leaf>();
        Flatten(join.Right, rightLeaves, rightConditions);
        Leaf leaf;
        if (rightLeaves.Count == 1 && rightConditions.All(c => (Exprs.Entries(c) & ~(rightLeaves[0].Entries | outside)) == 0))
        {
            leaf = rightLeaves[0];
            leaf.Filters.AddRange(rightConditions);
        }
        else
        {
            leaf = new Leaf
            {
                Entries = right,
                Requires = RequiredBy(join.Right) & ~right,
                Join = new FromJoin(JoinKind.Inner, new FromGroup(rightLeaves, rightConditions), new FromGroup([], []), null),
            };
            return JoinGroup(outer, left, leaf, join.Kind, between, rest, outside, rightLeaves, rightConditions);
        }

        return BestJoin(outer, left, leaf, join.Kind, between, rest, outside, (leaf.Requires & left) != 0);
    }

    /// <summary>Stands for inner joins within an outer join.</summary>
    private sealed class FromGroup(List<Leaf> leaves, List<Expr> conditions) : FromItem
    {
        public List<Leaf> Leaves { get; } = leaves;
        public List<Expr> Conditions { get; } = conditions;
    }

    private PlanNode JoinGroup(PlanNode outer, ulong left, Leaf leaf, JoinKind kind, List<Expr> between, List<Expr> rest, ulong outside, List<Leaf> leaves, List<Expr> conditions)
    {
        bool dependent = (leaf.Requires & left) != 0;
        PlanNode inner = PlanJoins(leaves, conditions, dependent ? outside | left : outside, [], false, out _);
        double rows = Math.Max(outer.Rows, outer.Rows * inner.Rows * between.Aggregate(1.0, (s, c) => s * JoinSelectivity(c)));
        List<HashKey> keys = HashKeys(between, left | outside, leaf.Entries, out List<Expr> others);
        List<(int, short)> columns = Usage.Columns(leaf.Entries);
        if (keys.Count > 0 && !dependent)
        {
            return new HashJoinPlan(outer, inner, kind, keys, columns, others, rest, outside != 0 || _query.IsCorrelated)
            {
                Rows = rows,
                Cost = outer.Cost + inner.Cost + ((inner.Rows + outer.Rows) * Costs.Operator * 2) + (rows * Costs.Tuple),
            };
        }

        if (kind == JoinKind.Full)
        {
            throw new PgException(SqlStates.FeatureNotSupported, "FULL JOIN is only supported with merge-joinable or hash-joinable join conditions");
        }

        PlanNode source = dependent || _query.IsCorrelated ? inner : new MaterializePlan(inner, columns) { Rows = inner.Rows, Cost = inner.Cost };
        return new NestedLoopPlan(outer, source, kind, between, rest) { Rows = rows, Cost = outer.Cost + inner.Cost + (outer.Rows * inner.Rows * Costs.Operator) };
    }
}
