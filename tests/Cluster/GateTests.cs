using System.Buffers.Binary;
using System.Diagnostics;
using SharedStorage.Control.V1;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>I2 as seen from outside: no page on storage is ahead of a leased reader, however long it stands still.</summary>
public sealed class GateTests
{
    /// <summary>The reader's lease is 5 s, counted from its last acknowledgement: until then by this test's clock the writer cannot have stopped waiting.</summary>
    private static readonly TimeSpan Held = TimeSpan.FromSeconds(4);

    [SkippableFact]
    public void No_page_on_storage_is_ahead_of_a_stopped_reader_until_its_lease_ends()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.StartAll();
            ClusterNode reader = cluster.Nodes[1];
            Task<(int, string)> load = Task.Run(() => cluster.Writer.Pgbench("-c", "6", "-j", "2", "-T", "12", "-M", "prepared"));
            ClusterNode.Await("transactions", () => cluster.Writer.Psql("select count(*) from pgbench_history") is var n && long.Parse(n, System.Globalization.CultureInfo.InvariantCulture) > 500);
            reader.Signal("STOP");
            var clock = Stopwatch.StartNew();
            Lsn applied = AppliedAsTheWriterKnows(cluster);
            cluster.Note($"stopped at {applied}");

            // A checkpoint asks for every page to be written: it has to hold back those that are ahead.
            Task checkpoint = Task.Run(() => cluster.Writer.Psql("checkpoint"));
            int scans = 0;
            while (clock.Elapsed < Held)
            {
                (Lsn highest, string where) = HighestPage(cluster.DataDirectory);
                Assert.True(highest <= applied, $"{where} has LSN {highest}, the reader has applied {applied}, {clock.Elapsed.TotalSeconds:F1} s after it was stopped");
                scans++;
            }

            Assert.True(scans > 0, "no scan ended in time");
            Assert.False(checkpoint.IsCompleted, "the checkpoint did not wait for the reader");
            Assert.True(checkpoint.Wait(ClusterNode.Patience), "the checkpoint does not end after the reader's lease");
            (Lsn afterwards, _) = HighestPage(cluster.DataDirectory);
            Assert.True(afterwards > applied, "nothing was written after the lease: the scans prove nothing");
            PgbenchTests.Expect(load.GetAwaiter().GetResult());

            reader.Signal("CONT");
            reader.CatchUpWith(cluster.Writer);
            ClusterNode.Await("the reader to serve again", () => reader.TryPsql("select 1").ExitCode == 0);
            Assert.Equal(ClusterFixture.Sums(cluster.Writer), ClusterFixture.Sums(reader));
            cluster.StopAll();
        });
    }

    /// <summary>The reader's last acknowledgement: read until it no longer moves, since some may still be under way when the reader is stopped.</summary>
    private static Lsn AppliedAsTheWriterKnows(ClusterFixture cluster)
    {
        ulong last = 0;
        ClusterNode.Await("the last acknowledgement", () =>
        {
            NodeStatus known = cluster.Writer.ReaderStatus(cluster.Nodes[1].Name);
            Assert.True(known.Leased, "the lease has ended already");
            bool same = known.Applied == last;
            last = known.Applied;
            Thread.Sleep(100);
            return same;
        });
        return new Lsn(last);
    }

    /// <summary>Reads every page of every relation with O_DIRECT and gives the highest page LSN. FSM pages have none that count.</summary>
    private static (Lsn Highest, string Where) HighestPage(string dataDirectory)
    {
        const int pageSize = 8192;
        using var buffer = new AlignedBuffer(1 << 20);
        (Lsn highest, string where) = (Lsn.Invalid, "");
        IEnumerable<string> files = Directory.GetFiles(Path.Combine(dataDirectory, "global")).Concat(
            Directory.GetFiles(Path.Combine(dataDirectory, "base"), "*", SearchOption.AllDirectories));
        foreach (string path in files.Where(f => char.IsAsciiDigit(Path.GetFileName(f)[0]) && !f.EndsWith("_fsm", StringComparison.Ordinal)))
        {
            using DirectFile? file = DirectFile.TryOpen(path, BlockFileMode.Read);
            int got;
            for (long at = 0; file is not null && (got = file.Read(at, buffer.Span)) >= pageSize; at += got)
            {
                for (int page = 0; page + pageSize <= got; page += pageSize)
                {
                    // pd_lsn: two halves of four bytes, the high one first.
                    ReadOnlySpan<byte> header = buffer.Span.Slice(page, 8);
                    var lsn = new Lsn(((ulong)BinaryPrimitives.ReadUInt32LittleEndian(header) << 32) | BinaryPrimitives.ReadUInt32LittleEndian(header[4..]));
                    if (lsn > highest)
                    {
                        (highest, where) = (lsn, $"block {(at + page) / pageSize} of {path}");
                    }
                }
            }
        }

        return (highest, where);
    }
}
