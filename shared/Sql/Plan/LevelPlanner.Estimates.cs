using SharedStorage.Catalog.Rows;
using SharedStorage.Sql.Analyze;

namespace SharedStorage.Sql.Plan;

/// <summary>Estimates, from pg_class and pg_statistic, in a simple form.</summary>
internal sealed partial class LevelPlanner
{
    private (double Tuples, double Pages) TableSize(RangeEntry entry)
    {
        double pages = Math.Max(1, _planner.BlockCount(entry.Relation!));
        PgClass? row = entry.Class;
        if (row is not null && row.RelTuples >= 0 && row.RelPages > 0)
        {
            return (Math.Max(1, row.RelTuples / row.RelPages * pages), pages);
        }

        // Never analyzed: PostgreSQL takes at least 10 pages.
        return (Math.Max(10, pages) * 60, Math.Max(10, pages));
    }

    private double DistinctValues(RangeEntry entry, short column, double tuples)
    {
        foreach (Access.IndexInfo index in _planner.Catalog.Indexes(entry.Relation!.Id))
        {
            if (index.IsUnique && index.KeyCount == 1 && index.Columns[0].HeapAttribute == column)
            {
                return tuples;
            }
        }

        if (_planner.Catalog.Statistic(entry.Relation!.Id, column) is { } statistic && statistic.StaDistinct != 0)
        {
            return statistic.StaDistinct > 0 ? statistic.StaDistinct : Math.Max(1, -statistic.StaDistinct * tuples);
        }

        return Math.Min(200, tuples);
    }

    private double Selectivity(Expr condition, RangeEntry entry, int number, double tuples)
    {
        switch (condition)
        {
            case OpExpr { Args.Count: 2 } op:
                VarExpr? v = ColumnOf(op.Args[0], number) ?? ColumnOf(op.Args[1], number);
                if (v is null || v.Column <= 0)
                {
                    return 0.3;
                }

                return op.Operator.OprName switch
                {
                    "=" => 1 / DistinctValues(entry, v.Column, tuples),
                    "<>" => 1 - (1 / DistinctValues(entry, v.Column, tuples)),
                    "<" or "<=" or ">" or ">=" => 0.3333,
                    "~~" or "~" or "~*" or "~~*" => 0.005,
                    _ => 0.5,
                };
            case ArrayOpExpr a when ColumnOf(a.Scalar, number) is { Column: > 0 } c:
                return Math.Min(1, (a.Array is ArrayExpr list ? list.Elements.Count : 10) / DistinctValues(entry, c.Column, tuples));
            case NullTestExpr n:
                return n.IsNull ? 0.01 : 0.99;
            case BoolExpr { Operation: BoolOperation.Not } not:
                return 1 - Selectivity(not.Args[0], entry, number, tuples);
            case BoolExpr { Operation: BoolOperation.Or } or:
                return Math.Min(1, or.Args.Sum(x => Selectivity(x, entry, number, tuples)));
            case BoolExpr and:
                return and.Args.Aggregate(1.0, (s, x) => s * Selectivity(x, entry, number, tuples));
            default:
                return 0.5;
        }
    }

    private static VarExpr? ColumnOf(Expr e, int number)
    {
        while (e is RelabelExpr r)
        {
            e = r.Arg;
        }

        return e is VarExpr { LevelsUp: 0 } v && v.Entry == number ? v : null;
    }

    private double JoinSelectivity(Expr condition)
    {
        if (condition is not OpExpr { Args.Count: 2 } op)
        {
            return 0.3;
        }

        if (op.Operator.OprName != "=")
        {
            return 0.3333;
        }

        double distinct = 1;
        foreach (Expr arg in op.Args)
        {
            Expr e = arg;
            while (e is RelabelExpr r)
            {
                e = r.Arg;
            }

            if (e is VarExpr { LevelsUp: 0, Column: > 0 } v && _query.Entry(v.Entry) is { Kind: EntryKind.Relation } entry)
            {
                distinct = Math.Max(distinct, DistinctValues(entry, v.Column, TableSize(entry).Tuples));
            }
        }

        return distinct > 1 ? 1 / distinct : 0.01;
    }
}
