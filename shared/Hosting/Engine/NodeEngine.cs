using Microsoft.Extensions.Logging;
using SharedStorage.Buffers;
using SharedStorage.Catalog;
using SharedStorage.Format.Control;
using SharedStorage.Hosting.Node;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Redo;
using SharedStorage.Recovery.Tail;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using SharedStorage.Transactions.Multi;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Records;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Hosting.Engine;

/// <summary>
/// The one machinery of a node: files, log, pool, transactions, tail, catalogs. It begins as one that applies, at a checkpoint; a reader stays so, recovery and
/// promotion open it for writes in place (DESIGN 1).
/// </summary>
public sealed class NodeEngine : IDisposable
{
    private TimelineHistory _history;

    private NodeEngine(NodeEnvironment environment, in ControlFile control, TimelineHistory history, in CheckPoint start, IStorageReadCheck? readCheck, IStorageAhead? ahead)
    {
        string data = environment.DataDirectory;
        Control = control;
        _history = history;
        Start = start;
        Applied = new LsnCell(start.Redo);
        Consistent = new LsnCell(start.Redo);
        Files = new RelationFiles(data, readOnly: true, failStop: e => environment.Fail(e.Message));
        LogDirectory = new WalDirectory(Path.Combine(data, "pg_wal"), (int)control.WalSegmentSize, control.SystemIdentifier);
        Recent = new RecentWal();
        Records = new FollowedRecords(LogDirectory, history, Recent);
        Redo = new RedoTable();
        Pool = new BufferPool(new BufferPoolOptions
        {
            Frames = Math.Max(16, (int)(environment.Settings.Number("shared_buffers") / Format.Pages.Page.Size)),
            Files = Files,
            Applied = Applied,
            Consistent = Consistent,
            Redo = Redo,
            Records = Records,
            Time = environment.Time,
            LogIndexBytes = environment.Settings.Number("sharedstorage.log_index_size"),
            LogIndexSpill = Path.Combine(environment.LocalDirectory, "log_index"),
            FrozenSpill = Path.Combine(environment.LocalDirectory, "frozen_pages"),
            FrozenSpillBytes = environment.Settings.Number("sharedstorage.frozen_spill_size"),
            FrameWait = environment.Settings.Lease.EvictionTime + (2 * environment.Settings.Lease.Lease),
            ReadCheck = readCheck,
            Ahead = ahead,
            LogSinceRedo = new PageHistory(data, LogDirectory, () => History, environment.Logs.CreateLogger("engine")).Of,
        });
        Locks = new LockManager();
        Transactions = new TransactionManager(data, readOnly: true, Locks, environment.Time);
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
        Storage = new StorageEngine { Files = Files, Buffers = Pool, Transactions = Transactions, Locks = Locks };
        Catalogs = new CatalogManager(new EngineCatalogReader(Storage), new RelationMaps(data), new SqlComparators(), start.Redo) { Unlogged = Storage.Unlogged };
        Transactions.Listener = new CatalogInvalidator(Catalogs);
        Effects = new ReplayEffects(Pool)
        {
            NextOid = start.NextOid,
            RelMapChanged = Catalogs.RelationMapChanged,
        };
        Tail = new LogTail(WalReader.Open(LogDirectory, history, start.Redo, Recent), Redo, Pool, Transactions, Effects, Applied);
    }

    public ControlFile Control { get; }

    /// <summary>The history that the tail follows.</summary>
    public TimelineHistory History => Volatile.Read(ref _history);

    /// <summary>The checkpoint that the engine began at.</summary>
    public CheckPoint Start { get; }

    public LsnCell Applied { get; }
    public LsnCell Consistent { get; }
    public RelationFiles Files { get; }
    public WalDirectory LogDirectory { get; }
    public RecentWal Recent { get; }
    public FollowedRecords Records { get; }
    public RedoTable Redo { get; }
    public BufferPool Pool { get; }
    public LockManager Locks { get; }
    public TransactionManager Transactions { get; }
    public StorageEngine Storage { get; }
    public CatalogManager Catalogs { get; }
    public ReplayEffects Effects { get; }
    public LogTail Tail { get; }

    /// <summary>Reads pg_control and the checkpoint that it names, and stands ready to tail from that checkpoint's redo.</summary>
    /// <exception cref="StorageException">The control file or the checkpoint record is damaged.</exception>
    /// <exception cref="PgException">The directory cannot be served.</exception>
    public static NodeEngine Open(NodeEnvironment environment, IStorageReadCheck? readCheck = null, IStorageAhead? ahead = null)
    {
        ControlFile control = new ControlFileStore(environment.DataDirectory).Read();
        control.CheckCompatible();
        var directory = new WalDirectory(Path.Combine(environment.DataDirectory, "pg_wal"), (int)control.WalSegmentSize, control.SystemIdentifier);
        uint known = Math.Max(control.CheckPoint.Timeline.Value, control.MinRecoveryTimeline.Value);
        TimelineHistory history = directory.ReadHistory(directory.NewestTimeline(new TimelineId(known)));
        CheckPoint start = ReadCheckPoint(directory, history, control);
        environment.Logs.CreateLogger("engine").LogInformation(
            "checkpoint at {CheckPoint}, redo at {Redo}, timeline {Timeline}, cluster was {State}",
            control.CheckPointAt, start.Redo, history.Timeline, control.State);
        return new NodeEngine(environment, control, history, start, readCheck, ahead);
    }

    /// <summary>
    /// Goes over to a newer timeline that branched off at or after what is applied: the writer failed over. By the thread that tails.
    /// </summary>
    /// <returns>False: what is applied lies beyond the switch point, so this node has seen log that is not in that history (R10).</returns>
    public bool TryFollow(TimelineId timeline)
    {
        TimelineHistory next = LogDirectory.ReadHistory(timeline);
        if (!next.Contains(History.Timeline) || next.EndOf(History.Timeline) < Applied.Value)
        {
            return false;
        }

        // What lies behind the switch point in memory is the old timeline's.
        Recent.Reset(WalLayout.PageStart(Applied.Value));
        Records.Follow(next);
        Tail.Follow(WalReader.Open(LogDirectory, next, Tail.Position, Recent));
        Volatile.Write(ref _history, next);
        return true;
    }

    /// <summary>This node goes on with the log on a timeline of its own, which leaves the followed one where the tail has ended (R10).</summary>
    public void Begin(TimelineHistory own)
    {
        Records.Follow(own);
        Volatile.Write(ref _history, own);
    }

    public void Dispose()
    {
        Pool.Dispose();
        Files.Dispose();
        Records.Dispose();
        Recent.Dispose();
    }

    private static CheckPoint ReadCheckPoint(WalDirectory directory, TimelineHistory history, in ControlFile control)
    {
        // The record is the truth and pg_control repeats it: a log that does not have it is not this control file's log.
        using WalReader reader = WalReader.Open(directory, history, control.CheckPointAt);
        var record = new WalRecord();
        if (reader.Read(record) != WalRead.Record || record.Rmgr != Rmgr.Xlog || record.OpCode is not (XlogOp.CheckpointShutdown or XlogOp.CheckpointOnline))
        {
            throw new StorageException(
                $"could not locate a valid checkpoint record at {control.CheckPointAt}: {reader.End?.Message ?? "the record is another one"}");
        }

        return CheckpointRecord.Read(record.MainData);
    }
}

/// <summary>Records by position, along the history that the node follows at the moment.</summary>
public sealed class FollowedRecords(WalDirectory directory, TimelineHistory history, RecentWal recent) : IWalRecords, IWalStretches, IDisposable
{
    private volatile WalRecords _records = new(directory, history, recent);

    public void Read(Lsn start, WalRecord into) => _records.Read(start, into);

    public IWalScan OpenScan(int readers) => _records.OpenScan(readers);

    public void Follow(TimelineHistory next) => _records = new WalRecords(directory, next, recent);

    public void Dispose() => _records.Dispose();
}

/// <summary>Tells the catalog caches of each commit that changed catalogs, before anybody can see it.</summary>
internal sealed class CatalogInvalidator(CatalogManager catalogs) : ICommitListener
{
    public void BeforeVisible(Lsn commitEnd, Xid xid, in XactEnd record) => catalogs.Invalidate(commitEnd, record.Invalidations);
}
