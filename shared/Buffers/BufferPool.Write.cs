using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>
/// Writing pages to shared storage, in one place: <see cref="WritePage"/> is called with a verdict of the gate only (I1, I2). One write per block at a time: whoever writes
/// a block holds its write token, from before the copy is taken until the write has ended; so a later copy is never overtaken by an earlier one (R3).
/// </summary>
public sealed unsafe partial class BufferPool
{
    /// <summary>So many frozen copies a session writes before it looks for a frame again.</summary>
    private const int FrozenAtATime = 32;

    private readonly object[] _tokens = MakeTokens();
    private readonly Lock _oneWritesFrozen = new();
    private readonly Lock _marksGoBack = new();
    private readonly Lock _unsyncedLock = new();
    private readonly Lock _syncLock = new();
    private Lsn _unsynced = Lsn.Max;
    private Lsn _syncing = Lsn.Max;

    private enum WriteMode
    {
        /// <summary>Neither token nor latch is waited for; a page ahead of a reader is frozen if there is room. For sessions that look for a frame, whatever they hold.</summary>
        Try,

        /// <summary>Waits for token and latch. The caller holds no latch.</summary>
        Wait,
    }

    private enum WriteOutcome
    {
        Clean,
        Written,
        Frozen,
        Busy,
        HeldBack,
    }

    /// <summary>Replaces the gate: a fence, or another set of leases.</summary>
    public void SetGate(IFlushGate gate)
    {
        _gate = gate;
        NoteGateMoved();
    }

    private static object[] MakeTokens()
    {
        var tokens = new object[512];
        for (int i = 0; i < tokens.Length; i++)
        {
            tokens[i] = new object();
        }

        return tokens;
    }

    private object TokenOf(in BufferTag tag) => _tokens[(uint)tag.GetHashCode() % (uint)_tokens.Length];

    /// <summary>Writes a pinned frame if it is dirty and the gate lets it; else freezes a copy where the mode says so.</summary>
    private WriteOutcome WriteFrame(Frame frame, WriteMode mode)
    {
        object token = TokenOf(frame.Tag);
        if (mode == WriteMode.Wait)
        {
            Monitor.Enter(token);
        }
        else if (!Monitor.TryEnter(token))
        {
            return WriteOutcome.Busy;
        }

        try
        {
            return WriteUnderToken(frame, mode);
        }
        finally
        {
            Monitor.Exit(token);
        }
    }

    private WriteOutcome WriteUnderToken(Frame frame, WriteMode mode)
    {
        while (true)
        {
            if (mode == WriteMode.Wait)
            {
                frame.Latch(LatchMode.Shared);
            }
            else if (!frame.TryLatch(LatchMode.Shared))
            {
                return WriteOutcome.Busy;
            }

            FlushVerdict verdict;
            Lsn lsn;
            int room = -1;
            byte* copy = Scratch;
            try
            {
                if (frame.RecLsn == 0 || (frame.Flags & FrameFlags.Detached) != 0)
                {
                    return WriteOutcome.Clean;
                }

                // Under the header lock, since a hint may set the LSN under a shared latch.
                frame.LockHeader();
                lsn = frame.Page.Lsn;
                verdict = Judge(frame.Tag, lsn);
                if (verdict == FlushVerdict.Write)
                {
                    frame.BeginWriting();
                    new ReadOnlySpan<byte>(frame.Pointer, Page.Size).CopyTo(new Span<byte>(copy, Page.Size));
                }
                else if (verdict == FlushVerdict.AheadOfReader && (room = _frozen.Reserve()) >= 0)
                {
                    frame.BeginWriting();
                    new ReadOnlySpan<byte>(frame.Pointer, Page.Size).CopyTo(new Span<byte>(copy, Page.Size));
                }

                frame.UnlockHeader();
            }
            finally
            {
                frame.Unlatch();
            }

            if (verdict == FlushVerdict.FlushLogFirst)
            {
                Log.Flush(lsn);
                continue;
            }

            if (verdict == FlushVerdict.Fenced)
            {
                throw Fenced(frame.Tag);
            }

            if (verdict == FlushVerdict.AheadOfReader)
            {
                return room >= 0 ? Freeze(frame, room, copy, lsn) : WriteOutcome.HeldBack;
            }

            try
            {
                WritePage(frame.Tag, copy);
            }
            catch (StorageException e) when (e.IsNoSpace)
            {
                AbandonWriting(frame);
                throw;
            }

            NoteUnsynced(new Lsn(frame.WritingRecLsn));
            frame.EndWriting();

            // Older images of the page are in what was written.
            NoteUnsynced(_frozen.OldestChangeOf(frame.Tag));
            _frozen.RemoveAll(frame.Tag);
            return WriteOutcome.Written;
        }
    }

    /// <summary>Under the write token only: the copy becomes a frozen one, in memory or on local disk, and takes over the frame's oldest change.</summary>
    private WriteOutcome Freeze(Frame frame, int room, byte* copy, Lsn lsn)
    {
        // Kept first, forgotten second: who looks for the oldest change meets it in one place or both.
        if (!_frozen.TryKeep(room, frame.Tag, copy, lsn, new Lsn(frame.WritingRecLsn)))
        {
            AbandonWriting(frame);
            return WriteOutcome.HeldBack;
        }

        frame.EndWriting();
        Interlocked.Increment(ref _frozenTaken);
        return WriteOutcome.Frozen;
    }

    /// <summary>The copy went nowhere. The one way that a mark takes back: not while someone looks through the frames for the oldest change.</summary>
    private void AbandonWriting(Frame frame)
    {
        lock (_marksGoBack)
        {
            frame.AbandonWriting();
        }
    }

    /// <summary>Writes the frozen copies that the gate lets through by now, oldest first for each page. Gives how many. For threads that hold no latch.</summary>
    internal int WriteFrozen() => WriteFrozen(int.MaxValue, wait: true);

    /// <summary>The same for a session that needs a frame: a few, and only one session at a time.</summary>
    private void WriteSomeFrozen()
    {
        if (_frozen.Count > 0 && _oneWritesFrozen.TryEnter())
        {
            try
            {
                WriteFrozen(FrozenAtATime, wait: false);
            }
            finally
            {
                _oneWritesFrozen.Exit();
            }
        }
    }

    private int WriteFrozen(int most, bool wait)
    {
        if (_frozen.Count == 0)
        {
            return 0;
        }

        int written = 0;
        var tags = new List<BufferTag>();
        _frozen.CollectWritable(_gate!.LowestApplied, most, tags);
        tags.Sort(static (a, b) => Order(a, b));
        foreach (BufferTag tag in tags)
        {
            object token = TokenOf(tag);
            if (wait)
            {
                Monitor.Enter(token);
            }
            else if (!Monitor.TryEnter(token))
            {
                continue;
            }

            try
            {
                written += WriteFrozenOf(tag);
            }
            finally
            {
                Monitor.Exit(token);
            }
        }

        return written;
    }

    private int WriteFrozenOf(in BufferTag tag)
    {
        int written = 0;
        byte* copy = Scratch;
        while (_frozen.TryPeekOldest(tag, new Span<byte>(copy, Page.Size), out Lsn lsn, out Lsn recLsn))
        {
            FlushVerdict verdict = Judge(tag, lsn);
            if (verdict == FlushVerdict.FlushLogFirst)
            {
                Log.Flush(lsn);
                continue;
            }

            if (verdict == FlushVerdict.Fenced)
            {
                throw Fenced(tag);
            }

            if (verdict == FlushVerdict.AheadOfReader)
            {
                break;
            }

            WritePage(tag, copy);
            NoteUnsynced(recLsn);
            _frozen.RemoveOldest(tag);
            written++;
        }

        return written;
    }

    private FlushVerdict Judge(in BufferTag tag, Lsn lsn)
    {
        // FSM pages are not read by others for what they say of a time; only the log comes first (R16).
        if (tag.Fork == ForkNumber.FreeSpaceMap)
        {
            return lsn > Log.Flushed ? FlushVerdict.FlushLogFirst : _gate!.Judge(Lsn.Invalid);
        }

        return _gate!.Judge(lsn);
    }

    /// <summary>The one place where a page goes to shared storage. The copy is the caller's alone; its checksum is set here.</summary>
    private void WritePage(in BufferTag tag, byte* copy)
    {
        FaultPoint.Hit("buffers.before-write");
        var page = new Span<byte>(copy, Page.Size);
        if (!new Page(page).IsNew)
        {
            PageChecksum.Store(page, tag.Block.Value);
        }

        _written?.Note(tag, new Page(page));
        if (FaultPoint.IsArmed("buffers.torn-write"))
        {
            WriteHalf(tag, page);
        }

        _files.Write(tag, page);
        Interlocked.Increment(ref _writes);
    }

    /// <summary>What a host leaves that dies in the middle of a write: the first half is new, the second as it was.</summary>
    private void WriteHalf(in BufferTag tag, ReadOnlySpan<byte> page)
    {
        using var torn = new AlignedBuffer(Page.Size);
        _files.TryRead(tag, torn.Span);
        page[..(Page.Size / 2)].CopyTo(torn.Span);
        _files.Write(tag, torn.Span);
        _files.SyncAllWritten();
        FaultPoint.Hit("buffers.torn-write");
    }

    private void NoteUnsynced(Lsn recLsn)
    {
        lock (_unsyncedLock)
        {
            _unsynced = Lsn.Min(_unsynced, recLsn);
        }
    }

    /// <summary>Makes what was written durable.</summary>
    /// <exception cref="StorageException">A sync failed: the node stops (I11).</exception>
    public void SyncWritten()
    {
        lock (_syncLock)
        {
            lock (_unsyncedLock)
            {
                _syncing = Lsn.Min(_syncing, _unsynced);
                _unsynced = Lsn.Max;
            }

            _files.SyncAllWritten();
            lock (_unsyncedLock)
            {
                _syncing = Lsn.Max;
            }
        }
    }

    private StorageException Fenced(in BufferTag tag) =>
        new($"block {tag.Block.Value} of file \"{FileOf(tag)}\" is not written: this writer cannot prove its lease (I8)") { SqlState = SqlStates.IoError };
}
