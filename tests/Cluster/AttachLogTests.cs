using Npgsql;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>What becomes of an attached reader when the server's log does not simply go on: it branches off, or is recycled before it was read.</summary>
public sealed class AttachLogTests
{
    /// <summary>Log is kept for nobody, and little of it.</summary>
    private static readonly string[] KeepsLittle = ["autovacuum = off", "wal_keep_size = 0", "min_wal_size = '32MB'", "max_wal_size = '32MB'"];

    [SkippableFact]
    public void A_reader_follows_the_server_to_the_timeline_of_its_point_in_time_recovery()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using var servers = new AttachFixture(["autovacuum = off"], standby: false);
        servers.Primary.Psql("create table t as select i from generate_series(1, 1000) i");
        servers.StartReader();
        servers.CatchUp();
        using NpgsqlConnection session = AttachTests.Open(servers.Reader);
        Assert.Equal("1000", AttachTests.Scalar(session, "select count(*) from t"));
        servers.Primary.Stop();
        ulong end = servers.Reader.Status().Flushed;
        ClusterNode.Await("the log of the stop to be applied", () => end == (end = servers.Reader.Status().Flushed) && servers.Reader.Status().Applied == end);

        // Asleep while the server recovers: what it does meanwhile is a standby's business, which a reader does not follow.
        servers.Reader.Signal("STOP");
        Recover(servers.Primary, "recovery_target_timeline=latest");
        servers.Primary.Psql("insert into t select i from generate_series(1, 500) i");
        servers.Primary.Psql("create index on t (i)");
        servers.Reader.Signal("CONT");
        servers.CatchUp();
        Assert.Equal(2u, servers.Reader.Status().Timeline);
        Assert.Equal("1500", AttachTests.Scalar(session, "select count(*) from t"));
        Assert.Equal("2", AttachTests.Scalar(session, "select count(*) from t where i = 7"));
        servers.Reader.Stop();
    }

    [SkippableFact]
    public void A_reader_stops_by_name_when_the_server_was_restored_to_before_what_was_applied()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using var servers = new AttachFixture(["autovacuum = off"], standby: false);
        servers.Primary.Psql("create table t as select i from generate_series(1, 1000) i");
        servers.Primary.Stop();
        string backup = Path.Combine(servers.Reader.LocalDirectory, "backup");
        StockPostgres.Run("cp", ["-a", servers.Primary.DataDirectory, backup]);
        servers.Primary.Start();
        servers.StartReader();
        servers.Primary.Psql("insert into t values (1001)");
        servers.CatchUp();
        Assert.Equal("1001", servers.Reader.Psql("select count(*) from t"));
        servers.Primary.Kill();
        servers.Reader.Signal("STOP");
        StockPostgres.Run("sh", ["-c", "rm -r \"$1\"/* && cp -a \"$2\"/. \"$1\"", "sh", servers.Primary.DataDirectory, backup]);
        Recover(servers.Primary, "recovery_target_timeline=latest");
        Assert.Equal("1000", servers.Primary.Psql("select count(*) from t"));
        servers.Reader.Signal("CONT");
        ExpectStop(servers, "the server is on timeline 2, which this reader cannot follow");
    }

    [SkippableFact]
    public void A_reader_stops_by_name_when_its_server_becomes_a_standby()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using var servers = new AttachFixture(["autovacuum = off"], standby: false);
        servers.StartReader();
        servers.CatchUp();
        servers.Primary.Stop();
        Touch(servers.Primary, "standby.signal");
        ExpectStop(servers, "a reader attaches to that of a primary only");
    }

    [SkippableFact]
    public void A_reader_whose_log_was_recycled_stops_by_name_and_answers_again_when_it_is_started_anew()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using var servers = new AttachFixture(KeepsLittle, standby: false);
        servers.Primary.Psql("create table t as select i from generate_series(1, 1000) i");
        servers.StartReader();
        servers.CatchUp();
        Assert.Equal("1000", servers.Reader.Psql("select count(*) from t"));

        // Asleep, so it has not even seen the log that goes.
        servers.Reader.Signal("STOP");
        RecycleLog(servers.Primary);
        servers.Reader.Signal("CONT");
        ExpectStop(servers, "is needed and gone: the server's last checkpoint begins at");
        servers.StartReader();
        servers.CatchUp();
        Assert.Equal(servers.Primary.Psql("select count(*), sum(i) from t"), servers.Reader.Psql("select count(*), sum(i) from t"));

        // Paused, it has seen the log but not read it for redo: it answers as of where it stands, or not at all, and stops when it is to go on.
        string before = servers.Reader.Psql("select count(*), sum(i) from t");
        servers.Reader.Psql("select pg_wal_replay_pause()");
        ClusterNode.Await("the pause", () => servers.Reader.Psql("select pg_get_wal_replay_pause_state()") == "paused");
        RecycleLog(servers.Primary);
        (int code, string output, string error) = servers.Reader.TryPsql("select count(*), sum(i) from t");
        Assert.True(code == 0 ? output.TrimEnd('\n') == before : error.Contains("55000", StringComparison.Ordinal) || error.Contains("40001", StringComparison.Ordinal), output + error);
        servers.Reader.TryPsql("select pg_wal_replay_resume()");
        ExpectStop(servers, "is needed and gone: the server's last checkpoint begins at");
        Assert.Empty(servers.Complaints());
    }

    [SkippableFact]
    public void A_replication_slot_on_the_server_keeps_the_log_of_a_reader_that_lags()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using var servers = new AttachFixture(KeepsLittle, standby: false);
        servers.Primary.Psql("create table t as select i from generate_series(1, 1000) i");
        servers.Primary.Psql("select pg_create_physical_replication_slot('attached', true)");
        servers.StartReader();
        servers.CatchUp();
        servers.Reader.Signal("STOP");
        RecycleLog(servers.Primary);
        servers.Reader.Signal("CONT");
        servers.CatchUp();
        Assert.Equal(servers.Primary.Psql("select count(*), sum(i) from t"), servers.Reader.Psql("select count(*), sum(i) from t"));

        // What it has applied the server may let go.
        string applied = servers.Reader.Psql("select pg_last_wal_replay_lsn()");
        servers.Primary.Psql($"select pg_replication_slot_advance('attached', '{applied}')");
        servers.Reader.Stop();
        Assert.Empty(servers.Complaints());
    }

    /// <summary>More log than the server keeps, beside changes that make old pages wrong.</summary>
    private static void RecycleLog(StockPostgres primary)
    {
        string first = FirstSegment(primary);
        for (int round = 0; round < 40; round++)
        {
            primary.Psql("update t set i = i + 1");
            primary.Psql("vacuum t");
            primary.Psql("insert into t select i from generate_series(1, 100) i");
            primary.Psql("select pg_switch_wal()");
            primary.Psql("checkpoint");
            if (round >= 4 && (FirstSegment(primary) != first || primary.Psql("select count(*) from pg_replication_slots") != "0"))
            {
                return;
            }
        }

        Assert.Fail("the server keeps its log");
    }

    private static string FirstSegment(StockPostgres primary) => primary.Psql("select min(name) from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$'");

    private static void Recover(StockPostgres primary, string target)
    {
        Touch(primary, "recovery.signal");
        primary.Start("restore_command=false", target, "recovery_target_action=promote");
        ClusterNode.Await("the end of recovery", () => primary.Psql("select pg_is_in_recovery()") == "f");
        primary.Psql("checkpoint");
    }

    private static void Touch(StockPostgres primary, string file) => StockPostgres.Run("touch", [Path.Combine(primary.DataDirectory, file)]);

    private static void ExpectStop(AttachFixture servers, string reason)
    {
        (int code, string log) = servers.Reader.WaitForEnd();
        Assert.NotEqual(0, code);
        Assert.Contains(reason, log, StringComparison.Ordinal);
    }
}
