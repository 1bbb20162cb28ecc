using System.Runtime.InteropServices;
using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Visibility;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Heap;

/// <summary>
/// Removing versions that nobody sees from a page (PostgreSQL's pruneheap.c): HOT chains become shorter, their root item a redirect or dead. A version goes only
/// when its deleter committed at or before H (I7, R5).
/// </summary>
public sealed class HeapPruning
{
    // One per session thread: what is found out about a page.
    [ThreadStatic] private static HeapPruning? _own;

    private readonly TupleVacuumState[] _states = new TupleVacuumState[HeapPage.MaxItems + 1];
    private readonly bool[] _done = new bool[HeapPage.MaxItems + 1];
    private readonly ushort[] _chain = new ushort[HeapPage.MaxItems];
    private readonly List<ushort> _redirected = [];
    private readonly List<ushort> _dead = [];
    private readonly List<ushort> _unused = [];
    private Xid _latestRemoved;
    private Xid _prunable;

    private HeapPruning()
    {
    }

    /// <summary>
    /// Prunes the page if a deleter has ended, room is short and nobody else has it pinned; never waits (heap_page_prune_opt). The page is pinned and not
    /// latched. Nothing happens on a reader.
    /// </summary>
    public static void PruneIfWorthIt(StorageEngine engine, Relation relation, in PinnedPage page)
    {
        var prunable = new Xid(page.Page.Header.PruneXid);

        // The inserting end is there last: in the middle of a promotion the pool writes already, and transactions have no log yet.
        if (!prunable.IsValid || !engine.Buffers.CanWrite || engine.Wal is null || !engine.Buffers.HasRoomForChanges)
        {
            return;
        }

        // Looked at without the latch: a wrong answer costs a visit too many or too few.
        int wanted = Math.Max(Page.Size * (100 - relation.FillFactor) / 100, Page.Size / 10);
        if (!IsShort(page.Page, wanted) || engine.Transactions.IsInProgress(prunable))
        {
            return;
        }

        Lsn horizon = engine.Transactions.Horizon;
        if (engine.Transactions.DidCommit(prunable) && !engine.Transactions.IsCommittedForAll(prunable, horizon))
        {
            return;
        }

        if (!page.TryLatchForCleanup())
        {
            return;
        }

        try
        {
            if (IsShort(page.Page, wanted))
            {
                int removed = Prune(engine, page, horizon, out int newDead);
                if (removed > newDead)
                {
                    engine.Transactions.Counters.Find(relation.LockDatabase, relation.Id)?.Pruned(removed - newDead);
                }
            }
        }
        finally
        {
            page.Unlatch();
        }
    }

    /// <summary>Prunes a page that is latched for cleanup; gives the number of versions removed. <paramref name="newDead"/>: items that are dead now.</summary>
    public static int Prune(StorageEngine engine, in PinnedPage page, Lsn horizon, out int newDead)
    {
        HeapPruning own = _own ??= new HeapPruning();
        int removed = own.Plan(engine, page, horizon);
        newDead = own._dead.Count;
        own.Execute(engine, page);
        return removed;
    }

    private static bool IsShort(Page page, int wanted) => (page.Header.Flags & PageFlags.PageFull) != 0 || HeapPage.FreeSpace(page) < wanted;

    private int Plan(StorageEngine engine, in PinnedPage pinned, Lsn horizon)
    {
        Page page = pinned.Page;
        int items = page.ItemCount;
        _redirected.Clear();
        _dead.Clear();
        _unused.Clear();
        _latestRemoved = _prunable = Xid.Invalid;
        Array.Clear(_done, 0, items + 1);

        // Each version is judged once: a transaction may end meanwhile, and two answers would tear a chain.
        var context = new VisibilityContext(engine, pinned);
        for (int item = items; item >= 1; item--)
        {
            if (page.Item(item).IsNormal)
            {
                _states[item] = HeapVisibility.SatisfiesVacuum(ref context, ref HeapTupleCodec.Header(page.ItemBytes(item)), horizon);
            }
        }

        int removed = 0;
        for (int item = 1; item <= items; item++)
        {
            if (!_done[item] && (page.Item(item).IsNormal || page.Item(item).IsRedirected))
            {
                removed += PlanChain(engine, page, (ushort)item);
            }
        }

        return removed;
    }

    private int PlanChain(StorageEngine engine, Page page, ushort root)
    {
        ItemId rootId = page.Item(root);
        if (rootId.IsNormal)
        {
            ref readonly HeapTupleHeader row = ref HeapTupleCodec.ReadHeader(page.ItemBytes(root));
            if (row.IsHeapOnly)
            {
                // Reached by a chain or, when its update aborted, by none.
                if (_states[root] == TupleVacuumState.Dead && !row.IsHotUpdated)
                {
                    RecordUnused(root);
                    NoteRemoved(engine, row);
                    return 1;
                }

                return 0;
            }
        }

        int length = Follow(engine, page, root, out ushort latestDead);
        if (latestDead == 0)
        {
            if (length < 2 && rootId.IsRedirected)
            {
                // Its target went as a chain of its own: nothing is left to point to.
                RecordDead(root);
            }

            return 0;
        }

        int removed = 0;
        int i = 1;
        for (; i < length && _chain[i - 1] != latestDead; i++)
        {
            RecordUnused(_chain[i]);
            removed++;
        }

        removed += rootId.IsNormal ? 1 : 0;
        if (i >= length)
        {
            RecordDead(root);
        }
        else
        {
            _redirected.Add(root);
            _redirected.Add(_chain[i]);
            _done[root] = _done[_chain[i]] = true;
        }

        return removed;
    }

    /// <summary>Walks a chain as far as versions are dead or about to be; gives its length and the last dead version.</summary>
    private int Follow(StorageEngine engine, Page page, ushort root, out ushort latestDead)
    {
        latestDead = 0;
        int length = 0;
        Xid prior = Xid.Invalid;
        for (ushort item = root; item >= 1 && item <= page.ItemCount && !_done[item];)
        {
            ItemId id = page.Item(item);
            if (id.IsRedirected && length == 0)
            {
                _chain[length++] = item;
                item = id.RedirectTarget;
                continue;
            }

            if (!id.IsNormal)
            {
                break;
            }

            ref readonly HeapTupleHeader row = ref HeapTupleCodec.ReadHeader(page.ItemBytes(item));
            if (prior.IsValid && row.Xmin != prior)
            {
                break;
            }

            _chain[length++] = item;
            TupleVacuumState state = _states[item];
            if (state is TupleVacuumState.RecentlyDead or TupleVacuumState.DeleteInProgress)
            {
                NotePrunable(UpdaterOf(engine, row));
            }

            if (state == TupleVacuumState.Dead)
            {
                latestDead = item;
                NoteRemoved(engine, row);
            }
            else if (state != TupleVacuumState.RecentlyDead)
            {
                break;
            }

            if (!row.IsHotUpdated)
            {
                break;
            }

            prior = UpdaterOf(engine, row);
            item = row.Ctid.Offset;
        }

        return length;
    }

    private void Execute(StorageEngine engine, in PinnedPage pinned)
    {
        Page page = pinned.Page;
        if (_redirected.Count + _dead.Count + _unused.Count == 0)
        {
            if (page.Header.PruneXid != _prunable.Value || (page.Header.Flags & PageFlags.PageFull) != 0)
            {
                page.Header.PruneXid = _prunable.Value;
                page.Header.Flags &= ~PageFlags.PageFull;
                pinned.MarkDirtyHint(standardLayout: true);
            }

            return;
        }

        ReadOnlySpan<ushort> redirected = CollectionsMarshal.AsSpan(_redirected);
        ReadOnlySpan<ushort> dead = CollectionsMarshal.AsSpan(_dead);
        ReadOnlySpan<ushort> unused = CollectionsMarshal.AsSpan(_unused);
        try
        {
            using (Invariant.EnterCritical())
            {
                pinned.MarkDirty();
                HeapPage.Prune(page, redirected, dead, unused);
                page.Header.PruneXid = _prunable.Value;
                page.Header.Flags &= ~PageFlags.PageFull;
                Log(engine, pinned, redirected, dead, unused);
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
    }

    private unsafe void Log(
        StorageEngine engine, in PinnedPage page, ReadOnlySpan<ushort> redirected, ReadOnlySpan<ushort> dead, ReadOnlySpan<ushort> unused)
    {
        Span<byte> body = stackalloc byte[HeapPruneRecord.Size];
        new HeapPruneRecord(_latestRemoved, (ushort)(redirected.Length / 2), (ushort)dead.Length).Write(body);
        WalRecordBuilder record = engine.WritableWal.Begin(Xid.Invalid).AddData(body);
        record.AddBlock(0, page.Tag, page.Pointer, WalBlockFlags.Standard);
        record.AddBlockData(0, MemoryMarshal.AsBytes(redirected));
        record.AddBlockData(0, MemoryMarshal.AsBytes(dead));
        record.AddBlockData(0, MemoryMarshal.AsBytes(unused));

        HeapLog.End(engine, record, Rmgr.Heap2, (byte)Heap2Op.Prune, page);
    }

    private void RecordDead(ushort item)
    {
        _dead.Add(item);
        _done[item] = true;
    }

    private void RecordUnused(ushort item)
    {
        _unused.Add(item);
        _done[item] = true;
    }

    private void NotePrunable(Xid xid)
    {
        if (!_prunable.IsValid || xid.Precedes(_prunable))
        {
            _prunable = xid;
        }
    }

    /// <summary>For stock standbys: queries that may still see what goes conflict with the newest xid among the removed (latestRemovedXid).</summary>
    private void NoteRemoved(StorageEngine engine, in HeapTupleHeader row)
    {
        Xid xmin = row.Xmin;
        Xid xmax = UpdaterOf(engine, row);
        bool committed = row.XminCommitted || (!row.XminInvalid && engine.Transactions.DidCommit(xmin));
        if (committed && xmax != xmin && xmax.Follows(_latestRemoved))
        {
            _latestRemoved = xmax;
        }
    }

    private static Xid UpdaterOf(StorageEngine engine, in HeapTupleHeader row) =>
        row.XmaxIsMulti && (row.InfoMask & HeapInfoMask.XmaxInvalid) == 0 && !row.XmaxIsLockedOnly
            ? engine.Transactions.MultiXacts.GetUpdater(new MultiXactId(row.RawXmax)) : row.Xmax;
}
