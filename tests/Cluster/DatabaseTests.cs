using System.Globalization;
using Npgsql;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>CREATE DATABASE and DROP DATABASE: judged by stock PostgreSQL, after crashes too; sessions of readers in them; files vanish last (I5).</summary>
public sealed class DatabaseTests
{
    private const string Content = "SELECT (SELECT count(*) || ' ' || sum(length(v)) FROM things) || ' ' || (SELECT string_agg(n, ',' ORDER BY k) FROM names)";

    [SkippableFact]
    public void A_database_that_is_made_here_is_one_for_stock_PostgreSQL_and_for_readers()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            ClusterNode writer = cluster.Writer, reader = cluster.Nodes[1];
            writer.Psql("CREATE DATABASE source ENCODING 'UTF8' CONNECTION LIMIT 7");
            Fill(writer, "source");
            writer.Psql("CREATE DATABASE copy TEMPLATE source OWNER postgres");
            writer.Psql("CREATE DATABASE other TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' IS_TEMPLATE true ALLOW_CONNECTIONS false");
            string content = writer.PsqlIn("source", Content);
            Assert.Equal(content, writer.PsqlIn("copy", Content));
            writer.PsqlIn("copy", "INSERT INTO names VALUES (9, 'only in the copy')");
            reader.CatchUpWith(writer);
            Assert.Equal(content, reader.PsqlIn("source", Content));
            Assert.Equal(content + ",only in the copy", reader.PsqlIn("copy", Content));
            string rows = writer.Psql(Rows);
            cluster.StopAll();
            cluster.Judge(clean: true, stock =>
            {
                Assert.Equal(rows, stock.Psql(Rows));
                Assert.Equal(content + ",only in the copy", Ask(stock, "copy", Content));
                Assert.Contains("only in the copy", DumpAll(stock), StringComparison.Ordinal);
                Ask(stock, "copy", "ALTER TABLE things ADD COLUMN more int DEFAULT 1; UPDATE things SET v = v || 'x'");
                Ask(stock, "copy", "VACUUM FULL pg_class");
                stock.Psql("CREATE DATABASE third TEMPLATE copy");
            });
        });
    }

    [SkippableTheory]
    [InlineData("database.copied")]
    [InlineData("database.dropped")]
    public void A_writer_that_dies_while_it_makes_or_drops_a_database_leaves_one_that_is_whole_or_none(string point)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.Writer.Start("writer");
            cluster.Nodes[1].Start("reader");
            cluster.Writer.Psql("CREATE DATABASE kept");
            Fill(cluster.Writer, "kept");
            string content = cluster.Writer.PsqlIn("kept", Content);
            cluster.Writer.Psql("CHECKPOINT");
            cluster.Writer.Psql("CREATE DATABASE gone TEMPLATE kept");
            cluster.Writer.Kill();
            cluster.Writer.Start("writer", "--sharedstorage.fault_points", $"{point}=kill");
            (int code, string _, string _) = cluster.Writer.TryPsql(point == "database.copied" ? "CREATE DATABASE new TEMPLATE kept" : "DROP DATABASE gone");
            Assert.NotEqual(0, code);
            cluster.Writer.WaitForEnd();

            // Stock PostgreSQL recovers a copy, and our writer the directory itself: both tell the same.
            string names = JudgeCopy(cluster, content);
            cluster.Writer.Start("writer");
            Assert.Equal(names, cluster.Writer.Psql("SELECT datname || ' ' || datconnlimit FROM pg_database ORDER BY 1"));
            Assert.Equal(content, cluster.Writer.PsqlIn("kept", Content));
            if (point == "database.dropped")
            {
                (_, _, string refused) = cluster.Writer.TryPsqlIn("gone", "SELECT 1");
                Assert.Contains("cannot connect to invalid database \"gone\"", refused, StringComparison.Ordinal);
                cluster.Writer.Psql("DROP DATABASE gone");
            }
            else
            {
                Assert.Equal(content, cluster.Writer.PsqlIn("gone", Content));
                cluster.Writer.Psql("CREATE DATABASE new TEMPLATE kept");
                Assert.Equal(content, cluster.Writer.PsqlIn("new", Content));
            }

            cluster.Nodes[1].CatchUpWith(cluster.Writer);
            Assert.Equal(content, cluster.Nodes[1].PsqlIn("kept", Content));
            cluster.StopAll();
            cluster.Judge(clean: true, stock => Assert.Equal(content, Ask(stock, "kept", Content)));
        });
    }

    [SkippableFact]
    public void A_dropped_database_stays_for_the_snapshots_that_readers_have_and_then_its_files_go()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            ClusterNode writer = cluster.Writer, reader = cluster.Nodes[1];
            writer.Psql("CREATE DATABASE doomed");
            Fill(writer, "doomed");
            string content = writer.PsqlIn("doomed", Content);
            string folder = Path.Combine(cluster.DataDirectory, "base", writer.Psql("SELECT oid FROM pg_database WHERE datname = 'doomed'"));
            reader.CatchUpWith(writer);
            using NpgsqlConnection held = Open(reader, "doomed"), idle = Open(reader, "doomed"), there = Open(writer, "doomed");
            Scalar(held, "BEGIN ISOLATION LEVEL REPEATABLE READ");
            Assert.Equal("1", Scalar(held, "SELECT 1 FROM names WHERE k = 1"));
            Assert.Equal("1", Scalar(idle, "SELECT 1"));
            Assert.Contains("55006: database \"doomed\" is being accessed by other users", writer.TryPsql("DROP DATABASE doomed").Error, StringComparison.Ordinal);

            // Ends although the reader's transaction is open.
            writer.Psql("DROP DATABASE doomed WITH (FORCE)");
            Assert.Equal("57P01", Assert.Throws<PostgresException>(() => Scalar(there, "SELECT 1")).SqlState);
            reader.CatchUpWith(writer);
            Assert.Equal(content, Scalar(held, Content));
            Assert.True(Directory.Exists(folder));
            Assert.Equal("57P04", Assert.Throws<PostgresException>(() => Scalar(idle, "SELECT 1")).SqlState);
            Assert.Contains("database \"doomed\" does not exist", reader.TryPsqlIn("doomed", "SELECT 1").Error, StringComparison.Ordinal);
            Scalar(held, "COMMIT");
            Assert.Equal("57P04", Assert.Throws<PostgresException>(() => Scalar(held, "SELECT 1")).SqlState);
            ClusterNode.Await("the files to go", () => !Directory.Exists(folder));
            cluster.StopAll();
            cluster.Judge(clean: true, stock => Assert.DoesNotContain("doomed", DumpAll(stock), StringComparison.Ordinal));
        });
    }

    [SkippableFact]
    public void What_cannot_be_made_or_dropped_is_refused_in_the_words_of_stock_PostgreSQL()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        string[] statements =
        [
            "CREATE DATABASE postgres", "CREATE DATABASE x TEMPLATE nosuch", "CREATE DATABASE x OWNER nosuch", "CREATE DATABASE x ENCODING 'nosuch'", "CREATE DATABASE x ENCODING SQL_ASCII",
            "CREATE DATABASE x LC_COLLATE 'nosuch'", "CREATE DATABASE x LC_COLLATE 'POSIX'", "CREATE DATABASE x LC_CTYPE 'POSIX'", "CREATE DATABASE x STRATEGY nosuch", "CREATE DATABASE x CONNECTION LIMIT -2",
            "CREATE DATABASE x IS_TEMPLATE maybe", "CREATE DATABASE x OID 17", "CREATE DATABASE x NOSUCH 1", "CREATE DATABASE x OWNER postgres OWNER postgres", "CREATE DATABASE x LOCALE_PROVIDER nosuch",
            "CREATE DATABASE x ICU_LOCALE 'en'", "DROP DATABASE nosuch", "DROP DATABASE postgres", "DROP DATABASE template0", "DROP DATABASE template1",
        ];
        string[] wanted = new string[statements.Length];
        using (StockPostgres stock = StockPostgres.Create())
        {
            stock.Start();
            for (int i = 0; i < statements.Length; i++)
            {
                wanted[i] = Said(TryAsk(stock, "postgres", statements[i]).Error);
            }

            stock.Stop();
        }

        ClusterFixture.Run(0, cluster =>
        {
            cluster.StartAll();
            for (int i = 0; i < statements.Length; i++)
            {
                Assert.Equal((statements[i], wanted[i]), (statements[i], Said(cluster.Writer.TryPsql(statements[i]).Error)));
            }

            Assert.Contains("25001", cluster.Writer.TryPsql("BEGIN; CREATE DATABASE x").Error, StringComparison.Ordinal);
            Assert.Contains("skipping", cluster.Writer.TryPsql("DROP DATABASE IF EXISTS nosuch").Error, StringComparison.Ordinal);
            cluster.StopAll();
        });
    }

    private const string Rows =
        "SELECT datname, datdba, encoding, datlocprovider, datistemplate, datallowconn, datconnlimit, dattablespace, datcollate, datctype, daticulocale, datcollversion, datacl FROM pg_database ORDER BY 1";

    private static void Fill(ClusterNode writer, string database) => writer.PsqlIn(
        database,
        "CREATE TABLE things (id serial PRIMARY KEY, v text); INSERT INTO things (v) SELECT repeat(md5(i::text), 200 * (i % 3)) FROM generate_series(1, 300) i; "
        + "CREATE INDEX ON things (length(v)); CREATE TABLE names (k int UNIQUE, n text); INSERT INTO names VALUES (1, 'one'), (2, 'two')");

    private static string JudgeCopy(ClusterFixture cluster, string content)
    {
        using StockPostgres stock = StockPostgres.Adopt(cluster.CopyData("judged"));
        stock.Start();
        string names = stock.Psql("SELECT datname || ' ' || datconnlimit FROM pg_database ORDER BY 1");
        Assert.Equal(content, Ask(stock, "kept", Content));
        stock.Stop();
        return names;
    }

    /// <summary>The first lines of an error: what psql says before the line and position.</summary>
    private static string Said(string error) => string.Join('\n', error.Split('\n').Where(l => !l.StartsWith("LOCATION", StringComparison.Ordinal) && l.Length > 0));

    private static string DumpAll(StockPostgres stock) =>
        StockPostgres.Tool("pg_dumpall", "-h", "127.0.0.1", "-p", stock.Port.ToString(CultureInfo.InvariantCulture), "-U", "postgres");

    private static string Ask(StockPostgres stock, string database, string sql)
    {
        (int code, string output, string error) = TryAsk(stock, database, sql);
        return code == 0 ? output.TrimEnd('\n') : throw new InvalidOperationException(error);
    }

    private static (int ExitCode, string Output, string Error) TryAsk(StockPostgres stock, string database, string sql) => StockPostgres.TryTool(
        "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-h", "127.0.0.1", "-p", stock.Port.ToString(CultureInfo.InvariantCulture), "-U", "postgres", "-d", database, "-c", sql);

    private static NpgsqlConnection Open(ClusterNode node, string database)
    {
        var connection = new NpgsqlConnection($"Host=127.0.0.1;Port={node.Port};Username=postgres;Database={database};Pooling=false;Command Timeout=120;Server Compatibility Mode=NoTypeLoading");
        connection.Open();
        return connection;
    }

    private static string Scalar(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        return Convert.ToString(command.ExecuteScalar(), CultureInfo.InvariantCulture)!;
    }
}
