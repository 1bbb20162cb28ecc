using SharedStorage.Access;
using SharedStorage.Access.Heap;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute.Nodes;
using SharedStorage.Sql.Functions;
using SharedStorage.Sql.Session;
using SharedStorage.Sql.Types;
using PgType = SharedStorage.Sql.Types.PgType;

namespace SharedStorage.Sql.Commands;

/// <summary>
/// The row of pg_statistic for a column: nulls, width, distinct values, most common values, histogram, correlation (analyze.c's compute_scalar_stats; the
/// estimate of distinct values is Haas and Stokes' Duj1).
/// </summary>
internal static class ColumnStatistics
{
    /// <summary>Longer values are counted only: their lists would be too large for the catalog.</summary>
    private const int MaxWidth = 1024;

    private const short MostCommon = 1, Histogram = 2, Correlation = 3;

    private readonly record struct Item(Datum Value, int Number);

    private readonly record struct Repeated(int First, int Count);

    private sealed record Slot(short Kind, Oid Operator, float[]? Numbers, byte[]? Values);

    public static PgStatistic? Compute(SessionCatalog catalog, EvalContext context, Relation relation, int index, HeapSample sample, int target)
    {
        TupleAttribute a = relation.Desc[index];
        if (TypeRegistry.Find(a.TypeId) is not { } type || OrderOf(catalog, a.TypeId) is not { } order)
        {
            return null;
        }

        Collation? collation = a.Collation.IsValid ? catalog.CollationOf(a.Collation) : null;
        var items = new List<Item>(sample.Rows.Count);
        int nulls = 0, wide = 0;
        double width = 0;
        for (int i = 0; i < sample.Rows.Count; i++)
        {
            Datum d = sample.Rows[i].Values[index];
            if (d.IsNull)
            {
                nulls++;
                continue;
            }

            int size = a.ByValue ? a.Length : a.Length > 0 ? a.Length : d.Bytes.Length + (d.Bytes.Length < 127 ? 1 : 4);
            width += size;
            if (size > MaxWidth)
            {
                wide++;
            }
            else
            {
                items.Add(new Item(d, items.Count));
            }
        }

        int rows = sample.Rows.Count;
        var result = new PgStatistic
        {
            StaRelId = relation.Id,
            StaAttNum = (short)(index + 1),
            StaNullFrac = (float)((double)nulls / rows),
            StaWidth = a.Length > 0 ? a.Length : rows > nulls ? (int)(width / (rows - nulls)) : 0,
        };
        if (items.Count == 0)
        {
            // Only nulls, or only values that are too wide: those are taken to be all different.
            return result with { StaDistinct = wide > 0 ? (float)(-1.0 * (1.0 - result.StaNullFrac)) : 0 };
        }

        return Fill(result, [.. items], type, collation, order, a, sample, nulls, wide, target);
    }

    private static (Oid Less, Oid Equal)? OrderOf(SessionCatalog catalog, Oid type)
    {
        var btree = new Oid(PgOids.BtreeAm);
        Oid lookup = type.Value == PgTypes.VarChar ? new Oid(PgTypes.Text) : type;
        if (catalog.DefaultOpClass(btree, lookup) is not { } c)
        {
            return null;
        }

        Oid less = catalog.View.OperatorOfFamily(c.OpcFamily, c.OpcInType, c.OpcInType, 1), equal = catalog.View.OperatorOfFamily(c.OpcFamily, c.OpcInType, c.OpcInType, 3);
        return less.IsValid && equal.IsValid ? (less, equal) : null;
    }

    private static PgStatistic Fill(PgStatistic result, Item[] items, PgType type, Collation? collation, (Oid Less, Oid Equal) order, TupleAttribute a,
        HeapSample sample, int nulls, int wide, int target)
    {
        MergeSort.Sort(items, (x, y) => type.Compare(x.Value, y.Value, collation));
        var repeated = new List<Repeated>();
        int distinct = 0;
        double correlation = 0;
        for (int i = 0; i < items.Length;)
        {
            int end = i + 1;
            while (end < items.Length && type.Compare(items[i].Value, items[end].Value, collation) == 0)
            {
                end++;
            }

            distinct++;
            if (end - i > 1)
            {
                repeated.Add(new Repeated(i, end - i));
            }

            i = end;
        }

        for (int i = 0; i < items.Length; i++)
        {
            correlation += (double)i * items[i].Number;
        }

        int rows = sample.Rows.Count;
        double total = sample.LiveRows;
        double estimate = EstimateDistinct(result.StaNullFrac, distinct, repeated.Count, rows, nulls, wide, total);
        var slots = new List<Slot>();
        List<Repeated> common = CommonValues(repeated, distinct, estimate, result.StaNullFrac, rows, wide, total, target);
        if (common.Count > 0)
        {
            slots.Add(new Slot(MostCommon, order.Equal, [.. common.Select(c => (float)((double)c.Count / rows))], Values(type, common.Select(c => items[c.First].Value))));
        }

        if (HistogramOf(items, common, distinct, target) is { } bounds)
        {
            slots.Add(new Slot(Histogram, order.Less, null, Values(type, bounds)));
        }

        if (items.Length > 1)
        {
            slots.Add(new Slot(Correlation, order.Less, [CorrelationOf(items.Length, correlation)], null));
        }

        return Store(result with { StaDistinct = (float)estimate }, slots, a.Collation);
    }

    private static double EstimateDistinct(double nullFraction, int distinct, int repeated, int rows, int nulls, int wide, double total)
    {
        double estimate;
        if (repeated == 0)
        {
            estimate = -1.0 * (1.0 - nullFraction);
        }
        else if (wide == 0 && repeated == distinct)
        {
            estimate = distinct;
        }
        else
        {
            double once = distinct - repeated + wide, d = distinct + wide, n = rows - nulls, all = total * (1.0 - nullFraction);
            estimate = all > 0 ? n * d / (n - once + (once * n / all)) : 0;
            estimate = Math.Floor(Math.Clamp(estimate, Math.Min(d, all), Math.Max(d, all)) + 0.5);
        }

        // Beyond a tenth of the rows the number is taken to grow with the table.
        return estimate > 0.1 * total ? -(estimate / total) : estimate;
    }

    private static List<Repeated> CommonValues(List<Repeated> repeated, int distinct, double estimate, double nullFraction, int rows, int wide, double total, int target)
    {
        List<Repeated> tracked = [.. repeated.OrderByDescending(r => r.Count).Take(target)];
        // Few values, each seen more than once: the list is complete.
        if (wide == 0 && estimate > 0 && repeated.Count == distinct && distinct <= target)
        {
            return tracked;
        }

        int count = tracked.Count;
        if (rows == total || total <= 1.0)
        {
            return tracked;
        }

        double table = estimate < 0 ? -estimate * total : estimate;
        double sum = tracked.Take(Math.Max(0, count - 1)).Sum(t => t.Count);
        while (count > 0)
        {
            // Kept as long as it is clearly more common than the average of the values that are not in the list.
            double average = Math.Clamp(1.0 - (sum / rows) - nullFraction, 0, 1);
            double others = table - (count - 1);
            average = others > 1 ? average / others : average;
            double k = total * tracked[count - 1].Count / rows;
            double variance = rows * k * (total - k) * (total - rows) / (total * total * (total - 1));
            if (tracked[count - 1].Count > (average * rows) + (2 * Math.Sqrt(Math.Max(0, variance))) + 0.5)
            {
                break;
            }

            count--;
            sum -= count > 0 ? tracked[count - 1].Count : 0;
        }

        return tracked[..count];
    }

    private static List<Datum>? HistogramOf(Item[] items, List<Repeated> common, int distinct, int target)
    {
        int bounds = Math.Min(distinct - common.Count, target + 1);
        if (bounds < 2)
        {
            return null;
        }

        var rest = new List<Datum>(items.Length);
        var skip = common.ToDictionary(c => c.First, c => c.Count);
        for (int i = 0; i < items.Length;)
        {
            if (skip.TryGetValue(i, out int count))
            {
                i += count;
            }
            else
            {
                rest.Add(items[i++].Value);
            }
        }

        // Evenly spaced, without the rounding error that a product would have.
        var result = new List<Datum>(bounds);
        int delta = (rest.Count - 1) / (bounds - 1), fraction = (rest.Count - 1) % (bounds - 1), at = 0, carry = 0;
        for (int i = 0; i < bounds; i++)
        {
            result.Add(rest[at]);
            at += delta;
            carry += fraction;
            if (carry >= bounds - 1)
            {
                at++;
                carry -= bounds - 1;
            }
        }

        return result;
    }

    private static float CorrelationOf(int count, double products)
    {
        double n = count, sum = (n - 1) * n / 2.0, squares = (n - 1) * n * ((2 * n) - 1) / 6.0;
        return (float)(((n * products) - (sum * sum)) / ((n * squares) - (sum * sum)));
    }

    private static byte[] Values(PgType type, IEnumerable<Datum> values) => ArrayBuilder.Build(type, values.ToArray()).Bytes;

    private static PgStatistic Store(PgStatistic result, List<Slot> slots, Oid collation)
    {
        Slot? At(int i) => i < slots.Count ? slots[i] : null;
        return result with
        {
            StaKind1 = At(0)?.Kind ?? 0,
            StaOp1 = At(0)?.Operator ?? default,
            StaColl1 = At(0) is null ? default : collation,
            StaNumbers1 = At(0)?.Numbers,
            StaValues1 = At(0)?.Values,
            StaKind2 = At(1)?.Kind ?? 0,
            StaOp2 = At(1)?.Operator ?? default,
            StaColl2 = At(1) is null ? default : collation,
            StaNumbers2 = At(1)?.Numbers,
            StaValues2 = At(1)?.Values,
            StaKind3 = At(2)?.Kind ?? 0,
            StaOp3 = At(2)?.Operator ?? default,
            StaColl3 = At(2) is null ? default : collation,
            StaNumbers3 = At(2)?.Numbers,
            StaValues3 = At(2)?.Values,
        };
    }
}
