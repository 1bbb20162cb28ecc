using System.Collections.Concurrent;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Statistics;

/// <summary>
/// What happened to one table since the node became the writer, and since its last VACUUM and ANALYZE (PostgreSQL's pgstat_relation.c): what autovacuum decides by. In memory
/// only; after a restart they begin at zero, as PostgreSQL's do after a crash.
/// </summary>
public sealed class TableCounters
{
    private long _inserted, _updated, _hotUpdated, _deleted, _live, _dead, _changed, _insertedSinceVacuum;
    private long _lastVacuum, _lastAutovacuum, _lastAnalyze, _lastAutoanalyze;
    private long _vacuums, _autovacuums, _analyzes, _autoanalyzes;

    public long Inserted => Volatile.Read(ref _inserted);
    public long Updated => Volatile.Read(ref _updated);
    public long HotUpdated => Volatile.Read(ref _hotUpdated);
    public long Deleted => Volatile.Read(ref _deleted);
    public long Live => Math.Max(0, Volatile.Read(ref _live));
    public long Dead => Math.Max(0, Volatile.Read(ref _dead));
    public long ChangedSinceAnalyze => Volatile.Read(ref _changed);
    public long InsertedSinceVacuum => Volatile.Read(ref _insertedSinceVacuum);
    public long Vacuums => Volatile.Read(ref _vacuums);
    public long Autovacuums => Volatile.Read(ref _autovacuums);
    public long Analyzes => Volatile.Read(ref _analyzes);
    public long Autoanalyzes => Volatile.Read(ref _autoanalyzes);

    /// <summary>Microseconds since 2000-01-01 UTC; 0 is never.</summary>
    public long LastVacuum => Volatile.Read(ref _lastVacuum);
    public long LastAutovacuum => Volatile.Read(ref _lastAutovacuum);
    public long LastAnalyze => Volatile.Read(ref _lastAnalyze);
    public long LastAutoanalyze => Volatile.Read(ref _lastAutoanalyze);

    /// <summary>VACUUM is done: so many rows live, and so many dead ones had to stay.</summary>
    public void Vacuumed(double live, long dead, long at, bool auto)
    {
        Volatile.Write(ref _live, (long)live);
        Volatile.Write(ref _dead, dead);
        Volatile.Write(ref _insertedSinceVacuum, 0);
        Interlocked.Increment(ref auto ? ref _autovacuums : ref _vacuums);
        Volatile.Write(ref auto ? ref _lastAutovacuum : ref _lastVacuum, at);
    }

    /// <summary>ANALYZE is done, by estimate.</summary>
    public void Analyzed(double live, double dead, bool allColumns, long at, bool auto)
    {
        Volatile.Write(ref _live, (long)live);
        Volatile.Write(ref _dead, (long)dead);
        if (allColumns)
        {
            Volatile.Write(ref _changed, 0);
        }

        Interlocked.Increment(ref auto ? ref _autoanalyzes : ref _analyzes);
        Volatile.Write(ref auto ? ref _lastAutoanalyze : ref _lastAnalyze, at);
    }

    /// <summary>Pruning has made so many dead rows vanish.</summary>
    public void Pruned(long dead) => Interlocked.Add(ref _dead, -dead);

    internal void Add(in TableChange change, bool committed)
    {
        Interlocked.Add(ref _inserted, change.Inserted + change.UndoneInserted);
        Interlocked.Add(ref _updated, change.Updated + change.UndoneUpdated);
        Interlocked.Add(ref _hotUpdated, change.HotUpdated);
        Interlocked.Add(ref _deleted, change.Deleted + change.UndoneDeleted);
        Interlocked.Add(ref _insertedSinceVacuum, change.Inserted + change.UndoneInserted);
        long undone = change.UndoneInserted + change.UndoneUpdated;
        if (!committed)
        {
            Interlocked.Add(ref _dead, undone + change.Inserted + change.Updated);
            return;
        }

        if (change.Truncated)
        {
            Volatile.Write(ref _live, 0);
            Volatile.Write(ref _dead, 0);
        }

        Interlocked.Add(ref _live, change.Inserted - change.Deleted);
        Interlocked.Add(ref _dead, undone + change.Updated + change.Deleted);
        Interlocked.Add(ref _changed, change.Inserted + change.Updated + change.Deleted);
    }
}

/// <summary>The counters of all tables of a node.</summary>
public sealed class TableCounterSet
{
    private readonly ConcurrentDictionary<(Oid Database, Oid Table), TableCounters> _tables = new();

    /// <param name="database">Invalid for shared catalogs.</param>
    /// <param name="table">The table.</param>
    public TableCounters? Find(Oid database, Oid table) => _tables.GetValueOrDefault((database, table));

    public TableCounters Of(Oid database, Oid table) => _tables.GetOrAdd((database, table), static _ => new TableCounters());

    /// <summary>Whether anything was changed in the database.</summary>
    public bool KnowsDatabase(Oid database) => _tables.Keys.Any(k => k.Database == database);

    /// <summary>The tables of a database that were changed.</summary>
    public IReadOnlyList<Oid> TablesOf(Oid database) => [.. _tables.Keys.Where(k => k.Database == database).Select(k => k.Table)];

    /// <summary>The table is no more.</summary>
    public void Forget(Oid database, Oid table) => _tables.TryRemove((database, table), out _);
}
