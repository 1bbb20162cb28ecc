using System.Collections.Concurrent;
using SharedStorage.Primitives;

namespace SharedStorage.Io;

/// <summary>The name of one file of a relation.</summary>
internal readonly record struct SegmentKey(RelFileNode Rel, ForkNumber Fork, int Segment);

/// <summary>An open segment: its file, how many calls use it now, and whether it was written since it was last synced.</summary>
internal sealed class Segment(SegmentKey key, IBlockFile file)
{
    private const int Closed = int.MinValue / 2;

    private readonly object _syncing = new();
    private int _users = 1;
    private int _written;

    public SegmentKey Key { get; } = key;
    public IBlockFile File { get; } = file;

    /// <summary>Set by each use, cleared by the search for one to close.</summary>
    public bool RecentlyUsed { get; set; } = true;

    public bool IsWritten => Volatile.Read(ref _written) != 0;

    public bool TryEnter()
    {
        if (Interlocked.Increment(ref _users) > 0)
        {
            RecentlyUsed = true;
            return true;
        }

        Interlocked.Decrement(ref _users);
        return false;
    }

    public void Leave()
    {
        // Whoever makes the count of a retired segment reach its floor closes it.
        if (Interlocked.Decrement(ref _users) == Closed)
        {
            File.Dispose();
        }
    }

    /// <summary>Nobody can enter any more; the file is closed when the last user has left.</summary>
    public void Retire()
    {
        if (Interlocked.Add(ref _users, Closed) == Closed)
        {
            File.Dispose();
        }
    }

    /// <summary>To be called after a write has returned, before <see cref="Leave"/>.</summary>
    public void NoteWritten() => Volatile.Write(ref _written, 1);

    /// <summary>
    /// Makes durable all writes that were noted before the call. Callers queue here, so that one that finds the mark cleared by another returns only when
    /// that other's sync has ended.
    /// </summary>
    public void SyncIfWritten()
    {
        lock (_syncing)
        {
            if (Interlocked.Exchange(ref _written, 0) != 0)
            {
                File.DataSync();
            }
        }
    }
}

/// <summary>
/// Open segments by name, bounded in number. A segment that was written is synced before it is closed, so no error of its writes is lost with the handle (I11).
/// </summary>
internal sealed class SegmentCache(int limit, Action<Segment> syncBeforeClose) : IDisposable
{
    private readonly ConcurrentDictionary<SegmentKey, Segment> _open = new();
    private readonly object _change = new();

    public int Count => _open.Count;

    /// <summary>The segment, entered; null when it is not open.</summary>
    public Segment? TryEnter(in SegmentKey key) =>
        _open.TryGetValue(key, out Segment? segment) && segment.TryEnter() ? segment : null;

    /// <summary>The segment, entered; opened by <paramref name="open"/> when it is not. Null when there is no such file.</summary>
    public Segment? Enter(in SegmentKey key, Func<SegmentKey, IBlockFile?> open)
    {
        while (true)
        {
            if (TryEnter(key) is { } found)
            {
                return found;
            }

            MakeRoom();
            lock (_change)
            {
                if (_open.TryGetValue(key, out Segment? other))
                {
                    if (other.TryEnter())
                    {
                        return other;
                    }

                    continue;
                }

                if (open(key) is not { } file)
                {
                    return null;
                }

                var segment = new Segment(key, file);
                _open[key] = segment;
                return segment;
            }
        }
    }

    /// <summary>Closes a segment whose handle has gone stale, if it is still the open one.</summary>
    public void Drop(Segment segment)
    {
        if (_open.TryRemove(KeyValuePair.Create(segment.Key, segment)))
        {
            segment.Retire();
        }
    }

    public void Drop(RelFileNode rel, ForkNumber? fork)
    {
        foreach ((SegmentKey key, Segment segment) in _open)
        {
            if (key.Rel == rel && (fork is null || key.Fork == fork))
            {
                Drop(segment);
            }
        }
    }

    public IEnumerable<Segment> Written()
    {
        foreach ((_, Segment segment) in _open)
        {
            // A mark that is clear may belong to a sync under way elsewhere: SyncIfWritten waits for it.
            if (segment.TryEnter())
            {
                yield return segment;
            }
        }
    }

    public void Dispose()
    {
        foreach ((_, Segment segment) in _open)
        {
            Drop(segment);
        }
    }

    private void MakeRoom()
    {
        if (_open.Count < limit)
        {
            return;
        }

        // Second chance: the first not used since the last search goes; those not written are preferred, since closing them costs no sync.
        Segment? fallback = null;
        foreach ((_, Segment segment) in _open)
        {
            bool used = segment.RecentlyUsed;
            segment.RecentlyUsed = false;
            if (!used && !segment.IsWritten)
            {
                Drop(segment);
                return;
            }

            fallback ??= used ? null : segment;
        }

        fallback ??= _open.Values.FirstOrDefault();
        if (fallback is not null && fallback.TryEnter())
        {
            try
            {
                // I4: on a reader nothing is written, and so nothing synced.
                if (fallback.IsWritten)
                {
                    syncBeforeClose(fallback);
                }

                if (!fallback.IsWritten)
                {
                    Drop(fallback);
                }
            }
            finally
            {
                fallback.Leave();
            }
        }
    }
}
