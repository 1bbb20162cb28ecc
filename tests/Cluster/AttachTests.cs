using System.Globalization;
using Npgsql;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>Attach mode: our reader on the directory of a running stock PostgreSQL, beside a stock hot standby.</summary>
public sealed class AttachTests
{
    /// <summary>So many answers must have been compared; a slow machine takes longer for them.</summary>
    private const int EnoughAnswers = 30;

    private static readonly TimeSpan LongestComparison = TimeSpan.FromMinutes(4);

    /// <summary>Seconds of load; scripts/attach-rounds.sh sets more.</summary>
    private static int Seconds => int.TryParse(Environment.GetEnvironmentVariable("ATTACH_SECONDS"), NumberStyles.None, CultureInfo.InvariantCulture, out int s) ? s : 15;

    [SkippableFact]
    public void An_attached_reader_and_a_hot_standby_give_equal_answers_at_equal_positions_beside_load()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using var servers = new AttachFixture();
        try
        {
            Compare(servers, Seconds);
        }
        catch (Exception e)
        {
            string log = servers.Reader.Log;
            throw new InvalidOperationException($"{e.Message}\n--- log of the attached reader\n{(log.Length > 6000 ? log[^6000..] : log)}", e);
        }
    }

    private static void Compare(AttachFixture servers, int seconds)
    {
        using var load = new AttachLoad(servers.Primary);
        load.Prepare();
        servers.StartReader();
        load.Begin();
        using var comparison = new AttachComparison(servers);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        for (int round = 1; clock.Elapsed < TimeSpan.FromSeconds(seconds) || (comparison.Equal < EnoughAnswers && clock.Elapsed < LongestComparison); round++)
        {
            if (round % 4 == 0)
            {
                servers.Reader.Kill();
                servers.StartReader();
            }

            comparison.Round();
            load.Check();
        }

        load.End();
        Console.WriteLine($"{comparison} beside {load}");
        Assert.True(comparison.Equal >= EnoughAnswers, $"too few answers could be compared: {comparison}; last: {comparison.LastConflict}");

        // At rest nothing conflicts, so everything must answer.
        comparison.Final();
        Assert.Empty(servers.Complaints());
        Assert.True(servers.Reader.IsRunning);
        ExpectNothingOpenForWriting(servers);
        servers.Reader.Stop();
    }

    /// <summary>I4, beside a server that is not ours all the more.</summary>
    private static void ExpectNothingOpenForWriting(AttachFixture servers)
    {
        string[] files = [.. Directory.GetFiles($"/proc/{servers.Reader.ProcessId}/fd").Where(f => new FileInfo(f).LinkTarget?.StartsWith(servers.Primary.DataDirectory + "/", StringComparison.Ordinal) == true)];
        Assert.NotEmpty(files);
        foreach (string file in files)
        {
            string line = File.ReadLines($"/proc/{servers.Reader.ProcessId}/fdinfo/{Path.GetFileName(file)}").Single(l => l.StartsWith("flags:", StringComparison.Ordinal));
            Assert.Equal(0, Convert.ToInt32(line["flags:".Length..].Trim(), 8) & 3);
        }

        Assert.False(Directory.Exists(Path.Combine(servers.Primary.DataDirectory, "cluster")));
    }

    [SkippableFact]
    public void Replay_waits_for_a_snapshot_that_needs_what_VACUUM_removes_and_then_cancels_it()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using var servers = new AttachFixture(["autovacuum = off"], ["--max_standby_streaming_delay", "2s"], standby: false);
        servers.Primary.Psql("create table t as select i from generate_series(1, 1000) i");
        servers.StartReader();
        servers.CatchUp();
        using NpgsqlConnection holder = Open(servers.Reader);
        Execute(holder, "begin isolation level repeatable read");
        Assert.Equal("1000", Scalar(holder, "select count(*) from t"));
        servers.Primary.Psql("delete from t where i > 10");
        servers.Primary.Psql("vacuum t");
        ulong end = AttachFixture.Lsn(servers.Primary.Psql("select pg_current_wal_flush_lsn()"));

        // Held: the deletion is visible to others, the vacuum is not applied, the holder's rows are there.
        ClusterNode.Await("the deletion", () => servers.Reader.Psql("select count(*) from t") == "10");
        Assert.True(servers.Reader.Status().Applied < end);
        Assert.Equal("1000", Scalar(holder, "select count(*) from t"));

        // Overdue: the session is idle in its transaction, so it ends as on a hot standby.
        ClusterNode.Await("the vacuum to be applied", () => servers.Reader.Status().Applied >= end);
        NpgsqlException error = Assert.ThrowsAny<NpgsqlException>(() => Execute(holder, "select count(*) from t"));
        Assert.True(error is not PostgresException fatal || fatal.SqlState == "40001", error.ToString());
        Assert.NotEqual(System.Data.ConnectionState.Open, holder.State);
        Assert.Equal("10", servers.Reader.Psql("select count(*) from t"));
        servers.Reader.Stop();
    }

    /// <summary>Replay is held, so that a client meets a page from the future; then replay meets a VACUUM that removes what the client's snapshot needs.</summary>
    [SkippableFact]
    public async Task A_client_that_is_being_let_in_while_replay_needs_its_snapshot_waits_and_comes_in()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using var servers = new AttachFixture(["autovacuum = off"], ["--shared_buffers", "1MB"], standby: false);
        servers.Primary.PsqlFile("""
            create role late login superuser;
            create table t as select i from generate_series(1, 1000) i;
            create table big as select i, repeat('x', 200) s from generate_series(1, 20000) i;
            checkpoint;
            """);
        servers.StartReader();
        servers.CatchUp();
        using NpgsqlConnection session = Open(servers.Reader);
        Assert.Equal("20000", Scalar(session, "select count(*) from big"));
        Execute(session, "select pg_wal_replay_pause()");
        ClusterNode.Await("the pause", () => Scalar(session, "select pg_get_wal_replay_pause_state()") == "paused");
        servers.Primary.PsqlFile("""
            delete from t where i > 10;
            vacuum t;
            create role later login;
            checkpoint;
            """);

        // The page of pg_authid goes from the pool, and storage has a later one.
        Assert.Equal("20000", Scalar(session, "select count(*) from big"));
        int before = Sessions(servers.Reader);
        Task<string> late = Task.Run(() => Ask(servers.Reader.Port, "late", "select count(*) from t"));
        ClusterNode.Await("the client's session to begin", () => Sessions(servers.Reader) > before || late.IsCompleted);
        Execute(session, "select pg_wal_replay_resume()");
        Assert.Equal("10", await late.WaitAsync(ClusterNode.Patience));
        servers.CatchUp();
        servers.Reader.Stop();
    }

    private static int Sessions(ClusterNode node) =>
        Directory.GetFiles($"/proc/{node.ProcessId}/task", "comm", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 1 })
            .Count(f => File.ReadAllText(f).TrimEnd('\n') == "pg session");

    private static string Ask(int port, string user, string sql)
    {
        using var connection = new NpgsqlConnection($"Host=127.0.0.1;Port={port};Username={user};Database=postgres;Pooling=false;Server Compatibility Mode=NoTypeLoading;Timeout=60;Include Error Detail=true");
        connection.Open();
        return Scalar(connection, sql);
    }

    [SkippableFact]
    public void A_query_whose_table_was_truncated_or_dropped_fails_clearly()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        // A pool far smaller than the tables: what was read before is not there any more.
        using var servers = new AttachFixture(["autovacuum = off"], ["--shared_buffers", "1MB"], standby: false);
        servers.Primary.Psql("create table gone as select i, repeat('x', 200) s from generate_series(1, 20000) i");
        servers.Primary.Psql("create table cut as select i, repeat('x', 200) s from generate_series(1, 20000) i");
        servers.Primary.Psql("checkpoint");
        servers.StartReader();
        servers.CatchUp();
        using NpgsqlConnection holder = Open(servers.Reader);
        foreach ((string table, string change) in new[] { ("gone", "drop table gone"), ("cut", "truncate cut") })
        {
            Execute(holder, "begin isolation level repeatable read");
            Assert.Equal("1", Scalar(holder, $"select i from {table} limit 1"));
            servers.Primary.Psql(change);
            servers.CatchUp();
            PostgresException error = Assert.Throws<PostgresException>(() => Scalar(holder, $"select count(*) from {table}"));
            Assert.Equal("40001", error.SqlState);
            Execute(holder, "rollback");
        }

        servers.CatchUp();
        Assert.Equal("0", servers.Reader.Psql("select count(*) from cut"));
        Assert.Contains("42P01", servers.Reader.TryPsql("select count(*) from gone").Error, StringComparison.Ordinal);
        servers.Reader.Stop();
        Assert.Empty(servers.Complaints());
    }

    [SkippableFact]
    public void A_session_ends_with_its_database_and_the_server_may_be_killed_and_come_back()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using var servers = new AttachFixture(["autovacuum = off"], standby: false);
        servers.Primary.Psql("create database other");
        servers.Primary.Psql("create table t as select i from generate_series(1, 1000) i");
        servers.StartReader();
        servers.CatchUp();
        using (NpgsqlConnection session = Open(servers.Reader, "other"))
        {
            Assert.Equal("1", Scalar(session, "select 1"));
            servers.Primary.Psql("drop database other");
            servers.CatchUp();
            Assert.ThrowsAny<NpgsqlException>(() => Scalar(session, "select 1"));
        }

        servers.Primary.Psql("insert into t select i from generate_series(1, 500) i");
        servers.Primary.Kill();
        servers.Primary.Start();
        servers.Primary.Psql("insert into t select i from generate_series(1, 500) i");
        servers.CatchUp();
        Assert.Equal("2000", servers.Reader.Psql("select count(*) from t"));
        servers.Reader.Stop();
    }

    [SkippableFact]
    public void Replay_is_paused_and_resumed_and_what_an_attached_reader_cannot_do_is_refused()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using var servers = new AttachFixture(["autovacuum = off"], standby: true);
        servers.Primary.Psql("create table t as select i from generate_series(1, 10) i");
        servers.Primary.Psql("create unlogged table u (i int)");
        servers.StartReader();
        servers.CatchUp();
        ClusterNode reader = servers.Reader;
        Assert.Equal("attached", reader.Status().State);
        Assert.False(reader.Status().Promotable);
        Assert.Throws<SharedStorage.Control.Grpc.RpcException>(() => reader.Promote());
        Assert.Contains("cannot access temporary or unlogged relations during recovery", reader.TryPsql("select * from u").Error, StringComparison.Ordinal);
        Assert.Contains("25006", reader.TryPsql("insert into t values (1)").Error, StringComparison.Ordinal);
        Assert.Equal("10", reader.Psql("select count(*) from t"));
        Assert.Equal("t|f|not paused", reader.Psql("select pg_is_in_recovery(), pg_is_wal_replay_paused(), pg_get_wal_replay_pause_state()"));
        reader.Psql("select pg_wal_replay_pause()");
        ClusterNode.Await("the pause", () => reader.Psql("select pg_get_wal_replay_pause_state()") == "paused");
        servers.Primary.Psql("insert into t values (11)");
        ulong end = AttachFixture.Lsn(servers.Primary.Psql("select pg_current_wal_flush_lsn()"));
        ClusterNode.Await("the log to be received", () => AttachFixture.Lsn(reader.Psql("select pg_last_wal_receive_lsn()")) >= end);
        Assert.Equal("10", reader.Psql("select count(*) from t"));
        reader.Psql("select pg_wal_replay_resume()");
        servers.CatchUp();
        Assert.Equal("11", reader.Psql("select count(*) from t"));
        reader.Stop();

        var onStandby = new ClusterNode("onstandby", servers.StandbyDirectory, reader.LocalDirectory, reader.Port, reader.ControlPort);
        onStandby.Launch("reader", "--port", $"{reader.Port}", "--sharedstorage.attach", "on");
        (int code, string log) = onStandby.WaitForEnd();
        Assert.Equal(1, code);
        Assert.Contains("a reader attaches to that of a primary only", log, StringComparison.Ordinal);

        servers.Primary.Stop();
        servers.Primary.Start("wal_level=minimal", "max_wal_senders=0");
        servers.LaunchReader();
        (code, log) = reader.WaitForEnd();
        Assert.Equal(1, code);
        Assert.Contains("WAL was generated with wal_level=minimal", log, StringComparison.Ordinal);
    }

    internal static NpgsqlConnection Open(ClusterNode node, string database = "postgres") => Open(node.Port, database);

    internal static NpgsqlConnection Open(int port, string database = "postgres")
    {
        var connection = new NpgsqlConnection(
            $"Host=127.0.0.1;Port={port};Username=postgres;Database={database};Pooling=false;Server Compatibility Mode=NoTypeLoading;Timeout=60;Command Timeout=60;Include Error Detail=true");
        connection.Open();
        return connection;
    }

    internal static void Execute(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        command.ExecuteNonQuery();
    }

    internal static string Scalar(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection) { AllResultTypesAreUnknown = true };
        return (string)command.ExecuteScalar()!;
    }
}
