using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>In from PostgreSQL: the writer opens what stock PostgreSQL left, however it left it.</summary>
public sealed class FromPostgresTests
{
    [SkippableFact]
    public void A_directory_left_by_SIGKILL_in_the_middle_of_pgbench_is_recovered_and_goes_on()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            using (StockPostgres stock = StockPostgres.Adopt(cluster.DataDirectory))
            {
                stock.Start();
                Task bench = Task.Run(() => StockPostgres.TryTool(
                    "pgbench", "-n", "-h", "127.0.0.1", "-p", $"{stock.Port}", "-U", "postgres", "-c", "8", "-j", "2", "-T", "30", "-M", "prepared", "postgres"));
                ClusterNode.Await("transactions", () => long.Parse(stock.Psql("select count(*) from pgbench_history"), System.Globalization.CultureInfo.InvariantCulture) > 1000);
                stock.Kill();
                bench.GetAwaiter().GetResult();
            }

            cluster.StartAll();
            string sums = ClusterFixture.Sums(cluster.Writer);
            Assert.True(long.Parse(sums.Split('|')[4], System.Globalization.CultureInfo.InvariantCulture) > 1000, sums);
            PgbenchTests.Expect(cluster.Writer.Pgbench("-c", "8", "-j", "2", "-T", "2", "-M", "prepared"));
            foreach (ClusterNode reader in cluster.Readers)
            {
                reader.CatchUpWith(cluster.Writer);
                Assert.Equal(ClusterFixture.Sums(cluster.Writer), ClusterFixture.Sums(reader));
            }

            cluster.StopAll();
            cluster.Judge(clean: true);
        });
    }
}
