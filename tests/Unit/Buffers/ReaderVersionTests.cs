using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Buffers;

public sealed class ReaderVersionTests : IDisposable
{
    private readonly PoolFixture _f = new(writing: false);

    private BufferPool Pool => _f.Pool;

    public void Dispose() => _f.Dispose();

    [Fact]
    public void A_pin_gives_the_page_with_all_records_up_to_applied()
    {
        _f.WriteOnDisk(1, new Lsn(500));
        Note(0, 1000, 1008, 1016);
        Assert.Empty(Redone(0));
        _f.Applied.Advance(new Lsn(1016));
        Assert.Equal([1000, 1008], Redone(0));
        _f.Applied.Advance(new Lsn(1024));
        Assert.Equal([1000, 1008, 1016], Redone(0));
        Assert.Equal(1, Pool.Counters.Reads);
    }

    [Fact]
    public void A_pinned_version_never_changes_and_goes_with_its_last_pin()
    {
        _f.WriteOnDisk(1, new Lsn(500));
        Note(0, 1000);
        _f.Applied.Advance(new Lsn(1008));
        PinnedPage old = Pool.Pin(PoolFixture.Tag(0));
        Note(0, 1008);
        _f.Applied.Advance(new Lsn(1016));
        using (PinnedPage next = Pool.Pin(PoolFixture.Tag(0)))
        {
            Assert.Equal([1000, 1008], FakeRecords.On(next));
            Assert.Equal([1000UL], FakeRecords.On(old));
            Assert.NotEqual(old, next);
            Assert.Equal(1016u, next.AppliedMark.Value);
        }

        // Latches on versions do nothing, and nothing may be written.
        old.Latch(LatchMode.Exclusive);
        old.Latch(LatchMode.Exclusive);
        old.Unlatch();
        Assert.False(old.TryLatchForCleanup());
        old.MarkDirtyHint(standardLayout: true);
        Assert.Throws<InvariantException>(() => old.MarkDirty());
        old.Dispose();
        for (uint round = 0; round < 100; round++)
        {
            Note(0, 2000 + (round * 8));
            _f.Applied.Advance(new Lsn(2008 + (round * 8)));
            Assert.Equal(3 + (int)round, Redone(0).Length);
        }

        Assert.Equal(0, Pool.Counters.Evictions);
    }

    [Fact]
    public void Records_that_storage_has_already_are_not_redone()
    {
        Note(0, 1000, 1008, 1016);
        _f.Applied.Advance(new Lsn(1024));
        _f.WriteOnDisk(1, new Lsn(1016));
        Assert.Equal([1016UL], Redone(0));
    }

    [Fact]
    public void A_map_page_takes_all_entries_since_its_LSN_says_nothing()
    {
        _f.WriteOnDisk(1, new Lsn(1016), ForkNumber.VisibilityMap);
        foreach (ulong lsn in new ulong[] { 1000, 1008 })
        {
            Pool.NoteRecord(PoolFixture.Tag(0, ForkNumber.VisibilityMap), new Lsn(lsn), initializes: false);
        }

        _f.Applied.Advance(new Lsn(1024));
        using PinnedPage page = Pool.Pin(PoolFixture.Tag(0, ForkNumber.VisibilityMap));
        Assert.Equal([1000, 1008], FakeRecords.On(page));
    }

    [Fact]
    public void A_page_that_only_the_log_has_begins_from_zero_and_counts()
    {
        Assert.Equal(0u, Pool.BlockCount(PoolFixture.Rel, ForkNumber.Main));
        NoteMaking(4, 1000);
        _f.Applied.Advance(new Lsn(1008));
        Assert.Equal(5u, Pool.BlockCount(PoolFixture.Rel, ForkNumber.Main));
        Assert.Equal([1000UL], Redone(4));
        Assert.Equal(0, Pool.Counters.Reads);
        using PinnedPage hole = Pool.Pin(PoolFixture.Tag(2));
        Assert.True(hole.Page.IsNew);
    }

    [Fact]
    public void A_record_that_makes_the_page_saves_the_read_and_heals_a_torn_page()
    {
        _f.Files.Extend(PoolFixture.Rel, ForkNumber.Main, 0, 1);
        using (var garbage = new SharedStorage.Io.AlignedBuffer(Page.Size))
        {
            garbage.Span.Fill(0x5A);
            _f.Files.Write(PoolFixture.Tag(0), garbage.Span);
        }

        Assert.Throws<StorageException>(() => Pool.Pin(PoolFixture.Tag(0)));
        Note(0, 1000);
        NoteMaking(0, 1008);
        Note(0, 1016);
        _f.Applied.Advance(new Lsn(1024));
        Assert.Equal([1008, 1016], Redone(0));
    }

    [Fact]
    public void A_torn_page_whose_image_was_cut_from_the_index_is_rebuilt_from_the_log_since_redo()
    {
        _f.WriteOnDisk(1, new Lsn(500));
        using (var page = new SharedStorage.Io.AlignedBuffer(Page.Size))
        {
            _f.Files.TryRead(PoolFixture.Tag(0), page.Span);
            page.Span[4096..].Fill(1);
            _f.Files.Write(PoolFixture.Tag(0), page.Span);
        }

        Assert.Throws<StorageException>(() => Pool.Pin(PoolFixture.Tag(0)));
        _f.Records.Initializing[600] = true;
        _f.LogSinceRedo = (_, _) => [(new Lsn(504), false), (new Lsn(600), true), (new Lsn(700), false)];
        Assert.Equal([600, 700], Redone(0));
        Assert.Equal(1, Pool.Counters.PagesRebuilt);
    }

    [Fact]
    public void Reads_past_the_end_are_empty_and_a_cut_makes_older_contents_void()
    {
        _f.WriteOnDisk(10, new Lsn(500));
        Assert.Empty(Redone(7));
        Note(8, 1000);
        _f.Applied.Advance(new Lsn(1008));
        Assert.Equal([1000UL], Redone(8));
        Pool.NoteTruncated(PoolFixture.Rel, ForkNumber.Main, 5, new Lsn(1008));
        _f.Applied.Advance(new Lsn(1016));
        Assert.Equal(5u, Pool.BlockCount(PoolFixture.Rel, ForkNumber.Main));
        using (PinnedPage past = Pool.Pin(PoolFixture.Tag(8)))
        {
            Assert.True(past.Page.IsNew);
        }

        // The fork grows again while the file still has the old block 8, and the old version may still be in memory.
        Note(8, 1016);
        _f.Applied.Advance(new Lsn(1024));
        Assert.Equal(9u, Pool.BlockCount(PoolFixture.Rel, ForkNumber.Main));
        Assert.Equal([1016UL], Redone(8));
        using PinnedPage hole = Pool.Pin(PoolFixture.Tag(7));
        Assert.True(hole.Page.IsNew);
    }

    [Fact]
    public void A_relation_made_at_an_old_path_begins_empty()
    {
        _f.WriteOnDisk(3, new Lsn(500));
        Note(1, 1000);
        Pool.NoteDropped(PoolFixture.Rel, new Lsn(1008));
        Pool.NoteCreated(PoolFixture.Rel, ForkNumber.Main, new Lsn(1016));
        _f.Applied.Advance(new Lsn(1024));
        Assert.Equal(0u, Pool.BlockCount(PoolFixture.Rel, ForkNumber.Main));
        NoteMaking(1, 1024);
        _f.Applied.Advance(new Lsn(1032));
        Assert.Equal([1024UL], Redone(1));
    }

    [Fact]
    public void Frames_older_than_the_cut_are_read_again()
    {
        _f.WriteOnDisk(2, new Lsn(500));
        Assert.Empty(Redone(0));
        Assert.Empty(Redone(1));
        Note(0, 1000, 1008);
        _f.Applied.Advance(new Lsn(1016));

        // The writer has flushed both changes, and says so.
        _f.WriteOnDisk(1, new Lsn(1016));
        _f.Consistent.Advance(new Lsn(1016));
        Pool.CutIndex(new Lsn(1016));
        _f.Records.OldestKept = 1016;
        Assert.Equal(0, Pool.Index.EntryCount);
        Assert.Empty(Redone(0));
        using PinnedPage page = Pool.Pin(PoolFixture.Tag(0));
        Assert.Equal(1016u, page.Page.Lsn.Value);
        Note(0, 1016);
        _f.Applied.Advance(new Lsn(1024));
        Assert.Equal([1016UL], Redone(0));
    }

    [Fact]
    public void A_cut_never_passes_consistent_or_applied()
    {
        Note(0, 1000, 1008);
        _f.Applied.Advance(new Lsn(1016));
        Pool.CutIndex(new Lsn(5000));
        Assert.Equal(2, Pool.Index.EntryCount);
        _f.Consistent.Advance(new Lsn(1008));
        Pool.CutIndex(new Lsn(5000));
        Assert.Equal(1, Pool.Index.EntryCount);
        Assert.Equal(1008u, Pool.Index.CutPoint.Value);
    }

    [Fact]
    public void A_cut_in_the_middle_of_a_redo_begins_it_again_from_storage()
    {
        _f.WriteOnDisk(1, new Lsn(500));
        Note(0, 1000, 1008);
        _f.Applied.Advance(new Lsn(1016));
        bool once = true;
        _f.Records.OnRead = _ =>
        {
            if (once)
            {
                once = false;
                _f.WriteOnDisk(1, new Lsn(1008));
                _f.Consistent.Advance(new Lsn(1008));
                Pool.CutIndex(new Lsn(1008));
                _f.Records.OldestKept = 1008;
            }
        };
        Assert.Equal([1008UL], Redone(0));
    }

    [Fact]
    public void A_page_from_the_future_is_refused()
    {
        _f.WriteOnDisk(1, new Lsn(1008));
        Assert.Throws<StorageException>(() => Pool.Pin(PoolFixture.Tag(0)));
        _f.Applied.Advance(new Lsn(1008));
        Pool.Pin(PoolFixture.Tag(0)).Dispose();
    }

    [Fact]
    public void After_the_switch_pages_are_brought_forward_and_are_dirty_from_their_first_entry()
    {
        _f.WriteOnDisk(3, new Lsn(500));
        Note(0, 1000);
        Note(1, 1008);
        _f.Applied.Advance(new Lsn(1016));
        PinnedPage old = Pool.Pin(PoolFixture.Tag(0));
        Note(0, 1016);
        _f.Applied.Advance(new Lsn(1024));
        _f.Log.Now = 1024;
        Pool.SwitchToWriting(_f.Log, _f.Gate);
        Assert.True(Pool.CanWrite);
        Assert.Equal(1000u, Pool.OldestChangeNotDurable().Value);
        using (PinnedPage page = Pool.Pin(PoolFixture.Tag(0)))
        {
            Assert.Equal([1000, 1016], FakeRecords.On(page));
            _f.Change(page, 1);
            using PinnedPage same = Pool.Pin(PoolFixture.Tag(0));
            Assert.Equal(page, same);
            Assert.Equal([1000UL], FakeRecords.On(old));
        }

        old.Dispose();
        Assert.Equal(2, Pool.Index.PageCount + 1);
        Lsn redo = _f.Log.Inserted;
        Pool.FlushAllBefore(redo);
        Assert.Equal(0, Pool.Index.PageCount);
        Assert.Equal([1000, 1016], FakeRecords.On(_f.OnDisk(0)));
        Assert.Equal([1008UL], FakeRecords.On(_f.OnDisk(1)));
        Assert.Equal(redo, Pool.OldestChangeNotDurable());
    }

    [Fact]
    public void A_version_older_than_the_cut_is_read_again_after_the_switch()
    {
        _f.WriteOnDisk(1, new Lsn(500));
        Pool.Pin(PoolFixture.Tag(0)).Dispose();
        Note(0, 1000);
        Note(1, 1008);
        _f.Applied.Advance(new Lsn(1016));

        // The writer has flushed the page with the record, and says so; the index forgets the entry while the old version lies in a frame.
        _f.WriteOnDisk(1, new Lsn(1008));
        _f.Consistent.Advance(new Lsn(1008));
        Pool.CutIndex(new Lsn(1008));
        _f.Log.Now = 1016;
        Pool.SwitchToWriting(_f.Log, _f.Gate);
        using PinnedPage page = Pool.Pin(PoolFixture.Tag(0));
        Assert.Equal(1008UL, page.Page.Lsn.Value);
    }

    [Fact]
    public void Pages_of_files_that_went_are_not_redone_after_the_switch()
    {
        Note(0, 1000);
        Pool.NoteDropped(PoolFixture.Rel, new Lsn(1008));
        RelFileNode cut = PoolFixture.Rel with { Relation = new Oid(7) };
        Pool.NoteRecord(new BufferTag(cut, ForkNumber.Main, new BlockNumber(5)), new Lsn(1016), false);
        Pool.NoteTruncated(cut, ForkNumber.Main, 2, new Lsn(1024));
        _f.Applied.Advance(new Lsn(1032));
        _f.Log.Now = 1032;
        Pool.SwitchToWriting(_f.Log, _f.Gate);
        Pool.RedoAllPending();
        Assert.Equal(0, Pool.Index.PageCount);
        Assert.Equal(1032u, Pool.OldestChangeNotDurable().Value);
    }

    [Fact]
    public void Files_show_the_cuts_of_the_log_after_the_first_checkpoint()
    {
        _f.WriteOnDisk(10, new Lsn(500));
        _f.WriteOnDisk(4, new Lsn(500), ForkNumber.VisibilityMap);
        Pool.NoteTruncated(PoolFixture.Rel, ForkNumber.Main, 2, new Lsn(1000));
        Pool.NoteTruncated(PoolFixture.Rel, ForkNumber.VisibilityMap, 1, new Lsn(1000));
        Note(5, 1008);
        RelFileNode lost = PoolFixture.Rel with { Relation = new Oid(8) };
        Pool.NoteCreated(lost, ForkNumber.Main, new Lsn(1016));
        _f.Applied.Advance(new Lsn(1024));
        _f.Log.Now = 1024;
        Pool.SwitchToWriting(_f.Log, _f.Gate);
        using (PinnedPage added = Pool.PinNew(PoolFixture.Rel, ForkNumber.Main))
        {
            Assert.Equal(6u, added.Block.Value);
            added.Unlatch();
        }

        Pool.FlushAllBefore(new Lsn(1024));
        Assert.True(_f.Files.Exists(lost, ForkNumber.Main));
        Assert.Equal(1u, _f.Files.BlockCount(PoolFixture.Rel, ForkNumber.VisibilityMap));
        for (uint b = 2; b < 7; b++)
        {
            byte[] page = _f.OnDisk(b)!;
            Assert.True(b == 5 ? new Page(page).Lsn.Value == 1016 : page.AsSpan().IndexOfAnyExcept((byte)0) < 0, $"block {b}");
        }

        Assert.Equal(500u, new Page(_f.OnDisk(1)).Lsn.Value);
    }

    [Fact]
    public void A_writer_after_recovery_redoes_pages_that_were_never_in_memory()
    {
        _f.WriteOnDisk(40, new Lsn(500));
        for (uint b = 0; b < 40; b++)
        {
            Note(b, 1000 + (b * 8));
        }

        _f.Applied.Advance(new Lsn(2000));
        _f.Log.Now = 2000;
        Pool.SwitchToWriting(_f.Log, _f.Gate);
        for (uint b = 0; b < 40; b++)
        {
            Assert.Equal([1000 + (b * 8)], Redone(b));
        }

        Assert.Equal(0, Pool.Index.PageCount);
        Pool.FlushAllBefore(new Lsn(2000));
        Assert.Equal([1000 + (8UL * 39)], FakeRecords.On(_f.OnDisk(39)));
    }

    private void Note(uint block, params ulong[] starts)
    {
        foreach (ulong start in starts)
        {
            Pool.NoteRecord(PoolFixture.Tag(block), new Lsn(start), initializes: false);
        }
    }

    private void NoteMaking(uint block, ulong start)
    {
        _f.Records.Initializing[start] = true;
        Pool.NoteRecord(PoolFixture.Tag(block), new Lsn(start), initializes: true);
    }

    private ulong[] Redone(uint block)
    {
        using PinnedPage page = Pool.Pin(PoolFixture.Tag(block));
        return FakeRecords.On(page);
    }
}
