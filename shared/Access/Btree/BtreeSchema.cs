using SharedStorage.Format.Index;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Access.Btree;

/// <summary>How a column's values are compared.</summary>
internal enum KeyComparison : byte
{
    /// <summary>By the operator class's function, on datums.</summary>
    Function,

    /// <summary>As signed numbers.</summary>
    Number,

    /// <summary>By bytes up to a NUL, if any; the shorter first (names, text in the C collation).</summary>
    Bytes,
}

internal readonly record struct KeyColumn(Comparison<Datum>? Compare, KeyComparison Kind, bool Descending, bool NullsFirst);

/// <summary>One value of a search key; <see cref="Compare"/> compares an index value with it when their types differ.</summary>
internal readonly record struct KeyPart(Datum Value, Comparison<Datum>? Compare);

/// <summary>The columns of an index, ready for comparing. Immutable.</summary>
internal sealed class BtreeSchema
{
    private const uint IntegerOps = 1976;
    private const uint OidOps = 1989;
    private const uint DateTimeOps = 434;
    private const uint TextOps = 1994;
    private const uint CollationC = 950;
    private const uint CollationPosix = 951;

    public BtreeSchema(IndexInfo index)
    {
        Index = index;
        Desc = new TupleDesc([.. index.Columns.Select(c => c.Attribute)]);
        KeyCount = index.KeyCount;
        Columns = [.. index.Columns.Take(KeyCount).Select(c => new KeyColumn(c.Compare, KindOf(c), c.Descending, c.NullsFirst))];
    }

    public IndexInfo Index { get; }
    public string Name => Index.Relation.Name;
    public TupleDesc Desc { get; }
    public int KeyCount { get; }
    public int ColumnCount => Desc.Count;
    public KeyColumn[] Columns { get; }

    /// <summary>The order of a column that is not null against a key that is not null, by the operator class: ascending whatever the index's own direction.</summary>
    public int CompareNotNull(int column, IndexTuple tuple, in KeyPart key)
    {
        ref readonly KeyColumn c = ref Columns[column];
        if (key.Compare is null)
        {
            if (c.Kind == KeyComparison.Number)
            {
                return IndexColumns.Number(Desc, tuple, column).CompareTo(key.Value.Bits);
            }

            if (c.Kind == KeyComparison.Bytes && IndexColumns.TryPayload(Desc, tuple, column, out ReadOnlySpan<byte> payload))
            {
                return Trim(payload).SequenceCompareTo(Trim(key.Value.Bytes));
            }
        }

        return (key.Compare ?? c.Compare!)(IndexValues.Plain(IndexColumns.Value(Desc, tuple, column)), key.Value);
    }

    /// <summary>The order of a search key's part against a column in the index's order, nulls and direction included.</summary>
    public int CompareKeyToColumn(int column, IndexTuple tuple, in KeyPart key)
    {
        ref readonly KeyColumn c = ref Columns[column];
        if (tuple.IsNull(column))
        {
            return key.Value.IsNull ? 0 : c.NullsFirst ? 1 : -1;
        }

        if (key.Value.IsNull)
        {
            return c.NullsFirst ? -1 : 1;
        }

        int order = CompareNotNull(column, tuple, key);
        return c.Descending ? order : -order;
    }

    /// <summary>The order of two rows of values in the index's order, by the key columns.</summary>
    public int CompareValues(ReadOnlySpan<Datum> left, ReadOnlySpan<Datum> right)
    {
        for (int i = 0; i < Columns.Length; i++)
        {
            int order = CompareValue(i, left[i], right[i]);
            if (order != 0)
            {
                return order;
            }
        }

        return 0;
    }

    /// <summary>The order of two values of a column in the index's order.</summary>
    public int CompareValue(int column, in Datum left, in Datum right)
    {
        ref readonly KeyColumn c = ref Columns[column];
        if (left.IsNull || right.IsNull)
        {
            return left.IsNull == right.IsNull ? 0 : left.IsNull == c.NullsFirst ? -1 : 1;
        }

        int order = c.Kind switch
        {
            KeyComparison.Number => left.Bits.CompareTo(right.Bits),
            KeyComparison.Bytes => Trim(left.Bytes).SequenceCompareTo(Trim(right.Bytes)),
            _ => c.Compare!(left, right),
        };
        return c.Descending ? -order : order;
    }

    private static ReadOnlySpan<byte> Trim(ReadOnlySpan<byte> bytes)
    {
        int end = bytes.IndexOf((byte)0);
        return end < 0 ? bytes : bytes[..end];
    }

    private static KeyComparison KindOf(IndexColumn column)
    {
        uint family = column.OperatorFamily.Value;
        if (column.Attribute.ByValue && (family is IntegerOps or OidOps or DateTimeOps))
        {
            return KeyComparison.Number;
        }

        return family == TextOps && (column.Collation.Value is CollationC or CollationPosix) ? KeyComparison.Bytes : KeyComparison.Function;
    }
}
