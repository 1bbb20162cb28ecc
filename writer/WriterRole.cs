using Microsoft.Extensions.Logging;
using SharedStorage.Buffers;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.Leases;
using SharedStorage.Format.Control;
using SharedStorage.Hosting.Cluster;
using SharedStorage.Hosting.Engine;
using SharedStorage.Hosting.Node;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Records;
using SharedStorage.Wal.Segments;
using SharedStorage.Writer.Channel;
using SharedStorage.Writer.Checkpoint;
using SharedStorage.Writer.Fencing;
using SharedStorage.Writer.Files;
using SharedStorage.Writer.Flush;
using SharedStorage.Writer.Vacuum;

namespace SharedStorage.Writer;

/// <summary>How a node becomes the writer.</summary>
/// <param name="NewTimeline">R13: always, unless the former writer is proven dead or let its lease go.</param>
/// <param name="CleanStart">The directory was stopped cleanly: nothing was replayed beyond the shutdown checkpoint.</param>
/// <param name="Former">The former writer's lease, as it was found.</param>
/// <param name="FormerMayWrite">R13: the former writer is neither fenced nor proven dead, so what it began to write may still land.</param>
/// <param name="Foreign">Stock PostgreSQL has run on the directory since our last checkpoint.</param>
public readonly record struct OpeningMode(bool NewTimeline, bool CleanStart, bool Foreign, string Reason, WriterLeaseRecord? Former = null, bool FormerMayWrite = false);

/// <summary>
/// Everything that a node has while it is the writer: log inserter, gate, checkpoints, steady flush, readers' channel. The same step opens it after recovery and at promotion
/// (DESIGN 1): the engine stays, with its cache and its sessions.
/// </summary>
public sealed class WriterRole : IDisposable
{
    private readonly NodeEnvironment _environment;
    private readonly NodeEngine _engine;
    private readonly WriterLease _lease;
    private readonly ILogger _log;
    private readonly HistoryCut _history;
    private readonly GatedShortening _shortening;
    private readonly SteadyFlush _steady;
    private readonly CheckpointLoop _checkpoints;
    private readonly UnfencedFormer? _unfenced;
    private readonly SpaceJournal _noSpace;
    private Autovacuum? _autovacuum;
    private int _stopped;

    private WriterRole(
        NodeEnvironment environment, NodeEngine engine, WriterLease lease, ControlFile control, WalInserter wal, FlushGate gate, FlushSignal signal, in OpeningMode mode, TimelineId previous)
    {
        _environment = environment;
        _engine = engine;
        _lease = lease;
        Log = wal;
        Gate = gate;
        _log = environment.Logs.CreateLogger("writer");
        _noSpace = new SpaceJournal(_log);
        string data = environment.DataDirectory;
        Removals = new RemovalQueue(data, engine.Files, engine.Pool, () => PendingRemovals<RelFileNode>.PassedByAll(gate.LowestApplied, engine.Transactions.Horizon)) { MayWrite = () => lease.IsHeld };
        Oids = new OidCounter(engine.Effects.NextOid);
        _history = new HistoryCut(engine);
        _shortening = new GatedShortening(engine.Storage, wal, gate, () => lease.IsHeld);
        engine.Storage.Shortening = _shortening;
        var parts = new CheckpointParts
        {
            Engine = engine,
            Log = wal,
            Gate = gate,
            Oids = Oids,
            Removals = Removals,
            Shortening = _shortening,
            ControlStore = new ControlFileStore(data) { MayWrite = () => lease.IsHeld },
            OldestWalNeeded = () => Channel!.OldestWal,
            Held = () => _unfenced?.IsOpen == true,
            Time = environment.Time,
            Journal = environment.Logs.CreateLogger("checkpoint"),
        };
        Checkpointer = new Checkpointer(parts, control);
        var registry = new ReaderRegistry(data);
        if (mode.Foreign)
        {
            // Stock PostgreSQL ran here: whatever leases there were, their readers have lost this cluster's history and join anew.
            registry.Clear();
        }

        _unfenced = UnfencedFormer.Begin(engine, gate, Checkpointer, mode.Former, mode.FormerMayWrite, environment.Time, _log, Fail);
        var honour = new InheritedLeases(registry.Names.Any(n => n != environment.NodeName) || mode.FormerMayWrite, environment.Settings.Lease, environment.Time);
        ReplayedFiles.CarryOut(engine, Removals, mode.Foreign, honour.Await);
        FaultPoint.Hit("promote-before-record");
        if (mode.CleanStart && !mode.NewTimeline)
        {
            Checkpointer.RecordInProduction();
        }
        else
        {
            Checkpointer.RecordEndOfRecovery(previous);
        }

        lease.SetOpened();
        engine.Transactions.Removal = Removals;
        Channel = new ReaderChannel(new ReaderChannelParts
        {
            SystemIdentifier = engine.Control.SystemIdentifier,
            Epoch = lease.Epoch,
            Node = environment.NodeName,
            Timeline = () => wal.Timeline,
            Inserted = () => wal.Inserted,
            Flushed = () => wal.Flushed,
            Visible = () => engine.Transactions.Visible,
            Redo = () => Checkpointer.Redo,
            FlushLog = FlushForReader,
            OwnLease = () => lease.Left,
            FormerMayWrite = mode.FormerMayWrite,
            Changed = OnReadersChanged,
            Registry = registry,
            Settings = environment.Settings.Lease,
            Time = environment.Time,
            Log = environment.Logs.CreateLogger("readers"),
        });
        signal.Target = Channel.WakeFollowers;
        engine.Transactions.WaitRemoteApply = Channel.WaitApplied;
        wal.StartWriter(TimeSpan.FromMilliseconds(200));
        _steady = new SteadyFlush(
            engine, wal, gate, _shortening, () => _unfenced is { IsOpen: true } u ? u.HeldAt : Lsn.Max, c => Channel.Consistent = c, Fail, environment.Logs.CreateLogger("flush"), _noSpace);
        double target = double.Parse(environment.Settings["checkpoint_completion_target"], System.Globalization.CultureInfo.InvariantCulture);
        _checkpoints = new CheckpointLoop(Checkpointer, wal, environment.Time, environment.Settings.Time("checkpoint_timeout"), target, Fail, _noSpace);
        if (!mode.CleanStart || mode.NewTimeline)
        {
            // R3: what is still to be redone goes to disk with the first checkpoint.
            _checkpoints.Request();
        }
    }

    public WalInserter Log { get; }
    public FlushGate Gate { get; }
    public Checkpointer Checkpointer { get; }
    public RemovalQueue Removals { get; }
    public OidCounter Oids { get; }
    public ReaderChannel Channel { get; }
    public ulong Epoch => _lease.Epoch;

    /// <summary>R13: a former writer may still write.</summary>
    public bool FormerIsUnfenced => _unfenced?.IsOpen == true;

    /// <summary>
    /// Opens the engine for writes where its tail has ended. The epoch is claimed and the lease held; the caller has read the log to its end and checked that end against the durable marks.
    /// </summary>
    /// <exception cref="StorageException">A write failed: the node must stop.</exception>
    public static WriterRole Open(NodeEnvironment environment, NodeEngine engine, WriterLease lease, in OpeningMode mode)
    {
        ILogger log = environment.Logs.CreateLogger("writer");
        WalEnd end = engine.Tail.End ?? throw new InvariantException("R10", "the log was not read to its end before the node opens for writes");
        Lsn insertAt = end.MissingContinuation.IsValid ? end.MissingContinuation : engine.Tail.Position;
        TimelineId previous = engine.History.Timeline;
        TimelineId timeline = mode.NewTimeline ? NextTimeline(engine.LogDirectory, previous) : previous;
        ControlFile control = LastControl(environment, engine);
        engine.Files.AllowWrites(() => lease.IsHeld);
        if (mode.NewTimeline)
        {
            // R10: the new timeline's first segment and its history file are durable before anything is written on it.
            engine.LogDirectory.CopyTail(previous, timeline, insertAt);
            FaultPoint.Hit("promote-before-history");
            TimelineHistory own = engine.History.Fork(timeline, insertAt, mode.Reason);
            engine.LogDirectory.WriteHistory(own);
            engine.Begin(own);
            FaultPoint.Hit("promote-after-history");
            lease.SetTimeline(timeline);
        }

        var signal = new FlushSignal();
        WalInserter wal = StartLog(environment, engine, lease, control.CheckPoint.Redo, timeline, keepFuture: !mode.NewTimeline, insertAt, end, signal, log);
        var gate = new FlushGate(() => wal.Flushed, () => lease.IsHeld);
        engine.Pool.SwitchToWriting(new InserterLog(wal), gate);
        engine.Transactions.OpenForWrites(new TransactionLog(wal));
        if (!mode.CleanStart)
        {
            // R16: before a session can read them, which takes the inserting end.
            int reset = UnloggedReset.Run(engine);
            log.LogDebug("{Relations} unlogged relations are empty again", reset);
        }

        // I7, as the gate does: nothing is pruned before the readers' table has spoken. They may hold snapshots that this node knows nothing of.
        engine.Transactions.RemoteHorizon = Lsn.Invalid;
        engine.Storage.Wal = wal;
        if (end.MissingContinuation.IsValid)
        {
            WalRecordBuilder record = wal.Begin(Xid.Invalid);
            new OverwriteContinuationRecord(end.AbortedRecord, (environment.Time.GetUtcNow() - new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero)).Ticks / 10).Write(record);
            wal.Flush(wal.Insert(record, Rmgr.Xlog, XlogOp.OverwriteContinuation));
        }

        log.LogInformation("open for writes at {Lsn} on timeline {Timeline}, epoch {Epoch}", insertAt, timeline, lease.Epoch);
        return new WriterRole(environment, engine, lease, control, wal, gate, signal, mode, previous);
    }

    /// <summary>Somebody says that the former writer cannot reach this storage any more.</summary>
    /// <exception cref="StorageException">What it has overwritten cannot be put right: the node must stop.</exception>
    public void ConfirmFenced()
    {
        try
        {
            _unfenced?.End("confirmed");
        }
        catch (Exception e)
        {
            Fail(e);
            throw;
        }
    }

    /// <summary>CHECKPOINT.</summary>
    public void CheckpointNow() => _checkpoints.RequestAndWait();

    /// <summary>The node's sessions may write now, and so may autovacuum.</summary>
    public void StartAutovacuum(SqlNode node) => _autovacuum = new Autovacuum(_environment, node, _engine);

    /// <summary>After VACUUM: what clog and multixacts no longer need goes.</summary>
    public void CutHistory() => _history.Run();

    /// <summary>A stop has begun: nothing waits for room on a full disk any more, so that sessions can end. Then the stop fails and the next start recovers.</summary>
    public void BeginStop() => Log.GiveUpSpace();

    /// <summary>A clean stop, after the sessions have ended: shutdown checkpoint, lease released.</summary>
    public void Stop()
    {
        if (Interlocked.Exchange(ref _stopped, 1) != 0)
        {
            return;
        }

        _autovacuum?.Dispose();
        _unfenced?.Suspend();
        _checkpoints.Dispose();
        _steady.Dispose();
        Checkpointer.RunShutdown(CancellationToken.None);
        Removals.Advance();
        Removals.Save();
        Channel.AnnounceStop();
        _lease.Release();
    }

    public void Dispose()
    {
        _autovacuum?.Dispose();
        _unfenced?.Dispose();
        Channel.Dispose();
        _shortening.Dispose();
        _lease.Dispose();
        Log.Dispose();
    }

    /// <summary>
    /// The control file as the last writer left it. A reader that is promoted began at an older checkpoint: named again, a crash before the next one would ask for log that is gone by now,
    /// and a page changed since the last one would get no image in the log (R11).
    /// </summary>
    private static ControlFile LastControl(NodeEnvironment environment, NodeEngine engine)
    {
        ControlFile control = new ControlFileStore(environment.DataDirectory).Read();
        if (control.SystemIdentifier != engine.Control.SystemIdentifier || control.CheckPoint.Redo < engine.Start.Redo || control.CheckPointAt > engine.Tail.Position)
        {
            throw new StorageException(
                $"pg_control names a checkpoint at {control.CheckPointAt} with redo {control.CheckPoint.Redo}, but this node has the log from {engine.Start.Redo} to {engine.Tail.Position}");
        }

        engine.Effects.Parameters?.ApplyTo(ref control);
        return control;
    }

    private static WalInserter StartLog(
        NodeEnvironment environment, NodeEngine engine, WriterLease lease, Lsn redo, TimelineId timeline, bool keepFuture, Lsn insertAt, WalEnd end, FlushSignal signal, ILogger log)
    {
        var settings = environment.Settings;
        var options = new WalInserterOptions
        {
            Directory = engine.LogDirectory,
            Timeline = timeline,
            BufferSize = (int)Math.Min(settings.Number("wal_buffers"), 1 << 30),
            FullPageWrites = settings.Bool("full_page_writes"),
            CommitDelay = (int)settings.Number("commit_delay"),
            CommitSiblings = (int)settings.Number("commit_siblings"),
            MinWalSize = settings.Number("min_wal_size"),
            MaxWalSize = settings.Number("max_wal_size"),
            KeepSize = settings.Number("wal_keep_size"),
            MayWrite = () => lease.IsHeld,
            OnFailure = e => environment.Fail(e.Message),
            OnSpaceMissing = e => log.LogError("the log waits for room on its disk, and so do all changes: {Reason}", e.Message),
            OnSpaceBack = () => log.LogInformation("the log no longer waits for room on its disk"),
            OnFlushed = _ => signal.Target?.Invoke(),
            Unlogged = engine.Storage.Unlogged,
        };
        WalInserter wal = WalInserter.Start(options, new WalStart
        {
            InsertAt = insertAt,
            PreviousRecord = engine.Tail.LastRecord,
            RedoPointer = redo,
            Overwrites = end.MissingContinuation.IsValid,
            KeepFutureSegments = keepFuture,
        });
        return wal;
    }

    /// <summary>Tells of flushes from the log, which is made before the channel that wants to know.</summary>
    private sealed class FlushSignal
    {
        public Action? Target { get; set; }
    }

    private static TimelineId NextTimeline(WalDirectory directory, TimelineId from) => new(directory.NewestTimeline(from).Value + 1);

    /// <summary>For an activation: one that would wait for room on a full disk is refused instead, since each of its tries would hold a thread.</summary>
    private void FlushForReader(Lsn upTo)
    {
        if (Log.IsWaitingForSpace && upTo > Log.Flushed)
        {
            throw new RpcException(RpcStatus.Unavailable, "the writer's log waits for room on its disk");
        }

        Log.Flush(upTo);
    }

    private void OnReadersChanged(ReaderTable table)
    {
        bool moved = Gate.LowestApplied != table.LowestApplied;

        // I7 before I2: what is granted afterwards sees the horizon that it depends on.
        _engine.Transactions.RemoteHorizon = table.LowestSnapshot;
        Gate.LowestApplied = table.LowestApplied;
        if (moved)
        {
            _engine.Pool.NoteGateMoved();
        }

        if (Removals.Pending > 0)
        {
            ThreadPool.QueueUserWorkItem(static r => r.Advance(), Removals, preferLocal: false);
        }
    }

    private void Fail(Exception e) => _environment.Fail(e.Message);
}
