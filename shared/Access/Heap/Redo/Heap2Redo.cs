using System.Runtime.InteropServices;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Format.VisibilityMap;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Heap.Redo;

/// <summary>What the second heap resource manager's records do to one page (heap2_redo); see <see cref="HeapRedo"/> for images and implied pages.</summary>
public static class Heap2Redo
{
    /// <inheritdoc cref="HeapRedo.Apply"/>
    public static void Apply(WalRecord record, int blockId, in BufferTag tag, Page page)
    {
        Heap2Op op = HeapInfo.Heap2Op(record.Info);
        if (tag.Fork == ForkNumber.VisibilityMap)
        {
            ApplyToMap(record, blockId, op, page);
            return;
        }

        if (record.Block(blockId).ApplyImage)
        {
            return;
        }

        switch (op)
        {
            case Heap2Op.Prune:
                Prune(record, page);
                break;
            case Heap2Op.Vacuum:
                Vacuum(record, page);
                break;
            case Heap2Op.FreezePage:
                Freeze(record, page);
                break;
            case Heap2Op.Visible:
                page.IsAllVisible = true;
                break;
            case Heap2Op.MultiInsert:
                MultiInsert(record, tag, page);
                break;
            case Heap2Op.LockUpdated:
                HeapLockRecord body = HeapLockRecord.Read(record.MainData);
                ref HeapTupleHeader row = ref HeapTupleCodec.Header(HeapRedo.RowBytes(record, page, body.Offset));
                HeapRow.SetInfoBits(ref row, body.Bits);
                row.RawXmax = body.Xmax.Value;
                break;
            default:
                // Command ids and rewrite mappings are for logical decoding and touch no page.
                throw HeapRedo.Malformed(record, "it references a page");
        }

        page.Lsn = record.End;
    }

    /// <inheritdoc cref="HeapRedo.ImpliedPages"/>
    public static int ImpliedPages(WalRecord record, Span<BufferTag> into)
    {
        if (ClearedBits(record, HeapInfo.Heap2Op(record.Info)) == VisibilityBits.None)
        {
            return 0;
        }

        into[0] = HeapRedo.MapTag(record, 0);
        return 1;
    }

    private static void ApplyToMap(WalRecord record, int blockId, Heap2Op op, Page page)
    {
        if (op == Heap2Op.Visible && record.Block(blockId).ApplyImage)
        {
            return;
        }

        if (page.IsNew)
        {
            page.Initialize(0);
        }

        var map = new VisibilityMapPage(page);
        if (op != Heap2Op.Visible)
        {
            map.Clear(record.Block(0).Tag.Block, ClearedBits(record, op));
            return;
        }

        // Clears leave no LSN, so a map page is redone from its first kept record whatever its LSN says, which therefore never goes back.
        var bits = (VisibilityBits)HeapVisibleRecord.Read(record.MainData).Flags & VisibilityBits.Both;
        if (map.Set(record.Block(1).Tag.Block, bits))
        {
            page.Lsn = Lsn.MaxOf(page.Lsn, record.End);
        }
    }

    private static VisibilityBits ClearedBits(WalRecord record, Heap2Op op) => op switch
    {
        Heap2Op.MultiInsert when (HeapMultiInsertRecord.Read(record.MainData).Flags & HeapInsertFlags.AllVisibleCleared) != 0 => VisibilityBits.Both,
        Heap2Op.LockUpdated when (HeapLockRecord.Read(record.MainData).Flags & HeapLockFlags.AllFrozenCleared) != 0 => VisibilityBits.AllFrozen,
        _ => VisibilityBits.None,
    };

    private static void Prune(WalRecord record, Page page)
    {
        HeapPruneRecord body = HeapPruneRecord.Read(record.MainData);
        ReadOnlySpan<ushort> items = MemoryMarshal.Cast<byte, ushort>(record.BlockData(0));
        int pairs = body.Redirected * 2;
        if (items.Length < pairs + body.Dead)
        {
            throw HeapRedo.Malformed(record, "it lists fewer items than it says");
        }

        CheckItems(record, page, items);
        HeapPage.Prune(page, items[..pairs], items.Slice(pairs, body.Dead), items[(pairs + body.Dead)..]);
    }

    private static void Vacuum(WalRecord record, Page page)
    {
        ReadOnlySpan<ushort> items = MemoryMarshal.Cast<byte, ushort>(record.BlockData(0));
        if (items.Length < HeapVacuumRecord.Read(record.MainData).Unused)
        {
            throw HeapRedo.Malformed(record, "it lists fewer items than it says");
        }

        CheckItems(record, page, items);
        foreach (ushort item in items)
        {
            page.Item(item) = default;
        }

        HeapPage.TruncateItems(page);
    }

    private static void Freeze(WalRecord record, Page page)
    {
        int count = HeapFreezePageRecord.Read(record.MainData).Count;
        ReadOnlySpan<byte> data = record.BlockData(0);
        if (data.Length < count * HeapFreezePlan.Size)
        {
            throw HeapRedo.Malformed(record, "it lists fewer rows than it says");
        }

        for (int i = 0; i < count; i++)
        {
            HeapFreezePlan plan = HeapFreezePlan.Read(data[(i * HeapFreezePlan.Size)..]);
            HeapRow.Freeze(ref HeapTupleCodec.Header(HeapRedo.RowBytes(record, page, plan.Offset)), plan);
        }
    }

    private static void MultiInsert(WalRecord record, in BufferTag tag, Page page)
    {
        ReadOnlySpan<byte> main = record.MainData;
        HeapMultiInsertRecord body = HeapMultiInsertRecord.Read(main);
        bool init = HeapInfo.IsInit(record.Info);
        if (init)
        {
            page.Initialize(0);
        }

        ReadOnlySpan<byte> data = record.BlockData(0);
        int at = 0;
        for (int i = 0; i < body.Count; i++)
        {
            at = (at + 1) & ~1;
            HeapMultiInsertRow row = HeapMultiInsertRow.Read(data[at..]);
            at += HeapMultiInsertRow.Size;
            ushort item = init ? (ushort)(i + 1) : HeapMultiInsertRecord.ItemNumber(main, i);
            HeapRedo.PlaceRow(record, page, new Tid(tag.Block, item), row.Header, data.Slice(at, row.Length));
            at += row.Length;
        }

        if (at != data.Length)
        {
            throw HeapRedo.Malformed(record, "its rows are longer or shorter than it says");
        }

        if ((body.Flags & HeapInsertFlags.AllVisibleCleared) != 0)
        {
            page.IsAllVisible = false;
        }

        if ((body.Flags & HeapInsertFlags.AllFrozenSet) != 0)
        {
            page.IsAllVisible = true;
        }
    }

    private static void CheckItems(WalRecord record, Page page, ReadOnlySpan<ushort> items)
    {
        int count = page.ItemCount;
        foreach (ushort item in items)
        {
            if (item < 1 || item > count)
            {
                throw HeapRedo.Malformed(record, $"item {item} is not on the page");
            }
        }
    }
}
