using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;
using SharedStorage.Primitives;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>
/// Two failovers in a row under load, by <c>failover.sh</c>: each time the reader that is further in the log takes over, with its process, sessions and pages; the other one follows in place, and the
/// dead writer comes back as a reader.
/// </summary>
public sealed class DoubleFailoverTests
{
    [SkippableFact]
    public void The_fitter_reader_takes_over_with_its_sessions_and_pages_and_the_other_follows_twice_in_a_row()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Skip.IfNot(File.Exists(Path.Combine(RepositoryRoot.Path, "out", "sharedstorage")), "out/ is not built: scripts/build.sh");
        ClusterFixture.Run(2, cluster =>
        {
            cluster.StartAll();
            foreach (ClusterNode node in cluster.Nodes)
            {
                // As cluster.sh leaves it, by the user of the nodes.
                StockPostgres.Run("/bin/sh", ["-c", "echo \"$1\" > \"$2\"", "sh", node == cluster.Writer ? "writer" : "reader", Path.Combine(node.LocalDirectory, "role")]);
            }

            var poller = new ReaderPoller();
            poller.Begin(cluster.Nodes);
            var load = new AcknowledgedLoad();
            ClusterNode writer = cluster.Writer;
            for (int round = 0; round < 2; round++)
            {
                writer = FailOver(cluster, writer, [.. cluster.Nodes.Where(n => n != writer)], load);
                poller.Check();
            }

            poller.End();
            Assert.True(poller.Looks > 10, "the readers were not looked at");
            foreach (ClusterNode node in cluster.Nodes.Where(n => n != writer).Append(writer))
            {
                StopByIdentity(node);
            }

            Assert.Equal("shut down", cluster.ControlState());
            cluster.Judge(clean: true, stock => load.Check(s => stock.Psql(s)));
        });
    }

    private static ClusterNode FailOver(ClusterFixture cluster, ClusterNode writer, ClusterNode[] readers, AcknowledgedLoad load)
    {
        // Each session has something of its own: a setting that only it has.
        using NpgsqlConnection first = Open(readers[0]);
        Say(first, "set work_mem = '777kB'");
        using NpgsqlConnection second = Open(readers[1]);
        Say(second, "set work_mem = '888kB'");
        int[] processes = [.. readers.Select(r => r.ProcessId)];

        Task<(int, string)> bench = Task.Run(() => writer.Pgbench("-c", "4", "-j", "1", "-T", "60", "-M", "prepared"));
        load.Begin(writer, 2);
        load.WaitForMore(50);
        readers[1].Signal("STOP");
        try
        {
            ulong behind = writer.ReaderStatus(readers[1].Name).Applied;
            ClusterNode.Await("the other reader to be ahead", () => readers[0].Status().Applied > behind + 10_000);
            load.WaitForMore(20);
            SignalAndAwaitEnd(writer, "KILL");
        }
        finally
        {
            readers[1].Signal("CONT");
        }

        load.Join();
        bench.GetAwaiter().GetResult();

        // The one that stood still may have the writer's last words waiting for it, and pass the other one.
        ulong[] applied = [.. readers.Select(r => r.Status().Applied)];
        string said = FailoverTests.Script("failover.sh", cluster.Root);
        Match picked = Regex.Match(said, @"node (\w+) is the fittest reader \(applied ([0-9A-F/]+)\)");
        Assert.True(picked.Success, said);
        int fittest = Array.FindIndex(readers, r => r.Name == picked.Groups[1].Value);
        (ClusterNode fitter, ClusterNode other) = (readers[fittest], readers[1 - fittest]);
        Assert.True(Lsn.Parse(picked.Groups[2].Value).Value >= applied[1 - fittest], $"{said}\n{other.Name} had applied {new Lsn(applied[1 - fittest])}");
        Assert.Matches(new Regex($"^node {fitter.Name} is the writer now", RegexOptions.Multiline), said);
        (NpgsqlConnection session, NpgsqlConnection beside) = fittest == 0 ? (first, second) : (second, first);
        string[] own = ["777kB", "888kB"];

        Assert.Equal(processes[fittest], fitter.ProcessId);
        Assert.Equal(own[fittest], Say(session, "show work_mem"));
        load.Check(fitter.Psql);

        // Its pages are still in memory: another look at a table of 13 MB takes next to nothing from storage.
        ClusterFixture.Sums(fitter);
        long before = BytesRead(fitter);
        Assert.Equal("100000", Say(session, "select count(*)::text from pgbench_accounts"));
        Assert.InRange(BytesRead(fitter) - before, 0, 4 << 20);
        Say(session, "insert into acknowledged values (-1)");
        Say(session, "delete from acknowledged where id = -1");

        load.Begin(fitter, 2);
        load.WaitForMore(20);
        load.Stop();
        string sums = ClusterFixture.Sums(fitter);
        foreach (ClusterNode reader in new[] { other, writer })
        {
            ClusterNode.Await($"{reader.Name} to answer", () => reader.TryPsql("select 1").ExitCode == 0);
            reader.CatchUpWith(fitter);
            Assert.Equal("reader", reader.Status().Role);
            Assert.Equal(sums, ClusterFixture.Sums(reader));
            load.Check(reader.Psql);
        }

        Assert.Equal(processes[1 - fittest], other.ProcessId);
        Assert.Equal(own[1 - fittest], Say(beside, "show work_mem"));
        return fitter;
    }

    private static long BytesRead(ClusterNode node) => long.Parse(
        File.ReadLines($"/proc/{node.ProcessId}/io").First(l => l.StartsWith("rchar:", StringComparison.Ordinal))["rchar:".Length..], CultureInfo.InvariantCulture);

    private static NpgsqlConnection Open(ClusterNode node)
    {
        var connection = new NpgsqlConnection(AcknowledgedLoad.ConnectionString(node.Port));
        connection.Open();
        return connection;
    }

    private static string? Say(NpgsqlConnection session, string sql)
    {
        using var command = new NpgsqlCommand(sql, session);
        return command.ExecuteScalar()?.ToString();
    }

    private static void StopByIdentity(ClusterNode node) => SignalAndAwaitEnd(node, "TERM");

    /// <summary>Of whichever process the node is now: failover.sh starts nodes too.</summary>
    private static void SignalAndAwaitEnd(ClusterNode node, string signal)
    {
        string process = $"/proc/{node.ProcessId}/exe";
        node.Signal(signal);
        ClusterNode.Await($"{node.Name} to end", () => new FileInfo(process).LinkTarget is null);
    }
}
