using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Multi;

/// <summary>The limits of multixacts, like those of xids (SetMultiXactIdLimit and GetNewMultiXactId of PostgreSQL's multixact.c).</summary>
public sealed partial class MultiXacts
{
    /// <exception cref="PgException">54000: the numbers are about to wrap.</exception>
    private void CheckLimits(MultiXactMember[] members)
    {
        MultiXactLimits limits = Limits;
        uint age = limits.Next.Value - limits.Oldest.Value;
        if (age < _manager.MultiFreezeMaxAge)
        {
            return;
        }

        if (limits.Next.Value % TransactionManager.WakeEvery == 0)
        {
            _manager.VacuumIsDue?.Invoke();
        }

        const string hint = "Execute a database-wide VACUUM in that database.\n" + TransactionManager.RepairHint;
        if (age >= TransactionManager.HalfCircle - TransactionManager.StopBeforeWrap)
        {
            throw new PgException(
                SqlStates.ProgramLimitExceeded,
                $"database is not accepting commands that generate new MultiXactIds to avoid wraparound data loss in {_manager.Describe(limits.OldestDatabase)}")
            {
                Hint = hint,
            };
        }

        if (age >= TransactionManager.HalfCircle - TransactionManager.WarnBeforeWrap)
        {
            // Whoever makes a multixact is its last member.
            uint left = TransactionManager.HalfCircle - age;
            _manager.FindRunning(members[^1].Xid)?.Session.Warn?.Invoke(
                $"{_manager.Describe(limits.OldestDatabase)} must be vacuumed before {left} more MultiXactId{(left == 1 ? " is" : "s are")} used", hint);
        }
    }
}
