using System.Collections.Concurrent;
using System.Globalization;
using Npgsql;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>
/// Clients that insert numbers, each once, and note which ones the server acknowledged. A number whose answer was lost may be there or not; an acknowledged one must be there, and none twice.
/// </summary>
internal sealed class AcknowledgedLoad
{
    private readonly ConcurrentQueue<long> _acknowledged = new();
    private volatile bool _stopped;
    private readonly List<Thread> _threads = [];
    private long _next;
    private volatile string? _lastError;

    public int Count => _acknowledged.Count;

    /// <summary>Starts clients on a node; they end when the node dies or at <see cref="Stop"/>.</summary>
    public void Begin(ClusterNode node, int clients)
    {
        _stopped = false;
        for (int i = 0; i < clients; i++)
        {
            var thread = new Thread(() => Insert(node.Port)) { IsBackground = true };
            _threads.Add(thread);
            thread.Start();
        }
    }

    /// <summary>Waits until that many more have been acknowledged.</summary>
    public void WaitForMore(int more)
    {
        int target = Count + more;
        ClusterNode.Await("acknowledged inserts", () =>
        {
            Assert.True(_threads.Exists(t => t.IsAlive), $"no client is left; the last one said: {_lastError}");
            return Count >= target;
        });
    }

    public void Stop()
    {
        _stopped = true;
        Join();
    }

    public void Join()
    {
        foreach (Thread thread in _threads)
        {
            Assert.True(thread.Join(ClusterNode.Patience), "a client hangs");
        }

        _threads.Clear();
    }

    /// <summary>Compares what a server has with what was acknowledged.</summary>
    public void Check(Func<string, string> psql)
    {
        long[] found = [.. psql("select id from acknowledged").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(s => long.Parse(s, CultureInfo.InvariantCulture))];
        var unique = found.ToHashSet();
        Assert.Equal(found.Length, unique.Count);
        long[] missing = [.. _acknowledged.Where(id => !unique.Contains(id))];
        Assert.True(missing.Length == 0, $"{missing.Length} of {_acknowledged.Count} acknowledged rows are missing, the first is {missing.FirstOrDefault()}");
    }

    private void Insert(int port)
    {
        try
        {
            using var connection = new NpgsqlConnection(ConnectionString(port));
            connection.Open();
            while (!_stopped)
            {
                long id = Interlocked.Increment(ref _next);
                using var command = new NpgsqlCommand(string.Create(CultureInfo.InvariantCulture, $"insert into acknowledged (id) values ({id})"), connection);
                command.ExecuteNonQuery();
                _acknowledged.Enqueue(id);
            }
        }
        catch (Exception e) when (e is NpgsqlException or IOException or InvalidOperationException)
        {
            // The node died: this client's last number is in doubt, which is what the check allows for.
            _lastError = e.Message;
        }
    }

    public static string ConnectionString(int port) => string.Create(
        CultureInfo.InvariantCulture, $"Host=127.0.0.1;Port={port};Username=postgres;Database=postgres;Pooling=false;Server Compatibility Mode=NoTypeLoading;Timeout=10;Command Timeout=30");
}
