using System.Globalization;
using SharedStorage.Access.Heap;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions;

namespace SharedStorage.Sql.Commands;

/// <summary>What the settings say of ages and pace (vacuum_set_xid_limits, lazy_check_wraparound_failsafe).</summary>
internal sealed partial class CommandRunner
{
    private HeapVacuumOptions HeapOptions()
    {
        uint maximum = Session.Node.Engine.Transactions.FreezeMaxAge, multiMaximum = Session.Node.Engine.Transactions.MultiFreezeMaxAge;
        long delay = Session.Settings.Milliseconds("vacuum_cost_delay");

        // Freezing must begin, and a whole scan come, well before a vacuum is forced.
        return new HeapVacuumOptions
        {
            FreezeMinAge = Math.Min(Age("vacuum_freeze_min_age"), maximum / 2),
            FreezeTableAge = Math.Min(Age("vacuum_freeze_table_age"), maximum / 20 * 19),
            MultiFreezeMinAge = Math.Min(Age("vacuum_multixact_freeze_min_age"), multiMaximum / 2),
            MultiFreezeTableAge = Math.Min(Age("vacuum_multixact_freeze_table_age"), multiMaximum / 20 * 19),
            Pace = delay == 0 ? null : new VacuumPace(TimeSpan.FromMilliseconds(delay), (int)Age("vacuum_cost_limit"), Session.EvalContext.Session.Sleep),
        };
    }

    private uint Age(string setting) => uint.Parse(Session.Settings.Get(setting)!, CultureInfo.InvariantCulture);

    /// <summary>A table so old that numbers may run out is frozen and nothing else: no indexes, no shortening, no rest.</summary>
    private HeapVacuumOptions Failsafe(HeapVacuumOptions options, PgClass table)
    {
        TransactionManager transactions = Session.Node.Engine.Transactions;
        uint age = transactions.NextXid.Value - table.RelFrozenXid.Value, multiAge = transactions.MultiXacts.Next.Value - table.RelMinMxid.Value;
        uint limit = Math.Max(Age("vacuum_failsafe_age"), transactions.FreezeMaxAge / 20 * 21);
        uint multiLimit = Math.Max(Age("vacuum_multixact_failsafe_age"), transactions.MultiFreezeMaxAge / 20 * 21);
        bool old = (table.RelFrozenXid.IsNormal && age > limit && age < uint.MaxValue / 2 + 1) || (multiAge > multiLimit && multiAge < uint.MaxValue / 2 + 1);
        if (!old)
        {
            return options;
        }

        Session.SendNotice(
            "WARNING", SqlStates.ProgramLimitExceeded,
            $"bypassing nonessential maintenance of table \"{Session.DatabaseRow.DatName}.{table.RelName}\" as a failsafe",
            "The table's relfrozenxid or relminmxid is too far in the past.",
            "Consider increasing configuration parameter \"maintenance_work_mem\" or \"autovacuum_work_mem\".\n"
            + "You might also need to consider other ways for VACUUM to keep up with the allocation of transaction IDs.");
        return options with { IndexCleanup = false, Truncate = false, Pace = null };
    }
}
