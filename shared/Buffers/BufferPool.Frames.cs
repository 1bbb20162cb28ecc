using System.Diagnostics;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>Where frames come from: those that are free, else a victim of the clock: a clean one first, then a dirty one that may be written or frozen.</summary>
public sealed unsafe partial class BufferPool
{
    /// <summary>So many dirty pages are passed over in search of a clean one before one is written.</summary>
    private const int DirtyPassedOver = 32;

    /// <summary>So many dirty pages that a reader holds back end a search's attempts on dirty ones: it is slower to ask for all of them than to wait for the gate.</summary>
    private const int HeldBackAtMost = 64;

    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(50);

    private readonly Stack<int> _freeFrames;
    private readonly Lock _freeLock = new();
    private readonly object _unpinned = new();
    private volatile int _frameWaiters;
    private uint _hand;

    /// <summary>A claimed frame comes back.</summary>
    internal void Free(Frame frame)
    {
        lock (_freeLock)
        {
            _freeFrames.Push(frame.Index);
        }

        NoteUnpinned();
    }

    /// <summary>A frame has become free to take: those who wait for one look again.</summary>
    internal void NoteUnpinned()
    {
        if (_frameWaiters > 0)
        {
            lock (_unpinned)
            {
                Monitor.PulseAll(_unpinned);
            }
        }
    }

    /// <summary>The gate may have opened (a reader has applied more, or its lease has ended): waiters try again.</summary>
    public void NoteGateMoved()
    {
        NoteUnpinned();
        lock (_gateSignal)
        {
            Monitor.PulseAll(_gateSignal);
        }
    }

    /// <summary>A claimed frame that is in no table. May write pages, so the caller holds no lock that a writer of pages needs.</summary>
    /// <exception cref="PgException">53200: all are pinned, or held back for a reader beyond the wait.</exception>
    private Frame TakeFrame()
    {
        Frame? frame = TryTakeFrame();
        if (frame is not null)
        {
            return frame;
        }

        long began = _options.Time.GetTimestamp();
        TimeSpan pause = TimeSpan.FromMilliseconds(1);
        Interlocked.Increment(ref _frameWaiters);
        try
        {
            while (true)
            {
                WriteSomeFrozen();
                if ((frame = TryTakeFrame()) is not null)
                {
                    return frame;
                }

                if (_options.Time.GetElapsedTime(began) > _options.FrameWait)
                {
                    throw new PgException(SqlStates.OutOfMemory, $"no unpinned buffer is available among {_frames.Length}")
                    {
                        Detail = $"{_frozen.Count} frozen copies wait for readers.",
                    };
                }

                lock (_unpinned)
                {
                    Monitor.Wait(_unpinned, pause);
                }

                pause = pause < LongestPause ? 2 * pause : LongestPause;
            }
        }
        finally
        {
            Interlocked.Decrement(ref _frameWaiters);
        }
    }

    private Frame? TryTakeFrame()
    {
        lock (_freeLock)
        {
            if (_freeFrames.TryPop(out int index))
            {
                return _frames[index];
            }
        }

        int dirtySeen = 0;
        int heldBack = 0;
        long limit = (long)_frames.Length * (Frame.MaxUsage + 2);
        for (long step = 0; step < limit; step++)
        {
            Frame frame = _frames[Interlocked.Increment(ref _hand) % (uint)_frames.Length];
            if (frame.Pins != 0)
            {
                continue;
            }

            if (frame.Usage > 0)
            {
                frame.Usage--;
                continue;
            }

            if (frame.IsDirty && ((++dirtySeen <= DirtyPassedOver && step < _frames.Length) || heldBack >= HeldBackAtMost || !TryClean(frame, ref heldBack)))
            {
                continue;
            }

            if (TryEvict(frame))
            {
                return frame;
            }
        }

        return null;
    }

    private bool TryEvict(Frame frame)
    {
        if (!frame.TryClaim())
        {
            return false;
        }

        if (frame.IsDirty)
        {
            frame.Unclaim();
            return false;
        }

        if ((frame.Flags & FrameFlags.Detached) == 0)
        {
            _table.Remove(frame, frame.Tag.GetHashCode());
        }

        Interlocked.Increment(ref _evictions);
        return true;
    }

    private bool TryClean(Frame frame, ref int heldBack)
    {
        if (!frame.TryPin())
        {
            return false;
        }

        try
        {
            WriteOutcome outcome = WriteFrame(frame, WriteMode.Try);
            heldBack += outcome == WriteOutcome.HeldBack ? 1 : 0;
            return outcome is WriteOutcome.Clean or WriteOutcome.Written or WriteOutcome.Frozen;
        }
        finally
        {
            frame.Unpin();
        }
    }
}
