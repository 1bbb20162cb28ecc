using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Reading;

namespace SharedStorage.Unit.Wal;

/// <summary>The log in stretches: records of one in any order, for threads side by side.</summary>
public sealed class WalStretchesTests : IDisposable
{
    private const int Readers = 3;

    private readonly WalLog _log = new();
    private readonly RecentWal _recent = new(1 << 20);
    private readonly List<(Lsn Start, Lsn End, uint Xid)> _all;

    public WalStretchesTests()
    {
        using (WalInserter wal = _log.Start())
        {
            // Records of a few bytes and of many pages, over three stretches; some begin in one and end in the next.
            for (uint i = 3; wal.Reserved < WalLog.Begin + (ulong)(2.3 * IWalScan.StretchSize); i++)
            {
                WalLog.Insert(wal, i, (int)(i * 977 % 60_000));
            }

            wal.Flush(wal.Reserved);
        }

        _all = _log.ReadAll();
    }

    public void Dispose()
    {
        _recent.Dispose();
        _log.Dispose();
    }

    [Fact]
    public async Task Each_record_comes_in_any_order_to_threads_side_by_side_and_each_stretch_is_read_once()
    {
        long bytes = 0;
        _log.Opener = (path, mode) => DirectFile.TryOpen(path, mode) is { } file ? new WalReaderTests.CountedFile(file, n => Interlocked.Add(ref bytes, n)) : null;
        using WalRecords records = Records();
        using IWalScan scan = records.OpenScan(Readers);
        using var together = new Barrier(Readers);
        Task<int>[] tasks = [.. Enumerable.Range(0, Readers).Select(n => Task.Factory.StartNew(() => ReadPart(scan, n, together), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
        Assert.Equal(_all.Count, (await Task.WhenAll(tasks)).Sum());

        // What lies past a stretch's end is read by each thread that has a record there.
        Assert.InRange(bytes, 2 * IWalScan.StretchSize, (3 * IWalScan.StretchSize) + (Readers * 3 * (256 << 10)));
    }

    [Fact]
    public void Threads_that_are_not_in_step_get_theirs_too()
    {
        using WalRecords records = Records();
        using IWalScan scan = records.OpenScan(2);
        using IWalStretchReader first = scan.NewReader();
        using IWalStretchReader second = scan.NewReader();
        var record = new WalRecord();
        foreach ((int a, int b) in new[] { (1, 3), (3, 1), (2, 2), (1, 1), (3, 2) })
        {
            first.Enter((ulong)a, 3);
            second.Enter((ulong)b, 3);
            Read(first, a, record);
            Read(second, b, record);
            first.Leave();
            second.Leave();
        }
    }

    [Fact]
    public void A_record_that_is_gone_is_an_error_with_its_position()
    {
        (Lsn start, _, _) = _all.Find(r => r.Start >= WalLog.Begin + (5 * WalLog.SegmentSize));
        File.Delete(_log.Segments.SegmentPath(new TimelineId(1), WalLayout.SegmentOf(start, WalLog.SegmentSize)));
        using WalRecords records = Records();
        using IWalScan scan = records.OpenScan(1);
        using IWalStretchReader reader = scan.NewReader();
        reader.Enter(start.Value / IWalScan.StretchSize, start.Value / IWalScan.StretchSize);
        StorageException error = Assert.Throws<StorageException>(() => reader.Read(start, new WalRecord()));
        Assert.Contains(start.ToString(), error.Message, StringComparison.Ordinal);
        reader.Read(_all[0].Start, new WalRecord());
    }

    private WalRecords Records() => new(_log.Segments, _log.Segments.ReadHistory(new TimelineId(1)), _recent);

    private int ReadPart(IWalScan scan, int part, Barrier together)
    {
        using IWalStretchReader reader = scan.NewReader();
        together.SignalAndWait();
        var record = new WalRecord();
        int count = 0;
        foreach (IGrouping<ulong, (Lsn Start, Lsn End, uint Xid)> stretch in _all.GroupBy(r => r.Start.Value / IWalScan.StretchSize))
        {
            reader.Enter(stretch.Key, Math.Min(stretch.Key + 1, 3));
            foreach ((Lsn start, Lsn end, uint xid) in stretch.Where((_, i) => i % Readers == part).Reverse())
            {
                reader.Fetch(start);
                reader.Read(start, record);
                Assert.Equal((start, end, xid), (record.Start, record.End, record.Xid.Value));
                Assert.True(record.MainData[26..].IndexOfAnyExcept((byte)xid) < 0);
                count++;
            }
        }

        return count;
    }

    private void Read(IWalStretchReader reader, int stretch, WalRecord record)
    {
        foreach ((Lsn start, _, uint xid) in _all.Where(r => r.Start.Value / IWalScan.StretchSize == (ulong)stretch))
        {
            reader.Read(start, record);
            Assert.Equal(xid, record.Xid.Value);
        }
    }
}
