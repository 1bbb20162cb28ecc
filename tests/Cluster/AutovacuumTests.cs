using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>Autovacuum on a running writer: bloat stays bounded, promotion starts it, and xids that are about to wrap are made safe.</summary>
public sealed class AutovacuumTests
{
    private const string Counters =
        "select pg_stat_get_dead_tuples('pgbench_tellers'::regclass), pg_stat_get_dead_tuples('pgbench_branches'::regclass), pg_stat_get_autovacuum_count('pgbench_tellers'::regclass), "
        + "pg_stat_get_autoanalyze_count('pgbench_history'::regclass)";

    [SkippableFact]
    public void Dead_rows_of_pgbench_stay_few_and_the_directory_is_sound()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(
            1,
            cluster =>
            {
                cluster.StartAll();
                (int code, string output) = cluster.Writer.Pgbench("-c", "4", "-j", "2", "-T", "20", "-M", "prepared", "-n");
                Assert.True(code == 0, output);
                ClusterNode.Await("autovacuum", () =>
                {
                    long[] c = [.. cluster.Writer.Psql(Counters).Trim().Split('|').Select(n => long.Parse(n, CultureInfo.InvariantCulture))];
                    return c[0] <= 60 && c[1] <= 60 && c[2] > 0 && c[3] > 0;
                });

                // Some hundred versions of ten rows between two visits, not one for each transaction.
                Assert.True(long.Parse(cluster.Writer.Psql("select pg_relation_size('pgbench_tellers')"), CultureInfo.InvariantCulture) < 4 << 20);
                Assert.Equal("0|0", cluster.Readers.First().Psql("select pg_stat_get_dead_tuples('pgbench_tellers'::regclass), pg_stat_get_autovacuum_count('pgbench_tellers'::regclass)").Trim());
                cluster.StopAll();
                cluster.Judge(clean: true);
            },
            null,
            "autovacuum_naptime = 1s");
    }

    [SkippableFact]
    public void A_promoted_reader_vacuums()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(
            1,
            cluster =>
            {
                cluster.StartAll();
                cluster.Writer.Kill();
                ClusterNode promoted = cluster.Readers.First();
                promoted.Promote();
                promoted.Psql("update pgbench_tellers set tbalance = tbalance + 0 where tid < 8");
                for (int i = 0; i < 10; i++)
                {
                    promoted.Psql("update pgbench_tellers set tbalance = tbalance + 0");
                }

                ClusterNode.Await("autovacuum", () => promoted.Psql("select pg_stat_get_autovacuum_count('pgbench_tellers'::regclass) > 0").Trim() == "t");
                promoted.Stop();
                cluster.Judge(clean: true);
            },
            null,
            "autovacuum_naptime = 1s");
    }

    [SkippableFact]
    public void Xids_before_the_wrap_warn_then_stop_until_vacuum_has_frozen_what_is_old()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        string look = Path.Combine(Path.GetTempPath(), $"autovacuum-{Guid.NewGuid():N}");
        try
        {
            ClusterFixture.Run(
                0,
                cluster =>
                {
                    uint oldest = Oldest(cluster);
                    const uint untilStop = 2;
                    uint next = unchecked(oldest + int.MaxValue - 3_000_000 - untilStop);
                    StockPostgres.Tool("pg_resetwal", "-x", next.ToString(CultureInfo.InvariantCulture), "-D", cluster.DataDirectory);
                    StockPostgres.Run("dd", ["if=/dev/zero", "bs=262144", "count=1", "status=none", $"of={Path.Combine(cluster.DataDirectory, "pg_xact", (next / 1_048_576).ToString("X4", CultureInfo.InvariantCulture))}"]);
                    cluster.Writer.Start("writer");
                    for (uint i = 0; i < untilStop; i++)
                    {
                        (int code, _, string warning) = cluster.Writer.TryPsql("insert into acknowledged values (1)");
                        Assert.Equal(0, code);
                        Assert.Matches($"WARNING:  01000: database \"\\w+\" must be vacuumed within {3_000_000 + untilStop - i} transactions\n"
                            + "HINT:  To avoid a database shutdown, execute a database-wide VACUUM in that database.\n"
                            + "You might also need to commit or roll back old prepared transactions, or drop stale replication slots.", warning);
                    }

                    (int refused, _, string error) = cluster.Writer.TryPsql("insert into acknowledged values (2)");
                    Assert.NotEqual(0, refused);
                    Assert.Matches("ERROR:  54000: database is not accepting commands to avoid wraparound data loss in database \"\\w+\"\n"
                        + "HINT:  Stop the postmaster and vacuum that database in single-user mode.", error);
                    Assert.Equal("2", cluster.Writer.Psql("select count(*) from acknowledged").Trim());

                    // By hand one database at a time; those that nobody can connect to only by itself.
                    cluster.Writer.Psql("vacuum");
                    Assert.NotEqual(0, cluster.Writer.TryPsql("insert into acknowledged values (3)").ExitCode);
                    File.WriteAllText(look, "");
                    ClusterNode.Await("vacuums against wraparound", () => cluster.Writer.TryPsql("insert into acknowledged values (4)") is { ExitCode: 0, Error: "" });
                    const string ages = "select datname, datfrozenxid, datminmxid from pg_database order by 1";
                    ClusterNode.Await("all databases", () => cluster.Writer.Psql("select count(*) from pg_database where age(datfrozenxid) > 200000000").Trim() == "0");
                    string ours = cluster.Writer.Psql(ages);
                    cluster.Writer.Stop();
                    Assert.Equal(ours.Split('\n').Min(l => l.Split('|')[1]), Oldest(cluster).ToString(CultureInfo.InvariantCulture));
                    cluster.Judge(clean: true, stock =>
                    {
                        Assert.Equal(ours.Trim(), stock.Psql(ages).Trim());
                        stock.Psql("insert into acknowledged values (5)");
                        Assert.DoesNotContain("must be vacuumed", stock.ReadLog(), StringComparison.Ordinal);
                    });
                },
                null,
                "autovacuum = off",
                "autovacuum_naptime = 1s",
                $"sharedstorage.fault_points = 'autovacuum-before-look=wait:{look}'");
        }
        finally
        {
            File.Delete(look);
        }
    }

    [SkippableFact]
    public void Multixacts_before_the_wrap_warn_then_stop_until_vacuum_has_moved_their_limit()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        string look = Path.Combine(Path.GetTempPath(), $"autovacuum-{Guid.NewGuid():N}");
        try
        {
            ClusterFixture.Run(
                0,
                cluster =>
                {
                    const uint next = 1u + int.MaxValue - 3_000_000 - 1;
                    StockPostgres.Tool("pg_resetwal", "-m", $"{next},1", "-D", cluster.DataDirectory);
                    StockPostgres.Run("dd", ["if=/dev/zero", "bs=262144", "count=1", "status=none", $"of={Path.Combine(cluster.DataDirectory, "pg_multixact", "offsets", (next / 65_536).ToString("X4", CultureInfo.InvariantCulture))}"]);
                    cluster.Writer.Start("writer");
                    using var first = new NpgsqlConnection($"Host=127.0.0.1;Port={cluster.Writer.Port};Username=postgres;Database=postgres");
                    first.Open();
                    Execute(first, "begin; select from pgbench_branches for share");
                    (int code, _, string warning) = cluster.Writer.TryPsql("select from pgbench_branches for share");
                    Assert.Equal(0, code);
                    Assert.Matches("WARNING:  01000: database (with OID 0|\"\\w+\") must be vacuumed before 3000001 more MultiXactIds are used\nHINT:  Execute a database-wide VACUUM in that database.", warning);
                    (int refused, _, string error) = cluster.Writer.TryPsql("select from pgbench_branches for share");
                    Assert.NotEqual(0, refused);
                    Assert.Matches("ERROR:  54000: database is not accepting commands that generate new MultiXactIds to avoid wraparound data loss in database (with OID 0|\"\\w+\")", error);
                    Execute(first, "commit");
                    File.WriteAllText(look, "");
                    ClusterNode.Await("vacuums against wraparound", () => cluster.Writer.Psql("select count(*) from pg_database where mxid_age(datminmxid) > 400000000").Trim() == "0");
                    Execute(first, "begin; select from pgbench_branches for share");
                    // The limit moves when the last of the vacuums has ended, after its row in pg_database.
                    ClusterNode.Await("the limit to move", () => cluster.Writer.TryPsql("select from pgbench_branches for share").ExitCode == 0);
                    Execute(first, "commit");
                    cluster.Writer.Stop();
                    cluster.Judge(clean: true);
                },
                null,
                "autovacuum = off",
                "autovacuum_naptime = 1s",
                $"sharedstorage.fault_points = 'autovacuum-before-look=wait:{look}'");
        }
        finally
        {
            File.Delete(look);
        }
    }

    private static void Execute(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        command.ExecuteNonQuery();
    }

    private static uint Oldest(ClusterFixture cluster) =>
        uint.Parse(Regex.Match(cluster.ControlData(), "oldestXID: +(\\d+)").Groups[1].Value, CultureInfo.InvariantCulture);
}
