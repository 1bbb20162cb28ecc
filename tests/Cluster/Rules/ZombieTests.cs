using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster.Rules;

/// <summary>
/// R13, I8, I9: a writer that was stopped, failed over and let go on in the middle of a burst. A tracer is attached while it stands still, so that it sees all that the writer does from then on.
/// </summary>
public sealed partial class ZombieTests
{
    private const string Calls =
        "write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,open,openat,creat,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,mkdir,mkdirat,rmdir";

    [SkippableTheory]
    [InlineData(null)]
    [InlineData("buffers.before-write")]
    [InlineData("wal.write")]
    public void A_stopped_writer_that_goes_on_after_a_failover_writes_nothing_more_and_says_why(string? standsAt) => RulesTemplate.Run(1, cluster =>
    {
        Skip.IfNot(StockPostgres.IsRoot, "attaching a tracer to another user's process needs root");
        Skip.IfNot(File.Exists("/usr/bin/strace"), "strace is not installed");
        (ClusterNode writer, ClusterNode promoted) = (cluster.Nodes[0], cluster.Nodes[1]);
        FaultDoor? door = standsAt is null ? null : new FaultDoor(cluster, standsAt);
        writer.Start("writer", door is null ? [] : FaultDoor.Arguments(door));
        promoted.Start("reader");
        var load = new AcknowledgedLoad();
        load.Begin(writer, 4);
        Task<(int, string)> burst = Task.Run(() => writer.Pgbench("-c", "6", "-j", "2", "-T", "60", "-M", "prepared"));
        load.WaitForMore(200);

        // Pages go to storage meanwhile only where the test knows where the writer stands: between the last look at the lease and the call there is nothing that a program can do.
        Task checkpoint = standsAt is null ? Task.CompletedTask : Task.Run(() => writer.TryPsql("checkpoint"));
        door?.Close();
        door?.AwaitReached();
        writer.Signal("STOP");

        // Nobody has fenced it, and it may go on at any time: the risk is taken.
        Assert.Equal(2u, promoted.Promote(fenced: false).Timeline);
        using (Process tracer = Trace(writer, Path.Combine(cluster.Root, "trace")))
        {
            promoted.Psql("create table after_failover (id int)");
            promoted.Psql("insert into after_failover select i from generate_series(1, 1000) i");
            PgbenchTests.Expect(promoted.Pgbench("-c", "4", "-j", "2", "-t", "100", "-M", "prepared"));
            door?.Open();
            writer.Signal("CONT");
            (int code, string log) = writer.WaitForEnd();
            Assert.Equal(1, code);
            Assert.Matches(Reason(), log);
            Assert.True(tracer.WaitForExit(ClusterNode.Patience), "the tracer does not end with the writer");
        }

        load.Join();
        Task.WaitAll(burst, checkpoint);
        string[] trace = File.ReadAllLines(Path.Combine(cluster.Root, "trace"));
        Assert.Contains(trace, l => l.Contains("exited with 1", StringComparison.Ordinal));
        string[] wrong = [.. trace.Where(l => ChangesFiles(l, cluster.DataDirectory))];
        Assert.True(wrong.Length == 0, string.Join('\n', wrong.Take(20)));

        promoted.Psql("checkpoint");
        load.Check(promoted.Psql);
        string sums = ClusterFixture.Sums(promoted);
        promoted.Stop();
        cluster.Judge(clean: true, stock =>
        {
            load.Check(s => stock.Psql(s));
            Assert.Equal(sums, ClusterFixture.Sums(s => stock.Psql(s)));
            Assert.Equal("1000", stock.Psql("select count(*) from after_failover"));
        });
    });

    /// <summary>Attaches to every thread of a stopped process; returns when each is traced. The tracer ends with the process.</summary>
    private static Process Trace(ClusterNode node, string output)
    {
        string pid = node.ProcessId.ToString(CultureInfo.InvariantCulture);
        var tracer = Process.Start(new ProcessStartInfo("strace", ["-f", "-y", "-q", "-e", "signal=none", "-o", output, "-e", "trace=" + Calls, "-p", pid]))!;
        ClusterNode.Await("the tracer", () => Directory.GetDirectories($"/proc/{pid}/task").All(t => !File.ReadAllText(Path.Combine(t, "status")).Contains("TracerPid:\t0", StringComparison.Ordinal)));
        return tracer;
    }

    /// <summary>
    /// Whether a traced call could change something below the data directory: an open for reading, or of a file that is there, cannot. The old timeline's log is left out: the new writer has read it to its
    /// end and goes on in files of its own, so a write of log that had begun harms nobody. The second half of a call that the tracer shows in two lines says nothing: paths and flags are in the first.
    /// </summary>
    private static bool ChangesFiles(string line, string dataDirectory) =>
        line.Contains(dataDirectory + "/", StringComparison.Ordinal) && !line.Contains(dataDirectory + "/pg_wal/00000001", StringComparison.Ordinal)
        && !line.Contains(" resumed>", StringComparison.Ordinal) && !line.Contains("O_RDONLY", StringComparison.Ordinal) && !PlainOpen().IsMatch(line);

    /// <summary>Opens an existing file and leaves it as it is.</summary>
    [GeneratedRegex(@"open(at)?\((?!.*O_(CREAT|TRUNC))")]
    private static partial Regex PlainOpen();

    [GeneratedRegex(@"the node stops: .*(epoch \d+ has been claimed|ran out|cannot prove its lease)")]
    private static partial Regex Reason();
}
