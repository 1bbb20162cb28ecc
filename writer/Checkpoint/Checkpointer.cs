using Microsoft.Extensions.Logging;
using SharedStorage.Buffers;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Format.Control;
using SharedStorage.Hosting.Cluster;
using SharedStorage.Hosting.Engine;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Multi;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;
using SharedStorage.Writer.Files;

namespace SharedStorage.Writer.Checkpoint;

/// <summary>What a checkpoint works with.</summary>
public sealed record CheckpointParts
{
    public required NodeEngine Engine { get; init; }
    public required WalInserter Log { get; init; }
    public required IFlushGate Gate { get; init; }
    public required OidCounter Oids { get; init; }
    public required RemovalQueue Removals { get; init; }
    public required GatedShortening Shortening { get; init; }
    public required ControlFileStore ControlStore { get; init; }

    /// <summary>The oldest position in the log that a reader still needs.</summary>
    public required Func<Lsn> OldestWalNeeded { get; init; }

    /// <summary>R13: a former writer may still write, so the checkpoint stays where it is.</summary>
    public Func<bool> Held { get; init; } = static () => false;

    public required TimeProvider Time { get; init; }
    public required ILogger Journal { get; init; }
}

/// <summary>
/// Makes checkpoints (PostgreSQL's CreateCheckPoint, xlog.c). The order, and what a crash leaves, is in the folder's README: redo is chosen; commits before it reach clog; SLRUs and pages
/// with changes before it are written and synced; the record; the control file last; then old segments go.
/// </summary>
public sealed class Checkpointer(CheckpointParts parts, ControlFile control)
{
    private readonly Lock _one = new();
    private ControlFile _control = control;

    /// <summary>The redo of the last completed checkpoint.</summary>
    public Lsn Redo { get; private set; } = control.CheckPoint.Redo;

    public ControlFile Control => _control;

    /// <summary>An online checkpoint. Returns when it is complete.</summary>
    /// <param name="pace">Called after each page with done and total; may wait to spread the work. Null is as fast as can be.</param>
    /// <param name="cancel">Ends the wait for readers.</param>
    /// <exception cref="StorageException">A write, sync or the log failed: the node must stop (I11).</exception>
    public void Run(Action<int, int>? pace, CancellationToken cancel)
    {
        lock (_one)
        {
            long began = parts.Time.GetTimestamp();
            Lsn redo = parts.Shortening.ChooseRedo(parts.Log.BeginCheckpointRedo);
            CheckPoint point = Gather(redo, shutdown: false);
            FaultPoint.Hit("checkpoint-after-redo");
            MakeDurable(redo, pace, cancel);
            if (parts.Held())
            {
                parts.Journal.LogInformation("all changes before {Redo} are durable; the checkpoint stays at {Kept} until the former writer is fenced (R13)", redo, Redo);
                return;
            }

            FaultPoint.Hit("checkpoint-before-record");
            parts.Engine.Transactions.LogRunningXacts();
            Finish(point, XlogOp.CheckpointOnline, ClusterState.InProduction);
            parts.Journal.LogInformation(
                "checkpoint complete: redo {Redo}, {Milliseconds} ms, {Frozen} frozen copies taken so far",
                redo, (long)parts.Time.GetElapsedTime(began).TotalMilliseconds, parts.Engine.Pool.Counters.FrozenCopiesTaken);
        }
    }

    /// <summary>The last checkpoint of a clean stop: nothing writes to the log meanwhile, so its record is where its redo is.</summary>
    public void RunShutdown(CancellationToken cancel)
    {
        lock (_one)
        {
            _control.State = ClusterState.ShuttingDown;
            WriteControl();
            parts.Log.Flush(parts.Log.Inserted);
            Lsn redo = parts.Log.BeginCheckpointRedo();
            CheckPoint point = Gather(redo, shutdown: true);
            MakeDurable(redo, pace: null, cancel);
            Finish(point, XlogOp.CheckpointShutdown, ClusterState.ShutDown);
            parts.Journal.LogInformation("shutdown checkpoint at {Redo}", redo);
        }
    }

    /// <summary>
    /// After recovery or promotion, before the first commit (R10): the end-of-recovery record, then the control file with the minimum recovery point and its timeline.
    /// </summary>
    public void RecordEndOfRecovery(TimelineId previous)
    {
        lock (_one)
        {
            WalRecordBuilder record = parts.Log.Begin(Xid.Invalid);
            new EndOfRecoveryRecord(PostgresTime(), parts.Log.Timeline, previous).Write(record);
            Lsn end = parts.Log.Insert(record, Rmgr.Xlog, XlogOp.EndOfRecovery);
            parts.Log.Flush(end);
            FaultPoint.Hit("promote-before-control");
            _control.State = ClusterState.InProduction;
            if (parts.Log.Timeline != previous)
            {
                _control.MinRecoveryPoint = end;
                _control.MinRecoveryTimeline = parts.Log.Timeline;
            }

            WriteControl();
            FaultPoint.Hit("promote-after-control");
        }
    }

    /// <summary>A writer that starts on a cleanly stopped directory says so before it changes anything.</summary>
    public void RecordInProduction()
    {
        lock (_one)
        {
            _control.State = ClusterState.InProduction;
            WriteControl();
        }
    }

    /// <summary>R13: writes the control file again if it is not as this writer left it. True: it was another.</summary>
    public bool RestoreControl()
    {
        lock (_one)
        {
            if (parts.ControlStore.Holds(_control))
            {
                return false;
            }

            parts.ControlStore.Write(ref _control);
            return true;
        }
    }

    private CheckPoint Gather(Lsn redo, bool shutdown)
    {
        var transactions = parts.Engine.Transactions;
        MultiXactLimits multi = transactions.MultiXacts.Limits;
        return new CheckPoint
        {
            Redo = redo,
            Timeline = parts.Log.Timeline,
            PreviousTimeline = parts.Log.Timeline,
            FullPageWrites = parts.Log.FullPageWrites,
            NextXid = transactions.NextFullXid,
            NextOid = parts.Oids.ForCheckpoint(shutdown),
            NextMulti = multi.Next,
            NextMultiOffset = multi.NextOffset,
            OldestXid = transactions.OldestXid,
            OldestXidDatabase = transactions.OldestXidDatabase,
            OldestMulti = multi.Oldest,
            OldestMultiDatabase = multi.OldestDatabase,
            Time = UnixTime(),
            OldestCommitTsXid = transactions.CommitTimestamps.Oldest,
            NewestCommitTsXid = transactions.CommitTimestamps.Newest,
            OldestActiveXid = shutdown ? Xid.Invalid : transactions.OldestRunningXid,
        };
    }

    private void MakeDurable(Lsn redo, Action<int, int>? pace, CancellationToken cancel)
    {
        // R7: a commit whose record lies before redo has its bit in clog before clog is written.
        parts.Engine.Transactions.CompleteCommitsBefore(redo);
        while (!parts.Engine.Transactions.FlushAreas(parts.Gate, redo))
        {
            // Pages ahead of a reader wait for it; the wait ends with its lease at the latest.
            if (cancel.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(20)))
            {
                throw new OperationCanceledException(cancel);
            }
        }

        parts.Engine.Transactions.Prepared.WriteFiles(redo);
        parts.Engine.Transactions.Origins.Save();
        parts.Engine.Pool.FlushAllBefore(redo, pace, cancel);
    }

    private void Finish(CheckPoint point, byte op, ClusterState state)
    {
        WalRecordBuilder record = parts.Log.Begin(Xid.Invalid);
        CheckpointRecord.Write(record, point);
        Lsn end = parts.Log.Insert(record, Rmgr.Xlog, op, observer: null, out Lsn start);
        Invariant.Check(op != XlogOp.CheckpointShutdown || start == point.Redo, "R11", "the log was written to during a shutdown checkpoint");
        parts.Log.Flush(end);
        FaultPoint.Hit("checkpoint-before-control");
        parts.Removals.Save();
        Lsn previous = Redo;
        RememberOwn(_control.CheckPointAt, start);
        _control.State = state;
        _control.CheckPointAt = start;
        _control.CheckPoint = point;
        _control.MinRecoveryPoint = Lsn.Invalid;
        _control.MinRecoveryTimeline = default;
        WriteControl();
        Redo = point.Redo;
        FaultPoint.Hit("checkpoint-before-recycling");
        if (op == XlogOp.CheckpointOnline)
        {
            // A reader that has read pg_control just before this update joins a moment later: the log since the checkpoint before is kept for it.
            parts.Log.RemoveOldSegments(Lsn.Min(previous, parts.OldestWalNeeded()), point.Redo, previous);
        }
    }

    /// <summary>Which checkpoints are ours: a start that finds another one in pg_control knows that stock PostgreSQL has been here.</summary>
    private void RememberOwn(Lsn former, Lsn next) => DurableFile.Overwrite(
        Path.Combine(parts.Engine.Files.DataDirectory, OwnCheckpoints.FileName), OwnCheckpoints.ToBytes(former, next));

    private void WriteControl()
    {
        _control.Time = UnixTime();
        parts.ControlStore.Write(ref _control);
    }

    private long UnixTime() => parts.Time.GetUtcNow().ToUnixTimeSeconds();

    private long PostgresTime() => (parts.Time.GetUtcNow() - new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero)).Ticks / 10;
}

/// <summary>The last checkpoints that a writer of ours has made (<c>cluster/checkpoint</c>), written before the control file.</summary>
public static class OwnCheckpoints
{
    public const string FileName = "cluster/checkpoint";

    public static byte[] ToBytes(Lsn former, Lsn next) => new ClusterRecord().Add("checkpoint", former).Add("checkpoint", next).ToBytes();

    /// <summary>Whether the checkpoint in pg_control is one of ours; without a file none is.</summary>
    public static bool IsOurs(string dataDirectory, Lsn checkPointAt) =>
        DurableFile.TryRead(Path.Combine(dataDirectory, FileName)) is { } bytes
        && ClusterRecord.TryParse(bytes) is { } record
        && record.All("checkpoint").Contains(checkPointAt.ToString());
}
