using System.Collections.Concurrent;
using SharedStorage.Access;
using SharedStorage.Catalog.Invalidation;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog;

/// <summary>
/// What is known of a database's catalogs between two commits that changed them. All snapshots from <see cref="From"/> up to <see cref="To"/> see the same
/// rows, so whoever reads first fills it for all. Thread-safe; only grows.
/// </summary>
internal sealed class CatalogEpoch
{
    // Not changed after construction, so read without a lock.
    private readonly Dictionary<Oid, ConcurrentDictionary<CatalogKey, object>> _rows;
    private long _to = -1;

    /// <summary>An epoch that knows nothing yet.</summary>
    public CatalogEpoch(Lsn from)
    {
        From = from;
        _rows = SystemCatalogs.All.ToDictionary(t => t.Id, _ => new ConcurrentDictionary<CatalogKey, object>());
        Relations = new ConcurrentDictionary<Oid, RelationEntry>();
        Files = new ConcurrentDictionary<Oid, CatalogRelation>();
    }

    /// <summary>
    /// The epoch after <paramref name="before"/>. Rows of catalogs that did not change are shared with it: they are the same on both sides, whoever loads them.
    /// </summary>
    public CatalogEpoch(Lsn from, CatalogEpoch before, InvalidationSet changes)
    {
        From = from;
        _rows = SystemCatalogs.All.ToDictionary(
            t => t.Id,
            t => changes.Touches(t.Id) ? new ConcurrentDictionary<CatalogKey, object>() : before._rows[t.Id]);
        Relations = new ConcurrentDictionary<Oid, RelationEntry>(
            changes.AllRelations ? [] : before.Relations.Where(p => !changes.Relations.Contains(p.Key)));
        Files = new ConcurrentDictionary<Oid, CatalogRelation>(
            changes.AllRelations || changes.RelationMap
                ? []
                : before.Files.Where(p => !changes.Relations.Contains(p.Key) && !p.Value.Indexes.Any(i => changes.Relations.Contains(i.Relation.Id))));
    }

    public Lsn From { get; }

    /// <summary>The end of the commit that began the next epoch; <see cref="Lsn.Max"/> while this is the current one.</summary>
    public Lsn To
    {
        get => new((ulong)Volatile.Read(ref _to));
        set => Volatile.Write(ref _to, (long)value.Value);
    }

    public ConcurrentDictionary<Oid, RelationEntry> Relations { get; }

    /// <summary>Catalogs with their files.</summary>
    public ConcurrentDictionary<Oid, CatalogRelation> Files { get; }

    public ConcurrentDictionary<CatalogKey, object> RowsOf(CatalogTable table) => _rows[table.Id];
}

/// <summary>What is known of one relation; parts are loaded when first asked for. A part loaded twice by two sessions at once is the same twice.</summary>
internal sealed class RelationEntry(PgClass row)
{
    public PgClass Class { get; } = row;
    public Relation? Relation { get; set; }
    public PgAttribute[]? Attributes { get; set; }
    public IndexInfo? Index { get; set; }
    public IndexInfo[]? Indexes { get; set; }
    public PgConstraint[]? Constraints { get; set; }
    public PgAttrDef[]? Defaults { get; set; }
    public PgTrigger[]? Triggers { get; set; }
    public PgRewrite[]? Rules { get; set; }
    public Oid[]? Children { get; set; }
}
