using SharedStorage.Format.Compression;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Golden;

/// <summary>Our reading of the log that stock PostgreSQL wrote.</summary>
public sealed class WalReadingTests
{
    [SkippableTheory]
    [InlineData("off", "1")]
    [InlineData("pglz", "1")]
    [InlineData("lz4", "16")]
    [InlineData("zstd", "16")]
    public void All_records_that_PostgreSQL_wrote_are_read_to_its_end_of_log(string compression, string segmentSize)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = StockPostgres.Create(
            [$"wal_compression = {compression}", "wal_keep_size = 1GB", "full_page_writes = on"], "--wal-segsize=" + segmentSize);
        server.Start();
        Lsn begin = Lsn.Parse(server.Psql("SELECT redo_lsn FROM pg_control_checkpoint()"));
        server.Pgbench("-i", "-s", "1", "-q");
        server.Psql("CHECKPOINT");
        server.Pgbench("-c", "4", "-t", "100");
        server.Psql("SELECT pg_switch_wal()");
        server.Pgbench("-c", "4", "-t", "100");
        Lsn end = Lsn.Parse(server.Psql("SELECT pg_current_wal_flush_lsn()"));
        server.StopImmediately();

        int size = int.Parse(segmentSize, System.Globalization.CultureInfo.InvariantCulture) << 20;
        var directory = new WalDirectory(Path.Combine(server.DataDirectory, "pg_wal"), size, 0);
        TimelineHistory history = directory.ReadHistory(new TimelineId(1));
        using var recent = new RecentWal(1 << 20);
        using WalReader reader = WalReader.Open(directory, history, begin, recent);
        using var byPosition = new WalRecords(directory, history, recent);
        var record = new WalRecord();
        var again = new WalRecord();
        byte[] page = new byte[8192];
        int images = 0;
        while (reader.Read(record) == WalRead.Record)
        {
            byPosition.Read(record.Start, again);
            Assert.True(record.MainData.SequenceEqual(again.MainData));
            for (int i = 0; i < record.BlockCount; i++)
            {
                if (record.HasBlock(i) && record.Block(i).HasImage)
                {
                    record.RestoreImage(i, page);
                    Assert.True(new Format.Pages.Page(page).HasSaneHeader);
                    images++;
                    AssertSamePglz(record, i, page);
                }
            }
        }

        Assert.True(reader.Position >= end, $"{reader.Position} {end} {reader.End}");
        Assert.True(images > 50);
    }

    /// <summary>Our compression gives the very bytes that PostgreSQL's gives.</summary>
    private static void AssertSamePglz(WalRecord record, int id, byte[] page)
    {
        WalBlock block = record.Block(id);
        if ((block.ImageInfo & WalBlock.ImagePglz) != 0)
        {
            byte[] raw = [.. page[..block.HoleOffset], .. page[(block.HoleOffset + block.HoleLength)..]];
            byte[] compressed = new byte[Pglz.MaxOutput(raw.Length)];
            int length = Pglz.Compress(raw, compressed);
            Assert.True(record.StoredImage(id).SequenceEqual(compressed.AsSpan(0, Math.Max(length, 0))), $"{record} block {id}");
        }
    }
}
