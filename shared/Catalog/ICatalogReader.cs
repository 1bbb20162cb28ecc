using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Access.Heap;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Catalog;

/// <summary>A catalog with its files found: what a scan works on.</summary>
public sealed record CatalogRelation(CatalogTable Table, Relation Relation, IReadOnlyList<IndexInfo> Indexes);

/// <summary>How rows of catalogs are read: through heap and btree on a node, straight from files in tests and tools.</summary>
public interface ICatalogReader
{
    /// <summary>
    /// Visits the rows that the snapshot sees, in index order; with keys those whose leading index columns equal them. The array given to
    /// <paramref name="visit"/> is used again for the next row.
    /// </summary>
    void Scan(CatalogRelation catalog, CatalogIndex? index, Datum[] keys, Snapshot? snapshot, Action<Datum[], Tid> visit);
}

/// <summary>Reads catalogs as any other table: heap and btree scans with a snapshot.</summary>
public sealed class EngineCatalogReader(StorageEngine engine) : ICatalogReader
{
    public void Scan(CatalogRelation catalog, CatalogIndex? index, Datum[] keys, Snapshot? snapshot, Action<Datum[], Tid> visit)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        var heap = new HeapTable(engine, catalog.Relation);
        var values = new Datum[catalog.Table.Desc.Count];
        if (index is null)
        {
            using HeapScan scan = heap.Scan(snapshot);
            while (scan.Next(values))
            {
                visit(values, scan.Tid);
            }

            return;
        }

        var scanKeys = new BtreeScanKey[keys.Length];
        for (int i = 0; i < keys.Length; i++)
        {
            scanKeys[i] = new BtreeScanKey(i, BtreeStrategy.Equal, keys[i]);
        }

        var btree = new BtreeIndex(engine, catalog.Indexes.First(i => i.Relation.Id == index.Id));
        using BtreeScan entries = btree.Scan(scanKeys);
        while (entries.Next())
        {
            Tid tid = entries.Tid;
            if (heap.TryFetch(ref tid, snapshot, values, out bool allDead))
            {
                visit(values, tid);
            }
            else if (allDead)
            {
                entries.KillCurrent();
            }
        }
    }
}
