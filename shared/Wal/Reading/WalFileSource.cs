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

    /// <summary>Forgets what was read and closes what is open: the files may have changed.</summary>
    void Invalidate();
}

/// <summary>Pages from the segment files, by large aligned reads. Belongs to one thread.</summary>
internal sealed class WalFileSource(WalDirectory directory, TimelineHistory history, int chunkSize, RecentWal? recent = null) : IWalPageSource
{
    public const int SequentialChunk = 1 << 20;
    public const int PositionalChunk = 64 << 10;

    private readonly AlignedBuffer _chunk = new(chunkSize);
    private Lsn _chunkStart;
    private Lsn _chunkEnd;

    // Bytes at or after this were beyond the limit when the chunk was read; they may have been written since.
    private Lsn _freshEnd;
    private IBlockFile? _file;
    private ulong _segment = ulong.MaxValue;

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
        CloseFile();
    }

    public void Dispose()
    {
        CloseFile();
        _chunk.Dispose();
    }

    private string? Load(Lsn page, Lsn limit)
    {
        _chunkStart = _chunkEnd = _freshEnd = Lsn.Invalid;
        ulong segment = WalLayout.SegmentOf(page, directory.SegmentSize);
        if (segment != _segment && !Open(segment))
        {
            return $"segment {new WalSegmentName(history.At(page), segment).ToFileName(directory.SegmentSize)} is missing";
        }

        int offset = WalLayout.SegmentOffset(page, directory.SegmentSize);

        // Chunks begin at multiples of their size where the page allows it, so that going forward reads each byte once.
        int length = Math.Min(chunkSize - (offset & (chunkSize - 1)), directory.SegmentSize - offset);
        if (limit - page < (ulong)length)
        {
            length = (int)(WalLayout.PageStart(limit + (WalLayout.PageSize - 1)) - page);
        }

        int read = _file!.Read(offset, _chunk.Span[..length]) & ~(WalLayout.PageSize - 1);
        if (read == 0)
        {
            return $"\"{_file.Path}\" ends before offset {offset}";
        }

        _chunkStart = page;
        _chunkEnd = page + (ulong)read;
        _freshEnd = Lsn.Min(_chunkEnd, limit);
        recent?.Append(page, _chunk.Span[..(int)(_freshEnd - page)]);
        return null;
    }

    private bool Open(ulong segment)
    {
        CloseFile();
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

    private void CloseFile()
    {
        _file?.Dispose();
        _file = null;
        _segment = ulong.MaxValue;
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
