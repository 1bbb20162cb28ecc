using SharedStorage.Buffers;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;

namespace SharedStorage.Unit.Buffers;

/// <summary>Many pages brought forward at once, with an index that lies on disk for the most part.</summary>
public sealed class ForwardTests : IDisposable
{
    private const int Pages = 300;
    private const int Records = 30_000;

    private readonly PoolFixture _f = new(frames: 16, writing: false);
    private readonly ScannedRecords _records;
    private readonly BufferPool _pool;
    private readonly List<ulong>[] _expected = new List<ulong>[Pages];

    public ForwardTests()
    {
        _records = new ScannedRecords(_f.Records);
        _pool = new BufferPool(new BufferPoolOptions
        {
            Frames = 128,
            Files = _f.Files,
            Applied = _f.Applied,
            Consistent = _f.Consistent,
            Redo = _f.Records,
            Records = _records,
            LogIndexBytes = 16 << 10,
            LogIndexSpill = _f.Dir.File("log_index"),
        });
        for (int i = 0; i < Pages; i++)
        {
            _expected[i] = [];
        }
    }

    public void Dispose()
    {
        _pool.Dispose();
        _f.Dispose();
    }

    [Fact]
    public void A_writer_brings_all_pages_forward_in_the_order_of_the_log_beside_sessions()
    {
        MakeLog(new Random(11));
        _f.Log.Now = _f.Applied.Value.Value;
        _pool.SwitchToWriting(_f.Log, _f.Gate);
        Assert.True(_pool.Index.SpilledRuns > 1);

        // Sessions pin and change pages meanwhile; each page must have its records once, and their changes.
        var changed = new bool[Pages];
        Exception? failed = null;
        var session = new Thread(() =>
        {
            try
            {
                var random = new Random(12);
                for (int i = 0; i < 400; i++)
                {
                    uint block = (uint)random.Next(Pages);
                    using PinnedPage page = _pool.Pin(PoolFixture.Tag(block));
                    Check(block, page);
                    if (i % 4 == 0)
                    {
                        _f.Change(page, (byte)block);
                        changed[block] = true;
                    }
                }
            }
            catch (Exception e)
            {
                failed = e;
            }
        });
        session.Start();
        _pool.RedoAllPending();
        session.Join();
        Assert.Null(failed);
        Assert.Equal((0, 0), (_pool.Index.PageCount, _pool.Index.SpilledRuns));
        Assert.Equal(0, _records.Backward);
        _pool.FlushAllBefore(_f.Log.Inserted);
        for (uint block = 0; block < Pages; block++)
        {
            byte[] page = _f.OnDisk(block)!;
            Assert.Equal(_expected[block].ToArray(), FakeRecords.On(page));
            Assert.Equal(changed[block] ? (byte)block : 0, page[8000]);
        }

        Assert.Equal(_f.Log.Inserted, _pool.OldestChangeNotDurable());
    }

    [Fact]
    public void The_first_pin_of_a_page_with_many_changes_reads_the_log_through_once_for_all_like_it()
    {
        MakeLog(new Random(15), step: 1600);
        _f.Log.Now = _f.Applied.Value.Value;
        _pool.SwitchToWriting(_f.Log, _f.Gate);
        for (uint block = 0; block < 40; block++)
        {
            using PinnedPage page = _pool.Pin(PoolFixture.Tag(block));
            Check(block, page);
        }

        // 128 frames: 16 pages a pass, from the first that is wanted on.
        Assert.Equal(3, _records.Scans);
        Assert.Equal(0, _records.Single);
        _pool.RedoAllPending();
        for (uint block = 0; block < Pages; block++)
        {
            using PinnedPage page = _pool.Pin(PoolFixture.Tag(block));
            Check(block, page);
        }
    }

    [Fact]
    public void Where_reading_the_log_through_costs_more_a_page_is_loaded_alone()
    {
        _f.WriteOnDisk(Pages, new Lsn(500));
        ulong lsn = 1000;
        for (int i = 0; i < 70; i++, lsn += 100_000)
        {
            _pool.NoteRecord(PoolFixture.Tag(1), new Lsn(lsn), false);
            _expected[1].Add(lsn);
        }

        _f.Applied.Advance(new Lsn(lsn));
        _f.Log.Now = lsn;
        _pool.SwitchToWriting(_f.Log, _f.Gate);
        using PinnedPage page = _pool.Pin(PoolFixture.Tag(1));
        Check(1, page);
        Assert.Equal((0, 70), (_records.Scans, _records.Single));
    }

    [Fact]
    public void A_page_that_cannot_be_brought_forward_fails_for_itself_only()
    {
        _f.WriteOnDisk(Pages, new Lsn(500));
        ulong lsn = 1000;
        for (int i = 0; i < 200; i++, lsn += 56)
        {
            // Two pages with a hundred changes each; the log of some of the second is gone.
            uint block = i < 100 ? 2u : 1u;
            _pool.NoteRecord(PoolFixture.Tag(block), new Lsn(lsn), false);
            _expected[block].Add(lsn);
        }

        _f.Applied.Advance(new Lsn(lsn));
        _f.Log.Now = lsn;
        _pool.SwitchToWriting(_f.Log, _f.Gate);
        _f.Records.OldestKept = 1100;
        using (PinnedPage page = _pool.Pin(PoolFixture.Tag(1)))
        {
            Check(1, page);
        }

        Assert.Contains("is gone", Assert.Throws<StorageException>(() => _pool.Pin(PoolFixture.Tag(2)).Dispose()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_node_that_applies_gets_the_same_pages()
    {
        MakeLog(new Random(13));
        Assert.Equal(Pages, _pool.BringAllForward(CancellationToken.None));
        for (uint block = 0; block < Pages; block++)
        {
            using PinnedPage page = _pool.Pin(PoolFixture.Tag(block));
            Check(block, page);
        }

        Assert.Null(_f.OnDisk(Pages));
    }

    [Fact]
    public void A_record_that_cannot_be_read_is_the_error_of_the_whole()
    {
        MakeLog(new Random(14));
        _f.Records.OldestKept = 2000;
        StorageException error = Assert.Throws<StorageException>(() => _pool.BringAllForward(CancellationToken.None));
        Assert.Contains("is gone", error.Message, StringComparison.Ordinal);
        _f.Records.OldestKept = 0;
        Assert.Equal(Pages, _pool.BringAllForward(CancellationToken.None));
    }

    private void Check(uint block, PinnedPage page) => Assert.Equal(_expected[block].ToArray(), FakeRecords.On(page));

    private void MakeLog(Random random, ulong step = 5600)
    {
        _f.WriteOnDisk(Pages, new Lsn(500));
        ulong lsn = 1000;
        // By default over a dozen stretches.
        for (int i = 0; i < Records; i++, lsn += step)
        {
            uint block = i < Pages ? (uint)i : (uint)random.Next(Pages);
            _pool.NoteRecord(PoolFixture.Tag(block), new Lsn(lsn), false);
            _expected[block].Add(lsn);
        }

        _f.Applied.Advance(new Lsn(lsn));
    }

    /// <summary>Counts how often a scan went back to a stretch before.</summary>
    private sealed class ScannedRecords(FakeRecords records) : IWalRecords, IWalStretches
    {
        private int _backward;

        public int Backward => _backward;
        public int Scans { get; private set; }

        /// <summary>Records that were asked for one by one.</summary>
        public int Single { get; private set; }

        public void Read(Lsn start, WalRecord into)
        {
            Single++;
            records.Read(start, into);
        }

        private void ReadInStretch(Lsn start, WalRecord into) => records.Read(start, into);

        public IWalScan OpenScan(int readers)
        {
            Scans++;
            return new Scan(this);
        }

        private sealed class Scan(ScannedRecords all) : IWalScan
        {
            public IWalStretchReader NewReader() => new Reader(all);

            public void Dispose()
            {
            }
        }

        private sealed class Reader(ScannedRecords all) : IWalStretchReader
        {
            private ulong? _stretch;

            public void Enter(ulong stretch, ulong next)
            {
                Assert.True(next >= stretch);
                if (stretch <= _stretch)
                {
                    Interlocked.Increment(ref all._backward);
                }

                _stretch = stretch;
            }

            public void Leave() => _stretch = null;

            public void Read(Lsn start, WalRecord into)
            {
                Assert.Equal(_stretch, start.Value / IWalScan.StretchSize);
                all.ReadInStretch(start, into);
            }

            public void Fetch(Lsn start) => Assert.Equal(_stretch, start.Value / IWalScan.StretchSize);

            public void Dispose()
            {
            }
        }
    }
}
