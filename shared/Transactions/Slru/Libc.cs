using System.Runtime.InteropServices;

namespace SharedStorage.Transactions.Slru;

/// <summary>The calls that .NET has no name for: a directory is synced through a descriptor.</summary>
internal static partial class Libc
{
    /// <summary>O_RDONLY | O_DIRECTORY | O_CLOEXEC on Linux x64.</summary>
    internal const int ReadOnlyDirectory = 0x10000 | 0x80000;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    internal static partial int Sync(int fd);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    internal static partial int Close(int fd);
}
