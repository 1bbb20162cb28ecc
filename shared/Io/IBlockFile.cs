namespace SharedStorage.Io;

/// <summary>How a file is opened; whether it is made.</summary>
public enum BlockFileMode
{
    /// <summary>O_RDONLY: all that a reader node uses in the shared directory (I4).</summary>
    Read,

    /// <summary>O_RDWR; the file must be there.</summary>
    Write,

    /// <summary>O_RDWR; made when it is missing.</summary>
    Create,

    /// <summary>O_RDWR; an error when it is there (O_EXCL).</summary>
    CreateNew,
}

/// <summary>
/// A file read and written by position, past the system's cache. An interface so that tests can put a failing or a slow one in its place.
/// Offsets, lengths and memory are multiples of <see cref="AlignedBuffer.Alignment"/>. Thread-safe.
/// </summary>
public interface IBlockFile : IDisposable
{
    string Path { get; }

    /// <summary>Bytes in the file now, as the filesystem tells it.</summary>
    long Length { get; }

    /// <summary>Reads until the buffer is full or the file ends; gives the number of bytes.</summary>
    /// <exception cref="StorageException">The read failed; with errno, path, offset.</exception>
    int Read(long offset, Span<byte> buffer);

    /// <summary>Writes all of the buffer; the file grows as needed. Durable after <see cref="DataSync"/>.</summary>
    void Write(long offset, ReadOnlySpan<byte> buffer);

    /// <summary>Makes what was written durable, and the size (fdatasync). After a failure the handle must not be synced again (I11).</summary>
    void DataSync();

    /// <summary>Reserves space that reads as zero; the file grows. Where the filesystem cannot, zeros are written.</summary>
    void Allocate(long offset, long length);

    void Truncate(long length);
}

/// <summary>Opens a file; null when it is missing and is not to be made.</summary>
public delegate IBlockFile? BlockFileOpener(string path, BlockFileMode mode);
