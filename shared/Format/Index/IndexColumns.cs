using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Index;

/// <summary>
/// Single columns of index entries, for comparisons: a search looks at one column of some entries only, and must not make an object for each.
/// Whole entries are read by <see cref="IndexTupleCodec.Deform"/>.
/// </summary>
public static class IndexColumns
{
    /// <summary>
    /// The stored bytes of a column that is not null: a fixed number, or a varlena with its header.
    /// </summary>
    /// <exception cref="StorageException">The entry is damaged.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ReadOnlySpan<byte> Stored(TupleDesc desc, IndexTuple tuple, int column)
    {
        ref readonly ColumnLayout c = ref desc.Layout.Columns[column];
        return c.Offset >= 0 && c.Length > 0 && !tuple.HasNulls
            ? tuple.Bytes.Slice(IndexTuple.HeaderSize + c.Offset, c.Length)
            : Walk(desc.Layout, tuple, column);
    }

    /// <summary>The payload of a varlena without its header, or the bytes of a fixed one. False: it is compressed, so there is no such span.</summary>
    public static bool TryPayload(TupleDesc desc, IndexTuple tuple, int column, out ReadOnlySpan<byte> payload)
    {
        payload = Stored(desc, tuple, column);
        if (desc.Layout.Columns[column].Kind != ColumnKind.Varlena)
        {
            return true;
        }

        if (Varlena.IsShort(payload))
        {
            payload = payload[Varlena.ShortHeaderSize..];
            return true;
        }

        if (Varlena.IsCompressed(payload) || Varlena.IsExternal(payload))
        {
            return false;
        }

        payload = payload[Varlena.HeaderSize..];
        return true;
    }

    /// <summary>The number in a column that is passed by value.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Number(TupleDesc desc, IndexTuple tuple, int column)
    {
        ReadOnlySpan<byte> at = Stored(desc, tuple, column);
        return desc.Layout.Columns[column].Kind switch
        {
            ColumnKind.Int32 => BinaryPrimitives.ReadInt32LittleEndian(at),
            ColumnKind.Int64 => BinaryPrimitives.ReadInt64LittleEndian(at),
            ColumnKind.UInt32 => BinaryPrimitives.ReadUInt32LittleEndian(at),
            ColumnKind.Int16 => BinaryPrimitives.ReadInt16LittleEndian(at),
            _ => (sbyte)at[0],
        };
    }

    /// <summary>The value of a column; a compressed one comes as it is stored (<see cref="ToastedValue"/>).</summary>
    public static Datum Value(TupleDesc desc, IndexTuple tuple, int column)
    {
        if (tuple.IsNull(column))
        {
            return Datum.Null;
        }

        switch (desc.Layout.Columns[column].Kind)
        {
            case ColumnKind.Varlena or ColumnKind.Fixed:
                return TryPayload(desc, tuple, column, out ReadOnlySpan<byte> payload)
                    ? Datum.FromBytes(payload.ToArray())
                    : new ToastedValue(payload.ToArray()).ToDatum();
            case ColumnKind.CString:
                return Datum.FromBytes(Stored(desc, tuple, column).ToArray());
            case ColumnKind.UInt32:
                return Datum.FromUInt32((uint)Number(desc, tuple, column));
            default:
                return Datum.FromInt64(Number(desc, tuple, column));
        }
    }

    private static ReadOnlySpan<byte> Walk(TupleLayout layout, IndexTuple tuple, int column)
    {
        ReadOnlySpan<byte> data = tuple.Data;
        int at = 0;
        for (int i = 0; ; i++)
        {
            ref readonly ColumnLayout c = ref layout.Columns[i];
            if (tuple.IsNull(i))
            {
                continue;
            }

            int size;
            if (c.Kind == ColumnKind.Varlena)
            {
                // A byte that is not padding is a header of one byte, which is not aligned.
                at = at < data.Length && data[at] != 0 ? at : TupleData.Align(at, c.Alignment);
                size = at < data.Length ? Varlena.StoredSize(data[at..]) : 0;
            }
            else
            {
                at = TupleData.Align(at, c.Alignment);
                size = c.Kind == ColumnKind.CString ? CStringSize(data, at) : c.Length;
            }

            if (at > data.Length || size > data.Length - at)
            {
                throw new StorageException($"an index entry of {tuple.Size} bytes is damaged: column {i + 1} lies past its end")
                {
                    SqlState = SqlStates.IndexCorrupted,
                };
            }

            if (i == column)
            {
                return data.Slice(at, c.Kind == ColumnKind.CString ? size - 1 : size);
            }

            at += size;
        }
    }

    private static int CStringSize(ReadOnlySpan<byte> data, int at)
    {
        int length = at < data.Length ? data[at..].IndexOf((byte)0) : -1;
        return length < 0 ? int.MaxValue : length + 1;
    }
}
