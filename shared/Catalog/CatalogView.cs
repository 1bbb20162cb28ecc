using System.Collections.Concurrent;
using SharedStorage.Access;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Catalog;

/// <summary>
/// A database's catalogs as one snapshot sees them. Lookups by key go through the cache of the snapshot's epoch; rows given out are immutable and may be kept.
/// A lookup gives null or an empty list for what is not there; the ones named Get or Resolve fail with PostgreSQL's error.
/// </summary>
public sealed partial class CatalogView
{
    private readonly CatalogEpoch _epoch;
    private readonly CatalogEpoch _shared;
    private readonly Snapshot? _snapshot;

    /// <param name="epoch">The cache to use.</param>
    /// <param name="shared">The epoch that it is, or that a transaction's private one was made from.</param>
    internal CatalogView(DatabaseCatalog database, CatalogEpoch epoch, CatalogEpoch shared, Snapshot? snapshot)
    {
        Database = database;
        _epoch = epoch;
        _shared = shared;
        _snapshot = snapshot;
    }

    public DatabaseCatalog Database { get; }

    /// <summary>
    /// Identifies the state of the catalogs: two views with the same object see the same rows. Plans keep it to know whether they still hold.
    /// </summary>
    public object Version => _epoch;

    /// <summary>No later change of these catalogs has been committed by others. A writer's statement checks it after it has taken its locks, and else begins anew.</summary>
    public bool IsCurrent => Database.IsCurrent(_shared);

    /// <summary>All rows of a catalog, not cached.</summary>
    public IReadOnlyList<TRow> Scan<TRow>(CatalogTable<TRow> table)
        where TRow : class, ICatalogRow<TRow>
    {
        var rows = new List<TRow>();
        Database.Manager.Reader.Scan(Files(table), null, [], _snapshot, (v, _) => rows.Add(TRow.Read(v)));
        return rows;
    }

    /// <summary>The rows whose leading index columns have these values, in index order, with their places; not cached.</summary>
    public IReadOnlyList<(TRow Row, Tid Tid)> Search<TRow>(CatalogTable<TRow> table, CatalogIndex index, params Datum[] keys)
        where TRow : class, ICatalogRow<TRow>
    {
        var rows = new List<(TRow, Tid)>();
        Database.Manager.Reader.Scan(Files(table), index, keys, _snapshot, (v, tid) => rows.Add((TRow.Read(v), tid)));
        return rows;
    }

    private TRow[] Rows<TRow>(CatalogTable<TRow> table, in CatalogKey key)
        where TRow : class, ICatalogRow<TRow>
    {
        ConcurrentDictionary<CatalogKey, object> cache = _epoch.RowsOf(table);
        if (cache.TryGetValue(key, out object? known))
        {
            return (TRow[])known;
        }

        TRow[] rows = Uncached(table, key);
        cache[key] = rows;
        return rows;
    }

    private TRow[] Uncached<TRow>(CatalogTable<TRow> table, in CatalogKey key)
        where TRow : class, ICatalogRow<TRow>
    {
        var rows = new List<TRow>();
        Database.Manager.Reader.Scan(Files(table), key.Index, key.ToDatums(), _snapshot, (v, _) => rows.Add(TRow.Read(v)));
        return [.. rows];
    }

    private TRow? Row<TRow>(CatalogTable<TRow> table, in CatalogKey key)
        where TRow : class, ICatalogRow<TRow>
    {
        TRow[] rows = Rows(table, key);
        return rows.Length == 0 ? null : rows[0];
    }

    /// <summary>A catalog with its files and indexes, for scans and changes.</summary>
    internal CatalogRelation Files(CatalogTable table)
    {
        if (_epoch.Files.TryGetValue(table.Id, out CatalogRelation? known))
        {
            return known;
        }

        CatalogRelation made = CatalogBootstrap.Open(this, table);
        _epoch.Files[table.Id] = made;
        return made;
    }
}
