using System.Globalization;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>
/// Slowing changes before all frames are dirty and held back for a reader: a reserve of frames stays clean, so that whoever only reads (logins, queries, catalogs) finds a
/// frame at once, and DDL has some to change. The writer never depends on a reader: the wait ends when the reader passes or is evicted.
/// </summary>
public sealed unsafe partial class BufferPool
{
    /// <summary>How often the dirty frames are counted at most while changes wait.</summary>
    private static readonly TimeSpan CountEvery = TimeSpan.FromMilliseconds(10);

    private readonly Lock _dirtyLock = new();
    private long _dirtyCounted;
    private volatile int _dirtyThen;
    private long _slowed;

    /// <summary>Frames that changes of users' tables leave clean while pages are held back: an eighth, at most 512, which is a login's and a DDL statement's need many times over.</summary>
    private int ReserveFrames => Math.Min(_frames.Length / 8, 512);

    /// <summary>False while nothing more can be kept back for a reader: who changes pages only to save work later (hints, pruning by the way) lets it be.</summary>
    public bool HasRoomForChanges => _frozen.HasRoom;

    /// <summary>Why frozen copies could not go to local disk; null while they could.</summary>
    public string? FrozenSpillFailure => _frozen.SpillFailure;

    /// <summary>
    /// Before a change of a user's table, by a thread that holds no latch: waits while a reader holds back so many pages that only the reserve is left. Costs a read of a flag
    /// otherwise.
    /// </summary>
    /// <exception cref="PgException">53200: the reader has neither passed nor been evicted within the bound.</exception>
    public void AwaitRoomForChange()
    {
        if (!_frozen.HasRoom && IsReserveTouched())
        {
            AwaitRoomSlowly();
        }
    }

    private void AwaitRoomSlowly()
    {
        Interlocked.Increment(ref _slowed);
        long began = _options.Time.GetTimestamp();
        while (!_frozen.HasRoom && IsReserveTouched())
        {
            WriteSomeFrozen();
            if (_options.Time.GetElapsedTime(began) > _options.FrameWait)
            {
                throw new PgException(SqlStates.OutOfMemory, "no room for changes: too many pages wait for a reader to apply the log")
                {
                    Detail = string.Create(CultureInfo.InvariantCulture, $"{_frozen.Count} frozen copies are kept, {_frozen.Spilled} of them on local disk."),
                    Hint = "Raise sharedstorage.frozen_spill_size or shared_buffers, or lower sharedstorage.eviction_time.",
                };
            }

            lock (_gateSignal)
            {
                Monitor.Wait(_gateSignal, LongestPause);
            }
        }
    }

    private bool IsReserveTouched()
    {
        lock (_dirtyLock)
        {
            if (_dirtyCounted == 0 || _options.Time.GetElapsedTime(_dirtyCounted) > CountEvery)
            {
                int dirty = 0;
                foreach (Frame frame in _frames)
                {
                    dirty += frame.IsDirty ? 1 : 0;
                }

                _dirtyThen = dirty;
                _dirtyCounted = _options.Time.GetTimestamp();
            }

            return _dirtyThen > _frames.Length - ReserveFrames;
        }
    }
}
