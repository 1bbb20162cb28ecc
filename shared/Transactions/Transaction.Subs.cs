using System.Runtime.InteropServices;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Locks;
using SharedStorage.Wal.Records;

namespace SharedStorage.Transactions;

/// <summary>Savepoints, and what they carry: xids, files to remove at the end, invalidations, locks.</summary>
public sealed partial class Transaction
{
    private readonly List<SubTransaction> _subs = [];
    private readonly List<PendingFile> _files = [];
    private readonly List<byte> _invalidations = [];
    private RelFileNode[] _dropped = [];
    private long _commitTime;
    private int _subsBegun;

    /// <summary>Position before the commit record, its end, and how far its commit is; written by the committing thread, read by whoever completes it.</summary>
    internal Lsn CommitRecLsn { get; set; }
    internal Lsn CommitEnd { get; set; }
    internal bool CommitWaitsForFlush { get; set; }

    internal bool CommitDone
    {
        get => Volatile.Read(ref _commitDone);
        set => Volatile.Write(ref _commitDone, value);
    }

    private bool _commitDone;

    /// <summary>When it committed, as its record says.</summary>
    internal long CommitTime => _commitTime;

    /// <summary>Whether the log has a lock record of this transaction, which its end releases on standbys.</summary>
    internal bool LoggedExclusiveLock { get; set; }

    /// <summary>Somebody waits, or waited, for one of the xids; set under the lock table's lock.</summary>
    internal bool IsWaitedFor { get; set; }

    /// <summary>How many subtransactions are open.</summary>
    public int Depth => _subs.Count;

    /// <summary>The name of the savepoint at a depth from 1; null for an internal one.</summary>
    public string? SavepointName(int depth) => _subs[depth - 1].Name;

    /// <summary>A number that grows with every subtransaction of this transaction: whether an object is of the same one. 1 is the transaction itself.</summary>
    public int SubTransactionId => _subs.Count == 0 ? 1 : _subs[^1].Id;

    public void BeginSub(string? savepoint) =>
        _subs.Add(new SubTransaction { Name = savepoint, Id = ++_subsBegun + 1, InvalidationMark = _invalidations.Count, LoggedExclusiveLock = LoggedExclusiveLock });

    /// <summary>Commits the current subtransaction into its parent (RELEASE).</summary>
    public void ReleaseSub()
    {
        Invariant.Check(_subs.Count != 0, "savepoint", "no subtransaction to release");
        _subs.RemoveAt(_subs.Count - 1);
        foreach (ref PendingFile f in CollectionsMarshal.AsSpan(_files))
        {
            f.Depth = Math.Min(f.Depth, _subs.Count);
        }

        Session.Changes.ReleaseSub(_subs.Count + 1);
        LockManager.PassToParent(this, _subs.Count + 1);
    }

    /// <summary>Aborts the current subtransaction: its locks, pending files and messages go.</summary>
    public void AbortSub()
    {
        Invariant.Check(_subs.Count != 0, "savepoint", "no subtransaction to abort");
        SubTransaction sub = _subs[^1];
        RelFileNode[] created = [.. _files.Where(f => f.Depth == _subs.Count && !f.AtCommit).Select(f => f.Relation)];
        if (sub.Xid.IsValid)
        {
            ReadOnlySpan<Xid> below = CollectionsMarshal.AsSpan(_children)[(sub.Index + 1)..];
            var record = new XactEnd { Time = _manager.Now(), Children = below, Files = created };
            _manager.AbortRecord(sub.Xid, ref record);
            Xid[] ended = [.. CollectionsMarshal.AsSpan(_children)[sub.Index..]];
            lock (_childrenLock)
            {
                _children.RemoveRange(sub.Index, _children.Count - sub.Index);
            }

            _manager.Locks.XidsEnded(this, ended);
        }

        int depth = _subs.Count;
        _files.RemoveAll(f => f.Depth == depth);
        _invalidations.RemoveRange(sub.InvalidationMark, _invalidations.Count - sub.InvalidationMark);
        _subs.RemoveAt(_subs.Count - 1);
        if (created.Length != 0)
        {
            _manager.Removal?.RemoveRelations(created, Lsn.Invalid);
        }

        Session.Changes.AbortSub(depth);
        _manager.Locks.ReleaseSub(this, depth);
    }

    /// <summary>The relation's files are removed at commit (or, for what was created here, at abort): listed in the commit record, removed by rule I5.</summary>
    public void DropFilesAtCommit(RelFileNode rel) => _files.Add(new PendingFile(rel, AtCommit: true, _subs.Count));

    public void DropFilesAtAbort(RelFileNode rel) => _files.Add(new PendingFile(rel, AtCommit: false, _subs.Count));

    /// <summary>A shared invalidation message (16 bytes, PostgreSQL's SharedInvalidationMessage) for the commit record.</summary>
    public void AddInvalidation(ReadOnlySpan<byte> message)
    {
        Invariant.Check(message.Length == XactEnd.InvalidationSize, "invalidation", "a message has 16 bytes");
        _invalidations.AddRange(message);
    }

    public bool HasInvalidations => _invalidations.Count != 0;

    /// <summary>The messages so far, 16 bytes each.</summary>
    public ReadOnlySpan<byte> Invalidations => CollectionsMarshal.AsSpan(_invalidations);

    internal void NoteXid(Xid xid, Xid parent)
    {
        if (!parent.IsValid)
        {
            Volatile.Write(ref _topXid, xid.Value);
            return;
        }

        lock (_childrenLock)
        {
            _children.Add(xid);
        }
    }

    /// <summary>From another thread: whether the xid is among those that run or wait to commit with this transaction.</summary>
    internal bool Owns(Xid xid)
    {
        if (xid == TopXidOrInvalid)
        {
            return true;
        }

        lock (_childrenLock)
        {
            return IndexOfChild(xid) >= 0;
        }
    }

    internal void CopyChildren(List<Xid> into)
    {
        lock (_childrenLock)
        {
            into.AddRange(_children);
        }
    }

    /// <summary>Gives the current subtransaction an xid, and first its ancestors: a parent is always older than its children.</summary>
    private Xid AssignXid()
    {
        Invariant.Check(!HasEnded, "R14", "an xid for a transaction that has ended");
        if (_topXid == 0)
        {
            MayJoinMultiXact();
            _manager.AssignXid(this, Xid.Invalid);
        }

        Xid parent = new(_topXid);
        foreach (SubTransaction sub in _subs)
        {
            if (!sub.Xid.IsValid)
            {
                sub.Index = _children.Count;
                sub.Xid = _manager.AssignXid(this, parent);
                ReportChildren();
            }

            parent = sub.Xid;
        }

        return parent;
    }

    private void ReportChildren()
    {
        if (++_unreported >= ChildrenPerAssignment)
        {
            _manager.LogAssignment(new Xid(_topXid), CollectionsMarshal.AsSpan(_children)[Math.Max(0, _children.Count - _unreported)..]);
            _unreported = 0;
        }
    }

    /// <summary>Children have rising xids, so halving finds one; two of them are never 2^31 apart.</summary>
    private int IndexOfChild(Xid xid)
    {
        int low = 0;
        int high = _children.Count - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            Xid there = _children[middle];
            if (there == xid)
            {
                return middle;
            }

            if (there.Precedes(xid))
            {
                low = middle + 1;
            }
            else
            {
                high = middle - 1;
            }
        }

        return -1;
    }

    private RelFileNode[] FilesFor(bool atCommit) =>
        _files.Count == 0 ? [] : [.. _files.Where(f => f.AtCommit == atCommit).Select(f => f.Relation)];

    private sealed class SubTransaction
    {
        public string? Name { get; init; }
        public required int Id { get; init; }
        public required int InvalidationMark { get; init; }
        public bool LoggedExclusiveLock { get; init; }
        public Xid Xid { get; set; }

        /// <summary>Where in the children its xid is; those after it are its own descendants.</summary>
        public int Index { get; set; }
    }

    private record struct PendingFile(RelFileNode Relation, bool AtCommit, int Depth);
}
