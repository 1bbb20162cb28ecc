using Npgsql;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>A crowd of clients before a node that takes a hundred.</summary>
public sealed class ManyConnectionsTests
{
    private const int Crowd = 1000;
    private const int Places = 100;

    [SkippableFact]
    public void Of_a_thousand_clients_a_hundred_work_the_others_are_told_and_nothing_is_left_of_them()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(0, cluster =>
        {
            cluster.StartAll();
            ClusterNode writer = cluster.Writer;
            Visit(writer, 1).ForEach(c => c.Dispose());
            AwaitEmpty(writer);
            (int threads, int sockets) = Held(writer);
            for (int round = 0; round < 2; round++)
            {
                List<NpgsqlConnection> inside = Visit(writer, Crowd);
                Assert.Equal(Places, inside.Count);
                Assert.Equal("53300", Assert.Throws<PostgresException>(() => Open(writer)).SqlState);
                Parallel.ForEach(inside, c =>
                {
                    using var command = new NpgsqlCommand("insert into acknowledged values (1)", c);
                    Assert.Equal(1, command.ExecuteNonQuery());
                });

                // One goes, one comes in.
                inside[0].Dispose();
                ClusterNode.Await("a place", () =>
                {
                    try
                    {
                        inside[0] = Open(writer);
                        return true;
                    }
                    catch (PostgresException e) when (e.SqlState == "53300")
                    {
                        return false;
                    }
                });
                inside.ForEach(c => c.Dispose());
                AwaitEmpty(writer);
            }

            Assert.Equal("200", writer.Psql("select count(*) from acknowledged"));
            AwaitEmpty(writer);
            ClusterNode.Await($"threads and sockets of the crowd to be gone, as before: {threads}, {sockets}", () =>
            {
                (int threadsNow, int socketsNow) = Held(writer);

                // The runtime keeps a few threads of its pool for a while.
                return threadsNow <= threads + 20 && socketsNow <= sockets;
            });
            PgbenchTests.Expect(writer.Pgbench("-c", "8", "-t", "20"));
            cluster.StopAll();
            cluster.Judge(clean: true);
        });
    }

    [SkippableFact]
    public void The_last_places_are_for_superusers()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres stock = StockPostgres.Adopt(ClusterFixture.TemplateDirectory).Clone();
        stock.Start();
        stock.Psql("create role ordinary login");
        stock.Stop();
        ClusterFixture.Run(
            0,
            cluster =>
            {
                cluster.StartAll();
                var inside = new List<NpgsqlConnection>();
                inside.AddRange(Enumerable.Range(0, 3).Select(_ => Open(cluster.Writer, "ordinary")));
                PostgresException refused = Assert.Throws<PostgresException>(() => Open(cluster.Writer, "ordinary"));
                Assert.Equal("53300", refused.SqlState);
                Assert.Equal("remaining connection slots are reserved for non-replication superuser connections", refused.MessageText);
                inside.AddRange(Enumerable.Range(0, 2).Select(_ => Open(cluster.Writer)));
                refused = Assert.Throws<PostgresException>(() => Open(cluster.Writer));
                Assert.Equal("53300", refused.SqlState);
                Assert.Equal("sorry, too many clients already", refused.MessageText);
                inside.ForEach(c => c.Dispose());
                AwaitEmpty(cluster.Writer);
                cluster.StopAll();
            },
            stock.DataDirectory,
            "max_connections = 5",
            "superuser_reserved_connections = 2");
    }

    /// <summary>So many clients at once; gives those that were let in, and asserts what the others were told.</summary>
    private static List<NpgsqlConnection> Visit(ClusterNode node, int count)
    {
        Task<NpgsqlConnection?>[] visits = [.. Enumerable.Range(0, count).Select(_ => Task.Run(async () =>
        {
            var connection = new NpgsqlConnection(ConnectionString(node, "postgres"));
            try
            {
                await connection.OpenAsync().ConfigureAwait(false);
                return connection;
            }
            catch (PostgresException e)
            {
                await connection.DisposeAsync().ConfigureAwait(false);
                Assert.Equal("53300", e.SqlState);
                Assert.Equal("sorry, too many clients already", e.MessageText);
                return null;
            }
        }))];
        return [.. Task.WhenAll(visits).GetAwaiter().GetResult().OfType<NpgsqlConnection>()];
    }

    private static NpgsqlConnection Open(ClusterNode node, string user = "postgres")
    {
        var connection = new NpgsqlConnection(ConnectionString(node, user));
        try
        {
            connection.Open();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private static string ConnectionString(ClusterNode node, string user) =>
        AcknowledgedLoad.ConnectionString(node.Port).Replace("Username=postgres", $"Username={user}", StringComparison.Ordinal).Replace("Timeout=10;", "Timeout=60;", StringComparison.Ordinal);

    /// <summary>A session is a thread of that name.</summary>
    private static void AwaitEmpty(ClusterNode node) => ClusterNode.Await("sessions to end", () => !Directory.GetDirectories($"/proc/{node.ProcessId}/task").Any(IsSession));

    private static bool IsSession(string task)
    {
        try
        {
            return File.ReadAllText(Path.Combine(task, "comm")).TrimEnd() == "pg session";
        }
        catch (IOException)
        {
            // It ended between the listing and the look.
            return false;
        }
    }

    private static (int Threads, int Sockets) Held(ClusterNode node)
    {
        string process = $"/proc/{node.ProcessId}";
        int sockets = Directory.GetFileSystemEntries(Path.Combine(process, "fd")).Count(f => new FileInfo(f).LinkTarget?.StartsWith("socket:", StringComparison.Ordinal) == true);
        return (Directory.GetDirectories(Path.Combine(process, "task")).Length, sockets);
    }
}
