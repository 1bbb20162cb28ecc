using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Statistics;

namespace SharedStorage.Writer.Vacuum;

/// <summary>What a table needs (relation_needs_vacanalyze of PostgreSQL's autovacuum.c).</summary>
/// <param name="Vacuum">Its dead or new rows have passed the threshold, or it is too old.</param>
/// <param name="Analyze">Its changed rows have passed the threshold.</param>
/// <param name="TooOld">Its numbers would wrap some day: it is vacuumed whatever the settings say, and nobody makes that vacuum give way.</param>
public readonly record struct AutovacuumNeed(bool Vacuum, bool Analyze, bool TooOld)
{
    public static AutovacuumNeed Of(PgClass table, AutovacuumSettings settings, TableCounters? counters, Xid nextXid, MultiXactId nextMulti)
    {
        bool tooOld = IsOlder(table.RelFrozenXid, nextXid, settings.FreezeMaxAge)
            || IsOlder(new MultiXactId(table.RelMinMxid.Value), nextMulti, settings.MultiFreezeMaxAge);
        if (counters is null || !settings.Enabled)
        {
            return new AutovacuumNeed(tooOld, false, tooOld);
        }

        double rows = Math.Max(0, (double)table.RelTuples);
        bool vacuum = counters.Dead > settings.VacuumThreshold + (settings.VacuumScale * rows)
            || (settings.InsertThreshold >= 0 && counters.InsertedSinceVacuum > settings.InsertThreshold + (settings.InsertScale * rows));
        bool analyze = table.RelKind != 't' && table.Oid.Value != Catalog.SystemCatalogs.Statistic.Id.Value
            && counters.ChangedSinceAnalyze > settings.AnalyzeThreshold + (settings.AnalyzeScale * rows);
        return new AutovacuumNeed(vacuum || tooOld, analyze, tooOld);
    }

    /// <summary>Whether a database has to be vacuumed against wraparound.</summary>
    public static bool IsTooOld(PgDatabase database, AutovacuumSettings settings, Xid nextXid, MultiXactId nextMulti) =>
        IsOlder(database.DatFrozenXid, nextXid, settings.FreezeMaxAge) || IsOlder(new MultiXactId(database.DatMinMxid.Value), nextMulti, settings.MultiFreezeMaxAge);

    private static bool IsOlder(Xid xid, Xid next, uint age)
    {
        var limit = new Xid(next.Value - age);
        limit = limit.IsNormal ? limit : new Xid(limit.Value - Xid.FirstNormal.Value);
        return xid.IsNormal && xid.Precedes(limit);
    }

    private static bool IsOlder(MultiXactId multi, MultiXactId next, uint age)
    {
        var limit = new MultiXactId(next.Value - age);
        limit = limit.IsValid ? limit : new MultiXactId(limit.Value - 1);
        return multi.IsValid && multi.Precedes(limit);
    }
}
