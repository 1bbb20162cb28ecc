using Microsoft.Win32.SafeHandles;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Execute.Spill;

/// <summary>A part of a temporary file that was written in one go.</summary>
internal readonly record struct TempExtent(long Offset, int Length)
{
    public int Blocks => (Length + TempFile.BlockSize - 1) / TempFile.BlockSize;
}

/// <summary>
/// A file in blocks, written in extents. What was read for the last time is written anew, so that sorting in several passes takes the room of one (PostgreSQL's logtape.c).
/// </summary>
internal sealed class TempFile : IDisposable
{
    public const int BlockSize = 8192;

    /// <summary>ENOSPC.</summary>
    private const int DiskFull = 28;

    private readonly SpillSession _session;
    private readonly List<TempFile> _siblings;
    private readonly Dictionary<int, Stack<long>> _free = [];
    private readonly SafeFileHandle _file;
    private long _size;

    internal TempFile(SpillSession session, List<TempFile> siblings)
    {
        (_session, _siblings) = (session, siblings);
        FilePath = session.Directory!.NewPath(session.ProcessId);
        try
        {
            _file = File.OpenHandle(FilePath, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failure("create", e);
        }
    }

    public string FilePath { get; }
    public long Size => _size;

    /// <exception cref="PgException">53100: the disk is full; 53400: temp_file_limit.</exception>
    public TempExtent Write(ReadOnlySpan<byte> bytes)
    {
        int blocks = (bytes.Length + BlockSize - 1) / BlockSize;
        if (!(_free.TryGetValue(blocks, out Stack<long>? free) && free.TryPop(out long at)))
        {
            _session.Grow((long)blocks * BlockSize);
            at = _size;
            _size += (long)blocks * BlockSize;
        }

        try
        {
            _session.Directory!.Write(_file, bytes, at);
        }
        catch (IOException e)
        {
            throw Failure("write to", e);
        }

        return new TempExtent(at, bytes.Length);
    }

    public void Read(TempExtent extent, Span<byte> into)
    {
        int got = 0;
        try
        {
            while (got < extent.Length)
            {
                int n = RandomAccess.Read(_file, into[got..extent.Length], extent.Offset + got);
                if (n == 0)
                {
                    throw new PgException(SqlStates.IoError, $"could not read from file \"{FilePath}\": read only {got} of {extent.Length} bytes");
                }

                got += n;
            }
        }
        catch (IOException e)
        {
            throw Failure("read from", e);
        }
    }

    /// <summary>The extent is not read again.</summary>
    public void Free(TempExtent extent)
    {
        if (!_free.TryGetValue(extent.Blocks, out Stack<long>? free))
        {
            _free.Add(extent.Blocks, free = new Stack<long>());
        }

        free.Push(extent.Offset);
    }

    public void Dispose()
    {
        if (_file.IsClosed)
        {
            return;
        }

        _file.Dispose();
        _siblings.Remove(this);
        _session.Shrink(_size);
        try
        {
            File.Delete(FilePath);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failure("remove", e);
        }
    }

    // .NET gives errno as the exception's HResult.
    private PgException Failure(string what, Exception e) => e.HResult == DiskFull
        ? new PgException(SqlStates.DiskFull, $"could not {what} file \"{FilePath}\": No space left on device")
        : new PgException(SqlStates.IoError, $"could not {what} file \"{FilePath}\": {e.Message}");
}
