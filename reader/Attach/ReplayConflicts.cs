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
internal sealed class ReplayConflicts(TransactionManager transactions, Func<IEnumerable<ServedSession>> sessions, TailWaits waits, TimeProvider time, TimeSpan? delay)
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan EndOfSessions = TimeSpan.FromSeconds(10);
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

        Xid removed = ConflictXids.NewestRemoved(record);
        if (removed.IsNormal && !(_clear.IsNormal && removed.Precedes(_clear)) && !IsClear(removed, out _))
        {
            Resolve(removed, stop);
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

    private void Resolve(Xid removed, CancellationToken stop)
    {
        var known = new HashSet<int>();
        waits.TailIsHeld = true;
        try
        {
            while (!IsClear(removed, out Lsn oldest))
            {
                stop.ThrowIfCancellationRequested();
                bool overdue = delay is { } limit && time.GetElapsedTime(CaughtUpAt) > limit;
                known.Clear();
                foreach (ServedSession session in sessions())
                {
                    known.Add(session.ThreadId);
                    if (session.OldestSnapshot <= oldest)
                    {
                        Ask(session, overdue);
                    }
                }

                waits.EndOthers(known, Conflict(fatal: true));
                stop.WaitHandle.WaitOne(Look);
            }
        }
        finally
        {
            waits.TailIsHeld = false;
        }
    }

    private void Ask(in ServedSession session, bool overdue)
    {
        if (waits.End(session.ThreadId, Conflict(fatal: false)) || !overdue)
        {
            return;
        }

        if (session.IsRunning)
        {
            session.Cancel(Conflict(fatal: false));
        }
        else
        {
            session.Terminate(Conflict(fatal: true));
        }
    }

    private void EndSessionsOf(Oid database, CancellationToken stop)
    {
        long began = time.GetTimestamp();
        while (time.GetElapsedTime(began) < EndOfSessions)
        {
            bool any = false;
            foreach (ServedSession session in sessions())
            {
                if (session.Database == database)
                {
                    any = true;
                    session.Terminate(new PgException(SqlStates.DatabaseDropped, "terminating connection due to conflict with recovery")
                    {
                        Detail = "User was connected to a database that must be dropped.",
                        Fatal = true,
                    });
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
