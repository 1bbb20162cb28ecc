using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>Sorts and joins beyond work_mem on running nodes: same answers everywhere, files in the node's local directory only, none left.</summary>
public sealed class SpillTests
{
    private static readonly string[] Queries =
    [
        "select aid, bid from pgbench_accounts order by aid % 1009, aid desc offset 60000 limit 5",
        "select count(*), sum(a.aid), sum(b.abalance) from pgbench_accounts a join pgbench_accounts b on a.aid = b.aid + 1",
        "select count(*), sum(c), max(k) from (select aid % 30000 k, count(*) c from pgbench_accounts group by 1) s",
        "select count(*) from (select distinct aid % 50000, filler from pgbench_accounts) s",
    ];

    [SkippableFact]
    public void Writer_and_reader_spill_to_their_own_directory_and_answer_as_PostgreSQL()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres stock = StockPostgres.Adopt(ClusterFixture.TemplateDirectory).Clone();
        stock.Start();
        string[] expected = [.. Queries.Select(q => stock.Psql(q))];
        stock.Stop();
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            foreach (ClusterNode node in cluster.Nodes)
            {
                Assert.Equal("64kB", node.Psql("set work_mem = '64kB'; show work_mem").Trim().Split('\n')[^1]);
                for (int i = 0; i < Queries.Length; i++)
                {
                    string before = SharedFiles(cluster);
                    Assert.Equal(expected[i].Trim(), node.Psql("set work_mem = '64kB'; " + Queries[i]).Trim());
                    Assert.Equal(before, SharedFiles(cluster));
                    Assert.Empty(Files(node));
                }

                (int code, _, string error) = node.TryPsql("set work_mem = '64kB'; set temp_file_limit = '1MB'; " + Queries[0]);
                Assert.NotEqual(0, code);
                Assert.Contains("temporary file size exceeds temp_file_limit (1024kB)", error, StringComparison.Ordinal);
                Assert.Empty(Files(node));

                // Cancelled in the middle: with files, then without.
                Task<(int ExitCode, string Output, string Error)> endless = Task.Run(() => node.TryPsql(
                    "set work_mem = '64kB'; select count(*) from (select a.aid, b.aid from pgbench_accounts a, pgbench_accounts b order by a.aid + b.aid) s"));
                ClusterNode.Await("files", () => Files(node).Length > 0);
                Assert.Equal("t", node.Psql(Cancel).Trim());
                Assert.Contains("canceling statement due to user request", endless.GetAwaiter().GetResult().Error, StringComparison.Ordinal);
                Assert.Empty(Files(node));
            }

            // A killed node's files go at its next start.
            ClusterNode reader = cluster.Readers.First();
            Task abandoned = Task.Run(() => reader.TryPsql(
                "set work_mem = '64kB'; select count(*) from (select a.aid, b.aid from pgbench_accounts a, pgbench_accounts b order by a.aid + b.aid) s"));
            ClusterNode.Await("files", () => Files(reader).Length > 0);
            reader.Kill();
            abandoned.GetAwaiter().GetResult();
            Assert.NotEmpty(Files(reader));
            reader.Start("reader");
            Assert.Empty(Files(reader));
            cluster.StopAll();
            cluster.Judge(clean: true);
        });
    }

    // The session that runs the long query is the one before the asking one.
    private const string Cancel = "select pg_cancel_backend(pg_backend_pid() - 1)";

    private static string[] Files(ClusterNode node) => Directory.GetFiles(Path.Combine(node.LocalDirectory, "temp"));

    private static string SharedFiles(ClusterFixture cluster) =>
        string.Join('\n', Directory.GetFiles(cluster.DataDirectory, "*", SearchOption.AllDirectories).Where(f => f.Contains("tmp", StringComparison.Ordinal)).Select(f => f[cluster.Root.Length..]));
}
