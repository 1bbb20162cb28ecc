using Npgsql;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>DDL on the writer beside scans of readers (I5), its rollback, and its death in the middle.</summary>
public sealed class DefinitionTests
{
    private const string Sum = "SELECT count(*) || ' ' || coalesce(sum(aid), 0) || ' ' || coalesce(sum(abalance), 0) FROM pgbench_accounts";

    [SkippableTheory]
    [InlineData("CLUSTER pgbench_accounts USING pgbench_accounts_pkey")]
    [InlineData("VACUUM FULL pgbench_accounts")]
    [InlineData("ALTER TABLE pgbench_accounts ALTER COLUMN abalance TYPE bigint")]
    [InlineData("ALTER TABLE pgbench_accounts ADD COLUMN extra float8 DEFAULT random()")]
    [InlineData("REINDEX TABLE pgbench_accounts")]
    [InlineData("ALTER TABLE pgbench_accounts DROP CONSTRAINT pgbench_accounts_pkey")]
    [InlineData("ALTER TABLE pgbench_accounts DROP COLUMN filler")]
    [InlineData("TRUNCATE pgbench_accounts")]
    [InlineData("DROP TABLE pgbench_accounts")]
    public void A_scan_on_a_reader_ends_with_its_snapshot_and_the_statement_does_not_wait_for_it(string statement)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            ClusterNode reader = cluster.Nodes[1];
            reader.CatchUpWith(cluster.Writer);
            using NpgsqlConnection connection = Open(reader);
            Command(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ");
            string before = Scalar(connection, Sum);
            Command(connection, "DECLARE c NO SCROLL CURSOR FOR SELECT aid FROM pgbench_accounts");
            long fetched = Fetch(connection, 100);

            // Answers while the reader's transaction is open: nothing here lets it end first.
            cluster.Writer.Psql(statement);
            cluster.Writer.Psql("CHECKPOINT");
            reader.CatchUpWith(cluster.Writer);
            Assert.Equal(before, Scalar(connection, Sum));
            Assert.Equal("1", Scalar(connection, "SELECT count(*) FROM pgbench_accounts WHERE aid = 4711"));
            Assert.Equal(100_000, fetched + Fetch(connection, 200_000));
            Command(connection, "COMMIT");
            (int code, string rows, string error) = reader.TryPsql(Sum);
            (int expectedCode, string expected, string _) = cluster.Writer.TryPsql(Sum);
            Assert.True((expectedCode, expected) == (code, rows), error);
            cluster.StopAll();
        });
    }

    [SkippableFact]
    public void A_rewrite_that_is_rolled_back_or_killed_leaves_the_table_and_no_files()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            string before = cluster.Writer.Psql(Sum), catalog = cluster.Writer.Psql("SELECT relfilenode, reltoastrelid, relpages FROM pg_class WHERE relname LIKE 'pgbench%' ORDER BY oid");
            int files = Files(cluster);
            cluster.Writer.Psql("BEGIN; CLUSTER pgbench_accounts USING pgbench_accounts_pkey; ALTER TABLE pgbench_tellers ALTER COLUMN tbalance TYPE bigint; ROLLBACK");
            Assert.Equal(before, cluster.Writer.Psql(Sum));
            Assert.Equal(catalog, cluster.Writer.Psql("SELECT relfilenode, reltoastrelid, relpages FROM pg_class WHERE relname LIKE 'pgbench%' ORDER BY oid"));
            ClusterNode.Await("the files of the rewrite to go", () => Files(cluster) <= files);

            using (NpgsqlConnection connection = Open(cluster.Writer))
            {
                Command(connection, "BEGIN");
                Command(connection, "CLUSTER pgbench_accounts USING pgbench_accounts_pkey");
                Command(connection, "ALTER TABLE pgbench_tellers ADD COLUMN extra float8 DEFAULT random()");
                cluster.Writer.Kill();
            }

            foreach (ClusterNode reader in cluster.Readers)
            {
                reader.Stop();
            }

            cluster.Judge(clean: false, stock =>
            {
                Assert.Equal(before, stock.Psql(Sum));
                Assert.Equal(catalog, stock.Psql("SELECT relfilenode, reltoastrelid, relpages FROM pg_class WHERE relname LIKE 'pgbench%' ORDER BY oid"));
            });
        });
    }

    [SkippableFact]
    public void Readers_refuse_commands_with_the_errors_of_a_hot_standby()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            foreach ((string command, string error) in new[]
            {
                ("VACUUM", "cannot execute VACUUM during recovery"),
                ("VACUUM FULL pgbench_accounts", "cannot execute VACUUM during recovery"),
                ("ANALYZE", "cannot execute ANALYZE during recovery"),
                ("REINDEX TABLE pgbench_accounts", "cannot execute REINDEX during recovery"),
                ("CLUSTER", "cannot execute CLUSTER during recovery"),
                ("CHECKPOINT", "cannot execute CHECKPOINT during recovery"),
                ("COPY pgbench_accounts FROM STDIN", "cannot execute COPY during recovery"),
                ("LOCK TABLE pgbench_accounts IN EXCLUSIVE MODE", "cannot execute LOCK TABLE during recovery"),
                ("NOTIFY x", "cannot execute NOTIFY during recovery"),
                ("PREPARE TRANSACTION 'x'", "cannot execute PREPARE TRANSACTION during recovery"),
                ("INSERT INTO acknowledged VALUES (1)", "cannot execute INSERT in a read-only transaction"),
                ("CREATE DATABASE d", "cannot execute CREATE DATABASE in a read-only transaction"),
                ("DROP DATABASE d", "cannot execute DROP DATABASE in a read-only transaction"),
                ("CREATE VIEW v AS SELECT 1", "cannot execute CREATE VIEW in a read-only transaction"),
                ("CREATE SEQUENCE s", "cannot execute CREATE SEQUENCE in a read-only transaction"),
                ("ALTER TABLE pgbench_accounts RENAME TO x", "cannot execute ALTER TABLE in a read-only transaction"),
                ("ALTER INDEX pgbench_accounts_pkey RENAME TO x", "cannot execute ALTER INDEX in a read-only transaction"),
                ("REVOKE ALL ON pgbench_accounts FROM postgres", "cannot execute REVOKE in a read-only transaction"),
            })
            {
                (int code, string _, string said) = cluster.Nodes[1].TryPsql(command);
                Assert.True(code != 0 && said.Contains($"25006: {error}", StringComparison.Ordinal), $"{command}: {said}");
            }

            cluster.StopAll();
        });
    }

    private static NpgsqlConnection Open(ClusterNode node)
    {
        var connection = new NpgsqlConnection($"Host=127.0.0.1;Port={node.Port};Username=postgres;Database=postgres;Pooling=false;Command Timeout=60;Server Compatibility Mode=NoTypeLoading");
        connection.Open();
        return connection;
    }

    private static void Command(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        command.ExecuteNonQuery();
    }

    private static string Scalar(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        return Convert.ToString(command.ExecuteScalar(), System.Globalization.CultureInfo.InvariantCulture)!;
    }

    private static long Fetch(NpgsqlConnection connection, int count)
    {
        using var command = new NpgsqlCommand($"FETCH {count} FROM c", connection);
        using NpgsqlDataReader rows = command.ExecuteReader();
        long n = 0;
        while (rows.Read())
        {
            n++;
        }

        return n;
    }

    private static int Files(ClusterFixture cluster) => Directory.GetFiles(Path.Combine(cluster.DataDirectory, "base", "5")).Length;
}
