using SharedStorage.Buffers;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Access.Heap;

/// <summary>
/// What the free space map and the visibility map share: forks that grow without log records and whose pages, when missing, damaged or never written, count
/// as empty (R15).
/// </summary>
internal static class MapFork
{
    /// <summary>Pins a page of the fork; a zero page is made an empty one.</summary>
    public static PinnedPage Pin(StorageEngine engine, RelFileNode node, ForkNumber fork, uint block)
    {
        PinnedPage page = engine.Buffers.Pin(new BufferTag(node, fork, new BlockNumber(block)), PinMode.ZeroOnError);
        if (engine.Buffers.CanWrite && page.Page.IsNew)
        {
            using ExclusiveLatch latch = page.LatchExclusive();
            if (page.Page.IsNew)
            {
                page.Page.Initialize(0);
            }
        }

        return page;
    }

    /// <summary>Makes the fork at least so many blocks long. Two sessions at once may make it longer than needed, which does no harm.</summary>
    public static void Extend(StorageEngine engine, RelFileNode node, ForkNumber fork, uint blocks)
    {
        if (!engine.Buffers.ForkExists(node, fork))
        {
            engine.Files.Create(node, fork, mayExist: true);
        }

        while (engine.Buffers.BlockCount(node, fork) < blocks)
        {
            using PinnedPage page = engine.Buffers.PinNew(node, fork);
            page.Page.Initialize(0);
            page.MarkDirty();
            page.Unlatch();
        }
    }
}
