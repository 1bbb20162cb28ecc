using System.Runtime.InteropServices;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Locks;
using SharedStorage.Transactions.Multi;
using SharedStorage.Wal.Records;

namespace SharedStorage.Transactions;

/// <summary>
/// One client transaction with its subtransactions. Belongs to one session thread. It takes an xid at its first change.
/// </summary>
public sealed partial class Transaction
{
    /// <summary>So many subtransactions of which no assignment record told: then one is written (PGPROC_MAX_CACHED_SUBXIDS).</summary>
    private const int ChildrenPerAssignment = 64;

    private readonly TransactionManager _manager;

    /// <summary>Subtransactions with an xid that run or were released, in the order of their xids; one that aborts takes its tail of the list along.</summary>
    private readonly List<Xid> _children = [];
    private readonly Lock _childrenLock = new();
    private readonly List<Snapshot> _snapshots = [];
    private SnapshotSlot? _slot;
    private ComboCommands? _combos;
    private uint _topXid;
    private int _unreported;
    private uint _oldestMulti;
    private TransactionState _state;

    internal Transaction(TransactionManager manager, LockSession session, bool readOnly)
    {
        _manager = manager;
        Session = session;
        IsReadOnly = readOnly;
        session.Current = this;
    }

    private enum TransactionState
    {
        Running,
        Committed,
        Aborted,
    }

    public bool IsReadOnly { get; set; }

    /// <summary>Who holds this transaction's locks.</summary>
    public LockSession Session { get; }

    /// <summary>The session's database and its tablespace, for the commit record.</summary>
    public Oid Database { get; set; }

    public Oid DatabaseTablespace { get; set; }
    public SynchronousCommit SynchronousCommit { get; set; } = SynchronousCommit.On;

    /// <summary>An invalidated relation is in the relcache's init file: standbys remove theirs.</summary>
    public bool InvalidatesRelcacheInitFile { get; set; }

    /// <summary>A vacuum: it may have an xid beyond the limit that stops others.</summary>
    public bool RepairsWraparound { get; set; }

    public bool HasEnded => _state != TransactionState.Running;

    /// <summary>The xid of the current (sub)transaction; taken (and its parents') when there is none yet.</summary>
    public Xid Xid
    {
        get
        {
            Xid now = XidOrInvalid;
            return now.IsValid ? now : AssignXid();
        }
    }

    public Xid TopXidOrInvalid => new(Volatile.Read(ref _topXid));
    public Xid XidOrInvalid => _subs.Count == 0 ? new Xid(_topXid) : _subs[^1].Xid;

    /// <summary>The transaction's subtransactions that commit with it, in order.</summary>
    internal ReadOnlySpan<Xid> ChildXids => CollectionsMarshal.AsSpan(_children);

    /// <summary>The oldest multixact that can have one of this transaction's xids as a member; invalid for none.</summary>
    internal MultiXactId OldestMultiXact => new(Volatile.Read(ref _oldestMulti));

    /// <summary>
    /// To be called before the transaction locks or changes a row: from now on others may put its xid into a multixact (MultiXactIdSetOldestMember).
    /// </summary>
    public void MayJoinMultiXact()
    {
        if (_oldestMulti == 0)
        {
            Volatile.Write(ref _oldestMulti, _manager.MultiXacts.Next.Value);
        }
    }

    /// <summary>Whether the xid is this transaction's or one of its live or committed subtransactions'.</summary>
    public bool IsOwn(Xid xid)
    {
        uint top = _topXid;
        if (top == 0 || xid.Value == top)
        {
            return top != 0 && xid.Value == top;
        }

        return _children.Count != 0 && xid.IsNormal && !xid.Precedes(new Xid(top)) && IndexOfChild(xid) >= 0;
    }

    public CommandId Command { get; private set; } = CommandId.First;

    /// <summary>The oldest of its open snapshots; <see cref="Lsn.Max"/> for none. From any thread.</summary>
    public Lsn OldestSnapshot => Volatile.Read(ref _slot)?.Lsn ?? Lsn.Max;

    /// <summary>Makes what was done so far visible to the next command of the same transaction (CommandCounterIncrement).</summary>
    /// <exception cref="PgException">The numbers are used up (54000).</exception>
    public void NextCommand()
    {
        if (Command.Value == CommandId.Invalid.Value - 1)
        {
            throw new PgException(SqlStates.ProgramLimitExceeded, "cannot have more than 2^32-2 commands in a transaction");
        }

        Command = new CommandId(Command.Value + 1);
    }

    /// <summary>The combo command id for a row that this transaction inserted (cmin) and now deletes (cmax).</summary>
    public CommandId ComboCommand(CommandId cmin, CommandId cmax) => (_combos ??= new ComboCommands()).Get(cmin, cmax);

    public CommandId ResolveCmin(CommandId raw, bool isCombo) => isCombo ? Combos.Min(raw) : raw;
    public CommandId ResolveCmax(CommandId raw, bool isCombo) => isCombo ? Combos.Max(raw) : raw;

    private ComboCommands Combos => _combos ?? throw new StorageException("a row has a combo command id that its transaction never made");

    /// <summary>A snapshot at the node's visible LSN that also sees this transaction's own earlier commands. Registered for the horizon until disposed.</summary>
    public Snapshot TakeSnapshot()
    {
        _slot ??= _manager.RentSlot();
        Lsn at = _snapshots.Count == 0 ? _manager.Publish(_slot) : _manager.Visible;
        return Register(new Snapshot { Lsn = at, Command = Command, Own = this });
    }

    internal Snapshot Register(Snapshot snapshot)
    {
        Invariant.Check(!HasEnded, "I6", "a snapshot of a transaction that has ended");
        _snapshots.Add(snapshot);
        return snapshot;
    }

    internal void Unregister(Snapshot snapshot)
    {
        int at = _snapshots.IndexOf(snapshot);
        if (at < 0)
        {
            return;
        }

        _snapshots.RemoveAt(at);
        Lsn oldest = Lsn.Max;
        foreach (Snapshot s in _snapshots)
        {
            oldest = Lsn.Min(oldest, s.Lsn);
        }

        _slot!.Raise(oldest);
    }

    /// <summary>R14: record, flush (by synchronous_commit), clog, map, visible, locks, return. Gives the commit record's end, or invalid when nothing was written.</summary>
    /// <exception cref="StorageException">The log could not be flushed: nobody knows whether the transaction committed, and the node must stop (I11).</exception>
    public Lsn Commit()
    {
        Invariant.Check(!HasEnded, "R14", "commit of a transaction that has ended");
        while (_subs.Count != 0)
        {
            ReleaseSub();
        }

        if (_topXid == 0 && (HasInvalidations || _files.Count != 0))
        {
            // Standbys and readers hear of these through a commit record only.
            AssignXid();
        }

        Lsn end = Lsn.Invalid;
        if (_topXid != 0)
        {
            _dropped = FilesFor(atCommit: true);
            XactEnd record = CommitBody();
            end = _manager.CommitRecord(this, ref record, SynchronousCommit);
        }

        _state = TransactionState.Committed;
        if (_dropped.Length != 0)
        {
            _manager.Removal?.RemoveRelations(_dropped, end);
        }

        EndSession(committed: true);
        if (end.IsValid && SynchronousCommit == SynchronousCommit.RemoteApply)
        {
            _manager.WaitRemoteApply?.Invoke(end);
        }

        return end;
    }

    /// <summary>Undoes nothing on pages: says that the xids aborted, and gives back what the transaction held. No-op after the end.</summary>
    public void Abort()
    {
        if (HasEnded)
        {
            return;
        }

        _state = TransactionState.Aborted;
        RelFileNode[] created = FilesFor(atCommit: false);
        if (_topXid != 0)
        {
            var record = new XactEnd
            {
                Time = _manager.Now(),
                Children = ChildXids,
                Files = created,
                Info = IsPrepared ? XactInfo.HasAccessExclusiveLocks : 0,
                TwoPhaseXid = IsPrepared ? TopXidOrInvalid : Xid.Invalid,
            };
            _manager.AbortRecord(new Xid(_topXid), ref record);
            _manager.EndAborted(this);
        }

        if (created.Length != 0)
        {
            _manager.Removal?.RemoveRelations(created, Lsn.Invalid);
        }

        EndSession(committed: false);
    }

    /// <summary>The commit record's parts, from this transaction's own lists.</summary>
    internal XactEnd CommitBody() => new()
    {
        Time = _commitTime != 0 ? _commitTime : _commitTime = _manager.Now(),
        Info = (InvalidatesRelcacheInitFile ? XactInfo.RelcacheInitFile : 0)
            | (_dropped.Length != 0 ? XactInfo.ForceSyncCommit : 0)
            | (LoggedExclusiveLock ? XactInfo.HasAccessExclusiveLocks : 0)
            | (SynchronousCommit == SynchronousCommit.RemoteApply ? XactInfo.ApplyFeedback : 0),
        Database = Database,
        DatabaseTablespace = DatabaseTablespace,
        Children = ChildXids,
        TwoPhaseXid = IsPrepared ? TopXidOrInvalid : Xid.Invalid,
        Files = _dropped,
        Invalidations = CollectionsMarshal.AsSpan(_invalidations),
    };

    private void EndSession(bool committed)
    {
        _snapshots.Clear();
        if (_slot is not null)
        {
            _manager.ReturnSlot(_slot);
            _slot = null;
        }

        Session.Changes.End(_manager.Counters, committed);
        _manager.Locks.ReleaseTransaction(this);
        Session.Current = null;
        Ended?.Invoke(committed);
    }

    /// <summary>After the end, locks released: true for a commit.</summary>
    public event Action<bool>? Ended;
}
