using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Buffers;

public sealed class WriterPoolTests : IDisposable
{
    private readonly PoolFixture _f = new();

    private BufferPool Pool => _f.Pool;

    public void Dispose() => _f.Dispose();

    [Fact]
    public void A_new_page_is_zero_latched_and_counted()
    {
        using PinnedPage page = Pool.PinNew(PoolFixture.Rel, ForkNumber.Main);
        Assert.Equal(0u, page.Block.Value);
        Assert.True(page.Page.IsNew);
        Assert.Equal(1u, Pool.BlockCount(PoolFixture.Rel, ForkNumber.Main));
        Assert.False(page.TryLatch(LatchMode.Shared));
        _f.ChangeLatched(page, 5);
        page.Unlatch();
        Assert.True(Pool.ForkExists(PoolFixture.Rel, ForkNumber.Main));
        Assert.False(Pool.ForkExists(PoolFixture.Rel, ForkNumber.VisibilityMap));
    }

    [Fact]
    public void Pages_come_back_after_they_were_evicted()
    {
        Fill(200);
        for (uint b = 0; b < 200; b++)
        {
            using PinnedPage page = Pool.Pin(PoolFixture.Tag(b));
            using SharedLatch latch = page.LatchShared();
            Assert.Equal((byte)b, page.Page.Bytes[5000]);
        }

        Assert.True(Pool.Counters.Evictions > 150);
        Assert.Equal(200u, Pool.BlockCount(PoolFixture.Rel, ForkNumber.Main));
    }

    [Fact]
    public void What_is_written_has_a_checksum_and_was_logged_first()
    {
        _f.Gate.Flushed = () => _f.Log.Flushed;
        Fill(3);
        Pool.FlushAllBefore(_f.Log.Inserted);
        for (uint b = 0; b < 3; b++)
        {
            byte[] page = _f.OnDisk(b)!;
            Assert.Equal(PageChecksum.Compute(page, b), PageChecksum.Stored(page));
            Assert.True(new Page(page).Lsn <= _f.Log.Flushed);
        }

        Assert.Equal(0, Pool.Counters.DirtyFrames);
        Assert.Equal(_f.Log.Inserted, Pool.OldestChangeNotDurable());
    }

    [Fact]
    public void A_dirty_page_keeps_the_position_of_its_first_change_until_it_is_synced()
    {
        Fill(2);
        Pool.FlushAllBefore(_f.Log.Inserted);
        Lsn before = _f.Log.Inserted;
        using PinnedPage page = Pool.Pin(PoolFixture.Tag(0));
        _f.Change(page, 1);
        _f.Change(page, 2);
        Assert.Equal(before, Pool.OldestChangeNotDurable());
        Assert.Equal(1, Pool.FlushSome(_f.Log.Inserted, 10));
        Assert.Equal(before, Pool.OldestChangeNotDurable());
        Assert.True(Pool.HasUnflushed);
        Pool.SyncWritten();
        Assert.Equal(_f.Log.Inserted, Pool.OldestChangeNotDurable());
        Assert.False(Pool.HasUnflushed);
    }

    [Fact]
    public void A_checkpoint_writes_what_is_older_than_its_redo_and_leaves_the_rest()
    {
        Fill(2);
        Pool.FlushAllBefore(_f.Log.Inserted);
        using PinnedPage old = Pool.Pin(PoolFixture.Tag(0));
        using PinnedPage young = Pool.Pin(PoolFixture.Tag(1));
        _f.Change(old, 77);
        Lsn redo = _f.Log.Inserted;
        _f.Change(young, 78);
        Pool.FlushAllBefore(redo);
        Assert.Equal(77, _f.OnDisk(0)![5000]);
        Assert.NotEqual(78, _f.OnDisk(1)![5000]);
        Assert.Equal(redo, Pool.OldestChangeNotDurable());
    }

    [Fact]
    public void A_page_past_the_end_is_an_error_or_zero_as_asked()
    {
        StorageException e = Assert.Throws<StorageException>(() => Pool.Pin(PoolFixture.Tag(7)));
        Assert.Contains("block 7", e.Message, StringComparison.Ordinal);
        using PinnedPage zero = Pool.Pin(PoolFixture.Tag(7, ForkNumber.FreeSpaceMap), PinMode.ZeroOnError);
        Assert.True(zero.Page.IsNew);
    }

    [Fact]
    public void A_damaged_page_names_file_and_block()
    {
        _f.WriteOnDisk(2, new Lsn(500));
        using (var file = DirectFile.Open(_f.Dir.File("base/5/16384"), BlockFileMode.Write))
        using (var page = new AlignedBuffer(8192))
        {
            file.Read(8192, page.Span);
            page.Span[3000] ^= 1;
            file.Write(8192, page.Span);
        }

        StorageException e = Assert.Throws<StorageException>(() => Pool.Pin(PoolFixture.Tag(1)));
        Assert.Contains("block 1 of file \"base/5/16384\"", e.Message, StringComparison.Ordinal);
        Assert.Equal(SqlStates.DataCorrupted, e.SqlState);
        Assert.Equal(3, Pool.Counters.TornReads);
        Assert.Throws<StorageException>(() => Pool.Pin(PoolFixture.Tag(1)));
        using PinnedPage zero = Pool.Pin(PoolFixture.Tag(1), PinMode.ZeroOnError);
        Assert.True(zero.Page.IsNew);
        using PinnedPage sound = Pool.Pin(PoolFixture.Tag(0));
        Assert.Equal(500u, sound.Page.Lsn.Value);
    }

    [Fact]
    public void A_page_later_than_the_log_is_refused()
    {
        _f.WriteOnDisk(1, new Lsn(99_000));
        StorageException e = Assert.Throws<StorageException>(() => Pool.Pin(PoolFixture.Tag(0)));
        Assert.Contains("R12", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_hint_on_a_page_older_than_redo_logs_an_image_once()
    {
        Fill(1);
        Pool.FlushAllBefore(_f.Log.Inserted);
        using PinnedPage page = Pool.Pin(PoolFixture.Tag(0));
        Hint(page);
        Assert.Equal(0, _f.Log.Images);
        Pool.FlushAllBefore(Lsn.Max);
        _f.Log.RedoPointer = _f.Log.Inserted;
        Hint(page);
        Hint(page);
        Assert.Equal(1, _f.Log.Images);
        Assert.Equal(_f.Log.Inserted, page.Page.Lsn);
        Pool.FlushAllBefore(Lsn.Max);
        Hint(page);
        Assert.Equal(1, _f.Log.Images);
        Assert.Equal(1, Pool.Counters.DirtyFrames);
    }

    [Fact]
    public void Discarded_pages_are_not_written_and_the_fork_is_shorter()
    {
        Fill(5);
        long writes = Pool.Counters.Writes;
        Pool.Discard(PoolFixture.Rel, ForkNumber.Main, 2);
        Assert.Equal(2u, Pool.BlockCount(PoolFixture.Rel, ForkNumber.Main));
        Pool.FlushAllBefore(_f.Log.Inserted);
        Assert.Equal(writes + 2, Pool.Counters.Writes);
        Assert.Throws<StorageException>(() => Pool.Pin(PoolFixture.Tag(2)));
        _f.Files.Truncate(PoolFixture.Rel, ForkNumber.Main, 2);
        using PinnedPage again = Pool.PinNew(PoolFixture.Rel, ForkNumber.Main);
        Assert.Equal(2u, again.Block.Value);
        Assert.True(again.Page.IsNew);
        again.Unlatch();
    }

    [Fact]
    public void A_forgotten_relation_is_looked_up_on_disk_anew()
    {
        Fill(3);
        Pool.FlushRelation(PoolFixture.Rel);
        _f.Files.Unlink(PoolFixture.Rel, ForkNumber.Main);
        Pool.Forget(PoolFixture.Rel);
        Assert.Equal(0u, Pool.BlockCount(PoolFixture.Rel, ForkNumber.Main));
        Assert.False(Pool.ForkExists(PoolFixture.Rel, ForkNumber.Main));
    }

    [Fact]
    public void When_all_frames_are_pinned_a_pin_fails_after_a_bounded_wait()
    {
        Fill(60);
        var pins = new List<PinnedPage>();
        for (uint b = 0; b < 32; b++)
        {
            pins.Add(Pool.Pin(PoolFixture.Tag(b)));
        }

        PgException e = Assert.Throws<PgException>(() => Pool.Pin(PoolFixture.Tag(40)));
        Assert.Equal("53200", e.SqlState);
        pins[3].Dispose();
        Pool.Pin(PoolFixture.Tag(40)).Dispose();
        pins.RemoveAt(3);
        pins.ForEach(p => p.Dispose());
    }

    [Fact]
    public void A_pin_given_back_twice_is_an_invariant_failure()
    {
        Fill(1);
        PinnedPage page = Pool.Pin(PoolFixture.Tag(0));
        page.Dispose();
        Assert.Throws<InvariantException>(page.Dispose);
    }

    [Fact]
    public void A_change_without_the_exclusive_latch_is_an_invariant_failure()
    {
        Fill(1);
        using PinnedPage page = Pool.Pin(PoolFixture.Tag(0));
        Assert.Throws<InvariantException>(() => page.MarkDirty());
        using SharedLatch latch = page.LatchShared();
        Assert.Throws<InvariantException>(() => page.MarkDirty());
    }

    [Fact]
    public void A_cleanup_latch_waits_for_the_other_pins()
    {
        Fill(1);
        using PinnedPage mine = Pool.Pin(PoolFixture.Tag(0));
        PinnedPage other = Pool.Pin(PoolFixture.Tag(0));
        Assert.False(mine.TryLatchForCleanup());
        using var got = new ManualResetEventSlim();
        var waiter = new Thread(() =>
        {
            mine.LatchForCleanup();
            got.Set();
            mine.Unlatch();
        });
        waiter.Start();
        Assert.False(got.Wait(50));
        other.Dispose();
        Assert.True(got.Wait(10_000));
        waiter.Join();
        Assert.True(mine.TryLatchForCleanup());
        mine.Unlatch();
    }

    [Fact]
    public void A_cleanup_latch_is_got_on_a_page_that_others_pin_all_the_time()
    {
        Fill(1);
        using PinnedPage mine = Pool.Pin(PoolFixture.Tag(0));
        using var stop = new CancellationTokenSource();
        Thread[] busy = [.. Enumerable.Range(0, 3).Select(_ => new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                using (PinnedPage page = Pool.Pin(PoolFixture.Tag(0)))
                {
                    using SharedLatch latch = page.LatchShared();
                }

                Thread.Yield();
            }
        }))];
        Array.ForEach(busy, t => t.Start());
        int got = 0;
        var cleaner = new Thread(() =>
        {
            for (; got < 300; got++)
            {
                mine.LatchForCleanup();
                mine.Unlatch();
            }
        })
        { IsBackground = true };
        cleaner.Start();
        bool ended = cleaner.Join(TimeSpan.FromSeconds(60));
        stop.Cancel();
        Array.ForEach(busy, t => t.Join());
        Assert.True(ended, $"the cleanup latch was got {got} times, and then never more");
    }

    [Fact]
    public void An_exclusive_latch_shuts_out_others_and_waiting_for_it_shuts_out_new_readers()
    {
        Fill(1);
        using PinnedPage page = Pool.Pin(PoolFixture.Tag(0));
        page.Latch(LatchMode.Shared);
        Assert.True(page.TryLatch(LatchMode.Shared));
        page.Unlatch();
        using var got = new ManualResetEventSlim();
        var writer = new Thread(() =>
        {
            page.Latch(LatchMode.Exclusive);
            got.Set();
            page.Unlatch();
        });
        writer.Start();
        SpinWait.SpinUntil(() =>
        {
            if (!page.TryLatch(LatchMode.Shared))
            {
                return true;
            }

            page.Unlatch();
            return false;
        }, 10_000);
        Assert.False(got.IsSet);
        page.Unlatch();
        Assert.True(got.Wait(10_000));
        writer.Join();
    }

    private void Fill(int pages)
    {
        for (int i = 0; i < pages; i++)
        {
            using PinnedPage page = Pool.PinNew(PoolFixture.Rel, ForkNumber.Main);
            _f.ChangeLatched(page, (byte)i);
            page.Unlatch();
        }
    }

    private static void Hint(PinnedPage page)
    {
        using SharedLatch latch = page.LatchShared();
        page.Page.Bytes[8000]++;
        page.MarkDirtyHint(standardLayout: true);
    }
}
