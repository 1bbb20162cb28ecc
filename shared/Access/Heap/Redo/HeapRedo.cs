using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Format.VisibilityMap;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Heap.Redo;

/// <summary>
/// What the heap resource manager's records do to one page (PostgreSQL's heap_redo). The caller restores a full-page image that is to be applied; then the
/// routine here does nothing more to that block. Pages of the visibility map have no block reference where bits are cleared:
/// <see cref="ImpliedPages"/> names them, and they come with a block id of -1.
/// </summary>
public static class HeapRedo
{
    /// <summary>A block id for pages that the record does not reference.</summary>
    public const int Implied = -1;

    /// <summary>The most pages that a record implies.</summary>
    public const int MaxImpliedPages = 2;

    /// <summary>Brings one page forward over one record.</summary>
    /// <exception cref="StorageException">I10: the record does not fit the page, or is malformed.</exception>
    public static void Apply(WalRecord record, int blockId, in BufferTag tag, Page page)
    {
        if (tag.Fork == ForkNumber.VisibilityMap)
        {
            ClearVisibility(record, tag, page);
            return;
        }

        if (record.Block(blockId).ApplyImage)
        {
            return;
        }

        switch (HeapInfo.HeapOp(record.Info))
        {
            case HeapOp.Insert:
                Insert(record, tag, page);
                break;
            case HeapOp.Delete:
                Delete(record, tag, page);
                break;
            case HeapOp.Update:
                HeapUpdateRedo.Apply(record, blockId, tag, page, hot: false);
                break;
            case HeapOp.HotUpdate:
                HeapUpdateRedo.Apply(record, blockId, tag, page, hot: true);
                break;
            case HeapOp.Confirm:
                ushort confirmed = HeapConfirmRecord.Read(record.MainData).Offset;
                HeapTupleCodec.Header(RowBytes(record, page, confirmed)).Ctid = new Tid(tag.Block, confirmed);
                break;
            case HeapOp.Lock:
                Lock(record, tag, page);
                break;
            case HeapOp.InPlace:
                InPlace(record, page);
                break;
            default:
                // Truncation touches no page: files are cut by the storage resource manager.
                throw Malformed(record, "it references a page");
        }

        page.Lsn = record.End;
    }

    /// <summary>The pages that the record changes without a reference to them: those of the visibility map whose bits it clears. Gives their number.</summary>
    public static int ImpliedPages(WalRecord record, Span<BufferTag> into)
    {
        int count = 0;
        if (record.BlockCount == 0)
        {
            return 0;
        }

        if (ClearedBits(record, 0) != 0)
        {
            into[count++] = MapTag(record, 0);
        }

        int oldBlock = OldBlock(record);
        if (IsUpdate(record) && (HeapUpdateRecord.Read(record.MainData).Flags & HeapUpdateFlags.OldAllVisibleCleared) != 0)
        {
            BufferTag tag = MapTag(record, oldBlock);
            if (count == 0 || into[0] != tag)
            {
                into[count++] = tag;
            }
        }

        return count;
    }

    private static void Insert(WalRecord record, in BufferTag tag, Page page)
    {
        HeapInsertRecord body = HeapInsertRecord.Read(record.MainData);
        if (HeapInfo.IsInit(record.Info))
        {
            page.Initialize(0);
        }

        ReadOnlySpan<byte> data = record.BlockData(0);
        if (data.Length <= HeapRowHeader.Size)
        {
            throw Malformed(record, "it has no row");
        }

        PlaceRow(record, page, new Tid(tag.Block, body.Offset), HeapRowHeader.Read(data), data[HeapRowHeader.Size..]);
        if ((body.Flags & HeapInsertFlags.AllVisibleCleared) != 0)
        {
            page.IsAllVisible = false;
        }
    }

    /// <summary>Stores a row that the record's transaction inserted: the header's first 23 bytes are made, the others come from the record.</summary>
    internal static void PlaceRow(WalRecord record, Page page, Tid tid, HeapRowHeader header, ReadOnlySpan<byte> data)
    {
        Span<byte> row = Place(record, page, tid.Offset, HeapTupleHeader.Size + data.Length);
        data.CopyTo(row[HeapTupleHeader.Size..]);
        MakeHeader(record, row, header, Xid.Invalid, tid);
    }

    internal static Span<byte> Place(WalRecord record, Page page, ushort item, int size)
    {
        bool placed;
        Span<byte> row;
        try
        {
            placed = HeapPage.TryPlace(page, item, size, out row);
        }
        catch (StorageException e)
        {
            throw Malformed(record, e.Message);
        }

        return placed ? row : throw Malformed(record, "its row does not fit the page");
    }

    internal static void MakeHeader(WalRecord record, Span<byte> row, HeapRowHeader header, Xid xmax, Tid ctid)
    {
        ref HeapTupleHeader h = ref HeapTupleCodec.Header(row);
        h = default;
        h.InfoMask2 = header.InfoMask2;
        h.InfoMask = header.InfoMask;
        h.HeaderLength = header.HeaderLength;
        h.RawXmin = record.Xid.Value;
        h.RawXmax = xmax.Value;
        HeapRow.SetCmin(ref h, CommandId.First);
        h.Ctid = ctid;
    }

    private static void Delete(WalRecord record, in BufferTag tag, Page page)
    {
        HeapDeleteRecord body = HeapDeleteRecord.Read(record.MainData);
        ref HeapTupleHeader row = ref HeapTupleCodec.Header(RowBytes(record, page, body.Offset));
        HeapRow.SetInfoBits(ref row, body.Bits);
        HeapRow.SetHotUpdated(ref row, false);
        if ((body.Flags & HeapDeleteFlags.Super) == 0)
        {
            row.RawXmax = body.Xmax.Value;
        }
        else
        {
            row.RawXmin = 0;
        }

        HeapRow.SetCmax(ref row, CommandId.First, false);
        HeapPage.SetPrunable(page, record.Xid);
        if ((body.Flags & HeapDeleteFlags.AllVisibleCleared) != 0)
        {
            page.IsAllVisible = false;
        }

        row.Ctid = (body.Flags & HeapDeleteFlags.PartitionMove) != 0
            ? new Tid(BlockNumber.Invalid, HeapRow.MovedPartitionsItem) : new Tid(tag.Block, body.Offset);
    }

    private static void Lock(WalRecord record, in BufferTag tag, Page page)
    {
        HeapLockRecord body = HeapLockRecord.Read(record.MainData);
        ref HeapTupleHeader row = ref HeapTupleCodec.Header(RowBytes(record, page, body.Offset));
        HeapRow.SetInfoBits(ref row, body.Bits);
        if (row.XmaxIsLockedOnly)
        {
            HeapRow.SetHotUpdated(ref row, false);
            row.Ctid = new Tid(tag.Block, body.Offset);
        }

        row.RawXmax = body.Xmax.Value;
        HeapRow.SetCmax(ref row, CommandId.First, false);
    }

    private static void InPlace(WalRecord record, Page page)
    {
        Span<byte> row = RowBytes(record, page, HeapInPlaceRecord.Read(record.MainData).Offset);
        Span<byte> old = row[HeapTupleCodec.Header(row).HeaderLength..];
        ReadOnlySpan<byte> data = record.BlockData(0);
        if (old.Length != data.Length)
        {
            throw Malformed(record, $"its row has {data.Length} bytes where the page has {old.Length}");
        }

        data.CopyTo(old);
    }

    private static void ClearVisibility(WalRecord record, in BufferTag tag, Page page)
    {
        if (page.IsNew)
        {
            page.Initialize(0);
        }

        var map = new VisibilityMapPage(page);
        VisibilityBits bits = ClearedBits(record, 0);
        if (bits != 0 && MapTag(record, 0) == tag)
        {
            map.Clear(record.Block(0).Tag.Block, bits);
        }

        if (IsUpdate(record) && (HeapUpdateRecord.Read(record.MainData).Flags & HeapUpdateFlags.OldAllVisibleCleared) != 0
            && MapTag(record, OldBlock(record)) == tag)
        {
            map.Clear(record.Block(OldBlock(record)).Tag.Block, VisibilityBits.Both);
        }
    }

    /// <summary>The bits of block 0's page that the record clears (of an update: of the new version's page).</summary>
    private static VisibilityBits ClearedBits(WalRecord record, int blockId)
    {
        if (!record.HasBlock(blockId))
        {
            return VisibilityBits.None;
        }

        bool both = HeapInfo.HeapOp(record.Info) switch
        {
            HeapOp.Insert => (HeapInsertRecord.Read(record.MainData).Flags & HeapInsertFlags.AllVisibleCleared) != 0,
            HeapOp.Delete => (HeapDeleteRecord.Read(record.MainData).Flags & HeapDeleteFlags.AllVisibleCleared) != 0,
            HeapOp.Update or HeapOp.HotUpdate => (HeapUpdateRecord.Read(record.MainData).Flags & HeapUpdateFlags.NewAllVisibleCleared) != 0,
            _ => false,
        };
        if (both)
        {
            return VisibilityBits.Both;
        }

        return HeapInfo.HeapOp(record.Info) == HeapOp.Lock && (HeapLockRecord.Read(record.MainData).Flags & HeapLockFlags.AllFrozenCleared) != 0
            ? VisibilityBits.AllFrozen : VisibilityBits.None;
    }

    private static bool IsUpdate(WalRecord record) => HeapInfo.HeapOp(record.Info) is HeapOp.Update or HeapOp.HotUpdate;

    private static int OldBlock(WalRecord record) => record.HasBlock(1) ? 1 : 0;

    internal static BufferTag MapTag(WalRecord record, int blockId)
    {
        ref readonly BufferTag heap = ref record.Block(blockId).Tag;
        return new BufferTag(heap.Rel, ForkNumber.VisibilityMap, VisibilityMapPage.MapBlock(heap.Block));
    }

    /// <summary>The bytes of the row that the record is about.</summary>
    internal static Span<byte> RowBytes(WalRecord record, Page page, ushort item)
    {
        if (item < 1 || item > page.ItemCount || !page.Item(item).IsNormal || page.Item(item).Length < HeapTupleHeader.Size)
        {
            throw Malformed(record, $"item {item} is no row");
        }

        return page.ItemBytes(item);
    }

    internal static StorageException Malformed(WalRecord record, string why) =>
        new($"the record at {record.Start} ({record.Rmgr}, info 0x{record.Info:X2}) cannot be applied: {why}");
}
