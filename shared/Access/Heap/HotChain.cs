using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Visibility;

namespace SharedStorage.Access.Heap;

/// <summary>
/// Walks the versions of a row on one page, from the item that indexes know to the version that counts (heap_hot_search_buffer). The page is latched.
/// </summary>
internal static class HotChain
{
    /// <summary>The version that the snapshot sees.</summary>
    public static bool TryFind(StorageEngine engine, in PinnedPage page, ref Tid tid, Snapshot snapshot, out bool allDead)
    {
        var context = new VisibilityContext(engine, page);
        var walk = new Walk(page.Page, tid.Offset);
        allDead = engine.Buffers.CanWrite;
        Lsn horizon = Lsn.Invalid;
        while (walk.MoveNext(engine))
        {
            ref HeapTupleHeader row = ref HeapTupleCodec.Header(page.Page.ItemBytes(walk.Item));
            if (HeapVisibility.IsVisible(ref context, ref row, snapshot))
            {
                tid = new Tid(tid.Block, walk.Item);
                allDead = false;
                return true;
            }

            allDead = allDead && IsDead(engine, ref context, ref row, ref horizon);
        }

        return false;
    }

    /// <summary>The version that counts now, changes under way included (SnapshotDirty).</summary>
    public static bool TryFindDirty(StorageEngine engine, in PinnedPage page, ref Tid tid, Transaction? own, out DirtyConflict conflict, out bool allDead)
    {
        conflict = default;
        var context = new VisibilityContext(engine, page);
        var walk = new Walk(page.Page, tid.Offset);
        allDead = engine.Buffers.CanWrite;
        Lsn horizon = Lsn.Invalid;
        while (walk.MoveNext(engine))
        {
            ref HeapTupleHeader row = ref HeapTupleCodec.Header(page.Page.ItemBytes(walk.Item));
            if (HeapVisibility.SatisfiesDirty(ref context, ref row, own, out conflict))
            {
                tid = new Tid(tid.Block, walk.Item);
                allDead = false;
                return true;
            }

            allDead = allDead && IsDead(engine, ref context, ref row, ref horizon);
        }

        return false;
    }

    private static bool IsDead(StorageEngine engine, ref VisibilityContext context, ref HeapTupleHeader row, ref Lsn horizon)
    {
        // Asking for the horizon looks at all sessions: only once a version is found that is not seen.
        if (!horizon.IsValid)
        {
            horizon = engine.Transactions.Horizon;
        }

        return HeapVisibility.SatisfiesVacuum(ref context, ref row, horizon) == TupleVacuumState.Dead;
    }

    /// <summary>The chain's items one after the other. Links to items that are another row's by now end it.</summary>
    private ref struct Walk(Page page, ushort first)
    {
        private readonly Page _page = page;
        private ushort _next = first;
        private Xid _prior;
        private bool _started;

        public ushort Item { get; private set; }

        public bool MoveNext(StorageEngine engine)
        {
            if (_next < 1 || _next > _page.ItemCount)
            {
                return false;
            }

            ItemId id = _page.Item(_next);
            if (!_started && id.IsRedirected)
            {
                _next = id.RedirectTarget;
                _started = true;
                if (_next < 1 || _next > _page.ItemCount)
                {
                    return false;
                }

                id = _page.Item(_next);
            }
            else if (!_started && id.IsNormal && HeapTupleCodec.ReadHeader(_page.ItemBytes(_next)).IsHeapOnly)
            {
                // An index knows the root only: the item was used again.
                return false;
            }

            if (!id.IsNormal)
            {
                return false;
            }

            _started = true;
            Item = _next;
            ref readonly HeapTupleHeader row = ref HeapTupleCodec.ReadHeader(_page.ItemBytes(Item));
            if (_prior.IsValid && row.Xmin != _prior)
            {
                return false;
            }

            if (row.IsHotUpdated)
            {
                _next = row.Ctid.Offset;
                _prior = row.XmaxIsMulti ? engine.Transactions.MultiXacts.GetUpdater(new MultiXactId(row.RawXmax)) : row.Xmax;
            }
            else
            {
                _next = 0;
            }

            return true;
        }
    }
}
