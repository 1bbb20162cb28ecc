using System.Buffers.Binary;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Records;

/// <summary>A row is inserted (xl_heap_insert). Block 0: the page; its data: <see cref="HeapRowHeader"/>, then the row after its first 23 bytes.</summary>
public readonly record struct HeapInsertRecord(ushort Offset, HeapInsertFlags Flags)
{
    public const int Size = 3;

    public static HeapInsertRecord Read(ReadOnlySpan<byte> b) => new(BinaryPrimitives.ReadUInt16LittleEndian(b), (HeapInsertFlags)b[2]);

    public void Write(Span<byte> b)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(b, Offset);
        b[2] = (byte)Flags;
    }
}

/// <summary>The part of a row's header that a record cannot do without (xl_heap_header).</summary>
public readonly record struct HeapRowHeader(HeapInfoMask2 InfoMask2, HeapInfoMask InfoMask, byte HeaderLength)
{
    public const int Size = 5;

    public HeapRowHeader(in HeapTupleHeader h) : this(h.InfoMask2, h.InfoMask, h.HeaderLength) { }

    public static HeapRowHeader Read(ReadOnlySpan<byte> b) => new(
        (HeapInfoMask2)BinaryPrimitives.ReadUInt16LittleEndian(b), (HeapInfoMask)BinaryPrimitives.ReadUInt16LittleEndian(b[2..]), b[4]);

    public void Write(Span<byte> b)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(b, (ushort)InfoMask2);
        BinaryPrimitives.WriteUInt16LittleEndian(b[2..], (ushort)InfoMask);
        b[4] = HeaderLength;
    }
}

/// <summary>A row is deleted (xl_heap_delete). Block 0: the page.</summary>
public readonly record struct HeapDeleteRecord(Xid Xmax, ushort Offset, HeapInfoBits Bits, HeapDeleteFlags Flags)
{
    public const int Size = 8;

    public static HeapDeleteRecord Read(ReadOnlySpan<byte> b) => new(
        new Xid(BinaryPrimitives.ReadUInt32LittleEndian(b)), BinaryPrimitives.ReadUInt16LittleEndian(b[4..]), (HeapInfoBits)b[6], (HeapDeleteFlags)b[7]);

    public void Write(Span<byte> b)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(b, Xmax.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(b[4..], Offset);
        b[6] = (byte)Bits;
        b[7] = (byte)Flags;
    }
}

/// <summary>
/// A row is updated (xl_heap_update). Block 0: the new version's page; block 1: the old one's, when another. Block 0's data: the lengths (16 bits each) of the
/// prefix and the suffix that the versions share, where the flags say so; <see cref="HeapRowHeader"/>; bitmap and padding; the data between prefix and suffix.
/// </summary>
public readonly record struct HeapUpdateRecord(
    Xid OldXmax, ushort OldOffset, HeapInfoBits OldBits, HeapUpdateFlags Flags, Xid NewXmax, ushort NewOffset)
{
    public const int Size = 14;

    public static HeapUpdateRecord Read(ReadOnlySpan<byte> b) => new(
        new Xid(BinaryPrimitives.ReadUInt32LittleEndian(b)), BinaryPrimitives.ReadUInt16LittleEndian(b[4..]), (HeapInfoBits)b[6], (HeapUpdateFlags)b[7],
        new Xid(BinaryPrimitives.ReadUInt32LittleEndian(b[8..])), BinaryPrimitives.ReadUInt16LittleEndian(b[12..]));

    public void Write(Span<byte> b)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(b, OldXmax.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(b[4..], OldOffset);
        b[6] = (byte)OldBits;
        b[7] = (byte)Flags;
        BinaryPrimitives.WriteUInt32LittleEndian(b[8..], NewXmax.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(b[12..], NewOffset);
    }
}

/// <summary>Tables are truncated (xl_heap_truncate): for logical decoding only, redo does nothing. Relation numbers follow.</summary>
public readonly record struct HeapTruncateRecord(Oid Database, uint Count, byte Flags)
{
    /// <summary>Where the relation numbers begin, 4 bytes each.</summary>
    public const int Size = 12;

    public static HeapTruncateRecord Read(ReadOnlySpan<byte> b) => new(
        new Oid(BinaryPrimitives.ReadUInt32LittleEndian(b)), BinaryPrimitives.ReadUInt32LittleEndian(b[4..]), b[8]);

    public void Write(Span<byte> b)
    {
        b[..Size].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(b, Database.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(b[4..], Count);
        b[8] = Flags;
    }

    public static Oid Relation(ReadOnlySpan<byte> b, int index) => new(BinaryPrimitives.ReadUInt32LittleEndian(b[(Size + (index * 4))..]));
}

/// <summary>A speculative insertion is confirmed (xl_heap_confirm). Block 0: the page.</summary>
public readonly record struct HeapConfirmRecord(ushort Offset)
{
    public const int Size = 2;

    public static HeapConfirmRecord Read(ReadOnlySpan<byte> b) => new(BinaryPrimitives.ReadUInt16LittleEndian(b));
    public void Write(Span<byte> b) => BinaryPrimitives.WriteUInt16LittleEndian(b, Offset);
}

/// <summary>A row is locked (xl_heap_lock), or an updated version of it is (xl_heap_lock_updated): the same bytes. Block 0: the page.</summary>
public readonly record struct HeapLockRecord(Xid Xmax, ushort Offset, HeapInfoBits Bits, HeapLockFlags Flags)
{
    public const int Size = 8;

    public static HeapLockRecord Read(ReadOnlySpan<byte> b) => new(
        new Xid(BinaryPrimitives.ReadUInt32LittleEndian(b)), BinaryPrimitives.ReadUInt16LittleEndian(b[4..]), (HeapInfoBits)b[6], (HeapLockFlags)b[7]);

    public void Write(Span<byte> b)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(b, Xmax.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(b[4..], Offset);
        b[6] = (byte)Bits;
        b[7] = (byte)Flags;
    }
}

/// <summary>A row's data is overwritten in place (xl_heap_inplace). Block 0: the page; its data: the row's after its header.</summary>
public readonly record struct HeapInPlaceRecord(ushort Offset)
{
    public const int Size = 2;

    public static HeapInPlaceRecord Read(ReadOnlySpan<byte> b) => new(BinaryPrimitives.ReadUInt16LittleEndian(b));
    public void Write(Span<byte> b) => BinaryPrimitives.WriteUInt16LittleEndian(b, Offset);
}
