using SharedStorage.Buffers.LogIndex;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>What checkpoints and the steady flush ask of the pool.</summary>
public sealed unsafe partial class BufferPool
{
    /// <summary>While pages are held back, the gate is asked again this often even if nobody tells that it moved.</summary>
    private static readonly TimeSpan GatePoll = TimeSpan.FromMilliseconds(100);

    private readonly object _gateSignal = new();

    /// <summary>
    /// All changes before this are durable in data files: the pool's part of <c>consistent</c>. It may fall back between two calls (a mark is set a little early), so the
    /// caller announces the highest it has had.
    /// </summary>
    public Lsn OldestChangeNotDurable()
    {
        // Captured before the scan: a frame that is marked behind the scan's back has its record at or after this.
        Lsn oldest = Log.Inserted;

        // A change goes from the index to a frame, to a copy, to the files, to the sync; it is seen at least once if the places are looked at in that order.
        if (_index.PageCount > 0)
        {
            oldest = Lsn.Min(oldest, _index.CutPoint);
        }

        lock (_marksGoBack)
        {
            foreach (Frame frame in _frames)
            {
                ulong dirty = frame.RecLsn;
                ulong writing = frame.WritingRecLsn;
                oldest = dirty == 0 ? oldest : Lsn.Min(oldest, new Lsn(dirty));
                oldest = writing == 0 ? oldest : Lsn.Min(oldest, new Lsn(writing));
            }
        }

        oldest = Lsn.Min(oldest, _frozen.OldestChange);
        lock (_unsyncedLock)
        {
            return Lsn.Min(oldest, Lsn.Min(_unsynced, _syncing));
        }
    }

    /// <summary>
    /// Writes and syncs all changes before <paramref name="redo"/>: a checkpoint's part of the work. Pages ahead of a reader are frozen, and their copies written when the gate
    /// lets them. What recovery or promotion left to redo is redone first (R3).
    /// </summary>
    /// <param name="redo">The checkpoint's redo position, chosen and published before.</param>
    /// <param name="pace">Called after each page with how many are done and how many there are; it may wait, to spread the work.</param>
    /// <param name="cancel">Ends the wait for readers (shutdown, fencing).</param>
    /// <exception cref="StorageException">A write or sync failed, or the writer is fenced: no checkpoint record may follow.</exception>
    public void FlushAllBefore(Lsn redo, Action<int, int>? pace = null, CancellationToken cancel = default)
    {
        RedoAllPending();
        List<(BufferTag Tag, Frame Frame)> dirty = DirtyPages(redo);
        var later = new List<(BufferTag Tag, Frame Frame)>();
        for (int i = 0; i < dirty.Count; i++)
        {
            cancel.ThrowIfCancellationRequested();
            if (!FlushOne(dirty[i].Tag, dirty[i].Frame, WriteMode.Try))
            {
                later.Add(dirty[i]);
            }

            pace?.Invoke(i + 1, dirty.Count);
        }

        FlushHeldBack(later, redo, cancel);
        SyncWritten();
    }

    /// <summary>
    /// Writes pages whose oldest change is before a position, at most so many, going round the pool; frozen copies that may go by now go first. The steady flush.
    /// Not synced. Gives how many pages were written or frozen.
    /// </summary>
    public int FlushSome(Lsn changedBefore, int limit)
    {
        int done = WriteFrozen();
        for (int i = 0; i < _frames.Length && done < limit; i++)
        {
            Frame frame = _frames[_flushHand++ % (uint)_frames.Length];
            ulong recLsn = frame.RecLsn;
            if (recLsn == 0 || recLsn >= changedBefore.Value || !frame.TryPin())
            {
                continue;
            }

            try
            {
                done += WriteFrame(frame, WriteMode.Try) is WriteOutcome.Written or WriteOutcome.Frozen ? 1 : 0;
            }
            finally
            {
                frame.Unpin();
            }
        }

        return done;
    }

    private uint _flushHand;

    /// <summary>Whether anything is dirty, held back or not yet synced: an idle writer's flusher rests when nothing is.</summary>
    public bool HasUnflushed => _frozen.Count > 0 || _unsynced != Lsn.Max || Array.Exists(_frames, f => f.IsDirty);

    /// <summary>Writes and syncs all pages of a relation now (bulk builds that skip the log do so before commit); passes the flush gate.</summary>
    public void FlushRelation(RelFileNode rel)
    {
        var pages = new List<(BufferTag Tag, Frame Frame)>();
        foreach (Frame frame in _frames)
        {
            if (frame.IsDirty && frame.Tag.Rel == rel)
            {
                pages.Add((frame.Tag, frame));
            }
        }

        FlushHeldBack(pages, Lsn.Invalid, CancellationToken.None);
        WaitForGate(() => !HasFrozen(rel), CancellationToken.None);
        SyncWritten();
    }

    /// <summary>
    /// Cuts files where the log cut them, and brings forward every page that still has entries from recovery or promotion (R3). It may run beside sessions; afterwards the
    /// index is empty.
    /// </summary>
    public void RedoAllPending()
    {
        if (!_writing)
        {
            return;
        }

        CutFiles();
        if (_index.PageCount == 0)
        {
            return;
        }

        var pending = new List<PendingPage>();
        foreach (PendingPage page in _index.Pages())
        {
            BufferTag tag = page.Tag;
            bool gone = _forks.Get(tag.Rel, ForkNumber.Main).Dropped.IsValid && !_files.Exists(tag.Rel, ForkNumber.Main);
            if (gone || tag.Block.Value >= BlockCount(tag.Rel, tag.Fork))
            {
                _index.MarkDone(tag, tag.GetHashCode());
            }
            else
            {
                pending.Add(page);
            }
        }

        BringForward(pending, CancellationToken.None);
        foreach (BufferTag tag in pending.Select(static p => p.Tag))
        {
            Invariant.Check(
                tag.Block.Value >= BlockCount(tag.Rel, tag.Fork) || !_index.Contains(tag, tag.GetHashCode()), "R3", "a page that was brought forward on a writer still has entries to redo");
        }

        _index.DropDoneRuns();
    }

    private List<(BufferTag Tag, Frame Frame)> DirtyPages(Lsn before)
    {
        var dirty = new List<(BufferTag Tag, Frame Frame)>();
        foreach (Frame frame in _frames)
        {
            if ((frame.RecLsn != 0 && frame.RecLsn < before.Value) || frame.WritingRecLsn != 0)
            {
                dirty.Add((frame.Tag, frame));
            }
        }

        // By file and block: neighbours go to storage together.
        dirty.Sort(static (a, b) => Order(a.Tag, b.Tag));
        return dirty;
    }

    /// <summary>Writes or freezes a page if it is still what it was. False: it must be tried again, with waiting.</summary>
    private bool FlushOne(in BufferTag tag, Frame frame, WriteMode mode)
    {
        if (!frame.TryPin())
        {
            // Being evicted, which takes a clean frame: someone else has written it. A free one is clean too.
            return true;
        }

        try
        {
            return frame.Tag != tag || WriteFrame(frame, mode) is WriteOutcome.Clean or WriteOutcome.Written or WriteOutcome.Frozen;
        }
        finally
        {
            frame.Unpin();
        }
    }

    private void FlushHeldBack(List<(BufferTag Tag, Frame Frame)> pages, Lsn redo, CancellationToken cancel)
    {
        while (pages.Count > 0)
        {
            WriteFrozen();
            pages.RemoveAll(p => FlushOne(p.Tag, p.Frame, WriteMode.Wait));
            if (pages.Count > 0)
            {
                WaitForGateOnce(cancel);
            }
        }

        WaitForGate(() => _frozen.OldestChange >= redo, cancel);
    }

    private void WaitForGate(Func<bool> done, CancellationToken cancel)
    {
        while (true)
        {
            WriteFrozen();
            if (done())
            {
                return;
            }

            WaitForGateOnce(cancel);
        }
    }

    private void WaitForGateOnce(CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        lock (_gateSignal)
        {
            Monitor.Wait(_gateSignal, GatePoll);
        }
    }

    private bool HasFrozen(RelFileNode rel)
    {
        var tags = new List<BufferTag>();
        _frozen.CollectOf(rel, null, 0, tags);
        return tags.Count > 0;
    }

    private static int Order(in BufferTag a, in BufferTag b)
    {
        int c = a.Rel.Tablespace.CompareTo(b.Rel.Tablespace);
        c = c != 0 ? c : a.Rel.Database.CompareTo(b.Rel.Database);
        c = c != 0 ? c : a.Rel.Relation.CompareTo(b.Rel.Relation);
        c = c != 0 ? c : a.Fork.CompareTo(b.Fork);
        return c != 0 ? c : a.Block.CompareTo(b.Block);
    }
}
