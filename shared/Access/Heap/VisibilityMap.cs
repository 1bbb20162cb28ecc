using SharedStorage.Buffers;
using SharedStorage.Format.VisibilityMap;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Heap;

/// <summary>
/// A relation's visibility map (PostgreSQL's visibilitymap.c). Latch order: the map's page is pinned BEFORE the heap page is latched, and latched after it.
/// Setting is logged; clearing is part of the record of the change that makes it necessary and sets no LSN (R3).
/// </summary>
public sealed class VisibilityMap(StorageEngine engine, RelFileNode node)
{
    /// <summary>Pins the map's page for a heap page; the map grows as needed. A pin that covers the page already is kept.</summary>
    public void Pin(BlockNumber heapBlock, ref PinnedPage page)
    {
        BlockNumber block = VisibilityMapPage.MapBlock(heapBlock);
        if (page.IsValid)
        {
            if (page.Block == block)
            {
                return;
            }

            page.Dispose();
            page = default;
        }

        if (block.Value >= engine.Buffers.BlockCount(node, ForkNumber.VisibilityMap))
        {
            MapFork.Extend(engine, node, ForkNumber.VisibilityMap, block.Value + 1);
        }

        page = MapFork.Pin(engine, node, ForkNumber.VisibilityMap, block.Value);
    }

    /// <summary>Whether the pin is on the page that has this heap page's bits.</summary>
    public static bool IsPinned(BlockNumber heapBlock, in PinnedPage page) => page.IsValid && page.Block == VisibilityMapPage.MapBlock(heapBlock);

    /// <summary>What the map says now; the caller deals with changes that happen meanwhile. The pin is kept for the next call.</summary>
    public VisibilityBits Get(BlockNumber heapBlock, ref PinnedPage page)
    {
        BlockNumber block = VisibilityMapPage.MapBlock(heapBlock);
        if (page.IsValid && page.Block != block)
        {
            page.Dispose();
            page = default;
        }

        if (!page.IsValid)
        {
            if (block.Value >= engine.Buffers.BlockCount(node, ForkNumber.VisibilityMap))
            {
                return VisibilityBits.None;
            }

            page = MapFork.Pin(engine, node, ForkNumber.VisibilityMap, block.Value);
        }

        return new VisibilityMapPage(page.Page).Get(heapBlock);
    }

    /// <summary>
    /// Clears bits of a heap page that the caller has latched exclusively; inside the critical section of the change that makes it necessary.
    /// </summary>
    public static bool Clear(BlockNumber heapBlock, in PinnedPage page, VisibilityBits bits)
    {
        Invariant.Check(IsPinned(heapBlock, page), "heap latch order", "the visibility map's page is not pinned");
        using ExclusiveLatch latch = page.LatchExclusive();
        var map = new VisibilityMapPage(page.Page);
        if ((map.Get(heapBlock) & bits) == 0)
        {
            return false;
        }

        page.MarkDirty();
        return map.Clear(heapBlock, bits);
    }

    /// <summary>
    /// Sets bits of a heap page, whose all-visible flag the caller has set under the exclusive latch that it still holds. Logs XLOG_HEAP2_VISIBLE.
    /// <paramref name="cutoff"/> is the newest xmin on the page (invalid: none, or only all-frozen is new).
    /// </summary>
    public void Set(BlockNumber heapBlock, in PinnedPage heapPage, in PinnedPage page, Xid cutoff, VisibilityBits bits)
    {
        Invariant.Check(IsPinned(heapBlock, page), "heap latch order", "the visibility map's page is not pinned");
        using ExclusiveLatch latch = page.LatchExclusive();
        var map = new VisibilityMapPage(page.Page);
        if (map.Get(heapBlock) == bits)
        {
            return;
        }

        Invariant.Check(heapPage.Page.IsAllVisible, "R5", "a heap page in the visibility map lacks its all-visible flag");
        using (Invariant.EnterCritical())
        {
            page.MarkDirty();
            heapPage.MarkDirty();
            map.Set(heapBlock, bits);
            Lsn end = Log(heapPage, page, cutoff, bits);
            heapPage.Page.SetLsn(end);
            page.Page.SetLsn(end);
        }
    }

    /// <summary>How many pages are all-visible and all-frozen.</summary>
    public (uint Visible, uint Frozen) Count()
    {
        uint visible = 0;
        uint frozen = 0;
        uint blocks = engine.Buffers.BlockCount(node, ForkNumber.VisibilityMap);
        for (uint block = 0; block < blocks; block++)
        {
            using PinnedPage page = MapFork.Pin(engine, node, ForkNumber.VisibilityMap, block);
            (uint v, uint f) = new VisibilityMapPage(page.Page).Count();
            visible += v;
            frozen += f;
        }

        return (visible, frozen);
    }

    /// <summary>Clears the bits of heap pages from this one on; gives the blocks that the map's fork is to be cut to, or none (visibilitymap_prepare_truncate).</summary>
    public BlockNumber PrepareTruncate(BlockNumber heapBlocks)
    {
        uint blocks = engine.Buffers.BlockCount(node, ForkNumber.VisibilityMap);
        uint keep = VisibilityMapPage.MapBlock(heapBlocks).Value;
        if (heapBlocks.Value % VisibilityMapPage.HeapPagesPerPage != 0)
        {
            if (keep < blocks)
            {
                using PinnedPage page = MapFork.Pin(engine, node, ForkNumber.VisibilityMap, keep);
                using ExclusiveLatch latch = page.LatchExclusive();
                using (Invariant.EnterCritical())
                {
                    // Logged as an image: the record of the cut says nothing of this page, and a bit that a replay leaves would stand for the blocks that come there next.
                    page.MarkDirty();
                    new VisibilityMapPage(page.Page).ClearFrom(heapBlocks);
                    page.Page.SetLsn(PageImage.Log(engine, Xid.Invalid, page, standardLayout: false));
                }
            }

            keep++;
        }

        return keep < blocks ? new BlockNumber(keep) : BlockNumber.Invalid;
    }

    private unsafe Lsn Log(in PinnedPage heapPage, in PinnedPage page, Xid cutoff, VisibilityBits bits)
    {
        Span<byte> body = stackalloc byte[HeapVisibleRecord.Size];
        new HeapVisibleRecord(cutoff, (byte)bits).Write(body);
        WalInserter wal = engine.WritableWal;
        WalRecordBuilder record = wal.Begin(Xid.Invalid).AddData(body);
        record.AddBlock(0, page.Tag, page.Pointer, WalBlockFlags.None);

        // The heap page's flag is a hint to redo, but with checksums a torn page would be found damaged: an image is taken where one is due.
        record.AddBlock(1, heapPage.Tag, heapPage.Pointer, WalBlockFlags.Standard);
        return wal.Insert(record, Rmgr.Heap2, (byte)Heap2Op.Visible);
    }
}
