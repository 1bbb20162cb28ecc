using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Tuples;

/// <summary>
/// Rows as bytes: header, null bitmap, data (PostgreSQL's heap_form_tuple and heap_deform_tuple). Forming leaves xmin, xmax, command and ctid zero:
/// the access method sets them.
/// </summary>
public static class HeapTupleCodec
{
    /// <summary>The bytes that <see cref="Form(TupleDesc, ReadOnlySpan{Datum}, Span{byte})"/> needs for these values.</summary>
    public static int Size(TupleDesc desc, ReadOnlySpan<Datum> values)
    {
        CheckCount(desc, values);
        int data = TupleData.Size(desc.Layout, values, out bool hasNulls);
        return HeaderLength(desc.Count, hasNulls) + data;
    }

    /// <summary>Writes the row into <paramref name="buffer"/> and gives its length.</summary>
    /// <exception cref="ArgumentException">The buffer is too small, or there are not as many values as columns.</exception>
    public static int Form(TupleDesc desc, ReadOnlySpan<Datum> values, Span<byte> buffer)
    {
        CheckCount(desc, values);
        int size = TupleData.Size(desc.Layout, values, out bool hasNulls);
        int headerLength = HeaderLength(desc.Count, hasNulls);
        Span<byte> tuple = buffer[..(headerLength + size)];
        tuple.Clear();
        Span<byte> bitmap = hasNulls ? tuple.Slice(HeapTupleHeader.Size, (desc.Count + 7) >> 3) : default;
        ref HeapTupleHeader header = ref Header(tuple);
        header.HeaderLength = (byte)headerLength;
        header.InfoMask2 = (HeapInfoMask2)desc.Count;
        header.InfoMask = TupleData.Fill(desc.Layout, values, tuple[headerLength..], bitmap);
        return tuple.Length;
    }

    public static byte[] Form(TupleDesc desc, ReadOnlySpan<Datum> values)
    {
        byte[] tuple = new byte[Size(desc, values)];
        Form(desc, values, tuple);
        return tuple;
    }

    /// <summary>
    /// Reads a row. Columns that the row is too old to have come with their missing value, dropped ones as nulls, columns that are not wanted too
    /// (an empty <paramref name="wanted"/> wants all). A value that is not stored plainly comes as a <see cref="ToastedValue"/>.
    /// </summary>
    /// <exception cref="StorageException">The row is damaged.</exception>
    public static void Deform(TupleDesc desc, ReadOnlySpan<byte> tuple, Span<Datum> values, ReadOnlySpan<bool> wanted = default)
    {
        if (tuple.Length < HeapTupleHeader.Size)
        {
            throw new StorageException($"a row has only {tuple.Length} bytes");
        }

        ref readonly HeapTupleHeader header = ref ReadHeader(tuple);
        int stored = Math.Min(header.AttributeCount, desc.Count);
        int count = stored;
        if (!wanted.IsEmpty)
        {
            while (count > 0 && !wanted[count - 1])
            {
                values[--count] = Datum.Null;
            }
        }

        try
        {
            ReadOnlySpan<byte> bitmap = (header.InfoMask & HeapInfoMask.HasNull) != 0
                ? tuple.Slice(HeapTupleHeader.Size, (header.AttributeCount + 7) >> 3) : default;
            TupleData.Read(desc.Layout, count, tuple[header.HeaderLength..], bitmap, values, wanted);
        }
        catch (Exception e) when (e is ArgumentOutOfRangeException or IndexOutOfRangeException)
        {
            throw new StorageException($"a row of {tuple.Length} bytes is damaged: a value lies past its end", e);
        }

        for (int i = stored; i < desc.Count; i++)
        {
            TupleAttribute a = desc[i];
            values[i] = a.IsDropped || (!wanted.IsEmpty && !wanted[i]) ? Datum.Null : a.Missing ?? Datum.Null;
        }
    }

    /// <summary>The header of a row's bytes, to be changed in place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref HeapTupleHeader Header(Span<byte> tuple) => ref MemoryMarshal.AsRef<HeapTupleHeader>(tuple);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref readonly HeapTupleHeader ReadHeader(ReadOnlySpan<byte> tuple) => ref MemoryMarshal.AsRef<HeapTupleHeader>(tuple);

    private static int HeaderLength(int columns, bool hasNulls) =>
        Page.AlignUp(HeapTupleHeader.Size + (hasNulls ? (columns + 7) >> 3 : 0));

    private static void CheckCount(TupleDesc desc, ReadOnlySpan<Datum> values)
    {
        if (values.Length != desc.Count)
        {
            throw new ArgumentException($"a row of {desc.Count} columns cannot be formed of {values.Length} values", nameof(values));
        }
    }
}
