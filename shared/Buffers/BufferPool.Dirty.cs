using SharedStorage.Buffers.LogIndex;
using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>The writer's changes of pages: dirty marks, hints, new pages, discarded pages.</summary>
public sealed unsafe partial class BufferPool
{
    /// <summary>The file grows by an eighth of its size at a time, up to so many blocks: fewer calls, and larger extents.</summary>
    private const uint MaxGrowth = 32;

    [ThreadStatic] private static AlignedBuffer? _scratch;

    /// <summary>This thread's page for copies that are written or logged.</summary>
    private static byte* Scratch => (_scratch ??= new AlignedBuffer(Page.Size)).Pointer;

    private IBufferLog Log => _log ?? throw new InvariantException("I4", "a node that applies has no log to write");

    internal void MarkDirty(Frame frame)
    {
        Invariant.Check(!frame.IsImmutable, "R9", "a version of a page on a node that applies was changed");
        Invariant.Check(frame.IsLatchedExclusively, "latch", "a page is marked dirty without its exclusive latch");

        // The record that follows begins at or after this position, so the mark is never later than the change.
        frame.NoteDirty(Log.Reserved);
    }

    internal void MarkDirtyHint(Frame frame, bool standardLayout)
    {
        if (frame.IsImmutable || !_writing || !_frozen.HasRoom)
        {
            return;
        }

        Invariant.Check(frame.IsLatched, "latch", "a hint is marked without a latch");
        IBufferLog log = Log;

        // Marked first, image second: a checkpoint whose redo lies in between either writes this page, or is seen here as the redo pointer.
        if (!frame.TryNoteDirty(log.Reserved))
        {
            return;
        }

        frame.LockHeader();
        Lsn before = frame.Page.Lsn;
        if (before > log.RedoPointer)
        {
            frame.UnlockHeader();
            return;
        }

        // A private copy: others may set hints under their shared latches meanwhile.
        byte* copy = Scratch;
        new ReadOnlySpan<byte>(frame.Pointer, Page.Size).CopyTo(new Span<byte>(copy, Page.Size));
        frame.UnlockHeader();
        Lsn end = log.InsertHintImage(frame.Tag, copy, standardLayout);
        Interlocked.Increment(ref _hintImages);
        frame.LockHeader();
        Page page = frame.Page;
        if (page.Lsn < end)
        {
            page.Lsn = end;
        }

        frame.UnlockHeader();
    }

    /// <summary>Adds a zero page at the end of the fork (writer only); pinned and latched exclusively. The fork's file is made when there is none.</summary>
    /// <exception cref="PgException">53100: the disk is full; nothing has changed.</exception>
    public PinnedPage PinNew(RelFileNode rel, ForkNumber fork)
    {
        Invariant.Check(_writing, "I4", "a node that applies was asked for a new page");
        ForkInfo info = _forks.Get(rel, fork);
        if (!info.IsKnown)
        {
            _forks.Learn(info);
        }

        // The frame first: getting one may write pages and wait, which is not to be done under the extension lock.
        Frame frame = TakeFrame();
        lock (info.Extension)
        {
            BufferTag tag = new(rel, fork, new BlockNumber(info.Blocks));
            try
            {
                CutFile(info);
                if (info.Blocks >= info.DiskBlocks)
                {
                    info.DiskBlocks = info.Blocks + Grow(rel, fork, info.Blocks);
                }

                bool isNew = _table.TryInsert(frame, tag, tag.GetHashCode(), FrameFlags.None);
                Invariant.Check(isNew, "R1", "a page past the end of a fork is in the pool");
            }
            catch
            {
                Free(frame);
                throw;
            }

            new Span<byte>(frame.Pointer, Page.Size).Clear();
            frame.Latch(LatchMode.Exclusive);
            frame.EndLoad(valid: true);
            info.SetBlocks(info.Blocks + 1);
        }

        return new PinnedPage(frame);
    }

    /// <summary>Makes room at the end of a fork; gives for how many blocks. The last room of a disk is used up block by block.</summary>
    private uint Grow(RelFileNode rel, ForkNumber fork, uint blocks)
    {
        uint growth = Math.Clamp(blocks / 8, 1, MaxGrowth);
        try
        {
            _files.Extend(rel, fork, blocks, growth);
            return growth;
        }
        catch (PgException e) when (growth > 1 && e.SqlState == SqlStates.DiskFull)
        {
            _files.Extend(rel, fork, blocks, 1);
            return 1;
        }
    }

    /// <summary>
    /// Forgets the pages at and after <paramref name="firstBlock"/> without writing them (truncate, drop), and makes that the fork's size. When it returns, no write of them is
    /// under way and none will come. A version that somebody still has pinned lives on until it is let go.
    /// </summary>
    public void Discard(RelFileNode rel, ForkNumber fork, uint firstBlock)
    {
        ForkInfo info = _forks.Get(rel, fork);
        lock (info.Extension)
        {
            info.SetBlocks(info.IsKnown ? Math.Min(info.Blocks, firstBlock) : firstBlock);
            info.SetKnown(true);
            info.DiskBlocks = Math.Min(info.DiskBlocks, firstBlock);
        }

        DropFrames(rel, fork, firstBlock);
    }

    /// <summary>Forgets all that is known of a relation: its pages, sizes and open files. After its files were removed (I5), or were changed behind the pool.</summary>
    public void Forget(RelFileNode rel)
    {
        DropFrames(rel, null, 0);
        _forks.Forget(rel);
        _files.Forget(rel);
    }

    private void DropFrames(RelFileNode rel, ForkNumber? fork, uint firstBlock)
    {
        foreach (Frame frame in _frames)
        {
            // A racy look; what matters is checked under the pin. Pages of the range are not brought in meanwhile: the caller has the relation to itself.
            if (frame.Tag.Rel != rel || (fork is not null && frame.Tag.Fork != fork) || frame.Tag.Block.Value < firstBlock || !frame.TryPin())
            {
                continue;
            }

            BufferTag tag = frame.Tag;
            if (tag.Rel == rel && (fork is null || tag.Fork == fork) && tag.Block.Value >= firstBlock && (frame.Flags & FrameFlags.Detached) == 0)
            {
                lock (TokenOf(tag))
                {
                    if (_table.Remove(frame, tag.GetHashCode()))
                    {
                        frame.ForgetDirty();
                        frame.Set(FrameFlags.Detached);
                    }
                }
            }

            frame.Unpin();
        }

        if (_writing && _index.PageCount > 0)
        {
            // What was left to redo is void with the pages; the path may be used anew.
            foreach (PendingPage pending in _index.Pages())
            {
                BufferTag tag = pending.Tag;
                if (tag.Rel == rel && (fork is null || tag.Fork == fork) && tag.Block.Value >= firstBlock)
                {
                    _index.MarkDone(tag, tag.GetHashCode());
                }
            }
        }

        var copies = new List<BufferTag>();
        _written?.Forget(rel, fork, firstBlock);
        _frozen.CollectOf(rel, fork, firstBlock, copies);
        foreach (BufferTag tag in copies)
        {
            lock (TokenOf(tag))
            {
                _frozen.RemoveAll(tag);
            }
        }
    }
}
