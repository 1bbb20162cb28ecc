using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>Nodes whose index of the log has so little memory that it goes to local disk all the time. The long form is scripts/spill-rounds.sh.</summary>
public sealed class LogIndexSpillTests
{
    private const string Setting = "sharedstorage.log_index_size = '64kB'";

    private static readonly TimeSpan Load = TimeSpan.FromSeconds(10);
    private const int EnoughLooks = 10;
    private const int EnoughSpills = 2;

    [SkippableFact]
    public void Readers_that_spill_all_the_time_give_right_answers()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(
            2,
            cluster =>
            {
                cluster.StartAll();
                cluster.Writer.Psql("create table churn (k int primary key, a int)");
                cluster.Writer.Psql("create index churn_a on churn (a)");
                cluster.Writer.Psql("insert into churn select i, (i * 7919) % 1000 from generate_series(1, 5000) i");
                using PgbenchRun load = PgbenchRun.Begin(cluster.Writer, "-c", "4", "-j", "1", "-M", "prepared");
                var clock = Stopwatch.StartNew();
                int looks = 0;
                for (int round = 1; clock.Elapsed < Load || looks <= EnoughLooks || cluster.Readers.Any(r => Spills(r) < EnoughSpills); round++)
                {
                    Assert.True(clock.Elapsed < Load + ClusterNode.Patience, $"{looks} looks, spills: {string.Join(", ", cluster.Readers.Select(Spills))}: there was too little to see");
                    string n = round.ToString(CultureInfo.InvariantCulture);
                    cluster.Writer.Psql($"update churn set a = (a + {n}) % 1000 where k % 50 = {n} % 50");
                    if (round % 5 == 0)
                    {
                        cluster.Writer.Psql(round % 10 == 0 ? "vacuum churn" : "vacuum");
                    }

                    foreach (ClusterNode reader in cluster.Readers)
                    {
                        Look(reader, round);
                        looks++;
                    }
                }

                load.End();
                string sums = ClusterFixture.Sums(cluster.Writer);
                foreach (ClusterNode reader in cluster.Readers)
                {
                    reader.CatchUpWith(cluster.Writer);
                    Assert.Equal(sums, ClusterFixture.Sums(reader));
                    Look(reader, looks);
                    Assert.Empty(Directory.GetFiles(Path.Combine(reader.LocalDirectory, "log_index")));
                }

                cluster.StopAll();
                cluster.Judge(clean: true);
            },
            null,
            Setting);
    }

    [SkippableFact]
    public void Recovery_and_promotion_with_an_index_on_disk_lose_nothing()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        int seed = Environment.TickCount;
        ClusterFixture.Run(
            1,
            cluster =>
            {
                cluster.Note($"seed {seed}");
                var random = new Random(seed);
                var load = new AcknowledgedLoad();
                ClusterNode reader = cluster.Nodes[1];
                cluster.StartAll();
                KillTests.KillUnderLoad(cluster, load, random);
                cluster.Writer.Start("writer");
                load.Check(cluster.Writer.Psql);
                ClusterFixture.Sums(cluster.Writer);
                cluster.Writer.Psql("checkpoint");
                reader.CatchUpWith(cluster.Writer);

                KillTests.KillUnderLoad(cluster, load, random);
                reader.Promote();
                load.Check(reader.Psql);
                string sums = ClusterFixture.Sums(reader);
                reader.Psql("checkpoint");
                Assert.Equal(sums, ClusterFixture.Sums(reader));
                reader.Stop();
                cluster.Judge(clean: true, stock => load.Check(s => stock.Psql(s)));
            },
            null,
            Setting);
    }

    private static int Spills(ClusterNode reader) =>
        Regex.Matches(reader.Log, "gone to local disk ([0-9]+) times").Select(m => int.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture)).DefaultIfEmpty().Max();

    /// <summary>In one snapshot: pgbench's sums, and index scans against sequential ones.</summary>
    private static void Look(ClusterNode node, int round)
    {
        ClusterFixture.Sums(node);
        string low = (round * 37 % 990).ToString(CultureInfo.InvariantCulture);
        string key = ((round * 104729 % 5000) + 1).ToString(CultureInfo.InvariantCulture);
        string answers = node.Psql(
            $"select (select count(*) from churn where a >= {low} and a < {low} + 5), (select count(*) from churn where a + 0 >= {low} and a + 0 < {low} + 5), "
            + $"(select sum(a) from churn where k = {key}), (select sum(a) from churn where k + 0 = {key})");
        string[] parts = answers.Split('|');
        Assert.True(parts[0] == parts[1] && parts[2] == parts[3], $"round {round} on {node.Name}: index and table say {answers}");
    }
}
