using SharedStorage.Buffers;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Multi;
using SharedStorage.Transactions.Visibility;

namespace SharedStorage.Access.Heap;

/// <summary>Locking rows (heap_lock_tuple, heapam_tuple_lock).</summary>
public sealed partial class HeapTable
{
    private enum LockStep
    {
        /// <summary>The state says what to do; the latch is held.</summary>
        Settled,

        /// <summary>Something changed while the latch was not held: look anew.</summary>
        Again,

        /// <summary>The transaction has the lock or a stronger one; the latch is not held.</summary>
        Held,
    }

    /// <summary>What one attempt to lock a row remembers between its looks at it.</summary>
    private struct LockAttempt
    {
        public bool Queued;
        public bool LookedForOwn;
        public bool SkipQueue;
    }

    /// <summary>
    /// Locks a row (SELECT FOR ..., foreign keys); with <paramref name="followUpdates"/> goes to its latest version. On success <paramref name="tid"/> is the
    /// version that is locked.
    /// </summary>
    public ModifyResult Lock(Transaction tx, ref Tid tid, Snapshot snapshot, RowLockMode mode, LockWait wait, bool followUpdates)
    {
        CheckWritable();
        while (true)
        {
            ModifyResult result = LockVersion(tx, tid, snapshot.Command, mode, wait);
            if (result.Outcome != ModifyOutcome.Updated || !followUpdates)
            {
                return result.Outcome == ModifyOutcome.Ok ? result with { NewTid = tid } : result;
            }

            if (result.NewTid == tid)
            {
                return result with { Outcome = ModifyOutcome.Deleted };
            }

            if (FindLatest(tx, ref tid, result, snapshot.Command, wait) is { } failure)
            {
                return failure;
            }
        }
    }

    private ModifyResult LockVersion(Transaction tx, Tid tid, CommandId command, RowLockMode mode, LockWait wait)
    {
        var attempt = default(LockAttempt);
        var row = new LatchedRow(Engine, _placement, Relation.Node, tid);
        try
        {
            if (!row.IsRow)
            {
                return new ModifyResult(ModifyOutcome.Deleted, tid, Xid.Invalid, CommandId.Invalid);
            }

            TupleUpdateState state;
            LockStep step;
            do
            {
                step = LockStep.Settled;
                state = row.UpdateState(tx, command);
                if (state is TupleUpdateState.BeingModified or TupleUpdateState.Updated or TupleUpdateState.Deleted)
                {
                    step = PassForLock(tx, ref row, mode, wait, ref attempt, ref state);
                }
            }
            while (step == LockStep.Again);

            if (step == LockStep.Settled && state != TupleUpdateState.Ok)
            {
                return Failure(tx, row, state);
            }

            if (step == LockStep.Settled)
            {
                tx.MayJoinMultiXact();
                Xid xid = tx.Xid;
                LockAndLog(xid, row, _locks.NewXmax(row.Header, xid, mode, isUpdate: false), updatedVersion: false);
            }

            return new ModifyResult(ModifyOutcome.Ok, tid, Xid.Invalid, CommandId.Invalid);
        }
        finally
        {
            row.Dispose();
            _locks.LeaveQueue(tid, mode, tx, attempt.Queued);
        }
    }

    /// <summary>Decides whether the lock must wait for those who hold the row, and waits.</summary>
    private LockStep PassForLock(
        Transaction tx, ref LatchedRow row, RowLockMode mode, LockWait wait, ref LockAttempt attempt, ref TupleUpdateState state)
    {
        HeapTupleHeader before = row.Header;
        row.Unlatch();
        if (!attempt.LookedForOwn)
        {
            attempt.LookedForOwn = true;
            if (HoldsAlready(tx, before, mode, ref attempt.SkipQueue))
            {
                return LockStep.Held;
            }
        }

        if (TryWithoutWaiting(tx, ref row, before, mode, ref state) is { } step)
        {
            return step;
        }

        // A committed change is there for good: waiting cannot help.
        if (state != TupleUpdateState.BeingModified)
        {
            row.Latch();
            return LockStep.Settled;
        }

        bool passed = (attempt.SkipQueue || _locks.TryQueue(row.Tid, mode, tx, wait, ref attempt.Queued))
            && (before.XmaxIsMulti
                ? _locks.WaitForMembers(_locks.Members(before), mode, tx, wait, out _)
                : _locks.WaitFor(before.Xmax, tx, wait));
        if (passed && !before.XmaxIsLockedOnly && before.Ctid != row.Tid)
        {
            TupleUpdateState later = LockLaterVersions(tx, before, mode);
            if (later != TupleUpdateState.Ok)
            {
                row.Latch();
                state = later;
                return LockStep.Settled;
            }
        }

        row.Latch();
        if (!passed)
        {
            return LockStep.Settled;
        }

        if (Changed(row, before))
        {
            return LockStep.Again;
        }

        state = AfterWait(tx, row);
        return LockStep.Settled;
    }

    /// <summary>The cases in which those who hold the row do not keep this lock from being taken. Null: one has to wait.</summary>
    private LockStep? TryWithoutWaiting(Transaction tx, ref LatchedRow row, in HeapTupleHeader before, RowLockMode mode, ref TupleUpdateState state)
    {
        bool again;
        if (mode == RowLockMode.KeyShare && (before.InfoMask2 & HeapInfoMask2.KeysUpdated) == 0)
        {
            // Later versions have the same key: they are locked too, so that nobody deletes the key there.
            bool updated = !before.XmaxIsLockedOnly;
            if (updated && before.Ctid != row.Tid)
            {
                TupleUpdateState later = LockLaterVersions(tx, before, mode);
                if (later != TupleUpdateState.Ok)
                {
                    row.Latch();
                    state = later;
                    return LockStep.Settled;
                }
            }

            row.Latch();
            again = !_locks.IsOnlyLocked(row.Header, tx) && ((row.Header.InfoMask2 & HeapInfoMask2.KeysUpdated) != 0 || !updated);
        }
        else if (mode == RowLockMode.Share && before.XmaxIsLockedOnly && !IsExclusivelyLocked(before))
        {
            row.Latch();
            again = !row.Header.XmaxIsLockedOnly || IsExclusivelyLocked(row.Header);
        }
        else if (mode == RowLockMode.NoKeyExclusive
            && (before.XmaxIsMulti ? !_locks.MultiConflicts(before, mode, tx, out _) : (before.InfoMask & HeapInfoMask.LockMask) == HeapInfoMask.XmaxKeyShareLock))
        {
            row.Latch();
            again = Changed(row, before);
        }
        else if (!before.XmaxIsMulti && tx.IsOwn(before.Xmax))
        {
            row.Latch();
            again = Changed(row, before);
        }
        else
        {
            return null;
        }

        state = TupleUpdateState.Ok;
        return again ? LockStep.Again : LockStep.Settled;
    }

    /// <summary>
    /// Whether the transaction has this lock or a stronger one. When it has a weaker one it must not queue: someone in the queue may wait for it.
    /// </summary>
    private bool HoldsAlready(Transaction tx, in HeapTupleHeader row, RowLockMode mode, ref bool skipQueue)
    {
        if (row.XmaxIsMulti)
        {
            foreach (MultiXactMember m in _locks.Members(row))
            {
                if (!tx.IsOwn(m.Xid))
                {
                    continue;
                }

                if (RowLocks.ModeOf(m.Status) >= mode)
                {
                    return true;
                }

                skipQueue = true;
            }

            return false;
        }

        return tx.IsOwn(row.Xmax) && mode switch
        {
            RowLockMode.KeyShare => true,
            RowLockMode.Share => IsExclusivelyLocked(row) || (row.InfoMask & HeapInfoMask.LockMask) == HeapInfoMask.XmaxShareLock,
            RowLockMode.NoKeyExclusive => IsExclusivelyLocked(row),
            _ => IsExclusivelyLocked(row) && (row.InfoMask2 & HeapInfoMask2.KeysUpdated) != 0,
        };
    }

    private void LockAndLog(Xid xid, in LatchedRow row, in RowXmax xmax, bool updatedVersion)
    {
        try
        {
            using (Invariant.EnterCritical())
            {
                row.Page.MarkDirty();
                row.SetXmax(xmax);
                ref HeapTupleHeader header = ref row.Header;
                if (!updatedVersion && xmax.IsLockOnly)
                {
                    HeapRow.SetHotUpdated(ref header, false);
                    header.Ctid = row.Tid;
                }

                bool cleared = row.ClearAllFrozen();
                HeapLog.Lock(Engine, xid, row.Page, row.Tid.Offset, cleared, updatedVersion);
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
    }

    private static bool IsExclusivelyLocked(in HeapTupleHeader row) => (row.InfoMask & HeapInfoMask.LockMask) == HeapInfoMask.XmaxExclusiveLock;

    private static bool Changed(in LatchedRow row, in HeapTupleHeader before) =>
        RowLocks.MaskChanged(row.Header.InfoMask, before.InfoMask) || row.Header.RawXmax != before.RawXmax;
}
