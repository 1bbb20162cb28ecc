using SharedStorage.Access;
using SharedStorage.Access.Heap;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Statistics;

namespace SharedStorage.Sql.Session;

/// <summary>What commands tell of tables for autovacuum, and what functions ask (pg_stat_get_...).</summary>
public sealed partial class SqlSession
{
    private TableCounterSet Counters => _node.Engine.Transactions.Counters;

    internal TableCounters? CountersOf(Oid table) => Counters.Find(DatabaseId, table) ?? Counters.Find(Oid.Invalid, table);

    internal void NoteTruncated(Oid table) => _locks.Changes.Truncate(DatabaseId, table, Current.Depth);

    internal void NoteVacuumed(Relation table, HeapVacuumResult result) =>
        Counters.Of(table.LockDatabase, table.Id).Vacuumed(result.Tuples, result.RecentlyDead, _info.ClockTimestamp, _startup.IsAutovacuum);

    internal void NoteAnalyzed(Relation table, HeapSample sample, bool allColumns) =>
        Counters.Of(table.LockDatabase, table.Id).Analyzed(sample.LiveRows, sample.DeadRows, allColumns, _info.ClockTimestamp, _startup.IsAutovacuum);

    /// <summary>Lets a session that waits for a lock of this autovacuum cancel it; one against wraparound is let to its end.</summary>
    public void GiveWay(bool on) => _locks.GiveWay = !on ? null : () =>
    {
        _cancel.Set(new PgException(SqlStates.QueryCanceled, "canceling autovacuum task"));
        _locks.Interrupt();
    };
}
