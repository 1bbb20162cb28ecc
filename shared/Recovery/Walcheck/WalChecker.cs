using SharedStorage.Buffers;
using SharedStorage.Format.Control;
using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Redo;
using SharedStorage.Recovery.Tail;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using SharedStorage.Transactions.Multi;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Records;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Recovery.Walcheck;

/// <summary>
/// Replays a log of stock PostgreSQL over a base copy with the machinery of a node that applies (tail, index, pool, redo table), and compares: each page for which a record carries an
/// image for checking (wal_consistency_checking), as a pin gives it at that record; and at the end each file with those of PostgreSQL's clean stop.
/// </summary>
public sealed class WalChecker : IDisposable
{
    private readonly WalcheckOptions _options;
    private readonly TimeProvider _time;
    private readonly RelationFiles _files;
    private readonly RecentWal _recent = new();
    private readonly WalRecords _records;
    private readonly WalReader _reader;
    private readonly BufferPool _pool;
    private readonly LogTail _tail;
    private readonly ReplayEffects _effects;
    private readonly TransactionManager _transactions;
    private readonly PageDump _dump;
    private readonly DatabaseCopies _copies;
    private readonly WalcheckReport _report = new();
    private readonly HashSet<BufferTag> _spoiled = [];
    private readonly Dictionary<BufferTag, byte[]> _mapBitsNotLogged = [];
    private readonly HashSet<(RelFileNode Rel, ForkNumber Fork)> _forksMet = [];
    private readonly byte[] _ours = new byte[Page.Size];
    private readonly byte[] _theirs = new byte[Page.Size];
    private (RelFileNode Rel, ForkNumber Fork) _lastFork;

    /// <exception cref="StorageException">The base was not stopped cleanly, or the log does not begin at its checkpoint.</exception>
    /// <exception cref="PgException">The base is of another version.</exception>
    public WalChecker(WalcheckOptions options, TimeProvider time)
    {
        _options = options;
        _time = time;
        _dump = new PageDump(options.Output);
        ControlFile control = new ControlFileStore(options.Base).Read();
        control.CheckCompatible();
        if (control.State != ClusterState.ShutDown)
        {
            throw new StorageException($"the base copy was not stopped cleanly (its state is {control.State}): its pages may be ahead of its checkpoint");
        }

        var directory = new WalDirectory(options.Wal, (int)control.WalSegmentSize, control.SystemIdentifier);
        TimelineHistory history = directory.ReadHistory(directory.NewestTimeline(control.CheckPoint.Timeline));
        CheckPoint start = ReadCheckPoint(directory, history, control.CheckPointAt);
        _report.Start = start.Redo;
        var applied = new LsnCell(start.Redo);
        _files = new RelationFiles(options.Base, readOnly: true);
        _records = new WalRecords(directory, history, _recent);
        Redo = new RedoTable();
        _pool = new BufferPool(new BufferPoolOptions
        {
            Frames = options.Frames,
            Files = _files,
            Applied = applied,
            Consistent = new LsnCell(start.Redo),
            Redo = Redo,
            Records = _records,
            Time = time,
        });
        var locks = new LockManager();
        _transactions = new TransactionManager(options.Base, readOnly: true, locks, time);
        _transactions.Start(new TransactionStart
        {
            NextXid = start.NextXid,
            OldestXid = start.OldestXid,
            OldestXidDatabase = start.OldestXidDatabase,
            OldestActiveXid = start.OldestActiveXid,
            MultiXacts = new MultiXactLimits(start.NextMulti, start.NextMultiOffset, start.OldestMulti, start.OldestMultiDatabase),
            Begin = start.Redo,
            TrackCommitTimestamp = control.TrackCommitTimestamp,
            OldestCommitTimestamp = start.OldestCommitTsXid,
            NewestCommitTimestamp = start.NewestCommitTsXid,
        });
        _effects = new ReplayEffects(_pool) { NextOid = start.NextOid };
        _copies = new DatabaseCopies(options, _files, _pool, _effects);
        _effects.DatabaseCopied = record => _copies.Copy(record, _forksMet);
        _reader = WalReader.Open(directory, history, start.Redo, _recent);
        _tail = new LogTail(_reader, Redo, _pool, _transactions, _effects, applied) { RecordApplied = Check };
    }

    /// <summary>The routines that are being checked; a test puts a broken one in another's place.</summary>
    public RedoTable Redo { get; }

    /// <summary>Transactions, locks and prepared transactions where replay stands.</summary>
    public TransactionManager Transactions => _transactions;

    public ReplayEffects Effects => _effects;

    /// <summary>Runs the check. Once.</summary>
    public WalcheckReport Run(CancellationToken cancel)
    {
        long began = _time.GetTimestamp();
        try
        {
            Replay(cancel);
        }
        catch (StorageException e)
        {
            _report.Failure = e.Message;
        }

        _report.End = _tail.Position;
        _report.Records = _tail.Records;
        _report.Redone = _pool.Counters.RecordsRedone;
        _report.Elapsed = _time.GetElapsedTime(began);
        return _report;
    }

    public void Dispose()
    {
        _reader.Dispose();
        _copies.Dispose();
        _pool.Dispose();
        _files.Dispose();
        _records.Dispose();
        _recent.Dispose();
    }

    private void Replay(CancellationToken cancel)
    {
        WalRead read = _tail.Run(_options.To.IsValid ? _options.To : Lsn.Max, cancel);
        cancel.ThrowIfCancellationRequested();
        if (read == WalRead.End)
        {
            WalEnd end = _tail.End!;
            _report.EndReason = end.Message;
            if (end.NextSegmentWritten.IsValid)
            {
                throw end.AsDamage("the next segment", end.NextSegmentWritten);
            }

            if (_options.To.IsValid)
            {
                throw new StorageException($"the log ends at {end.Position}, before {_options.To}: {end.Message}");
            }
        }

        if (_options.Against is not null)
        {
            var comparison = new FileComparison(_options, _pool, _files, _copies, _transactions, _effects, _dump, _report);
            comparison.CheckEnd(_tail.LastRecord);
            _report.Files = comparison.Run(_forksMet, cancel);
        }
    }

    private void Check(WalRecord record)
    {
        _report.CountRecord(record);
        for (int id = 0; id < record.BlockCount; id++)
        {
            if (!record.HasBlock(id))
            {
                continue;
            }

            ref readonly WalBlock block = ref record.Block(id);
            if (_lastFork != (block.Tag.Rel, block.Tag.Fork))
            {
                _lastFork = (block.Tag.Rel, block.Tag.Fork);
                _forksMet.Add(_lastFork);
            }

            if (block.ApplyImage || block.WillInit)
            {
                _spoiled.Remove(block.Tag);
            }

            if (block.HasImage && !block.ApplyImage && record.Start >= _options.From)
            {
                CheckImage(record, id, block.Tag);
            }
        }
    }

    /// <summary>Everything up to and with the record is applied, nothing after it: a pin now gives the page that the image must equal.</summary>
    private void CheckImage(WalRecord record, int id, in BufferTag tag)
    {
        if (_spoiled.Contains(tag))
        {
            _report.Skipped++;
            return;
        }

        _report.CountCompared(record);
        try
        {
            using PinnedPage pin = _pool.Pin(tag);
            pin.Page.Bytes.CopyTo(_ours);
        }
        catch (StorageException e)
        {
            NoteMismatch(record, tag, -1, $"redo failed: {e.Message}");
            return;
        }

        record.RestoreImage(id, _theirs);
        PageKind kind = PageMask.KindOf(record, id);
        int offset = kind == PageKind.VisibilityMap ? FirstMapDifference(tag) : FirstDifference(kind, tag, _ours, _theirs);
        if (offset < Page.Size)
        {
            NoteMismatch(record, tag, offset, $"{Bytes(_ours, offset)} should be {Bytes(_theirs, offset)}");
        }
    }

    /// <summary>
    /// A map page of a database that the log copies begins without the bits of its template, since PostgreSQL logs such pages without their content (a standby lacks those bits too). What the
    /// first image has beyond ours is what was not logged; no later image may have more than that.
    /// </summary>
    private int FirstMapDifference(in BufferTag tag)
    {
        Oid database = tag.Rel.Database;
        if (!_effects.DatabasesMade.Any(d => d.Database == database))
        {
            return FirstBitTooMany(_ours, _theirs);
        }

        if (!_mapBitsNotLogged.TryGetValue(tag, out byte[]? notLogged))
        {
            _mapBitsNotLogged.Add(tag, notLogged = new byte[Page.Size]);
            for (int i = PageHeader.Size; i < Page.Size; i++)
            {
                notLogged[i] = (byte)(_theirs[i] & ~_ours[i]);
            }
        }

        Span<byte> known = stackalloc byte[Page.Size];
        for (int i = 0; i < Page.Size; i++)
        {
            known[i] = (byte)(_ours[i] | notLogged[i]);
        }

        return FirstBitTooMany(known, _theirs);
    }

    /// <summary>
    /// For maps: PostgreSQL clears bits before it logs that, under another page's latch, so an image may lack bits that the log has not cleared yet. A bit that only
    /// the image has is an error.
    /// </summary>
    internal static int FirstBitTooMany(ReadOnlySpan<byte> ours, ReadOnlySpan<byte> theirs)
    {
        for (int i = PageHeader.Size; i < Page.Size; i++)
        {
            if ((theirs[i] & ~ours[i]) != 0)
            {
                return i;
            }
        }

        return Page.Size;
    }

    /// <summary>The first byte that differs under the mask; the page's size when none does. The pages given stay as they are.</summary>
    internal static int FirstDifference(PageKind kind, in BufferTag tag, ReadOnlySpan<byte> ours, ReadOnlySpan<byte> theirs, bool counters = true)
    {
        Span<byte> a = stackalloc byte[Page.Size];
        Span<byte> b = stackalloc byte[Page.Size];
        ours.CopyTo(a);
        theirs.CopyTo(b);
        PageMask.Apply(kind, tag.Block, new Page(a));
        PageMask.Apply(kind, tag.Block, new Page(b));
        if (!counters && kind == PageKind.Sequence)
        {
            PageMask.MaskSequenceCounters(new Page(a));
            PageMask.MaskSequenceCounters(new Page(b));
        }

        return a.CommonPrefixLength(b);
    }

    internal static string Bytes(ReadOnlySpan<byte> page, int offset) => Convert.ToHexString(page.Slice(offset, Math.Min(8, Page.Size - offset)));

    private void NoteMismatch(WalRecord record, in BufferTag tag, int offset, string message)
    {
        _report.CountMismatch(record);
        _spoiled.Add(tag);
        if (_report.Details.Count >= _options.MaxDetails)
        {
            return;
        }

        string name = PageDump.NameOf(record.Start, tag);
        string? ours = offset >= 0 ? _dump.Write(name, ".ours", _ours) : null;
        string? theirs = offset >= 0 ? _dump.Write(name, ".image", _theirs) : null;
        string operation = Wal.Describe.WalDescription.Identify(record.Rmgr, record.Info) ?? $"0x{record.Info:X2}";
        _report.Details.Add(new PageMismatch(record.Start, tag.ToString(), offset, $"{record.Rmgr} {operation}: {message}", ours, theirs));
    }

    private static CheckPoint ReadCheckPoint(WalDirectory directory, TimelineHistory history, Lsn at)
    {
        using WalReader reader = WalReader.Open(directory, history, at);
        var record = new WalRecord();
        return reader.Read(record) == WalRead.Record && record.Rmgr == Rmgr.Xlog && record.OpCode == XlogOp.CheckpointShutdown
            ? CheckpointRecord.Read(record.MainData)
            : throw new StorageException($"the log does not have the base copy's checkpoint at {at}: {reader.End?.Message ?? "the record is another one"}");
    }
}
