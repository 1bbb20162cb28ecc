using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Wal;

/// <summary>A log whose disk is full when the next segment is to be made.</summary>
public sealed class WalSpaceTests : IDisposable
{
    private readonly WalLog _log = new();
    private volatile bool _full;
    private int _missing;
    private int _back;

    public WalSpaceTests() => _log.Opener = (path, mode) => _full && mode == BlockFileMode.CreateNew
        ? throw new StorageException("no room") { Errno = 28, SqlState = SqlStates.DiskFull }
        : DirectFile.TryOpen(path, mode);

    public void Dispose() => _log.Dispose();

    [Fact]
    public async Task A_flush_waits_for_room_and_goes_on_when_there_is_some()
    {
        StorageException? failure = null;
        using WalInserter wal = Start(e => failure = e);
        wal.Flush(WalLog.Insert(wal, 3, 1000));
        _full = true;
        Task flush = Task.Run(() => FlushOverTheEnd(wal));
        Assert.True(SpinWait.SpinUntil(() => wal.IsWaitingForSpace, TimeSpan.FromSeconds(30)));
        Assert.True(wal.Flushed < wal.Reserved);
        Assert.Throws<PgException>(() => wal.AwaitSpace(() => throw new PgException(SqlStates.QueryCanceled, "cancelled")));
        Task waits = Task.Run(() => wal.AwaitSpace(null));
        _full = false;
        await Task.WhenAll(flush, waits).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.False(wal.IsWaitingForSpace);
        Assert.Null(failure);
        Assert.Equal((1, 1), (_missing, _back));
        Assert.Equal(wal.Reserved, wal.Flushed);
        wal.AwaitSpace(() => throw new PgException(SqlStates.QueryCanceled, "nothing waits"));
    }

    [Fact]
    public async Task A_stop_gives_up_the_wait_and_the_flush_fails()
    {
        StorageException? failure = null;
        using WalInserter wal = Start(e => failure = e);
        _full = true;
        Lsn end = WalLog.Insert(wal, 4, 1000);
        Task flush = Task.Run(() => FlushOverTheEnd(wal));
        Assert.True(SpinWait.SpinUntil(() => wal.IsWaitingForSpace, TimeSpan.FromSeconds(30)));
        wal.GiveUpSpace();
        StorageException thrown = await Assert.ThrowsAsync<StorageException>(() => flush.WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.True(thrown.IsNoSpace);
        Assert.NotNull(failure);
        Assert.Throws<StorageException>(() => wal.Flush(end));
    }

    [Fact]
    public void A_timeline_that_died_before_its_history_file_is_begun_anew()
    {
        Lsn end;
        using (WalInserter wal = _log.Start())
        {
            end = WalLog.Insert(wal, 3, 20_000);
            wal.Flush(end);
        }

        (TimelineId one, TimelineId two) = (new TimelineId(1), new TimelineId(2));
        _log.Segments.CopyTail(one, two, end);

        // The promotion dies here; the next one takes the same number, since there may be no gap.
        Assert.Equal(one, _log.Segments.NewestTimeline(one));
        _log.Segments.CopyTail(one, two, end);
        _log.Segments.WriteHistory(_log.Segments.ReadHistory(one).Fork(two, end, "once more"));
        Assert.Throws<StorageException>(() => _log.Segments.CopyTail(one, two, end));
        Assert.Equal([3u], _log.ReadAll(two).Select(r => r.Xid));
    }

    private WalInserter Start(Action<StorageException> failed)
    {
        WalDirectory directory = _log.Segments;
        return _log.Start(new WalInserterOptions
        {
            Directory = directory,
            Timeline = new TimelineId(1),
            BufferSize = 256 << 10,
            OnFailure = failed,
            OnSpaceMissing = _ => _missing++,
            OnSpaceBack = () => _back++,
        });
    }

    /// <summary>Inserts and flushes until a segment of 1 MiB is behind; room is needed for the next one.</summary>
    private static void FlushOverTheEnd(WalInserter wal)
    {
        for (int i = 0; i < 12; i++)
        {
            wal.Flush(WalLog.Insert(wal, 5, 100_000));
        }
    }
}
