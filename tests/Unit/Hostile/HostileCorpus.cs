using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Hostile;

/// <summary>A record of stock PostgreSQL, and the pages that it is about as they were before it.</summary>
internal sealed record CorpusRecord(Rmgr Rmgr, byte Info, Lsn Start, Lsn End, RecordParts Parts, byte[][] Pages);

/// <summary>
/// What is mutated: the log of a load that meets all resource managers, a few records of each operation. All of it is written with images for checking, so the page before
/// each record is known: it is the last image.
/// </summary>
public sealed class HostileCorpus : IDisposable
{
    /// <summary>Records that are kept of each operation.</summary>
    private const int PerOperation = 12;

    private const int SegmentSize = 1 << 20;
    private readonly StockPostgres? _server;

    public HostileCorpus()
    {
        if (!StockPostgres.IsInstalled)
        {
            return;
        }

        _server = StockPostgres.Create([.. EveryRecord.Settings, "fsync = off", "max_wal_size = 4GB", "wal_keep_size = 40GB", "wal_compression = lz4", "wal_consistency_checking = all"], "--wal-segsize=1");
        try
        {
            (string start, string end) = EveryRecord.Write(_server, checking: "all");
            Read(Lsn.Parse(start), Lsn.Parse(end));
        }
        catch
        {
            _server.Dispose();
            throw;
        }
    }

    internal List<CorpusRecord> Records { get; } = [];

    /// <summary>Whole segments, by their start.</summary>
    internal List<(Lsn Start, byte[] Bytes)> Segments { get; } = [];

    internal string DataDirectory => _server!.DataDirectory;
    internal WalDirectory Directory => new(Path.Combine(DataDirectory, "pg_wal"), SegmentSize, 0);

    public void Dispose() => _server?.Dispose();

    private void Read(Lsn start, Lsn end)
    {
        WalDirectory directory = Directory;
        using WalReader reader = WalReader.Open(directory, directory.ReadHistory(new TimelineId(1)), start);
        reader.Limit = end;
        var random = new Random(1);
        var record = new WalRecord();
        var images = new Dictionary<BufferTag, byte[]>();
        var seen = new Dictionary<(Rmgr, byte), (int Count, List<int> Kept)>();
        while (reader.Read(record) == WalRead.Record)
        {
            (int count, List<int> kept) = seen.GetValueOrDefault((record.Rmgr, record.Info), (0, []));
            seen[(record.Rmgr, record.Info)] = (count + 1, kept);
            if (kept.Count < PerOperation)
            {
                kept.Add(Records.Count);
                Records.Add(Take(record, images));
            }
            else if (random.Next(count + 1) is var at && at < PerOperation)
            {
                Records[kept[at]] = Take(record, images);
            }

            for (int id = 0; id < record.BlockCount; id++)
            {
                if (record.HasBlock(id) && record.Block(id).HasImage)
                {
                    record.RestoreImage(id, images.TryGetValue(record.Block(id).Tag, out byte[]? known) ? known : images[record.Block(id).Tag] = new byte[Page.Size]);
                }
            }
        }

        if (reader.End is { } cut)
        {
            throw new InvalidOperationException($"the log from {start} to {end} cannot be read at {cut.Position}: {cut.Message}");
        }

        string[] files = System.IO.Directory.GetFiles(directory.Path, "00000001*");
        foreach (string file in files.Order(StringComparer.Ordinal).Where((_, i) => i % (1 + (files.Length / 16)) == 1))
        {
            ulong segment = (Convert.ToUInt64(Path.GetFileName(file)[8..16], 16) * ((1UL << 32) / SegmentSize)) + Convert.ToUInt64(Path.GetFileName(file)[16..], 16);
            Segments.Add((WalLayout.SegmentStart(segment, SegmentSize), File.ReadAllBytes(file)));
        }
    }

    private static CorpusRecord Take(WalRecord record, Dictionary<BufferTag, byte[]> images)
    {
        byte[] bytes = record.Buffer((int)record.TotalLength)[..(int)record.TotalLength].ToArray();
        byte[][] pages = new byte[record.BlockCount][];
        for (int id = 0; id < pages.Length; id++)
        {
            pages[id] = record.HasBlock(id) && images.TryGetValue(record.Block(id).Tag, out byte[]? image) ? [.. image] : new byte[Page.Size];
        }

        return new CorpusRecord(record.Rmgr, record.Info, record.Start, record.End, RecordParts.Parse(bytes).WithoutChecks(), pages);
    }
}
