using System.Globalization;
using SharedStorage.Access.Heap;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Transactions;

namespace SharedStorage.Unit.Heap;

/// <summary>Row operations on a directory that stock PostgreSQL made; it recovers from our log afterwards and says what it finds.</summary>
public sealed class HeapTableTests
{
    private static readonly HashSet<int> NoColumns = [];
    private static readonly HashSet<int> FirstColumn = [1];

    private static readonly TupleDesc IntText = new(
    [
        new TupleAttribute { Name = "a", TypeId = new Oid(23), Length = 4, ByValue = true, Alignment = 4 },
        new TupleAttribute { Name = "b", TypeId = new Oid(25), Length = -1, ByValue = false, Alignment = 4, Storage = 'x' },
    ]);

    [SkippableFact]
    public void Rows_that_we_change_are_what_PostgreSQL_recovers()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = StockPostgres.Create(["wal_keep_size = 1GB", "autovacuum = off"]);
        server.Start();
        server.Psql("CREATE TABLE t (a int, b text); INSERT INTO t SELECT i, 'stock ' || i FROM generate_series(1, 500) i; CREATE EXTENSION amcheck");
        server.Psql("VACUUM FREEZE t");
        Oid database = HeapWriter.DatabaseOf(server);
        uint file = HeapWriter.FileOf(server, "t");
        server.Stop();
        using var writer = new HeapWriter(server, database);
        HeapTable table = writer.Table(file, IntText);
        var expected = new SortedDictionary<int, string>();
        for (int i = 1; i <= 500; i++)
        {
            expected[i] = "stock " + i.ToString(CultureInfo.InvariantCulture);
        }

        Check(writer, table, expected);
        Change(writer, table, expected);
        Check(writer, table, expected);
        ChangeAndAbort(writer, table);
        Check(writer, table, expected);
        for (int round = 0; round < 5; round++)
        {
            UpdateAll(writer, table, expected);
        }

        Check(writer, table, expected);
        writer.Crash();
        string[] rows = server.Psql("SELECT a || '=' || b FROM t ORDER BY a, b").Split('\n');
        Assert.Equal(expected.Select(e => $"{e.Key}={e.Value}"), rows);
        Assert.Equal("", server.Psql("SELECT * FROM verify_heapam('t')"));
        server.PsqlFile("UPDATE t SET b = b || '!'; VACUUM FREEZE t;");
        Assert.Equal(expected.Count.ToString(CultureInfo.InvariantCulture), server.Psql("SELECT count(*) FROM t"));
    }

    private static void Change(HeapWriter writer, HeapTable table, SortedDictionary<int, string> expected)
    {
        Transaction tx = writer.Engine.Transactions.Begin();
        for (int i = 1000; i < 1300; i++)
        {
            string text = new('x', i % 150);
            table.Insert(tx, [Datum.FromInt32(i), Datum.FromText(text)]);
            expected[i] = text;
        }

        tx.NextCommand();
        using (Snapshot snapshot = tx.TakeSnapshot())
        {
            foreach ((Tid tid, int a) in Rows(table, snapshot))
            {
                if (a % 3 == 0)
                {
                    Assert.Equal(ModifyOutcome.Ok, table.Delete(tx, tid, snapshot).Outcome);
                    expected.Remove(a);
                }
                else if (a % 3 == 1)
                {
                    string text = "updated " + a.ToString(CultureInfo.InvariantCulture);
                    ModifyResult result = table.Update(tx, tid, [Datum.FromInt32(a), Datum.FromText(text)], snapshot, NoColumns, NoColumns, out _);
                    Assert.Equal(ModifyOutcome.Ok, result.Outcome);
                    expected[a] = text;
                }
            }
        }

        var many = Enumerable.Range(2000, 700).Select(i => new[] { Datum.FromInt32(i), Datum.FromText("many") }).ToList();
        var tids = new Tid[many.Count];
        table.InsertMany(tx, many, tids, HeapInsertOptions.None);
        Assert.Equal(tids.Length, tids.Distinct().Count());
        for (int i = 2000; i < 2700; i++)
        {
            expected[i] = "many";
        }

        tx.Commit();
    }

    private static void ChangeAndAbort(HeapWriter writer, HeapTable table)
    {
        Transaction tx = writer.Engine.Transactions.Begin();
        using Snapshot snapshot = tx.TakeSnapshot();
        table.Insert(tx, [Datum.FromInt32(-1), Datum.FromText("never")]);
        foreach ((Tid tid, int a) in Rows(table, snapshot).Take(50))
        {
            if (a % 2 == 0)
            {
                table.Delete(tx, tid, snapshot);
            }
            else
            {
                table.Update(tx, tid, [Datum.FromInt32(-a), Datum.FromText("never")], snapshot, FirstColumn, FirstColumn, out _);
            }
        }

        tx.Abort();
    }

    private static void UpdateAll(HeapWriter writer, HeapTable table, SortedDictionary<int, string> expected)
    {
        Transaction tx = writer.Engine.Transactions.Begin();
        using (Snapshot snapshot = tx.TakeSnapshot())
        {
            foreach ((Tid tid, int a) in Rows(table, snapshot))
            {
                string text = "round" + expected[a].Length.ToString(CultureInfo.InvariantCulture) + "." + (a % 7).ToString(CultureInfo.InvariantCulture);
                table.Update(tx, tid, [Datum.FromInt32(a), Datum.FromText(text)], snapshot, FirstColumn, FirstColumn, out _);
                expected[a] = text;
            }
        }

        tx.Commit();
    }

    private static List<(Tid Tid, int A)> Rows(HeapTable table, Snapshot snapshot)
    {
        var rows = new List<(Tid, int)>();
        var values = new Datum[2];
        using HeapScan scan = table.Scan(snapshot);
        while (scan.Next(values))
        {
            rows.Add((scan.Tid, values[0].Int32));
        }

        return rows;
    }

    private static void Check(HeapWriter writer, HeapTable table, SortedDictionary<int, string> expected)
    {
        var found = new SortedDictionary<int, string>();
        Transaction tx = writer.Engine.Transactions.Begin(readOnly: true);
        using (Snapshot snapshot = tx.TakeSnapshot())
        {
            var values = new Datum[2];
            using HeapScan scan = table.Scan(snapshot);
            while (scan.Next(values))
            {
                Assert.True(found.TryAdd(values[0].Int32, values[1].AsText()), $"{values[0].Int32} comes twice");
            }
        }

        tx.Commit();
        Assert.Equal(expected, found);
    }
}
