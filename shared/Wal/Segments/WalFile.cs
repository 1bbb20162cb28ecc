using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Mono.Unix.Native;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Segments;

/// <summary>
/// One segment file, opened with O_DIRECT (offsets, lengths and memory are multiples of 4096). Reads and writes are positional, so several threads may
/// read at once. A failed write or sync is never retried on the handle (I11): the exception has the errno, and the caller stops.
/// </summary>
internal sealed class WalFile : IDisposable
{
    public const int Alignment = 4096;

    private readonly SafeFileHandle _handle;

    private WalFile(string path, SafeFileHandle handle)
    {
        Path = path;
        _handle = handle;
    }

    public string Path { get; }

    /// <summary>Null when the file is not there. A filesystem without O_DIRECT (tmpfs on old kernels) is read through the page cache.</summary>
    public static WalFile? TryOpen(string path, bool writable)
    {
        OpenFlags flags = (writable ? OpenFlags.O_RDWR : OpenFlags.O_RDONLY) | OpenFlags.O_CLOEXEC;
        int fd = Syscall.open(path, flags | OpenFlags.O_DIRECT);

        // The number of the error is taken once: looking it up makes calls of its own.
        Errno errno = fd < 0 ? Stdlib.GetLastError() : 0;
        if (errno == Errno.EINVAL && !writable)
        {
            fd = Syscall.open(path, flags);
            errno = fd < 0 ? Stdlib.GetLastError() : 0;
        }

        if (fd < 0)
        {
            return errno == Errno.ENOENT ? null : throw Failure("open", path, errno);
        }

        return new WalFile(path, new SafeFileHandle(fd, ownsHandle: true));
    }

    /// <summary>Creates a file that must not exist, readable and writable by its owner only (group too when the directory is).</summary>
    public static WalFile CreateNew(string path, FilePermissions mode)
    {
        int fd = Syscall.open(path, OpenFlags.O_RDWR | OpenFlags.O_CREAT | OpenFlags.O_EXCL | OpenFlags.O_DIRECT | OpenFlags.O_CLOEXEC, mode);
        return fd >= 0
            ? new WalFile(path, new SafeFileHandle(fd, ownsHandle: true))
            : throw Failure("create", path, Stdlib.GetLastError());
    }

    /// <summary>Gives the bytes read: fewer than asked only at the end of the file.</summary>
    public int Read(long offset, Span<byte> into)
    {
        int done = 0;
        while (done < into.Length)
        {
            int n;
            try
            {
                n = RandomAccess.Read(_handle, into[done..], offset + done);
            }
            catch (IOException e)
            {
                throw new StorageException($"could not read \"{Path}\" at offset {offset}: {e.Message}", e) { SqlState = SqlStates.IoError };
            }

            if (n == 0)
            {
                break;
            }

            done += n;
            if (n % Alignment != 0)
            {
                break;
            }
        }

        return done;
    }

    public void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        try
        {
            RandomAccess.Write(_handle, bytes, offset);
        }
        catch (IOException e)
        {
            throw new StorageException($"could not write \"{Path}\" at offset {offset}: {e.Message}", e) { SqlState = SqlStates.IoError };
        }
    }

    /// <summary>fdatasync: contents and size are durable.</summary>
    public void SyncData()
    {
        if (Syscall.fdatasync(_handle.DangerousGetHandle().ToInt32()) != 0)
        {
            throw Failure("sync", Path, Stdlib.GetLastError());
        }
    }

    /// <summary>The mode of a new file in a folder: the group may read where it may read the folder (initdb --allow-group-access).</summary>
    public static FilePermissions ModeFor(string folder)
    {
        const FilePermissions owner = FilePermissions.S_IRUSR | FilePermissions.S_IWUSR;
        return Syscall.stat(folder, out Stat stat) == 0 && (stat.st_mode & FilePermissions.S_IRGRP) != 0
            ? owner | FilePermissions.S_IRGRP
            : owner;
    }

    /// <summary>Makes creations, renames and removals in a folder durable.</summary>
    public static void SyncDirectory(string path)
    {
        int fd = Syscall.open(path, OpenFlags.O_RDONLY | OpenFlags.O_DIRECTORY | OpenFlags.O_CLOEXEC);
        if (fd < 0)
        {
            throw Failure("open", path, Stdlib.GetLastError());
        }

        using var handle = new SafeFileHandle(fd, ownsHandle: true);
        if (Syscall.fsync(fd) != 0)
        {
            throw Failure("sync", path, Stdlib.GetLastError());
        }
    }

    public void Dispose() => _handle.Dispose();

    public static StorageException Failure(string what, string path, Errno errno) =>
        new($"could not {what} \"{path}\": {Marshal.GetPInvokeErrorMessage((int)NativeConvert.FromErrno(errno))}")
        {
            SqlState = errno == Errno.ENOSPC ? SqlStates.DiskFull : SqlStates.IoError,
            Errno = NativeConvert.FromErrno(errno),
        };
}

/// <summary>Memory for O_DIRECT: aligned to 4096 bytes, outside the garbage collector's heap, zero at first.</summary>
internal sealed unsafe class WalMemory : IDisposable
{
    private byte* _pointer;

    public WalMemory(int length)
    {
        Length = length;
        _pointer = (byte*)NativeMemory.AlignedAlloc((nuint)length, WalFile.Alignment);
        NativeMemory.Clear(_pointer, (nuint)length);
    }

    ~WalMemory() => Free();

    public int Length { get; }
    public byte* Pointer => _pointer;
    public Span<byte> Span => new(_pointer, Length);

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.AlignedFree(_pointer);
        _pointer = null;
    }
}
