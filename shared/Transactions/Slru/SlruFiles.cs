using SharedStorage.Format.Slru;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Slru;

/// <summary>
/// The segment files of one SLRU area (pg_xact and its like, slru.c): reads and writes of single pages with O_DIRECT, sync, removal. A handle lives for one
/// call or one flush, so a segment that another node removes or replaces is never seen through an old handle. A reader node opens read-only (I4).
/// </summary>
public sealed class SlruFiles(string dataDirectory, string area, bool readOnly)
{
    /// <summary>A segment that is replaced while it is opened gives ESTALE on cluster filesystems; the next try finds the new one.</summary>
    private const int Tries = 5;

    /// <summary>ESTALE on Linux.</summary>
    private const int StaleHandle = 116;

    private bool _readOnly = readOnly;

    /// <summary>A reader that is promoted writes from now on.</summary>
    public void AllowWrites() => _readOnly = false;

    /// <summary>The area's path below the data directory, such as "pg_multixact/offsets".</summary>
    public string Area { get; } = area;

    private string Directory => Path.Combine(dataDirectory, Area);

    private string PathOf(uint segment) => Path.Combine(Directory, SlruLayout.SegmentName(segment));

    /// <summary>Reads a page. False: the file is missing or ends before the page does.</summary>
    /// <exception cref="StorageException">The read failed (58030).</exception>
    public bool TryRead(uint page, Span<byte> into)
    {
        for (int tried = 1; ; tried++)
        {
            try
            {
                return TryReadOnce(page, into);
            }
            catch (StorageException e) when (tried < Tries && e.Errno == StaleHandle)
            {
            }
        }
    }

    /// <summary>Opens a segment for writing, making it when it is missing.</summary>
    /// <exception cref="StorageException">The open failed (58030): the node must stop (I11).</exception>
    public SegmentWriter OpenForWrite(uint segment)
    {
        Invariant.Check(!_readOnly, "I4", "a reader tried to write an SLRU segment");
        string path = PathOf(segment);
        DirectFile? there = DirectFile.TryOpen(path, BlockFileMode.Write);
        return new SegmentWriter(there ?? DirectFile.Open(path, BlockFileMode.Create), there is null ? Directory : null);
    }

    public IReadOnlyList<uint> Segments()
    {
        if (!System.IO.Directory.Exists(Directory))
        {
            return [];
        }

        var found = new List<uint>();
        foreach (string file in System.IO.Directory.EnumerateFiles(Directory))
        {
            if (SlruLayout.TryParseSegmentName(Path.GetFileName(file.AsSpan()), out uint segment))
            {
                found.Add(segment);
            }
        }

        found.Sort();
        return found;
    }

    /// <summary>Removes a segment's file, if it is there. Whoever keeps rule I5 calls this when no reader can need it any more.</summary>
    public void Delete(uint segment)
    {
        Invariant.Check(!_readOnly, "I4", "a reader tried to remove an SLRU segment");
        File.Delete(PathOf(segment));
    }

    private bool TryReadOnce(uint page, Span<byte> into)
    {
        using DirectFile? file = DirectFile.TryOpen(PathOf(SlruLayout.SegmentOf(page)), BlockFileMode.Read);
        if (file is null)
        {
            return false;
        }

        using var buffer = new AlignedBuffer(SlruLayout.PageSize);
        if (file.Read(SlruLayout.OffsetInSegment(page), buffer.Span) < SlruLayout.PageSize)
        {
            return false;
        }

        buffer.Span.CopyTo(into);
        return true;
    }

    /// <summary>A segment open for writing; <see cref="Sync"/> makes its pages durable. After a failure it is not used again (I11).</summary>
    public sealed class SegmentWriter(DirectFile file, string? newIn) : IDisposable
    {
        private readonly AlignedBuffer _buffer = new(SlruLayout.PageSize);

        public void Write(uint page, ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(_buffer.Span);
            file.Write(SlruLayout.OffsetInSegment(page), _buffer.Span);
        }

        public void Sync()
        {
            file.DataSync();
            if (newIn is not null)
            {
                DurableFile.SyncDirectory(newIn);
            }
        }

        public void Dispose()
        {
            file.Dispose();
            _buffer.Dispose();
        }
    }
}
