using System.Buffers.Binary;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Records;

/// <summary>
/// A page is pruned (xl_heap_prune). Block 0: the page; its data, 16 bits each: pairs of redirected item and target, items now dead, items now unused
/// (as many as are left).
/// </summary>
public readonly record struct HeapPruneRecord(Xid LatestRemovedXid, ushort Redirected, ushort Dead)
{
    public const int Size = 8;

    public static HeapPruneRecord Read(ReadOnlySpan<byte> b) => new(
        new Xid(BinaryPrimitives.ReadUInt32LittleEndian(b)), BinaryPrimitives.ReadUInt16LittleEndian(b[4..]), BinaryPrimitives.ReadUInt16LittleEndian(b[6..]));

    public void Write(Span<byte> b)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(b, LatestRemovedXid.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(b[4..], Redirected);
        BinaryPrimitives.WriteUInt16LittleEndian(b[6..], Dead);
    }
}

/// <summary>Dead items become unused (xl_heap_vacuum). Block 0: the page; its data: the items, 16 bits each.</summary>
public readonly record struct HeapVacuumRecord(ushort Unused)
{
    public const int Size = 2;

    public static HeapVacuumRecord Read(ReadOnlySpan<byte> b) => new(BinaryPrimitives.ReadUInt16LittleEndian(b));
    public void Write(Span<byte> b) => BinaryPrimitives.WriteUInt16LittleEndian(b, Unused);
}

/// <summary>Rows of a page are frozen (xl_heap_freeze_page). Block 0: the page; its data: <see cref="HeapFreezePlan"/>s.</summary>
public readonly record struct HeapFreezePageRecord(Xid CutoffXid, ushort Count)
{
    public const int Size = 6;

    public static HeapFreezePageRecord Read(ReadOnlySpan<byte> b) =>
        new(new Xid(BinaryPrimitives.ReadUInt32LittleEndian(b)), BinaryPrimitives.ReadUInt16LittleEndian(b[4..]));

    public void Write(Span<byte> b)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(b, CutoffXid.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(b[4..], Count);
    }
}

/// <summary>What freezing does to one row (xl_heap_freeze_tuple): its new xmax and masks.</summary>
public readonly record struct HeapFreezePlan(Xid Xmax, ushort Offset, HeapInfoMask2 InfoMask2, HeapInfoMask InfoMask, byte Flags)
{
    public const int Size = 12;

    /// <summary>xvac becomes FrozenTransactionId (rows moved by the VACUUM FULL of before 9.0).</summary>
    public const byte FreezeXvac = 2;

    /// <summary>xvac becomes invalid.</summary>
    public const byte InvalidXvac = 4;

    public static HeapFreezePlan Read(ReadOnlySpan<byte> b) => new(
        new Xid(BinaryPrimitives.ReadUInt32LittleEndian(b)), BinaryPrimitives.ReadUInt16LittleEndian(b[4..]),
        (HeapInfoMask2)BinaryPrimitives.ReadUInt16LittleEndian(b[6..]), (HeapInfoMask)BinaryPrimitives.ReadUInt16LittleEndian(b[8..]), b[10]);

    public void Write(Span<byte> b)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(b, Xmax.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(b[4..], Offset);
        BinaryPrimitives.WriteUInt16LittleEndian(b[6..], (ushort)InfoMask2);
        BinaryPrimitives.WriteUInt16LittleEndian(b[8..], (ushort)InfoMask);
        b[10] = Flags;
        b[11] = 0;
    }
}

/// <summary>A heap page's bits in the visibility map are set (xl_heap_visible). Block 0: the map's page; block 1: the heap page.</summary>
public readonly record struct HeapVisibleRecord(Xid CutoffXid, byte Flags)
{
    public const int Size = 5;

    public static HeapVisibleRecord Read(ReadOnlySpan<byte> b) => new(new Xid(BinaryPrimitives.ReadUInt32LittleEndian(b)), b[4]);

    public void Write(Span<byte> b)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(b, CutoffXid.Value);
        b[4] = Flags;
    }
}

/// <summary>
/// Many rows are inserted into one page (xl_heap_multi_insert). Item numbers follow, 16 bits each, unless the page is made anew (then they count from 1).
/// Block 0: the page; its data: <see cref="HeapMultiInsertRow"/>s, each at an even place, each with its row's bytes.
/// </summary>
public readonly record struct HeapMultiInsertRecord(HeapInsertFlags Flags, ushort Count)
{
    /// <summary>Where the item numbers begin.</summary>
    public const int Size = 4;

    public static HeapMultiInsertRecord Read(ReadOnlySpan<byte> b) => new((HeapInsertFlags)b[0], BinaryPrimitives.ReadUInt16LittleEndian(b[2..]));

    public void Write(Span<byte> b)
    {
        b[0] = (byte)Flags;
        b[1] = 0;
        BinaryPrimitives.WriteUInt16LittleEndian(b[2..], Count);
    }

    public static ushort ItemNumber(ReadOnlySpan<byte> b, int index) => BinaryPrimitives.ReadUInt16LittleEndian(b[(Size + (index * 2))..]);
}

/// <summary>One row of a multi-insert (xl_multi_insert_tuple): the bytes after the first 23 of its header follow.</summary>
public readonly record struct HeapMultiInsertRow(ushort Length, HeapRowHeader Header)
{
    public const int Size = 7;

    public static HeapMultiInsertRow Read(ReadOnlySpan<byte> b) => new(BinaryPrimitives.ReadUInt16LittleEndian(b), HeapRowHeader.Read(b[2..]));

    public void Write(Span<byte> b)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(b, Length);
        Header.Write(b[2..]);
    }
}

/// <summary>Command ids of a catalog row, for logical decoding (xl_heap_new_cid); redo does nothing.</summary>
public readonly record struct HeapNewCidRecord(Xid TopXid, CommandId Cmin, CommandId Cmax, CommandId ComboCid, RelFileNode Node, Tid Tid)
{
    public const int Size = 34;

    public static HeapNewCidRecord Read(ReadOnlySpan<byte> b) => new(
        new Xid(BinaryPrimitives.ReadUInt32LittleEndian(b)), new CommandId(BinaryPrimitives.ReadUInt32LittleEndian(b[4..])),
        new CommandId(BinaryPrimitives.ReadUInt32LittleEndian(b[8..])), new CommandId(BinaryPrimitives.ReadUInt32LittleEndian(b[12..])),
        new RelFileNode(
            new Oid(BinaryPrimitives.ReadUInt32LittleEndian(b[16..])), new Oid(BinaryPrimitives.ReadUInt32LittleEndian(b[20..])),
            new Oid(BinaryPrimitives.ReadUInt32LittleEndian(b[24..]))),
        IndexTupleCodec.ReadTid(b[28..]));

    public void Write(Span<byte> b)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(b, TopXid.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(b[4..], Cmin.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(b[8..], Cmax.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(b[12..], ComboCid.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(b[16..], Node.Tablespace.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(b[20..], Node.Database.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(b[24..], Node.Relation.Value);
        IndexTupleCodec.WriteTid(b[28..], Tid);
    }
}

/// <summary>A piece of a logical rewrite mapping (xl_heap_rewrite_mapping): a file for logical decoding, no page.</summary>
public readonly record struct HeapRewriteRecord(Xid MappedXid, Oid Database, Oid Relation, long FileOffset, uint Mappings, Lsn StartLsn)
{
    public const int Size = 40;

    public static HeapRewriteRecord Read(ReadOnlySpan<byte> b) => new(
        new Xid(BinaryPrimitives.ReadUInt32LittleEndian(b)), new Oid(BinaryPrimitives.ReadUInt32LittleEndian(b[4..])),
        new Oid(BinaryPrimitives.ReadUInt32LittleEndian(b[8..])), BinaryPrimitives.ReadInt64LittleEndian(b[16..]),
        BinaryPrimitives.ReadUInt32LittleEndian(b[24..]), new Lsn(BinaryPrimitives.ReadUInt64LittleEndian(b[32..])));

    public void Write(Span<byte> b)
    {
        b[..Size].Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(b, MappedXid.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(b[4..], Database.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(b[8..], Relation.Value);
        BinaryPrimitives.WriteInt64LittleEndian(b[16..], FileOffset);
        BinaryPrimitives.WriteUInt32LittleEndian(b[24..], Mappings);
        BinaryPrimitives.WriteUInt64LittleEndian(b[32..], StartLsn.Value);
    }
}
