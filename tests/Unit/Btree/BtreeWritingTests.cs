using System.Collections.Concurrent;
using System.Globalization;
using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Access.Btree.Checks;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Transactions;

namespace SharedStorage.Unit.Btree;

/// <summary>
/// Indexes that we write, judged by stock PostgreSQL: it recovers our log after a crash, and amcheck compares each index with its table and its own structure.
/// </summary>
[Collection(nameof(BtreeWritingTests))]
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

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void Vacuum_beside_inserts_and_scans_leaves_what_amcheck_accepts(bool concurrent)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = Prepare(out List<Row> rows, out Dictionary<string, RelFileNode> nodes, "DELETE FROM t WHERE a BETWEEN 3000 AND 16000 OR c = 3");
        HashSet<Tid> dead = [.. rows.Where(r => r.A is >= 3000 and <= 16000 || r.C == 3).Select(r => r.Tid)];
        List<Row> early = [.. rows.Where((r, i) => dead.Contains(r.Tid) || i % 2 == 0)];
        List<Row> late = [.. rows.Where((r, i) => !dead.Contains(r.Tid) && i % 2 == 1)];
        using (var writer = new WriterOnStock(server))
        {
            foreach (string name in Names)
            {
                Transaction tx = writer.Engine.Transactions.Begin();
                BtreeIndex index = Open(writer, name, nodes[name]);
                index.Build(tx, early.Select(r => (Values(name, r), r.Tid)), unique: false, name);
                tx.Commit();
                int inserters = concurrent ? 3 : 1;
                BtreeVacuumStats stats = default;
                if (!concurrent)
                {
                    stats = Vacuum(writer, index, dead);
                }

                InParallel(inserters + (concurrent ? 1 : 0), part =>
                {
                    if (part == inserters)
                    {
                        stats = Vacuum(writer, index, dead);
                        return;
                    }

                    Transaction own = writer.Engine.Transactions.Begin();
                    for (int i = part; i < late.Count; i += inserters)
                    {
                        Assert.True(index.Insert(own, Values(name, late[i]), late[i].Tid, UniqueCheck.No, null!));
                        if (i % 500 == part)
                        {
                            CheckOrder(index, late[i], name);
                            Assert.InRange(Count(index, backward: i % 1000 == part), early.Count - dead.Count, rows.Count);
                        }
                    }

                    own.Commit();
                });
                Assert.Equal(rows.Count - dead.Count, Count(index));
                Assert.Equal(dead.Count, (int)stats.Removed);
                Assert.True(name == "i_ab" || name == "i_c" || stats.PagesDeleted > 0, $"{name}: {stats}");
                if (name == "i_a")
                {
                    CheckReuse(writer, index, stats);
                }
            }

            writer.Crash();
        }

        Judge(server);
    }

    private static BtreeVacuumStats Vacuum(WriterOnStock writer, BtreeIndex index, HashSet<Tid> dead)
    {
        Transaction own = writer.Engine.Transactions.Begin();
        BtreeVacuumStats stats = index.BulkDelete(own, dead.Contains);
        Assert.Equal(stats, index.VacuumCleanup(own));
        own.Commit();
        return stats;
    }

    /// <summary>Once all that ran at the deletion has ended, the next vacuum frees the pages and splits take them.</summary>
    private static void CheckReuse(WriterOnStock writer, BtreeIndex index, BtreeVacuumStats before)
    {
        for (int i = 0; i < 3; i++)
        {
            Transaction tx = writer.Engine.Transactions.Begin();
            _ = tx.Xid;
            tx.Commit();
        }

        BtreeVacuumStats after = index.VacuumCleanup(writer.Engine.Transactions.Begin());
        Assert.True(after.PagesFree > 0, $"{before} {after}");
        uint blocks = after.Pages;
        Transaction own = writer.Engine.Transactions.Begin();
        for (int i = 0; i < 5000; i++)
        {
            index.Insert(own, [Datum.FromInt32(5_000_000 + i)], new Tid(new BlockNumber(100_000 + ((uint)i / 100)), (ushort)((i % 100) + 1)), UniqueCheck.No, null!);
        }

        own.Commit();
        Assert.Equal(blocks, index.VacuumCleanup(own).Pages);
        index.BulkDelete(own, t => t.Block.Value >= 100_000);
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
        int forward = Count(index, backward: false);
        Assert.Equal(forward, Count(index, backward: true));
        BtreeReport report = BtreeVerifier.Check(index.Engine, index.Index);
        Assert.True(report.IsSound, string.Join('\n', report.Problems));
        Assert.Equal(forward, report.Rows);
        return forward;
    }

    private static int Count(BtreeIndex index, bool backward)
    {
        var seen = new HashSet<Tid>();
        using BtreeScan scan = index.Scan([], backward);
        while (scan.Next())
        {
            Assert.True(seen.Add(scan.Tid), $"{scan.Tid} came twice");
        }

        return seen.Count;
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

    private static StockPostgres Prepare(out List<Row> rows, out Dictionary<string, RelFileNode> nodes, string change = "SELECT 1")
    {
        StockPostgres server = StockPostgres.Create(["autovacuum = off", "max_wal_size = 4GB"]).Start();
        server.PsqlFile(Table);
        rows = [.. server.Psql("SELECT (ctid::text::point)[0]::int, (ctid::text::point)[1]::int, a, b, c FROM t").Split('\n').Select(Parse)];
        server.Psql(change);
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
