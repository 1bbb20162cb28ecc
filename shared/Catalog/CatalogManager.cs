using System.Collections.Concurrent;
using System.Globalization;
using SharedStorage.Catalog.Invalidation;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Catalog;

/// <summary>
/// The catalogs of a node: one per data directory. Sessions take their database from it; commit and tail tell it what changed. Thread-safe.
/// </summary>
public sealed class CatalogManager : ICommitListener
{
    private readonly ConcurrentDictionary<Oid, DatabaseCatalog> _databases = new();
    private readonly Lock _opening = new();

    /// <param name="start">The node's visible (or applied) LSN now: nothing is known of earlier changes.</param>
    public CatalogManager(ICatalogReader reader, RelationMaps maps, IComparatorProvider comparators, Lsn start)
    {
        Reader = reader;
        Maps = maps;
        Comparators = comparators;
        LastChange = start;
        Shared = new DatabaseCatalog(this, Oid.Invalid, RelFileNode.GlobalTablespace, start);
    }

    public ICatalogReader Reader { get; }
    public RelationMaps Maps { get; }
    public IComparatorProvider Comparators { get; }

    /// <summary>Told of each unlogged relation that is opened (R16).</summary>
    public Wal.Inserting.UnloggedRelations? Unlogged { get; init; }

    /// <summary>The shared catalogs alone, for login before a database is chosen.</summary>
    public DatabaseCatalog Shared { get; }

    internal Lsn LastChange { get; private set; }

    /// <summary>The catalogs of a database.</summary>
    /// <exception cref="PgException">3D000: there is none with this number.</exception>
    public DatabaseCatalog Database(Oid id, Snapshot? snapshot)
    {
        if (_databases.TryGetValue(id, out DatabaseCatalog? known))
        {
            return known;
        }

        PgDatabase row = Shared.View(snapshot).DatabaseById(id)
            ?? throw new PgException(SqlStates.InvalidCatalogName, string.Create(CultureInfo.InvariantCulture, $"database {id.Value} does not exist")) { Fatal = true };

        // Under the lock: a change that comes meanwhile must find the new object or be before its start.
        lock (_opening)
        {
            return _databases.GetOrAdd(id, new DatabaseCatalog(this, id, row.DatTablespace, LastChange));
        }
    }

    /// <summary>
    /// A commit that ends at <paramref name="commitEnd"/> changed catalogs: called before the commit becomes visible, in commit order, by the writer's commit
    /// and by the tail (also for XLOG_INVALIDATIONS of transactions without a number). <paramref name="messages"/> are PostgreSQL's, 16 bytes each.
    /// </summary>
    public void Invalidate(Lsn commitEnd, ReadOnlySpan<byte> messages)
    {
        lock (_opening)
        {
            LastChange = commitEnd;
            Shared.Invalidate(commitEnd, messages);
            foreach (DatabaseCatalog database in _databases.Values)
            {
                database.Invalidate(commitEnd, messages);
            }
        }
    }

    void ICommitListener.BeforeVisible(Lsn commitEnd, Xid xid, in Wal.Records.XactEnd record) => Invalidate(commitEnd, record.Invalidations);

    /// <summary>A relation map changed (XLOG_RELMAP_UPDATE): files of mapped catalogs are looked up anew.</summary>
    public void RelationMapChanged(Lsn recordEnd, Oid database, ReadOnlySpan<byte> map)
    {
        Maps.Apply(database, map);
        Span<byte> message = stackalloc byte[InvalidationMessage.Size];
        new InvalidationMessage(InvalidationKind.RelationMap, 0, database, 0).Write(message);
        Invalidate(recordEnd, message);
    }

    /// <summary>The database is gone (DROP DATABASE).</summary>
    public void Forget(Oid database) => _databases.TryRemove(database, out _);
}
