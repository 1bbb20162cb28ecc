using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>SIGKILL of the writer under load: nothing acknowledged is lost, nothing is there twice, nothing is torn.</summary>
public sealed class KillTests
{
    [SkippableFact]
    public void Three_kills_under_load_lose_nothing_and_PostgreSQL_accepts_the_result()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        int seed = Environment.TickCount;
        ClusterFixture.Run(0, cluster =>
        {
            cluster.Note($"seed {seed}");
            var random = new Random(seed);
            var load = new AcknowledgedLoad();
            cluster.Writer.Start("writer");
            for (int round = 0; round < 3; round++)
            {
                KillUnderLoad(cluster, load, random);
                cluster.Note($"round {round}: killed after {load.Count} acknowledged rows");
                cluster.Writer.Start("writer");
                load.Check(cluster.Writer.Psql);
                ClusterFixture.Sums(cluster.Writer);
            }

            cluster.Writer.Psql("checkpoint");
            cluster.Writer.Stop();
            cluster.Judge(clean: true, stock => load.Check(s => stock.Psql(s)));
        });
    }

    [SkippableFact]
    public void PostgreSQL_recovers_by_itself_what_a_killed_writer_left()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        int seed = Environment.TickCount;
        ClusterFixture.Run(0, cluster =>
        {
            cluster.Note($"seed {seed}");
            var load = new AcknowledgedLoad();
            cluster.Writer.Start("writer");
            KillUnderLoad(cluster, load, new Random(seed));
            Assert.Equal("in production", cluster.ControlState());
            cluster.Judge(clean: false, stock => load.Check(s => stock.Psql(s)));
        });
    }

    /// <summary>pgbench and counting clients at once; the kill comes between 0.5 and 2.5 s after the first rows are acknowledged.</summary>
    internal static void KillUnderLoad(ClusterFixture cluster, AcknowledgedLoad load, Random random)
    {
        Task<(int, string)> bench = Task.Run(() => cluster.Writer.Pgbench("-c", "6", "-j", "2", "-T", "30", "-M", "prepared"));
        load.Begin(cluster.Writer, 4);
        load.WaitForMore(50);
        Thread.Sleep(random.Next(500, 2500));
        Assert.False(bench.IsCompleted, "pgbench ended before the kill");
        cluster.Writer.Kill();
        load.Join();
        bench.GetAwaiter().GetResult();
    }
}
