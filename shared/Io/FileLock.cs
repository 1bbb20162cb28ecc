using Mono.Unix.Native;
using SharedStorage.Primitives;

namespace SharedStorage.Io;

/// <summary>
/// An exclusive flock(2) on a file, held until disposed or the process ends. flock, because it is the one kind that every supported cluster filesystem
/// passes on to the other hosts. It keeps honest nodes apart; it is no fence (I9): a frozen holder's write may land after the lock has gone.
/// </summary>
public sealed class FileLock : IDisposable
{
    private int _fd;

    private FileLock(int fd) => _fd = fd;

    /// <summary>Takes the lock if it is free at once; else null. The file is made when missing.</summary>
    /// <exception cref="StorageException">The file cannot be opened, or the filesystem has no locks.</exception>
    public static FileLock? TryAcquire(string path)
    {
        int fd = Syscall.open(path, OpenFlags.O_RDWR | OpenFlags.O_CREAT | OpenFlags.O_CLOEXEC, FilePermissions.S_IRUSR | FilePermissions.S_IWUSR);
        if (fd < 0)
        {
            throw IoErrors.Make(Stdlib.GetLastError(), "open", path);
        }

        if (NativeCalls.Flock(fd, NativeCalls.LockExclusive | NativeCalls.LockNonBlocking) == 0)
        {
            return new FileLock(fd);
        }

        var errno = NativeConvert.ToErrno(System.Runtime.InteropServices.Marshal.GetLastPInvokeError());
        _ = Syscall.close(fd);
        return errno == Errno.EWOULDBLOCK ? null : throw IoErrors.Make(errno, "flock", path);
    }

    public void Dispose()
    {
        int fd = Interlocked.Exchange(ref _fd, -1);
        if (fd >= 0)
        {
            _ = Syscall.close(fd);
        }
    }
}
