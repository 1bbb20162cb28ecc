using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>What a reader's snapshot holds (I7): a long query beside load and vacuum ends right; past sharedstorage.max_snapshot_age it is ended, and the horizon moves on.</summary>
public sealed partial class SnapshotAgeTests
{
    private const string Sums = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) || ' ' || (SELECT sum(tbalance) FROM pgbench_tellers) || ' ' || (SELECT sum(bbalance) FROM pgbench_branches) "
        + "|| ' ' || (SELECT coalesce(sum(delta), 0) FROM pgbench_history) || ' ' || (SELECT count(*) FROM pgbench_history)";

    [SkippableFact]
    public void A_query_of_ten_seconds_beside_load_and_vacuum_ends_right_and_then_vacuum_removes_what_it_held() => RunLongQuery(10);

    [SkippableFact]
    [Trait("Category", "Long")]
    public void A_query_of_a_minute_beside_load_and_vacuum_ends_right_and_then_vacuum_removes_what_it_held() => RunLongQuery(60);

    [SkippableFact]
    public void Snapshots_past_the_maximum_age_end_with_a_clear_error_and_vacuum_goes_on()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            ClusterNode writer = cluster.Writer, reader = cluster.Nodes[1];
            using NpgsqlConnection running = Open(reader), idle = Open(reader), younger = Open(reader);
            foreach (NpgsqlConnection connection in new[] { running, idle })
            {
                Command(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ");
                Assert.Equal("100000", Scalar(connection, "SELECT count(*) FROM pgbench_accounts"));
            }

            // As long as the snapshots are there, nothing that they see goes.
            writer.Psql("DELETE FROM pgbench_accounts WHERE aid <= 5000");
            Assert.Equal((0, 5000), Vacuum(writer, "pgbench_accounts"));
            PostgresException ended = Assert.Throws<PostgresException>(() => Command(running, "SELECT count(*) FROM pgbench_accounts, pg_sleep(100)"));
            Assert.Equal(("72000", "ERROR", "snapshot too old"), (ended.SqlState, ended.Severity, ended.MessageText));
            Assert.Contains("sharedstorage.max_snapshot_age", ended.Detail, StringComparison.Ordinal);
            Command(running, "ROLLBACK");
            Assert.Equal("95000", Scalar(running, "SELECT count(*) FROM pgbench_accounts"));
            ClusterNode.Await("the idle session to end", () => reader.Log.Split("a session is ended").Length == 3);
            PostgresException left = Assert.Throws<PostgresException>(() => Command(idle, "SELECT count(*) FROM pgbench_accounts"));
            Assert.Equal(("72000", "FATAL"), (left.SqlState, left.Severity));
            Assert.Equal("1", Scalar(younger, "SELECT 1"));
            int removed = 0;
            ClusterNode.Await("the horizon to move on", () => (removed += Vacuum(writer, "pgbench_accounts").Removed) == 5000);
            cluster.StopAll();
        }, null, "autovacuum = off", "sharedstorage.max_snapshot_age = 6s");
    }

    [SkippableFact]
    public void A_client_that_does_not_read_its_rows_holds_nothing_past_the_maximum_age()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            ClusterNode writer = cluster.Writer;
            using NpgsqlConnection connection = Open(cluster.Nodes[1]);
            using var command = new NpgsqlCommand("SELECT * FROM pgbench_accounts a, generate_series(1, 20) i", connection);
            NpgsqlDataReader rows = command.ExecuteReader();
            Assert.True(rows.Read());
            writer.Psql("DELETE FROM pgbench_tellers");
            int removed = 0;
            ClusterNode.Await("the horizon to move on", () => (removed += Vacuum(writer, "pgbench_tellers").Removed) == 10);

            // What was on its way comes, then the connection ends.
            Assert.ThrowsAny<NpgsqlException>(() =>
            {
                while (rows.Read())
                {
                }
            });
            cluster.StopAll();
        }, null, "autovacuum = off", "sharedstorage.max_snapshot_age = 4s");
    }

    private static void RunLongQuery(int seconds)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            ClusterNode writer = cluster.Writer;
            writer.Psql("UPDATE pgbench_branches SET filler = 'begin'");
            cluster.Nodes[1].CatchUpWith(writer);
            using var end = new CancellationTokenSource();
            Task<(int ExitCode, string Output)> load = Task.Run(() => writer.Pgbench("-c", "4", "-j", "2", "-M", "prepared", "-T", (seconds + 4).ToString(CultureInfo.InvariantCulture)));
            Task vacuum = Task.Run(() =>
            {
                while (!end.IsCancellationRequested)
                {
                    foreach (string table in new[] { "pgbench_branches", "pgbench_tellers", "pgbench_accounts" })
                    {
                        writer.Psql($"VACUUM {table}");
                    }
                }
            });
            using NpgsqlConnection connection = Open(cluster.Nodes[1]);
            Command(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ");
            string before = Scalar(connection, Sums);

            // The tables are read when the sleep is over, so with an old snapshot.
            string after = Scalar(connection, $"{Sums} FROM pg_sleep({seconds})");
            Assert.Equal(before, after);
            Assert.Single(before.Split(' ').Take(4).Distinct());
            Assert.NotEqual(before, Ask(cluster.Nodes[1]));
            (int removed, int held) = Vacuum(writer, "pgbench_branches");
            Assert.True(held > 100, $"{removed} versions removed, {held} held while the snapshot is there");
            Command(connection, "COMMIT");
            (int code, string output) = load.GetAwaiter().GetResult();
            Assert.True(code == 0, output);
            end.Cancel();
            vacuum.GetAwaiter().GetResult();
            ClusterNode.Await("vacuum to remove what was held", () => Vacuum(writer, "pgbench_branches").Held == 0);
            Assert.Equal(ClusterFixture.Sums(writer).Replace('|', ' '), Ask(writer));
            cluster.StopAll();
        }, null, "autovacuum = off");
    }

    private static string Ask(ClusterNode node) => node.Psql(Sums);

    /// <summary>What a VACUUM removed, and what it found dead and not removable.</summary>
    private static (int Removed, int Held) Vacuum(ClusterNode node, string table)
    {
        string said = node.TryPsql($"VACUUM (VERBOSE) {table}").Error;
        Match match = Said().Match(said);
        Assert.True(match.Success, said);
        return (int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture), int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture));
    }

    [GeneratedRegex(@"tuples: (\d+) removed, \d+ remain, (\d+) are dead but not yet removable")]
    private static partial Regex Said();

    private static NpgsqlConnection Open(ClusterNode node)
    {
        var connection = new NpgsqlConnection($"Host=127.0.0.1;Port={node.Port};Username=postgres;Database=postgres;Pooling=false;Command Timeout=300;Server Compatibility Mode=NoTypeLoading;Include Error Detail=true");
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
        return Convert.ToString(command.ExecuteScalar(), CultureInfo.InvariantCulture)!;
    }
}
