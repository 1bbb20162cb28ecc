using System.Collections.Concurrent;
using System.Globalization;
using Npgsql;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>
/// Clients that insert numbers one after the other, each with its own setting of synchronous_commit, and note what was acknowledged; and what each setting promises for that after a crash. Numbers of
/// a client and a round follow one another from 1, so the order of its commits shows.
/// </summary>
internal sealed class PromisedLoad
{
    public static readonly string[] Settings = ["off", "local", "on", "remote_apply"];
    private const long OfSetting = 1_000_000_000_000;
    private const long OfRound = 1_000_000_000;

    private readonly ConcurrentDictionary<(int Setting, int Round), long> _acknowledged = new();
    private readonly ConcurrentQueue<string> _broken = new();
    private readonly List<Thread> _threads = [];
    private volatile bool _stop;

    public long Count => _acknowledged.Values.Sum();

    /// <summary>One client for each setting, until the node dies or <see cref="End"/>.</summary>
    public void Begin(ClusterNode writer, IReadOnlyList<ClusterNode> readers, int round)
    {
        _stop = false;
        for (int i = 0; i < Settings.Length; i++)
        {
            int setting = i;
            var thread = new Thread(() => Insert(writer, readers, setting, round)) { IsBackground = true };
            _threads.Add(thread);
            thread.Start();
        }
    }

    public void End()
    {
        _stop = true;
        foreach (Thread thread in _threads)
        {
            Assert.True(thread.Join(ClusterNode.Patience), "a client hangs");
        }

        _threads.Clear();
    }

    /// <summary>Looks up every number of every round so far: a later recovery must not lose what an earlier one kept.</summary>
    public void Check(Func<string, string> psql)
    {
        Assert.True(_broken.IsEmpty, string.Join('\n', _broken));
        long[] found = [.. psql("select id from acknowledged").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(s => long.Parse(s, CultureInfo.InvariantCulture))];
        var there = found.ToHashSet();
        Assert.Equal(found.Length, there.Count);
        var highest = found.GroupBy(id => id / OfRound).ToDictionary(g => g.Key, g => (Highest: g.Max() % OfRound, Count: (long)g.Count()));
        foreach (((int setting, int round), long acknowledged) in _acknowledged)
        {
            (long last, long count) = highest.GetValueOrDefault(((setting * OfSetting) + (round * OfRound)) / OfRound);

            // Each is a promise of all settings: what is there is there from the first on, without a gap.
            Assert.True(last == count, $"synchronous_commit = {Settings[setting]}, round {round}: {count} rows are there, the highest is {last}");
            if (setting > 0)
            {
                Assert.True(last >= acknowledged, $"synchronous_commit = {Settings[setting]}, round {round}: {acknowledged} were acknowledged, {last} are there");
            }

            // One at most was under way.
            Assert.True(last <= acknowledged + 1, $"synchronous_commit = {Settings[setting]}, round {round}: {last} are there, {acknowledged} were acknowledged");
        }
    }

    private void Insert(ClusterNode writer, IReadOnlyList<ClusterNode> readers, int setting, int round)
    {
        try
        {
            using var connection = new NpgsqlConnection(AcknowledgedLoad.ConnectionString(writer.Port));
            connection.Open();
            using (var set = new NpgsqlCommand($"set synchronous_commit = {Settings[setting]}", connection))
            {
                set.ExecuteNonQuery();
            }

            for (long n = 1; !_stop; n++)
            {
                long id = (setting * OfSetting) + (round * OfRound) + n;
                using var command = new NpgsqlCommand(string.Create(CultureInfo.InvariantCulture, $"insert into acknowledged (id) values ({id})"), connection);
                command.ExecuteNonQuery();
                _acknowledged[(setting, round)] = n;
                if (Settings[setting] == "remote_apply" && n % 20 == 1)
                {
                    CheckVisible(writer, readers, id);
                }
            }
        }
        catch (Exception e) when (e is NpgsqlException or IOException or InvalidOperationException)
        {
            // The node died: this client's last number is in doubt.
            return;
        }
    }

    /// <summary>What remote_apply promises: a reader that has been leased all the time shows the row at once.</summary>
    private void CheckVisible(ClusterNode writer, IReadOnlyList<ClusterNode> readers, long id)
    {
        foreach (ClusterNode reader in readers)
        {
            int evictions = Evictions(writer, reader);
            (int code, string output, _) = reader.TryPsql(string.Create(CultureInfo.InvariantCulture, $"select count(*) from acknowledged where id = {id}"));
            if (code == 0 && output.Trim() != "1" && evictions == 0 && Evictions(writer, reader) == 0)
            {
                _broken.Enqueue($"remote_apply: {id} was acknowledged, and {reader.Name}, which is leased, has {output.Trim()} of it");
            }
        }
    }

    /// <summary>Losses of a lease that the writer's log tells of.</summary>
    private static int Evictions(ClusterNode writer, ClusterNode reader) => writer.Log.Split($"reader {reader.Name} is evicted").Length - 1;
}

/// <summary>Looks at readers all the time: whatever happens to the writer, a query that is answered is right.</summary>
internal sealed class ReaderPoller
{
    private readonly List<Thread> _threads = [];
    private readonly ConcurrentQueue<string> _wrong = new();
    private readonly ConcurrentDictionary<string, bool> _answered = new(StringComparer.Ordinal);
    private volatile bool _stop;
    private int _looks;

    public int Looks => _looks;

    /// <summary>How many nodes have answered at least once.</summary>
    public int Nodes => _answered.Count;

    public void Begin(IEnumerable<ClusterNode> nodes)
    {
        foreach (ClusterNode node in nodes)
        {
            var thread = new Thread(() => Poll(node)) { IsBackground = true };
            _threads.Add(thread);
            thread.Start();
        }
    }

    public void Check() => Assert.True(_wrong.IsEmpty, string.Join('\n', _wrong));

    public void End()
    {
        _stop = true;
        _threads.ForEach(t => Assert.True(t.Join(ClusterNode.Patience), "a look at a reader hangs"));
        Check();
    }

    private void Poll(ClusterNode node)
    {
        while (!_stop)
        {
            try
            {
                using var connection = new NpgsqlConnection(AcknowledgedLoad.ConnectionString(node.Port));
                connection.Open();
                while (!_stop)
                {
                    Look(node, connection);
                }
            }
            catch (Exception e) when (e is NpgsqlException or IOException or InvalidOperationException or TimeoutException)
            {
                // Killed, or without a lease: a clear failure is no wrong answer.
                Thread.Sleep(50);
            }
        }
    }

    private void Look(ClusterNode node, NpgsqlConnection connection)
    {
        const string sums = "select (select sum(abalance) from pgbench_accounts)::bigint, (select sum(tbalance) from pgbench_tellers)::bigint, "
            + "(select sum(bbalance) from pgbench_branches)::bigint, (select coalesce(sum(delta), 0) from pgbench_history)::bigint";
        using var command = new NpgsqlCommand(sums, connection);
        using NpgsqlDataReader row = command.ExecuteReader();
        Assert.True(row.Read());
        long[] four = [row.GetInt64(0), row.GetInt64(1), row.GetInt64(2), row.GetInt64(3)];
        if (four.Distinct().Count() != 1)
        {
            _wrong.Enqueue($"{node.Name}: accounts, tellers, branches, history: {string.Join(' ', four)}");
        }

        _answered[node.Name] = true;
        Interlocked.Increment(ref _looks);
        Thread.Sleep(20);
    }
}
