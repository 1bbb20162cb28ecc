using SharedStorage.Primitives;

namespace SharedStorage.Io;

/// <summary>
/// The relation files of a data directory (PostgreSQL's smgr and md.c): paths, 1 GB segments, O_DIRECT reads and writes of single 8 KiB pages, sizes, sync.
/// Thread-safe. A reader node opens everything O_RDONLY (I4). It verifies and computes no checksum: BufferPool does.
/// </summary>
public sealed class RelationFiles(string dataDirectory, bool readOnly) : IDisposable
{
    public string DataDirectory { get; } = dataDirectory;
    public bool ReadOnly { get; } = readOnly;

    /// <summary>The path of a fork's first segment below the data directory ("base/5/16384_vm").</summary>
    public static string RelativePath(RelFileNode rel, ForkNumber fork) => throw new NotImplementedException();

    public bool Exists(RelFileNode rel, ForkNumber fork) => throw new NotImplementedException();
    public void Create(RelFileNode rel, ForkNumber fork, bool mayExist) => throw new NotImplementedException();

    /// <summary>Blocks on disk now; 0 for a missing file.</summary>
    public uint BlockCount(RelFileNode rel, ForkNumber fork) => throw new NotImplementedException();

    /// <summary>Reads a page into 4096-aligned memory. False: the block lies past the end of the file (or the file is missing).</summary>
    public bool TryRead(in BufferTag tag, Span<byte> alignedPage) => throw new NotImplementedException();

    /// <summary>Writes a page from 4096-aligned memory; the file grows as needed. Not durable before <see cref="Sync"/>.</summary>
    public void Write(in BufferTag tag, ReadOnlySpan<byte> alignedPage) => throw new NotImplementedException();

    public void Truncate(RelFileNode rel, ForkNumber fork, uint blocks) => throw new NotImplementedException();

    /// <summary>Removes all segments of a fork. Called by rule I5's one owner only.</summary>
    public void Unlink(RelFileNode rel, ForkNumber fork) => throw new NotImplementedException();

    public void Sync(RelFileNode rel, ForkNumber fork) => throw new NotImplementedException();

    /// <summary>Syncs every file written since the last call (a checkpoint's sync phase).</summary>
    public void SyncAllWritten() => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
