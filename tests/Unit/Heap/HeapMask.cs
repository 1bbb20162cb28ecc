using SharedStorage.Access.Heap;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Heap;

/// <summary>
/// What may differ between a heap page that was redone and the one that was changed first: LSN, checksum, hints, command ids, bytes that no item owns
/// (PostgreSQL's heap_mask, but the all-visible flag is compared). Pages of the visibility map are compared whole but for LSN and checksum.
/// </summary>
internal static class HeapMask
{
    private const byte Mark = 0;

    public static void Apply(BufferTag tag, byte[] bytes)
    {
        var page = new Page(bytes);
        bytes.AsSpan(0, 10).Fill(Mark);
        if (tag.Fork != ForkNumber.Main || page.IsNew)
        {
            return;
        }

        page.Header.Flags &= PageFlags.AllVisible;
        page.Header.PruneXid = 0;
        bytes.AsSpan(page.Header.Lower, page.Header.Upper - page.Header.Lower).Fill(Mark);
        for (int item = 1; item <= page.ItemCount; item++)
        {
            ItemId id = page.Item(item);
            if (id.IsNormal)
            {
                MaskRow(page, tag.Block, item);
            }

            if (id.HasStorage)
            {
                bytes.AsSpan(id.Offset + id.Length, Page.AlignUp(id.Length) - id.Length).Fill(Mark);
            }
        }
    }

    private static void MaskRow(Page page, BlockNumber block, int item)
    {
        ref HeapTupleHeader row = ref HeapTupleCodec.Header(page.ItemBytes(item));
        row.InfoMask &= row.XminFrozen ? ~(HeapInfoMask.XmaxInvalid | HeapInfoMask.XmaxCommitted) : ~HeapInfoMask.XactMask;
        row.RawCommandId = 0;
        if (row.Ctid.Offset == HeapRow.SpeculativeItem)
        {
            row.Ctid = new Tid(block, (ushort)item);
        }
    }
}
