using System.Globalization;
using SharedStorage.Primitives;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>
/// Nodes killed at named fault points under load: nothing acknowledged is missing, nothing is there twice, readers are right all along, and each synchronous_commit keeps just what it promises.
/// A handful of points in the test run, other ones by each seed; all of them by <c>scripts/kill-rounds.sh --fault-points</c> (TEST_FAULT_POINTS=all, or their names).
/// </summary>
public sealed class FaultPointKillTests(Xunit.Abstractions.ITestOutputHelper output)
{
    private const int WriterRounds = 3;

    /// <summary>Those that only a reader that is promoted reaches, or mostly so.</summary>
    private static readonly string[] AtPromotion =
    [
        "promote-after-claim", "promote-before-log-end", "promote-before-history", "promote-after-history", "promote-before-record", "promote-before-control", "promote-after-control",
    ];

    private static readonly string[] OnlyOnReaders = ["reader.before-activation", "reader.before-apply"];
    private static readonly string[] OnReaders = [.. OnlyOnReaders, "buffers.before-read", "buffers.after-read", "snapshot.before-publish"];

    /// <summary>At which hit, at most, where the first ones come with the start and not with the load.</summary>
    private static readonly Dictionary<string, int> Later = new(StringComparer.Ordinal)
    {
        ["buffers.after-read"] = 400,
        ["buffers.before-read"] = 400,
        ["buffers.before-write"] = 200,
        ["buffers.torn-write"] = 50,
        ["commit-after-flush"] = 300,
        ["commit-after-record"] = 300,
        ["commit-before-clog"] = 300,
        ["commit-before-record"] = 300,
        ["io.datasync"] = 200,
        ["io.durable-before-rename"] = 4,
        ["lease.before-renewal"] = 8,
        ["snapshot.before-publish"] = 60,
        ["reader.before-apply"] = 100,
        ["wal.sync"] = 300,
        ["wal.write"] = 300,
        ["checkpoint-after-redo"] = 2,
        ["activation.before-floor"] = 2,
        ["btree.split.before-parent"] = 20,
    };

    [SkippableFact]
    public void Nodes_killed_at_fault_points_lose_nothing_and_readers_stay_right()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        string wanted = Environment.GetEnvironmentVariable("TEST_FAULT_POINTS") ?? "";
        int seed = int.TryParse(Environment.GetEnvironmentVariable("SEED"), out int given) ? given : Environment.TickCount & 0xFFFF;
        var random = new Random(seed);
        (string Point, bool Reader)[] rounds = Choose(wanted, random);
        ClusterFixture.Run(
            2,
            cluster =>
            {
                cluster.Note($"seed {seed}: {string.Join(", ", rounds.Select(r => r.Point))}");
                output.WriteLine($"seed {seed}");
                new Rounds(cluster, random, output.WriteLine).Run(rounds, mustReach: wanted.Length == 0);
            },
            null,
            "shared_buffers = '4MB'",
            "checkpoint_timeout = '30s'",
            "autovacuum_naptime = '2s'");
    }

    private static (string, bool)[] Choose(string wanted, Random random)
    {
        string[] all = [.. FaultPoints.All.Select(p => p.Name)];
        if (wanted.Length > 0)
        {
            string[] named = wanted == "all" ? all : wanted.Split(',');
            return [.. named.Where(p => !OnlyOnReaders.Contains(p)).Select(p => (p, false)), .. named.Where(OnReaders.Contains).Select(p => (p, true))];
        }

        // Of the writer's only those that the load is sure to reach in a short time.
        string[] writers = [.. Later.Keys.Except(OnlyOnReaders), "checkpoint-before-record", "checkpoint-before-control", "checkpoint-before-recycling", "files.before-unlink", "files.after-unlink"];
        random.Shuffle(writers);
        return
        [
            .. writers.Take(WriterRounds).Select(p => (p, false)),
            (AtPromotion[random.Next(AtPromotion.Length)], false),
            (OnReaders[random.Next(OnReaders.Length)], true),
        ];
    }

    /// <summary>The rounds of one run, on one cluster whose writer changes.</summary>
    private sealed class Rounds(ClusterFixture cluster, Random random, Action<string> say)
    {
        private readonly PromisedLoad _promised = new();
        private readonly ReaderPoller _poller = new();
        private ClusterNode _writer = cluster.Nodes[0];
        private int _round;

        private ClusterNode[] Readers => [.. cluster.Nodes.Where(n => n != _writer)];

        public void Run((string Point, bool Reader)[] rounds, bool mustReach)
        {
            cluster.StartAll();
            _writer.Psql("create table mixed (id int primary key, t text)");
            _poller.Begin(cluster.Nodes);
            foreach ((string point, bool reader) in rounds)
            {
                _round++;
                string arm = Later.TryGetValue(point, out int most) ? string.Create(CultureInfo.InvariantCulture, $"{point}=kill@{random.Next(1, most + 1)}") : point + "=kill";
                cluster.Note($"round {_round}: {arm}");
                long before = _promised.Count;
                bool reached = reader ? KillReader(arm) : AtPromotion.Contains(point) ? KillPromoted(arm) : KillWriter(arm);
                Assert.True(reached || !mustReach || reader, $"{arm} was not reached");
                Check();
                say($"round {_round}: {arm} {(reader ? "on a reader" : "on the writer")}{(reached ? "" : ", NOT REACHED: killed at random")}, {_promised.Count - before} acknowledged, {_poller.Looks} looks at readers, writer is {_writer.Name}");
            }

            _poller.End();
            Assert.True(_poller.Looks > 10, "the readers were not looked at");
            foreach (ClusterNode node in Readers.Append(_writer))
            {
                node.Stop();
            }

            cluster.Judge(clean: true, stock => _promised.Check(s => stock.Psql(s)));
        }

        private bool KillWriter(string arm)
        {
            _writer.Stop();
            _writer.Launch("writer", "--sharedstorage.fault_points", arm);
            ClusterNode.Await("the armed writer", () => !_writer.IsRunning || IsReady(_writer));
            bool reached = UnderLoad(() => !_writer.IsRunning);
            if (_round % 2 == 0)
            {
                FailOver();
            }
            else
            {
                _writer.Start("writer");
            }

            return reached;
        }

        /// <summary>The reader that takes over dies in the middle of it; the other one takes over from both.</summary>
        private bool KillPromoted(string arm)
        {
            ClusterNode armed = Readers[0];
            armed.Kill();
            armed.Start("reader", "--sharedstorage.fault_points", arm);
            armed.CatchUpWith(_writer);
            UnderLoad(() => _promised.Count > 100);
            bool reached = false;
            try
            {
                armed.Promote();
            }
            catch (SharedStorage.Control.Grpc.RpcException)
            {
                // It died while it was asked.
                reached = true;
            }

            if (!reached)
            {
                armed.Kill();
            }

            (ClusterNode former, _writer) = (_writer, armed);
            FailOver();
            Assert.NotSame(former, _writer);
            former.Start("reader");
            return reached;
        }

        private bool KillReader(string arm)
        {
            ClusterNode reader = Readers[random.Next(2)];
            reader.Kill();
            reader.Launch("reader", "--sharedstorage.fault_points", arm);
            bool reached = false;
            UnderLoad(() => reached = !reader.IsRunning, killWriter: false);
            if (reader.IsRunning)
            {
                reader.Kill();
            }

            reader.Start("reader");
            return reached;
        }

        /// <summary>Load of all kinds until the condition or a minute; a writer that lives then is killed. Gives whether the condition came.</summary>
        private bool UnderLoad(Func<bool> until, bool killWriter = true)
        {
            ClusterNode writer = _writer;
            bool stop = false;
            Task bench = Task.Run(() => writer.Pgbench("-c", "4", "-j", "1", "-T", killWriter ? "60" : "8", "-M", "prepared"));
            _promised.Begin(writer, Readers, _round);
            var mixer = new Thread(() => Mix(writer, () => Volatile.Read(ref stop))) { IsBackground = true };
            mixer.Start();
            var clock = System.Diagnostics.Stopwatch.StartNew();
            bool came = false;
            while (clock.Elapsed < TimeSpan.FromSeconds(45) && !(came = until()) && writer.IsRunning)
            {
                Thread.Sleep(20);
            }

            came = came || until();
            if (killWriter && writer.IsRunning)
            {
                writer.Kill();
            }

            Volatile.Write(ref stop, true);
            _promised.End();
            Assert.True(mixer.Join(ClusterNode.Patience), "the mixed load hangs");
            bench.GetAwaiter().GetResult();
            return came;
        }

        /// <summary>What leads to the places that pgbench does not come to: splits, scans by index alone and backward, deleted pages, cut and dropped files, databases, checkpoints.</summary>
        private static void Mix(ClusterNode writer, Func<bool> stopped)
        {
            string[] steps =
            [
                "insert into mixed select i, repeat('x', 50) from generate_series(1, 4000) i", "create table passing (a int primary key)", "insert into passing select i from generate_series(1, 500) i", "checkpoint", "drop table passing",
                "set enable_seqscan = off; select count(id) from mixed where id > 0", "set enable_seqscan = off; select max(a.id) from (select id from mixed order by id desc limit 3000) a", "delete from mixed where id > 100",

                // Readers tell of their horizon a little later.
                "select pg_sleep(0.5)", "vacuum mixed", "checkpoint", "delete from mixed", "create database passing", "drop database passing",
            ];
            for (int i = 0; !stopped() && writer.IsRunning; i++)
            {
                // A step that fails since the one before it was cut off by a kill is none of the test's.
                writer.TryPsql(steps[i % steps.Length]);
            }
        }

        private void FailOver()
        {
            ClusterNode former = _writer;
            ClusterNode[] living = [.. cluster.Nodes.Where(n => n != former && n.IsRunning)];
            _writer = living.MaxBy(n => n.Status().Applied)!;
            _writer.Promote();
            former.Start("reader");
        }

        private void Check()
        {
            _promised.Check(_writer.Psql);
            string sums = ClusterFixture.Sums(_writer);
            foreach (ClusterNode reader in Readers)
            {
                reader.CatchUpWith(_writer);
                ClusterNode.Await($"{reader.Name} to answer", () => reader.TryPsql("select 1").ExitCode == 0);
                Assert.Equal(sums, ClusterFixture.Sums(reader));
                _promised.Check(reader.Psql);
            }

            _poller.Check();
        }

        private static bool IsReady(ClusterNode node) =>
            StockPostgres.TryTool("pg_isready", "-q", "-h", "127.0.0.1", "-p", node.Port.ToString(CultureInfo.InvariantCulture)).ExitCode == 0;
    }
}
