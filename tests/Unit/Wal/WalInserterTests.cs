using System.Runtime.InteropServices;
using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Wal;

public sealed unsafe class WalInserterTests : IDisposable
{
    private const int SegmentSize = WalLog.SegmentSize;
    private static readonly Lsn Begin = WalLog.Begin;
    private static readonly BufferTag Tag = new(new RelFileNode(new Oid(1663), new Oid(5), new Oid(16384)), ForkNumber.Main, new BlockNumber(7));

    private readonly WalLog _log = new();
    private readonly byte* _page = (byte*)NativeMemory.AllocZeroed(Page.Size);

    public void Dispose()
    {
        NativeMemory.Free(_page);
        _log.Dispose();
    }

    private WalDirectory Wal => _log.Segments;
    private WalInserterOptions Options(int buffer = 256 << 10) => _log.Options(buffer);
    private WalInserter StartEmpty(WalInserterOptions? options = null) => _log.Start(options);
    private static Lsn InsertMessage(WalInserter wal, uint xid, int length) => WalLog.Insert(wal, xid, length);
    private List<(Lsn Start, Lsn End, uint Xid)> ReadAll(TimelineId? timeline = null, Lsn? from = null) => _log.ReadAll(timeline, from);

    [Fact]
    public void A_flush_that_returns_is_durable_and_none_hangs_however_they_meet()
    {
        using WalInserter wal = StartEmpty();
        var wrong = new System.Collections.Concurrent.ConcurrentBag<Lsn>();
        Thread[] threads = [.. Enumerable.Range(0, 8).Select(t => new Thread(() =>
        {
            for (int i = 0; i < 1500; i++)
            {
                Lsn end = InsertMessage(wal, (uint)(3 + t), 20);
                wal.Flush(end);
                if (wal.Flushed < end)
                {
                    wrong.Add(end);
                }
            }
        }) { IsBackground = true })];
        Array.ForEach(threads, t => t.Start());
        Assert.All(threads, t => Assert.True(t.Join(TimeSpan.FromMinutes(2)), "a flush waits for ever"));
        Assert.Empty(wrong);
    }

    [Fact]
    public void Records_of_many_threads_are_read_back_in_order_over_several_segments()
    {
        using (WalInserter wal = StartEmpty())
        {
            wal.StartWriter(TimeSpan.FromMilliseconds(5));
            var threads = new Thread[6];
            for (int t = 0; t < threads.Length; t++)
            {
                int me = t;
                threads[t] = new Thread(() =>
                {
                    var random = new Random(me);
                    for (int i = 0; i < 400; i++)
                    {
                        int length = i % 100 == 0 ? 100_000 : random.Next(1, 3000);
                        Lsn end = InsertMessage(wal, (uint)(1 + me), length);
                        if (i % 7 == 0)
                        {
                            wal.Flush(end);
                            Assert.True(wal.Flushed >= end);
                        }
                    }
                });
                threads[t].Start();
            }

            foreach (Thread thread in threads)
            {
                thread.Join();
            }

            wal.Flush(wal.Reserved);
            Assert.Equal(wal.Reserved, wal.Inserted);
        }

        List<(Lsn Start, Lsn End, uint Xid)> all = ReadAll();
        Assert.Equal(2400, all.Count);
        Assert.All(Enumerable.Range(1, 6), me => Assert.Equal(400, all.Count(r => r.Xid == me)));
    }

    [Fact]
    public void A_record_larger_than_the_ring_and_a_segment_is_written_whole()
    {
        using WalInserter wal = StartEmpty(Options(64 << 10));
        InsertMessage(wal, 3, 10);
        wal.Flush(InsertMessage(wal, 4, 3 << 20));
        wal.Flush(InsertMessage(wal, 5, 10));
        Assert.Equal([3u, 4u, 5u], ReadAll().Select(r => r.Xid));
    }

    [Fact]
    public void Insertion_goes_on_in_the_middle_of_a_page_and_keeps_what_is_there()
    {
        Lsn end;
        Lsn last;
        using (WalInserter wal = StartEmpty())
        {
            InsertMessage(wal, 3, 100);
            end = InsertMessage(wal, 4, 5000);
            InsertMessage(wal, 5, 50_000);
            wal.Flush(wal.Reserved);
        }

        last = ReadAll()[1].Start;
        using (WalInserter wal = WalInserter.Start(Options(), new WalStart { InsertAt = end, PreviousRecord = last, RedoPointer = Begin }))
        {
            // Of the same length as what was there before: only the clearing keeps the old record's followers from being read.
            wal.Flush(InsertMessage(wal, 6, 20));
        }

        Assert.Equal([3u, 4u, 6u], ReadAll().Select(r => r.Xid));
    }

    [Fact]
    public void A_promotion_copies_the_last_segment_and_goes_on_under_the_new_timeline()
    {
        Lsn end;
        using (WalInserter wal = StartEmpty())
        {
            end = InsertMessage(wal, 3, 20_000);
            wal.Flush(end);
            wal.Flush(InsertMessage(wal, 4, 2 << 20));
        }

        Lsn last = ReadAll()[0].Start;
        TimelineHistory history = Wal.ReadHistory(new TimelineId(1)).Fork(new TimelineId(2), end, "no recovery target specified");
        Wal.WriteHistory(history);
        Wal.CopyTail(new TimelineId(1), new TimelineId(2), end);
        var options = new WalInserterOptions { Directory = Wal, Timeline = new TimelineId(2), BufferSize = 256 << 10 };
        using (WalInserter wal = WalInserter.Start(options, new WalStart { InsertAt = end, PreviousRecord = last, RedoPointer = Begin }))
        {
            wal.Flush(InsertMessage(wal, 5, 20_000));
        }

        Assert.Equal([3u, 5u], ReadAll(new TimelineId(2)).Select(r => r.Xid));
        Assert.Throws<StorageException>(() => Wal.WriteHistory(history));
    }

    [Fact]
    public void A_page_gets_an_image_when_it_was_last_changed_before_the_redo_pointer()
    {
        var page = new Page(new Span<byte>(_page, Page.Size));
        page.Initialize(16);
        page.Bytes[8000] = 77;
        page.Header.Lower = 100;
        page.Header.Upper = 7000;
        using WalInserter wal = StartEmpty();
        page.Lsn = wal.BeginCheckpointRedo();
        page.Lsn = wal.Insert(wal.Begin(new Xid(3)).AddBlock(0, Tag, _page, WalBlockFlags.Standard).AddBlockData(0, "abc"u8), Rmgr.Heap, 0);
        page.Lsn = wal.Insert(wal.Begin(new Xid(3)).AddBlock(0, Tag, _page, WalBlockFlags.Standard).AddBlockData(0, "abc"u8), Rmgr.Heap, 0);
        wal.BeginCheckpointRedo();
        WalRecordBuilder both = wal.Begin(new Xid(3)).AddBlock(0, Tag, _page, WalBlockFlags.Standard | WalBlockFlags.KeepData).AddBlockData(0, "abc"u8);
        page.Lsn = wal.Insert(both.AddBlock(2, Tag with { Block = new BlockNumber(9) }, null, WalBlockFlags.WillInit), Rmgr.Heap, 0);
        wal.Flush(page.Lsn);

        using WalReader reader = WalReader.Open(Wal, Wal.ReadHistory(new TimelineId(1)), Begin);
        var record = new WalRecord();
        Assert.Equal(WalRead.Record, reader.Read(record));
        Assert.True(record.Block(0).ApplyImage);
        Assert.False(record.Block(0).HasData);
        byte[] restored = new byte[Page.Size];
        record.RestoreImage(0, restored);
        Assert.Equal(77, restored[8000]);
        Assert.Equal(6900, record.Block(0).HoleLength);
        Assert.Equal(WalRead.Record, reader.Read(record));
        Assert.False(record.Block(0).HasImage);
        Assert.Equal("abc"u8.ToArray(), record.BlockData(0).ToArray());
        Assert.Equal(WalRead.Record, reader.Read(record));
        Assert.True(record.Block(0).ApplyImage);
        Assert.True(record.Block(0).HasData);
        Assert.False(record.HasBlock(1));
        Assert.True(record.Block(2).WillInit);
        Assert.Equal(9u, record.Block(2).Tag.Block.Value);
    }

    [Theory]
    [InlineData(WalCompression.Pglz)]
    [InlineData(WalCompression.Lz4)]
    [InlineData(WalCompression.Zstd)]
    public void Compressed_images_are_restored(WalCompression method)
    {
        var page = new Page(new Span<byte>(_page, Page.Size));
        page.Initialize(0);
        page.Header.Upper = 1000;
        for (int i = 1000; i < Page.Size; i++)
        {
            page.Bytes[i] = (byte)(i % 50 * (i / 1000));
        }

        using WalInserter wal = StartEmpty(new WalInserterOptions { Directory = Wal, Timeline = new TimelineId(1), Compression = method });
        wal.Flush(wal.Insert(wal.Begin(Xid.Invalid).AddBlock(0, Tag, _page, WalBlockFlags.ForceImage | WalBlockFlags.Standard), Rmgr.Xlog, 0xB0));
        using WalReader reader = WalReader.Open(Wal, Wal.ReadHistory(new TimelineId(1)), Begin);
        var record = new WalRecord();
        Assert.Equal(WalRead.Record, reader.Read(record));
        Assert.True(record.TotalLength < 4000);
        byte[] restored = new byte[Page.Size];
        record.RestoreImage(0, restored);
        Assert.True(page.Bytes.SequenceEqual(restored));
    }

    [Fact]
    public void A_segment_switch_leaves_the_rest_unused()
    {
        using WalInserter wal = StartEmpty();
        InsertMessage(wal, 3, 100);
        Lsn end = wal.SwitchSegment();
        Assert.Equal(end, wal.Flushed > end ? end : Lsn.Invalid);
        Assert.Equal(Begin + SegmentSize, wal.Reserved);
        Assert.Equal(wal.Reserved, wal.SwitchSegment());
        wal.Flush(InsertMessage(wal, 4, 100));
        Assert.Equal([3u, 0u, 4u], ReadAll().Select(r => r.Xid));
    }

    [Fact]
    public void A_refused_write_stops_the_log_for_good()
    {
        bool allowed = true;
        int failures = 0;
        var options = new WalInserterOptions
        {
            Directory = Wal,
            Timeline = new TimelineId(1),
            MayWrite = () => allowed,
            OnFailure = _ => failures++,
        };
        using WalInserter wal = StartEmpty(options);
        wal.Flush(InsertMessage(wal, 3, 10));
        allowed = false;
        Lsn end = InsertMessage(wal, 4, 10);
        Assert.Throws<StorageException>(() => wal.Flush(end));
        allowed = true;
        Assert.Throws<StorageException>(() => wal.Flush(end));
        Assert.Equal(1, failures);
        Assert.Equal([3u], ReadAll().Select(r => r.Xid));
    }

    [Fact]
    public void Old_segments_are_recycled_when_own_and_removed_when_not()
    {
        string foreign = Wal.SegmentPath(new TimelineId(1), 3);
        File.WriteAllBytes(foreign, new byte[SegmentSize]);
        using WalInserter wal = StartEmpty(new WalInserterOptions
        {
            Directory = Wal,
            Timeline = new TimelineId(1),
            MinWalSize = 4 * SegmentSize,
            MaxWalSize = 16 * SegmentSize,
        });
        wal.Flush(InsertMessage(wal, 3, 5 * SegmentSize));
        (int removed, int recycled) = wal.RemoveOldSegments(wal.Reserved, wal.Reserved, wal.Reserved);
        Assert.False(File.Exists(foreign));
        Assert.Equal(3, recycled);
        Assert.Equal(3, removed);
        wal.Flush(InsertMessage(wal, 4, 2 * SegmentSize));
        wal.Flush(InsertMessage(wal, 5, 10));
        Assert.Equal([4u, 5u], ReadAll(from: ReadFirstAfter(6)).Select(r => r.Xid));
    }

    [Fact]
    public void A_failed_sync_stops_the_log_and_the_file_is_not_touched_again()
    {
        FailingFile? failing = null;
        _log.Opener = (path, mode) =>
        {
            IBlockFile? file = DirectFile.TryOpen(path, mode);
            return file is null ? null : failing = new FailingFile(file);
        };
        StorageException? reported = null;
        using WalInserter wal = StartEmpty(new WalInserterOptions { Directory = Wal, Timeline = new TimelineId(1), OnFailure = e => reported = e });
        wal.Flush(InsertMessage(wal, 3, 10));
        failing!.Fails = true;
        Lsn end = InsertMessage(wal, 4, 10);
        Assert.Throws<StorageException>(() => wal.Flush(end));
        Assert.NotNull(reported);
        int calls = failing.Calls;
        failing.Fails = false;
        Assert.Throws<StorageException>(() => wal.Flush(end));
        Assert.Throws<StorageException>(() => wal.Flush(InsertMessage(wal, 5, 10)));
        Assert.Equal(calls, failing.Calls);
        Assert.True(wal.Flushed < end);
    }

    [Fact]
    public void An_observer_hears_of_records_in_the_order_of_the_log()
    {
        var observer = new Recorder();
        using WalInserter wal = StartEmpty();
        Thread[] threads = [.. Enumerable.Range(0, 4).Select(t => new Thread(() =>
        {
            for (int i = 0; i < 500; i++)
            {
                Lsn end = wal.Insert(wal.Begin(new Xid(3)).AddData([0]), Rmgr.Xlog, 0x20, observer, out Lsn start);
                Assert.True(start < end);
            }
        }))];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());
        Assert.Equal(2000, observer.Ends.Count);
        Assert.Equal(observer.Ends.Order(), observer.Ends);
    }

    [Fact]
    public void A_flush_beyond_the_end_of_the_log_is_refused()
    {
        using WalInserter wal = StartEmpty();
        Assert.Throws<StorageException>(() => wal.Flush(wal.Reserved + 1));
    }

    [Fact]
    public void An_image_is_taken_when_a_checkpoint_begins_between_assembly_and_reservation()
    {
        var page = new Page(new Span<byte>(_page, Page.Size));
        page.Initialize(0);
        using WalInserter wal = StartEmpty();
        InsertMessage(wal, 3, 100);
        page.Lsn = wal.Reserved;
        using var stop = new CancellationTokenSource();
        var checkpointer = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                wal.BeginCheckpointRedo();
            }
        });
        checkpointer.Start();
        for (int i = 0; i < 3000; i++)
        {
            page.Lsn = wal.Insert(wal.Begin(new Xid(3)).AddBlock(0, Tag, _page, WalBlockFlags.Standard).AddBlockData(0, "abc"u8), Rmgr.Heap, 0);
        }

        stop.Cancel();
        checkpointer.Join();
        Lsn last = page.Lsn;
        wal.Flush(last);

        // The first record of the page at or after the last redo pointer must carry the image.
        Lsn redo = wal.RedoPointer;
        using WalReader reader = _log.Open();
        var record = new WalRecord();
        bool changedAfter = false;
        while (reader.Read(record) == WalRead.Record)
        {
            if (record.Start >= redo && record.BlockCount > 0 && !changedAfter)
            {
                changedAfter = true;
                Assert.True(record.Block(0).ApplyImage);
            }
        }
    }

    private sealed class Recorder : IInsertObserver
    {
        public List<Lsn> Ends { get; } = [];

        public void Reserved(Lsn start, Lsn end) => Ends.Add(end);
    }

    private sealed class FailingFile(IBlockFile inner) : IBlockFile
    {
        public bool Fails { get; set; }
        public int Calls { get; private set; }
        public string Path => inner.Path;
        public long Length => inner.Length;
        public int Read(long offset, Span<byte> buffer) => inner.Read(offset, buffer);

        public void Write(long offset, ReadOnlySpan<byte> buffer)
        {
            Calls++;
            inner.Write(offset, buffer);
        }

        public void DataSync()
        {
            Calls++;
            if (Fails)
            {
                throw new StorageException("the disk is gone") { SqlState = SqlStates.IoError };
            }

            inner.DataSync();
        }

        public void Allocate(long offset, long length) => inner.Allocate(offset, length);
        public void Truncate(long length) => inner.Truncate(length);
        public void Dispose() => inner.Dispose();
    }

    private Lsn ReadFirstAfter(ulong segments)
    {
        using WalReader reader = WalReader.Open(Wal, Wal.ReadHistory(new TimelineId(1)), Begin);
        Assert.True(reader.SeekFirst(Begin + (((segments - 1) * SegmentSize) + 8192), new WalRecord()), reader.End?.ToString());
        return reader.Position;
    }
}
