using Microsoft.Win32.SafeHandles;
using Mono.Unix.Native;
using SharedStorage.Primitives;

namespace SharedStorage.Io;

/// <summary>
/// Small files that are replaced as a whole and must survive a crash: cluster files, history files, the relation map. Follows durable_rename of PostgreSQL's
/// fd.c: a temporary file is written and synced, renamed over the old, and the directory synced.
/// </summary>
public static class DurableFile
{
    /// <summary>Replaces the file, or makes it. After a crash either the old or the new content is there, never a mix.</summary>
    /// <exception cref="StorageException">With errno and path.</exception>
    public static void Write(string path, ReadOnlySpan<byte> content)
    {
        string temporary = path + ".tmp";
        using (SafeFileHandle file = Open(temporary, OpenFlags.O_WRONLY | OpenFlags.O_CREAT | OpenFlags.O_TRUNC))
        {
            WriteAndSync(file, temporary, content);
        }

        FaultPoint.Hit("io.durable-before-rename");
        Rename(temporary, path);
    }

    /// <summary>
    /// Overwrites the file in place, padded with zeros to one block, and makes it when it is missing. It needs no room on a full filesystem, so a lease can be renewed there. Content up to a
    /// sector is taken by storage as a whole; the content must tell by itself whether it is whole, since a reader on another host may meet it half way.
    /// </summary>
    /// <exception cref="StorageException">With errno and path.</exception>
    public static void Overwrite(string path, ReadOnlySpan<byte> content)
    {
        using var block = new AlignedBuffer(AlignedBuffer.Alignment);
        block.Span.Clear();
        content.CopyTo(block.Span);
        using (DirectFile? file = DirectFile.TryOpen(path, BlockFileMode.Write))
        {
            if (file?.Length == block.Length)
            {
                file.Write(0, block.Span);
                file.DataSync();
                return;
            }
        }

        Write(path, block.Span);
    }

    /// <summary>Makes the file; false when one is there already (O_EXCL). The name alone is the claim: the content follows it.</summary>
    public static bool TryCreateNew(string path, ReadOnlySpan<byte> content)
    {
        int fd = Syscall.open(path, OpenFlags.O_WRONLY | OpenFlags.O_CREAT | OpenFlags.O_EXCL | OpenFlags.O_CLOEXEC, FilePermissions.S_IRUSR | FilePermissions.S_IWUSR);
        if (fd < 0)
        {
            Errno errno = Stdlib.GetLastError();
            return errno == Errno.EEXIST ? false : throw IoErrors.Make(errno, "open", path);
        }

        using (var file = new SafeFileHandle(fd, ownsHandle: true))
        {
            WriteAndSync(file, path, content);
        }

        SyncDirectoryOf(path);
        return true;
    }

    /// <summary>Reads all of a small file from storage, past the cache; null when it is missing. ESTALE, which a rename gives, is retried.</summary>
    public static byte[]? TryRead(string path)
    {
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                using DirectFile? file = DirectFile.TryOpen(path, BlockFileMode.Read);
                return file is null ? null : ReadAll(file);
            }
            catch (StorageException e) when (IoErrors.IsStale(e) && attempt < 10)
            {
                Thread.Sleep(1 << attempt);
            }
        }
    }

    /// <summary>Renames within one directory, and syncs the directory.</summary>
    public static void Rename(string from, string to)
    {
        if (Stdlib.rename(from, to) < 0)
        {
            throw IoErrors.Make(Stdlib.GetLastError(), "rename", from);
        }

        SyncDirectoryOf(to);
    }

    /// <summary>Removes a file and syncs its directory; false when it was not there.</summary>
    public static bool Remove(string path)
    {
        if (Syscall.unlink(path) < 0)
        {
            Errno errno = Stdlib.GetLastError();
            return errno == Errno.ENOENT ? false : throw IoErrors.Make(errno, "unlink", path);
        }

        SyncDirectoryOf(path);
        return true;
    }

    /// <summary>Makes names in a directory durable (fsync of the directory).</summary>
    public static void SyncDirectory(string directory)
    {
        int fd = Syscall.open(directory, OpenFlags.O_RDONLY | OpenFlags.O_DIRECTORY | OpenFlags.O_CLOEXEC);
        if (fd < 0)
        {
            throw IoErrors.Make(Stdlib.GetLastError(), "open", directory);
        }

        try
        {
            // Some filesystems refuse to sync a directory; like PostgreSQL, take that for done.
            if (Syscall.fsync(fd) < 0 && Stdlib.GetLastError() is var errno and not (Errno.EBADF or Errno.EINVAL))
            {
                throw IoErrors.Make(errno, "fsync", directory);
            }
        }
        finally
        {
            _ = Syscall.close(fd);
        }
    }

    /// <summary>Makes everything written to the filesystem of a directory durable (syncfs); at the start of crash recovery.</summary>
    public static void SyncFileSystem(string directory)
    {
        int fd = Syscall.open(directory, OpenFlags.O_RDONLY | OpenFlags.O_DIRECTORY | OpenFlags.O_CLOEXEC);
        if (fd < 0)
        {
            throw IoErrors.Make(Stdlib.GetLastError(), "open", directory);
        }

        try
        {
            if (NativeCalls.SyncFs(fd) < 0)
            {
                throw IoErrors.Make(Stdlib.GetLastError(), "syncfs", directory);
            }
        }
        finally
        {
            _ = Syscall.close(fd);
        }
    }

    private static void SyncDirectoryOf(string path) => SyncDirectory(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!);

    private static byte[] ReadAll(DirectFile file)
    {
        using var all = new AlignedBuffer(file.Length + AlignedBuffer.Alignment);
        int n = file.Read(0, all.Span);
        return all.Slice(0, n).ToArray();
    }

    private static SafeFileHandle Open(string path, OpenFlags flags)
    {
        int fd = Syscall.open(path, flags | OpenFlags.O_CLOEXEC, FilePermissions.S_IRUSR | FilePermissions.S_IWUSR);
        return fd >= 0 ? new SafeFileHandle(fd, ownsHandle: true) : throw IoErrors.Make(Stdlib.GetLastError(), "open", path);
    }

    private static void WriteAndSync(SafeFileHandle file, string path, ReadOnlySpan<byte> content)
    {
        try
        {
            RandomAccess.Write(file, content, 0);
            RandomAccess.FlushToDisk(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw IoErrors.Make(e, "write", path, 0);
        }
    }
}
