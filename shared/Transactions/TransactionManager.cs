using System.Runtime.CompilerServices;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Locks;
using SharedStorage.Transactions.Multi;
using SharedStorage.Transactions.Origins;
using SharedStorage.Transactions.Slru;
using SharedStorage.Transactions.TwoPhase;

namespace SharedStorage.Transactions;

/// <summary>The two bits of a transaction in pg_xact.</summary>
public enum XidStatus : byte
{
    InProgress = 0,
    Committed = 1,
    Aborted = 2,
    SubCommitted = 3,
}

/// <summary>
/// Numbers, states and order of the transactions of a node: clog, commit-LSN map, running transactions, visible LSN, horizons (I6, I7, R5, R8, R14).
/// Lock order: xids, running, commit insertion, completion, horizon; then an SLRU area's, then the log's. None is held while waiting for a flush or a lock.
/// </summary>
public sealed partial class TransactionManager
{
    /// <summary>What <see cref="EndOf"/> gives for a transaction that committed at or before B; no record ends at so low a position.</summary>
    internal const ulong CommittedBeforeStart = 3;

    private readonly TimeProvider _time;
    private Oid _oldestXidDatabase;
    private uint _oldestXid = Xid.FirstNormal.Value;

    /// <summary>A manager over the areas in a data directory; <see cref="Start"/> comes before any use.</summary>
    public TransactionManager(string dataDirectory, bool readOnly, LockManager locks, TimeProvider time)
    {
        _time = time;
        Locks = locks;
        Clog = new Clog(new SlruFiles(dataDirectory, "pg_xact", readOnly));
        MultiXacts = new MultiXacts(
            this, new SlruFiles(dataDirectory, "pg_multixact/offsets", readOnly), new SlruFiles(dataDirectory, "pg_multixact/members", readOnly));
        CommitTimestamps = new CommitTimestamps(new SlruFiles(dataDirectory, "pg_commit_ts", readOnly));
        Prepared = new PreparedTransactions(dataDirectory);
        Origins = new ReplicationOrigins(dataDirectory);
        locks.Attach(this);
    }

    public Clog Clog { get; }
    public MultiXacts MultiXacts { get; }
    public CommitTimestamps CommitTimestamps { get; }

    /// <summary>The prepared transactions: they run, on whatever node, until COMMIT PREPARED or ROLLBACK PREPARED.</summary>
    public PreparedTransactions Prepared { get; }

    public ReplicationOrigins Origins { get; }

    /// <summary>Access exclusive locks that the log tells of; empty on a writer.</summary>
    public ReplayedLocks ReplayedLocks { get; } = new();

    public CommitLsnMap Map { get; } = new();
    public LockManager Locks { get; }

    /// <summary>The log's inserting end; null on a node that applies. Set by <see cref="OpenForWrites"/>.</summary>
    public ITransactionLog? Log { get; private set; }

    /// <summary>Who removes files (I5). Set by the node; null keeps them all.</summary>
    public IRelationRemoval? Removal { get; set; }

    /// <summary>Who hears of invalidations; null when there are no catalog caches.</summary>
    public ICommitListener? Listener { get; set; }

    /// <summary>Every commit whose record ends at or before this is in clog and in the commit-LSN map.</summary>
    public Lsn Visible => new(Volatile.Read(ref _visible));

    internal ITransactionLog WritableLog =>
        Log ?? throw new PgException(SqlStates.ReadOnlySqlTransaction, "cannot assign TransactionIds during recovery");

    /// <summary>The oldest xid that any database may still hold (pg_control's oldestXid), and that database.</summary>
    public Xid OldestXid => new(Volatile.Read(ref _oldestXid));

    public Oid OldestXidDatabase => _oldestXidDatabase;

    /// <summary>Begins from a checkpoint: for a reader, for recovery, and for a writer before <see cref="OpenForWrites"/>.</summary>
    public void Start(in TransactionStart start)
    {
        Volatile.Write(ref _nextXid, start.NextXid.Value);
        SetOldestXid(start.OldestXid, start.OldestXidDatabase);
        MultiXacts.Start(start.MultiXacts);
        Xid ended = start.OldestActiveXid.IsValid ? start.OldestActiveXid : start.NextXid.Xid;
        Volatile.Write(ref _latestCompleted, ended.Previous().Value);
        Volatile.Write(ref _endedAtStart, ended.Value);
        CommitTimestamps.Start(start.TrackCommitTimestamp, start.OldestCommitTimestamp, start.NewestCommitTimestamp, start.NextXid.Xid, start.Begin);
        Origins.Load();
        Prepared.Load(start.NextXid.Xid, xid => Clog.Get(xid, SlruMissing.ReadsAsZero) is XidStatus.Committed or XidStatus.Aborted);
        foreach (PreparedTransaction prepared in Prepared.List())
        {
            // After a shutdown too these run on.
            ended = prepared.Xid.Precedes(ended) ? prepared.Xid : ended;
        }

        Map.Begin(start.Begin, ended);
        Volatile.Write(ref _visible, start.Begin.Value);
        StartHorizon(start.Begin, ended);
    }

    /// <summary>
    /// Makes this the writer, after the last record is applied: what lies beyond the counters in the areas is cleared, truncations that were replayed are
    /// carried out. Transactions that neither committed nor aborted crashed, but for prepared ones, which run on.
    /// </summary>
    public void OpenForWrites(ITransactionLog log)
    {
        Lsn at = log.Reserved;
        Clog.Cache.Files.AllowWrites();
        MultiXacts.Offsets.Files.AllowWrites();
        MultiXacts.Members.Files.AllowWrites();
        Clog.Trim(NextXid, at);
        MultiXacts.OpenForWrites(at);
        CommitTimestamps.OpenForWrites();
        Prepared.OpenForWrites();
        foreach (PreparedTransaction p in Prepared.List())
        {
            Restore(p);
        }

        Log = log;
        RemoveTruncatedInReplay(at);
    }

    public XidStatus StatusOf(Xid xid)
    {
        ulong known = xid.IsNormal ? Map.Get(xid) : CommitLsnMap.Unknown;
        return known switch
        {
            CommitLsnMap.Unknown => Clog.Get(xid),
            CommitLsnMap.Running => XidStatus.InProgress,
            CommitLsnMap.Aborted => XidStatus.Aborted,
            _ => XidStatus.Committed,
        };
    }

    /// <summary>Runs on this writer now, as a top-level or subtransaction. Always false on a reader.</summary>
    public bool IsInProgress(Xid xid) => xid.IsNormal && Map.Get(xid) == CommitLsnMap.Running;

    /// <summary>Whether it committed, as far as this node knows; false for one that runs (TransactionIdDidCommit).</summary>
    public bool DidCommit(Xid xid) => StatusOf(xid) == XidStatus.Committed;

    /// <summary>The rule I6: whether the transaction's commit record ends at or before <paramref name="at"/> (hint bits must not be asked first; R8).</summary>
    public bool CommittedAtOrBefore(Xid xid, Lsn at)
    {
        ulong end = EndOf(xid);
        return end > CommittedBeforeStart ? end <= at.Value : end == CommittedBeforeStart && (at >= Map.Start || !xid.IsNormal);
    }

    /// <summary>
    /// Whether every snapshot that is or will be sees the commit: it ends at or before H. <paramref name="horizon"/> was taken from <see cref="Horizon"/> a while ago (a VACUUM keeps one);
    /// H has gone on, and the map may have been cut as far as that meanwhile. What it then knows no end of ended at or before B, and B lies at or before H as it is now.
    /// </summary>
    public bool IsCommittedForAll(Xid xid, Lsn horizon)
    {
        ulong end = EndOf(xid);
        return IsCommittedForAll(end, horizon) || (!xid.IsNormal && end == CommittedBeforeStart);
    }

    /// <param name="end">What <see cref="EndOf"/> gave.</param>
    /// <param name="horizon">H, or what it was.</param>
    internal bool IsCommittedForAll(ulong end, Lsn horizon)
    {
        if (end != CommittedBeforeStart)
        {
            return end > CommittedBeforeStart && end <= horizon.Value;
        }

        // B first: a cut raises H before it.
        Lsn start = Map.Start;
        return start <= horizon || start.Value <= Volatile.Read(ref _horizon);
    }

    /// <summary>The end of the commit record; invalid when it did not commit, or at or before B.</summary>
    public Lsn CommitLsnOf(Xid xid) => EndOf(xid) is > CommittedBeforeStart and ulong end ? new Lsn(end) : Lsn.Invalid;

    /// <summary>
    /// Running, aborted, committed at or before B, or the commit's LSN; a transaction without an end runs, as far as a reader knows, and crashed, on a writer.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal ulong EndOf(Xid xid)
    {
        ulong known = xid.IsNormal ? Map.Get(xid) : CommitLsnMap.Unknown;
        return known != CommitLsnMap.Unknown ? known : EndByClog(xid);
    }

    /// <summary>Notes the oldest xid of all databases after a vacuum or a truncation record: the limit of new xids follows it.</summary>
    public void SetOldestXid(Xid oldest, Oid database)
    {
        _oldestXidDatabase = database;
        Volatile.Write(ref _oldestXid, oldest.Value);
    }

    /// <summary>
    /// At or before every commit, SLRU change and pending commit that is not in the files (R3, R7); <see cref="Lsn.Max"/> when there is none. The caller
    /// takes the inserted position BEFORE the call. Neither <c>consistent</c> nor a finished checkpoint's <c>redo</c> lies beyond it.
    /// </summary>
    public Lsn OldestUnflushed()
    {
        // Pending commits first: one that leaves the queue meanwhile has made its clog page dirty before.
        Lsn pending = OldestPendingCommit();
        return Lsn.Min(pending, OldestUnflushedInAreas());
    }

    /// <summary>The highest position that the files of the areas hold (R4).</summary>
    public Lsn Written => Lsn.MaxOf(
        Lsn.MaxOf(Clog.Cache.Written, CommitTimestamps.Cache.Written), Lsn.MaxOf(MultiXacts.Offsets.Written, MultiXacts.Members.Written));

    /// <summary>A former writer's late write may have brought an older page back: what was changed since this node began is written once more (R13).</summary>
    /// <returns>Past all that is marked: how far <see cref="FlushAreas"/> has to come.</returns>
    public Lsn MarkAreasChangedAgain()
    {
        Clog.Cache.MarkChangedAgain();
        MultiXacts.Offsets.MarkChangedAgain();
        MultiXacts.Members.MarkChangedAgain();
        CommitTimestamps.Cache.MarkChangedAgain();
        return new Lsn(WritableLog.Reserved.Value + 1);
    }

    /// <summary>
    /// Writes and syncs what is dirty in the areas, as far as the gate lets it. False: a change before the position is held back; come again when readers have moved on. Later
    /// changes are not waited for: a page of clog never stops changing under load.
    /// </summary>
    public bool FlushAreas(Buffers.IFlushGate gate, Lsn before)
    {
        ITransactionLog log = WritableLog;
        Clog.Cache.Flush(gate, log.Flush);
        MultiXacts.Offsets.Flush(gate, log.Flush);
        MultiXacts.Members.Flush(gate, log.Flush);
        CommitTimestamps.Cache.Flush(gate, log.Flush);
        return OldestUnflushedInAreas() >= before;
    }

    private Lsn OldestUnflushedInAreas() =>
        Lsn.Min(Clog.Cache.OldestUnflushed(), Lsn.Min(MultiXacts.OldestUnflushed(), CommitTimestamps.Cache.OldestUnflushed()));

    private ulong EndByClog(Xid xid) => Clog.Get(xid) switch
    {
        // On a node that applies the commit may have come between the two look-ups; its entry was made before its clog bit (rule 12).
        XidStatus.Committed => xid.IsNormal && Map.Get(xid) is var known && known != CommitLsnMap.Unknown ? known : CommittedBeforeStart,
        XidStatus.Aborted => CommitLsnMap.Aborted,
        _ => Log is null ? CommitLsnMap.Running : CommitLsnMap.Aborted,
    };

    /// <summary>Microseconds since 2000-01-01 UTC, as PostgreSQL counts time.</summary>
    internal long Now() => (_time.GetUtcNow().Ticks - PgEpochTicks) / TimeSpan.TicksPerMicrosecond;

    private static readonly long PgEpochTicks = new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero).Ticks;
}
