using System.Collections.Concurrent;
using System.Globalization;
using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Transactions;

namespace SharedStorage.Unit.Btree;

/// <summary>
/// Indexes that we write, judged by stock PostgreSQL: it recovers our log after a crash, and amcheck compares each index with its table and its own structure.
/// </summary>
public sealed class BtreeWritingTests
{
    private const string Table = """
        CREATE EXTENSION amcheck;
        CREATE TABLE t (a int, b text COLLATE "C", c int);
        INSERT INTO t SELECT (i * 7919) % 20011, 'key ' || (i % 700) || repeat('x', i % 50), i % 5 FROM generate_series(1, 30000) i;
        CREATE INDEX i_a ON t (a);
        CREATE INDEX i_ab ON t (b, a DESC);
        CREATE INDEX i_c ON t (c);
        CREATE INDEX i_ca ON t (c, a) WITH (deduplicate_items = off);
        CREATE INDEX i_inc ON t (a) INCLUDE (b);
        """;

    private sealed record Row(Tid Tid, int A, string B, int C);

    private static readonly string[] Names = ["i_a", "i_ab", "i_c", "i_ca", "i_inc"];

    [SkippableFact]
    public void An_index_that_was_built_passes_amcheck()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = Prepare(out List<Row> rows, out Dictionary<string, RelFileNode> nodes);
        using (var writer = new WriterOnStock(server))
        {
            foreach (string name in Names)
            {
                Transaction tx = writer.Engine.Transactions.Begin();
                BtreeIndex index = Open(writer, name, nodes[name]);
                index.Build(tx, rows.Select(r => (Values(name, r), r.Tid)), unique: false, name);
                tx.Commit();
                Assert.Equal(rows.Count, Count(index));
            }

            writer.Crash();
        }

        Judge(server);
    }

    [SkippableTheory]
    [InlineData(1, false)]
    [InlineData(1, true)]
    [InlineData(6, true)]
    public void Entries_that_many_threads_inserted_pass_amcheck(int threads, bool shuffled)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = Prepare(out List<Row> rows, out Dictionary<string, RelFileNode> nodes);
        if (shuffled)
        {
            new Random(42).Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(rows));
        }

        using (var writer = new WriterOnStock(server))
        {
            foreach (string name in Names)
            {
                Transaction tx = writer.Engine.Transactions.Begin();
                BtreeIndex index = Open(writer, name, nodes[name]);
                index.Build(tx, [], unique: false, name);
                tx.Commit();
                InParallel(threads, part =>
                {
                    Transaction own = writer.Engine.Transactions.Begin();
                    for (int i = part; i < rows.Count; i += threads)
                    {
                        Assert.True(index.Insert(own, Values(name, rows[i]), rows[i].Tid, UniqueCheck.No, null!));
                        if (i % 1000 == part)
                        {
                            CheckOrder(index, rows[i], name);
                        }
                    }

                    own.Commit();
                });
                Assert.Equal(rows.Count, Count(index));
            }

            writer.Crash();
        }

        Judge(server);
    }

    internal static void InParallel(int threads, Action<int> work)
    {
        var failures = new ConcurrentQueue<Exception>();
        Thread[] all = [.. Enumerable.Range(0, threads).Select(part => new Thread(() =>
        {
            try
            {
                work(part);
            }
            catch (Exception e)
            {
                failures.Enqueue(e);
            }
        }))];
        foreach (Thread t in all)
        {
            t.Start();
        }

        foreach (Thread t in all)
        {
            t.Join();
        }

        Assert.True(failures.IsEmpty, failures.FirstOrDefault()?.ToString());
    }

    /// <summary>A scan beside writers sees keys in order and what was inserted before.</summary>
    private static void CheckOrder(BtreeIndex index, Row row, string name)
    {
        if (name != "i_a")
        {
            return;
        }

        using BtreeScan scan = index.Scan([new BtreeScanKey(0, BtreeStrategy.GreaterOrEqual, Datum.FromInt32(row.A))]);
        var values = new Datum[1];
        Tid previous = Tid.Invalid;
        int key = row.A;
        bool found = false;
        for (int i = 0; i < 200 && scan.Next(); i++)
        {
            scan.GetValues(values);
            Assert.True(values[0].Int32 > key || (values[0].Int32 == key && (!previous.IsValid || previous.CompareTo(scan.Tid) < 0)));
            key = values[0].Int32;
            previous = scan.Tid;
            found |= scan.Tid == row.Tid;
        }

        Assert.True(found);
    }

    private static int Count(BtreeIndex index)
    {
        int forward = 0;
        using (BtreeScan scan = index.Scan([]))
        {
            while (scan.Next())
            {
                forward++;
            }
        }

        int backward = 0;
        using (BtreeScan scan = index.Scan([], backward: true))
        {
            while (scan.Next())
            {
                backward++;
            }
        }

        Assert.Equal(forward, backward);
        return forward;
    }

    private static Datum[] Values(string name, Row r) => name switch
    {
        "i_a" => [Datum.FromInt32(r.A)],
        "i_ab" => [Datum.FromText(r.B), Datum.FromInt32(r.A)],
        "i_c" => [Datum.FromInt32(r.C)],
        "i_ca" => [Datum.FromInt32(r.C), Datum.FromInt32(r.A)],
        _ => [Datum.FromInt32(r.A), Datum.FromText(r.B)],
    };

    private static BtreeIndex Open(WriterOnStock writer, string name, RelFileNode node)
    {
        IndexColumn a = BtreeScanTests.Column("a", 23, 4, true, 4, new Oid(1976), 0);
        IndexColumn b = BtreeScanTests.Column("b", 25, -1, false, 4, new Oid(1994), 950);
        IndexColumn c = a with { Attribute = a.Attribute with { Name = "c" } };
        IndexColumn[] columns = name switch
        {
            "i_a" => [a],
            "i_ab" => [b, a with { Descending = true, NullsFirst = true }],
            "i_c" => [c],
            "i_ca" => [c, a],
            _ => [a, b],
        };
        IndexInfo info = BtreeScanTests.Info(name, columns, name == "i_inc" ? 1 : null);
        return new BtreeIndex(writer.Engine, info with
        {
            Relation = info.Relation with { Node = node, FillFactor = 90 },
            DeduplicateItems = name != "i_ca",
        });
    }

    private static StockPostgres Prepare(out List<Row> rows, out Dictionary<string, RelFileNode> nodes)
    {
        StockPostgres server = StockPostgres.Create(["autovacuum = off", "max_wal_size = 4GB"]).Start();
        server.PsqlFile(Table);
        rows = [.. server.Psql("SELECT (ctid::text::point)[0]::int, (ctid::text::point)[1]::int, a, b, c FROM t").Split('\n').Select(Parse)];
        nodes = Names.ToDictionary(n => n, n => WriterOnStock.NodeOf(server, n));
        List<string> files = [.. Names.Select(n => Path.Combine(server.DataDirectory, server.Psql($"SELECT pg_relation_filepath('{n}')")))];
        server.Stop();
        foreach (string file in files)
        {
            using FileStream stream = File.OpenWrite(file);
            stream.SetLength(0);
        }

        return server;
    }

    private static Row Parse(string line)
    {
        string[] f = line.Split('|');
        return new Row(
            new Tid(new BlockNumber(uint.Parse(f[0], CultureInfo.InvariantCulture)), ushort.Parse(f[1], CultureInfo.InvariantCulture)),
            int.Parse(f[2], CultureInfo.InvariantCulture), f[3], int.Parse(f[4], CultureInfo.InvariantCulture));
    }

    private static void Judge(StockPostgres server)
    {
        foreach (string name in Names)
        {
            server.Psql($"SELECT bt_index_parent_check('{name}', heapallindexed => true, rootdescend => true)");
        }

        server.Psql("SET enable_seqscan = off; SELECT count(*) FROM t WHERE a >= 0");
        server.Psql("INSERT INTO t SELECT i, 'new ' || i, 1 FROM generate_series(1, 2000) i");
        foreach (string name in Names)
        {
            server.Psql($"SELECT bt_index_parent_check('{name}', heapallindexed => true, rootdescend => true)");
        }
    }
}
