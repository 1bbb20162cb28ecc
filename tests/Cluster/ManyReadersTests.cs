using System.Globalization;
using SharedStorage.Control.V1;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>
/// Fifteen readers at once on one machine, each with a small pool: all active, all right, and storage is held once. The long form is scripts/many-readers.sh (TEST_MANY_READERS_SECONDS).
/// </summary>
public sealed class ManyReadersTests(Xunit.Abstractions.ITestOutputHelper output)
{
    private const int Count = 15;

    [SkippableFact]
    [Trait("Category", "Long")]
    public void Fifteen_readers_are_all_active_and_all_right_and_hold_no_copy_of_storage()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        string seconds = Environment.GetEnvironmentVariable("TEST_MANY_READERS_SECONDS") is { Length: > 0 } given ? given : "8";
        ClusterFixture.Run(
            Count,
            cluster =>
            {
                cluster.StartAll();
                ClusterNode[] readers = [.. cluster.Readers];
                AwaitAllActive(cluster.Writer);
                var poller = new ReaderPoller();
                var load = new AcknowledgedLoad();
                load.Begin(cluster.Writer, 1);
                Task<(int, string)> bench = Task.Run(() => cluster.Writer.Pgbench("-c", "4", "-j", "1", "-T", seconds, "-M", "prepared"));
                poller.Begin(readers);

                // Also when the machine is slow: every reader is looked at while the load runs or after it.
                ClusterNode.Await("a look at each reader", () => poller.Nodes == Count);
                PgbenchTests.Expect(bench.GetAwaiter().GetResult());
                load.Stop();
                poller.End();
                AwaitAllActive(cluster.Writer);
                string sums = ClusterFixture.Sums(cluster.Writer);
                foreach (ClusterNode reader in readers)
                {
                    reader.CatchUpWith(cluster.Writer);
                    Assert.Equal(sums, ClusterFixture.Sums(reader));
                    load.Check(reader.Psql);
                }

                long shared = Size(cluster.DataDirectory);
                long local = readers.Sum(r => Size(r.LocalDirectory));
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"shared storage: {shared >> 20} MB; local files of {Count} readers: {local >> 10} kB; {poller.Looks} looks, all right; {sums}"));
                Assert.True(local < shared / 10, $"local files of all readers take {local} bytes, shared storage {shared}");
                cluster.StopAll();
                cluster.Judge(clean: true, stock => load.Check(s => stock.Psql(s)));
            },
            null,
            "shared_buffers = '8MB'",
            "sharedstorage.log_index_size = '1MB'");
    }

    private static void AwaitAllActive(ClusterNode writer) => ClusterNode.Await("all readers to be leased", () =>
    {
        NodeStatus[] known = [.. writer.Readers()];
        return known.Count(r => r.Leased) == Count;
    });

    private static long Size(string directory) => Directory.EnumerateFiles(directory, "*", SearchOption.AllDirectories).Sum(f => new FileInfo(f).Length);
}
