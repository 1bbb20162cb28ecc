using SharedStorage.Buffers;
using SharedStorage.Format.Control;
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

namespace SharedStorage.Recovery.Replay;

/// <summary>What a replay reads, and with how much memory.</summary>
public sealed record ReplayOptions
{
    /// <summary>A copy of a data directory that was stopped cleanly. Never written.</summary>
    public required string Base { get; init; }

    /// <summary>The folder of the log's segments; it begins at the base's checkpoint or before.</summary>
    public required string Wal { get; init; }

    /// <summary>Replay stops before the first record that ends after this; invalid means the end of the log.</summary>
    public Lsn To { get; init; }

    public int Frames { get; init; } = 65536;
    public long LogIndexBytes { get; init; } = 128L << 20;

    /// <summary>Where the index of the log spills to; null keeps it in memory, whatever its size.</summary>
    public string? SpillDirectory { get; init; }

    /// <summary>Sees each record once it is applied (<see cref="LogTail.RecordApplied"/>); null where speed counts.</summary>
    public Action<WalRecord>? RecordApplied { get; init; }
}

/// <summary>
/// A log replayed over a base copy with a node's own machinery (tail, index, pool, redo table) and nothing else: what following costs, and what bringing every page forward costs.
/// Nothing is written and nothing is compared; walcheck does that, and uses this.
/// </summary>
public sealed class OfflineReplay : IDisposable
{
    private readonly RecentWal _recent = new();
    private readonly WalRecords _records;
    private readonly WalReader _reader;
    private readonly LsnCell _applied;
    private readonly ReplayOptions _options;

    /// <exception cref="StorageException">The base was not stopped cleanly, or the log does not begin at its checkpoint.</exception>
    /// <exception cref="PgException">The base is of another version.</exception>
    public OfflineReplay(ReplayOptions options, TimeProvider time)
    {
        _options = options;
        ControlFile control = new ControlFileStore(options.Base).Read();
        control.CheckCompatible();
        if (control.State != ClusterState.ShutDown)
        {
            throw new StorageException($"the base copy was not stopped cleanly (its state is {control.State}): its pages may be ahead of its checkpoint");
        }

        var directory = new WalDirectory(options.Wal, (int)control.WalSegmentSize, control.SystemIdentifier);
        TimelineHistory history = directory.ReadHistory(directory.NewestTimeline(control.CheckPoint.Timeline));
        CheckPoint start = ReadCheckPoint(directory, history, control.CheckPointAt);
        Start = start.Redo;
        _applied = new LsnCell(start.Redo);
        Files = new RelationFiles(options.Base, readOnly: true);
        _records = new WalRecords(directory, history, _recent);
        Pool = new BufferPool(new BufferPoolOptions
        {
            Frames = options.Frames,
            Files = Files,
            Applied = _applied,
            Consistent = new LsnCell(start.Redo),
            Redo = Redo,
            Records = _records,
            Time = time,
            LogIndexBytes = options.LogIndexBytes,
            LogIndexSpill = options.SpillDirectory,
        });
        Transactions = new TransactionManager(options.Base, readOnly: true, new LockManager(), time);
        Transactions.Start(new TransactionStart
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
        _reader = WalReader.Open(directory, history, start.Redo, _recent);
        Effects = new ReplayEffects(Pool) { NextOid = start.NextOid };
        Tail = new LogTail(_reader, Redo, Pool, Transactions, Effects, _applied) { RecordApplied = options.RecordApplied };
    }

    /// <summary>Where replay begins: the base's checkpoint.</summary>
    public Lsn Start { get; }

    /// <summary>The routines that are used; a test puts a broken one in another's place.</summary>
    public RedoTable Redo { get; } = new();

    public RelationFiles Files { get; }
    public BufferPool Pool { get; }
    public TransactionManager Transactions { get; }
    public ReplayEffects Effects { get; }
    public LogTail Tail { get; }

    /// <summary>Follows the log to its end, or to where it was told to stop.</summary>
    /// <exception cref="StorageException">I10; or the log ends before that.</exception>
    public void Follow(CancellationToken cancel)
    {
        WalRead read = Tail.Run(_options.To.IsValid ? _options.To : Lsn.Max, cancel);
        cancel.ThrowIfCancellationRequested();
        if (read != WalRead.End)
        {
            return;
        }

        WalEnd end = Tail.End!;
        if (end.NextSegmentWritten.IsValid)
        {
            throw end.AsDamage("the next segment", end.NextSegmentWritten);
        }

        if (_options.To.IsValid)
        {
            throw new StorageException($"the log ends at {end.Position}, before {_options.To}: {end.Message}");
        }
    }

    public void Dispose()
    {
        _reader.Dispose();
        Pool.Dispose();
        Files.Dispose();
        _records.Dispose();
        _recent.Dispose();
    }

    /// <summary>The record is the truth and the control file repeats it: a log that does not have it is not this base's log.</summary>
    private static CheckPoint ReadCheckPoint(WalDirectory directory, TimelineHistory history, Lsn at)
    {
        using WalReader reader = WalReader.Open(directory, history, at);
        var record = new WalRecord();
        return reader.Read(record) == WalRead.Record && record.Rmgr == Rmgr.Xlog && record.OpCode == XlogOp.CheckpointShutdown
            ? CheckpointRecord.Read(record.MainData)
            : throw new StorageException($"the log does not have the base copy's checkpoint at {at}: {reader.End?.Message ?? "the record is another one"}");
    }
}
