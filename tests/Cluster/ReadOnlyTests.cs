using System.Globalization;
using System.Text.RegularExpressions;
using Mono.Unix.Native;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>I4: a reader writes nothing in the shared directory. And both kinds of node pass the kernel's page cache by.</summary>
public sealed partial class ReadOnlyTests
{
    [SkippableFact]
    public void A_reader_on_a_read_only_mount_serves_and_opens_for_reading_only()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Skip.IfNot(StockPostgres.IsRoot, "a read-only bind mount needs root");
        Skip.IfNot(File.Exists("/usr/bin/strace"), "strace is not installed");
        Skip.IfNot(StockPostgres.TryToolAsCaller("/usr/bin/unshare", "-m", "true").ExitCode == 0, "no mount namespaces here");
        ClusterFixture.Run(1, cluster =>
        {
            cluster.Writer.Start("writer");
            string mount = Path.Combine(cluster.Root, "mount");
            string trace = Path.Combine(cluster.Root, "trace");
            StockPostgres.Run("mkdir", [mount]);
            ClusterNode reader = cluster.Nodes[1];
            reader.DataDirectory = mount;
            reader.Wrapper =
            [
                "unshare", "-m", "sh", "-c",
                "mount --bind \"$1\" \"$2\" && mount -o remount,bind,ro \"$2\" && shift 2 && exec setpriv --reuid=postgres --regid=postgres --init-groups \"$@\"",
                "sh", cluster.DataDirectory, mount,
                "strace", "-f", "-qq", "-o", trace, "-e", "trace=open,openat,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,truncate,link,linkat,symlink,symlinkat,chmod,fchmodat",
            ];
            reader.Start("reader");
            PgbenchTests.Expect(cluster.Writer.Pgbench("-c", "4", "-j", "2", "-T", "2"));
            PgbenchTests.Expect(reader.Pgbench("-S", "-c", "4", "-T", "2", "-M", "prepared"));
            reader.CatchUpWith(cluster.Writer);
            Assert.Equal(ClusterFixture.Sums(cluster.Writer), ClusterFixture.Sums(reader));
            Assert.False(reader.Status().Promotable);
            Assert.Throws<SharedStorage.Control.Grpc.RpcException>(() => reader.Promote());
            ExpectDirect(reader, mount, OpenFlags.O_RDONLY);
            cluster.StopAll();

            string[] lines = [.. File.ReadLines(trace).Where(l => l.Contains($"\"{mount}/", StringComparison.Ordinal) || l.Contains($"\"{cluster.DataDirectory}/", StringComparison.Ordinal))];
            Assert.NotEmpty(lines);
            string[] wrong = [.. lines.Where(l => !ReadOnlyOpen().IsMatch(l))];
            Assert.True(wrong.Length == 0, string.Join('\n', wrong.Take(20)));
        });
    }

    [SkippableFact]
    public void Log_and_data_files_are_open_with_O_DIRECT_on_both_kinds_of_node()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            PgbenchTests.Expect(cluster.Writer.Pgbench("-c", "4", "-j", "2", "-t", "50"));
            cluster.Nodes[1].CatchUpWith(cluster.Writer);
            ClusterFixture.Sums(cluster.Nodes[1]);
            ExpectDirect(cluster.Writer, cluster.DataDirectory, OpenFlags.O_RDWR);
            ExpectDirect(cluster.Nodes[1], cluster.DataDirectory, OpenFlags.O_RDONLY);
            cluster.StopAll();
        });
    }

    /// <summary>Looks at /proc/PID/fdinfo of every segment and relation file that the node has open.</summary>
    private static void ExpectDirect(ClusterNode node, string directory, OpenFlags access)
    {
        int direct = NativeConvert.FromOpenFlags(OpenFlags.O_DIRECT);
        (int log, int data) = (0, 0);
        int pid = node.ProcessId;
        foreach (string fd in Directory.GetFiles($"/proc/{pid}/fd"))
        {
            if (new FileInfo(fd).LinkTarget is not { } target || !FileInDirectory().IsMatch(target) || !target.StartsWith(directory + "/", StringComparison.Ordinal))
            {
                continue;
            }

            string line = File.ReadLines($"/proc/{pid}/fdinfo/{Path.GetFileName(fd)}").Single(l => l.StartsWith("flags:", StringComparison.Ordinal));
            int flags = Convert.ToInt32(line["flags:".Length..].Trim(), 8);
            Assert.True((flags & direct) != 0, string.Create(CultureInfo.InvariantCulture, $"{target} is open without O_DIRECT (flags {line})"));
            Assert.True(access != OpenFlags.O_RDONLY || (flags & 3) == 0, $"{target} is open for writing");
            if (target.Contains("/pg_wal/", StringComparison.Ordinal))
            {
                log++;
            }
            else
            {
                data++;
            }
        }

        Assert.True(log > 0 && data > 0, $"{node.Name} has {log} segments and {data} relation files open");
    }

    [GeneratedRegex(@"/(pg_wal/[0-9A-F]{24}|(base|global)/.*[0-9]+[^/]*)$")]
    private static partial Regex FileInDirectory();

    /// <summary>An open that asks for nothing but reading, finished or not, successful or not.</summary>
    [GeneratedRegex(@"open(at)?\(.*O_RDONLY(\|O_(DIRECT|CLOEXEC|NOFOLLOW|NONBLOCK|DIRECTORY|NOATIME|LARGEFILE))*[^|A-Z_]")]
    private static partial Regex ReadOnlyOpen();
}
