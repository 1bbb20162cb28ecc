using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Wal.Reading;

/// <summary>The segment file that holds a position, kept open. Belongs to one thread.</summary>
internal sealed class WalSegmentCursor(WalDirectory directory, TimelineHistory history) : IDisposable
{
    private IBlockFile? _file;
    private ulong _segment = ulong.MaxValue;

    /// <summary>Reads within one segment, as far as the file goes. -1: there is no such file.</summary>
    public int Read(Lsn at, Span<byte> buffer)
    {
        ulong segment = WalLayout.SegmentOf(at, directory.SegmentSize);
        return segment == _segment || Open(segment) ? _file!.Read(WalLayout.SegmentOffset(at, directory.SegmentSize), buffer) : -1;
    }

    /// <summary>Why <see cref="Read"/> gave less than was asked for.</summary>
    public string Describe(Lsn at)
    {
        ulong segment = WalLayout.SegmentOf(at, directory.SegmentSize);
        return segment == _segment
            ? $"\"{_file!.Path}\" ends before offset {WalLayout.SegmentOffset(at, directory.SegmentSize)}"
            : $"segment {new WalSegmentName(history.At(at), segment).ToFileName(directory.SegmentSize)} is missing";
    }

    public void Dispose()
    {
        _file?.Dispose();
        _file = null;
        _segment = ulong.MaxValue;
    }

    private bool Open(ulong segment)
    {
        Dispose();
        Lsn start = WalLayout.SegmentStart(segment, directory.SegmentSize);

        // A segment in which the timeline changes exists on both sides; the newer file holds all of it.
        for (int i = history.Entries.Count - 1; i >= 0; i--)
        {
            TimelineHistory.Entry entry = history.Entries[i];
            bool overlaps = start < entry.End && start + (ulong)directory.SegmentSize > entry.Begin;
            if (overlaps && directory.TryOpen(directory.SegmentPath(entry.Timeline, segment), BlockFileMode.Read) is { } file)
            {
                _file = file;
                _segment = segment;
                return true;
            }
        }

        return false;
    }
}

/// <summary>
/// Reads the chunks that will be wanted next, on threads of its own, while the one before is decoded. What it could not read is left to the caller's own read, which says why.
/// The threads begin with the first request and sleep when there is none.
/// </summary>
internal sealed class WalReadAhead(WalDirectory directory, TimelineHistory history, int chunkSize) : IDisposable
{
    /// <summary>Chunks that are read or wait to be taken: what hides the time of one read behind the decoding of some others.</summary>
    private const int Depth = 4;

    /// <summary>Reads under way at once: storage gives more of the log in a second when it has the next request before it has answered the last.</summary>
    private const int AtOnce = 2;

    private readonly Slot[] _slots = new Slot[Depth];
    private readonly object _lock = new();
    private Thread[]? _threads;
    private int _first;
    private int _count;
    private bool _stop;

    private enum SlotState
    {
        Wanted,
        Reading,
        Read,
    }

    /// <summary>The threads of one that reads ahead.</summary>
    public static Thread[] StartThreads(ThreadStart work)
    {
        Thread[] threads = [.. Enumerable.Range(0, AtOnce).Select(_ => new Thread(work) { IsBackground = true, Name = "log read-ahead" })];
        Array.ForEach(threads, t => t.Start());
        return threads;
    }

    /// <summary>Wants the chunks from a position on, as far as they end at or before the limit.</summary>
    public void Want(Lsn next, Lsn limit)
    {
        lock (_lock)
        {
            if (_count > 0 && _slots[_first].Start != next)
            {
                DropLocked();
            }

            Lsn at = next + ((ulong)_count * (ulong)chunkSize);
            bool more = false;
            for (; _count < Depth && limit.Value >= at.Value + (ulong)chunkSize; at += (ulong)chunkSize)
            {
                ref Slot slot = ref _slots[(_first + _count++) % Depth];
                slot.Buffer ??= new AlignedBuffer(chunkSize);
                slot.Start = at;
                slot.State = SlotState.Wanted;
                more = true;
            }

            if (more)
            {
                _threads ??= StartThreads(Work);
                Monitor.PulseAll(_lock);
            }
        }
    }

    /// <summary>Changes the buffer for one that holds the chunk at a position, if it was wanted and read.</summary>
    public bool TryTake(Lsn start, ref AlignedBuffer buffer)
    {
        lock (_lock)
        {
            if (_count == 0 || _slots[_first].Start != start)
            {
                DropLocked();
                return false;
            }

            ref Slot slot = ref _slots[_first];
            while (slot.State != SlotState.Read)
            {
                Monitor.Wait(_lock);
            }

            bool whole = slot.Length == chunkSize;
            if (whole)
            {
                (buffer, slot.Buffer) = (slot.Buffer!, buffer);
            }

            _first = (_first + 1) % Depth;
            _count--;
            return whole;
        }
    }

    /// <summary>Forgets what was read: files may have changed.</summary>
    public void Drop()
    {
        lock (_lock)
        {
            DropLocked();
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _stop = true;
            Monitor.PulseAll(_lock);
        }

        Array.ForEach(_threads ?? [], t => t.Join());
        foreach (Slot slot in _slots)
        {
            slot.Buffer?.Dispose();
        }
    }

    /// <summary>A read that is under way ends first: its buffer is used again.</summary>
    private void DropLocked()
    {
        for (int i = 0; i < Depth; i++)
        {
            if (_slots[i].State == SlotState.Wanted)
            {
                _slots[i].State = SlotState.Read;
            }

            while (_slots[i].State == SlotState.Reading)
            {
                Monitor.Wait(_lock);
            }
        }

        _count = 0;
    }

    private void Work()
    {
        using var cursor = new WalSegmentCursor(directory, history);
        while (true)
        {
            int index;
            lock (_lock)
            {
                while (!_stop && NextWanted() < 0)
                {
                    Monitor.Wait(_lock);
                }

                if (_stop)
                {
                    return;
                }

                index = NextWanted();
                _slots[index].State = SlotState.Reading;
            }

            int length = Read(cursor, _slots[index].Start, _slots[index].Buffer!);
            lock (_lock)
            {
                _slots[index].Length = length;
                _slots[index].State = SlotState.Read;
                Monitor.PulseAll(_lock);
            }
        }
    }

    private static int Read(WalSegmentCursor cursor, Lsn at, AlignedBuffer buffer)
    {
        try
        {
            return cursor.Read(at, buffer.Span);
        }
        catch (StorageException)
        {
            // Nobody may ever want these bytes; who does reads them again, and meets the error there.
            cursor.Dispose();
            return -1;
        }
    }

    private int NextWanted()
    {
        for (int i = 0; i < _count; i++)
        {
            int index = (_first + i) % Depth;
            if (_slots[index].State == SlotState.Wanted)
            {
                return index;
            }
        }

        return -1;
    }

    private struct Slot
    {
        public AlignedBuffer? Buffer;
        public Lsn Start;
        public int Length;
        public SlotState State;
    }
}
