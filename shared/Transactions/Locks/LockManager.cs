using System.Collections.Concurrent;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Locks;

/// <summary>
/// Heavyweight locks with queues, deadlock detection (40P01), lock_timeout (55P03) and cancel (57014): PostgreSQL's lock.c and proc.c. Weak locks on relations
/// lie in the session (fast path) as long as nobody wants a strong one on a relation with the same hash; then they are moved to the table.
/// Order: partitions by number, then a session's fast path, then a waiter.
/// </summary>
public sealed partial class LockManager
{
    private const int PartitionCount = 16;
    private const int StrongCounts = 1024;

    private readonly Partition[] _partitions = [.. Enumerable.Range(0, PartitionCount).Select(_ => new Partition())];

    /// <summary>How many strong locks are held or wanted on relations of each hash: while one is, weak locks of it go to the table.</summary>
    private readonly int[] _strong = new int[StrongCounts];

    private readonly ConcurrentDictionary<LockSession, bool> _sessions = new();
    private TransactionManager? _manager;

    /// <summary>Waits until granted. Counted: the same owner may take the same lock again.</summary>
    /// <exception cref="PgException">Deadlock, time-out or cancel.</exception>
    public void Acquire(Transaction owner, in LockTag tag, LockMode mode) => Take(owner, tag, mode, wait: true);

    public bool TryAcquire(Transaction owner, in LockTag tag, LockMode mode) => Take(owner, tag, mode, wait: false);

    public void Release(Transaction owner, in LockTag tag, LockMode mode)
    {
        // The level that took it may have been passed on since: the innermost that has it gives it back.
        for (int level = owner.Depth + 1; level > LockSession.SessionLevel; level--)
        {
            if (ReleaseAt(owner.Session, level, tag, mode))
            {
                return;
            }
        }

        Invariant.Fail("locks", $"{LockConflicts.Name(mode)} on {tag} is not held");
    }

    /// <summary>A lock that outlives the transaction.</summary>
    public void AcquireForSession(LockSession session, in LockTag tag, LockMode mode) =>
        Take(session, LockSession.SessionLevel, tag, mode, wait: true);

    public bool TryAcquireForSession(LockSession session, in LockTag tag, LockMode mode) =>
        Take(session, LockSession.SessionLevel, tag, mode, wait: false);

    /// <summary>False: the session does not hold it.</summary>
    public bool ReleaseForSession(LockSession session, in LockTag tag, LockMode mode) => ReleaseAt(session, LockSession.SessionLevel, tag, mode);

    /// <summary>Gives back the session-level locks of a kind, or of every kind (pg_advisory_unlock_all, the end of a session).</summary>
    public void ReleaseAllForSession(LockSession session, LockKind? kind = null)
    {
        foreach (((LockTag tag, LockMode mode), LocalLock local) in session.Local.ToArray())
        {
            if (kind is null || tag.Kind == kind)
            {
                local.RemoveAt(LockSession.SessionLevel);
                DropIfUnused(session, tag, mode, local);
            }
        }

        Forget(session);
    }

    /// <summary>Whether the session holds the lock in just this mode.</summary>
    public static bool IsHeld(LockSession session, in LockTag tag, LockMode mode) => session.Local.ContainsKey((tag, mode));

    /// <summary>Whether somebody waits for the lock, or holds it in a mode that excludes the given one.</summary>
    public bool HasWaiters(in LockTag tag)
    {
        Partition partition = PartitionOf(tag);
        lock (partition.Sync)
        {
            return partition.Objects.TryGetValue(tag, out LockObject? found) && found.Queue.Count != 0;
        }
    }

    /// <summary>All locks that are held or waited for, for pg_locks.</summary>
    public IReadOnlyList<LockInfo> List()
    {
        var found = new List<LockInfo>();
        foreach (LockSession session in _sessions.Keys)
        {
            session.ListFast(found);
        }

        foreach (Partition partition in _partitions)
        {
            lock (partition.Sync)
            {
                foreach (LockObject o in partition.Objects.Values)
                {
                    ListObject(o, found);
                }
            }
        }

        foreach (Transaction tx in _manager?.Running() ?? [])
        {
            found.Add(new LockInfo(LockTag.Transaction(tx.TopXidOrInvalid), LockMode.Exclusive, Granted: true, FastPath: false, tx.Session.ProcessId));
        }

        return found;
    }

    internal void Attach(TransactionManager manager) => _manager = manager;

    /// <summary>The end of a transaction: all but session-level locks go, and who waits for its xids goes on.</summary>
    internal void ReleaseTransaction(Transaction tx)
    {
        ReleaseFrom(tx.Session, level: 1);
        if (tx.TopXidOrInvalid.IsValid)
        {
            XidsEnded(tx, [tx.TopXidOrInvalid, .. tx.ChildXids]);
        }

        if (tx.Session.IsTransient)
        {
            Forget(tx.Session);
        }
    }

    /// <summary>A subtransaction's locks become its parent's. The depth is the one it had, from 1.</summary>
    internal static void PassToParent(Transaction tx, int depth)
    {
        foreach (LocalLock local in tx.Session.Local.Values)
        {
            local.Pass(depth + 1);
        }
    }

    /// <summary>A subtransaction that aborts gives back what it took.</summary>
    internal void ReleaseSub(Transaction tx, int depth) => ReleaseFrom(tx.Session, depth + 1);

    private bool Take(Transaction owner, in LockTag tag, LockMode mode, bool wait)
    {
        bool logged = mode == LockMode.AccessExclusive && tag.Kind == LockKind.Relation && _manager?.Log is not null
            && !owner.Session.Local.ContainsKey((tag, mode));
        Xid xid = logged ? owner.Xid : Xid.Invalid;
        if (!Take(owner.Session, owner.Depth + 1, tag, mode, wait))
        {
            return false;
        }

        if (logged)
        {
            // Standbys keep their queries off the relation from here to the transaction's end.
            _manager!.LogAccessExclusiveLock(xid, tag.Database, new Oid(tag.Object));
            owner.LoggedExclusiveLock = true;
        }

        return true;
    }

    private bool Take(LockSession session, int level, in LockTag tag, LockMode mode, bool wait)
    {
        if (session.Local.TryGetValue((tag, mode), out LocalLock? local))
        {
            local.Add(level);
            return true;
        }

        bool strong = IsStrong(tag, mode);
        if (IsWeak(tag, mode) && TryFastPath(session, tag, mode))
        {
            local = new LocalLock { IsFast = true };
        }
        else
        {
            if (strong)
            {
                Interlocked.Increment(ref _strong[StrongIndex(tag)]);
            }

            bool taken = false;
            try
            {
                taken = TakeFromTable(session, tag, mode, wait, strong);
            }
            finally
            {
                if (!taken && strong)
                {
                    Interlocked.Decrement(ref _strong[StrongIndex(tag)]);
                }
            }

            if (!taken)
            {
                return false;
            }

            local = new LocalLock { IsStrong = strong };
        }

        local.Add(level);
        session.Local.Add((tag, mode), local);
        return true;
    }

    private bool TryFastPath(LockSession session, in LockTag tag, LockMode mode)
    {
        if (!session.IsRegistered)
        {
            // Before the strong count is read: who raises it afterwards finds the session.
            _sessions[session] = true;
            session.IsRegistered = true;
        }

        lock (session.FastLock)
        {
            return Volatile.Read(ref _strong[StrongIndex(tag)]) == 0 && session.TryAddFast(tag, mode);
        }
    }

    private bool TakeFromTable(LockSession session, in LockTag tag, LockMode mode, bool wait, bool strong)
    {
        Partition partition = PartitionOf(tag);
        LockWaiter waiter;
        lock (partition.Sync)
        {
            LockObject target = partition.GetOrAdd(tag);
            if (strong)
            {
                MoveFastPaths(target);
            }

            if (!target.ConflictsWithQueue(mode) && !target.ConflictsWithHeld(session, mode))
            {
                target.Grant(session, mode);
                return true;
            }

            int place = target.PlaceInQueue(session, mode, out bool grantable);
            if (grantable)
            {
                target.Grant(session, mode);
                return true;
            }

            if (!wait)
            {
                partition.RemoveIfUnused(target);
                return false;
            }

            waiter = new LockWaiter(session, target, mode) { CheckAtOnce = place < 0 };

            // Two that wait for each other: stand in the queue, and let the check that follows at once say so.
            target.Queue.Insert(place < 0 ? target.Queue.Count : place, waiter);
            session.Waiting = waiter;
        }

        WaitFor(waiter);
        return true;
    }

    /// <summary>Moves the weak locks of all sessions on the relation to the table; the caller holds its partition, and the strong count is up.</summary>
    private void MoveFastPaths(LockObject target)
    {
        foreach (LockSession session in _sessions.Keys)
        {
            lock (session.FastLock)
            {
                int modes = session.TakeFast(target.Tag);
                for (LockMode m = LockMode.AccessShare; modes != 0 && m <= LockMode.RowExclusive; m++)
                {
                    if ((modes & LockConflicts.Bit(m)) != 0)
                    {
                        target.Grant(session, m);
                    }
                }
            }
        }
    }

    private bool ReleaseAt(LockSession session, int level, in LockTag tag, LockMode mode)
    {
        if (!session.Local.TryGetValue((tag, mode), out LocalLock? local) || !local.Remove(level))
        {
            return false;
        }

        DropIfUnused(session, tag, mode, local);
        return true;
    }

    private void ReleaseFrom(LockSession session, int level)
    {
        if (session.Local.Count == 0)
        {
            return;
        }

        // Removing the current entry does not disturb the enumeration.
        foreach (((LockTag tag, LockMode mode), LocalLock local) in session.Local)
        {
            local.RemoveFrom(level);
            DropIfUnused(session, tag, mode, local);
        }
    }

    private void DropIfUnused(LockSession session, in LockTag tag, LockMode mode, LocalLock local)
    {
        if (!local.IsUnused || !session.Local.Remove((tag, mode)))
        {
            return;
        }

        if (local.IsFast)
        {
            lock (session.FastLock)
            {
                if (session.TryRemoveFast(tag, mode))
                {
                    return;
                }
            }
        }

        Ungrant(session, tag, mode);
        if (local.IsStrong)
        {
            Interlocked.Decrement(ref _strong[StrongIndex(tag)]);
        }
    }

    private void Ungrant(LockSession session, in LockTag tag, LockMode mode)
    {
        Partition partition = PartitionOf(tag);
        lock (partition.Sync)
        {
            if (partition.Objects.TryGetValue(tag, out LockObject? target))
            {
                target.Ungrant(session, mode);
                partition.RemoveIfUnused(target);
            }
        }
    }

    private static void ListObject(LockObject o, List<LockInfo> into)
    {
        foreach (LockHolder h in o.Holders)
        {
            for (LockMode m = LockMode.AccessShare; m <= LockMode.AccessExclusive; m++)
            {
                // A transaction's lock on its own xid is listed from the running ones.
                if ((h.Modes & LockConflicts.Bit(m)) != 0 && !(o.Tag.Kind == LockKind.Transaction && m == LockMode.Exclusive))
                {
                    into.Add(new LockInfo(o.Tag, m, Granted: true, FastPath: false, h.Session.ProcessId));
                }
            }
        }

        foreach (LockWaiter w in o.Queue)
        {
            into.Add(new LockInfo(o.Tag, w.Mode, Granted: false, FastPath: false, w.Session.ProcessId));
        }
    }

    private void Forget(LockSession session)
    {
        if (session.IsRegistered && session.Local.Count == 0)
        {
            session.IsRegistered = false;
            _sessions.TryRemove(session, out _);
        }
    }

    private Partition PartitionOf(in LockTag tag) => _partitions[tag.GetHashCode() & (PartitionCount - 1)];

    private static int StrongIndex(in LockTag tag) => (tag.GetHashCode() >> 4) & (StrongCounts - 1);

    private static bool IsWeak(in LockTag tag, LockMode mode) =>
        tag.Kind == LockKind.Relation && mode < LockMode.ShareUpdateExclusive && tag.Database.IsValid;

    private static bool IsStrong(in LockTag tag, LockMode mode) =>
        tag.Kind == LockKind.Relation && mode > LockMode.ShareUpdateExclusive && tag.Database.IsValid;

    private sealed class Partition
    {
        internal Lock Sync { get; } = new();
        internal Dictionary<LockTag, LockObject> Objects { get; } = [];

        internal LockObject GetOrAdd(in LockTag tag)
        {
            if (!Objects.TryGetValue(tag, out LockObject? found))
            {
                found = new LockObject(tag);
                Objects.Add(tag, found);
            }

            return found;
        }

        internal void RemoveIfUnused(LockObject target)
        {
            if (target.IsUnused)
            {
                Objects.Remove(target.Tag);
            }
        }
    }
}
