using System.Buffers.Binary;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Tuples;

/// <summary>
/// Index entries as bytes: place (6), info word (13 bits of size, one bit for the access method, "has wide values", "has nulls"), a bitmap of four bytes when
/// there are nulls, data at a multiple of 8 (PostgreSQL's itup.h, indextuple.c). The size is a multiple of 8.
/// </summary>
public static class IndexTupleCodec
{
    public const int HeaderSize = 8;
    public const ushort SizeMask = 0x1FFF;

    /// <summary>The bit that belongs to the access method (btree: posting lists and pivots).</summary>
    public const ushort AccessMethodBit = 0x2000;
    public const ushort VarWidthBit = 0x4000;
    public const ushort NullBit = 0x8000;
    private const int BitmapSize = 4;

    public static int Size(TupleDesc desc, ReadOnlySpan<Datum> values)
    {
        int data = TupleData.Size(desc.Layout, values, out bool hasNulls);
        return Page.AlignUp(DataOffset(hasNulls) + data);
    }

    /// <summary>Writes the entry and gives its length. Values must not be TOAST pointers; compressing wide ones is up to the caller.</summary>
    /// <exception cref="StorageException">The entry has more than 8191 bytes.</exception>
    public static int Form(TupleDesc desc, ReadOnlySpan<Datum> values, Tid tid, Span<byte> buffer)
    {
        int data = TupleData.Size(desc.Layout, values, out bool hasNulls);
        int offset = DataOffset(hasNulls);
        int size = Page.AlignUp(offset + data);
        if (size > SizeMask)
        {
            throw new StorageException($"index row requires {size} bytes, maximum size is {SizeMask}") { SqlState = SqlStates.ProgramLimitExceeded };
        }

        Span<byte> tuple = buffer[..size];
        tuple.Clear();
        HeapInfoMask mask = TupleData.Fill(desc.Layout, values, tuple[offset..], hasNulls ? tuple.Slice(HeaderSize, BitmapSize) : default);
        WriteTid(tuple, tid);
        int info = size | ((mask & HeapInfoMask.HasVarWidth) != 0 ? VarWidthBit : 0) | (hasNulls ? NullBit : 0);
        BinaryPrimitives.WriteUInt16LittleEndian(tuple[6..], (ushort)info);
        return size;
    }

    /// <summary>Reads the first <paramref name="count"/> columns of an entry (a pivot may have fewer than the index).</summary>
    /// <exception cref="StorageException">The entry is damaged.</exception>
    public static void Deform(TupleDesc desc, ReadOnlySpan<byte> tuple, int count, Span<Datum> values)
    {
        try
        {
            bool hasNulls = (Info(tuple) & NullBit) != 0;
            TupleData.Read(desc.Layout, count, tuple[DataOffset(hasNulls)..], hasNulls ? tuple.Slice(HeaderSize, BitmapSize) : default, values, default);
        }
        catch (Exception e) when (e is ArgumentOutOfRangeException or IndexOutOfRangeException)
        {
            throw new StorageException($"an index entry of {tuple.Length} bytes is damaged: a value lies past its end", e) { SqlState = SqlStates.IndexCorrupted };
        }
    }

    public static ushort Info(ReadOnlySpan<byte> tuple) => BinaryPrimitives.ReadUInt16LittleEndian(tuple[6..]);
    public static int SizeOf(ReadOnlySpan<byte> tuple) => Info(tuple) & SizeMask;
    public static bool HasNulls(ReadOnlySpan<byte> tuple) => (Info(tuple) & NullBit) != 0;
    public static int DataOffset(ReadOnlySpan<byte> tuple) => DataOffset(HasNulls(tuple));

    public static Tid ReadTid(ReadOnlySpan<byte> at) => new(
        new BlockNumber(((uint)BinaryPrimitives.ReadUInt16LittleEndian(at) << 16) | BinaryPrimitives.ReadUInt16LittleEndian(at[2..])),
        BinaryPrimitives.ReadUInt16LittleEndian(at[4..]));

    public static void WriteTid(Span<byte> at, Tid tid)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(at, (ushort)(tid.Block.Value >> 16));
        BinaryPrimitives.WriteUInt16LittleEndian(at[2..], (ushort)tid.Block.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(at[4..], tid.Offset);
    }

    private static int DataOffset(bool hasNulls) => Page.AlignUp(HeaderSize + (hasNulls ? BitmapSize : 0));
}
