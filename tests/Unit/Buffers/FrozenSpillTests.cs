using SharedStorage.Buffers;
using SharedStorage.Buffers.LogIndex;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Unit.Io;

namespace SharedStorage.Unit.Buffers;

/// <summary>Frozen copies beyond memory, and what sessions meet when there is no room for more: the writer never depends on a reader.</summary>
public sealed class FrozenSpillTests : IDisposable
{
    private const int Frames = 64;
    private const int InMemory = 8;

    private readonly TempDirectory _local = new();
    private PoolFixture? _fixture;

    private PoolFixture F => _fixture!;
    private BufferPool Pool => F.Pool;

    public void Dispose()
    {
        _fixture?.Dispose();
        _local.Dispose();
    }

    [Fact]
    public void Copies_beyond_memory_go_to_local_disk_and_come_back_in_order()
    {
        Begin(new TestSpill(_local.Path), spilledAtMost: 1000);
        const int pages = 3 * Frames;
        HoldBack();
        for (int i = 0; i < pages; i++)
        {
            NewPage((byte)i);
        }

        // Each page once more: two images of most of them.
        for (uint i = 0; i < pages; i++)
        {
            using PinnedPage page = Pool.Pin(PoolFixture.Tag(i));
            Assert.Equal((byte)i, page.Page.Bytes[5000]);
            F.Change(page, (byte)(i + 1));
        }

        Assert.Equal(0, Pool.Counters.Writes);
        Assert.True(Pool.Counters.FrozenCopiesSpilled > pages, $"{Pool.Counters.FrozenCopiesSpilled} copies were spilled");
        Assert.Equal(1000u, Pool.OldestChangeNotDurable().Value);
        Assert.Equal(0, Pool.Counters.ChangesSlowed);
        LetGo();
        Pool.FlushAllBefore(Lsn.Max);
        for (uint i = 0; i < pages; i++)
        {
            Assert.Equal((byte)(i + 1), F.OnDisk(i)![5000]);
        }

        Assert.Equal(0, Pool.Counters.FrozenCopiesNow);
        Assert.Equal(0, Pool.Counters.FrozenCopiesSpilled);
        Assert.Equal(F.Log.Inserted, Pool.OldestChangeNotDurable());
    }

    [Fact]
    public void The_file_goes_when_nothing_is_in_it_and_what_a_crash_left_is_deleted()
    {
        File.WriteAllText(_local.File("run-1-1"), "left by a crash");
        var spill = new TestSpill(_local.Path);
        Assert.Empty(Directory.GetFiles(_local.Path));
        Begin(spill, spilledAtMost: 1000);
        for (int round = 1; round <= 2; round++)
        {
            HoldBack();
            for (int i = 0; i < 2 * Frames; i++)
            {
                NewPage(1);
            }

            Assert.Equal(1, spill.Open);
            Assert.Empty(Directory.GetFiles(_local.Path));
            LetGo();
            Pool.FlushAllBefore(Lsn.Max);
            Assert.Equal(0, spill.Open);
            Assert.Equal(round, spill.Made);
        }
    }

    [Fact]
    public void A_full_local_disk_holds_pages_back_and_loses_nothing()
    {
        var spill = new TestSpill(_local.Path) { RoomFor = 10 };
        Begin(spill, spilledAtMost: 1000);
        HoldBack();
        for (int i = 0; i < Frames + InMemory + 10; i++)
        {
            NewPage((byte)i);
        }

        Assert.Equal("53200", Assert.Throws<PgException>(() => NewPage(99)).SqlState);
        Assert.Contains("disk is full", Pool.FrozenSpillFailure, StringComparison.Ordinal);
        Assert.Equal(1000u, Pool.OldestChangeNotDurable().Value);
        spill.RoomFor = int.MaxValue;
        Assert.True(SpinWait.SpinUntil(() => Pool.HasRoomForChanges, 10_000));
        NewPage(99);
        LetGo();
        Pool.FlushAllBefore(Lsn.Max);
        for (uint i = 0; i < Frames + InMemory + 10; i++)
        {
            Assert.Equal((byte)i, F.OnDisk(i)![5000]);
        }
    }

    [Fact]
    public void A_spilled_copy_that_local_disk_has_damaged_is_not_served()
    {
        Begin(new TestSpill(_local.Path) { Damages = true }, spilledAtMost: 1000);
        HoldBack();
        for (int i = 0; i < 3 * Frames; i++)
        {
            NewPage(7);
        }

        StorageException e = Assert.Throws<StorageException>(() =>
        {
            for (uint i = 0; i < 3 * Frames; i++)
            {
                Pool.Pin(PoolFixture.Tag(i)).Dispose();
            }
        });
        Assert.Contains("I12", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Changes_wait_while_only_the_reserve_is_clean_and_reads_go_on()
    {
        Begin(null, spilledAtMost: 0);
        F.WriteOnDisk(200, new Lsn(500));
        HoldBack();
        DirtyUntilTheReserve();
        Assert.Equal("53200", Assert.Throws<PgException>(Pool.AwaitRoomForChange).SqlState);
        Assert.Equal(1, Pool.Counters.ChangesSlowed);

        // Whoever only reads finds a frame, and sets no hint that would keep it from the next.
        for (uint b = 0; b < 200; b++)
        {
            using PinnedPage page = Pool.Pin(PoolFixture.Tag(b));
            using SharedLatch latch = page.LatchShared();
            page.MarkDirtyHint(standardLayout: true);
        }

        // So does DDL, which changes catalogs without asking.
        NewPage(5);
        Assert.Equal(0, F.Log.Images);
    }

    [Fact]
    public void Waiting_changes_go_on_when_the_reader_is_no_longer_counted()
    {
        Begin(null, spilledAtMost: 0, frameWait: TimeSpan.FromMinutes(1));
        HoldBack();
        DirtyUntilTheReserve();
        Exception? failed = null;
        var change = new Thread(() => failed = Record.Exception(Pool.AwaitRoomForChange));
        change.Start();
        Assert.True(SpinWait.SpinUntil(() => Pool.Counters.ChangesSlowed == 1, 10_000));
        Assert.True(change.IsAlive);
        LetGo();
        Assert.True(change.Join(10_000), "the change still waits");
        Assert.Null(failed);
    }

    [Fact]
    public void A_search_for_a_frame_gives_up_on_pages_that_are_held_back()
    {
        Begin(null, spilledAtMost: 0, frames: 2048, frameWait: TimeSpan.Zero);
        HoldBack();
        for (int i = 0; i < 2048 + InMemory; i++)
        {
            NewPage(1);
        }

        F.Gate.Asked = 0;
        Assert.Throws<PgException>(() => NewPage(2));
        Assert.InRange(F.Gate.Asked, 1, 1000);
    }

    private void Begin(SpillDirectory? spill, int spilledAtMost, int frames = Frames, TimeSpan? frameWait = null) =>
        _fixture = new PoolFixture(frames, frozen: InMemory, frozenSpill: spill, spilledAtMost: spilledAtMost, frameWait: frameWait);

    private void HoldBack() => F.Gate.LowestApplied = new Lsn(1000);

    private void LetGo()
    {
        F.Gate.LowestApplied = Lsn.Max;
        Pool.NoteGateMoved();
    }

    private void NewPage(byte value)
    {
        using PinnedPage page = Pool.PinNew(PoolFixture.Rel, ForkNumber.Main);
        F.ChangeLatched(page, value);
        page.Unlatch();
    }

    /// <summary>Fills the copies, then dirties frames as long as changes may.</summary>
    private void DirtyUntilTheReserve()
    {
        for (int i = 0; i < InMemory; i++)
        {
            NewPage(1);
        }

        Pool.FlushSome(Lsn.Max, InMemory);
        for (int i = 0; i < Frames - (Frames / 8) + 1; i++)
        {
            NewPage(1);
        }

        Assert.Equal(InMemory, Pool.Counters.FrozenCopiesNow);
    }

    /// <summary>A local directory whose disk can be full, or lie.</summary>
    private sealed class TestSpill(string path) : SpillDirectory(path)
    {
        public int RoomFor { get; set; } = int.MaxValue;
        public bool Damages { get; init; }
        public int Open { get; private set; }
        public int Made { get; private set; }

        public override ISpillFile Create()
        {
            Open++;
            Made++;
            return new TestFile(this, base.Create());
        }

        private sealed class TestFile(TestSpill owner, ISpillFile file) : ISpillFile
        {
            public void Write(long offset, ReadOnlySpan<byte> bytes)
            {
                if (offset / Page.Size >= owner.RoomFor)
                {
                    throw new StorageException("the disk is full") { SqlState = SqlStates.DiskFull };
                }

                file.Write(offset, bytes);
            }

            public void Read(long offset, Span<byte> buffer)
            {
                file.Read(offset, buffer);
                if (owner.Damages)
                {
                    buffer[6000]++;
                }
            }

            public void Dispose()
            {
                owner.Open--;
                file.Dispose();
            }
        }
    }
}
