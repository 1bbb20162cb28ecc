using System.Globalization;
using SharedStorage.Buffers.LogIndex;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;

namespace SharedStorage.Buffers;

/// <summary>Bringing a page in: from a frozen copy or storage, verified (I12, R12), and forward by its entries in the log's index.</summary>
public sealed unsafe partial class BufferPool
{
    [ThreadStatic] private static EntryList? _entries;
    [ThreadStatic] private static WalRecord? _record;

    /// <summary>Given in place of the first entry to apply: the file ends before the block, though the log knows it.</summary>
    private const int Missing = -1;

    private enum BaseRead
    {
        Ok,
        PastEnd,
        Damaged,
    }

    private static EntryList Entries => _entries ??= new EntryList();

    /// <summary>What a load met that only replay can clear away, beside a stock writer.</summary>
    private readonly record struct Obstacle(ObstacleKind Kind, Lsn At);

    private enum ObstacleKind
    {
        None,

        /// <summary>The page has an LSN, <see cref="Obstacle.At"/>, that this node has not applied.</summary>
        Future,

        /// <summary>The file ends before the block, though the log knows it.</summary>
        Missing,

        /// <summary>Records from <see cref="Obstacle.At"/> on are needed and cannot be read any more.</summary>
        LogGone,
    }

    /// <summary>The page in a frame of its own, pinned; null when another thread has begun to load it.</summary>
    private Frame? Load(in BufferTag tag, int hash, PinMode mode)
    {
        for (int missing = 0; ;)
        {
            bool writing = _writing;
            if (tag.Block.Value >= BlockCount(tag.Rel, tag.Fork))
            {
                return PastEnd(tag, mode, writing);
            }

            Frame frame = TakeFrame();
            if (!_table.TryInsert(frame, tag, hash, writing ? FrameFlags.None : FrameFlags.Immutable))
            {
                Free(frame);
                return null;
            }

            Obstacle met;
            bool filled = false;
            try
            {
                met = Fill(frame, tag, hash, mode, writing);
                filled = met.Kind == ObstacleKind.None;
            }
            finally
            {
                if (!filled)
                {
                    _table.Remove(frame, hash);
                    frame.ForgetDirty();
                    frame.EndLoad(valid: false);
                    frame.Set(FrameFlags.Detached);
                    frame.Unpin();
                }
            }

            if (filled)
            {
                frame.EndLoad(valid: true);
                return frame;
            }

            // Nobody waits for this thread meanwhile: who wants the page meets the obstacle, too, and waits for himself, so that replay knows whom it holds up.
            Overcome(met, tag, ref missing);
        }
    }

    /// <summary>A zero page that is in no table: what a node that applies, or one that may meet anything, sees past the end (R1). It must not be changed.</summary>
    private Frame PastEnd(in BufferTag tag, PinMode mode, bool writing)
    {
        if (writing && mode != PinMode.ZeroOnError)
        {
            throw new StorageException(string.Create(CultureInfo.InvariantCulture,
                $"could not read block {tag.Block.Value} in file \"{FileOf(tag)}\": it lies past the end, at {BlockCount(tag.Rel, tag.Fork)} blocks"));
        }

        _options.ReadCheck?.AfterRead(tag, Lsn.Invalid, pastEnd: true);
        Frame frame = TakeFrame();
        new Span<byte>(frame.Pointer, Page.Size).Clear();
        frame.Begin(tag, FrameFlags.Valid | FrameFlags.Immutable | FrameFlags.Detached, _options.Applied.Value, Lsn.Invalid);
        return frame;
    }

    /// <summary>The page as of now, or what is in the way.</summary>
    private Obstacle Fill(Frame frame, in BufferTag tag, int hash, PinMode mode, bool writing)
    {
        if (mode == PinMode.NoRead)
        {
            new Span<byte>(frame.Pointer, Page.Size).Clear();
            Volatile.Write(ref frame.Mark, _options.Applied.Value.Value);
            if (writing && _index.PageCount > 0)
            {
                // The page is overwritten: what was to be redone is void, but not durable before the page is.
                frame.NoteDirty(_index.CutPoint);
                _index.MarkDone(tag, hash);
            }

            return default;
        }

        EntryList entries = Entries;
        while (true)
        {
            // What storage gives from here on has all changes before `from`; entries from there on are complete unless a cut passes it meanwhile (R6).
            Lsn to = writing ? Lsn.Max : _options.Applied.Value;
            Lsn from = writing ? _index.CutPoint : Lsn.Min(_options.Consistent.Value, to);
            if (writing && _index.PageCount == 0)
            {
                entries.Clear();
            }
            else if (!_index.TryCollect(tag, hash, from, to, entries))
            {
                continue;
            }

            try
            {
                int first = PrepareBase(frame.Page, tag, mode, from, to, entries, out Lsn future);
                if (first == Missing)
                {
                    return new Obstacle(ObstacleKind.Missing, Lsn.Invalid);
                }

                if (future.IsValid)
                {
                    return new Obstacle(ObstacleKind.Future, future);
                }

                Redo(frame.Page, tag, entries, first);
                FinishLoad(frame, tag, hash, writing, to, entries, first);
                return default;
            }
            catch (StorageException e) when (!writing && MayBeginAgain(e, from))
            {
                if (_index.CutPoint <= from)
                {
                    return new Obstacle(ObstacleKind.LogGone, from);
                }
            }
        }
    }

    /// <summary>
    /// The log before the cut may be gone: then a load begins again from what storage has by now. A stock writer recycles log by its own checkpoints, a little before
    /// this node knows of them.
    /// </summary>
    private bool MayBeginAgain(StorageException e, Lsn from) => _index.CutPoint > from || (e.LogIsGone && _options.Ahead is not null);

    /// <summary>Waits until the page may be loaded anew.</summary>
    /// <exception cref="StorageException">On a cluster of ours there is nothing to wait for.</exception>
    /// <exception cref="PgException">The wait is over, or the relation was dropped.</exception>
    private void Overcome(in Obstacle met, BufferTag tag, ref int missing)
    {
        const int patience = 3;
        switch (met.Kind)
        {
            case ObstacleKind.Future:
                WaitForFuture(tag, met.At);
                break;
            case ObstacleKind.LogGone:
                Lsn from = met.At;
                if (!_options.Ahead!.AwaitCut(() => _index.CutPoint > from))
                {
                    throw new StorageException(string.Create(CultureInfo.InvariantCulture,
                        $"block {tag.Block.Value} of file \"{FileOf(tag)}\" needs log from {from} on, which is gone"))
                    { LogIsGone = true };
                }

                break;
            case ObstacleKind.Missing:
                // A stock writer has cut or removed the file, and the log says which.
                IStorageAhead ahead = _options.Ahead!;
                if (ahead.IsGone(tag.Rel) || ++missing > patience || _forks.Get(tag.Rel, ForkNumber.Main).Dropped.IsValid)
                {
                    throw ahead.Vanished(tag.Rel);
                }

                break;
        }
    }

    private void FinishLoad(Frame frame, in BufferTag tag, int hash, bool writing, Lsn to, EntryList entries, int first)
    {
        if (!writing)
        {
            Volatile.Write(ref frame.Mark, to.Value);
            return;
        }

        if (entries.Count > 0)
        {
            if (first < entries.Count)
            {
                frame.NoteDirty(entries.Start(0));
            }

            // Dirty first, done second: who looks for the oldest change meets it in one place or both.
            _index.MarkDone(tag, hash);
        }
    }

    /// <summary>
    /// Puts into the page what redo begins with, and gives the first entry to apply. An entry that makes the page whatever it was saves the read, and heals a page that was
    /// torn for good. <paramref name="future"/> is the LSN of a page that is ahead of this node (R12), else invalid.
    /// </summary>
    private int PrepareBase(Page page, in BufferTag tag, PinMode mode, Lsn from, Lsn to, EntryList entries, out Lsn future)
    {
        future = Lsn.Invalid;
        Lsn emptied = _forks.Get(tag.Rel, tag.Fork).VoidBefore(tag.Block.Value, to);
        if (emptied < from)
        {
            // The file shows that cut.
            emptied = Lsn.Invalid;
        }

        int live = emptied.IsValid ? entries.FirstFrom(emptied) : 0;
        int making = entries.LastInitializing();
        if (making >= live)
        {
            page.Bytes.Clear();
            return making;
        }

        // Pages of maps have no LSN to tell old contents by.
        bool isMap = tag.Fork is ForkNumber.VisibilityMap or ForkNumber.FreeSpaceMap;
        if (emptied.IsValid && isMap)
        {
            page.Bytes.Clear();
            return live;
        }

        switch (ReadBase(tag, page.Bytes))
        {
            case BaseRead.PastEnd when _options.Ahead is not null && !_writing && !isMap && !emptied.IsValid && mode == PinMode.Normal:
                return Missing;
            case BaseRead.PastEnd:
                page.Bytes.Clear();
                return live;
            case BaseRead.Damaged:
                if (!isMap && RebuildFromLog(tag, page, to, entries))
                {
                    return 0;
                }

                if (mode != PinMode.ZeroOnError && !isMap)
                {
                    throw new StorageException(string.Create(CultureInfo.InvariantCulture,
                        $"invalid page in block {tag.Block.Value} of file \"{FileOf(tag)}\": its checksum or header is wrong, and the log has no image of it"));
                }

                page.Bytes.Clear();
                return live;
            default:
                Lsn lsn = page.Lsn;
                if (emptied.IsValid && lsn < emptied)
                {
                    page.Bytes.Clear();
                    return live;
                }

                Lsn known = _writing ? Log.Inserted : to;
                if (lsn > known)
                {
                    future = lsn;
                }

                // Clears of visibility bits set no LSN: a map page takes all entries in order.
                return tag.Fork == ForkNumber.VisibilityMap ? live : Math.Max(live, entries.FirstFrom(lsn));
        }
    }

    /// <summary>Replaces the entries by those since the checkpoint, from the last image on; false when the log has none.</summary>
    private bool RebuildFromLog(in BufferTag tag, Page page, Lsn to, EntryList entries)
    {
        IReadOnlyList<(Lsn Start, bool Initializes)>? all = _options.LogSinceRedo?.Invoke(tag, to);
        int making = all is null ? -1 : all.Count - 1;
        while (making >= 0 && !all![making].Initializes)
        {
            making--;
        }

        if (making < 0)
        {
            return false;
        }

        entries.Clear();
        for (int i = making; i < all!.Count; i++)
        {
            entries.Add(all[i].Start.Value);
        }

        page.Bytes.Clear();
        Interlocked.Increment(ref _rebuilt);
        return true;
    }

    private void Redo(Page page, in BufferTag tag, EntryList entries, int first)
    {
        if (first >= entries.Count)
        {
            return;
        }

        WalRecord record = _record ??= new WalRecord();
        for (int i = first; i < entries.Count; i++)
        {
            _options.Records!.Read(entries.Start(i), record);
            _options.Redo!.Apply(record, tag, page);
        }

        Interlocked.Add(ref _redone, entries.Count - first);
    }

    /// <summary>The page as writers last left it: a frozen copy, else from storage, read again while its checks fail (I12).</summary>
    private BaseRead ReadBase(in BufferTag tag, Span<byte> page)
    {
        if (_frozen.TryReadNewest(tag, page))
        {
            return BaseRead.Ok;
        }

        for (int attempt = 0; ; attempt++)
        {
            _options.ReadCheck?.BeforeRead(tag);
            FaultPoint.Hit("buffers.before-read");
            bool there = _files.TryRead(tag, page);
            FaultPoint.Hit("buffers.after-read");
            Interlocked.Increment(ref _reads);
            if (!there)
            {
                _options.ReadCheck?.AfterRead(tag, Lsn.Invalid, pastEnd: true);
                return BaseRead.PastEnd;
            }

            if (IsSound(page, tag.Block.Value) && MayBeOwn(tag, page))
            {
                _options.ReadCheck?.AfterRead(tag, new Page(page).Lsn, pastEnd: false);
                return BaseRead.Ok;
            }

            Interlocked.Increment(ref _torn);
            if (attempt >= _options.TornReadRetries)
            {
                return BaseRead.Damaged;
            }

            Thread.Sleep(1 << Math.Min(attempt, 5));
        }
    }

    /// <summary>PostgreSQL's PageIsVerified with checksums: a sound header with the right checksum, or all zero.</summary>
    internal static bool IsSound(Span<byte> bytes, uint block)
    {
        var page = new Page(bytes);
        return page.IsNew
            ? bytes.IndexOfAnyExcept((byte)0) < 0
            : page.HasSaneHeader && PageChecksum.Stored(bytes) == PageChecksum.Compute(bytes, block);
    }

    /// <summary>A page ahead of this node: on a healthy cluster the gate forbids it (I2); beside a stock writer it is met by waiting.</summary>
    private void WaitForFuture(in BufferTag tag, Lsn pageLsn)
    {
        if (!_writing && _options.Ahead is { } ahead)
        {
            ahead.AwaitApplied(tag, pageLsn);
            return;
        }

        // By a promotion in between the node may know more than when it read.
        Lsn known = _writing ? Log.Inserted : _options.Applied.Value;
        if (known < pageLsn)
        {
            throw new StorageException(string.Create(CultureInfo.InvariantCulture,
                $"block {tag.Block.Value} of file \"{FileOf(tag)}\" has LSN {pageLsn}, later than what this node has of the log ({known}) (R12)"));
        }
    }
}
