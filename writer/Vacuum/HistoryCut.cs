using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Catalog.Rows;
using SharedStorage.Hosting.Engine;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Writer.Vacuum;

/// <summary>
/// After a VACUUM: the oldest xid and multixact that any database still holds may have moved, so clog and multixacts before them can go (vac_truncate_clog of
/// PostgreSQL's vacuum.c). What the databases say was computed under the cluster's horizon (R5); the files vanish by I5.
/// </summary>
internal sealed class HistoryCut(NodeEngine engine)
{
    private readonly Lock _one = new();

    public void Run()
    {
        lock (_one)
        {
            using Snapshot snapshot = engine.Transactions.TakeSnapshot();

            // One whose drop did not end is nobody's to vacuum, and its rows nobody's to read.
            List<PgDatabase> databases = [.. engine.Catalogs.Shared.View(snapshot).Scan(SystemCatalogs.Database).Where(d => d.DatConnLimit != CatalogWriter.InvalidDatabase)];
            PgDatabase oldestXid = databases.Aggregate((a, b) => b.DatFrozenXid.Precedes(a.DatFrozenXid) ? b : a);
            PgDatabase oldestMulti = databases.Aggregate((a, b) => Multi(b).Precedes(Multi(a)) ? b : a);
            TransactionManager transactions = engine.Transactions;
            if (transactions.OldestXid.Precedes(oldestXid.DatFrozenXid))
            {
                transactions.SetOldestXid(oldestXid.DatFrozenXid, oldestXid.Oid);
                transactions.TruncateClog(oldestXid.DatFrozenXid, oldestXid.Oid);
                transactions.TruncateCommitTimestamps(oldestXid.DatFrozenXid);
            }

            if (transactions.MultiXacts.Limits.Oldest.Precedes(Multi(oldestMulti)))
            {
                transactions.MultiXacts.Truncate(Multi(oldestMulti), oldestMulti.Oid);
            }
        }
    }

    private static MultiXactId Multi(PgDatabase database) => new(database.DatMinMxid.Value);
}
