using Npgsql;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>DDL on the writer beside scans of readers (I5), its rollback, and its death in the middle.</summary>
public sealed class DefinitionTests
{
    private const string Sum = "SELECT count(*) || ' ' || coalesce(sum(aid), 0) || ' ' || coalesce(sum(abalance), 0) FROM pgbench_accounts";

    private static readonly string[] Copy = ["CREATE TABLE {0} (aid int NOT NULL, bid int, abalance int, filler char(84))", "INSERT INTO {0} SELECT * FROM pgbench_accounts WHERE aid <= 30000"];

    /// <summary>Each gets rows of pgbench_accounts in a table of its own, {0}.</summary>
    [SkippableFact]
    public void Scans_on_a_reader_end_with_their_snapshot_and_no_statement_waits_for_them() => ScanBesideEach(
        30_000,
        ["ALTER TABLE {0} ADD PRIMARY KEY (aid)"],
        [
            "CLUSTER {0} USING {0}_pkey",
            "VACUUM FULL {0}",
            "ALTER TABLE {0} ALTER COLUMN abalance TYPE bigint",
            "ALTER TABLE {0} ADD COLUMN extra float8 DEFAULT random()",
            "REINDEX TABLE {0}",
            "REINDEX INDEX {0}_pkey",
            "ALTER TABLE {0} DROP CONSTRAINT {0}_pkey",
            "ALTER TABLE {0} DROP COLUMN filler",
            "TRUNCATE {0}",
            "DROP TABLE {0}",
        ]);

    [SkippableFact]
    public void Scans_on_a_reader_go_on_when_the_index_that_they_use_is_dropped_or_rebuilt() => ScanBesideEach(
        30_000, ["CREATE INDEX {0}_second ON {0} (aid)"], ["DROP INDEX {0}_second", "REINDEX INDEX {0}_second", "CLUSTER {0} USING {0}_second"]);

    [SkippableFact]
    public void Scans_on_a_reader_go_on_when_vacuum_cuts_the_table_short() => ScanBesideEach(
        15_000, ["ALTER TABLE {0} ADD PRIMARY KEY (aid)", "DELETE FROM {0} WHERE aid > 15000"], ["VACUUM {0}", "VACUUM (TRUNCATE, FREEZE) {0}"]);

    [SkippableFact]
    public void A_snapshot_on_a_reader_keeps_the_rows_that_vacuum_would_cut_off()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            ClusterNode writer = cluster.Writer, reader = cluster.Nodes[1];
            using NpgsqlConnection connection = Open(reader);
            Command(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ");
            string before = Scalar(connection, Sum);
            writer.Psql("DELETE FROM pgbench_accounts WHERE aid > 10000");
            writer.Psql("VACUUM pgbench_accounts");
            Assert.Equal("1640", writer.Psql("SELECT relpages FROM pg_class WHERE relname = 'pgbench_accounts'"));
            reader.CatchUpWith(writer);
            Assert.Equal(before, Scalar(connection, Sum));
            Command(connection, "COMMIT");
            ClusterNode.Await("vacuum to cut the table", () =>
            {
                writer.Psql("VACUUM pgbench_accounts");
                return writer.Psql("SELECT relpages FROM pg_class WHERE relname = 'pgbench_accounts'") == "164";
            });
            reader.CatchUpWith(writer);
            Assert.Equal(writer.Psql(Sum), reader.Psql(Sum));
            cluster.StopAll();
        }, null, "autovacuum = off");
    }

    private static void ScanBesideEach(int rows, string[] prepare, string[] statements)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            for (int i = 0; i < statements.Length; i++)
            {
                string table = $"accounts{i}";
                foreach (string s in Copy.Concat(prepare).Append("ANALYZE {0}"))
                {
                    cluster.Writer.Psql(s.Replace("{0}", table, StringComparison.Ordinal));
                }

                string statement = statements[i].Replace("{0}", table, StringComparison.Ordinal);
                cluster.Note($"beside: {statement}");
                ScanBeside(cluster, table, statement, rows);
            }

            cluster.StopAll();
        });
    }

    /// <summary>Three cursors of one snapshot on a reader, by the table, by an index and by an index alone, are in the middle of their scans when the writer runs the statement.</summary>
    private static void ScanBeside(ClusterFixture cluster, string table, string statement, int rows)
    {
        string sum = Sum.Replace("pgbench_accounts", table, StringComparison.Ordinal);
        ClusterNode reader = cluster.Nodes[1];
        reader.CatchUpWith(cluster.Writer);
        using NpgsqlConnection connection = Open(reader);
        Command(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ");
        string before = Scalar(connection, sum);
        long[] fetched = new long[3];
        for (int i = 0; i < fetched.Length; i++)
        {
            (string query, string plan) = i switch
            {
                0 => ($"SELECT aid, filler FROM {table}", "Seq Scan"),
                1 => ($"SELECT aid, abalance FROM {table} ORDER BY aid", "Index Scan using"),
                _ => ($"SELECT aid FROM {table} ORDER BY aid DESC", "Index Only Scan Backward using"),
            };
            Command(connection, $"SET LOCAL enable_seqscan = {(i == 0 ? "on" : "off")}");
            Assert.Contains(plan, Explain(connection, query), StringComparison.Ordinal);
            Command(connection, $"DECLARE c{i} NO SCROLL CURSOR FOR {query}");
            fetched[i] = Fetch(connection, i, 100);
        }

        // Answers while the reader's transaction is open: nothing here lets it end first.
        Command(connection, "SET LOCAL enable_seqscan = on");
        cluster.Writer.Psql(statement);
        cluster.Writer.Psql("CHECKPOINT");
        reader.CatchUpWith(cluster.Writer);
        Assert.Equal(before, Scalar(connection, sum));
        Assert.Equal("1", Scalar(connection, $"SELECT count(*) FROM {table} WHERE aid = 4711"));
        for (int i = 0; i < fetched.Length; i++)
        {
            Assert.Equal(rows, fetched[i] + Fetch(connection, i, 200_000));
        }

        Command(connection, "COMMIT");
        (int code, string after, string error) = reader.TryPsql(sum);
        (int expectedCode, string expected, string _) = cluster.Writer.TryPsql(sum);
        Assert.True((expectedCode, expected) == (code, after), error);
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

    private static string Explain(NpgsqlConnection connection, string query)
    {
        using var command = new NpgsqlCommand("EXPLAIN " + query, connection);
        using NpgsqlDataReader rows = command.ExecuteReader();
        var lines = new List<string>();
        while (rows.Read())
        {
            lines.Add(rows.GetString(0));
        }

        return string.Join('\n', lines);
    }

    private static long Fetch(NpgsqlConnection connection, int cursor, int count)
    {
        using var command = new NpgsqlCommand($"FETCH {count} FROM c{cursor}", connection);
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
