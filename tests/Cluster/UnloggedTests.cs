using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>Unlogged relations (R16): after a crash and after a promotion they are empty and usable, logged ones are intact, and stock PostgreSQL agrees.</summary>
public sealed class UnloggedTests
{
    private const string Make =
        "CREATE UNLOGGED TABLE {0} (id serial PRIMARY KEY, v text UNIQUE, w int); CREATE INDEX {0}_w ON {0} (w); "
        + "INSERT INTO {0} (v, w) SELECT md5(i::text) || repeat('x', 3000 * (i % 2)), i % 10 FROM generate_series(1, 400) i; "
        + "UPDATE {0} SET w = w + 1 WHERE id % 3 = 0; DELETE FROM {0} WHERE id % 7 = 0";

    [SkippableFact]
    public void After_a_crash_unlogged_tables_of_stock_PostgreSQL_and_ours_are_empty_and_usable_and_stock_PostgreSQL_agrees()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        string source = MadeByStock(out string before);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            ClusterNode writer = cluster.Writer;

            // Stopped cleanly by stock PostgreSQL: nothing is lost.
            Assert.Equal(before, writer.Psql(Sum("theirs")));
            writer.Psql(string.Format(System.Globalization.CultureInfo.InvariantCulture, Make, "ours"));
            writer.Psql("CREATE UNLOGGED SEQUENCE counted; SELECT nextval('counted'), nextval('counted'); INSERT INTO theirs (v, w) VALUES ('more', 1); INSERT INTO acknowledged VALUES (42)");
            writer.Psql("VACUUM theirs");
            writer.Psql("VACUUM ours");
            Assert.Equal(before, writer.Psql(Sum("ours")));
            Assert.Contains("cannot access temporary or unlogged relations during recovery", cluster.Nodes[1].TryPsql("SELECT * FROM ours").Error, StringComparison.Ordinal);
            writer.Kill();
            string copy = cluster.CopyData("judged");
            writer.Start("writer");
            foreach (string table in new[] { "theirs", "ours" })
            {
                Assert.Equal("0 0 0", writer.Psql(Sum(table)));
                writer.Psql($"INSERT INTO {table} (v, w) VALUES ('a', 1), ('b', 2)");
                Assert.Equal("1|a,2|b", Rows(writer.Psql, table));
                Assert.Contains("23505", writer.TryPsql($"INSERT INTO {table} (v) VALUES ('a')").Error, StringComparison.Ordinal);
            }

            Assert.Equal("1", writer.Psql("SELECT nextval('counted')"));
            Assert.Equal("42", writer.Psql("SELECT * FROM acknowledged"));
            cluster.StopAll();
            cluster.Judge(clean: true, stock =>
            {
                Assert.Equal("1|a,2|b", Rows(s => stock.Psql(s), "theirs"));
                Assert.Equal("1|a,2|b", Rows(s => stock.Psql(s), "ours"));
            });

            // Stock PostgreSQL's own recovery of the same crash.
            using StockPostgres recovered = StockPostgres.Adopt(copy);
            recovered.Start();
            Assert.Equal("0 0 0", recovered.Psql(Sum("theirs")));
            Assert.Equal("0 0 0", recovered.Psql(Sum("ours")));
            Assert.Equal("u|u|u|u|u|u|u", recovered.Psql("SELECT string_agg(relpersistence::text, '|') FROM pg_class WHERE relname LIKE 'ours%' OR relname = 'counted' OR oid = (SELECT reltoastrelid FROM pg_class WHERE relname = 'ours')"));
            recovered.Psql("INSERT INTO ours (v) VALUES ('a'); INSERT INTO theirs (v) VALUES ('a')");
            recovered.Stop();
        }, source, "autovacuum = off");
    }

    [SkippableFact]
    public void A_clean_stop_keeps_unlogged_tables_and_a_promotion_empties_them()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            ClusterNode reader = cluster.Nodes[1];
            cluster.Writer.Psql(string.Format(System.Globalization.CultureInfo.InvariantCulture, Make, "ours"));
            string before = cluster.Writer.Psql(Sum("ours"));
            cluster.StopAll();
            cluster.Judge(clean: true, stock => Assert.Equal(before, stock.Psql(Sum("ours"))));
            cluster.StartAll();
            Assert.Equal(before, cluster.Writer.Psql(Sum("ours")));
            cluster.Writer.Psql("TRUNCATE ours");
            cluster.Writer.Psql("INSERT INTO ours (v, w) VALUES ('kept', 3)");
            cluster.Writer.Psql("VACUUM FULL ours");
            reader.CatchUpWith(cluster.Writer);
            cluster.Writer.Kill();
            reader.Promote();
            Assert.Equal("0 0 0", reader.Psql(Sum("ours")));
            reader.Psql("INSERT INTO ours (v, w) VALUES ('after', 1)");
            Assert.Equal("after", reader.Psql("SELECT v FROM ours"));
            reader.Stop();
            cluster.Judge(clean: true, stock => Assert.Equal("after", stock.Psql("SELECT v FROM ours")));
        });
    }

    [SkippableFact]
    public void A_directory_with_unlogged_tables_that_stock_PostgreSQL_left_in_a_crash_is_taken_up()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres stock = StockPostgres.Create();
        stock.Start();
        stock.Psql("CREATE TABLE acknowledged (id bigint); CREATE TABLE kept (i int)");
        stock.Pgbench("-i", "-s", "1", "-q");
        stock.Psql("CHECKPOINT");
        stock.Psql(string.Format(System.Globalization.CultureInfo.InvariantCulture, Make, "theirs"));
        stock.Psql("INSERT INTO kept VALUES (5)");
        stock.Kill();
        ClusterFixture.Run(0, cluster =>
        {
            cluster.StartAll();
            Assert.Equal("0 0 0", cluster.Writer.Psql(Sum("theirs")));
            Assert.Equal("5", cluster.Writer.Psql("SELECT i FROM kept"));
            cluster.Writer.Psql("INSERT INTO theirs (v, w) VALUES ('a', 1)");
            cluster.StopAll();
            cluster.Judge(clean: true, s => Assert.Equal("a", s.Psql("SELECT v FROM theirs")));
        }, stock.DataDirectory);
    }

    private static string Sum(string table) => $"SELECT count(*) || ' ' || coalesce(sum(length(v)), 0) || ' ' || coalesce(sum(w), 0) FROM {table}";

    private static string Rows(Func<string, string> psql, string table) => psql($"SELECT string_agg(id || '|' || v, ',' ORDER BY id) FROM {table}");

    private static string MadeByStock(out string sum)
    {
        using StockPostgres stock = StockPostgres.Create();
        stock.Start();
        stock.Pgbench("-i", "-s", "1", "-q");
        stock.Psql("CREATE TABLE acknowledged (id bigint)");
        stock.Psql(string.Format(System.Globalization.CultureInfo.InvariantCulture, Make, "theirs"));
        sum = stock.Psql(Sum("theirs"));
        stock.Stop();
        string root = StockPostgres.NewRoot();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(root, recursive: true);
        string copy = Path.Combine(root, "unlogged");
        StockPostgres.Run("cp", ["-a", stock.DataDirectory, copy]);
        return copy;
    }
}
