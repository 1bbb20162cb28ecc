using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Access.Btree.Checks;
using SharedStorage.Access.Heap;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Transactions;

namespace SharedStorage.Unit.Btree;

/// <summary>Unique checks against a heap, beside other sessions, judged by stock PostgreSQL in the end.</summary>
[Collection(nameof(BtreeWritingTests))]
public sealed class BtreeUniqueTests
{
    private const int Keys = 400;

    [SkippableFact]
    public void Of_many_sessions_that_insert_a_key_one_succeeds()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = Prepare(out RelFileNode table, out RelFileNode index);
        int committed = 0;
        using (var writer = new WriterOnStock(server))
        {
            (HeapTable heap, BtreeIndex unique) = Open(writer, table, index);
            BtreeWritingTests.InParallel(6, part =>
            {
                var random = new Random(part);
                int[] order = [.. Enumerable.Range(0, Keys)];
                random.Shuffle(order);
                foreach (int key in order)
                {
                    if (TryInsert(writer, heap, unique, key, abort: random.Next(5) == 0))
                    {
                        Interlocked.Increment(ref committed);
                    }
                }
            });
            BtreeReport report = BtreeVerifier.Check(writer.Engine, unique.Index);
            Assert.True(report.IsSound, string.Join('\n', report.Problems));
            writer.Crash();
        }

        Assert.InRange(committed, Keys * 9 / 10, Keys);
        Assert.Equal($"{committed}|{committed}", server.Psql("SET enable_indexscan = off; SET enable_indexonlyscan = off; SELECT count(*), count(DISTINCT k) FROM u"));
        server.Psql("SELECT bt_index_parent_check('u_k', heapallindexed => true, rootdescend => true)");
        Assert.Equal(committed.ToString(null as IFormatProvider), server.Psql("SET enable_seqscan = off; SELECT count(*) FROM u WHERE k >= 0"));
    }

    [SkippableFact]
    public void A_duplicate_is_told_as_PostgreSQL_tells_it()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = Prepare(out RelFileNode table, out RelFileNode index);
        using var writer = new WriterOnStock(server);
        (HeapTable heap, BtreeIndex unique) = Open(writer, table, index);
        unique.DescribeKey = (_, values) => $"(k)=({values[0].Int32})";
        Assert.True(TryInsert(writer, heap, unique, 7, abort: false));
        Transaction tx = writer.Engine.Transactions.Begin();
        Tid tid = heap.Insert(tx, [Datum.FromInt32(7), Datum.FromInt32(1)]);
        var e = Assert.Throws<PgException>(() => unique.Insert(tx, [Datum.FromInt32(7)], tid, UniqueCheck.Yes, heap));
        Assert.Equal("23505", e.SqlState);
        Assert.Equal("duplicate key value violates unique constraint \"u_k\"", e.Message);
        Assert.Equal("Key (k)=(7) already exists.", e.Detail);
        Assert.Equal("u_k", e.Constraint);
        Assert.False(unique.Insert(tx, [Datum.FromInt32(7)], tid, UniqueCheck.Partial, heap));

        // Nulls are no duplicates of each other.
        for (int i = 0; i < 3; i++)
        {
            Tid row = heap.Insert(tx, [Datum.Null, Datum.FromInt32(i)]);
            Assert.True(unique.Insert(tx, [Datum.Null], row, UniqueCheck.Yes, heap));
        }

        tx.Abort();
    }

    [SkippableFact]
    public void A_deleted_rows_key_may_be_used_again_and_its_entry_is_killed()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = Prepare(out RelFileNode table, out RelFileNode index);
        using var writer = new WriterOnStock(server);
        (HeapTable heap, BtreeIndex unique) = Open(writer, table, index);
        for (int round = 0; round < 1000; round++)
        {
            Transaction tx = writer.Engine.Transactions.Begin();
            Tid tid = heap.Insert(tx, [Datum.FromInt32(1), Datum.FromInt32(round)]);
            Assert.True(unique.Insert(tx, [Datum.FromInt32(1)], tid, UniqueCheck.Yes, heap));
            tx.Commit();
            Transaction deleter = writer.Engine.Transactions.Begin();
            using (Snapshot snapshot = deleter.TakeSnapshot())
            {
                Assert.Equal(ModifyOutcome.Ok, heap.Delete(deleter, tid, snapshot).Outcome);
            }

            deleter.Commit();
        }

        // A thousand entries of 16 bytes would not fit one leaf: the dead ones were marked and removed.
        Assert.Equal(1u, BtreeVerifier.Check(writer.Engine, unique.Index).LeafPages);
    }

    private static bool TryInsert(WriterOnStock writer, HeapTable heap, BtreeIndex unique, int key, bool abort)
    {
        Transaction tx = writer.Engine.Transactions.Begin();
        try
        {
            Tid tid = heap.Insert(tx, [Datum.FromInt32(key), Datum.FromInt32(Environment.CurrentManagedThreadId)]);
            unique.Insert(tx, [Datum.FromInt32(key)], tid, UniqueCheck.Yes, heap);
        }
        catch (PgException e)
        {
            Assert.Equal("23505", e.SqlState);
            tx.Abort();
            return false;
        }

        if (abort)
        {
            tx.Abort();
            return false;
        }

        tx.Commit();
        return true;
    }

    private static StockPostgres Prepare(out RelFileNode table, out RelFileNode index)
    {
        StockPostgres server = StockPostgres.Create(["autovacuum = off"]).Start();
        server.PsqlFile("CREATE EXTENSION amcheck; CREATE TABLE u (k int, v int); CREATE UNIQUE INDEX u_k ON u (k);");
        table = WriterOnStock.NodeOf(server, "u");
        index = WriterOnStock.NodeOf(server, "u_k");
        server.Stop();
        return server;
    }

    private static (HeapTable Heap, BtreeIndex Index) Open(WriterOnStock writer, RelFileNode table, RelFileNode index)
    {
        IndexColumn k = BtreeScanTests.Column("k", 23, 4, true, 4, new Oid(1976), 0);
        IndexColumn v = k with { Attribute = k.Attribute with { Name = "v" } };
        IndexInfo info = BtreeScanTests.Info("u_k", [k]);
        info = info with { Relation = info.Relation with { Node = index, FillFactor = 90 }, IsUnique = true };
        var relation = new Relation
        {
            Id = table.Relation,
            Name = "u",
            Node = table,
            Kind = 'r',
            Desc = new TupleDesc([k.Attribute, v.Attribute]),
        };
        return (new HeapTable(writer.Engine, relation), new BtreeIndex(writer.Engine, info));
    }
}
