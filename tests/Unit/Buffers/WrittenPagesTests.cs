using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;
using Xunit;

namespace SharedStorage.Unit.Buffers;

/// <summary>R13: a write that a former writer began lands late, over what this one has written.</summary>
public sealed class WrittenPagesTests : IDisposable
{
    private readonly PoolFixture _f = new(frames: 16);

    private BufferPool Pool => _f.Pool;

    public void Dispose() => _f.Dispose();

    [Fact]
    public void A_block_that_is_read_back_older_than_it_was_written_is_made_anew_from_the_log()
    {
        byte[] late = WriteOver();
        _f.Records.Initializing[1000] = true;
        _f.LogSinceRedo = (_, _) => [(new Lsn(1000), true), (new Lsn(1008), false)];
        using (PinnedPage page = Pool.Pin(PoolFixture.Tag(0)))
        {
            Assert.Equal([1000UL, 1008], FakeRecords.On(page));
        }

        Assert.Equal(late, _f.OnDisk(0));
        Assert.Equal(0, Pool.EndWatchingWrites(CancellationToken.None) - 1);
        Assert.Equal([1000UL, 1008], FakeRecords.On(_f.OnDisk(0)!));
    }

    [Fact]
    public void A_block_that_was_written_over_while_it_is_in_the_pool_is_written_again_when_the_former_writer_is_fenced()
    {
        Pool.BeginWatchingWrites(_f.Log.Inserted);
        _f.WriteOnDisk(1, new Lsn(500));
        byte[] late = _f.OnDisk(0)!;
        using PinnedPage page = Pool.Pin(PoolFixture.Tag(0));
        _f.Change(page, 7);
        Pool.FlushAllBefore(Lsn.Max);
        byte[] own = _f.OnDisk(0)!;
        Overwrite(late);
        Assert.Equal(1, Pool.EndWatchingWrites(CancellationToken.None));
        Assert.Equal(own[4000..], _f.OnDisk(0)![4000..]);
    }

    [Fact]
    public void A_block_that_cannot_be_made_anew_is_an_error_and_no_empty_page_takes_its_place()
    {
        byte[] late = WriteOver();
        _f.LogSinceRedo = (_, _) => [];
        Assert.Throws<StorageException>(() => Pool.EndWatchingWrites(CancellationToken.None));
        Assert.Equal(late, _f.OnDisk(0));
    }

    [Fact]
    public void What_is_as_it_was_written_or_was_there_before_is_taken_as_it_is()
    {
        Pool.BeginWatchingWrites(_f.Log.Inserted);
        _f.WriteOnDisk(140, new Lsn(500));
        using (PinnedPage page = Pool.Pin(PoolFixture.Tag(0)))
        {
            _f.Change(page, 7);
        }

        Pool.FlushAllBefore(Lsn.Max);
        Evict();
        using PinnedPage back = Pool.Pin(PoolFixture.Tag(0));
        using PinnedPage old = Pool.Pin(PoolFixture.Tag(1));
        Assert.Equal(0, Pool.Counters.PagesRebuilt);
        Assert.Equal(0, Pool.EndWatchingWrites(CancellationToken.None));
    }

    [Fact]
    public void A_block_with_a_later_LSN_that_this_writer_did_not_write_is_not_taken()
    {
        Pool.BeginWatchingWrites(_f.Log.Inserted);
        _f.WriteOnDisk(1, new Lsn(1016));
        _f.Log.Now = 2000;
        Assert.Throws<StorageException>(() => Pool.Pin(PoolFixture.Tag(0)));
    }

    [Fact]
    public void What_is_written_is_forgotten_with_its_relation()
    {
        Pool.BeginWatchingWrites(_f.Log.Inserted);
        _f.WriteOnDisk(1, new Lsn(500));
        byte[] late = _f.OnDisk(0)!;
        using (PinnedPage page = Pool.Pin(PoolFixture.Tag(0)))
        {
            _f.Change(page, 7);
        }

        Pool.FlushAllBefore(Lsn.Max);
        Pool.Forget(PoolFixture.Rel);
        Overwrite(late);
        using PinnedPage back = Pool.Pin(PoolFixture.Tag(0));
        Assert.Equal(new Lsn(500), back.Page.Lsn);
    }

    /// <summary>Block 0 is changed, written and evicted; then its former content comes back. Gives that.</summary>
    private byte[] WriteOver()
    {
        Pool.BeginWatchingWrites(_f.Log.Inserted);
        _f.WriteOnDisk(140, new Lsn(500));
        byte[] late = _f.OnDisk(0)!;
        using (PinnedPage page = Pool.Pin(PoolFixture.Tag(0)))
        {
            _f.Change(page, 7);
        }

        Pool.FlushAllBefore(Lsn.Max);
        Evict();
        Overwrite(late);
        return late;
    }

    private void Evict()
    {
        long before = Pool.Counters.Evictions;
        for (uint b = 40; b < 140; b++)
        {
            using PinnedPage other = Pool.Pin(PoolFixture.Tag(b));
        }

        Assert.True(Pool.Counters.Evictions > before);
    }

    private void Overwrite(byte[] content)
    {
        using var buffer = new AlignedBuffer(Page.Size);
        content.CopyTo(buffer.Span);
        _f.Files.Write(PoolFixture.Tag(0), buffer.Span);
    }
}
