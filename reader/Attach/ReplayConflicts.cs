using Microsoft.Extensions.Logging;
using SharedStorage.PgWire.Session;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Reader.Attach;

/// <summary>
/// Conflicts of replay with what this node's sessions still need, resolved as a hot standby resolves them (PostgreSQL's standby.c): a stock writer does not know our
/// snapshots. Replay waits, for max_standby_streaming_delay at most since it began to lag; then statements are cancelled.
/// </summary>
/// <remarks>
/// Locks of DDL are no conflict here: catalogs are read with the query's snapshot, and files that go are met when they are missed. A snapshot that is taken after the look sees
/// everything before the record, and of what the record removes nothing is needed by it; one that was on its way is noticed by the manager's horizon.
/// </remarks>
internal sealed class ReplayConflicts(
    TransactionManager transactions, Func<IEnumerable<IServedSession>> sessions, TailWaits waits, TimeProvider time, TimeSpan? delay, ILogger log)
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan EndOfSessions = TimeSpan.FromSeconds(10);

    /// <summary>PostgreSQL's deadlock_timeout, after which it tells of a wait, too.</summary>
    private static readonly TimeSpan WorthSaying = TimeSpan.FromSeconds(1);

    /// <summary>A statement that was cancelled and is still there after so long waits for its client, who does not read what it is sent.</summary>
    private static readonly TimeSpan Unheard = TimeSpan.FromSeconds(10);

    private Xid _clear = Xid.Invalid;

    /// <summary>When replay last was at the end of the log: the delay counts from there.</summary>
    public long CaughtUpAt { get; set; }

    /// <summary>Returns when the record may be applied. By the tail's thread.</summary>
    /// <exception cref="OperationCanceledException">The node stops.</exception>
    /// <exception cref="PgException">Replay cannot go on past this record.</exception>
    public void Meet(WalRecord record, CancellationToken stop)
    {
        switch (record.Rmgr)
        {
            case Rmgr.Xlog when record.OpCode == XlogOp.ParameterChange:
                AttachedDirectory.CheckWalLevel(ParameterChangeRecord.Read(record.MainData).WalLevel);
                return;
            case Rmgr.Database when record.OpCode == DatabaseOp.Drop:
                EndSessionsOf(DatabaseDropRecord.Read(record.MainData).Database, stop);
                return;
        }

        AwaitSnapshots(ConflictXids.NewestRemoved(record), record.Start, stop);
    }

    /// <summary>Returns when no snapshot needs what the record at a position removes: row versions up to an xid.</summary>
    internal void AwaitSnapshots(Xid removed, Lsn position, CancellationToken stop)
    {
        if (removed.IsNormal && !(_clear.IsNormal && removed.Precedes(_clear)) && !IsClear(removed, out _))
        {
            Resolve(removed, position, stop);
        }
    }

    /// <summary>Whether every xid up to this one had ended for each snapshot that there is or will be.</summary>
    private bool IsClear(Xid removed, out Lsn oldest)
    {
        Xid notEnded = transactions.XidHorizon;
        oldest = transactions.Horizon;
        if (removed.Precedes(notEnded))
        {
            _clear = notEnded;
            return true;
        }

        return oldest >= transactions.Visible;
    }

    private void Resolve(Xid removed, Lsn position, CancellationToken stop)
    {
        long began = time.GetTimestamp();
        long overdueSince = 0;
        bool said = false;
        waits.TailIsHeld = true;
        try
        {
            while (!IsClear(removed, out Lsn oldest))
            {
                stop.ThrowIfCancellationRequested();
                TimeSpan lag = time.GetElapsedTime(CaughtUpAt);
                overdueSince = lag > delay && overdueSince == 0 ? time.GetTimestamp() : overdueSince;
                bool inVain = overdueSince != 0 && time.GetElapsedTime(overdueSince) > Unheard;
                foreach (IServedSession session in sessions())
                {
                    Ask(session, oldest, lag > delay, inVain);
                }

                if (!said && time.GetElapsedTime(began) > WorthSaying)
                {
                    said = true;
                    Say(removed, position, oldest, lag);
                }

                stop.WaitHandle.WaitOne(Look);
            }
        }
        finally
        {
            waits.TailIsHeld = false;
            if (said)
            {
                log.LogInformation("replay at {Position} had waited for snapshots for {Seconds:F1} s", position, time.GetElapsedTime(began).TotalSeconds);
            }
        }
    }

    /// <summary>What is to happen to a session for a record that its snapshot may be in the way of.</summary>
    internal static ConflictMeasure Judge(IServedSession session, Lsn oldest, bool awaitsTail, bool overdue, bool inVain = false) =>
        session.OldestSnapshot > oldest ? ConflictMeasure.None
        : awaitsTail ? ConflictMeasure.EndWait
        : !overdue || session.IsBeingLetIn ? ConflictMeasure.None
        : session.IsRunning ? inVain ? ConflictMeasure.Disconnect : ConflictMeasure.Cancel

        // Looked at again: its statement may just have ended, and its snapshot with it.
        : session.OldestSnapshot > oldest ? ConflictMeasure.None
        : ConflictMeasure.Terminate;

    private void Ask(IServedSession session, Lsn oldest, bool overdue, bool inVain)
    {
        switch (Judge(session, oldest, waits.Awaits(session.ThreadId), overdue, inVain))
        {
            case ConflictMeasure.EndWait:
                waits.End(session.ThreadId, Conflict(fatal: false));
                break;
            case ConflictMeasure.Cancel:
                session.Cancel(Conflict(fatal: false));
                break;
            case ConflictMeasure.Terminate:
                session.Terminate(Conflict(fatal: true));
                break;
            case ConflictMeasure.Disconnect:
                session.Disconnect(Conflict(fatal: true));
                break;
        }
    }

    /// <summary>Names who holds replay, once for each wait: the horizon is one of the sessions' snapshots.</summary>
    private void Say(Xid removed, Lsn position, Lsn oldest, TimeSpan lag)
    {
        string[] holders = [.. sessions().Where(s => s.OldestSnapshot <= oldest).Select(s =>
            $"{s.ProcessId} ({(s.IsBeingLetIn ? "being let in" : s.IsRunning ? "running" : "idle in transaction")})")];
        log.LogInformation(
            "replay at {Position} waits to remove row versions up to {Xid}, which snapshots at {Oldest} may need; it has lagged for {Seconds:F1} s; sessions: {Holders}",
            position, removed, oldest, lag.TotalSeconds, holders.Length == 0 ? "none any more" : string.Join(", ", holders));
    }

    private void EndSessionsOf(Oid database, CancellationToken stop)
    {
        long began = time.GetTimestamp();
        while (time.GetElapsedTime(began) < EndOfSessions)
        {
            bool any = false;
            foreach (IServedSession session in sessions())
            {
                if (session.Database == database)
                {
                    any = true;
                    var reason = new PgException(SqlStates.DatabaseDropped, "terminating connection due to conflict with recovery")
                    {
                        Detail = "User was connected to a database that must be dropped.",
                        Fatal = true,
                    };
                    session.Terminate(reason);
                }
            }

            if (!any)
            {
                return;
            }

            stop.WaitHandle.WaitOne(Look);
            stop.ThrowIfCancellationRequested();
        }
    }

    private static PgException Conflict(bool fatal) =>
        new(SqlStates.SerializationFailure, fatal ? "terminating connection due to conflict with recovery" : "canceling statement due to conflict with recovery")
        {
            Detail = "User query might have needed to see row versions that must be removed.",
            Hint = fatal ? "In a moment you should be able to reconnect to the database and repeat your command." : null,
            Fatal = fatal,
        };
}

/// <summary>What a conflict with replay does to a session.</summary>
internal enum ConflictMeasure
{
    None,

    /// <summary>It waits for replay, which waits for it: its statement is cancelled at once, whatever the delay; a client that is being let in takes a later snapshot.</summary>
    EndWait,

    Cancel,

    /// <summary>It was cancelled in vain.</summary>
    Disconnect,

    /// <summary>It is idle in a transaction, so there is no statement to cancel.</summary>
    Terminate,
}
