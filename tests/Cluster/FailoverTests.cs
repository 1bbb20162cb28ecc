using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using SharedStorage.Control.V1;
using SharedStorage.Primitives;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>The writer dies under load and a reader takes over in place; the others follow, and the old writer comes back as a reader.</summary>
public sealed class FailoverTests
{
    [SkippableFact]
    public void A_promoted_reader_goes_on_with_everything_acknowledged_and_the_others_follow()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        int seed = Environment.TickCount;
        ClusterFixture.Run(2, cluster =>
        {
            cluster.Note($"seed {seed}");
            (ClusterNode former, ClusterNode promoted, ClusterNode follower) = (cluster.Nodes[0], cluster.Nodes[1], cluster.Nodes[2]);
            cluster.StartAll();
            var load = new AcknowledgedLoad();
            Task<(int, string)> selects = Task.Run(() => follower.Pgbench("-S", "-c", "2", "-T", "10", "-M", "prepared"));
            KillTests.KillUnderLoad(cluster, load, new Random(seed));
            Assert.Equal("in production", cluster.ControlState());

            PromoteReply reply = promoted.Promote();
            Assert.Equal(2u, reply.Timeline);
            Assert.Equal("in production", cluster.ControlState());
            load.Check(promoted.Psql);
            ClusterFixture.Sums(promoted);

            load.Begin(promoted, 2);
            former.Start("reader");
            PgbenchTests.Expect(promoted.Pgbench("-c", "8", "-j", "2", "-T", "2", "-M", "prepared"));
            load.Stop();
            PgbenchTests.Expect(selects.GetAwaiter().GetResult());
            string sums = ClusterFixture.Sums(promoted);
            foreach (ClusterNode reader in new[] { follower, former })
            {
                reader.CatchUpWith(promoted);
                Assert.Equal(sums, ClusterFixture.Sums(reader));
                load.Check(reader.Psql);
                Assert.Equal("reader", reader.Status().Role);
            }

            Assert.Equal("in production", cluster.ControlState());
            Waldump(cluster, new Lsn(reply.SwitchLsn), new Lsn(promoted.Status().Flushed));
            follower.Stop();
            former.Stop();
            promoted.Stop();
            Assert.Equal("shut down", cluster.ControlState());
            cluster.Judge(clean: true, stock =>
            {
                Assert.Equal(sums, ClusterFixture.Sums(s => stock.Psql(s)));
                load.Check(s => stock.Psql(s));
            });
        });
    }

    [SkippableFact]
    public void A_reader_that_is_killed_in_the_middle_of_its_promotion_leaves_the_last_writers_checkpoint_in_the_control_file()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            (ClusterNode former, ClusterNode promoted) = (cluster.Nodes[0], cluster.Nodes[1]);
            former.Start("writer");
            promoted.Start("reader", "--sharedstorage.fault_points", "checkpoint-before-record=kill");
            for (int i = 0; i < 3; i++)
            {
                // The reader began before all of these.
                former.Psql("UPDATE pgbench_accounts SET filler = filler WHERE aid < 2000");
                former.Psql("CHECKPOINT");
            }

            former.Psql("INSERT INTO acknowledged VALUES (1)");
            promoted.CatchUpWith(former);
            former.Kill();
            Lsn last = CheckpointOf(cluster);
            _ = Assert.ThrowsAny<Exception>(() =>
            {
                promoted.Promote();
                promoted.Psql("CHECKPOINT");
            });
            promoted.WaitForEnd();
            Assert.Equal("in production", cluster.ControlState());
            Assert.Equal(last, CheckpointOf(cluster));
            cluster.Judge(clean: false, stock => Assert.Equal("1", stock.Psql("SELECT count(*) FROM acknowledged")));
        });
    }

    private static Lsn CheckpointOf(ClusterFixture cluster) => Lsn.Parse(
        cluster.ControlData().Split('\n').Single(l => l.StartsWith("Latest checkpoint location:", StringComparison.Ordinal)).Split(':', 2)[1].Trim());

    [SkippableFact]
    public void The_scripts_make_a_cluster_and_fail_it_over()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Skip.IfNot(File.Exists(Path.Combine(RepositoryRoot.Path, "out", "sharedstorage")), "out/ is not built: scripts/build.sh");
        string root = StockPostgres.NewRoot();
        string directory = Path.Combine(root, "cluster");
        StockPostgres.Run("mkdir", [directory]);
        try
        {
            Script("cluster.sh", "init", directory, "--readers", "2", "--data", ClusterFixture.TemplateDirectory);
            Script("cluster.sh", "start", directory);
            Script("cluster.sh", "psql", directory, "writer", "-c", "insert into acknowledged values (1)", "postgres");
            Script("cluster.sh", "kill", directory, "writer");
            string said = Script("failover.sh", directory);
            Match now = Regex.Match(said, @"^node (reader\d+) is the writer now", RegexOptions.Multiline);
            Assert.True(now.Success, said);
            string promoted = now.Groups[1].Value;
            Script("cluster.sh", "psql", directory, promoted, "-c", "insert into acknowledged values (2)", "postgres");
            Assert.Contains("no promotion is needed", Script("failover.sh", directory), StringComparison.Ordinal);
            string status = Script("cluster.sh", "status", directory, "--json");
            Assert.Contains("\"promotable\"", status, StringComparison.Ordinal);
            string rows = Script("cluster.sh", "psql", directory, promoted, "-Atc", "select count(*), count(distinct id) from acknowledged", "postgres");
            Assert.Equal("2|2", rows.Trim());
            Script("cluster.sh", "stop", directory);
        }
        finally
        {
            foreach (string identity in Directory.GetFiles(directory, "process", SearchOption.AllDirectories))
            {
                // Only what still is the node that wrote the file: its working command names this cluster's folder.
                string pid = File.ReadAllText(identity).Split(' ')[0];
                if (File.Exists($"/proc/{pid}/cmdline") && File.ReadAllText($"/proc/{pid}/cmdline").Contains(directory, StringComparison.Ordinal))
                {
                    StockPostgres.Run("/bin/kill", ["-KILL", pid], asCaller: true);
                }
            }

            Directory.Delete(root, recursive: true);
        }
    }

    internal static string Script(string name, params string[] arguments)
    {
        var info = new ProcessStartInfo("bash", [Path.Combine(RepositoryRoot.Path, "scripts", name), .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(info)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, string.Create(CultureInfo.InvariantCulture, $"{name} {string.Join(' ', arguments)} ended with {process.ExitCode}: {output}{error.Result}"));
        return output;
    }

    private static void Waldump(ClusterFixture cluster, Lsn from, Lsn to)
    {
        string records = StockPostgres.Tool("pg_waldump", "-p", Path.Combine(cluster.DataDirectory, "pg_wal"), "-t", "2", "-s", from.ToString(), "-e", to.ToString());
        Assert.Contains("END_OF_RECOVERY", records, StringComparison.Ordinal);
        Assert.Contains("COMMIT", records, StringComparison.Ordinal);
    }
}
