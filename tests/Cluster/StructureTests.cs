using System.Globalization;
using Npgsql;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>Index scans of readers and of the writer beside vacuum, splits and page deletion (R9): each equals the sequential scan of the same snapshot.</summary>
public sealed class StructureTests
{
    private const string IndexOnly = "SELECT count(*) || ' ' || coalesce(sum(k), 0) FROM rows WHERE k >= 0";
    private const string Rows = "SELECT count(*) || ' ' || coalesce(sum(k), 0) FROM rows WHERE k + length(v) >= 0";
    private const string Backward = "SELECT k FROM rows WHERE k >= 0 ORDER BY k DESC";

    [SkippableTheory]
    [InlineData("reader")]
    [InlineData("writer")]
    public void An_index_only_scan_visits_the_rows_of_a_leaf_that_vacuum_changed_before_the_visibility_map_was_looked_at(string where)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            var pause = new Pause(cluster, "btree.index-only.before-visibility-map");
            Start(cluster, where, pause);
            ClusterNode node = where == "writer" ? cluster.Writer : cluster.Nodes[1];
            Run(cluster, "INSERT INTO rows SELECT i, 'x' FROM generate_series(1, 2000) i", "ANALYZE rows", "DELETE FROM rows WHERE k % 3 = 0");
            CatchUp(cluster);
            using NpgsqlConnection connection = Open(node);
            Command(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ; SET enable_seqscan = off");
            Assert.Contains("Index Only Scan using rows_pkey on rows", All(connection, "EXPLAIN " + IndexOnly), StringComparison.Ordinal);
            Task<string> scan = Task.Run(() => Scalar(connection, IndexOnly));
            pause.WaitUntilReached();

            // The leaf that the scan has read holds entries of deleted rows. Now they go, and their pages become all-visible.
            cluster.Writer.Psql("VACUUM rows");
            CatchUp(cluster);
            pause.LetGo();
            string rows = scan.GetAwaiter().GetResult();
            Command(connection, "SET enable_seqscan = on");
            Assert.Contains("Seq Scan on rows", All(connection, "EXPLAIN " + Rows), StringComparison.Ordinal);
            Assert.Equal(Scalar(connection, Rows), rows);
            Assert.Equal("1334 1334667", rows);
            Command(connection, "COMMIT");
            cluster.StopAll();
        }, null, "autovacuum = off");
    }

    [SkippableTheory]
    [InlineData(10)]
    [InlineData(25)]
    public void A_backward_scan_sees_all_rows_when_its_left_neighbours_are_split_before_it_goes_there(int leaf)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            var pause = new Pause(cluster, "btree.backward.before-left", leaf);
            Start(cluster, "reader", pause);

            // Even keys, so that odd ones can split every leaf.
            Run(cluster, "INSERT INTO rows SELECT 2 * i, 'x' FROM generate_series(1, 15000) i", "VACUUM ANALYZE rows");
            string before = cluster.Writer.Psql("SELECT relpages FROM pg_class WHERE relname = 'rows_pkey'");
            CheckBackward(cluster, pause, 15_000, () =>
            {
                Run(cluster, "INSERT INTO rows SELECT 2 * i - 1, 'y' FROM generate_series(1, 15000) i", "VACUUM ANALYZE rows");
                Assert.NotEqual(before, cluster.Writer.Psql("SELECT relpages FROM pg_class WHERE relname = 'rows_pkey'"));
            });
            cluster.StopAll();
        }, null, "autovacuum = off");
    }

    [SkippableTheory]
    [InlineData(10)]
    [InlineData(25)]
    public void A_backward_scan_sees_all_rows_when_its_leaf_and_its_left_neighbours_are_deleted_before_it_goes_there(int leaf)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            var pause = new Pause(cluster, "btree.backward.before-left", leaf);
            Start(cluster, "reader", pause);

            // Rows that are gone for the reader's snapshot already, so that vacuum may delete their leaves; one row in 5,000 stays.
            Run(cluster, "INSERT INTO rows SELECT i, 'x' FROM generate_series(1, 20000) i", "VACUUM ANALYZE rows", "DELETE FROM rows WHERE k % 5000 <> 7");
            CheckBackward(cluster, pause, 4, () =>
            {
                string said = cluster.Writer.TryPsql("VACUUM (VERBOSE) rows").Error;
                Assert.Contains("index scans: 1", said, StringComparison.Ordinal);

                // New rows split what is left, and rows of old places have other keys by now.
                cluster.Writer.Psql("INSERT INTO rows SELECT i, 'z' FROM generate_series(1, 20000) i WHERE i % 5000 <> 7");
            });
            cluster.StopAll();
        }, null, "autovacuum = off");
    }

    [SkippableFact]
    public void Index_only_backward_and_sequential_scans_of_one_snapshot_agree_beside_inserts_deletes_and_vacuum()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            CreateTable(cluster);
            Run(cluster, "INSERT INTO rows SELECT i * 10, 'x' FROM generate_series(1, 3000) i", "VACUUM ANALYZE rows");
            CatchUp(cluster);
            using var end = new CancellationTokenSource();
            Task[] load = [Task.Run(() => Churn(cluster.Writer, end.Token)), Task.Run(() => VacuumAgainAndAgain(cluster.Writer, end.Token))];
            int[] rounds = new int[2];
            Task[] readers = [.. Enumerable.Range(0, 2).Select(i => Task.Run(() => rounds[i] = Compare(cluster.Nodes[1], i, 60)))];
            Task.WaitAll(readers);
            end.Cancel();
            Task.WaitAll(load);
            Assert.All(rounds, r => Assert.Equal(60, r));
            Assert.Equal(cluster.Writer.Psql(Rows), cluster.Writer.Psql("SET enable_seqscan = off; " + IndexOnly));
            cluster.StopAll();
            cluster.Judge(clean: true);
        }, null, "autovacuum = off");
    }

    /// <summary>Holds a backward scan of the reader at the pause, changes the tree, and compares the scan's rows with those of a sequential scan of its snapshot.</summary>
    private static void CheckBackward(ClusterFixture cluster, Pause pause, int expected, Action change)
    {
        CatchUp(cluster);
        using NpgsqlConnection connection = Open(cluster.Nodes[1]);
        Command(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ");
        Command(connection, "SET enable_seqscan = off");
        Assert.Contains("Scan Backward using rows_pkey on rows", All(connection, "EXPLAIN " + Backward), StringComparison.Ordinal);
        Task<string> scan = Task.Run(() => All(connection, Backward));
        pause.WaitUntilReached();
        try
        {
            change();
            CatchUp(cluster);
        }
        finally
        {
            // The connection cannot be closed before.
            pause.LetGo();
        }

        string rows = scan.GetAwaiter().GetResult();
        Command(connection, "SET enable_seqscan = on; SET enable_indexscan = off");
        string wanted = All(connection, "SELECT k FROM rows WHERE k + length(v) >= 0 ORDER BY k DESC");
        Assert.Equal(expected, wanted.Split(',').Length);
        Assert.True(wanted == rows, $"{rows.Split(',').Length} rows of {expected}");
        Command(connection, "COMMIT");
    }

    private static void Churn(ClusterNode writer, CancellationToken end)
    {
        using NpgsqlConnection connection = Open(writer);
        var random = new Random(7);
        while (!end.IsCancellationRequested)
        {
            int at = random.Next(30_000);
            Command(connection, string.Create(CultureInfo.InvariantCulture, $"DELETE FROM rows WHERE k BETWEEN {at} AND {at + 900}"));
            Command(connection, string.Create(CultureInfo.InvariantCulture, $"INSERT INTO rows SELECT i, 'y' FROM generate_series({at}, {at + random.Next(900)}, {random.Next(1, 9)}) i WHERE NOT EXISTS (SELECT 1 FROM rows WHERE k = i)"));
        }
    }

    private static void VacuumAgainAndAgain(ClusterNode writer, CancellationToken end)
    {
        using NpgsqlConnection connection = Open(writer);
        while (!end.IsCancellationRequested)
        {
            Command(connection, "VACUUM rows");
        }
    }

    private static int Compare(ClusterNode node, int seed, int rounds)
    {
        using NpgsqlConnection connection = Open(node);
        var random = new Random(seed);
        for (int i = 0; i < rounds; i++)
        {
            int from = random.Next(20_000), to = from + random.Next(15_000);
            string range = string.Create(CultureInfo.InvariantCulture, $"k BETWEEN {from} AND {to}");
            Command(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ");
            Command(connection, "SET enable_seqscan = off");
            string only = Scalar(connection, $"SELECT count(*) || ' ' || coalesce(sum(k), 0) FROM rows WHERE {range}");
            string backward = All(connection, $"SELECT k FROM rows WHERE {range} ORDER BY k DESC");
            string visited = Scalar(connection, $"SELECT count(*) || ' ' || coalesce(sum(k), 0) || ' ' || coalesce(sum(length(v)), 0) FROM rows WHERE {range}");
            Command(connection, "SET enable_seqscan = on; SET enable_indexscan = off");
            string wanted = Scalar(connection, $"SELECT count(*) || ' ' || coalesce(sum(k), 0) || ' ' || coalesce(sum(length(v)), 0) FROM rows WHERE {range}");
            string wantedList = All(connection, $"SELECT k FROM rows WHERE {range} ORDER BY k DESC");
            Command(connection, "SET enable_indexscan = on; COMMIT");
            Assert.Equal(wanted, visited);
            Assert.Equal(wanted[..wanted.LastIndexOf(' ')], only);
            Assert.Equal(wantedList, backward);
        }

        return rounds;
    }

    /// <summary>Starts the cluster with a fault point at one of its nodes.</summary>
    private static void Start(ClusterFixture cluster, string where, Pause pause)
    {
        ClusterNode writer = cluster.Writer, reader = cluster.Nodes[1];
        writer.Start("writer", where == "writer" ? pause.Settings : []);
        reader.Start("reader", where == "reader" ? pause.Settings : []);
        CreateTable(cluster);
    }

    private static void CreateTable(ClusterFixture cluster) => cluster.Writer.Psql("CREATE TABLE rows (k int PRIMARY KEY, v text)");

    private static void Run(ClusterFixture cluster, params string[] statements) => Array.ForEach(statements, s => cluster.Writer.Psql(s));

    private static void CatchUp(ClusterFixture cluster) => cluster.Nodes[1].CatchUpWith(cluster.Writer);

    /// <summary>A fault point that holds who comes to it until it is let go.</summary>
    private sealed class Pause(ClusterFixture cluster, string point, int time = 0)
    {
        private readonly string _path = Path.Combine(cluster.Nodes[^1].LocalDirectory, "pause");

        public string[] Settings => ["--sharedstorage.fault_points", string.Create(CultureInfo.InvariantCulture, $"{point}=wait:{_path}{(time > 0 ? "@" : "")}{(time > 0 ? time : null)}")];

        public void WaitUntilReached() => ClusterNode.Await($"{point} to be reached", () => File.Exists(_path + ".reached"));

        public void LetGo() => File.WriteAllText(_path, "");
    }

    private static NpgsqlConnection Open(ClusterNode node)
    {
        var connection = new NpgsqlConnection($"Host=127.0.0.1;Port={node.Port};Username=postgres;Database=postgres;Pooling=false;Command Timeout=300;Server Compatibility Mode=NoTypeLoading");
        connection.Open();
        return connection;
    }

    private static void Command(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        command.ExecuteNonQuery();
    }

    private static string Scalar(NpgsqlConnection connection, string sql) => All(connection, sql);

    /// <summary>All rows of a query with one column.</summary>
    private static string All(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        using NpgsqlDataReader rows = command.ExecuteReader();
        var all = new List<string>();
        while (rows.Read())
        {
            all.Add(Convert.ToString(rows.GetValue(0), CultureInfo.InvariantCulture)!);
        }

        return string.Join(',', all);
    }
}
