using System.Runtime.CompilerServices;
using SharedStorage.Access;
using SharedStorage.Catalog.Invalidation;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Catalog;

/// <summary>
/// The catalogs of one database on this node. <see cref="View"/> gives them as a snapshot sees them; all snapshots between two changes share one cache, so a
/// query on known objects reads no catalog. Thread-safe.
/// </summary>
public sealed class DatabaseCatalog
{
    /// <summary>Old epochs that are kept for snapshots that are still open; an older snapshot reads through a cache of its own.</summary>
    private const int KeptEpochs = 16;

    private readonly Lock _lock = new();
    private readonly ConditionalWeakTable<Transaction, TransactionCatalog> _own = [];
    private CatalogEpoch[] _old = [];
    private CatalogEpoch _current;

    internal DatabaseCatalog(CatalogManager manager, Oid id, Oid tablespace, Lsn start)
    {
        Manager = manager;
        Id = id;
        Tablespace = tablespace;
        _current = new CatalogEpoch(start);
    }

    public CatalogManager Manager { get; }

    /// <summary>0 for the shared catalogs alone.</summary>
    public Oid Id { get; }

    /// <summary>Where relations lie whose pg_class.reltablespace is 0.</summary>
    public Oid Tablespace { get; }

    /// <summary>
    /// The catalogs as of a snapshot. Costs a comparison when nothing changed lately. The view is used while the snapshot is open, by its thread.
    /// </summary>
    public CatalogView View(Snapshot? snapshot)
    {
        CatalogEpoch current = Volatile.Read(ref _current);
        if (snapshot is null)
        {
            return new CatalogView(this, current, current, null);
        }

        CatalogEpoch shared = snapshot.Lsn >= current.From ? current : OldEpoch(snapshot.Lsn);
        CatalogEpoch epoch = snapshot.Own is { } own && _own.TryGetValue(own, out TransactionCatalog? changes)
            ? changes.EpochFor(shared, snapshot, own)
            : shared;
        return new CatalogView(this, epoch, shared, snapshot);
    }

    internal bool IsCurrent(CatalogEpoch epoch) => ReferenceEquals(epoch, Volatile.Read(ref _current));

    /// <summary>What a transaction changed itself; made at its first catalog change.</summary>
    internal TransactionCatalog ChangesOf(Transaction tx) => _own.GetValue(tx, _ => new TransactionCatalog(Id));

    internal void Invalidate(Lsn commitEnd, ReadOnlySpan<byte> messages)
    {
        var changes = new InvalidationSet();
        changes.Add(messages, Id);
        if (changes.IsEmpty)
        {
            return;
        }

        lock (_lock)
        {
            CatalogEpoch before = _current;
            var next = new CatalogEpoch(commitEnd, before, changes);
            before.To = commitEnd;
            _old = [before, .. _old.Take(KeptEpochs - 1)];
            Volatile.Write(ref _current, next);
        }
    }

    private CatalogEpoch OldEpoch(Lsn at)
    {
        lock (_lock)
        {
            if (at >= _current.From)
            {
                return _current;
            }

            foreach (CatalogEpoch epoch in _old)
            {
                if (at >= epoch.From)
                {
                    return epoch;
                }
            }
        }

        return new CatalogEpoch(at);
    }
}
