using Microsoft.Win32.SafeHandles;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers.LogIndex;

/// <summary>One file of what is spilled. An interface so that tests can fill the disk.</summary>
internal interface ISpillFile : IDisposable
{
    /// <exception cref="StorageException">The write failed: with errno and path; 53100 when the disk is full.</exception>
    void Write(long offset, ReadOnlySpan<byte> bytes);

    /// <summary>Fills the buffer.</summary>
    /// <exception cref="ObjectDisposedException">The file has gone: look again at what runs there are.</exception>
    void Read(long offset, Span<byte> buffer);
}

/// <summary>
/// A local folder of the node for what is spilled (entries of the index, frozen pages). Files have no name: each is unlinked as soon as it is made, so its space comes back with the process, however that ends. What a crash
/// leaves between the two steps is deleted at the next start.
/// </summary>
internal class SpillDirectory
{
    private readonly string _path;
    private int _files;

    /// <exception cref="StorageException">The folder cannot be made or cleaned.</exception>
    public SpillDirectory(string path)
    {
        _path = path;
        try
        {
            Directory.CreateDirectory(path);
            foreach (string left in Directory.EnumerateFiles(path))
            {
                File.Delete(left);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed("use", path, e);
        }
    }

    /// <exception cref="StorageException">The file cannot be made.</exception>
    public virtual ISpillFile Create()
    {
        string file = Path.Combine(_path, $"run-{Environment.ProcessId}-{Interlocked.Increment(ref _files)}");
        try
        {
            SafeFileHandle handle = File.OpenHandle(file, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None);
            File.Delete(file);
            return new LocalFile(file, handle);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failed("creation", file, e);
        }
    }

    internal static StorageException Failed(string call, string path, Exception e)
    {
        const int diskFull = 28;
        int errno = e.HResult is > 0 and < 4096 ? e.HResult : 0;
        return new StorageException($"{call} of \"{path}\" (spilled to local disk) failed: {e.Message}", e)
        {
            SqlState = errno == diskFull ? SqlStates.DiskFull : SqlStates.IoError,
            Errno = errno,
        };
    }

    private sealed class LocalFile(string path, SafeFileHandle handle) : ISpillFile
    {
        public void Write(long offset, ReadOnlySpan<byte> bytes)
        {
            try
            {
                RandomAccess.Write(handle, bytes, offset);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw Failed("write", path, e);
            }
        }

        public void Read(long offset, Span<byte> buffer)
        {
            try
            {
                while (buffer.Length > 0)
                {
                    int n = RandomAccess.Read(handle, buffer, offset);
                    if (n == 0)
                    {
                        throw new StorageException($"\"{path}\" (spilled to local disk) ends at offset {offset}") { SqlState = SqlStates.IoError };
                    }

                    buffer = buffer[n..];
                    offset += n;
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw Failed("read", path, e);
            }
        }

        public void Dispose() => handle.Dispose();
    }
}
