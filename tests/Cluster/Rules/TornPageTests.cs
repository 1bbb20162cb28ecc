using System.Globalization;
using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster.Rules;

/// <summary>A page that its writer tore for good (I12): readers and the next writer rebuild it from its last image in the log.</summary>
public sealed class TornPageTests
{
    private const string Query = "select count(*) || ' ' || sum(v) || ' ' || min(v) from first";

    [SkippableFact]
    public void Readers_and_the_next_writer_rebuild_a_page_that_was_torn_by_a_kill_in_the_middle_of_its_write() => RulesTemplate.Run(1, cluster =>
    {
        (ClusterNode writer, ClusterNode reader) = (cluster.Nodes[0], cluster.Nodes[1]);
        var tear = new FaultDoor(cluster, "buffers.torn-write");
        writer.Start("writer", FaultDoor.Arguments(tear));
        reader.Start("reader", "--shared_buffers", "2MB");
        writer.Psql("checkpoint");

        // The images of all pages, then consistent passes them without a checkpoint: they leave the reader's index, and are in the log.
        writer.Psql("update first set v = 1");
        ulong images = writer.Status().Flushed;
        ClusterNode.Await("consistent to pass the images", () => reader.Status().Consistent >= images);
        writer.Psql("update first set v = 2");
        reader.CatchUpWith(writer);

        // A reader that loses its writer learns no sizes: it must know them before.
        Assert.Equal("100000", reader.Psql("select count(*) from pgbench_accounts"));
        string expected = $"{RulesTemplate.Rows} {2 * RulesTemplate.Rows} 2";
        Assert.Equal(expected, reader.Psql(Query));
        tear.Close();
        tear.AwaitReached();
        writer.Kill();
        (string File, uint Block)[] torn = TornPages(cluster.DataDirectory);
        cluster.Note($"torn: {string.Join(", ", torn)}");
        Assert.NotEmpty(torn);

        // Several times what the reader's cache holds, so that it reads the torn page from storage.
        Assert.Equal("100000", reader.Psql("select count(*) from pgbench_accounts"));
        Assert.Equal(expected, reader.Psql(Query));
        Assert.Contains("is damaged in storage", reader.Log, StringComparison.Ordinal);

        writer.Start("writer");
        Assert.Equal(expected, writer.Psql(Query));
        reader.CatchUpWith(writer);
        ClusterNode.Await("the reader to serve again", () => reader.TryPsql(Query).Output.TrimEnd() == expected);
        cluster.StopAll();
        cluster.Judge(clean: true, stock => Assert.Equal(expected, stock.Psql(Query)));
    });

    /// <summary>The pages whose checksum is wrong.</summary>
    private static (string File, uint Block)[] TornPages(string dataDirectory)
    {
        var torn = new List<(string, uint)>();
        using var buffer = new AlignedBuffer(1 << 20);
        foreach (string path in Directory.GetFiles(Path.Combine(dataDirectory, "base"), "*", SearchOption.AllDirectories).Where(f => char.IsAsciiDigit(Path.GetFileName(f)[0])))
        {
            using DirectFile? file = DirectFile.TryOpen(path, BlockFileMode.Read);
            int got;
            for (long at = 0; file is not null && (got = file.Read(at, buffer.Span)) >= Page.Size; at += got)
            {
                for (int offset = 0; offset + Page.Size <= got; offset += Page.Size)
                {
                    Span<byte> bytes = buffer.Span.Slice(offset, Page.Size);
                    uint block = (uint)((at + offset) / Page.Size);
                    if (!new Page(bytes).IsNew && PageChecksum.Stored(bytes) != PageChecksum.Compute(bytes, block))
                    {
                        torn.Add((path, block));
                    }
                }
            }
        }

        return [.. torn];
    }
}
