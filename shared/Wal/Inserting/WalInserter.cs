using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Wal.Inserting;

/// <summary>Told of a record's place while the reserve lock is held: calls come in the order of the log. Must be short and must not insert or flush.</summary>
public interface IInsertObserver
{
    void Reserved(Lsn start, Lsn end);
}

/// <summary>
/// The writer's end of the log: reserve position and previous pointer under one short lock, copy outside it, publish.
/// A session takes the builder of its thread with <see cref="Begin"/>, adds data and blocks, and inserts. Flushing is in WalInserter.Flush.cs, the copying
/// in WalInserter.Copy.cs. PostgreSQL's counterpart is xlog.c; the rules are in the folder's README.
/// </summary>
public sealed partial class WalInserter : IDisposable
{
    /// <summary>Insertions under way at once, at most: more wait. Far above the number of threads that can run.</summary>
    private const int TicketCount = 1024;

    [ThreadStatic] private static WalRecordBuilder? _builder;

    private readonly WalInserterOptions _options;
    private readonly WalPositions _positions;
    private readonly int _segmentSize;
    private readonly Lock _reserveLock = new();
    private readonly Lock _advanceLock = new();
    private readonly Ticket[] _tickets = new Ticket[TicketCount];

    // Under the reserve lock.
    private ulong _count;
    private ulong _previousCount;
    private long _nextTicket;
    private ulong _redo;
    private bool _fullPageWrites;
    private int _forcedPageWrites;
    private ulong _lastImportant;

    // Read without a lock.
    private ulong _reserved;
    private ulong _inserted;
    private long _headTicket;

    /// <summary>
    /// An insertion under way. <see cref="Sequence"/> is published last; the slot is used again only after the head has passed it.
    /// </summary>
    private struct Ticket
    {
        public long Sequence;
        public ulong Progress;
        public ulong End;
        public int Done;
    }

    private WalInserter(WalInserterOptions options, WalStart start)
    {
        _options = options;
        _segmentSize = options.Directory.SegmentSize;
        _positions = new WalPositions(_segmentSize);
        _ring = new AlignedBuffer(Math.Max(64 << 10, options.BufferSize & ~(WalLayout.PageSize - 1)));
        _ring.Span.Clear();
        _staging = new AlignedBuffer(StagingSize);
        _segments = new WalSegmentFiles(options.Directory, options.Timeline);
        _count = _positions.ToCount(start.InsertAt);
        _previousCount = start.PreviousRecord.IsValid ? _positions.ToCount(start.PreviousRecord) : 0;
        _previousIsNone = !start.PreviousRecord.IsValid;
        _redo = start.RedoPointer.Value;
        _fullPageWrites = options.FullPageWrites;
        _lastImportant = start.RedoPointer.Value;
        _reserved = _inserted = _flushed = _written = start.InsertAt.Value;
        _ringEnd = WalLayout.PageStart(start.InsertAt).Value + (ulong)_ring.Length;
        _overwrite = start.Overwrites ? start.InsertAt : Lsn.Invalid;
        for (int i = 0; i < TicketCount; i++)
        {
            _tickets[i].Sequence = -1;
        }
    }

    /// <summary>
    /// Begins to insert at the end of the log that recovery found. What is there up to that place is kept, on the same page too; what lies behind it is
    /// made unreadable first. For a new timeline <see cref="WalDirectory.CopyTail"/> has made its first segment before.
    /// </summary>
    /// <exception cref="StorageException">The current segment cannot be read, or does not end where it should.</exception>
    public static WalInserter Start(WalInserterOptions options, WalStart start)
    {
        var inserter = new WalInserter(options, start);
        try
        {
            inserter.OpenTail(start);
            return inserter;
        }
        catch
        {
            inserter.Dispose();
            throw;
        }
    }

    /// <summary>All records that end at or before this are wholly in the buffers (no gap below).</summary>
    public Lsn Inserted => new(Advance());

    /// <summary>Where the next record will be reserved at the earliest.</summary>
    public Lsn Reserved => new(Volatile.Read(ref _reserved));

    /// <summary>All records that end at or before this are durable.</summary>
    public Lsn Flushed => new(Volatile.Read(ref _flushed));

    /// <summary>Pages whose LSN is at or before this get a full-page image with their next record.</summary>
    public Lsn RedoPointer => new(Volatile.Read(ref _redo));

    /// <summary>The start of the last record that was not marked unimportant: without one since the last checkpoint, none is needed.</summary>
    public Lsn LastImportant => new(Volatile.Read(ref _lastImportant));

    public TimelineId Timeline => _options.Timeline;

    /// <summary>full_page_writes. Turning it on counts from the next record; the caller logs the change (XLOG_FPW_CHANGE).</summary>
    public bool FullPageWrites
    {
        get => Volatile.Read(ref _fullPageWrites);
        set
        {
            lock (_reserveLock)
            {
                _fullPageWrites = value;
            }
        }
    }

    /// <summary>While a base backup runs: full-page images whatever the setting. Calls are counted.</summary>
    public void ForcePageWrites(bool force)
    {
        lock (_reserveLock)
        {
            _forcedPageWrites += force ? 1 : -1;
        }
    }

    /// <summary>The thread's record builder, empty. A builder is used up by one <see cref="Insert(WalRecordBuilder, Rmgr, byte)"/>.</summary>
    public WalRecordBuilder Begin(Xid xid)
    {
        WalRecordBuilder builder = _builder ??= new WalRecordBuilder();
        builder.Reset(xid);
        return builder;
    }

    /// <summary>Inserts the record; gives its end, the LSN for the pages it covers.</summary>
    public Lsn Insert(WalRecordBuilder record, Rmgr rmgr, byte info) => Insert(record, rmgr, info, observer: null, out _);

    /// <summary>The same; <paramref name="observer"/> is told the place in the order of the log (architecture: commits are queued in LSN order).</summary>
    public Lsn Insert(WalRecordBuilder record, Rmgr rmgr, byte info, IInsertObserver? observer, out Lsn start)
    {
        Invariant.Check(record.Begun, "WAL", "a log record is inserted that was not begun, or another one was begun meanwhile");
        Invariant.Check((info & ~0xF3) == 0, "WAL", "bits of the info byte are used that belong to the log itself");
        if (!_options.Unlogged.IsEmpty && record.NamesAny(_options.Unlogged))
        {
            record.Reset(record.Xid);
            (rmgr, info) = (Rmgr.Xlog, Records.XlogOp.Noop);
        }

        record.Begun = false;
        bool check = _options.ConsistencyChecking?.Invoke(rmgr) ?? false;
        long ticket;
        ulong end;
        Lsn previous;
        while (true)
        {
            bool fullPageWrites = Volatile.Read(ref _fullPageWrites) || Volatile.Read(ref _forcedPageWrites) > 0;
            record.Assemble(rmgr, info, fullPageWrites, RedoPointer, _options.Compression, check);
            if (TryReserve(record, fullPageWrites, observer, out ticket, out start, out end, out previous))
            {
                break;
            }
        }

        record.Seal(previous);
        CopyIn(record.Bytes, start, ticket);
        Complete(ticket);
        return new Lsn(end);
    }

    /// <summary>
    /// Chooses where a checkpoint's redo begins: the place of the next record. From then on records take full-page images of pages
    /// that are at or before it; one that was put together earlier is put together again (R11).
    /// </summary>
    public Lsn BeginCheckpointRedo()
    {
        lock (_reserveLock)
        {
            Lsn redo = _positions.ToStart(_count);
            Volatile.Write(ref _redo, redo.Value);
            return redo;
        }
    }

    /// <summary>Ends the current segment (XLOG_SWITCH) and flushes it; gives the end of the switch record, or the current position at a segment's start.</summary>
    public Lsn SwitchSegment(bool important = true)
    {
        WalRecordBuilder record = Begin(Xid.Invalid);
        record.RecordFlags = important ? (byte)0 : (byte)2;
        record.Begun = false;
        record.Assemble(Rmgr.Xlog, Records.XlogOp.Switch, fullPageWrites: false, Lsn.Invalid, WalCompression.None, checkConsistency: false);
        Lsn start;
        Lsn recordEnd;
        Lsn segmentEnd;
        Lsn previous;
        long ticket;
        while (true)
        {
            lock (_reserveLock)
            {
                Lsn here = _positions.ToEnd(_count);
                if (WalLayout.SegmentOffset(here, _segmentSize) == 0)
                {
                    return here;
                }

                if (HasFreeTicket())
                {
                    start = _positions.ToStart(_count);
                    recordEnd = _positions.ToEnd(_count + WalRecordHeader.Size);
                    ulong mask = (ulong)_segmentSize - 1;
                    segmentEnd = new Lsn((recordEnd.Value + mask) & ~mask);
                    previous = TakePrevious();
                    _count = _positions.ToCount(segmentEnd);
                    ticket = TakeTicket(segmentEnd.Value);
                    _lastImportant = important ? start.Value : _lastImportant;
                    break;
                }
            }

            WaitForTicket();
        }

        record.Seal(previous);
        CopyIn(record.Bytes, start, ticket);
        SkipPages(recordEnd, segmentEnd, ticket);
        Complete(ticket);
        Flush(segmentEnd);
        return recordEnd;
    }

    private bool TryReserve(
        WalRecordBuilder record, bool fullPageWrites, IInsertObserver? observer, out long ticket, out Lsn start, out ulong end, out Lsn previous)
    {
        while (true)
        {
            lock (_reserveLock)
            {
                bool imagesWanted = _fullPageWrites || _forcedPageWrites > 0;
                if (imagesWanted && (!fullPageWrites || (record.LowestWithoutImage.IsValid && record.LowestWithoutImage.Value <= _redo)))
                {
                    // A checkpoint has begun, or images were turned on, since the record was put together.
                    ticket = 0;
                    start = previous = default;
                    end = 0;
                    return false;
                }

                if (HasFreeTicket())
                {
                    start = _positions.ToStart(_count);
                    previous = TakePrevious();
                    _count += (ulong)WalLayout.AlignUp(record.Length);
                    end = _positions.ToEnd(_count).Value;
                    ticket = TakeTicket(end);
                    if (record.Important)
                    {
                        _lastImportant = start.Value;
                    }

                    observer?.Reserved(start, new Lsn(end));
                    return true;
                }
            }

            WaitForTicket();
        }
    }

    private bool _previousIsNone;

    private Lsn TakePrevious()
    {
        Lsn previous = _previousIsNone ? Lsn.Invalid : _positions.ToStart(_previousCount);
        _previousCount = _count;
        _previousIsNone = false;
        return previous;
    }

    private bool HasFreeTicket() => _nextTicket - Volatile.Read(ref _headTicket) < TicketCount;

    private long TakeTicket(ulong end)
    {
        long sequence = _nextTicket++;
        ref Ticket ticket = ref _tickets[sequence % TicketCount];
        ticket.Progress = 0;
        ticket.End = end;
        ticket.Done = 0;
        Volatile.Write(ref ticket.Sequence, sequence);
        Volatile.Write(ref _reserved, end);
        return sequence;
    }

    private void WaitForTicket()
    {
        ThrowIfFailed();
        long head = Volatile.Read(ref _headTicket);
        Advance();
        if (Volatile.Read(ref _headTicket) == head)
        {
            Thread.Yield();
        }
    }

    private void Complete(long sequence)
    {
        Volatile.Write(ref _tickets[sequence % TicketCount].Done, 1);
        WakeWriter();
    }

    /// <summary>Moves the head over finished insertions, and gives the place up to which the log has no gap.</summary>
    private ulong Advance()
    {
        lock (_advanceLock)
        {
            while (true)
            {
                ref Ticket ticket = ref _tickets[_headTicket % TicketCount];
                if (Volatile.Read(ref ticket.Sequence) != _headTicket)
                {
                    break;
                }

                if (Volatile.Read(ref ticket.Done) == 0)
                {
                    ulong progress = Volatile.Read(ref ticket.Progress);
                    if (progress > _inserted)
                    {
                        Volatile.Write(ref _inserted, progress);
                    }

                    break;
                }

                Volatile.Write(ref _inserted, ticket.End);
                Volatile.Write(ref _headTicket, _headTicket + 1);
            }

            return _inserted;
        }
    }

    public void Dispose()
    {
        StopWriter();
        lock (_flushLock)
        {
            _failure ??= new StorageException("the log is closed") { SqlState = SqlStates.AdminShutdown };
        }

        _file?.Dispose();
        _file = null;
        _ring.Dispose();
        _staging.Dispose();
    }
}

/// <summary>Where insertion begins: what recovery found, or what initialisation chose.</summary>
public readonly record struct WalStart
{
    /// <summary>The end of the last record.</summary>
    public required Lsn InsertAt { get; init; }

    /// <summary>The start of the last record; invalid when there is none.</summary>
    public required Lsn PreviousRecord { get; init; }

    /// <summary>The redo pointer of the last checkpoint.</summary>
    public required Lsn RedoPointer { get; init; }

    /// <summary>
    /// The log ends within a record whose rest is missing: insertion begins at the page on which it should go on, and the page says that the rest was
    /// given up. The first record must be XLOG_OVERWRITE_CONTRECORD.
    /// </summary>
    public bool Overwrites { get; init; }

    /// <summary>Segments that the former writer has left for later may be used (it is proven dead, or ended cleanly); else they are deleted (R13).</summary>
    public bool KeepFutureSegments { get; init; }
}
