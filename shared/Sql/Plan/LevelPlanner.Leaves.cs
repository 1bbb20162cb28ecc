using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;

namespace SharedStorage.Sql.Plan;

/// <summary>Access paths of the leaves: scans, and outer joins.</summary>
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

    private PlanNode PlanTable(Leaf leaf, RangeEntry entry, List<Expr> usable, ulong outside, IReadOnlyList<SortClause> order, bool hasLimit, out bool ordered)
    {
        ordered = false;
        Relation table = entry.Relation!;
        ScanTarget target = TargetOf(leaf.Entry, entry);
        (double tuples, double pages) = TableSize(entry);
        List<Expr> all = [.. leaf.Filters, .. usable];
        double rows = tuples;
        foreach (Expr c in all)
        {
            rows *= Selectivity(c, entry, leaf.Entry, tuples);
        }

        rows = Math.Max(1, Math.Round(rows));
        PlanNode best = new SeqScanPlan(target, all)
        {
            Rows = rows,
            Cost = (pages * Costs.SequentialPage) + (tuples * (Costs.Tuple + (all.Count * Costs.Operator))),
        };
        bool needsHeader = target.SystemColumns.Any(c => c is -2 or -3 or -4 or -5);
        double sortCost = order.Count > 0 ? Planner.SortCost(rows) : 0;
        double bestTotal = best.Cost + sortCost;
        foreach (IndexInfo index in needsHeader ? [] : _planner.Catalog.Indexes(table.Id))
        {
            if (index.AccessMethod.Value != PgOids.BtreeAm || !index.IsValid || index.HasExpressions || index.HasPredicate)
            {
                continue;
            }

            List<BoundPlan> bounds = MatchIndex(index, leaf.Entry, all, out List<Expr> matched, out int equalColumns, out bool unique);
            bool inOrder = order.Count > 0 && MatchesOrder(index, leaf.Entry, order, equalColumns, out _);
            bool backward = inOrder && MatchesOrder(index, leaf.Entry, order, equalColumns, out bool b) && b;
            if (bounds.Count == 0 && !inOrder)
            {
                continue;
            }

            double found = unique ? 1 : Math.Max(1, matched.Aggregate(tuples, (r, c) => r * Selectivity(c, entry, leaf.Entry, tuples)));
            // Random pages of a table that fits in memory cost less than the parameter says; PostgreSQL counts repeated visits once.
            double heapPages = Math.Min(found, pages * 2);
            double cost = Costs.Tuple + (2 * Costs.Operator * Math.Log2(Math.Max(tuples, 2))) + (Costs.RandomPage * heapPages * 0.5)
                + (found * (Costs.IndexTuple + Costs.Tuple + (all.Count * Costs.Operator)));
            bool useful = inOrder && hasLimit;
            double total = useful ? Math.Min(cost, cost * 0.1) : cost + (inOrder ? 0 : sortCost);
            if (total >= bestTotal)
            {
                continue;
            }

            bestTotal = total;
            ordered = inOrder;
            best = new IndexScanPlan(target, index, backward, bounds, [.. all.Where(c => !matched.Contains(c))]) { Rows = unique ? 1 : rows, Cost = cost };
        }

        usable.ForEach(c => _usedByLeaf.Add(c));
        return best;
    }

    private ScanTarget TargetOf(int number, RangeEntry entry)
    {
        var wanted = new bool[entry.Columns.Count];
        var system = new List<short>();
        foreach (short column in Usage.Of(number))
        {
            if (column > 0)
            {
                wanted[column - 1] = true;
            }
            else if (column == 0)
            {
                Array.Fill(wanted, true);
            }
            else
            {
                system.Add(column);
            }
        }

        return new ScanTarget(number, entry, wanted, system);
    }

    /// <summary>The bounds that conditions give for leading columns of the index.</summary>
    private List<BoundPlan> MatchIndex(IndexInfo index, int entry, List<Expr> conditions, out List<Expr> matched, out int equalColumns, out bool unique)
    {
        var bounds = new List<BoundPlan>();
        matched = [];
        equalColumns = 0;
        for (int column = 0; column < index.KeyCount; column++)
        {
            bool equal = false, any = false;
            foreach (Expr c in conditions)
            {
                if (matched.Contains(c) || MatchColumn(index, column, entry, c) is not { } bound)
                {
                    continue;
                }

                // One equality is enough; further conditions on the column are tested as filters.
                if (equal || (bound.Strategy == BtreeStrategy.IsNotNull && any))
                {
                    continue;
                }

                if (bound.Strategy is BtreeStrategy.Equal or BtreeStrategy.IsNull)
                {
                    bounds.RemoveAll(x => x.Column == column);
                    equal = true;
                }

                any = true;
                bounds.Add(bound);
                matched.Add(c);
            }

            List<BoundPlan> kept = bounds;
            matched.RemoveAll(m => MatchColumn(index, column, entry, m) is { } x && x.Column == column && !kept.Exists(k => k.Column == column && k.Strategy == x.Strategy && ReferenceEquals(k.Value, x.Value)));
            if (!equal)
            {
                break;
            }

            equalColumns++;
        }

        unique = index.IsUnique && equalColumns == index.KeyCount && bounds.All(b => b.Strategy == BtreeStrategy.Equal);
        return bounds;
    }

    private BoundPlan? MatchColumn(IndexInfo index, int column, int entry, Expr condition)
    {
        IndexColumn key = index.Columns[column];
        if (condition is NullTestExpr n)
        {
            return IsColumn(n.Arg, entry, key) ? new BoundPlan(column, n.IsNull ? BtreeStrategy.IsNull : BtreeStrategy.IsNotNull, null, null) : null;
        }

        if (condition is not OpExpr { Kind: OperatorKind.Plain, Args.Count: 2 } op)
        {
            return null;
        }

        bool left = IsColumn(op.Args[0], entry, key), right = !left && IsColumn(op.Args[1], entry, key);
        if (!left && !right)
        {
            return null;
        }

        Expr value = op.Args[left ? 1 : 0];
        Oid operatorId = left ? op.Operator.Oid : op.Operator.OprCom;
        if ((Exprs.Entries(value) & (1UL << entry)) != 0 || Exprs.IsVolatile(value) || !operatorId.IsValid
            || (key.Collation.IsValid && op.InputCollation.IsValid && key.Collation != op.InputCollation))
        {
            return null;
        }

        PgAmOp? place = _planner.Catalog.FamilyOperators(key.OperatorFamily).FirstOrDefault(o => o.AmOpOpr == operatorId && o.AmOpPurpose == 's');
        if (place is null)
        {
            return null;
        }

        Comparison<Datum>? compare = place.AmOpRightType == key.InputType ? null
            : _planner.Catalog.CrossComparison(key.OperatorFamily, key.InputType, place.AmOpRightType, key.Collation);
        return place.AmOpRightType != key.InputType && compare is null ? null : new BoundPlan(column, (BtreeStrategy)place.AmOpStrategy, value, compare);
    }

    private static bool IsColumn(Expr e, int entry, IndexColumn key)
    {
        while (e is RelabelExpr r)
        {
            e = r.Arg;
        }

        return e is VarExpr { LevelsUp: 0 } v && v.Entry == entry && v.Column == key.HeapAttribute && key.HeapAttribute > 0;
    }

    /// <summary>Whether the index, after its columns with equality, gives the wanted order, forward or backward.</summary>
    private bool MatchesOrder(IndexInfo index, int entry, IReadOnlyList<SortClause> order, int equalColumns, out bool backward)
    {
        backward = false;
        int column = 0;
        bool? direction = null;
        foreach (SortClause s in order)
        {
            Expr e = _query.Targets[s.Target].Expr;
            while (true)
            {
                if (column >= index.KeyCount)
                {
                    return false;
                }

                if (IsColumn(e, entry, index.Columns[column]))
                {
                    break;
                }

                // A column that has one value does not disturb the order.
                if (column >= equalColumns)
                {
                    return false;
                }

                column++;
            }

            IndexColumn key = index.Columns[column];
            bool operatorFits = _planner.Catalog.FamilyOperators(key.OperatorFamily).Any(o => o.AmOpOpr == s.LessOperator && o.AmOpStrategy == 1);
            bool back = s.Descending != key.Descending;
            bool nullsFit = s.NullsFirst == (back ? !key.NullsFirst : key.NullsFirst);
            if (!operatorFits || !nullsFit || (key.Collation.IsValid && e.Collation != key.Collation) || (direction is { } d && d != back))
            {
                return false;
            }

            direction = back;
            column++;
        }

        backward = direction ?? false;
        return true;
    }
}
