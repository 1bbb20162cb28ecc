using System.Runtime.InteropServices;
using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Format.VisibilityMap;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Visibility;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Heap;

/// <summary>
/// What vacuum does to single pages: the first pass prunes, freezes, collects dead items and sets bits of the visibility map; the second makes dead items
/// unused (lazy_scan_prune, lazy_scan_noprune, lazy_vacuum_heap_page).
/// </summary>
internal sealed class HeapVacuumPages(
    StorageEngine engine, Relation relation, VisibilityMap visibility, HeapFreezing freezing, Lsn horizon, Xid freezeLimit, bool aggressive)
{
    private readonly List<HeapFreezePlan> _plans = [];
    private readonly List<ushort> _deadOnPage = [];

    public DeadItems Dead { get; } = new();
    public HeapFreezing Freezing => freezing;
    public uint Scanned { get; private set; }
    public long Live { get; private set; }
    public long Removed { get; private set; }
    public long RecentlyDead { get; private set; }
    public uint DeadPages { get; private set; }

    /// <summary>The pages up to the last one with rows.</summary>
    public uint LastNonempty { get; private set; }

    /// <summary>What a page turned out to be.</summary>
    private struct PageState
    {
        public bool HasRows;
        public bool AllVisible;
        public bool AllFrozen;
        public Xid Cutoff;
    }

    /// <summary>The first pass over one page. <paramref name="onePass"/>: without indexes dead items become unused at once.</summary>
    public void Scan(BlockNumber block, ref PinnedPage vm, FreeSpaceMap freeSpace, bool onePass)
    {
        Scanned++;
        visibility.Pin(block, ref vm);
        using PinnedPage page = engine.Buffers.Pin(new BufferTag(relation.Node, ForkNumber.Main, block));
        int room;
        if (!page.TryLatchForCleanup() && !TakeCleanup(page, block, out room))
        {
            freeSpace.Record(block, room);
            return;
        }

        bool hasDead;
        try
        {
            if (page.Page.IsNew || page.Page.IsEmpty)
            {
                room = page.Page.IsNew ? Page.Size - PageHeader.Size : HeapPage.FreeSpace(page.Page);
                hasDead = false;
            }
            else
            {
                hasDead = ScanLatched(page, vm, onePass);
                room = HeapPage.FreeSpace(page.Page);
            }
        }
        finally
        {
            page.Unlatch();
        }

        // Pages with dead items get their room noted by the second pass.
        if (!hasDead || onePass)
        {
            freeSpace.Record(block, room);
        }
    }

    /// <summary>The second pass: items whose index entries are gone become unused.</summary>
    public void MakeUnused(FreeSpaceMap freeSpace)
    {
        PinnedPage vm = default;
        try
        {
            for (int i = 0; i < Dead.Count;)
            {
                BlockNumber block = Dead[i].Block;
                _deadOnPage.Clear();
                for (; i < Dead.Count && Dead[i].Block == block; i++)
                {
                    _deadOnPage.Add(Dead[i].Offset);
                }

                visibility.Pin(block, ref vm);
                using PinnedPage page = engine.Buffers.Pin(new BufferTag(relation.Node, ForkNumber.Main, block));
                int room;
                using (page.LatchExclusive())
                {
                    MakeUnused(page, vm);
                    room = HeapPage.FreeSpace(page.Page);
                }

                freeSpace.Record(block, room);
            }
        }
        finally
        {
            if (vm.IsValid)
            {
                vm.Dispose();
            }
        }
    }

    /// <summary>
    /// Somebody has the page pinned. Without waiting one may look at it, unless rows must be frozen now. False: that was enough; true: latched for cleanup.
    /// </summary>
    private bool TakeCleanup(in PinnedPage page, BlockNumber block, out int room)
    {
        room = 0;
        Xid oldestXid = freezing.OldestXid;
        MultiXactId oldestMulti = freezing.OldestMulti;
        using (page.LatchShared())
        {
            bool mustFreeze = LookOnly(page, out PageState state);
            if (!mustFreeze || !aggressive)
            {
                LastNonempty = state.HasRows ? block.Value + 1 : LastNonempty;
                AddDead(block);
                room = page.Page.IsNew ? Page.Size - PageHeader.Size : HeapPage.FreeSpace(page.Page);
                return false;
            }
        }

        freezing.OldestXid = oldestXid;
        freezing.OldestMulti = oldestMulti;
        page.LatchForCleanup();
        return true;
    }

    /// <summary>Counts rows and dead items; tells whether something should be frozen.</summary>
    private bool LookOnly(in PinnedPage pinned, out PageState state)
    {
        state = default;
        _deadOnPage.Clear();
        Page page = pinned.Page;
        bool mustFreeze = false;
        var context = new VisibilityContext(engine, pinned);
        for (int item = 1; !page.IsNew && item <= page.ItemCount; item++)
        {
            ItemId id = page.Item(item);
            if (id.IsDead)
            {
                _deadOnPage.Add((ushort)item);
            }

            state.HasRows |= id.IsRedirected || id.IsNormal;
            if (!id.IsNormal)
            {
                continue;
            }

            ref HeapTupleHeader row = ref HeapTupleCodec.Header(page.ItemBytes(item));
            mustFreeze |= freezing.NoteUntouched(row);
            Count(HeapVisibility.SatisfiesVacuum(ref context, ref row, horizon));
        }

        return mustFreeze;
    }

    /// <summary>Prunes, freezes and judges a page that is latched for cleanup; tells whether dead items are left.</summary>
    private bool ScanLatched(in PinnedPage page, in PinnedPage vm, bool onePass)
    {
        Removed += HeapPruning.Prune(engine, page, horizon, out _);
        PageState state;
        while (!TryJudge(page, out state))
        {
            // A transaction aborted between pruning and here: its rows are dead now.
            Removed += HeapPruning.Prune(engine, page, horizon, out _);
        }

        Freeze(page);
        LastNonempty = state.HasRows ? page.Block.Value + 1 : LastNonempty;
        bool hasDead = _deadOnPage.Count > 0;
        if (hasDead && onePass)
        {
            MakeUnused(page, vm);
            return true;
        }

        AddDead(page.Block);
        SetVisibility(page, vm, state, hasDead);
        return hasDead;
    }

    private bool TryJudge(in PinnedPage pinned, out PageState state)
    {
        state = new PageState { AllVisible = true, AllFrozen = true };
        _plans.Clear();
        _deadOnPage.Clear();
        Page page = pinned.Page;
        Xid oldestXid = freezing.OldestXid;
        MultiXactId oldestMulti = freezing.OldestMulti;
        long live = Live;
        long recentlyDead = RecentlyDead;
        var context = new VisibilityContext(engine, pinned);
        for (int item = 1; item <= page.ItemCount; item++)
        {
            ItemId id = page.Item(item);
            if (id.IsDead)
            {
                _deadOnPage.Add((ushort)item);
                state.AllVisible = false;
            }

            state.HasRows |= id.IsRedirected || id.IsNormal;
            if (!id.IsNormal)
            {
                continue;
            }

            ref HeapTupleHeader row = ref HeapTupleCodec.Header(page.ItemBytes(item));
            TupleVacuumState found = HeapVisibility.SatisfiesVacuum(ref context, ref row, horizon);
            if (found == TupleVacuumState.Dead)
            {
                freezing.OldestXid = oldestXid;
                freezing.OldestMulti = oldestMulti;
                Live = live;
                RecentlyDead = recentlyDead;
                return false;
            }

            Count(found);
            NoteVisible(ref context, row, found, ref state);
            if (freezing.Plan(row, (ushort)item, out bool frozen) is { } plan)
            {
                _plans.Add(plan);
            }

            state.AllFrozen &= frozen;
        }

        return true;
    }

    private void Count(TupleVacuumState state)
    {
        Live += state is TupleVacuumState.Live or TupleVacuumState.DeleteInProgress ? 1 : 0;
        RecentlyDead += state == TupleVacuumState.RecentlyDead ? 1 : 0;
    }

    /// <summary>A page is all-visible when each row's inserter committed at or before H, and the row says so itself (a hint means: durable).</summary>
    private void NoteVisible(ref VisibilityContext context, in HeapTupleHeader row, TupleVacuumState found, ref PageState state)
    {
        if (found != TupleVacuumState.Live || !row.XminCommitted || !HeapVisibility.InsertIsVisibleToAll(ref context, row, horizon))
        {
            state.AllVisible = false;
            return;
        }

        Xid xmin = row.Xmin;
        if (xmin.IsNormal && (!state.Cutoff.IsValid || xmin.Follows(state.Cutoff)))
        {
            state.Cutoff = xmin;
        }
    }

    private void AddDead(BlockNumber block)
    {
        DeadPages += _deadOnPage.Count > 0 ? 1u : 0u;
        foreach (ushort item in _deadOnPage)
        {
            Dead.Add(new Tid(block, item));
        }
    }

    private unsafe void Freeze(in PinnedPage page)
    {
        if (_plans.Count == 0)
        {
            return;
        }

        Span<byte> data = stackalloc byte[_plans.Count * HeapFreezePlan.Size];
        for (int i = 0; i < _plans.Count; i++)
        {
            _plans[i].Write(data[(i * HeapFreezePlan.Size)..]);
        }

        Span<byte> body = stackalloc byte[HeapFreezePageRecord.Size];
        new HeapFreezePageRecord(freezeLimit, (ushort)_plans.Count).Write(body);
        try
        {
            using (Invariant.EnterCritical())
            {
                page.MarkDirty();
                foreach (HeapFreezePlan plan in _plans)
                {
                    HeapRow.Freeze(ref HeapTupleCodec.Header(page.Page.ItemBytes(plan.Offset)), plan);
                }

                WalRecordBuilder record = engine.WritableWal.Begin(Xid.Invalid).AddData(body);
                record.AddBlock(0, page.Tag, page.Pointer, WalBlockFlags.Standard).AddBlockData(0, data);
                HeapLog.End(engine, record, Rmgr.Heap2, (byte)Heap2Op.FreezePage, page);
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
    }

    private void SetVisibility(in PinnedPage page, PinnedPage vm, in PageState state, bool hasDead)
    {
        VisibilityBits now = visibility.Get(page.Block, ref vm);
        if (state.AllVisible)
        {
            VisibilityBits wanted = state.AllFrozen ? VisibilityBits.Both : VisibilityBits.AllVisible;
            if ((now & wanted) != wanted)
            {
                page.Page.SetAllVisible(true);
                Xid cutoff = (now & VisibilityBits.AllVisible) != 0 ? Xid.Invalid : state.Cutoff;
                visibility.Set(page.Block, page, vm, cutoff, wanted);
            }
        }
        else if ((now != VisibilityBits.None && !page.Page.IsAllVisible) || (hasDead && page.Page.IsAllVisible))
        {
            // Neither can be: a set bit over a page that is not all-visible, a dead item on one that is. Clearing is always right.
            page.MarkDirty();
            page.Page.SetAllVisible(false);
            VisibilityMap.Clear(page.Block, vm, VisibilityBits.Both);
        }
    }

    /// <summary>Makes the page's dead items unused and looks whether it is all-visible now; the page is latched exclusively.</summary>
    private unsafe void MakeUnused(in PinnedPage page, in PinnedPage vm)
    {
        ReadOnlySpan<ushort> items = CollectionsMarshal.AsSpan(_deadOnPage);
        Span<byte> body = stackalloc byte[HeapVacuumRecord.Size];
        new HeapVacuumRecord((ushort)items.Length).Write(body);
        try
        {
            using (Invariant.EnterCritical())
            {
                page.MarkDirty();
                foreach (ushort item in items)
                {
                    Invariant.Check(page.Page.Item(item).IsDead, "vacuum", $"item {item} of {page.Tag} is not dead");
                    page.Page.Item(item) = default;
                }

                HeapPage.TruncateItems(page.Page);
                WalRecordBuilder record = engine.WritableWal.Begin(Xid.Invalid).AddData(body);
                record.AddBlock(0, page.Tag, page.Pointer, WalBlockFlags.Standard).AddBlockData(0, MemoryMarshal.AsBytes(items));
                HeapLog.End(engine, record, Rmgr.Heap2, (byte)Heap2Op.Vacuum, page);
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }

        PageState state = JudgeAgain(page);
        SetVisibility(page, vm, state, hasDead: false);
    }

    /// <summary>Whether a page is all-visible, without pruning or freezing (heap_page_is_all_visible).</summary>
    private PageState JudgeAgain(in PinnedPage pinned)
    {
        var state = new PageState { AllVisible = true, AllFrozen = true };
        Page page = pinned.Page;
        var context = new VisibilityContext(engine, pinned);
        for (int item = 1; item <= page.ItemCount && state.AllVisible; item++)
        {
            ItemId id = page.Item(item);
            state.AllVisible &= !id.IsDead;
            if (id.IsNormal)
            {
                ref HeapTupleHeader row = ref HeapTupleCodec.Header(page.ItemBytes(item));
                NoteVisible(ref context, row, HeapVisibility.SatisfiesVacuum(ref context, ref row, horizon), ref state);
                state.AllFrozen &= !row.Xmin.IsNormal && (row.XmaxIsMulti ? row.RawXmax == 0 : !row.Xmax.IsNormal);
            }
        }

        return state;
    }
}
