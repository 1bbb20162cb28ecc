using SharedStorage.Buffers;
using SharedStorage.Format.Control;
using SharedStorage.Format.Fsm;
using SharedStorage.Format.VisibilityMap;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Multi;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Recovery.Tail;

/// <summary>
/// What records do beside pages and transactions: checkpoints and counters, files made, cut and dropped, the relation map. Noted here by the tail; a node that becomes the writer
/// carries out on storage what is noted (<see cref="FilesToCut"/> and the like), a reader never does (I4).
/// </summary>
public sealed class ReplayEffects(BufferPool pool)
{
    private readonly HashSet<RelFileNode> _dropped = [];
    private readonly HashSet<(RelFileNode Rel, ForkNumber Fork)> _cut = [];
    private readonly List<(Oid Tablespace, Oid Database)> _databasesMade = [];
    private readonly List<(Oid Tablespace, Oid Database)> _databasesDropped = [];
    private readonly List<DatabaseCopyRecord> _databasesCopied = [];
    private readonly Dictionary<Oid, string> _tablespacesMade = [];
    private readonly HashSet<Oid> _tablespacesDropped = [];
    private readonly Dictionary<(Oid Database, Oid Tablespace), byte[]> _mapsChanged = [];
    private uint _nextOid;

    /// <summary>The next object number that no record has used up; from the checkpoint at first.</summary>
    public Oid NextOid
    {
        get => new(Volatile.Read(ref _nextOid));
        set => Volatile.Write(ref _nextOid, value.Value);
    }

    /// <summary>The last checkpoint record met, with where it begins.</summary>
    public (Lsn At, CheckPoint CheckPoint)? LastCheckPoint { get; private set; }

    /// <summary>Relations whose drop was replayed: their files go when this node becomes the writer (R2).</summary>
    public IReadOnlyCollection<RelFileNode> FilesToRemove => _dropped;

    /// <summary>Forks whose truncation was replayed: their files are cut to the virtual size when this node becomes the writer (R1).</summary>
    public IReadOnlyCollection<(RelFileNode Rel, ForkNumber Fork)> FilesToCut => _cut;

    public IReadOnlyList<(Oid Tablespace, Oid Database)> DatabasesMade => _databasesMade;
    public IReadOnlyList<(Oid Tablespace, Oid Database)> DatabasesDropped => _databasesDropped;

    /// <summary>
    /// Databases copied by file (R17). The record follows the copy, which is on shared storage, synced, whole: a node reads it there, and whoever becomes the writer finds it there.
    /// </summary>
    public IReadOnlyList<DatabaseCopyRecord> DatabasesCopied => _databasesCopied;

    /// <summary>Tablespaces and where they lie; an empty path is a folder within pg_tblspc.</summary>
    public IReadOnlyDictionary<Oid, string> TablespacesMade => _tablespacesMade;

    public IReadOnlyCollection<Oid> TablespacesDropped => _tablespacesDropped;

    /// <summary>The settings that the control file repeats, as the log changed them last; null when it did not.</summary>
    public ParameterChangeRecord? Parameters { get; private set; }

    /// <summary>Called by the tail for each database copied by file, as of its record: for a node that does not share the storage of who wrote the log. Null on one that does.</summary>
    public Action<DatabaseCopyRecord>? DatabaseCopied { get; set; }

    /// <summary>Called by the tail for each database that is dropped, as of its record.</summary>
    public Action<Oid>? DatabaseDropped { get; set; }

    /// <summary>Relation map files as the log has them last, by database and tablespace; they go to storage when this node becomes the writer (R7).</summary>
    public IReadOnlyDictionary<(Oid Database, Oid Tablespace), byte[]> MapsToWrite => _mapsChanged;

    /// <summary>Called by the tail with each new relation map (R7).</summary>
    public RelMapChanged? RelMapChanged { get; set; }

    /// <summary>Sees each checkpoint record: a reader takes from it what it need not keep.</summary>
    public Action<CheckPoint>? CheckPointSeen { get; set; }

    /// <exception cref="StorageException">I10.</exception>
    public void Apply(WalRecord record, TransactionReplay replay)
    {
        switch (record.Rmgr)
        {
            case Rmgr.Xlog:
                ApplyXlog(record, replay);
                break;
            case Rmgr.Storage:
                ApplyStorage(record);
                break;
            case Rmgr.RelMap:
                ApplyRelMap(record);
                break;
            case Rmgr.Database:
                ApplyDatabase(record);
                break;
            case Rmgr.Tablespace:
                ApplyTablespace(record);
                break;
            default:
                throw Unsupported(record, record.Rmgr.ToString());
        }
    }

    /// <summary>Relations dropped by a commit, or made by a transaction that aborted.</summary>
    public void NoteDrops(WalRecord record)
    {
        byte op = (byte)(record.Info & XactEnd.OpMask);
        if (op is XactEnd.OpCommit or XactEnd.OpAbort or XactEnd.OpCommitPrepared or XactEnd.OpAbortPrepared && (record.Info & XactEnd.HasInfo) != 0)
        {
            foreach (RelFileNode rel in XactEnd.Read(record.Info, record.MainData).Files)
            {
                pool.NoteDropped(rel, record.Start);
                _dropped.Add(rel);
            }
        }
    }

    /// <summary>What was noted to be done on storage is done, or another node's to do.</summary>
    public void ForgetPendingFiles()
    {
        _dropped.Clear();
        _cut.Clear();
        _mapsChanged.Clear();
        _databasesMade.Clear();
        _databasesDropped.Clear();
        _databasesCopied.Clear();
        _tablespacesMade.Clear();
        _tablespacesDropped.Clear();
    }

    private void ApplyXlog(WalRecord record, TransactionReplay replay)
    {
        switch (record.OpCode)
        {
            case XlogOp.CheckpointShutdown or XlogOp.CheckpointOnline:
                CheckPoint point = CheckpointRecord.Read(record.MainData);
                var multi = new MultiXactLimits(point.NextMulti, point.NextMultiOffset, point.OldestMulti, point.OldestMultiDatabase);
                bool shutdown = record.OpCode == XlogOp.CheckpointShutdown;
                replay.ApplyCheckpoint(point.NextXid, point.OldestXid, point.OldestXidDatabase, multi, nothingRuns: shutdown);
                if (shutdown)
                {
                    // An online one was begun before: what the log handed out since then counts.
                    NextOid = point.NextOid;
                }

                LastCheckPoint = (record.Start, point);
                CheckPointSeen?.Invoke(point);
                break;
            case XlogOp.NextOid:
                NextOid = NextOidRecord.Read(record.MainData).Next;
                break;
            case XlogOp.ParameterChange:
                ParameterChangeRecord parameters = ParameterChangeRecord.Read(record.MainData);
                Parameters = parameters;
                replay.ApplyTrackCommitTimestamp(parameters.TrackCommitTimestamp, record.Start, record.End);
                break;
            case XlogOp.EndOfRecovery or XlogOp.OverwriteContinuation:
                // Where they stand was checked before.
                break;
            case XlogOp.Noop or XlogOp.Switch or XlogOp.BackupEnd or XlogOp.RestorePoint or XlogOp.FullPageWrites or XlogOp.Image or XlogOp.ImageForHint:
                // Segments, backups, named places, settings of who wrote the log: nothing that a node keeps.
                break;
            default:
                throw record.Malformed("unknown op code");
        }
    }

    private void ApplyStorage(WalRecord record)
    {
        switch (record.OpCode)
        {
            case StorageOp.Create:
                StorageCreateRecord made = StorageCreateRecord.Read(record.MainData);
                _dropped.Remove(made.Rel);
                pool.NoteCreated(made.Rel, made.Fork, record.Start);
                break;
            case StorageOp.Truncate:
                ApplyTruncate(StorageTruncateRecord.Read(record.MainData), record.Start);
                break;
            default:
                throw record.Malformed("unknown op code");
        }
    }

    private void ApplyTruncate(in StorageTruncateRecord body, Lsn start)
    {
        if ((body.Flags & StorageTruncateFlags.Heap) != 0)
        {
            Cut(body.Rel, ForkNumber.Main, body.Blocks, start);
        }

        if ((body.Flags & StorageTruncateFlags.VisibilityMap) != 0)
        {
            // The last map page that is kept was logged as an image, with its tail cleared, before this record.
            Cut(body.Rel, ForkNumber.VisibilityMap, VisibilityMapPage.BlocksFor(body.Blocks), start);
        }

        if ((body.Flags & StorageTruncateFlags.FreeSpaceMap) != 0)
        {
            Cut(body.Rel, ForkNumber.FreeSpaceMap, FsmAddress.BlocksFor(body.Blocks), start);
        }
    }

    private void Cut(RelFileNode rel, ForkNumber fork, uint blocks, Lsn start)
    {
        pool.NoteTruncated(rel, fork, blocks, start);
        _cut.Add((rel, fork));
    }

    private void ApplyRelMap(WalRecord record)
    {
        if (record.OpCode != RelMapOp.Update)
        {
            throw record.Malformed("unknown op code");
        }

        RelMapUpdateRecord body = RelMapUpdateRecord.Read(record.MainData);
        _mapsChanged[(body.Database, body.Tablespace)] = body.File.ToArray();
        RelMapChanged?.Invoke(record.End, body.Database, body.File);
    }

    private void ApplyDatabase(WalRecord record)
    {
        switch (record.OpCode)
        {
            case DatabaseOp.CreateWalLog:
                DatabaseCreateRecord made = DatabaseCreateRecord.Read(record.MainData);
                MakeDatabase((made.Tablespace, made.Database));
                break;
            case DatabaseOp.Drop:
                DatabaseDropRecord dropped = DatabaseDropRecord.Read(record.MainData);
                foreach (Oid tablespace in dropped.Tablespaces)
                {
                    (Oid, Oid) gone = (tablespace, dropped.Database);
                    _databasesDropped.Add(gone);
                    _databasesMade.Remove(gone);
                    _databasesCopied.RemoveAll(c => (c.Tablespace, c.Database) == gone);
                    _mapsChanged.Remove((dropped.Database, tablespace));
                    pool.NoteDatabaseDropped(tablespace, dropped.Database, record.Start);
                }

                DatabaseDropped?.Invoke(dropped.Database);

                break;
            case DatabaseOp.CreateFileCopy:
                DatabaseCopyRecord copied = DatabaseCopyRecord.Read(record.MainData);
                MakeDatabase((copied.Tablespace, copied.Database));
                _databasesMade.Remove((copied.Tablespace, copied.Database));
                _databasesCopied.Add(copied);
                DatabaseCopied?.Invoke(copied);
                break;
            default:
                throw record.Malformed("unknown op code");
        }
    }

    private void MakeDatabase((Oid Tablespace, Oid Database) folder)
    {
        // The number may be used again after a drop.
        _databasesDropped.Remove(folder);
        _databasesMade.Add(folder);
    }

    private void ApplyTablespace(WalRecord record)
    {
        switch (record.OpCode)
        {
            case TablespaceOp.Create:
                TablespaceCreateRecord made = TablespaceCreateRecord.Read(record.MainData);
                _tablespacesDropped.Remove(made.Tablespace);
                _tablespacesMade[made.Tablespace] = made.Path;
                break;
            case TablespaceOp.Drop:
                Oid dropped = TablespaceDropRecord.Read(record.MainData).Tablespace;
                _tablespacesMade.Remove(dropped);
                _tablespacesDropped.Add(dropped);
                break;
            default:
                throw record.Malformed("unknown op code");
        }
    }

    private static StorageException Unsupported(WalRecord record, string what) =>
        new($"replay of {what} is not supported yet (record at {record.Start}, resource manager {record.Rmgr}, info 0x{record.Info:X2})")
        {
            SqlState = SqlStates.FeatureNotSupported,
        };
}

/// <summary>A relation map file's new content; database 0 is the shared catalogs.</summary>
public delegate void RelMapChanged(Lsn recordEnd, Oid database, ReadOnlySpan<byte> content);
