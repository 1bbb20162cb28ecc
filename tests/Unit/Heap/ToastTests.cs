using System.Globalization;
using SharedStorage.Access;
using SharedStorage.Access.Heap;
using SharedStorage.Catalog;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Transactions;

namespace SharedStorage.Unit.Heap;

/// <summary>Values in TOAST tables, both ways between stock PostgreSQL and us.</summary>
public sealed class ToastTests
{
    private static readonly HashSet<int> NoColumns = [];

    private static readonly TupleDesc Desc = new(
    [
        new TupleAttribute { Name = "a", TypeId = new Oid(23), Length = 4, ByValue = true, Alignment = 4 },
        new TupleAttribute { Name = "x", TypeId = new Oid(25), Length = -1, ByValue = false, Alignment = 4, Storage = 'x' },
        new TupleAttribute { Name = "e", TypeId = new Oid(25), Length = -1, ByValue = false, Alignment = 4, Storage = 'e' },
        new TupleAttribute { Name = "m", TypeId = new Oid(25), Length = -1, ByValue = false, Alignment = 4, Storage = 'm' },
    ]);

    [SkippableFact]
    public void Long_values_are_read_stored_changed_and_deleted()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = StockPostgres.Create(["wal_keep_size = 1GB", "autovacuum = off"]);
        server.Start();
        server.PsqlFile("""
            CREATE TABLE t (a int, x text, e text, m text);
            ALTER TABLE t ALTER e SET STORAGE EXTERNAL, ALTER m SET STORAGE MAIN;
            CREATE FUNCTION long(i int, n int) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(md5(i || '.' || g), '') FROM generate_series(1, n) g $$;
            INSERT INTO t SELECT i, long(i, i * 20), long(i, i * 10), repeat('m', i * 100) FROM generate_series(1, 20) i;
            CREATE EXTENSION amcheck;
            """);
        Oid database = HeapWriter.DatabaseOf(server);
        uint file = HeapWriter.FileOf(server, "t");
        uint toastId = uint.Parse(server.Psql("SELECT reltoastrelid::int8 FROM pg_class WHERE relname = 't'"), CultureInfo.InvariantCulture);
        uint indexId = uint.Parse(server.Psql($"SELECT indexrelid::int8 FROM pg_index WHERE indrelid = {toastId}"), CultureInfo.InvariantCulture);
        string expectedByStock = server.Psql(Digest);
        string[] values = server.Psql("SELECT x FROM t ORDER BY a").Split('\n');
        server.Stop();

        using var writer = new HeapWriter(server, database);
        Relation toast = writer.Table(toastId, ToastTables.Desc, kind: 't').Relation;
        Relation index = writer.Table(indexId, ToastTables.IndexDesc, kind: 'i').Relation;
        HeapTable table = writer.Table(file, Desc, toast: toast, toastIndex: ToastTables.Index(index, toast.Id));
        var rows = Read(writer, table);
        Assert.Equal(values, rows.Select(r => r.Values[1].AsText()));

        Transaction tx = writer.Engine.Transactions.Begin();
        using (Snapshot snapshot = tx.TakeSnapshot())
        {
            foreach ((Tid tid, Datum[] row) in rows)
            {
                int a = row[0].Int32;
                if (a % 4 == 0)
                {
                    Assert.Equal(ModifyOutcome.Ok, table.Delete(tx, tid, snapshot).Outcome);
                }
                else if (a % 4 == 1)
                {
                    row[2] = Datum.FromText(row[2].AsText() + "changed");
                    Assert.Equal(ModifyOutcome.Ok, table.Update(tx, tid, row, snapshot, NoColumns, NoColumns, out _).Outcome);
                }
            }

            for (int a = 101; a <= 110; a++)
            {
                table.Insert(tx, [Datum.FromInt32(a), Datum.FromText(Noise(a, a * 100)), Datum.FromText(Noise(a, 5000)), Datum.FromText(new string('m', 9000))]);
            }
        }

        tx.Commit();
        writer.Crash();
        server.Psql("DELETE FROM t WHERE a > 110");
        Assert.Equal("25", server.Psql("SELECT count(*) FROM t"));
        Assert.Equal("5", server.Psql("SELECT count(*) FROM t WHERE e LIKE '%changed' AND left(e, -7) = long(a, a * 10)"));
        Assert.Equal("15", server.Psql("SELECT count(*) FROM t WHERE a <= 20 AND x = long(a, a * 20)"));
        Assert.Equal("10", server.Psql("SELECT count(*) FROM t WHERE a > 100 AND length(x) = a * 100 AND length(e) = 5000 AND m = repeat('m', 9000)"));
        Assert.Equal(Noise(105, 10500), server.Psql("SELECT x FROM t WHERE a = 105"));
        Assert.Equal("", server.Psql("SELECT * FROM verify_heapam('t', check_toast := true)"));
        Assert.Equal("", server.Psql($"SELECT bt_index_parent_check({indexId}, true)"));
        Assert.NotEqual(expectedByStock, server.Psql(Digest));
        server.PsqlFile("UPDATE t SET x = x || '!'; VACUUM FULL t;");
        Assert.Equal("25", server.Psql("SELECT count(*) FROM t WHERE x LIKE '%!'"));
    }

    private const string Digest = "SELECT md5(string_agg(a || x || e || m, ',' ORDER BY a)) FROM t";

    private static string Noise(int seed, int length)
    {
        var random = new Random(seed);
        return string.Create(length, random, (span, r) =>
        {
            for (int i = 0; i < span.Length; i++)
            {
                span[i] = (char)('a' + r.Next(26));
            }
        });
    }

    private static List<(Tid Tid, Datum[] Values)> Read(HeapWriter writer, HeapTable table)
    {
        Transaction tx = writer.Engine.Transactions.Begin(readOnly: true);
        var rows = new List<(Tid, Datum[])>();
        using (Snapshot snapshot = tx.TakeSnapshot())
        {
            using HeapScan scan = table.Scan(snapshot);
            var values = new Datum[Desc.Count];
            while (scan.Next(values))
            {
                rows.Add((scan.Tid, (Datum[])values.Clone()));
            }
        }

        tx.Commit();
        return [.. rows.OrderBy(r => r.Item2[0].Int32)];
    }
}
