using SharedStorage.Format.Slru;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Slru;

/// <summary>
/// The segment files of one SLRU area (pg_xact and its like, slru.c): reads and writes of single pages, sync, removal. A handle lives for one call or one
/// flush, so a segment that another node removes or replaces is never seen through an old handle. A reader node opens read-only (I4).
/// </summary>
public sealed class SlruFiles(string dataDirectory, string area, bool readOnly)
{
    /// <summary>The area's path below the data directory, such as "pg_multixact/offsets".</summary>
    public string Area { get; } = area;

    private string PathOf(uint segment) => Path.Combine(dataDirectory, Area, SlruLayout.SegmentName(segment));

    /// <summary>Reads a page. False: the file is missing or ends before the page does.</summary>
    /// <exception cref="StorageException">The read failed (58030).</exception>
    public bool TryRead(uint page, Span<byte> into)
    {
        string path = PathOf(SlruLayout.SegmentOf(page));
        try
        {
            using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            long offset = SlruLayout.OffsetInSegment(page);
            int done = 0;
            while (done < into.Length)
            {
                int n = RandomAccess.Read(handle, into[done..], offset + done);
                if (n == 0)
                {
                    return false;
                }

                done += n;
            }

            return true;
        }
        catch (FileNotFoundException)
        {
            return false;
        }
        catch (DirectoryNotFoundException)
        {
            return false;
        }
        catch (IOException e) when (e is not StorageException)
        {
            throw Failed($"could not read {Area}/{SlruLayout.SegmentName(SlruLayout.SegmentOf(page))}", e);
        }
    }

    /// <summary>Opens a segment for writing, making it when it is missing.</summary>
    /// <exception cref="StorageException">The open failed (58030): the node must stop (I11).</exception>
    public SegmentWriter OpenForWrite(uint segment)
    {
        Invariant.Check(!readOnly, "I4", "a reader tried to write an SLRU segment");
        try
        {
            string path = PathOf(segment);
            bool existed = File.Exists(path);
            var handle = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
            return new SegmentWriter(this, segment, handle, created: !existed);
        }
        catch (IOException e)
        {
            throw Failed($"could not open {Area}/{SlruLayout.SegmentName(segment)}", e);
        }
    }

    public bool SegmentExists(uint segment) => File.Exists(PathOf(segment));

    public IReadOnlyList<uint> Segments()
    {
        string directory = Path.Combine(dataDirectory, Area);
        if (!Directory.Exists(directory))
        {
            return [];
        }

        var found = new List<uint>();
        foreach (string file in Directory.EnumerateFiles(directory))
        {
            if (SlruLayout.TryParseSegmentName(Path.GetFileName(file.AsSpan()), out uint segment))
            {
                found.Add(segment);
            }
        }

        found.Sort();
        return found;
    }

    /// <summary>Removes a segment's file, if it is there. Whoever keeps rule I5 calls this when no reader can need it any more.</summary>
    public void Delete(uint segment)
    {
        Invariant.Check(!readOnly, "I4", "a reader tried to remove an SLRU segment");
        File.Delete(PathOf(segment));
    }

    internal static StorageException Failed(string what, Exception cause) =>
        new($"{what}: {cause.Message}", cause) { SqlState = SqlStates.IoError };

    /// <summary>A segment open for writing; <see cref="Sync"/> makes its pages durable. After a failure it is not used again (I11).</summary>
    public sealed class SegmentWriter(SlruFiles files, uint segment, Microsoft.Win32.SafeHandles.SafeFileHandle handle, bool created) : IDisposable
    {
        public uint Segment { get; } = segment;

        public void Write(uint page, ReadOnlySpan<byte> bytes)
        {
            try
            {
                RandomAccess.Write(handle, bytes, SlruLayout.OffsetInSegment(page));
            }
            catch (IOException e)
            {
                throw Failed($"could not write {files.Area}/{SlruLayout.SegmentName(Segment)}", e);
            }
        }

        public void Sync()
        {
            try
            {
                RandomAccess.FlushToDisk(handle);
                if (created)
                {
                    files.SyncDirectory();
                }
            }
            catch (IOException e)
            {
                throw Failed($"could not sync {files.Area}/{SlruLayout.SegmentName(Segment)}", e);
            }
        }

        public void Dispose() => handle.Dispose();
    }

    /// <summary>Makes the names of new segments durable.</summary>
    private void SyncDirectory()
    {
        int fd = Libc.Open(Path.Combine(dataDirectory, Area), Libc.ReadOnlyDirectory);
        if (fd < 0)
        {
            throw new IOException($"errno {System.Runtime.InteropServices.Marshal.GetLastPInvokeError()}");
        }

        try
        {
            if (Libc.Sync(fd) != 0)
            {
                throw new IOException($"errno {System.Runtime.InteropServices.Marshal.GetLastPInvokeError()}");
            }
        }
        finally
        {
            _ = Libc.Close(fd);
        }
    }
}
