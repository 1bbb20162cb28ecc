using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Npgsql;
using SharedStorage.Io;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>
/// Disks that are full, and have room again: for data, for the log, for all of shared storage, for a node's own files. Clear errors, nothing acknowledged is lost, back without a hand's help.
/// The long form is scripts/full-disk.sh.
/// </summary>
public sealed class FullDiskTests
{
    private const string NoLoopDisks = "no filesystem can be mounted here (it takes root and loop devices)";
    private const int Megabyte = 1 << 20;

    [SkippableFact]
    public void A_full_disk_for_data_fails_the_statement_that_needs_room_and_nothing_else()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Skip.IfNot(LoopDisk.IsPossible, NoLoopDisks);
        ClusterFixture.Run(1, cluster =>
        {
            using LoopDisk disk = LoopDisk.MountOver(Path.Combine(cluster.DataDirectory, "base"), 160);
            cluster.StartAll();
            ClusterNode writer = cluster.Writer;
            writer.Psql("create table filling (id int, t text)");
            var load = new AcknowledgedLoad();
            disk.Fill(leave: 6 * Megabyte);
            (int code, string output, string error) = Say(writer, "insert into filling select i, repeat('x', 500) from generate_series(1, 100000) i", "select count(*) from filling");
            Assert.Matches("ERROR:  53100: could not extend file \"base/[0-9]+/[0-9]+\": No space left on device\nHINT:  Check free disk space.", error);

            // The session lives, and nothing of the statement is there.
            Assert.Equal((0, "0"), (code, output.Trim()));

            // Up to the last block.
            disk.Fill();
            PgbenchTests.Expect(writer.Pgbench("-S", "-c", "2", "-t", "20"));
            writer.Psql("update pgbench_branches set bbalance = bbalance");
            writer.Psql("checkpoint");
            cluster.Readers.First().CatchUpWith(writer);
            ClusterFixture.Sums(cluster.Readers.First());
            (code, _, error) = writer.TryPsql("insert into filling select i, repeat('x', 500) from generate_series(1, 100000) i");
            Assert.NotEqual(0, code);
            Assert.Contains("53100", error, StringComparison.Ordinal);

            disk.Free();
            writer.Psql("insert into filling select i, repeat('x', 500) from generate_series(1, 1000) i");
            load.Begin(writer, 2);
            load.WaitForMore(20);
            load.Stop();
            load.Check(writer.Psql);
            cluster.Readers.First().CatchUpWith(writer);
            Assert.Equal("1000", cluster.Readers.First().Psql("select count(*) from filling"));
            cluster.StopAll();
            cluster.Judge(clean: true, stock => load.Check(s => stock.Psql(s)));
        });
    }

    [SkippableFact]
    public void A_full_disk_for_the_log_makes_changes_wait_until_there_is_room()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Skip.IfNot(LoopDisk.IsPossible, NoLoopDisks);
        ClusterFixture.Run(1, cluster =>
        {
            using LoopDisk disk = LoopDisk.MountOver(Path.Combine(cluster.DataDirectory, "pg_wal"), 160);
            cluster.StartAll();
            (ClusterNode writer, ClusterNode reader) = (cluster.Writer, cluster.Readers.First());
            AcknowledgedLoad load = FillTheLog(cluster, disk, out Task<(int, string, string)> changes);

            // Reads, logins and the reader go on.
            Assert.Equal("1", writer.Psql("select count(*) from pgbench_branches"));
            ClusterFixture.Sums(reader);
            using (NpgsqlConnection session = Open(writer))
            {
                Execute(session, "set statement_timeout = 300");
                PostgresException late = Assert.Throws<PostgresException>(() => Execute(session, "insert into acknowledged values (-1)"));
                Assert.Equal("57014", late.SqlState);
                Execute(session, "begin");
                Execute(session, "set local statement_timeout = 0");
                Task<int> waits = Task.Run(() => Execute(session, "insert into acknowledged values (-2)"));
                Assert.Equal("t", writer.Psql($"select pg_cancel_backend({session.ProcessID.ToString(CultureInfo.InvariantCulture)})"));
                Assert.Equal("57014", Assert.Throws<PostgresException>(() => waits.GetAwaiter().GetResult()).SqlState);
                Execute(session, "rollback");
            }

            ulong renewals = Renewal(cluster);
            ClusterNode.Await("ten renewals of the lease", () => Renewal(cluster) >= renewals + 10);
            Assert.Equal("writer", writer.Status().Role);

            disk.Free();
            load.WaitForMore(20);
            load.Stop();
            changes.GetAwaiter().GetResult();
            Assert.Contains("the log no longer waits for room", writer.Log, StringComparison.Ordinal);
            Assert.Equal(1, Count(writer.Log, "the log waits for room"));
            load.Check(writer.Psql);
            Assert.Equal("0", writer.Psql("select count(*) from acknowledged where id < 0"));
            reader.CatchUpWith(writer);
            Assert.Equal(ClusterFixture.Sums(writer), ClusterFixture.Sums(reader));
            load.Check(reader.Psql);
            cluster.StopAll();
            cluster.Judge(clean: true, stock => load.Check(s => stock.Psql(s)));
        });
    }

    [SkippableFact]
    public void A_writer_whose_log_waits_for_room_can_be_stopped_and_has_lost_nothing()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Skip.IfNot(LoopDisk.IsPossible, NoLoopDisks);
        ClusterFixture.Run(0, cluster =>
        {
            using LoopDisk disk = LoopDisk.MountOver(Path.Combine(cluster.DataDirectory, "pg_wal"), 160);
            cluster.StartAll();
            AcknowledgedLoad load = FillTheLog(cluster, disk, out Task<(int, string, string)> changes);
            cluster.Writer.Signal("TERM");
            (int code, string log) = cluster.Writer.WaitForEnd();
            Assert.NotEqual(0, code);
            Assert.Contains("No space left on device", log, StringComparison.Ordinal);
            changes.GetAwaiter().GetResult();
            load.Stop();
            disk.Free();
            cluster.Writer.Start("writer");
            load.Check(cluster.Writer.Psql);
            ClusterFixture.Sums(cluster.Writer);
            cluster.StopAll();
            cluster.Judge(clean: true, stock => load.Check(s => stock.Psql(s)));
        });
    }

    [SkippableFact]
    [Trait("Category", "Long")]
    public void Shared_storage_that_is_full_to_the_last_block_does_not_cost_the_writer_its_lease()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Skip.IfNot(LoopDisk.IsPossible, NoLoopDisks);
        ClusterFixture.Run(1, cluster =>
        {
            using LoopDisk disk = LoopDisk.MountOver(cluster.DataDirectory, 300);
            cluster.StartAll();
            (ClusterNode writer, ClusterNode reader) = (cluster.Writer, cluster.Readers.First());
            writer.Psql("create table filling (id int, t text)");

            // The files of cluster/ are there from the first checkpoint on, and have their room.
            writer.Psql("checkpoint");
            disk.Fill();
            ulong renewals = Renewal(cluster);
            ClusterNode.Await("ten renewals of the lease", () => Renewal(cluster) >= renewals + 10);

            // Pages and log that have their room already are written; so is a checkpoint.
            writer.Psql("update pgbench_tellers set tbalance = tbalance");
            writer.Psql("checkpoint");
            (int code, _, string error) = writer.TryPsql("insert into filling select i, repeat('x', 500) from generate_series(1, 100000) i");
            Assert.NotEqual(0, code);
            Assert.Contains("53100", error, StringComparison.Ordinal);
            reader.CatchUpWith(writer);
            Assert.Equal(ClusterFixture.Sums(writer), ClusterFixture.Sums(reader));

            disk.Free();
            writer.Psql("insert into filling select i, repeat('x', 500) from generate_series(1, 1000) i");
            writer.Psql("checkpoint");
            reader.CatchUpWith(writer);
            Assert.Equal("1000", reader.Psql("select count(*) from filling"));
            cluster.StopAll();
            cluster.Judge(clean: true);
        });
    }

    [SkippableFact]
    public void A_full_local_disk_fails_the_queries_that_spill_and_nothing_else()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Skip.IfNot(LoopDisk.IsPossible, NoLoopDisks);
        const string spilling = "set work_mem = '64kB'; select aid, bid from pgbench_accounts order by aid % 1009, aid desc offset 60000 limit 1";
        ClusterFixture.Run(1, cluster =>
        {
            // Configuration, log, temporary files and the spilled index of the log: all that is the node's own.
            using LoopDisk writers = LoopDisk.MountOver(cluster.Writer.LocalDirectory, 16);
            using LoopDisk readers = LoopDisk.MountOver(cluster.Readers.First().LocalDirectory, 16);
            cluster.StartAll();
            string[] right = [.. cluster.Nodes.Select(n => n.Psql(spilling))];
            writers.Fill();
            readers.Fill();
            foreach (ClusterNode node in cluster.Nodes)
            {
                (int code, _, string error) = node.TryPsql(spilling);
                Assert.NotEqual(0, code);
                Assert.Contains("53100", error, StringComparison.Ordinal);
                Assert.Contains("No space left on device", error, StringComparison.Ordinal);
                Assert.Empty(Directory.GetFiles(Path.Combine(node.LocalDirectory, "temp")));
            }

            var load = new AcknowledgedLoad();
            load.Begin(cluster.Writer, 2);
            PgbenchTests.Expect(cluster.Writer.Pgbench("-c", "2", "-t", "100"));
            load.WaitForMore(20);
            load.Stop();
            cluster.Writer.Psql("checkpoint");
            cluster.Readers.First().CatchUpWith(cluster.Writer);
            load.Check(cluster.Readers.First().Psql);
            writers.Free();
            readers.Free();
            Assert.Equal(right, cluster.Nodes.Select(n => n.Psql(spilling)));
            cluster.StopAll();
            cluster.Judge(clean: true, stock => load.Check(s => stock.Psql(s)));
        });
    }

    /// <summary>Load until the log waits for room: clients that count what was acknowledged, and large changes beside them.</summary>
    private static AcknowledgedLoad FillTheLog(ClusterFixture cluster, LoopDisk disk, out Task<(int, string, string)> changes)
    {
        ClusterNode writer = cluster.Writer;
        var load = new AcknowledgedLoad();
        load.Begin(writer, 4);
        load.WaitForMore(20);
        disk.Fill(leave: 20 * Megabyte);
        changes = Task.Run(() => writer.TryPsql("update pgbench_accounts set filler = 'x'; update pgbench_accounts set filler = 'y'; update pgbench_accounts set filler = 'z'"));
        ClusterNode.Await("the log to wait for room", () => writer.Log.Contains("the log waits for room", StringComparison.Ordinal));
        return load;
    }

    /// <summary>The counter in the writer's lease file.</summary>
    private static ulong Renewal(ClusterFixture cluster)
    {
        string lease = Encoding.UTF8.GetString(DurableFile.TryRead(Path.Combine(cluster.DataDirectory, "cluster", "lease"))!);
        return ulong.Parse(Regex.Match(lease, "^renewal ([0-9]+)$", RegexOptions.Multiline).Groups[1].Value, CultureInfo.InvariantCulture);
    }

    private static int Count(string text, string what) => text.Split(what).Length - 1;

    private static NpgsqlConnection Open(ClusterNode node)
    {
        var connection = new NpgsqlConnection(AcknowledgedLoad.ConnectionString(node.Port));
        connection.Open();
        return connection;
    }

    private static int Execute(NpgsqlConnection session, string sql)
    {
        using var command = new NpgsqlCommand(sql, session);
        return command.ExecuteNonQuery();
    }

    /// <summary>Several statements in one session that goes on after an error.</summary>
    private static (int ExitCode, string Output, string Error) Say(ClusterNode node, params string[] statements) => StockPostgres.TryTool(
        "psql",
        ["-X", "-A", "-t", "-q", "-v", "VERBOSITY=verbose", "-h", "127.0.0.1", "-p", node.Port.ToString(CultureInfo.InvariantCulture), "-U", "postgres", "-d", "postgres", .. statements.SelectMany(s => new[] { "-c", s })]);
}
