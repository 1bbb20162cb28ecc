using System.Runtime.InteropServices;
using Mono.Unix.Native;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Segments;

/// <summary>
/// The writer's care for segment files: create, recycle, remove (PostgreSQL's XLogFileInit, RemoveOldXlogFiles). Files come into being under a
/// temporary name, filled with zeros and synced, so that later syncs need no metadata. Thread-safe.
/// </summary>
internal sealed class WalSegmentFiles(WalDirectory directory, TimelineId timeline)
{
    private const string TemporaryPrefix = "xlogtemp.";
    private readonly Lock _lock = new();

    // Files that this writer has made itself: only these may be renamed for use again (R13), since no other writer can hold them open.
    private readonly HashSet<string> _own = [];

    public string PathOf(ulong segment) => directory.SegmentPath(timeline, segment);

    public IBlockFile OpenExisting(ulong segment) =>
        directory.TryOpen(PathOf(segment), BlockFileMode.Write)
        ?? throw new StorageException($"the log segment \"{PathOf(segment)}\" is missing") { SqlState = SqlStates.UndefinedFile };

    public IBlockFile OpenOrCreate(ulong segment)
    {
        Prepare(segment);
        return OpenExisting(segment);
    }

    /// <summary>Makes sure that the segment is there, filled with zeros or old log.</summary>
    public void Prepare(ulong segment)
    {
        lock (_lock)
        {
            string path = PathOf(segment);
            if (File.Exists(path))
            {
                return;
            }

            string temporary = System.IO.Path.Combine(directory.Path, TemporaryPrefix + Environment.ProcessId);
            WriteNew(temporary, static (file, size) =>
            {
                using var zeros = new AlignedBuffer(1 << 20);
                for (long offset = 0; offset < size; offset += zeros.Length)
                {
                    file.Write(offset, zeros.Span[..(int)Math.Min(zeros.Length, size - offset)]);
                }
            });
            Rename(temporary, path);
            _own.Add(path);
        }
    }

    /// <summary>Copies a segment up to an offset under a new timeline; the rest is zero.</summary>
    public void CopyFrom(string source, ulong segment, int length)
    {
        lock (_lock)
        {
            string temporary = System.IO.Path.Combine(directory.Path, TemporaryPrefix + Environment.ProcessId);
            using IBlockFile from = directory.TryOpen(source, BlockFileMode.Read)
                ?? throw new StorageException($"the log segment \"{source}\" is missing") { SqlState = SqlStates.UndefinedFile };
            WriteNew(temporary, (file, size) =>
            {
                using var piece = new AlignedBuffer(1 << 20);
                for (long offset = 0; offset < size; offset += piece.Length)
                {
                    Span<byte> bytes = piece.Span[..(int)Math.Min(piece.Length, size - offset)];
                    bytes.Clear();
                    int wanted = (int)Math.Clamp(length - offset, 0, bytes.Length);
                    if (wanted > 0 && from.Read(offset, bytes) < wanted)
                    {
                        throw new StorageException($"the log segment \"{source}\" is shorter than {length} bytes");
                    }

                    bytes[wanted..].Clear();
                    file.Write(offset, bytes);
                }
            });
            Rename(temporary, PathOf(segment));
            _own.Add(PathOf(segment));
        }
    }

    public void Delete(ulong segment)
    {
        lock (_lock)
        {
            DeleteFile(PathOf(segment));
        }
    }

    /// <summary>
    /// Removes segments behind the current one: on this timeline unless they may be kept, on older ones always, since those are not ancestors there.
    /// Temporary files that a crash has left go too.
    /// </summary>
    public void DeleteFuture(ulong current, bool keepOwnTimeline)
    {
        lock (_lock)
        {
            foreach (WalSegmentName name in directory.List())
            {
                bool older = name.Timeline.Value < timeline.Value;
                if (name.Segment > current && (older || (name.Timeline == timeline && !keepOwnTimeline)))
                {
                    DeleteFile(directory.SegmentPath(name.Timeline, name.Segment));
                }
                else if (name.Segment > current && name.Timeline == timeline)
                {
                    _own.Add(directory.SegmentPath(name.Timeline, name.Segment));
                }
            }

            foreach (string left in Directory.EnumerateFiles(directory.Path, TemporaryPrefix + "*"))
            {
                DeleteFile(left);
            }

        }
    }

    /// <summary>
    /// Overwrites with zeros what follows the place where the log is continued, when it looks like log of that very place: a torn end that a crash has
    /// left must never be taken for a continuation of what is written now.
    /// </summary>
    public void ClearAfter(IBlockFile file, ulong segment, Lsn at, Span<byte> scratch)
    {
        ulong start = segment * (ulong)directory.SegmentSize;
        ulong page = WalLayout.PageStart(at + (WalLayout.PageSize - 1)).Value;
        int offset = (int)(page - start);
        bool wiping = false;
        bool wrote = false;
        while (offset < directory.SegmentSize)
        {
            Span<byte> bytes = scratch[..Math.Min(scratch.Length, directory.SegmentSize - offset)];
            if (file.Read(offset, bytes) != bytes.Length)
            {
                throw new StorageException($"\"{file.Path}\" is shorter than a segment");
            }

            for (int p = 0; p < bytes.Length && !wiping; p += WalLayout.PageSize)
            {
                ref readonly WalPageHeader header = ref MemoryMarshal.AsRef<WalPageHeader>(bytes[p..]);
                wiping = header.Magic == WalPageHeader.ExpectedMagic && header.PageAddress == start + (ulong)(offset + p);
            }

            if (wiping)
            {
                bytes.Clear();
                file.Write(offset, bytes);
                wrote = true;
                wiping = false;
            }

            offset += bytes.Length;
        }

        if (wrote)
        {
            file.DataSync();
        }
    }

    /// <summary>
    /// Removes segments before <paramref name="keepFrom"/>, or renames them for use again up to segment <paramref name="recycleUpTo"/>. Gives how many
    /// were removed and recycled.
    /// </summary>
    public (int Removed, int Recycled) RemoveOld(ulong keepFrom, ulong current, ulong recycleUpTo)
    {
        lock (_lock)
        {
            int removed = 0;
            int recycled = 0;
            ulong next = current + 1;
            foreach (WalSegmentName name in directory.List())
            {
                if (name.Segment >= keepFrom)
                {
                    continue;
                }

                string path = directory.SegmentPath(name.Timeline, name.Segment);
                while (next <= recycleUpTo && File.Exists(PathOf(next)))
                {
                    next++;
                }

                if (next <= recycleUpTo && name.Timeline == timeline && _own.Remove(path))
                {
                    Rename(path, PathOf(next));
                    _own.Add(PathOf(next));
                    recycled++;
                }
                else
                {
                    DeleteFile(path);
                    removed++;
                }
            }

            return (removed, recycled);
        }
    }

    private void WriteNew(string path, Action<IBlockFile, long> fill)
    {
        File.Delete(path);
        try
        {
            using IBlockFile file = directory.TryOpen(path, BlockFileMode.CreateNew)!;
            Syscall.chmod(path, directory.ModeOfNewFiles());

            // A full disk refuses here, before it is filled to the last block with zeros that nobody can use.
            file.Allocate(0, directory.SegmentSize);
            fill(file, directory.SegmentSize);
            file.DataSync();
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    private void Rename(string from, string to)
    {
        // A name that exists is never replaced: that would be log that somebody may still need.
        if (File.Exists(to))
        {
            throw new StorageException($"the log segment \"{to}\" exists already");
        }

        DurableFile.Rename(from, to);
    }

    private void DeleteFile(string path)
    {
        DurableFile.Remove(path);
        _own.Remove(path);
    }
}
