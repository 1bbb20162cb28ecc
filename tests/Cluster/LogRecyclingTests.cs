using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>The log is kept for a reader from its cut on, not from where it began (I3): a reader that follows for weeks does not fill the disk.</summary>
public sealed class LogRecyclingTests
{
    [SkippableFact]
    public void Log_that_a_following_reader_has_cut_is_recycled_and_the_reader_answers_on()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(
            1,
            cluster =>
            {
                cluster.StartAll();
                ClusterNode reader = cluster.Nodes[1];
                string log = Path.Combine(cluster.DataDirectory, "pg_wal");
                string[] first = Segments(log);
                cluster.Writer.Psql("create table much (a int, b text)");
                int rows = 0;
                ClusterNode.Await("the segments that the reader began at to go", () =>
                {
                    cluster.Writer.Psql($"insert into much select i, repeat('x', 500) from generate_series({rows + 1}, {rows + 40_000}) i; checkpoint");
                    rows += 40_000;
                    reader.CatchUpWith(cluster.Writer);
                    Assert.Equal($"{rows}|{rows}", reader.Psql("select count(*), max(a) from much"));
                    return !Segments(log).Intersect(first).Any();
                });
                cluster.StopAll();
                cluster.Judge(clean: true);
            },
            null,
            ["min_wal_size = '32MB'", "max_wal_size = '64MB'"]);
    }

    private static string[] Segments(string log) => [.. Directory.GetFiles(log).Select(f => Path.GetFileName(f)!).Where(static f => f.Length == 24)];
}
