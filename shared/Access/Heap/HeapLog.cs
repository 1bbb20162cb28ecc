using SharedStorage.Buffers;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Heap;

/// <summary>
/// The heap's log records. Each method is called inside the critical section, after the pages were marked dirty and changed, under their exclusive latches; it
/// inserts the record and sets the pages' LSN.
/// </summary>
internal static unsafe class HeapLog
{
    public static void Insert(StorageEngine engine, Xid xid, in PinnedPage page, ushort item, ReadOnlySpan<byte> row, bool allVisibleCleared)
    {
        // The only row of its page: redo makes the page anew, so no image is needed whatever the page's LSN.
        bool init = item == 1 && page.Page.ItemCount == 1;
        Span<byte> body = stackalloc byte[HeapInsertRecord.Size];
        new HeapInsertRecord(item, allVisibleCleared ? HeapInsertFlags.AllVisibleCleared : HeapInsertFlags.None).Write(body);
        Span<byte> header = stackalloc byte[HeapRowHeader.Size];
        new HeapRowHeader(HeapTupleCodec.ReadHeader(row)).Write(header);
        WalRecordBuilder record = engine.WritableWal.Begin(xid).AddData(body);
        record.AddBlock(0, page.Tag, page.Pointer, Flags(init));
        record.AddBlockData(0, header);
        record.AddBlockData(0, row[HeapTupleHeader.Size..]);
        End(engine, record, Rmgr.Heap, (byte)((byte)HeapOp.Insert | InitBit(init)), page);
    }

    /// <summary>Many rows into one page; <paramref name="items"/> are their numbers.</summary>
    public static void MultiInsert(StorageEngine engine, Xid xid, in PinnedPage page, ReadOnlySpan<ushort> items, bool init, HeapInsertFlags flags)
    {
        Span<byte> body = stackalloc byte[HeapMultiInsertRecord.Size + (HeapPage.MaxItems * sizeof(ushort))];
        new HeapMultiInsertRecord(flags, (ushort)items.Length).Write(body);
        int length = HeapMultiInsertRecord.Size;
        if (!init)
        {
            System.Runtime.InteropServices.MemoryMarshal.AsBytes(items).CopyTo(body[length..]);
            length += items.Length * sizeof(ushort);
        }

        // A row's record is shorter than its room on the page: seven bytes and at most one of padding for 23 of header and four of line pointer.
        Span<byte> rows = stackalloc byte[Format.Pages.Page.Size];
        int at = 0;
        foreach (ushort item in items)
        {
            Span<byte> row = page.Page.ItemBytes(item);
            if ((at & 1) != 0)
            {
                rows[at++] = 0;
            }

            ReadOnlySpan<byte> data = row[HeapTupleHeader.Size..];
            new HeapMultiInsertRow((ushort)data.Length, new HeapRowHeader(HeapTupleCodec.ReadHeader(row))).Write(rows[at..]);
            at += HeapMultiInsertRow.Size;
            data.CopyTo(rows[at..]);
            at += data.Length;
        }

        WalRecordBuilder record = engine.WritableWal.Begin(xid).AddData(body[..length]);
        record.AddBlock(0, page.Tag, page.Pointer, Flags(init));
        record.AddBlockData(0, rows[..at]);
        End(engine, record, Rmgr.Heap2, (byte)((byte)Heap2Op.MultiInsert | InitBit(init)), page);
    }

    public static void Delete(StorageEngine engine, Xid xid, in PinnedPage page, ushort item, bool allVisibleCleared)
    {
        ref readonly HeapTupleHeader row = ref HeapTupleCodec.ReadHeader(page.Page.ItemBytes(item));
        Span<byte> body = stackalloc byte[HeapDeleteRecord.Size];
        HeapDeleteFlags flags = allVisibleCleared ? HeapDeleteFlags.AllVisibleCleared : HeapDeleteFlags.None;
        new HeapDeleteRecord(row.Xmax, item, HeapRow.InfoBits(row.InfoMask, row.InfoMask2), flags).Write(body);
        WalRecordBuilder record = engine.WritableWal.Begin(xid).AddData(body);
        record.AddBlock(0, page.Tag, page.Pointer, WalBlockFlags.Standard);
        End(engine, record, Rmgr.Heap, (byte)HeapOp.Delete, page);
    }

    /// <summary>A row lock (<paramref name="updatedVersion"/>: of a version that came after the one that was asked for).</summary>
    public static void Lock(StorageEngine engine, Xid xid, in PinnedPage page, ushort item, bool allFrozenCleared, bool updatedVersion)
    {
        ref readonly HeapTupleHeader row = ref HeapTupleCodec.ReadHeader(page.Page.ItemBytes(item));
        Span<byte> body = stackalloc byte[HeapLockRecord.Size];
        HeapLockFlags flags = allFrozenCleared ? HeapLockFlags.AllFrozenCleared : HeapLockFlags.None;
        new HeapLockRecord(row.Xmax, item, HeapRow.InfoBits(row.InfoMask, row.InfoMask2), flags).Write(body);
        WalRecordBuilder record = engine.WritableWal.Begin(xid).AddData(body);
        record.AddBlock(0, page.Tag, page.Pointer, WalBlockFlags.Standard);
        End(engine, record, updatedVersion ? Rmgr.Heap2 : Rmgr.Heap, updatedVersion ? (byte)Heap2Op.LockUpdated : (byte)HeapOp.Lock, page);
    }

    /// <summary>An update. On one page, what the versions share at both ends is left out, unless the page gets an image anyway.</summary>
    public static void Update(
        StorageEngine engine, Xid xid, in PinnedPage oldPage, ushort oldItem, in PinnedPage newPage, ushort newItem, HeapUpdateFlags flags)
    {
        bool onePage = oldPage.Block == newPage.Block;
        ReadOnlySpan<byte> oldRow = oldPage.Page.ItemBytes(oldItem);
        ReadOnlySpan<byte> row = newPage.Page.ItemBytes(newItem);
        ref readonly HeapTupleHeader oldHeader = ref HeapTupleCodec.ReadHeader(oldRow);
        ref readonly HeapTupleHeader header = ref HeapTupleCodec.ReadHeader(row);
        int prefix = 0;
        int suffix = 0;
        if (onePage && newPage.Page.Lsn > engine.WritableWal.RedoPointer)
        {
            (prefix, suffix) = SharedEnds(oldRow[oldHeader.HeaderLength..], row[header.HeaderLength..]);
            flags |= (prefix > 0 ? HeapUpdateFlags.PrefixFromOld : 0) | (suffix > 0 ? HeapUpdateFlags.SuffixFromOld : 0);
        }

        bool init = newItem == 1 && newPage.Page.ItemCount == 1;
        Span<byte> body = stackalloc byte[HeapUpdateRecord.Size];
        new HeapUpdateRecord(oldHeader.Xmax, oldItem, HeapRow.InfoBits(oldHeader.InfoMask, oldHeader.InfoMask2), flags, header.Xmax, newItem).Write(body);
        WalRecordBuilder record = engine.WritableWal.Begin(xid).AddData(body);
        record.AddBlock(0, newPage.Tag, newPage.Pointer, Flags(init));
        AddRow(record, row, header, prefix, suffix);
        if (!onePage)
        {
            record.AddBlock(1, oldPage.Tag, oldPage.Pointer, WalBlockFlags.Standard);
        }

        HeapOp op = header.IsHeapOnly ? HeapOp.HotUpdate : HeapOp.Update;
        Lsn end = engine.WritableWal.Insert(record, Rmgr.Heap, (byte)((byte)op | InitBit(init)));
        newPage.Page.SetLsn(end);
        oldPage.Page.SetLsn(end);
    }

    public static void InPlace(StorageEngine engine, Xid xid, in PinnedPage page, ushort item)
    {
        ReadOnlySpan<byte> row = page.Page.ItemBytes(item);
        Span<byte> body = stackalloc byte[HeapInPlaceRecord.Size];
        new HeapInPlaceRecord(item).Write(body);
        WalRecordBuilder record = engine.WritableWal.Begin(xid).AddData(body);
        record.AddBlock(0, page.Tag, page.Pointer, WalBlockFlags.Standard);
        record.AddBlockData(0, row[HeapTupleCodec.ReadHeader(row).HeaderLength..]);
        End(engine, record, Rmgr.Heap, (byte)HeapOp.InPlace, page);
    }

    /// <summary>Inserts a record that covers one page.</summary>
    public static void End(StorageEngine engine, WalRecordBuilder record, Rmgr rmgr, byte info, in PinnedPage page) =>
        page.Page.SetLsn(engine.WritableWal.Insert(record, rmgr, info));

    private static void AddRow(WalRecordBuilder record, ReadOnlySpan<byte> row, in HeapTupleHeader header, int prefix, int suffix)
    {
        Span<byte> lengths = stackalloc byte[2 * sizeof(ushort)];
        int at = 0;
        if (prefix > 0)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteUInt16LittleEndian(lengths, (ushort)prefix);
            at += sizeof(ushort);
        }

        if (suffix > 0)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteUInt16LittleEndian(lengths[at..], (ushort)suffix);
            at += sizeof(ushort);
        }

        if (at > 0)
        {
            record.AddBlockData(0, lengths[..at]);
        }

        Span<byte> head = stackalloc byte[HeapRowHeader.Size];
        new HeapRowHeader(header).Write(head);
        record.AddBlockData(0, head);
        if (prefix == 0)
        {
            record.AddBlockData(0, row[HeapTupleHeader.Size..^suffix]);
            return;
        }

        if (header.HeaderLength > HeapTupleHeader.Size)
        {
            record.AddBlockData(0, row[HeapTupleHeader.Size..header.HeaderLength]);
        }

        record.AddBlockData(0, row[(header.HeaderLength + prefix)..^suffix]);
    }

    /// <summary>Bytes that two rows' data have in common at the start and at the end; fewer than three are not worth their length field.</summary>
    private static (int Prefix, int Suffix) SharedEnds(ReadOnlySpan<byte> old, ReadOnlySpan<byte> now)
    {
        int prefix = old.CommonPrefixLength(now);
        if (prefix < 3)
        {
            prefix = 0;
        }

        int most = Math.Min(old.Length, now.Length) - prefix;
        int suffix = 0;
        while (suffix < most && old[^(suffix + 1)] == now[^(suffix + 1)])
        {
            suffix++;
        }

        return (prefix, suffix < 3 ? 0 : suffix);
    }

    private static WalBlockFlags Flags(bool init) => init ? WalBlockFlags.Standard | WalBlockFlags.WillInit : WalBlockFlags.Standard;
    private static byte InitBit(bool init) => init ? HeapInfo.InitPage : (byte)0;
}
