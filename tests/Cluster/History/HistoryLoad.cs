using System.Diagnostics;
using System.Globalization;
using Npgsql;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster.History;

/// <summary>
/// Clients on all nodes of a cluster at once, whose observations make a <see cref="RunHistory"/>: transactions that raise counters on the writer under each isolation level and each
/// synchronous_commit, and reads on every node under each promise.
/// </summary>
internal sealed class HistoryLoad : IDisposable
{
    public const string Schema =
        "create table history_head (k int primary key, n int not null); create table history_log (k int, n int, id bigint, primary key (k, n)); "
        + "insert into history_head select k, 0 from generate_series(0, 7) k";

    private const int Counters = 8;
    private readonly ClusterFixture _cluster;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Thread> _threads = [];
    private readonly int _seed;
    private long _lastId;
    private int _lastSession;
    private volatile string? _failure;

    public HistoryLoad(ClusterFixture cluster, int seed) => (_cluster, _seed) = (cluster, seed);

    public RunHistory History { get; } = new(Counters);

    public void Begin()
    {
        foreach ((string isolation, string commit) in new[] { ("read committed", "on"), ("repeatable read", "on"), ("repeatable read", "remote_apply"), ("read committed", "local") })
        {
            Start(random => Write(isolation, commit, random));
        }

        foreach (ClusterNode node in _cluster.Nodes)
        {
            Start(_ => Read(node, node == _cluster.Writer ? ReadPromise.Global : ReadPromise.Eventual, "eventual"));
        }

        foreach (ClusterNode node in _cluster.Readers)
        {
            Start(_ => Read(node, ReadPromise.Global, "global"));
            Start(random => WriteThenRead(node, random));
        }
    }

    public void Stop()
    {
        _stop.Cancel();
        foreach (Thread thread in _threads)
        {
            Assert.True(thread.Join(ClusterNode.Patience), "a client hangs");
        }

        Assert.True(_failure is null, _failure);
        using NpgsqlConnection connection = Open(_cluster.Writer);
        using var command = new NpgsqlCommand("select k, n, id from history_log", connection);
        using NpgsqlDataReader reader = command.ExecuteReader();
        var rows = new List<(int, int, long)>();
        while (reader.Read())
        {
            rows.Add((reader.GetInt32(0), reader.GetInt32(1), reader.GetInt64(2)));
        }

        History.Rows = rows;
    }

    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    private void Start(Action<Random> client)
    {
        var random = new Random(_seed + _threads.Count);
        var thread = new Thread(() =>
        {
            try
            {
                client(random);
            }
            catch (Exception e) when (e is NpgsqlException or InvalidOperationException or IOException)
            {
                _failure ??= e.ToString();
            }
        })
        { IsBackground = true };
        _threads.Add(thread);
        thread.Start();
    }

    private void Write(string isolation, string commit, Random random)
    {
        using NpgsqlConnection connection = Open(_cluster.Writer);
        Run(connection, $"set synchronous_commit = {commit}");
        while (!_stop.IsCancellationRequested)
        {
            TryWrite(connection, isolation, commit == "remote_apply", random);
        }
    }

    /// <summary>Commits on the writer and reads elsewhere, passing the position of the commit on.</summary>
    private void WriteThenRead(ClusterNode node, Random random)
    {
        using NpgsqlConnection writer = Open(_cluster.Writer), reader = Open(node);
        Run(reader, "set sharedstorage.read_consistency = session");
        int session = Interlocked.Increment(ref _lastSession);
        int[] own = new int[Counters];
        while (!_stop.IsCancellationRequested)
        {
            if (TryWrite(writer, "read committed", false, random) is { } commit)
            {
                foreach ((int counter, int value) in commit.Writes)
                {
                    own[counter] = value;
                }
            }

            string position = (string)Scalar(writer, "show sharedstorage.commit_lsn");
            Run(reader, $"set sharedstorage.read_lsn = '{position}'");
            ReadOnce(reader, node.Name, session, ReadPromise.Session, [.. own]);
        }
    }

    private void Read(ClusterNode node, ReadPromise promise, string consistency)
    {
        using NpgsqlConnection connection = Open(node);
        Run(connection, $"set sharedstorage.read_consistency = {consistency}");
        int session = Interlocked.Increment(ref _lastSession);
        while (!_stop.IsCancellationRequested)
        {
            ReadOnce(connection, node.Name, session, promise, null);
        }
    }

    private void ReadOnce(NpgsqlConnection connection, string node, int session, ReadPromise promise, int[]? own)
    {
        long began = Stopwatch.GetTimestamp();
        int[] counters = ReadCounters(connection);
        History.Reads.Add(new ReadEvent(session, node, promise, began, Stopwatch.GetTimestamp(), counters, own));
    }

    private static int[] ReadCounters(NpgsqlConnection connection)
    {
        using var command = new NpgsqlCommand("select k, n, ctid::text, xmin::text, xmax::text from history_head", connection);
        using NpgsqlDataReader reader = command.ExecuteReader();
        int[] counters = new int[Counters];
        var rows = new List<string>();
        while (reader.Read())
        {
            counters[reader.GetInt32(0)] = reader.GetInt32(1);
            rows.Add(string.Create(CultureInfo.InvariantCulture, $"{reader.GetInt32(0)}={reader.GetInt32(1)} at {reader.GetString(2)} xmin {reader.GetString(3)} xmax {reader.GetString(4)}"));
        }

        return rows.Count == Counters ? counters : throw new InvalidOperationException($"port {connection.Port}: a read found {rows.Count} of {Counters} counters: {string.Join("; ", rows)}");
    }

    /// <summary>One transaction over one to three counters; null when it failed as concurrent transactions may (40001, 40P01).</summary>
    private CommitEvent? TryWrite(NpgsqlConnection connection, string isolation, bool everywhere, Random random)
    {
        long id = Interlocked.Increment(ref _lastId);
        int[] counters = [.. Enumerable.Range(0, Counters).OrderBy(_ => random.Next()).Take(random.Next(1, 4))];
        if (random.Next(20) != 0)
        {
            // Now and then out of order: a deadlock is an outcome too, but each costs a second.
            Array.Sort(counters);
        }

        var writes = new (int, int)[counters.Length];
        int[]? read = null;
        long began = Stopwatch.GetTimestamp();
        bool ending = false;
        try
        {
            Run(connection, $"begin isolation level {isolation}");
            if (isolation == "repeatable read")
            {
                read = ReadCounters(connection);
            }

            for (int i = 0; i < counters.Length; i++)
            {
                int value = (int)Scalar(connection, string.Create(CultureInfo.InvariantCulture, $"update history_head set n = n + 1 where k = {counters[i]} returning n"));
                Run(connection, string.Create(CultureInfo.InvariantCulture, $"insert into history_log values ({counters[i]}, {value}, {id})"));
                writes[i] = (counters[i], value);
            }

            ending = true;
            Run(connection, "commit");
            var commit = new CommitEvent(id, began, Stopwatch.GetTimestamp(), writes, read, everywhere);
            History.Commits.Add(commit);
            return commit;
        }
        catch (PostgresException e) when (e.SqlState is "40001" or "40P01")
        {
            Run(connection, "rollback");
            return null;
        }
        catch (NpgsqlException) when (ending)
        {
            History.InDoubt.Add(id);
            throw;
        }
    }

    private static NpgsqlConnection Open(ClusterNode node)
    {
        var connection = new NpgsqlConnection(AcknowledgedLoad.ConnectionString(node.Port));
        connection.Open();
        return connection;
    }

    private static void Run(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        command.ExecuteNonQuery();
    }

    private static object Scalar(NpgsqlConnection connection, string sql)
    {
        using var command = new NpgsqlCommand(sql, connection);
        return command.ExecuteScalar() ?? throw new InvalidOperationException($"no row: {sql}");
    }
}
