using SharedStorage.Buffers.LogIndex;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>
/// Versions of pages on a node that applies (R9), and the step from there to a writer's frames: in both cases a frame that is not current is copied into a new one that is
/// brought forward and takes its place; the old one goes with its last pin.
/// </summary>
public sealed unsafe partial class BufferPool
{
    /// <summary>A page with more new entries than this is read again, if storage has a part of them by now (R15).</summary>
    private const int ManyEntries = 48;

    /// <summary>One past the start of the last record that emptied pages: a frame with an older mark is looked at more closely.</summary>
    private ulong _lastEmptying;

    /// <summary>Notes that a record touches a page. By the one thread that tails, in log order, before it publishes the record as applied.</summary>
    /// <param name="initializes">The record makes the page whatever it was: an image to apply, or an init (WalBlock.ApplyImage or WillInit).</param>
    public void NoteRecord(in BufferTag tag, Lsn recordStart, bool initializes)
    {
        QueueRecord(tag, recordStart, initializes);
        NoteQueued();
    }

    /// <summary>As <see cref="NoteRecord"/>, but pins find it only after <see cref="NoteQueued"/>: many are noted at a lower cost together. True: the queue is full.</summary>
    public bool QueueRecord(in BufferTag tag, Lsn recordStart, bool initializes)
    {
        _forks.Get(tag.Rel, tag.Fork).Grow(tag.Block.Value + 1);
        return _index.Queue(tag, recordStart, initializes);
    }

    /// <summary>Notes what was queued. Before any of it is published as applied, and when the queue is full.</summary>
    /// <exception cref="StorageException">The index cannot be spilled.</exception>
    public void NoteQueued() => _index.AddQueued();

    /// <summary>Notes that a record makes a fork: what lay at its path before is void.</summary>
    public void NoteCreated(RelFileNode rel, ForkNumber fork, Lsn recordStart)
    {
        ForkInfo info = _forks.Get(rel, fork);
        info.Dropped = Lsn.Invalid;
        info.MadeByLog = true;
        Empty(info, 0, recordStart);
    }

    /// <summary>
    /// Notes that a record cuts a fork to a number of blocks. Map pages that the same record changes in part (the last one kept) are noted with <see cref="NoteRecord"/>.
    /// </summary>
    public void NoteTruncated(RelFileNode rel, ForkNumber fork, uint blocks, Lsn recordStart) => Empty(_forks.Get(rel, fork), blocks, recordStart);

    /// <summary>Notes that a record drops a relation. Its pages stay ordinary until its files go (R2): then call <see cref="Forget"/>.</summary>
    public void NoteDropped(RelFileNode rel, Lsn recordStart) => _forks.Get(rel, ForkNumber.Main).Dropped = recordStart;

    /// <summary>Notes that a record drops a database: all its relations in the tablespace go, as with <see cref="NoteDropped"/>.</summary>
    public void NoteDatabaseDropped(Oid tablespace, Oid database, Lsn recordStart)
    {
        foreach (ForkInfo info in _forks.OfDatabase(tablespace, database))
        {
            NoteDropped(info.Rel, recordStart);
        }
    }

    /// <summary>Whether the log makes the fork, and does not drop its relation afterwards.</summary>
    public bool IsMadeByLog(RelFileNode rel, ForkNumber fork) => _forks.Get(rel, fork).MadeByLog && !_forks.Get(rel, ForkNumber.Main).Dropped.IsValid;

    /// <summary>The forks of a database that the log makes, and whose relations it does not drop.</summary>
    public IEnumerable<(RelFileNode Rel, ForkNumber Fork)> ForksMadeByLog(Oid tablespace, Oid database) =>
        _forks.OfDatabase(tablespace, database).Where(f => IsMadeByLog(f.Rel, f.Fork)).Select(f => (f.Rel, f.Fork));

    /// <summary>The relations whose init fork the log makes, and which it does not drop (R16).</summary>
    public IEnumerable<RelFileNode> InitForksMadeByLog() => _forks.MadeByLog(ForkNumber.Init).Where(r => !_forks.Get(r, ForkNumber.Main).Dropped.IsValid);

    /// <summary>Forgets all pages and files of a database whose folder is gone.</summary>
    public void ForgetDatabase(Oid tablespace, Oid database)
    {
        foreach (RelFileNode rel in _forks.OfDatabase(tablespace, database).Select(f => f.Rel).Distinct().ToArray())
        {
            for (ForkNumber fork = ForkNumber.Main; fork <= ForkNumber.Init; fork++)
            {
                Discard(rel, fork, 0);
            }

            Forget(rel);
        }
    }

    /// <summary>Forgets entries before a position at or before both <c>consistent</c> and <c>applied</c> (I3, R6). By the thread that tails.</summary>
    public void CutIndex(Lsn before)
    {
        Invariant.Check(!_writing, "R6", "the index of a writer is emptied by redoing, not by cutting");
        before = Lsn.Min(before, Lsn.Min(_options.Consistent.Value, _options.Applied.Value));
        _index.Cut(before);
        _forks.Cut(before);
    }

    private void Empty(ForkInfo info, uint blocks, Lsn recordStart)
    {
        info.Empty(blocks, recordStart);
        Volatile.Write(ref _lastEmptying, recordStart.Value + 1);
    }

    /// <summary>A pinned frame that may be behind: the frame that is current, pinned, or null to look again. The pin that was given is used up when another frame, or none, is given.</summary>
    private Frame? Renew(Frame frame, int hash)
    {
        Frame? next = null;
        bool building = false;
        try
        {
            bool writing = _writing;
            if (_options.Ahead is not null)
            {
                // To learn a size may be to wait for replay: not while others wait for the version.
                _ = BlockCount(frame.Tag.Rel, frame.Tag.Fork);
            }

            if (!writing && IsCurrentAt(frame, _options.Applied.Value))
            {
                return next = frame;
            }

            if (!frame.TrySet(FrameFlags.Building))
            {
                frame.WaitBuilt();
                return null;
            }

            building = true;
            if ((frame.Flags & FrameFlags.Detached) != 0)
            {
                return null;
            }

            if (frame.Tag.Block.Value >= BlockCount(frame.Tag.Rel, frame.Tag.Fork))
            {
                DropVersion(frame, hash);
                return null;
            }

            return next = Advance(frame, hash, writing);
        }
        finally
        {
            if (building)
            {
                frame.EndBuilding();
            }

            if (!ReferenceEquals(next, frame))
            {
                frame.Unpin();
            }
        }
    }

    private static bool IsCurrentAt(Frame frame, Lsn applied) => Volatile.Read(ref frame.Mark) >= applied.Value;

    /// <summary>The next version of a frame; the frame itself when nothing is new; null when the page must be read again.</summary>
    private Frame? Advance(Frame frame, int hash, bool writing)
    {
        EntryList entries = Entries;
        Lsn mark = new(Volatile.Read(ref frame.Mark));
        Lsn to = writing ? Lsn.Max : _options.Applied.Value;

        if (writing && mark < _index.CutPoint)
        {
            // R6: entries between the version's mark and the cut are gone, so the index cannot bring it forward. Storage has all changes before the cut.
            DropVersion(frame, hash);
            return null;
        }

        // On a writer the entries before the mark count too: they are in the frame, but perhaps not in the file.
        Lsn from = writing ? _index.CutPoint : mark;
        if (writing && _index.PageCount == 0)
        {
            entries.Clear();
        }
        else if (!_index.TryCollect(frame.Tag, hash, from, to, entries))
        {
            DropVersion(frame, hash);
            return null;
        }

        Lsn emptied = _forks.Get(frame.Tag.Rel, frame.Tag.Fork).VoidBefore(frame.Tag.Block.Value, to);
        bool voided = emptied >= mark && emptied.IsValid;
        if (!writing && !voided && entries.Count == 0)
        {
            // Nothing between: the version is as good at `to`. Two threads may write different marks; each is right.
            Volatile.Write(ref frame.Mark, to.Value);
            return frame;
        }

        if (!writing && entries.Count > ManyEntries && entries.LastInitializing() < 0 && mark < _options.Consistent.Value)
        {
            DropVersion(frame, hash);
            return null;
        }

        return BuildNext(frame, hash, writing, voided ? emptied : mark, voided, to, entries);
    }

    private Frame? BuildNext(Frame frame, int hash, bool writing, Lsn from, bool voided, Lsn to, EntryList entries)
    {
        Frame next = TakeFrame();
        bool inTable = false;
        try
        {
            int first = entries.FirstFrom(from);
            int making = entries.LastInitializing();
            if (voided || making >= first)
            {
                next.Page.Bytes.Clear();
                first = Math.Max(first, making);
            }
            else
            {
                new ReadOnlySpan<byte>(frame.Pointer, Page.Size).CopyTo(next.Page.Bytes);
            }

            BufferTag tag = frame.Tag;
            Redo(next.Page, tag, entries, first);
            FrameFlags flags = writing ? FrameFlags.Valid : FrameFlags.Valid | FrameFlags.Immutable;
            Lsn recLsn = writing && entries.Count > 0 ? entries.Start(0) : Lsn.Invalid;
            inTable = _table.TryReplace(frame, next, hash, flags, writing ? Lsn.Invalid : to, recLsn);
            if (!inTable)
            {
                return null;
            }

            if (writing && entries.Count > 0)
            {
                _index.MarkDone(tag, hash);
            }

            Interlocked.Increment(ref _versions);
            return next;
        }
        catch (StorageException e) when (!writing)
        {
            if (!MayBeginAgain(e, from))
            {
                throw;
            }

            DropVersion(frame, hash);
            return null;
        }
        finally
        {
            if (!inTable)
            {
                Free(next);
            }
        }
    }

    /// <summary>Takes a version out of the table, so that the next pin reads the page again.</summary>
    private void DropVersion(Frame frame, int hash)
    {
        if (_table.Remove(frame, hash))
        {
            frame.Set(FrameFlags.Detached);
        }
    }
}
