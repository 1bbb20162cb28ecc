using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Tuples;

/// <summary>
/// The data area that heap and index tuples share: values one after another, each at its alignment, nulls left out (PostgreSQL's
/// heap_compute_data_size, heap_fill_tuple and heap_deform_tuple in heaptuple.c). The area begins at a place aligned to 8.
/// </summary>
internal static class TupleData
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Align(int offset, int alignment) => (offset + (alignment - 1)) & ~(alignment - 1);

    /// <summary>The bytes of the data area, without padding at its end.</summary>
    public static int Size(TupleLayout layout, ReadOnlySpan<Datum> values, out bool hasNulls)
    {
        hasNulls = false;
        int size = 0;
        ColumnLayout[] columns = layout.Columns;
        for (int i = 0; i < columns.Length; i++)
        {
            ref readonly ColumnLayout c = ref columns[i];
            ref readonly Datum value = ref values[i];
            if (c.IsDropped || value.IsNull)
            {
                hasNulls = true;
                continue;
            }

            size = c.Kind switch
            {
                ColumnKind.Varlena => SizeAfterVarlena(size, c, value),
                ColumnKind.CString => Align(size, c.Alignment) + value.Bytes.Length + 1,
                _ => Align(size, c.Alignment) + c.Length,
            };
        }

        return size;
    }

    /// <summary>Writes the values into a zeroed area; an empty bitmap means that none is null.</summary>
    public static HeapInfoMask Fill(TupleLayout layout, ReadOnlySpan<Datum> values, Span<byte> data, Span<byte> nullBitmap)
    {
        HeapInfoMask mask = nullBitmap.IsEmpty ? HeapInfoMask.None : HeapInfoMask.HasNull;
        int at = 0;
        ColumnLayout[] columns = layout.Columns;
        for (int i = 0; i < columns.Length; i++)
        {
            ref readonly ColumnLayout c = ref columns[i];
            ref readonly Datum value = ref values[i];
            if (c.IsDropped || value.IsNull)
            {
                continue;
            }

            if (!nullBitmap.IsEmpty)
            {
                nullBitmap[i >> 3] |= (byte)(1 << (i & 7));
            }

            if (c.Kind == ColumnKind.Varlena)
            {
                at = FillVarlena(c, value, data, at, ref mask);
                continue;
            }

            at = Align(at, c.Alignment);
            switch (c.Kind)
            {
                case ColumnKind.Int8:
                    data[at] = (byte)value.Bits;
                    break;
                case ColumnKind.Int16:
                    BinaryPrimitives.WriteInt16LittleEndian(data[at..], value.Int16);
                    break;
                case ColumnKind.Int32 or ColumnKind.UInt32:
                    BinaryPrimitives.WriteInt32LittleEndian(data[at..], value.Int32);
                    break;
                case ColumnKind.Int64:
                    BinaryPrimitives.WriteInt64LittleEndian(data[at..], value.Int64);
                    break;
                case ColumnKind.Fixed:
                    // A name may come without its padding.
                    value.Bytes.CopyTo(data.Slice(at, c.Length));
                    break;
                default:
                    value.Bytes.CopyTo(data[at..]);
                    mask |= HeapInfoMask.HasVarWidth;
                    at += value.Bytes.Length + 1;
                    continue;
            }

            at += c.Length;
        }

        return mask;
    }

    /// <summary>
    /// Reads the first <paramref name="count"/> columns. Those not wanted, and dropped ones, come as nulls (an empty <paramref name="wanted"/> wants all).
    /// </summary>
    public static void Read(
        TupleLayout layout, int count, ReadOnlySpan<byte> data, ReadOnlySpan<byte> nullBitmap, Span<Datum> values, ReadOnlySpan<bool> wanted)
    {
        ReadOnlySpan<ColumnLayout> columns = layout.Columns.AsSpan(0, count);
        bool known = true;
        int at = 0;
        for (int i = 0; i < columns.Length; i++)
        {
            ref readonly ColumnLayout c = ref columns[i];
            if (!nullBitmap.IsEmpty && (nullBitmap[i >> 3] & (1 << (i & 7))) == 0)
            {
                values[i] = Datum.Null;
                known = false;
                continue;
            }

            bool want = !c.IsDropped && (wanted.IsEmpty || wanted[i]);
            if (c.Kind >= ColumnKind.Varlena)
            {
                if (!known || c.Offset < 0)
                {
                    // A byte that is not padding is a header of one byte, which is not aligned.
                    at = c.Kind == ColumnKind.Varlena && data[at] != 0 ? at : Align(at, c.Alignment);
                }
                else
                {
                    at = c.Offset;
                }

                known = false;
                at = c.Kind == ColumnKind.Varlena ? ReadVarlena(data, at, want, out values[i]) : ReadCString(data, at, want, out values[i]);
                continue;
            }

            at = known ? c.Offset : Align(at, c.Alignment);
            values[i] = want ? ReadFixed(c, data[at..]) : Datum.Null;
            at += c.Length;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Datum ReadFixed(in ColumnLayout c, ReadOnlySpan<byte> at) => c.Kind switch
    {
        ColumnKind.Int32 => Datum.FromInt32(BinaryPrimitives.ReadInt32LittleEndian(at)),
        ColumnKind.Int64 => Datum.FromInt64(BinaryPrimitives.ReadInt64LittleEndian(at)),
        ColumnKind.UInt32 => Datum.FromUInt32(BinaryPrimitives.ReadUInt32LittleEndian(at)),
        ColumnKind.Int16 => Datum.FromInt16(BinaryPrimitives.ReadInt16LittleEndian(at)),
        ColumnKind.Int8 => Datum.FromInt16((sbyte)at[0]),
        _ => Datum.FromBytes(at[..c.Length].ToArray()),
    };

    private static int ReadVarlena(ReadOnlySpan<byte> data, int at, bool want, out Datum value)
    {
        ReadOnlySpan<byte> v = data[at..];
        int size = Varlena.StoredSize(v);
        if (!want)
        {
            value = Datum.Null;
        }
        else if (Varlena.IsShort(v))
        {
            value = Datum.FromBytes(v[1..size].ToArray());
        }
        else if (Varlena.IsExternal(v) || Varlena.IsCompressed(v))
        {
            value = new ToastedValue(v[..size].ToArray()).ToDatum();
        }
        else
        {
            value = Datum.FromBytes(v[Varlena.HeaderSize..size].ToArray());
        }

        return at + size;
    }

    private static int ReadCString(ReadOnlySpan<byte> data, int at, bool want, out Datum value)
    {
        int length = data[at..].IndexOf((byte)0);
        if (length < 0)
        {
            throw new StorageException("a C string in a row has no end");
        }

        value = want ? Datum.FromBytes(data.Slice(at, length).ToArray()) : Datum.Null;
        return at + length + 1;
    }

    private static int SizeAfterVarlena(int size, in ColumnLayout c, in Datum value)
    {
        if (value.Object is ToastedValue toasted)
        {
            return (toasted.IsExternal ? size : Align(size, c.Alignment)) + toasted.Raw.Length;
        }

        int payload = value.Bytes.Length;
        return IsShort(c, payload) ? size + Varlena.ShortHeaderSize + payload : Align(size, c.Alignment) + Varlena.HeaderSize + payload;
    }

    private static bool IsShort(in ColumnLayout c, int payload) => c.Packable && payload + Varlena.ShortHeaderSize <= Varlena.ShortMax;

    private static int FillVarlena(in ColumnLayout c, in Datum value, Span<byte> data, int at, ref HeapInfoMask mask)
    {
        mask |= HeapInfoMask.HasVarWidth;
        if (value.Object is ToastedValue toasted)
        {
            if (toasted.IsExternal)
            {
                mask |= HeapInfoMask.HasExternal;
            }
            else
            {
                at = Align(at, c.Alignment);
            }

            toasted.Raw.CopyTo(data[at..]);
            return at + toasted.Raw.Length;
        }

        byte[] payload = value.Bytes;
        if (IsShort(c, payload.Length))
        {
            data[at] = (byte)(((payload.Length + Varlena.ShortHeaderSize) << 1) | 1);
            at += Varlena.ShortHeaderSize;
        }
        else
        {
            at = Align(at, c.Alignment);
            BinaryPrimitives.WriteUInt32LittleEndian(data[at..], (uint)(payload.Length + Varlena.HeaderSize) << 2);
            at += Varlena.HeaderSize;
        }

        payload.CopyTo(data[at..]);
        return at + payload.Length;
    }
}
