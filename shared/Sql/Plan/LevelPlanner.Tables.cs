using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;

namespace SharedStorage.Sql.Plan;

/// <summary>Access paths of a table: a scan of all rows, or by an index, by cost (indxpath.c, costsize.c).</summary>
internal sealed partial class LevelPlanner
{
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
            Cost = (pages * Costs.SequentialPage) + (tuples * (Costs.Tuple + (all.Count * Costs.Operator))) + Disabled(PlanPaths.SeqScan),
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
            bool only = HasAllColumns(index, target);
            if (bounds.Count == 0 && !inOrder && !only)
            {
                continue;
            }

            double found = unique ? 1 : Math.Max(1, matched.Aggregate(tuples, (r, c) => r * Selectivity(c, entry, leaf.Entry, tuples)));
            double cost = IndexCost(index, found, tuples, pages, all.Count, only ? VisibleFraction(entry, pages) : null);
            bool useful = inOrder && hasLimit;
            double total = useful ? Math.Min(cost, cost * 0.1) : cost + (inOrder ? 0 : sortCost);
            if (total >= bestTotal)
            {
                continue;
            }

            bestTotal = total;
            ordered = inOrder;
            best = new IndexScanPlan(target, index, only, backward, bounds, [.. all.Where(c => !matched.Contains(c))]) { Rows = unique ? 1 : rows, Cost = cost };
        }

        usable.ForEach(c => _usedByLeaf.Add(c));
        return best;
    }

    /// <summary>PostgreSQL's disable_cost: a path that is switched off is taken only where there is no other.</summary>
    private double Disabled(PlanPaths path) => (_planner.Disabled & path) != 0 ? 1e10 : 0;

    /// <param name="index">The index.</param>
    /// <param name="found">How many entries are visited.</param>
    /// <param name="tuples">Rows of the table.</param>
    /// <param name="pages">Pages of the table.</param>
    /// <param name="conditions">How many conditions are tested.</param>
    /// <param name="visible">Of an index-only scan: the share of the table's pages that need no visit.</param>
    private double IndexCost(IndexInfo index, double found, double tuples, double pages, int conditions, double? visible)
    {
        // Random pages of a table that fits in memory cost less than the parameter says; PostgreSQL counts repeated visits once.
        double visited = Math.Min(found, pages * 2);
        if (visible is { } share)
        {
            visited = (visited * (1 - share)) + (_planner.BlockCount(index.Relation) * Math.Min(1, found / tuples));
        }

        return Costs.Tuple + (2 * Costs.Operator * Math.Log2(Math.Max(tuples, 2))) + (Costs.RandomPage * visited * 0.5)
            + (found * (Costs.IndexTuple + Costs.Tuple + (conditions * Costs.Operator))) + Disabled(PlanPaths.IndexScan);
    }

    /// <summary>The share of a table's pages that the visibility map called all-visible when they were last counted (pg_class.relallvisible).</summary>
    private static double VisibleFraction(RangeEntry entry, double pages) => Math.Min(1, (entry.Class?.RelAllVisible ?? 0) / pages);

    /// <summary>Whether the index gives every column that the query uses as the table has it (check_index_only). A name is kept as a C string, so it does not.</summary>
    private bool HasAllColumns(IndexInfo index, ScanTarget target)
    {
        if (target.SystemColumns.Count > 0 || (_planner.Disabled & PlanPaths.IndexOnlyScan) != 0)
        {
            return false;
        }

        TupleDesc table = target.Entry.Relation!.Desc;
        for (int column = 0; column < target.Wanted.Length; column++)
        {
            if (target.Wanted[column] && !index.Columns.Any(c => c.HeapAttribute == column + 1 && c.Attribute.Length == table[column].Length && c.Attribute.ByValue == table[column].ByValue))
            {
                return false;
            }
        }

        return true;
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
