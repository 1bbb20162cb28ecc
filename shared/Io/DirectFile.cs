using Microsoft.Win32.SafeHandles;
using Mono.Unix.Native;
using SharedStorage.Primitives;

namespace SharedStorage.Io;

/// <summary>
/// A file open with O_DIRECT, so that what is read comes from shared storage and what is written goes there. The flag is set by open(2) itself and
/// checked afterwards: .NET's own way of opening drops it silently.
/// </summary>
public sealed class DirectFile : IBlockFile
{
    private static readonly int DirectFlag = NativeConvert.FromOpenFlags(OpenFlags.O_DIRECT);

    private readonly SafeFileHandle _handle;
    private readonly int _fd;

    private DirectFile(string path, int fd)
    {
        Path = path;
        _fd = fd;
        _handle = new SafeFileHandle(fd, ownsHandle: true);
    }

    public string Path { get; }

    public long Length
    {
        get
        {
            try
            {
                return RandomAccess.GetLength(_handle);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw IoErrors.Make(e, "stat", Path, 0);
            }
        }
    }

    /// <summary>Opens a file; null when it is missing and is not to be made.</summary>
    /// <exception cref="StorageException">open(2) failed, or the filesystem has no O_DIRECT.</exception>
    public static DirectFile? TryOpen(string path, BlockFileMode mode)
    {
        OpenFlags flags = OpenFlags.O_DIRECT | OpenFlags.O_CLOEXEC | mode switch
        {
            BlockFileMode.Read => OpenFlags.O_RDONLY,
            BlockFileMode.Write => OpenFlags.O_RDWR,
            BlockFileMode.Create => OpenFlags.O_RDWR | OpenFlags.O_CREAT,
            _ => OpenFlags.O_RDWR | OpenFlags.O_CREAT | OpenFlags.O_EXCL,
        };
        int fd;
        Errno errno;
        do
        {
            fd = Syscall.open(path, flags, FilePermissions.S_IRUSR | FilePermissions.S_IWUSR);
            errno = fd < 0 ? Stdlib.GetLastError() : 0;
        }
        while (errno == Errno.EINTR);

        if (fd < 0)
        {
            return errno switch
            {
                Errno.ENOENT when mode is BlockFileMode.Read or BlockFileMode.Write => null,
                Errno.EINVAL => throw NoDirectIo(path),
                _ => throw IoErrors.Make(errno, "open", path),
            };
        }

        var file = new DirectFile(path, fd);
        int now = Syscall.fcntl(fd, FcntlCommand.F_GETFL);
        if (now < 0 || (now & DirectFlag) == 0)
        {
            file.Dispose();
            throw NoDirectIo(path);
        }

        return file;
    }

    /// <exception cref="StorageException">The file is missing, open(2) failed, or the filesystem has no O_DIRECT.</exception>
    public static DirectFile Open(string path, BlockFileMode mode) =>
        TryOpen(path, mode) ?? throw IoErrors.Make(Errno.ENOENT, "open", path);

    public int Read(long offset, Span<byte> buffer)
    {
        int done = 0;
        try
        {
            while (done < buffer.Length)
            {
                int n = RandomAccess.Read(_handle, buffer[done..], offset + done);
                done += n;

                // A part that is not a multiple of the sector is the end of the file: going on from it would not be aligned.
                if (n == 0 || (done & 511) != 0)
                {
                    break;
                }
            }

            return done;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw IoErrors.Make(e, "read", Path, offset + done);
        }
    }

    public void Write(long offset, ReadOnlySpan<byte> buffer)
    {
        try
        {
            RandomAccess.Write(_handle, buffer, offset);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw IoErrors.Make(e, "write", Path, offset);
        }
    }

    public void DataSync()
    {
        FaultPoint.Hit("io.datasync");
        bool added = false;
        try
        {
            _handle.DangerousAddRef(ref added);
            while (Syscall.fdatasync(_fd) < 0)
            {
                Errno errno = Stdlib.GetLastError();
                if (errno != Errno.EINTR)
                {
                    throw IoErrors.Make(errno, "fdatasync", Path);
                }
            }
        }
        finally
        {
            if (added)
            {
                _handle.DangerousRelease();
            }
        }
    }

    public void Allocate(long offset, long length)
    {
        bool added = false;
        try
        {
            _handle.DangerousAddRef(ref added);

            // Gives the error as its value. Where the filesystem lacks the call, the C library writes single bytes, which O_DIRECT refuses (EINVAL).
            int result = Syscall.posix_fallocate(_fd, offset, (ulong)length);
            if (result != 0)
            {
                Errno errno = result > 0 ? NativeConvert.ToErrno(result) : Stdlib.GetLastError();
                if (errno is not (Errno.EINVAL or Errno.EOPNOTSUPP or Errno.EBADF))
                {
                    throw IoErrors.Make(errno, "allocation", Path, offset);
                }

                WriteZeros(offset, length);
            }
        }
        finally
        {
            if (added)
            {
                _handle.DangerousRelease();
            }
        }
    }

    public void Truncate(long length)
    {
        try
        {
            RandomAccess.SetLength(_handle, length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw IoErrors.Make(e, "truncation", Path, length);
        }
    }

    public void Dispose() => _handle.Dispose();

    private void WriteZeros(long offset, long length)
    {
        using var zeros = new AlignedBuffer(Math.Min(length, 1 << 18));
        zeros.Span.Clear();
        long from = Math.Max(offset, Length & ~(long)(AlignedBuffer.Alignment - 1));
        while (from < offset + length)
        {
            int n = (int)Math.Min(zeros.Length, offset + length - from);
            Write(from, zeros.Slice(0, n));
            from += n;
        }
    }

    private static StorageException NoDirectIo(string path) =>
        new($"\"{path}\" cannot be opened with O_DIRECT: the filesystem does not support it, and shared storage needs it") { SqlState = SqlStates.IoError, Errno = 22 };
}
