using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Records;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Wal;

public sealed class WalReaderTests : IDisposable
{
    private readonly WalLog _log = new();

    public void Dispose() => _log.Dispose();

    [Fact]
    public void Nothing_beyond_the_limit_is_read_and_reading_goes_on_when_it_moves()
    {
        using WalInserter wal = _log.Start();
        using WalReader reader = _log.Open();
        var record = new WalRecord();
        reader.Limit = WalLog.Begin;
        Assert.Equal(WalRead.AtLimit, reader.Read(record));
        for (uint i = 3; i < 200; i++)
        {
            Lsn end = WalLog.Insert(wal, i, (int)(i * 37 % 9000));
            wal.Flush(end);

            // The last 8 bytes hold at least one of the record's own; the rest is padding.
            reader.Limit = new Lsn(end.Value - 8);
            Assert.Equal(WalRead.AtLimit, reader.Read(record));
            reader.Limit = end;
            Assert.Equal(WalRead.Record, reader.Read(record));
            Assert.Equal((i, end), (record.Xid.Value, record.End));
            Assert.Equal(WalRead.AtLimit, reader.Read(record));
        }
    }

    [Fact]
    public void Going_forward_reads_ahead_by_large_reads_and_each_byte_once()
    {
        Lsn end;
        using (WalInserter wal = _log.Start())
        {
            for (uint i = 3; i < 300; i++)
            {
                WalLog.Insert(wal, i, 50_000);
            }

            end = wal.Reserved;
            wal.Flush(end);
        }

        int caller = Environment.CurrentManagedThreadId;
        long ahead = 0;
        long all = 0;
        _log.Opener = (path, mode) => DirectFile.TryOpen(path, mode) is { } file
            ? new CountedFile(file, n =>
            {
                Interlocked.Add(ref all, n);
                Interlocked.Add(ref ahead, Environment.CurrentManagedThreadId == caller ? 0 : n);
            })
            : null;
        using WalReader reader = _log.Open();
        var record = new WalRecord();
        uint read = 3;

        // The limit moves as a writer's announcements do.
        for (Lsn limit = WalLog.Begin; limit < end; limit += 5_000_000)
        {
            reader.Limit = Lsn.Min(limit + 5_000_000, end);
            while (reader.Read(record) == WalRead.Record)
            {
                Assert.Equal(read++, record.Xid.Value);
                Assert.True(record.MainData[26..].IndexOfAnyExcept((byte)record.Xid.Value) < 0);
            }
        }

        Assert.Equal(300u, read);
        Assert.Equal(end, reader.Position);
        Assert.InRange(ahead, 5_000_000, all);
        Assert.InRange(all, (long)(end - WalLog.Begin), (long)((end - WalLog.Begin) * 5 / 4));
    }

    [Fact]
    public void A_segment_that_is_missing_ahead_is_the_end_of_the_log_where_it_is_met()
    {
        using (WalInserter wal = _log.Start())
        {
            for (uint i = 3; i < 200; i++)
            {
                WalLog.Insert(wal, i, 50_000);
            }

            wal.Flush(wal.Reserved);
        }

        int before = _log.ReadAll(out _).Count(r => r.End <= WalLog.Begin + (4 * WalLog.SegmentSize));
        File.Delete(_log.Segments.SegmentPath(new TimelineId(1), WalLayout.SegmentOf(WalLog.Begin, WalLog.SegmentSize) + 4));
        Assert.Equal(before, _log.ReadAll(out WalEnd end).Count);
        Assert.Contains("is missing", end.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Reading_a_hundred_thousand_records_allocates_nothing()
    {
        using (WalInserter wal = _log.Start())
        {
            for (int i = 0; i < 101_000; i++)
            {
                WalLog.Insert(wal, 7, 40);
            }

            wal.Flush(wal.Reserved);
        }

        using WalReader reader = _log.Open();
        var record = new WalRecord();
        for (int i = 0; i < 1000; i++)
        {
            Assert.Equal(WalRead.Record, reader.Read(record));
        }

        long allocated = GC.GetAllocatedBytesForCurrentThread();
        int read = 0;
        while (reader.Position < WalLog.Begin + 10_000_000 && reader.Read(record) == WalRead.Record)
        {
            read++;
        }

        // A file for each segment of 1 MiB and the buffers that are read ahead, and nothing for each record.
        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        Assert.InRange(read, 80_000, 101_000);
        Assert.InRange(allocated, 0, 80_000);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(60_000)]
    public void Reading_goes_on_afresh_in_a_segment_in_which_the_timeline_has_changed(int length)
    {
        Lsn fork;
        using (WalInserter first = _log.Start())
        {
            WalLog.Insert(first, 3, 20_000);
            fork = first.Reserved;
            first.Flush(fork);
        }

        var next = new TimelineId(2);
        _log.Segments.CopyTail(new TimelineId(1), next, fork);
        _log.Segments.WriteHistory(TimelineHistory.WithoutAncestors(new TimelineId(1)).Fork(next, fork, "a promotion"));
        using WalInserter wal = WalInserter.Start(
            new WalInserterOptions { Directory = _log.Segments, Timeline = next, BufferSize = 256 << 10 }, new WalStart { InsertAt = fork, PreviousRecord = WalLog.Begin, RedoPointer = WalLog.Begin });
        Lsn end = WalLog.Insert(wal, 4, length);
        Lsn last = WalLog.Insert(wal, 5, length);
        wal.Flush(last);
        using WalReader reader = _log.Open(next);
        var record = new WalRecord();
        reader.Limit = end;
        Assert.Equal(WalRead.Record, reader.Read(record));
        Assert.Equal(WalRead.Record, reader.Read(record));
        Assert.Equal(WalRead.AtLimit, reader.Read(record));

        // In the middle of a record, and with everything forgotten: what a promotion does.
        reader.Limit = new Lsn(last.Value - 8);
        Assert.Equal(WalRead.AtLimit, reader.Read(record));
        reader.Refresh();
        reader.Limit = Lsn.Max;
        Assert.Equal(WalRead.Record, reader.Read(record));
        Assert.Equal(5u, record.Xid.Value);
        Assert.Equal(last, reader.Position);
    }

    [Fact]
    public void A_flipped_byte_ends_the_log_there_and_a_segment_behind_it_proves_damage()
    {
        Lsn end;
        using (WalInserter wal = _log.Start())
        {
            for (uint i = 3; i < 40; i++)
            {
                WalLog.Insert(wal, i, 50_000);
            }

            end = wal.Reserved;
            wal.Flush(end);
        }

        List<(Lsn Start, Lsn End, uint Xid)> all = _log.ReadAll(out WalEnd sound);
        Assert.Equal(end, sound.Position);
        Assert.False(sound.NextSegmentWritten.IsValid);

        _log.Damage(all[5].Start + 30_000, 0xEE);
        Assert.Equal(5, _log.ReadAll(out WalEnd damaged).Count);
        Assert.Equal(all[5].Start, damaged.Position);
        Assert.Equal(all[4].Start, damaged.LastRecord);
        Assert.Contains("incorrect resource manager data checksum", damaged.Message, StringComparison.Ordinal);
        Assert.Equal(WalLog.Begin + WalLog.SegmentSize, damaged.NextSegmentWritten);
        StorageException failure = damaged.AsDamage("the control file", end);
        Assert.Contains(all[5].Start.ToString(), failure.Message, StringComparison.Ordinal);
        Assert.Contains(end.ToString(), failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_record_cut_off_at_a_page_is_given_up_by_the_record_that_takes_its_place()
    {
        Lsn aborted;
        using (WalInserter wal = _log.Start())
        {
            WalLog.Insert(wal, 3, 100);
            aborted = wal.Reserved;
            wal.Flush(WalLog.Insert(wal, 4, 100_000));
        }

        // What a crash leaves when only the first pages came to disk.
        Lsn missing = WalLayout.PageStart(aborted) + (3 * WalLayout.PageSize);
        _log.Damage(missing, new byte[WalLayout.PageSize]);
        List<(Lsn Start, Lsn End, uint Xid)> before = _log.ReadAll(out WalEnd end);
        Assert.Single(before);
        Assert.Equal((aborted, missing), (end.AbortedRecord, end.MissingContinuation));

        var start = new WalStart { InsertAt = missing, PreviousRecord = end.LastRecord, RedoPointer = WalLog.Begin, Overwrites = true };
        using (WalInserter wal = WalInserter.Start(_log.Options(), start))
        {
            WalRecordBuilder record = wal.Begin(Xid.Invalid);
            new OverwriteContinuationRecord(end.AbortedRecord, 0).Write(record);
            wal.Insert(record, Rmgr.Xlog, XlogOp.OverwriteContinuation);
            wal.Flush(WalLog.Insert(wal, 5, 100));
        }

        using WalReader reader = _log.Open();
        var read = new WalRecord();
        Assert.Equal(WalRead.Record, reader.Read(read));
        Assert.Equal(WalRead.Record, reader.Read(read));
        Assert.Equal(XlogOp.OverwriteContinuation, read.OpCode);
        Assert.Equal(aborted, reader.Overwritten);
        Assert.Equal(aborted, OverwriteContinuationRecord.Read(read.MainData).Overwritten);
        Assert.Equal(WalRead.Record, reader.Read(read));
        Assert.Equal(5u, read.Xid.Value);
    }

    [Fact]
    public void Any_damaged_byte_of_a_record_is_noticed_and_never_crashes_the_reader()
    {
        using (WalInserter wal = _log.Start())
        {
            WalLog.Insert(wal, 3, 10);
            wal.Flush(WalLog.Insert(wal, 4, 40));
        }

        (Lsn start, Lsn end, _) = _log.ReadAll()[1];
        string path = _log.Segments.SegmentPath(new TimelineId(1), 16);
        byte[] original = File.ReadAllBytes(path);
        int used = 24 + 2 + 26 + 40;
        Assert.Equal(WalLayout.AlignUp(used), (int)(end - start));
        for (int i = 0; i < used; i++)
        {
            foreach (byte flip in new byte[] { 1, 0x80, 0xFF })
            {
                _log.Damage(start + (ulong)i, (byte)(original[WalLayout.SegmentOffset(start, WalLog.SegmentSize) + i] ^ flip));
                Assert.Single(_log.ReadAll());
            }

            _log.Damage(start + (ulong)i, original[WalLayout.SegmentOffset(start, WalLog.SegmentSize) + i]);
        }

        Assert.Equal(2, _log.ReadAll().Count);
    }

    [Fact]
    public void A_log_of_another_system_is_refused()
    {
        using (WalInserter wal = _log.Start())
        {
            wal.Flush(WalLog.Insert(wal, 3, 10));
        }

        var other = new WalDirectory(_log.Folder, WalLog.SegmentSize, 43);
        using WalReader reader = WalReader.Open(other, TimelineHistory.WithoutAncestors(new TimelineId(1)), WalLog.Begin);
        Assert.Equal(WalRead.End, reader.Read(new WalRecord()));
        Assert.Contains("different database system", reader.End!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Records_are_found_by_position_while_the_log_grows()
    {
        using WalInserter wal = _log.Start();
        TimelineHistory history = TimelineHistory.WithoutAncestors(new TimelineId(1));
        using var recent = new RecentWal(64 << 10);
        using var records = new WalRecords(_log.Segments, history, recent);
        using WalReader tail = WalReader.Open(_log.Segments, history, WalLog.Begin, recent);
        var starts = new List<Lsn>();
        var record = new WalRecord();
        var random = new Random(5);
        for (uint i = 3; i < 120; i++)
        {
            tail.Limit = WalLog.Insert(wal, i, random.Next(20_000));
            wal.Flush(tail.Limit);
            Assert.Equal(WalRead.Record, tail.Read(record));
            starts.Add(record.Start);
            int pick = random.Next(starts.Count);
            records.Read(starts[pick], record);
            Assert.Equal((uint)pick + 3, record.Xid.Value);
        }

        StorageException missing = Assert.Throws<StorageException>(() => records.Read(wal.Reserved + 4096, record));
        Assert.Contains((wal.Reserved + 4096).ToString(), missing.Message, StringComparison.Ordinal);
        Assert.Throws<StorageException>(() => records.Read(starts[4] + 8, record));
    }

    [Fact]
    public void A_history_file_is_read_as_it_is_written()
    {
        TimelineHistory history = TimelineHistory.WithoutAncestors(new TimelineId(1))
            .Fork(new TimelineId(2), new Lsn(0x16000000), "no recovery target specified").Fork(new TimelineId(5), new Lsn(0x17000028), "before x");
        Assert.Equal("1\t0/16000000\tno recovery target specified\n2\t0/17000028\tbefore x\n", history.ToString());
        TimelineHistory again = TimelineHistory.Parse(new TimelineId(5), "# comment\n\n" + history);
        Assert.Equal(history.ToString(), again.ToString());
        Assert.Equal(new TimelineId(1), again.At(new Lsn(0x15FFFFFF)));
        Assert.Equal(new TimelineId(2), again.At(new Lsn(0x16000000)));
        Assert.Equal(new TimelineId(5), again.At(new Lsn(0x17000028)));
        Assert.Throws<StorageException>(() => TimelineHistory.Parse(new TimelineId(2), "2\t0/1\tx"));
        Assert.Throws<StorageException>(() => TimelineHistory.Parse(new TimelineId(3), "1\tnonsense"));
    }

    internal sealed class CountedFile(IBlockFile file, Action<int> read) : IBlockFile
    {
        public string Path => file.Path;
        public long Length => file.Length;

        public int Read(long offset, Span<byte> buffer)
        {
            int n = file.Read(offset, buffer);
            read(n);
            return n;
        }

        public void Write(long offset, ReadOnlySpan<byte> buffer) => file.Write(offset, buffer);
        public void DataSync() => file.DataSync();
        public void Allocate(long offset, long length) => file.Allocate(offset, length);
        public void Truncate(long length) => file.Truncate(length);
        public void Dispose() => file.Dispose();
    }
}
