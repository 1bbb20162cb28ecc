using SharedStorage.Buffers;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Access.Heap;

/// <summary>
/// Finds a page with room for a row (PostgreSQL's hio.c): the page used last by this session, what the free space map proposes, the last page, a new one. The
/// page comes pinned and latched exclusively, with its visibility map page pinned when it is all-visible.
/// </summary>
internal sealed class HeapPlacement(StorageEngine engine, Relation relation)
{
    /// <summary>So much room a page may lack and still count as empty for a long row: line pointers that remain after pruning.</summary>
    private const int NearlyEmpty = HeapPage.MaxRowSize - (HeapPage.MaxItems / 8 * 4);
    private const int MaxRemembered = 256;

    // The page that this session's thread inserted into last, per table, so that sessions do not fight for one page.
    [ThreadStatic] private static Dictionary<RelFileNode, uint>? _lastUsed;

    private readonly FreeSpaceMap _freeSpace = new(engine, relation.Node);
    private readonly VisibilityMap _visibility = new(engine, relation.Node);

    /// <summary>Room kept free on each page for updates (fillfactor).</summary>
    public int KeptFree { get; } = Format.Pages.Page.Size * (100 - relation.FillFactor) / 100;

    /// <summary>Pins and latches a page for a row of this size. <paramref name="vm"/> is an earlier pin on the map or none.</summary>
    /// <exception cref="PgException">The row is too big (54000).</exception>
    public PinnedPage Find(int size, HeapInsertOptions options, ref PinnedPage vm)
    {
        int target = Target(size);
        for (BlockNumber block = FirstTry(target, options); block.IsValid;)
        {
            PinnedPage page = Pin(block);
            bool found = false;
            try
            {
                LatchWithMap(page, options, ref vm);
                int room = Room(page);
                if (room >= target)
                {
                    found = true;
                    Remember(block);
                    return page;
                }

                page.Unlatch();
                if ((options & HeapInsertOptions.SkipFsm) != 0)
                {
                    break;
                }

                block = _freeSpace.RecordAndSearch(block, room, target);
            }
            finally
            {
                if (!found)
                {
                    page.Dispose();
                }
            }
        }

        return Extend(options, ref vm);
    }

    /// <summary>
    /// The same for the new version of a row on <paramref name="old"/>, which is pinned and not latched; both come latched, the lower block first. The result
    /// may be the old page itself (then with the same pin, not a second one).
    /// </summary>
    public PinnedPage FindForUpdate(int size, in PinnedPage old, ref PinnedPage vm, ref PinnedPage oldVm)
    {
        int target = Target(size);
        for (BlockNumber block = FirstTry(target, HeapInsertOptions.None); block.IsValid;)
        {
            if (block == old.Block)
            {
                LatchWithMap(old, HeapInsertOptions.None, ref oldVm);
                int ownRoom = Room(old);
                if (ownRoom >= target)
                {
                    return old;
                }

                old.Unlatch();
                block = _freeSpace.RecordAndSearch(block, ownRoom, target);
                continue;
            }

            PinnedPage page = Pin(block);
            LatchBoth(page, old, ref vm, ref oldVm);
            int room = Room(page);
            if (room >= target)
            {
                Remember(block);
                return page;
            }

            page.Unlatch();
            old.Unlatch();
            page.Dispose();
            block = _freeSpace.RecordAndSearch(block, room, target);
        }

        return ExtendForUpdate(size, old, ref vm, ref oldVm);
    }

    /// <summary>Pins the page and its map page (when it is all-visible) and latches it exclusively, without ever reading a file under the latch.</summary>
    public void LatchWithMap(in PinnedPage page, HeapInsertOptions options, ref PinnedPage vm)
    {
        while (true)
        {
            if (NeedsMap(page, options) && !VisibilityMap.IsPinned(page.Block, vm))
            {
                _visibility.Pin(page.Block, ref vm);
            }

            page.Latch(LatchMode.Exclusive);
            if (!NeedsMap(page, options) || VisibilityMap.IsPinned(page.Block, vm))
            {
                return;
            }

            // It became all-visible before we had the latch.
            page.Unlatch();
        }
    }

    private static bool NeedsMap(in PinnedPage page, HeapInsertOptions options) =>
        page.Page.IsAllVisible || ((options & HeapInsertOptions.Frozen) != 0 && page.Page.ItemCount == 0);

    private void LatchBoth(in PinnedPage page, in PinnedPage old, ref PinnedPage vm, ref PinnedPage oldVm)
    {
        while (true)
        {
            if (page.Page.IsAllVisible)
            {
                _visibility.Pin(page.Block, ref vm);
            }

            if (old.Page.IsAllVisible)
            {
                _visibility.Pin(old.Block, ref oldVm);
            }

            bool pageFirst = page.Block < old.Block;
            (pageFirst ? page : old).Latch(LatchMode.Exclusive);
            (pageFirst ? old : page).Latch(LatchMode.Exclusive);
            if ((!page.Page.IsAllVisible || VisibilityMap.IsPinned(page.Block, vm)) && (!old.Page.IsAllVisible || VisibilityMap.IsPinned(old.Block, oldVm)))
            {
                return;
            }

            page.Unlatch();
            old.Unlatch();
        }
    }

    private int Target(int size)
    {
        size = Format.Pages.Page.AlignUp(size);
        if (size > HeapPage.MaxRowSize)
        {
            throw new PgException(SqlStates.ProgramLimitExceeded, $"row is too big: size {size}, maximum size {HeapPage.MaxRowSize}");
        }

        return size + KeptFree > NearlyEmpty ? Math.Max(size, NearlyEmpty) : size + KeptFree;
    }

    private BlockNumber FirstTry(int target, HeapInsertOptions options)
    {
        uint blocks = engine.Buffers.BlockCount(relation.Node, ForkNumber.Main);
        if (_lastUsed is not null && _lastUsed.TryGetValue(relation.Node, out uint last) && last < blocks)
        {
            return new BlockNumber(last);
        }

        BlockNumber block = (options & HeapInsertOptions.SkipFsm) == 0 ? _freeSpace.Search(target) : BlockNumber.Invalid;
        return !block.IsValid && blocks > 0 ? new BlockNumber(blocks - 1) : block;
    }

    private void Remember(BlockNumber block)
    {
        _lastUsed ??= [];
        if (_lastUsed.Count >= MaxRemembered)
        {
            _lastUsed.Clear();
        }

        _lastUsed[relation.Node] = block.Value;
    }

    private PinnedPage Pin(BlockNumber block) => engine.Buffers.Pin(new BufferTag(relation.Node, ForkNumber.Main, block));

    /// <summary>The room of a latched page; one that was added and never filled (a crash, an abort) is made an empty one first.</summary>
    private static int Room(in PinnedPage page)
    {
        if (page.Page.IsNew)
        {
            page.MarkDirty();
            page.Page.Initialize(0);
        }

        return HeapPage.FreeSpace(page.Page);
    }

    private PinnedPage Extend(HeapInsertOptions options, ref PinnedPage vm)
    {
        PinnedPage page = NewPage();
        if ((options & HeapInsertOptions.Frozen) != 0 && !VisibilityMap.IsPinned(page.Block, vm))
        {
            page.Unlatch();
            LatchWithMap(page, options, ref vm);
        }

        Remember(page.Block);
        return page;
    }

    private PinnedPage ExtendForUpdate(int size, in PinnedPage old, ref PinnedPage vm, ref PinnedPage oldVm)
    {
        while (true)
        {
            PinnedPage page = NewPage();
            page.Unlatch();
            LatchBoth(page, old, ref vm, ref oldVm);
            if (Room(page) >= Format.Pages.Page.AlignUp(size))
            {
                Remember(page.Block);
                return page;
            }

            // Another session filled it while it was not latched.
            page.Unlatch();
            old.Unlatch();
            page.Dispose();
        }
    }

    /// <summary>A new page at the end, empty, latched. Not logged: the first row's record makes it anew in redo.</summary>
    private PinnedPage NewPage()
    {
        PinnedPage page = engine.Buffers.PinNew(relation.Node, ForkNumber.Main);
        page.MarkDirty();
        page.Page.Initialize(0);
        return page;
    }
}
