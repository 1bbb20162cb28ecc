using SharedStorage.Format.Tuples;

namespace SharedStorage.Access.Heap;

/// <summary>Which of the columns that matter to an update it changes, by the bytes of old and new values (HeapDetermineColumnsInfo).</summary>
internal static class ModifiedColumns
{
    // One per session thread: the old row's values.
    [ThreadStatic] private static Datum[]? _old;

    /// <summary>Tells whether an indexed column and whether a key column changes. A value that only its compression hides counts as changed.</summary>
    public static void Find(
        TupleDesc desc, ReadOnlySpan<byte> oldRow, ReadOnlySpan<Datum> values, IReadOnlySet<int> indexed, IReadOnlySet<int> keys, out bool indexedChanged, out bool keyChanged)
    {
        indexedChanged = false;
        keyChanged = false;
        if (indexed.Count == 0 && keys.Count == 0)
        {
            return;
        }

        if (_old is null || _old.Length < desc.Count)
        {
            _old = new Datum[desc.Count];
        }

        Span<bool> wanted = desc.Count <= 256 ? stackalloc bool[desc.Count] : new bool[desc.Count];
        for (int i = 0; i < wanted.Length; i++)
        {
            wanted[i] = indexed.Contains(i + 1) || keys.Contains(i + 1);
        }

        HeapTupleCodec.Deform(desc, oldRow, _old, wanted);
        for (int i = 0; i < wanted.Length; i++)
        {
            if (wanted[i] && !SameValue(_old[i], values[i], desc[i]))
            {
                indexedChanged |= indexed.Contains(i + 1);
                keyChanged |= keys.Contains(i + 1);
            }
        }

        Array.Clear(_old);
    }

    /// <summary>Whether two values of a column have the same bytes.</summary>
    public static bool SameValue(in Datum a, in Datum b, TupleAttribute column)
    {
        if (a.IsNull || b.IsNull)
        {
            return a.IsNull && b.IsNull;
        }

        if (column.ByValue)
        {
            return column.Length switch
            {
                1 => (byte)a.Bits == (byte)b.Bits,
                2 => a.Int16 == b.Int16,
                4 => a.Int32 == b.Int32,
                _ => a.Bits == b.Bits,
            };
        }

        return (a.Object, b.Object) switch
        {
            (ToastedValue x, ToastedValue y) => x.Raw.AsSpan().SequenceEqual(y.Raw),
            (byte[] x, byte[] y) => column.Length > 0
                ? x.AsSpan().TrimEnd((byte)0).SequenceEqual(y.AsSpan().TrimEnd((byte)0)) : x.AsSpan().SequenceEqual(y),
            _ => false,
        };
    }
}
