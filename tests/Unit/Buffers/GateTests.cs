using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Buffers;

public sealed class GateTests : IDisposable
{
    private readonly PoolFixture _f = new(frames: 32, frozen: 8);

    private BufferPool Pool => _f.Pool;

    public void Dispose() => _f.Dispose();

    [Fact]
    public void A_page_ahead_of_a_reader_is_frozen_and_written_when_the_reader_has_passed()
    {
        using PinnedPage page = NewPage(1);
        Lsn first = page.Page.Lsn;
        _f.Gate.LowestApplied = new Lsn(1000);
        Assert.Equal(1, Pool.FlushSome(Lsn.Max, 10));
        Assert.Equal(1, Pool.Counters.FrozenCopiesNow);
        Assert.Equal(0, Pool.Counters.Writes);
        _f.Change(page, 2);
        Assert.Equal(1000u, Pool.OldestChangeNotDurable().Value);

        // The reader has the first change, not the second.
        _f.Gate.LowestApplied = first;
        Pool.FlushSome(Lsn.Invalid, 10);
        Assert.Equal(1, _f.OnDisk(0)![5000]);
        Assert.Equal(first, new Page(_f.OnDisk(0)).Lsn);
        Pool.SyncWritten();
        Assert.Equal(first, Pool.OldestChangeNotDurable());
        _f.Gate.LowestApplied = Lsn.Max;
        Pool.FlushSome(Lsn.Max, 10);
        Assert.Equal(2, _f.OnDisk(0)![5000]);
    }

    [Fact]
    public void A_page_that_was_evicted_while_frozen_is_read_from_its_newest_copy()
    {
        _f.Gate.LowestApplied = new Lsn(1000);
        NewPage(10).Dispose();
        Pool.FlushSome(Lsn.Max, 10);
        using (PinnedPage page = Pool.Pin(PoolFixture.Tag(0)))
        {
            _f.Change(page, 11);
        }

        Pool.FlushSome(Lsn.Max, 10);
        Assert.Equal(2, Pool.Counters.FrozenCopiesNow);
        EvictAll();
        using (PinnedPage page = Pool.Pin(PoolFixture.Tag(0)))
        {
            Assert.Equal(11, page.Page.Bytes[5000]);
        }

        Assert.Equal(-1, _f.OnDisk(0)!.AsSpan().IndexOfAnyExcept((byte)0));
        _f.Gate.LowestApplied = Lsn.Max;
        Pool.FlushSome(Lsn.Max, 100);
        Assert.Equal(11, _f.OnDisk(0)![5000]);
        Assert.Equal(0, Pool.Counters.FrozenCopiesNow);
    }

    [Fact]
    public void A_newer_page_that_is_written_takes_its_older_copies_along()
    {
        using PinnedPage page = NewPage(1);
        _f.Gate.LowestApplied = new Lsn(1000);
        Pool.FlushSome(Lsn.Max, 10);
        _f.Change(page, 2);
        _f.Gate.LowestApplied = Lsn.Max;
        long before = Pool.Counters.Writes;
        Pool.FlushRelation(PoolFixture.Rel);
        Assert.Equal(2, _f.OnDisk(0)![5000]);
        Assert.Equal(0, Pool.Counters.FrozenCopiesNow);
        Assert.InRange(Pool.Counters.Writes - before, 1, 2);
        Assert.Equal(_f.Log.Inserted, Pool.OldestChangeNotDurable());
    }

    [Fact]
    public void A_checkpoint_ends_once_the_reader_has_passed_though_the_page_never_stops_changing()
    {
        using PinnedPage page = NewPage(1);
        Lsn redo = _f.Log.Inserted;
        _f.Gate.LowestApplied = new Lsn(1000);
        Exception? failed = null;
        var checkpoint = new Thread(() => failed = Record.Exception(() => Pool.FlushAllBefore(redo)));
        checkpoint.Start();
        Assert.True(SpinWait.SpinUntil(() => Pool.Counters.FrozenCopiesNow == 1, 10_000));
        while (checkpoint.IsAlive)
        {
            _f.Change(page, 9);
            _f.Gate.LowestApplied = redo;
            Pool.NoteGateMoved();
        }

        checkpoint.Join();
        Assert.Null(failed);
        Assert.True(Pool.OldestChangeNotDurable() >= redo);
        Assert.True(new Page(_f.OnDisk(0)).Lsn <= redo);
    }

    [Fact]
    public void When_copies_run_out_pages_are_held_back_and_sessions_wait_for_the_gate()
    {
        _f.Gate.LowestApplied = new Lsn(1000);
        for (int i = 0; i < 32 + 8; i++)
        {
            NewPage((byte)i).Dispose();
        }

        Assert.Equal(8, Pool.Counters.FrozenCopiesNow);
        Assert.Equal("53200", Assert.Throws<PgException>(() => NewPage(99)).SqlState);
        Assert.Equal(0, Pool.Counters.Writes);
        var opener = new Thread(() =>
        {
            _f.Gate.LowestApplied = Lsn.Max;
            Pool.NoteGateMoved();
        });
        opener.Start();
        NewPage(99).Dispose();
        opener.Join();
    }

    [Fact]
    public void A_fenced_writer_writes_nothing()
    {
        NewPage(1).Dispose();
        _f.Gate.IsFenced = true;
        Assert.Throws<StorageException>(() => Pool.FlushAllBefore(Lsn.Max));
        Assert.Equal(0, Pool.Counters.Writes);
    }

    [Fact]
    public void Free_space_pages_pass_no_gate_but_the_log_goes_first()
    {
        _f.Gate.LowestApplied = new Lsn(1000);
        _f.Gate.Flushed = () => _f.Log.Flushed;
        using PinnedPage page = Pool.PinNew(PoolFixture.Rel, ForkNumber.FreeSpaceMap);
        Lsn lsn = _f.ChangeLatched(page, 3);
        page.Unlatch();
        Pool.FlushAllBefore(Lsn.Max);
        Assert.Equal(3, _f.OnDisk(0, ForkNumber.FreeSpaceMap)![5000]);
        Assert.Equal(lsn, _f.Log.Flushed);
    }

    [Fact]
    public void Discarding_a_page_discards_its_frozen_copies()
    {
        _f.Gate.LowestApplied = new Lsn(1000);
        NewPage(1).Dispose();
        Pool.FlushSome(Lsn.Max, 10);
        Pool.Discard(PoolFixture.Rel, ForkNumber.Main, 0);
        Assert.Equal(0, Pool.Counters.FrozenCopiesNow);
        Assert.Equal(_f.Log.Inserted, Pool.OldestChangeNotDurable());
    }

    private PinnedPage NewPage(byte value)
    {
        PinnedPage page = Pool.PinNew(PoolFixture.Rel, ForkNumber.Main);
        _f.ChangeLatched(page, value);
        page.Unlatch();
        return page;
    }

    private void EvictAll()
    {
        RelFileNode other = PoolFixture.Rel with { Relation = new Oid(99) };
        _f.Files.Extend(other, ForkNumber.Main, 0, 200);
        for (uint b = 0; b < 200; b++)
        {
            Pool.Pin(new BufferTag(other, ForkNumber.Main, new BlockNumber(b))).Dispose();
        }
    }
}
