using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Locks;

/// <summary>Waiting: for a grant, with deadlock check, time-out and cancel; and for the end of a transaction.</summary>
public sealed partial class LockManager
{
    /// <summary>
    /// Waits until the transaction has ended (XactLockTableWait). A subtransaction that was released ends with its parent.
    /// </summary>
    /// <remarks>
    /// A transaction's lock on its own xid is not in the table until somebody waits for it: the first waiter puts it there. The one who ends stores the end in the
    /// map and then looks whether anybody did; the waiter says that he did and then looks at the map: one of them sees the other.
    /// </remarks>
    /// <exception cref="PgException">Deadlock, time-out or cancel.</exception>
    public void WaitForTransaction(Transaction waiter, Xid xid) => WaitForTransaction(waiter, xid, wait: true);

    /// <summary>Whether the transaction has ended; does not wait (ConditionalXactLockTableWait).</summary>
    public bool HasTransactionEnded(Transaction waiter, Xid xid) => WaitForTransaction(waiter, xid, wait: false);

    internal void XidsEnded(Transaction tx, ReadOnlySpan<Xid> xids)
    {
        Interlocked.MemoryBarrier();
        if (!tx.IsWaitedFor)
        {
            return;
        }

        foreach (Xid xid in xids)
        {
            Ungrant(tx.Session, LockTag.Transaction(xid), LockMode.Exclusive);
        }
    }

    private bool WaitForTransaction(Transaction waiter, Xid xid, bool wait)
    {
        LockTag tag = LockTag.Transaction(xid);
        while (_manager!.FindRunning(xid) is { } running)
        {
            Invariant.Check(!ReferenceEquals(running, waiter), "locks", "a transaction waits for itself");
            if (!wait)
            {
                return false;
            }

            if (!ShowXidLock(running, xid, tag))
            {
                break;
            }

            TakeFromTable(waiter.Session, tag, LockMode.Share, wait: true, strong: false);
            Ungrant(waiter.Session, tag, LockMode.Share);
        }

        return true;
    }

    /// <summary>Puts a running transaction's lock on its xid into the table. False: it has ended meanwhile.</summary>
    private bool ShowXidLock(Transaction running, Xid xid, in LockTag tag)
    {
        Partition partition = PartitionOf(tag);
        lock (partition.Sync)
        {
            LockObject target = partition.GetOrAdd(tag);
            target.Grant(running.Session, LockMode.Exclusive);
            running.IsWaitedFor = true;
            Interlocked.MemoryBarrier();
            if (_manager!.IsInProgress(xid))
            {
                return true;
            }

            target.Ungrant(running.Session, LockMode.Exclusive);
            partition.RemoveIfUnused(target);
            return false;
        }
    }

    /// <summary>Sleeps until granted. On a time-out, cancel or deadlock the waiter leaves the queue.</summary>
    private void WaitFor(LockWaiter waiter)
    {
        LockSession session = waiter.Session;
        var clock = System.Diagnostics.Stopwatch.StartNew();
        bool check = true;
        try
        {
            while (true)
            {
                TimeSpan untilCheck = !check ? TimeSpan.MaxValue : waiter.CheckAtOnce ? TimeSpan.Zero : session.DeadlockTimeout - clock.Elapsed;
                TimeSpan untilTimeout = session.LockTimeout > TimeSpan.Zero ? session.LockTimeout - clock.Elapsed : TimeSpan.MaxValue;
                TimeSpan sleep = untilCheck < untilTimeout ? untilCheck : untilTimeout;
                if (waiter.Sleep(sleep == TimeSpan.MaxValue ? Timeout.InfiniteTimeSpan : sleep > TimeSpan.Zero ? sleep : TimeSpan.Zero))
                {
                    return;
                }

                if (session.TakeInterrupt())
                {
                    session.CheckInterrupts?.Invoke();
                }

                if (session.LockTimeout > TimeSpan.Zero && clock.Elapsed >= session.LockTimeout)
                {
                    throw new PgException(SqlStates.LockNotAvailable, "canceling statement due to lock timeout");
                }

                if (check && (waiter.CheckAtOnce || clock.Elapsed >= session.DeadlockTimeout))
                {
                    check = false;
                    CheckDeadlock(waiter);
                    AskToGiveWay(waiter);
                }
            }
        }
        catch
        {
            Leave(waiter);
            throw;
        }
        finally
        {
            session.Waiting = null;
        }
    }

    /// <summary>Takes a waiter that gives up out of the queue; what was granted in the last moment is given back.</summary>
    private void Leave(LockWaiter waiter)
    {
        Partition partition = PartitionOf(waiter.Object.Tag);
        lock (partition.Sync)
        {
            if (waiter.IsDone)
            {
                waiter.Object.Ungrant(waiter.Session, waiter.Mode);
            }
            else
            {
                waiter.Object.Queue.Remove(waiter);
                waiter.Object.Serve();
            }

            partition.RemoveIfUnused(waiter.Object);
        }
    }

    /// <summary>Nobody waits long behind an autovacuum (DS_BLOCKED_BY_AUTOVACUUM).</summary>
    private void AskToGiveWay(LockWaiter waiter)
    {
        List<Action>? asked = null;
        lock (PartitionOf(waiter.Object.Tag).Sync)
        {
            foreach (LockHolder holder in waiter.Object.Holders)
            {
                if (!waiter.IsDone && holder.Session != waiter.Session && holder.Session.GiveWay is { } ask && (holder.Modes & LockConflicts.Of(waiter.Mode)) != 0)
                {
                    (asked ??= []).Add(ask);
                }
            }
        }

        asked?.ForEach(static ask => ask());
    }

    private void CheckDeadlock(LockWaiter waiter)
    {
        foreach (Partition p in _partitions)
        {
            p.Sync.Enter();
        }

        try
        {
            if (waiter.IsDone)
            {
                return;
            }

            var detector = new DeadlockDetector();
            if (detector.Resolve(waiter.Session))
            {
                return;
            }

            throw new PgException(SqlStates.DeadlockDetected, "deadlock detected")
            {
                Detail = detector.Describe(),
                Hint = "See server log for query details.",
            };
        }
        finally
        {
            for (int i = PartitionCount - 1; i >= 0; i--)
            {
                _partitions[i].Sync.Exit();
            }
        }
    }
}
