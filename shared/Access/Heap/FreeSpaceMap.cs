using SharedStorage.Buffers;
using SharedStorage.Format.Fsm;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Access.Heap;

/// <summary>
/// A relation's free space map (PostgreSQL's freespace.c). It is a hint: not logged, wrong after a crash, repaired by whoever finds it wrong. Only a writer
/// has a use for it.
/// </summary>
public sealed class FreeSpaceMap(StorageEngine engine, RelFileNode node)
{
    /// <summary>A search that meets stale upper levels begins anew; so many times at most.</summary>
    private const int MaxRestarts = 10000;

    /// <summary>A page with room for so many bytes, or none.</summary>
    public BlockNumber Search(int bytes) => SearchTree(FsmCategory.OfNeeded(bytes));

    /// <summary>Notes the room of a page.</summary>
    public void Record(BlockNumber block, int bytes) => SetAndSearch(FsmAddress.OfHeapBlock(block.Value, out int slot), slot, FsmCategory.OfAvailable(bytes), 0);

    /// <summary>Notes the room of a page that was too full, and gives another, near it if possible.</summary>
    public BlockNumber RecordAndSearch(BlockNumber full, int bytes, int needed)
    {
        byte category = FsmCategory.OfNeeded(needed);
        FsmAddress address = FsmAddress.OfHeapBlock(full.Value, out int slot);
        int found = SetAndSearch(address, slot, FsmCategory.OfAvailable(bytes), category);
        if (found >= 0)
        {
            uint block = address.HeapBlock(found);
            if (block < engine.Buffers.BlockCount(node, ForkNumber.Main))
            {
                return new BlockNumber(block);
            }
        }

        return SearchTree(category);
    }

    /// <summary>The room that the map says a page has.</summary>
    public int Get(BlockNumber block)
    {
        FsmAddress address = FsmAddress.OfHeapBlock(block.Value, out int slot);
        using PinnedPage page = Read(address, extend: false);
        if (!page.IsValid)
        {
            return 0;
        }

        using SharedLatch latch = page.LatchShared();
        return FsmCategory.Bytes(new FsmPage(page.Page).Get(slot));
    }

    /// <summary>Carries what the bottom pages say of these heap pages up to the root (FreeSpaceMapVacuumRange).</summary>
    public void Vacuum(uint first = 0, uint end = uint.MaxValue)
    {
        if (end > first)
        {
            VacuumPage(FsmAddress.Root, first, end);
        }
    }

    /// <summary>Forgets the heap pages from this one on; gives the blocks that the map's fork is to be cut to, or none (FreeSpaceMapPrepareTruncateRel).</summary>
    public BlockNumber PrepareTruncate(BlockNumber heapBlocks)
    {
        if (!engine.Buffers.ForkExists(node, ForkNumber.FreeSpaceMap))
        {
            return BlockNumber.Invalid;
        }

        FsmAddress address = FsmAddress.OfHeapBlock(heapBlocks.Value, out int slot);
        if (slot == 0)
        {
            uint blocks = address.Block;
            return blocks < engine.Buffers.BlockCount(node, ForkNumber.FreeSpaceMap) ? new BlockNumber(blocks) : BlockNumber.Invalid;
        }

        using PinnedPage page = Read(address, extend: false);
        if (!page.IsValid)
        {
            return BlockNumber.Invalid;
        }

        using (page.LatchExclusive())
        {
            if (new FsmPage(page.Page).Truncate(slot))
            {
                page.MarkDirtyHint(standardLayout: false);
            }
        }

        return new BlockNumber(address.Block + 1);
    }

    private BlockNumber SearchTree(byte category)
    {
        FsmAddress address = FsmAddress.Root;
        for (int restarts = 0; restarts < MaxRestarts;)
        {
            int slot = -1;
            byte max = 0;
            using (PinnedPage page = Read(address, extend: false))
            {
                if (page.IsValid)
                {
                    // Exclusive because the search moves the page's next slot.
                    using ExclusiveLatch latch = page.LatchExclusive();
                    var fsm = new FsmPage(page.Page);
                    slot = fsm.Search(category, advance: address.Level == 0);
                    max = fsm.Max;
                }
            }

            if (slot >= 0 && address.Level > 0)
            {
                address = address.Child(slot);
                continue;
            }

            if (slot >= 0)
            {
                uint block = address.HeapBlock(slot);
                if (block < engine.Buffers.BlockCount(node, ForkNumber.Main))
                {
                    return new BlockNumber(block);
                }

                // The heap was cut, or the map outlived a crash that the heap's new pages did not.
                SetAndSearch(address, slot, 0, 0);
                restarts++;
                address = FsmAddress.Root;
                continue;
            }

            if (address.Level == FsmAddress.RootLevel)
            {
                return BlockNumber.Invalid;
            }

            FsmAddress parent = address.Parent(out int parentSlot);
            SetAndSearch(parent, parentSlot, max, 0);
            restarts++;
            address = FsmAddress.Root;
        }

        return BlockNumber.Invalid;
    }

    private int SetAndSearch(FsmAddress address, int slot, byte value, byte category)
    {
        using PinnedPage page = Read(address, extend: true);
        using ExclusiveLatch latch = page.LatchExclusive();
        var fsm = new FsmPage(page.Page);
        if (fsm.Set(slot, value))
        {
            page.MarkDirtyHint(standardLayout: false);
        }

        return category == 0 ? -1 : fsm.Search(category, advance: address.Level == 0);
    }

    private byte VacuumPage(FsmAddress address, uint first, uint end)
    {
        using PinnedPage page = Read(address, extend: false);
        if (!page.IsValid)
        {
            return 0;
        }

        if (address.Level > 0)
        {
            VacuumChildren(page, address, first, end);
        }

        using ExclusiveLatch latch = page.LatchExclusive();
        var fsm = new FsmPage(page.Page);
        byte max = fsm.Max;

        // Inserters fill the front of the table first again.
        fsm.ResetNextSlot();
        return max;
    }

    private void VacuumChildren(in PinnedPage page, FsmAddress address, uint first, uint end)
    {
        ulong span = address.Level == 1 ? FsmPage.Slots : (ulong)FsmPage.Slots * FsmPage.Slots;
        ulong own = address.Number * span * FsmPage.Slots;
        ulong last = (ulong)end - 1;
        int start = first <= own ? 0 : (int)Math.Min((first - own) / span, FsmPage.Slots);
        int stop = last < own ? -1 : (int)Math.Min((last - own) / span, FsmPage.Slots - 1);
        uint blocks = engine.Buffers.BlockCount(node, ForkNumber.FreeSpaceMap);
        for (int slot = start; slot <= stop; slot++)
        {
            FsmAddress child = address.Child(slot);
            bool exists = child.Block < blocks;
            byte max = exists ? VacuumPage(child, first, end) : (byte)0;
            using (page.LatchExclusive())
            {
                if (new FsmPage(page.Page).Set(slot, max))
                {
                    page.MarkDirtyHint(standardLayout: false);
                }
            }

            if (!exists && max == 0)
            {
                ClearRest(page, slot + 1, stop);
                break;
            }
        }
    }

    /// <summary>Children beyond the fork's end have no room.</summary>
    private static void ClearRest(in PinnedPage page, int slot, int stop)
    {
        using ExclusiveLatch latch = page.LatchExclusive();
        var fsm = new FsmPage(page.Page);
        bool changed = false;
        for (; slot <= stop; slot++)
        {
            changed |= fsm.Get(slot) != 0 && fsm.Set(slot, 0);
        }

        if (changed)
        {
            page.MarkDirtyHint(standardLayout: false);
        }
    }

    private PinnedPage Read(FsmAddress address, bool extend)
    {
        uint block = address.Block;
        if (block >= engine.Buffers.BlockCount(node, ForkNumber.FreeSpaceMap))
        {
            if (!extend)
            {
                return default;
            }

            MapFork.Extend(engine, node, ForkNumber.FreeSpaceMap, block + 1);
        }

        return MapFork.Pin(engine, node, ForkNumber.FreeSpaceMap, block);
    }
}
