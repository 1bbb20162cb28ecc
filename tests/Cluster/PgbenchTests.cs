using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>The main job: stock pgbench on the writer, its select-only script on two readers meanwhile.</summary>
public sealed class PgbenchTests
{
    public static readonly string[] Modes = ["simple", "extended", "prepared"];
    public static readonly string[] Scripts = ["tpcb-like", "simple-update", "select-only"];

    [SkippableFact]
    public void All_modes_and_scripts_run_without_an_error_and_the_sums_agree_on_every_node()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(2, cluster =>
        {
            cluster.StartAll();
            Task<(int, string)>[] selects = [.. cluster.Readers.Select((r, i) => Task.Run(() => r.Pgbench("-S", "-c", "2", "-T", "12", "-M", i == 0 ? "prepared" : "extended")))];
            foreach (string mode in Modes)
            {
                foreach (string script in Scripts)
                {
                    string seconds = script == "tpcb-like" ? "2" : "1";
                    Expect(cluster.Writer.Pgbench("-b", script, "-M", mode, "-c", "8", "-j", "2", "-T", seconds));
                }
            }

            Expect(cluster.Writer.Pgbench("-S", "-c", "2", "-t", "5", "-C", "-M", "simple"));
            foreach (Task<(int, string)> s in selects)
            {
                Expect(s.GetAwaiter().GetResult());
            }

            // A simple update changes accounts and history only, so only those two stay equal with it.
            string balances = "select (select sum(abalance) from pgbench_accounts), (select sum(delta) from pgbench_history), (select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches)";
            string written = cluster.Writer.Psql(balances);
            string[] parts = written.Split('|');
            Assert.Equal(parts[0], parts[1]);
            Assert.Equal(parts[2], parts[3]);
            foreach (ClusterNode reader in cluster.Readers)
            {
                reader.CatchUpWith(cluster.Writer);
                Assert.Equal(written, reader.Psql(balances));
            }

            cluster.StopAll();
            Assert.Equal("shut down", cluster.ControlState());
        });
    }

    [SkippableFact]
    public void After_a_clean_stop_PostgreSQL_carries_on_and_then_ours_again()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(0, cluster =>
        {
            cluster.Writer.Start("writer");
            Expect(cluster.Writer.Pgbench("-c", "8", "-j", "2", "-T", "2", "-M", "prepared"));
            string sums = ClusterFixture.Sums(cluster.Writer);
            cluster.Writer.Stop();
            cluster.Judge(clean: true, stock =>
            {
                Assert.Equal(sums, ClusterFixture.Sums(s => stock.Psql(s)));
                stock.Pgbench("-n", "-c", "8", "-j", "2", "-T", "2", "-M", "prepared");
                sums = ClusterFixture.Sums(s => stock.Psql(s));
            });
            cluster.Writer.Start("writer");
            Assert.Equal(sums, ClusterFixture.Sums(cluster.Writer));
            Expect(cluster.Writer.Pgbench("-c", "8", "-j", "2", "-t", "20"));
            ClusterFixture.Sums(cluster.Writer);
            cluster.Writer.Stop();
        });
    }

    internal static void Expect((int ExitCode, string Output) run) =>
        Assert.True(run.ExitCode == 0 && !run.Output.Contains("ERROR", StringComparison.Ordinal), run.Output);
}
