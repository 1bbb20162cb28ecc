using SharedStorage.Primitives;
using SharedStorage.Transactions.Statistics;

namespace SharedStorage.Transactions;

/// <summary>
/// The limits of xids (SetTransactionIdLimit and GetNewTransactionId of PostgreSQL's varsup.c): beyond one age autovacuum is woken, beyond the next each new xid warns, beyond
/// the last none is given out but to the vacuum that repairs it.
/// </summary>
public sealed partial class TransactionManager
{
    /// <summary>So many numbers before the wrap each new one warns.</summary>
    internal const uint WarnBeforeWrap = 40_000_000;

    /// <summary>So many numbers before the wrap no more are handed out: room for the vacuum that repairs it.</summary>
    internal const uint StopBeforeWrap = 3_000_000;

    /// <summary>Where numbers meet their own past: half of their circle.</summary>
    internal const uint HalfCircle = uint.MaxValue >> 1;

    /// <summary>Every so many xids beyond the first limit autovacuum is woken again.</summary>
    internal const uint WakeEvery = 65_536;

    internal const string RepairHint = "You might also need to commit or roll back old prepared transactions, or drop stale replication slots.";

    /// <summary>What was done to each table on this node.</summary>
    public TableCounterSet Counters { get; } = new();

    /// <summary>The name of a database, for messages; null when it is not known.</summary>
    public Func<Oid, string?>? DatabaseName { get; set; }

    /// <summary>autovacuum_freeze_max_age and autovacuum_multixact_freeze_max_age.</summary>
    public uint FreezeMaxAge { get; set; } = 200_000_000;
    public uint MultiFreezeMaxAge { get; set; } = 400_000_000;

    /// <summary>Called when an age passed its maximum: a vacuum against wraparound is due. From any thread, often.</summary>
    public Action? VacuumIsDue { get; set; }

    /// <exception cref="PgException">54000: so few numbers are left that only a vacuum may have one.</exception>
    private void CheckXidLimits(Transaction tx)
    {
        Xid xid = NextXid;
        Xid oldest = OldestXid;
        uint age = xid.Value - oldest.Value;
        if (!oldest.IsNormal || age < FreezeMaxAge || age > uint.MaxValue - StopBeforeWrap)
        {
            return;
        }

        if (xid.Value % WakeEvery == 0)
        {
            VacuumIsDue?.Invoke();
        }

        if (age >= HalfCircle - StopBeforeWrap && !tx.RepairsWraparound)
        {
            VacuumIsDue?.Invoke();
            throw new PgException(SqlStates.ProgramLimitExceeded, $"database is not accepting commands to avoid wraparound data loss in {Describe(_oldestXidDatabase)}")
            {
                Hint = "Stop the postmaster and vacuum that database in single-user mode.\n" + RepairHint,
            };
        }

        if (age >= HalfCircle - WarnBeforeWrap && !tx.RepairsWraparound)
        {
            uint left = age < HalfCircle ? HalfCircle - age : 0;
            tx.Session.Warn?.Invoke(
                $"{Describe(_oldestXidDatabase)} must be vacuumed within {left} transactions", "To avoid a database shutdown, execute a database-wide VACUUM in that database.\n" + RepairHint);
        }
    }

    /// <summary>"database "x"", or by its number.</summary>
    internal string Describe(Oid database) => DatabaseName?.Invoke(database) is { } name ? $"database \"{name}\"" : $"database with OID {database}";
}
