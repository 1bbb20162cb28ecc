using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Wal.Reading;

/// <summary>Where a <see cref="WalReader"/> gets pages of the log.</summary>
internal interface IWalPageSource : IDisposable
{
    /// <summary>
    /// Gives the page at <paramref name="page"/>. Its bytes before <paramref name="page"/> + <paramref name="need"/> are as fresh as
    /// <paramref name="limit"/>: what was read before the log grew is read again. False: it is not there; <paramref name="problem"/> says why.
    /// </summary>
    bool TryGet(Lsn page, int need, Lsn limit, out ReadOnlySpan<byte> bytes, out string? problem);

    /// <summary>Whether the page's header was checked since its bytes were read, for sources that many look into.</summary>
    bool IsChecked(Lsn page) => false;

    void NoteChecked(Lsn page)
    {
    }

    /// <summary>Forgets what was read and closes what is open: the files may have changed.</summary>
    void Invalidate();
}

/// <summary>
/// Pages from the segment files, by large aligned reads. A sequential source has the next chunks read ahead of it once it goes forward. Belongs to one thread.
/// </summary>
internal sealed class WalFileSource(WalDirectory directory, TimelineHistory history, int chunkSize, RecentWal? recent = null) : IWalPageSource
{
    public const int SequentialChunk = 1 << 20;
    public const int PositionalChunk = 64 << 10;

    private readonly WalSegmentCursor _segments = new(directory, history);
    private readonly WalReadAhead? _ahead = chunkSize >= SequentialChunk && directory.SegmentSize >= chunkSize ? new WalReadAhead(directory, history, chunkSize) : null;
    private AlignedBuffer _chunk = new(chunkSize);
    private Lsn _chunkStart;
    private Lsn _chunkEnd;

    // Bytes at or after this were beyond the limit when the chunk was read; they may have been written since.
    private Lsn _freshEnd;

    public bool TryGet(Lsn page, int need, Lsn limit, out ReadOnlySpan<byte> bytes, out string? problem)
    {
        problem = null;
        Lsn end = page + (ulong)need;
        if (page < _chunkStart || end > _freshEnd || page + WalLayout.PageSize > _chunkEnd)
        {
            problem = Load(page, limit);
            if (problem is not null)
            {
                bytes = default;
                return false;
            }
        }

        bytes = _chunk.Span.Slice((int)(page - _chunkStart), WalLayout.PageSize);
        return true;
    }

    public void Invalidate()
    {
        _chunkStart = _chunkEnd = _freshEnd = Lsn.Invalid;
        _ahead?.Drop();
        _segments.Dispose();
    }

    public void Dispose()
    {
        _ahead?.Dispose();
        _segments.Dispose();
        _chunk.Dispose();
    }

    private string? Load(Lsn page, Lsn limit)
    {
        // A page a little further on counts as forward: who skips some records has the chunk that was read ahead.
        bool forward = _ahead is not null && _chunkEnd.IsValid && page >= _chunkEnd && page - _chunkEnd < (ulong)chunkSize;
        Lsn expected = _chunkEnd;
        _chunkStart = _chunkEnd = _freshEnd = Lsn.Invalid;
        int read;
        if (forward && _ahead!.TryTake(expected, ref _chunk))
        {
            // It was wanted only as far as an earlier limit went, so all of it is fresh.
            read = chunkSize;
            page = expected;
        }
        else
        {
            int offset = WalLayout.SegmentOffset(page, directory.SegmentSize);

            // Chunks begin at multiples of their size where the page allows it, so that going forward reads each byte once.
            int length = Math.Min(chunkSize - (offset & (chunkSize - 1)), directory.SegmentSize - offset);
            if (limit - page < (ulong)length)
            {
                length = (int)(WalLayout.PageStart(limit + (WalLayout.PageSize - 1)) - page);
            }

            int got = _segments.Read(page, _chunk.Span[..length]);
            read = got & ~(WalLayout.PageSize - 1);
            if (got <= 0 || read == 0)
            {
                return _segments.Describe(page);
            }
        }

        _chunkStart = page;
        _chunkEnd = page + (ulong)read;
        _freshEnd = Lsn.Min(_chunkEnd, limit);
        recent?.Append(page, _chunk.Span[..(int)(_freshEnd - page)]);
        if (forward && (_chunkEnd.Value & (ulong)(chunkSize - 1)) == 0)
        {
            _ahead!.Want(_chunkEnd, limit);
        }

        return null;
    }
}

/// <summary>Pages from the ring of recent log, else from files. Belongs to one thread.</summary>
internal sealed class RecentWalSource(RecentWal recent, WalFileSource files) : IWalPageSource
{
    private readonly byte[] _page = new byte[WalLayout.PageSize];
    private Lsn _pageStart = Lsn.Max;
    private int _pageLength;

    public bool TryGet(Lsn page, int need, Lsn limit, out ReadOnlySpan<byte> bytes, out string? problem)
    {
        if (page == _pageStart && need <= _pageLength)
        {
            bytes = _page;
            problem = null;
            return true;
        }

        _pageStart = Lsn.Max;
        _pageLength = recent.Read(page, need, _page);
        if (_pageLength > 0)
        {
            _pageStart = page;
            bytes = _page;
            problem = null;
            return true;
        }

        return files.TryGet(page, need, limit, out bytes, out problem);
    }

    public void Invalidate()
    {
        _pageStart = Lsn.Max;
        files.Invalidate();
    }

    public void Dispose() => files.Dispose();
}

/// <summary>
/// The last stretch of log that the tail has read, in memory. One thread appends, any thread reads without a lock: the writer moves
/// the low mark up before it overwrites, and a reader looks at the mark again after it has copied.
/// </summary>
public sealed class RecentWal : IDisposable
{
    private readonly AlignedBuffer _memory;
    private ulong _low;
    private ulong _high;

    /// <param name="capacity">Bytes, a multiple of 8192.</param>
    public RecentWal(int capacity = 16 << 20) => _memory = new AlignedBuffer(capacity);

    /// <summary>Adds the log from <paramref name="at"/>, a page's start; what is there already is passed over.</summary>
    public void Append(Lsn at, ReadOnlySpan<byte> bytes)
    {
        ulong start = at.Value;
        ulong end = start + (ulong)bytes.Length;
        if (start > _high || end < _low || bytes.Length > _memory.Length)
        {
            Reset(at);
        }

        if (bytes.Length > _memory.Length || end <= _high)
        {
            return;
        }

        ReadOnlySpan<byte> fresh = bytes[(int)(_high - start)..];
        ulong from = _high;
        ulong capacity = (ulong)_memory.Length;
        if (end - _low > capacity)
        {
            Volatile.Write(ref _low, end - capacity);
            Interlocked.MemoryBarrier();
        }

        int slot = (int)(from % capacity);
        int first = Math.Min(fresh.Length, (int)capacity - slot);
        fresh[..first].CopyTo(_memory.Span[slot..]);
        fresh[first..].CopyTo(_memory.Span);
        Volatile.Write(ref _high, end);
    }

    /// <summary>Forgets all: the log at and after <paramref name="at"/> is another one now (promotion).</summary>
    public void Reset(Lsn at)
    {
        Volatile.Write(ref _low, ulong.MaxValue);
        Interlocked.MemoryBarrier();
        Volatile.Write(ref _high, at.Value);
        Volatile.Write(ref _low, at.Value);
    }

    /// <summary>Copies what there is of a page; 0 when that is less than <paramref name="need"/>.</summary>
    internal int Read(Lsn page, int need, Span<byte> into)
    {
        ulong high = Volatile.Read(ref _high);
        if (page.Value < Volatile.Read(ref _low) || page.Value + (ulong)need > high)
        {
            return 0;
        }

        int length = (int)Math.Min(WalLayout.PageSize, high - page.Value);
        _memory.Span.Slice((int)(page.Value % (ulong)_memory.Length), length).CopyTo(into);
        Interlocked.MemoryBarrier();
        return page.Value >= Volatile.Read(ref _low) ? length : 0;
    }

    public void Dispose() => _memory.Dispose();
}
