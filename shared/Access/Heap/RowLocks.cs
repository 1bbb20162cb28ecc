using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using SharedStorage.Transactions.Multi;
using SharedStorage.Transactions.Visibility;

namespace SharedStorage.Access.Heap;

/// <summary>What is to be written into a row's header as xmax.</summary>
internal readonly record struct RowXmax(Xid Xmax, HeapInfoMask Mask, HeapInfoMask2 Mask2)
{
    public bool IsLockOnly => (Mask & HeapInfoMask.XmaxLockOnly) != 0;
}

/// <summary>
/// Row locks (heapam.c): which modes conflict, what xmax becomes when one more transaction locks or changes a row, and waiting for those that hold it. Locks
/// live in the row's xmax; the lock manager only orders those who wait.
/// </summary>
internal sealed class RowLocks(StorageEngine engine, Relation relation)
{
    private readonly TransactionManager _transactions = engine.Transactions;

    public static RowLockMode ModeOf(MultiXactStatus status) => status switch
    {
        MultiXactStatus.ForKeyShare => RowLockMode.KeyShare,
        MultiXactStatus.ForShare => RowLockMode.Share,
        MultiXactStatus.ForNoKeyUpdate or MultiXactStatus.NoKeyUpdate => RowLockMode.NoKeyExclusive,
        _ => RowLockMode.Exclusive,
    };

    /// <summary>The table lock modes that stand for row lock modes conflict just so.</summary>
    public static bool Conflict(RowLockMode a, RowLockMode b) => (a, b) switch
    {
        (RowLockMode.Exclusive, _) or (_, RowLockMode.Exclusive) => true,
        (RowLockMode.NoKeyExclusive, RowLockMode.KeyShare) or (RowLockMode.KeyShare, RowLockMode.NoKeyExclusive) => false,
        (RowLockMode.NoKeyExclusive, _) or (_, RowLockMode.NoKeyExclusive) => true,
        _ => false,
    };

    public static MultiXactStatus StatusFor(RowLockMode mode, bool isUpdate) => (mode, isUpdate) switch
    {
        (RowLockMode.KeyShare, false) => MultiXactStatus.ForKeyShare,
        (RowLockMode.Share, false) => MultiXactStatus.ForShare,
        (RowLockMode.NoKeyExclusive, false) => MultiXactStatus.ForNoKeyUpdate,
        (RowLockMode.Exclusive, false) => MultiXactStatus.ForUpdate,
        (RowLockMode.NoKeyExclusive, true) => MultiXactStatus.NoKeyUpdate,
        (RowLockMode.Exclusive, true) => MultiXactStatus.Update,
        _ => throw new InvariantException("row locks", $"an update cannot hold its row in mode {mode}"),
    };

    /// <summary>Whether what xmax means has changed between two looks (xmax_infomask_changed).</summary>
    public static bool MaskChanged(HeapInfoMask now, HeapInfoMask then)
    {
        const HeapInfoMask Interesting = HeapInfoMask.XmaxIsMulti | HeapInfoMask.XmaxLockOnly | HeapInfoMask.LockMask;
        return (now & Interesting) != (then & Interesting);
    }

    public bool DidCommit(Xid xid) => !_transactions.IsInProgress(xid) && _transactions.StatusOf(xid) == XidStatus.Committed;

    /// <summary>Aborted, or running when the node crashed.</summary>
    public bool DidAbort(Xid xid) => !_transactions.IsInProgress(xid) && _transactions.StatusOf(xid) != XidStatus.Committed;

    public MultiXactMember[] Members(in HeapTupleHeader row) =>
        HeapVisibility.IsLockedUpgraded(row) ? [] : _transactions.MultiXacts.GetMembers(new MultiXactId(row.RawXmax), row.XmaxIsLockedOnly);

    /// <summary>Those who hold the row, as members of a multixact or as the single xmax.</summary>
    public MultiXactMember[] Holders(in HeapTupleHeader row)
    {
        if (row.XmaxIsMulti)
        {
            return Members(row);
        }

        MultiXactStatus update = (row.InfoMask2 & HeapInfoMask2.KeysUpdated) != 0 ? MultiXactStatus.Update : MultiXactStatus.NoKeyUpdate;
        return [new MultiXactMember(row.Xmax, row.XmaxIsLockedOnly ? LockStatus(row) : update)];
    }

    /// <summary>The transaction that changed the row, whether it committed or not; invalid when xmax only locks.</summary>
    public Xid Updater(in HeapTupleHeader row)
    {
        if ((row.InfoMask & HeapInfoMask.XmaxInvalid) != 0 || row.XmaxIsLockedOnly)
        {
            return row.XmaxIsMulti ? Xid.Invalid : row.Xmax;
        }

        return row.XmaxIsMulti ? _transactions.MultiXacts.GetUpdater(new MultiXactId(row.RawXmax)) : row.Xmax;
    }

    /// <summary>Whether nobody who counts has changed the row: xmax is none, only locks, or its changer did not commit (HeapTupleHeaderIsOnlyLocked).</summary>
    public bool IsOnlyLocked(in HeapTupleHeader row, Transaction tx)
    {
        if ((row.InfoMask & (HeapInfoMask.XmaxInvalid | HeapInfoMask.XmaxLockOnly)) != 0 || row.RawXmax == 0 || row.XmaxIsLockedOnly)
        {
            return true;
        }

        if (!row.XmaxIsMulti)
        {
            return false;
        }

        Xid updater = Updater(row);
        return !tx.IsOwn(updater) && DidAbort(updater);
    }

    /// <summary>
    /// Whether a member other than the asking transaction keeps the lock from being granted now; <paramref name="isMember"/>: it is a member itself
    /// (DoesMultiXactIdConflict).
    /// </summary>
    public bool MultiConflicts(in HeapTupleHeader row, RowLockMode mode, Transaction tx, out bool isMember)
    {
        isMember = false;
        bool conflicts = false;
        foreach (MultiXactMember m in Members(row))
        {
            if (tx.IsOwn(m.Xid))
            {
                isMember = true;
            }
            else if (!conflicts && Conflict(ModeOf(m.Status), mode))
            {
                conflicts = m.IsUpdate ? !DidAbort(m.Xid) : _transactions.IsInProgress(m.Xid);
            }
        }

        return conflicts;
    }

    /// <summary>
    /// Waits for the members that conflict. <paramref name="remain"/>: how many others may still hold it (own ones included). False: the caller would not wait.
    /// No latch is held.
    /// </summary>
    public bool WaitForMembers(MultiXactMember[] members, RowLockMode mode, Transaction tx, LockWait wait, out int remain)
    {
        remain = 0;
        foreach (MultiXactMember m in members)
        {
            if (tx.IsOwn(m.Xid))
            {
                remain++;
            }
            else if (!Conflict(ModeOf(m.Status), mode))
            {
                remain += _transactions.IsInProgress(m.Xid) ? 1 : 0;
            }
            else if (!WaitFor(m.Xid, tx, wait))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Waits until the transaction has ended. False: it runs and the caller would not wait. No latch is held.</summary>
    /// <exception cref="PgException">It runs and the caller wants an error (55P03); deadlock, time-out, cancel.</exception>
    public bool WaitFor(Xid xid, Transaction tx, LockWait wait)
    {
        if (wait == LockWait.Wait)
        {
            engine.Locks.WaitForTransaction(tx, xid);
            return true;
        }

        return !_transactions.IsInProgress(xid) || (wait == LockWait.Error ? throw NotAvailable() : false);
    }

    /// <summary>Takes the place in the queue of those who wait for this row. False: others are in it and the caller would not wait.</summary>
    public bool TryQueue(Tid tid, RowLockMode mode, Transaction tx, LockWait wait, ref bool queued)
    {
        if (queued)
        {
            return true;
        }

        LockTag tag = LockTag.Tuple(relation.LockDatabase, relation.Id, tid);
        if (wait == LockWait.Wait)
        {
            engine.Locks.Acquire(tx, tag, TableMode(mode));
        }
        else if (!engine.Locks.TryAcquire(tx, tag, TableMode(mode)))
        {
            return wait == LockWait.Error ? throw NotAvailable() : false;
        }

        queued = true;
        return true;
    }

    public void LeaveQueue(Tid tid, RowLockMode mode, Transaction tx, bool queued)
    {
        if (queued)
        {
            engine.Locks.Release(tx, LockTag.Tuple(relation.LockDatabase, relation.Id, tid), TableMode(mode));
        }
    }

    /// <summary>
    /// What xmax becomes when the transaction locks or changes a row with this header (compute_new_xmax_infomask): itself alone, or a multixact with those
    /// that still count. May log a new multixact, so it is called outside critical sections.
    /// </summary>
    public RowXmax NewXmax(in HeapTupleHeader row, Xid add, RowLockMode mode, bool isUpdate)
    {
        HeapInfoMask mask = row.InfoMask;
        Xid xmax = row.Xmax;
        if ((mask & HeapInfoMask.XmaxInvalid) != 0)
        {
            return Alone(add, mode, isUpdate);
        }

        MultiXactStatus wanted = StatusFor(mode, isUpdate);
        MultiXacts multis = _transactions.MultiXacts;
        if (row.XmaxIsMulti)
        {
            var multi = new MultiXactId(row.RawXmax);
            if (HeapVisibility.IsLockedUpgraded(row)
                || (!multis.IsRunning(multi, row.XmaxIsLockedOnly) && (row.XmaxIsLockedOnly || !DidCommit(multis.GetUpdater(multi)))))
            {
                return Alone(add, mode, isUpdate);
            }

            return Of(multis.Expand(multi, add, wanted));
        }

        bool lockOnly = row.XmaxIsLockedOnly;
        MultiXactStatus updateStatus = (row.InfoMask2 & HeapInfoMask2.KeysUpdated) != 0 ? MultiXactStatus.Update : MultiXactStatus.NoKeyUpdate;
        if ((mask & HeapInfoMask.XmaxCommitted) != 0)
        {
            return Of(multis.Create(xmax, updateStatus, add, wanted));
        }

        if (_transactions.IsInProgress(xmax))
        {
            if (lockOnly && (mask & HeapInfoMask.LockMask) == 0)
            {
                return Alone(add, mode, isUpdate);
            }

            MultiXactStatus old = lockOnly ? LockStatus(row) : updateStatus;
            if (xmax == add)
            {
                // One's own lock: the stronger of both remains.
                RowLockMode held = ModeOf(old);
                return Alone(add, held > mode ? held : mode, isUpdate);
            }

            return Of(multis.Create(xmax, old, add, wanted));
        }

        return !lockOnly && DidCommit(xmax) ? Of(multis.Create(xmax, updateStatus, add, wanted)) : Alone(add, mode, isUpdate);
    }

    /// <summary>The masks that a multixact as xmax goes with (GetMultiXactIdHintBits).</summary>
    public RowXmax Of(MultiXactId multi)
    {
        HeapInfoMask mask = HeapInfoMask.XmaxIsMulti;
        HeapInfoMask2 mask2 = HeapInfoMask2.None;
        bool update = false;
        RowLockMode strongest = RowLockMode.KeyShare;
        foreach (MultiXactMember m in _transactions.MultiXacts.GetMembers(multi, onlyLockers: false))
        {
            RowLockMode mode = ModeOf(m.Status);
            strongest = mode > strongest ? mode : strongest;
            mask2 |= m.Status is MultiXactStatus.ForUpdate or MultiXactStatus.Update ? HeapInfoMask2.KeysUpdated : 0;
            update |= m.IsUpdate;
        }

        mask |= strongest switch
        {
            RowLockMode.KeyShare => HeapInfoMask.XmaxKeyShareLock,
            RowLockMode.Share => HeapInfoMask.XmaxShareLock,
            _ => HeapInfoMask.XmaxExclusiveLock,
        };
        return new RowXmax(new Xid(multi.Value), update ? mask : mask | HeapInfoMask.XmaxLockOnly, mask2);
    }

    private static RowXmax Alone(Xid xid, RowLockMode mode, bool isUpdate)
    {
        HeapInfoMask2 keys = mode == RowLockMode.Exclusive ? HeapInfoMask2.KeysUpdated : HeapInfoMask2.None;
        if (isUpdate)
        {
            return new RowXmax(xid, HeapInfoMask.None, keys);
        }

        HeapInfoMask mask = mode switch
        {
            RowLockMode.KeyShare => HeapInfoMask.XmaxKeyShareLock,
            RowLockMode.Share => HeapInfoMask.XmaxShareLock,
            _ => HeapInfoMask.XmaxExclusiveLock,
        };
        return new RowXmax(xid, mask | HeapInfoMask.XmaxLockOnly, keys);
    }

    private static MultiXactStatus LockStatus(in HeapTupleHeader row) => (row.InfoMask & HeapInfoMask.LockMask) switch
    {
        HeapInfoMask.XmaxKeyShareLock => MultiXactStatus.ForKeyShare,
        HeapInfoMask.XmaxShareLock => MultiXactStatus.ForShare,
        _ => (row.InfoMask2 & HeapInfoMask2.KeysUpdated) != 0 ? MultiXactStatus.ForUpdate : MultiXactStatus.ForNoKeyUpdate,
    };

    private static LockMode TableMode(RowLockMode mode) => mode switch
    {
        RowLockMode.KeyShare => LockMode.AccessShare,
        RowLockMode.Share => LockMode.RowShare,
        RowLockMode.NoKeyExclusive => LockMode.Exclusive,
        _ => LockMode.AccessExclusive,
    };

    private PgException NotAvailable() => new(SqlStates.LockNotAvailable, $"could not obtain lock on row in relation \"{relation.Name}\"");
}
