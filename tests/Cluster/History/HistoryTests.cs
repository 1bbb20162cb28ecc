using System.Diagnostics;
using System.Globalization;
using SharedStorage.TestKit;
using Xunit.Abstractions;

namespace SharedStorage.Cluster.History;

/// <summary>
/// I6, I7 and read consistency as clients see them: one order of commits on every node, snapshot isolation, session and global reads, remote_apply. And the checker itself:
/// each kind of violation, planted in a history that keeps all promises, is found.
/// </summary>
public sealed class HistoryTests(ITestOutputHelper output)
{
    [SkippableFact]
    public void All_nodes_agree_on_one_order_and_keep_what_each_kind_of_read_promises()
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        double seconds = double.Parse(Environment.GetEnvironmentVariable("TEST_HISTORY_SECONDS") ?? "60", CultureInfo.InvariantCulture);
        int seed = Environment.TickCount;
        ClusterFixture.Run(2, cluster =>
        {
            cluster.Note($"seed {seed} {string.Join(" ", cluster.Nodes.Select(n => n.Name + " " + n.Port))}");
            cluster.StartAll();
            cluster.Writer.Psql(HistoryLoad.Schema);
            foreach (ClusterNode reader in cluster.Readers)
            {
                reader.CatchUpWith(cluster.Writer);
            }

            using var load = new HistoryLoad(cluster, seed);
            load.Begin();
            var clock = Stopwatch.StartNew();
            while (clock.Elapsed.TotalSeconds < seconds)
            {
                // Pruning, freezing and checkpoints go on meanwhile: they must take nothing away that a snapshot needs (I7).
                cluster.Writer.Psql("vacuum freeze history_head");
                cluster.Writer.Psql("checkpoint");
            }

            load.Stop();
            IReadOnlyList<string> found = HistoryChecker.Check(load.History);
            Assert.True(found.Count == 0, string.Join('\n', found));
            Assert.True(load.History.Commits.Count > 100, $"only {load.History.Commits.Count} commits");
            Assert.True(load.History.Commits.Any(c => c.EverywhereWhenAcknowledged), "no commit with remote_apply");
            foreach (ClusterNode reader in cluster.Readers)
            {
                Assert.All(Enum.GetValues<ReadPromise>(), p => Assert.Contains(load.History.Reads, r => r.Node == reader.Name && r.Promise == p));
            }

            output.WriteLine($"history: {load.History.Commits.Count} commits, {load.History.Reads.Count} reads, {clock.Elapsed.TotalSeconds:F0} s, 0 violations (seed {seed})");
            cluster.StopAll();
        });
    }

    [Fact]
    public void A_history_that_keeps_all_promises_has_no_violation() => Assert.Empty(HistoryChecker.Check(Good()));

    [Theory]
    [InlineData("long fork")]
    [InlineData("torn")]
    [InlineData("lost")]
    [InlineData("twice")]
    [InlineData("from nowhere")]
    [InlineData("lost update")]
    [InlineData("not monotone")]
    [InlineData("own writes unseen")]
    [InlineData("stale")]
    [InlineData("not applied")]
    [InlineData("from the future")]
    public void A_planted_violation_is_found(string kind)
    {
        RunHistory history = Good();
        Plant(history, kind);
        Assert.Contains(HistoryChecker.Check(history), v => v.StartsWith(kind + ":", StringComparison.Ordinal));
    }

    /// <summary>Ten transactions over two counters, each seen by everyone before the next begins.</summary>
    private static RunHistory Good()
    {
        var history = new RunHistory(2);
        var rows = new List<(int, int, long)>();
        for (int i = 1; i <= 10; i++)
        {
            long began = i * 100;
            history.Commits.Add(new CommitEvent(i, began, began + 10, [(0, i), (1, i)], [i - 1, i - 1], i % 2 == 0));
            rows.Add((0, i, i));
            rows.Add((1, i, i));
            history.Reads.Add(new ReadEvent(1, "a", ReadPromise.Global, began + 20, began + 30, [i, i]));
            history.Reads.Add(new ReadEvent(2, "b", ReadPromise.Session, began + 40, began + 50, [i, i], [i, i]));
        }

        history.Rows = rows;
        return history;
    }

    private static void Plant(RunHistory history, string kind)
    {
        switch (kind)
        {
            case "long fork":
                history.Reads.Add(new ReadEvent(3, "a", ReadPromise.Eventual, 5, 550, [5, 4]));
                history.Reads.Add(new ReadEvent(4, "b", ReadPromise.Eventual, 5, 550, [4, 5]));
                break;
            case "torn":
                history.Reads.Add(new ReadEvent(3, "a", ReadPromise.Eventual, 5, 550, [5, 4]));
                break;
            case "lost":
                history.Rows = [.. history.Rows.Where(r => r.Id != 4)];
                break;
            case "twice":
                history.Rows = [.. history.Rows, (0, 4, 4)];
                break;
            case "from nowhere":
                history.Rows = [.. history.Rows, (0, 11, 77)];
                break;
            case "lost update":
                history.Commits.Add(new CommitEvent(11, 1100, 1110, [(0, 12)], [10, 10], false));
                break;
            case "not monotone":
                history.Reads.Add(new ReadEvent(1, "a", ReadPromise.Eventual, 1031, 1032, [9, 9]));
                break;
            case "own writes unseen":
                history.Reads.Add(new ReadEvent(3, "a", ReadPromise.Session, 1031, 1032, [9, 9], [10, 10]));
                break;
            case "stale":
                history.Reads.Add(new ReadEvent(3, "a", ReadPromise.Global, 1031, 1032, [9, 9]));
                break;
            case "not applied":
                history.Reads.Add(new ReadEvent(3, "a", ReadPromise.Eventual, 831, 832, [7, 7]));
                break;
            case "from the future":
                history.Reads.Add(new ReadEvent(3, "a", ReadPromise.Eventual, 1, 2, [1, 1]));
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(kind));
        }
    }
}
