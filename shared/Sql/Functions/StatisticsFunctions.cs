using SharedStorage.Format.Tuples;
using SharedStorage.Transactions.Statistics;

namespace SharedStorage.Sql.Functions;

/// <summary>What pg_stat_all_tables shows of changes, vacuums and analyzes (pgstatfuncs.c), as this node counted them.</summary>
internal static class StatisticsFunctions
{
    public static void Add(FunctionTable t)
    {
        Count(t, "pg_stat_get_tuples_inserted", static c => c.Inserted);
        Count(t, "pg_stat_get_tuples_updated", static c => c.Updated);
        Count(t, "pg_stat_get_tuples_deleted", static c => c.Deleted);
        Count(t, "pg_stat_get_tuples_hot_updated", static c => c.HotUpdated);
        Count(t, "pg_stat_get_live_tuples", static c => c.Live);
        Count(t, "pg_stat_get_dead_tuples", static c => c.Dead);
        Count(t, "pg_stat_get_mod_since_analyze", static c => c.ChangedSinceAnalyze);
        Count(t, "pg_stat_get_ins_since_vacuum", static c => c.InsertedSinceVacuum);
        Count(t, "pg_stat_get_vacuum_count", static c => c.Vacuums);
        Count(t, "pg_stat_get_autovacuum_count", static c => c.Autovacuums);
        Count(t, "pg_stat_get_analyze_count", static c => c.Analyzes);
        Count(t, "pg_stat_get_autoanalyze_count", static c => c.Autoanalyzes);
        Time(t, "pg_stat_get_last_vacuum_time", static c => c.LastVacuum);
        Time(t, "pg_stat_get_last_autovacuum_time", static c => c.LastAutovacuum);
        Time(t, "pg_stat_get_last_analyze_time", static c => c.LastAnalyze);
        Time(t, "pg_stat_get_last_autoanalyze_time", static c => c.LastAutoanalyze);
    }

    private static void Count(FunctionTable t, string name, Func<TableCounters, long> value) =>
        t.F1(name, (a, c) => Datum.FromInt64(c.Session.CountersOf(a.Oid) is { } counters ? value(counters) : 0));

    private static void Time(FunctionTable t, string name, Func<TableCounters, long> value) =>
        t.F1(name, (a, c) => c.Session.CountersOf(a.Oid) is { } counters && value(counters) is var at && at != 0 ? Datum.FromInt64(at) : Datum.Null);
}
