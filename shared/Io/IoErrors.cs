using System.Runtime.InteropServices;
using Mono.Unix.Native;
using SharedStorage.Primitives;

namespace SharedStorage.Io;

/// <summary>Turns errno into the one kind of failure that this layer has.</summary>
internal static class IoErrors
{
    public static StorageException Make(Errno errno, string call, string path, long offset = -1)
    {
        string where = offset < 0 ? "" : $" at offset {offset}";
        int number = NativeConvert.FromErrno(errno);
        return new StorageException($"{call} of \"{path}\"{where} failed: {Stdlib.strerror(errno)} ({errno})")
        {
            SqlState = StateOf(errno),
            Errno = number,
        };
    }

    /// <summary>.NET's own file calls give errno as the exception's HResult.</summary>
    public static StorageException Make(Exception e, string call, string path, long offset)
    {
        int number = e.HResult is > 0 and < 4096 ? e.HResult : 0;
        Errno errno = number != 0 && NativeConvert.TryToErrno(number, out Errno known) ? known : 0;
        return new StorageException($"{call} of \"{path}\" at offset {offset} failed: {e.Message}", e) { SqlState = StateOf(errno), Errno = number };
    }

    /// <summary>PostgreSQL's errcode_for_file_access: a full disk has a state of its own.</summary>
    private static string StateOf(Errno errno) => errno is Errno.ENOSPC or Errno.EDQUOT ? SqlStates.DiskFull : SqlStates.IoError;

    public static bool IsStale(StorageException e) => e.Errno == NativeConvert.FromErrno(Errno.ESTALE);
}

/// <summary>System calls that the POSIX library lacks.</summary>
internal static partial class NativeCalls
{
    public const int LockExclusive = 2;
    public const int LockNonBlocking = 4;
    public const int AdviseHugePages = 14;

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    public static partial int Flock(int fd, int operation);

    [LibraryImport("libc", EntryPoint = "syncfs", SetLastError = true)]
    public static partial int SyncFs(int fd);

    [LibraryImport("libc", EntryPoint = "madvise")]
    public static unsafe partial int Advise(byte* start, nuint length, int advice);
}
