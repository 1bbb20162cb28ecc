using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Access.Btree.Checks;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Transactions;

namespace SharedStorage.Unit.Btree;

/// <summary>Operations of several steps that end between two of them.</summary>
[Collection(nameof(BtreeWritingTests))]
public sealed class BtreeFaultTests
{
    [SkippableFact]
    public void A_split_that_ended_before_its_parent_was_written_is_finished_by_later_inserts()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = Prepare(out RelFileNode node);
        int failures = 0;
        int lastFailure = 0;
        using (var writer = new WriterOnStock(server))
        {
            BtreeIndex index = Open(writer, node);
            Transaction tx = writer.Engine.Transactions.Begin();
            try
            {
                for (int i = 0; i < 12000; i++)
                {
                    FaultPoint.Arm(i - lastFailure > 150 ? "btree.split.before-parent=error" : "");
                    try
                    {
                        Insert(index, tx, i);
                    }
                    catch (StorageException)
                    {
                        // The entry is in, on one of the halves; unless it was an earlier split that could not be finished.
                        failures++;
                        lastFailure = i;
                        Verify(index, i + 1);
                    }
                }
            }
            finally
            {
                FaultPoint.Arm("");
            }

            Verify(index, 12000);
            tx.Commit();
            writer.Crash();
        }

        Assert.True(failures > 3, $"{failures}");
        server.Psql("SELECT bt_index_parent_check('w_k', heapallindexed => false, rootdescend => true)");
        server.Psql("INSERT INTO w SELECT i FROM generate_series(1, 100) i");
        server.Psql("SELECT bt_index_parent_check('w_k', heapallindexed => false, rootdescend => true)");
    }

    [SkippableFact]
    public void A_page_deletion_that_ended_half_way_is_finished_by_the_next_vacuum()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = Prepare(out RelFileNode node);
        using (var writer = new WriterOnStock(server))
        {
            BtreeIndex index = Open(writer, node);
            Transaction tx = writer.Engine.Transactions.Begin();
            for (int i = 0; i < 12000; i++)
            {
                Insert(index, tx, i);
            }

            int rounds = 0;
            for (bool done = false; !done; rounds++)
            {
                // Only the first tries fail: each leaves one half-dead page.
                FaultPoint.Arm(rounds < 3 ? "btree.delete.half-dead=error" : "");
                try
                {
                    BtreeVacuumStats stats = index.BulkDelete(tx, t => t.Block.Value is >= 10 and < 90);
                    Assert.True(stats.PagesDeleted > 10);
                    done = true;
                }
                catch (StorageException)
                {
                    Assert.True(BtreeVerifier.Check(index.Engine, index.Index).IsSound);
                }
                finally
                {
                    FaultPoint.Arm("");
                }
            }

            Assert.Equal(4, rounds);
            Verify(index, 2405);
            tx.Commit();
            writer.Crash();
        }

        server.Psql("SELECT bt_index_parent_check('w_k', heapallindexed => false, rootdescend => true)");
    }

    private static void Insert(BtreeIndex index, Transaction tx, int i) =>
        index.Insert(tx, [Datum.FromInt32(i * 7919 % 12007)], new Tid(new BlockNumber((uint)(i * 7919 % 12007) / 120), (ushort)((i % 200) + 1)), UniqueCheck.No, null!);

    private static void Verify(BtreeIndex index, int rows)
    {
        BtreeReport report = BtreeVerifier.Check(index.Engine, index.Index);
        Assert.True(report.IsSound, string.Join('\n', report.Problems));
        int seen = 0;
        using BtreeScan scan = index.Scan([]);
        while (scan.Next())
        {
            seen++;
        }

        Assert.InRange(seen, rows - 50, rows + 50);
        Assert.Equal(report.Rows, seen);
    }

    private static StockPostgres Prepare(out RelFileNode index)
    {
        StockPostgres server = StockPostgres.Create(["autovacuum = off"]).Start();
        server.PsqlFile("CREATE EXTENSION amcheck; CREATE TABLE w (k int); CREATE INDEX w_k ON w (k);");
        index = WriterOnStock.NodeOf(server, "w_k");
        server.Stop();
        return server;
    }

    private static BtreeIndex Open(WriterOnStock writer, RelFileNode node)
    {
        IndexInfo info = BtreeScanTests.Info("w_k", [BtreeScanTests.Column("k", 23, 4, true, 4, new Oid(1976), 0)]);
        return new BtreeIndex(writer.Engine, info with { Relation = info.Relation with { Node = node, FillFactor = 90 } });
    }
}
