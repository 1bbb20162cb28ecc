using System.Globalization;
using SharedStorage.Access.Heap;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Transactions;

namespace SharedStorage.Unit.Heap;

/// <summary>VACUUM of a heap without indexes, checked by stock PostgreSQL's amcheck and pg_visibility after it recovered from our log.</summary>
public sealed class HeapVacuumTests
{
    private static readonly HashSet<int> NoColumns = [];

    private static readonly TupleDesc IntText = new(
    [
        new TupleAttribute { Name = "a", TypeId = new Oid(23), Length = 4, ByValue = true, Alignment = 4 },
        new TupleAttribute { Name = "b", TypeId = new Oid(25), Length = -1, ByValue = false, Alignment = 4, Storage = 'x' },
    ]);

    [SkippableFact]
    public void Vacuum_frees_what_is_dead_freezes_the_rest_and_cuts_the_tail()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = StockPostgres.Create(["wal_keep_size = 1GB", "autovacuum = off"]);
        server.Start();
        server.Psql("CREATE TABLE t (a int, b text); INSERT INTO t SELECT i, repeat('s', i % 80) FROM generate_series(1, 3000) i; CREATE EXTENSION amcheck; CREATE EXTENSION pg_visibility");
        Oid database = HeapWriter.DatabaseOf(server);
        uint file = HeapWriter.FileOf(server, "t");
        string[] old = server.Psql("SELECT relfrozenxid || ' ' || relminmxid FROM pg_class WHERE relname = 't'").Split(' ');
        server.Stop();
        using var writer = new HeapWriter(server, database);
        HeapTable table = writer.Table(file, IntText);
        Change(writer, table, (a, tx, tid, s) =>
        {
            if (a % 3 == 1 && a < 1500)
            {
                table.Update(tx, tid, [Datum.FromInt32(a), Datum.FromText("new")], s, NoColumns, NoColumns, out _);
            }
        });
        Fill(writer, table, 5000, 3000);
        Change(writer, table, (a, tx, tid, s) =>
        {
            if (a > 1500 || a % 3 == 0)
            {
                Assert.Equal(ModifyOutcome.Ok, table.Delete(tx, tid, s).Outcome);
            }
        });
        uint before = Blocks(writer, table);
        var start = new HeapVacuumStart(
            new Xid(uint.Parse(old[0], CultureInfo.InvariantCulture)), new MultiXactId(uint.Parse(old[1], CultureInfo.InvariantCulture)), before, 3000);
        Xid horizon = writer.Engine.Transactions.XidHorizon;
        HeapVacuumResult result = Vacuum(writer, table, start, new HeapVacuumOptions { Freeze = true });

        Assert.Equal(1000, result.Tuples);
        Assert.True(result.Pages < before, $"{result.Pages} of {before}");
        Assert.Equal(result.Pages, Blocks(writer, table));
        Assert.Equal(result.Pages, result.AllVisible);
        Assert.Equal(horizon, result.RelFrozenXid);
        // Scans may have pruned the 500 replaced versions before.
        Assert.InRange(result.TuplesRemoved, 5000, 5500);

        // Freed room is found again, and a page that changes is not all-visible any more.
        Fill(writer, table, 10000, 100);
        Assert.Equal(result.Pages, Blocks(writer, table));
        Change(writer, table, (a, t, tid, s) =>
        {
            if (a == 1)
            {
                table.Lock(t, ref tid, s, RowLockMode.KeyShare, LockWait.Wait, followUpdates: true);
            }
        });
        writer.Crash();
        Assert.Equal("1100", server.Psql("SELECT count(*) FROM t"));
        Assert.Equal("", server.Psql("SELECT * FROM verify_heapam('t')"));
        Assert.Equal("", server.Psql("SELECT * FROM pg_check_visible('t')"));
        Assert.Equal("", server.Psql("SELECT * FROM pg_check_frozen('t')"));
        Assert.NotEqual("0", server.Psql("SELECT all_frozen FROM pg_visibility_map_summary('t')"));
        server.PsqlFile("VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) t;");
    }

    [SkippableFact]
    public void Vacuum_keeps_what_a_snapshot_sees()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = StockPostgres.Create(["wal_keep_size = 1GB", "autovacuum = off"]);
        server.Start();
        server.Psql("CREATE TABLE t (a int, b text); INSERT INTO t SELECT i, 'x' FROM generate_series(1, 1000) i");
        Oid database = HeapWriter.DatabaseOf(server);
        uint file = HeapWriter.FileOf(server, "t");
        server.Stop();
        using var writer = new HeapWriter(server, database);
        HeapTable table = writer.Table(file, IntText);
        var start = new HeapVacuumStart(Xid.FirstNormal, MultiXactId.First, 0, -1);
        Transaction reader = writer.Engine.Transactions.Begin(readOnly: true);
        using Snapshot old = reader.TakeSnapshot();
        Change(writer, table, (_, tx, tid, s) => table.Delete(tx, tid, s));
        HeapVacuumResult first = Vacuum(writer, table, start, new HeapVacuumOptions());
        Assert.Equal(1000, first.RecentlyDead);
        Assert.Equal(0, first.TuplesRemoved);
        Assert.Equal(1000, Count(table, old));
        old.Dispose();
        reader.Commit();
        HeapVacuumResult second = Vacuum(writer, table, start, new HeapVacuumOptions());
        Assert.Equal(1000, second.TuplesRemoved);
        Assert.Equal(0u, second.Pages);
    }

    private static HeapVacuumResult Vacuum(HeapWriter writer, HeapTable table, HeapVacuumStart start, HeapVacuumOptions options)
    {
        Transaction tx = writer.Engine.Transactions.Begin();
        HeapVacuumResult result = new HeapVacuum(writer.Engine, table.Relation, [], start, options).Run(tx);
        tx.Commit();
        return result;
    }

    private static void Fill(HeapWriter writer, HeapTable table, int first, int count)
    {
        Transaction tx = writer.Engine.Transactions.Begin();
        for (int i = 0; i < count; i++)
        {
            table.Insert(tx, [Datum.FromInt32(first + i), Datum.FromText("again")]);
        }

        tx.Commit();
    }

    private static uint Blocks(HeapWriter writer, HeapTable table) => writer.Engine.Buffers.BlockCount(table.Relation.Node, ForkNumber.Main);

    private static int Count(HeapTable table, Snapshot snapshot)
    {
        int count = 0;
        using HeapScan scan = table.Scan(snapshot);
        while (scan.MoveNext())
        {
            count++;
        }

        return count;
    }

    private static void Change(HeapWriter writer, HeapTable table, Action<int, Transaction, Tid, Snapshot> change)
    {
        Transaction tx = writer.Engine.Transactions.Begin();
        using (Snapshot snapshot = tx.TakeSnapshot())
        {
            var values = new Datum[2];
            using HeapScan scan = table.Scan(snapshot);
            while (scan.Next(values))
            {
                change(values[0].Int32, tx, scan.Tid, snapshot);
            }
        }

        tx.Commit();
    }
}
