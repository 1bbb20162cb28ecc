using System.Globalization;
using Mono.Unix.Native;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Io;

/// <summary>
/// The relation files of a data directory (PostgreSQL's smgr and md.c): paths, 1 GB segments, O_DIRECT reads and writes of single 8 KiB pages, sizes, sync.
/// Thread-safe. A reader node opens everything O_RDONLY (I4). It verifies and computes no checksum: BufferPool does.
/// </summary>
public sealed partial class RelationFiles : IDisposable
{
    /// <summary>Blocks in a full segment: 1 GB (RELSEG_SIZE).</summary>
    public const uint BlocksPerSegment = 131072;

    /// <summary>ESTALE (a file renamed or replaced on another host) and parts of pages are retried so often, with pauses of 1, 2, 4 ... ms.</summary>
    private const int Retries = 8;

    private readonly SegmentCache _segments;
    private readonly BlockFileOpener _opener;
    private readonly Action<StorageException>? _failStop;
    private readonly Func<SegmentKey, IBlockFile?> _open;
    private readonly Func<SegmentKey, IBlockFile?> _create;
    private Func<bool>? _mayWrite;
    private StorageException? _failed;

    /// <param name="dataDirectory">Where PG_VERSION lies.</param>
    /// <param name="readOnly">A reader node: everything is opened O_RDONLY (I4).</param>
    /// <param name="maxOpenFiles">Open segments kept at most; 900 fits the usual limit of 1024 descriptors together with sockets when that is raised.</param>
    /// <param name="failStop">Called once when a write or a sync fails: the node must stop (I11). Afterwards every write and sync here fails.</param>
    /// <param name="opener">How a file is opened; O_DIRECT when null.</param>
    public RelationFiles(string dataDirectory, bool readOnly, int maxOpenFiles = 900, Action<StorageException>? failStop = null, BlockFileOpener? opener = null)
    {
        DataDirectory = dataDirectory;
        ReadOnly = readOnly;
        _failStop = failStop;
        _opener = opener ?? DirectFile.TryOpen;
        _segments = new SegmentCache(maxOpenFiles, s => SyncSegment(s));
        _open = key => _opener(SegmentPath(key), ReadOnly ? BlockFileMode.Read : BlockFileMode.Write);
        _create = CreateSegment;
    }

    public string DataDirectory { get; }
    public bool ReadOnly { get; private set; }

    /// <summary>A reader that is promoted writes from now on; handles that were open for reading only are closed.</summary>
    /// <param name="mayWrite">
    /// Asked last before every change of a file: whether the writer's lease is held (I8, R13). The gate is asked earlier, and whoever it let pass may have been stopped in between.
    /// </param>
    public void AllowWrites(Func<bool>? mayWrite = null)
    {
        _mayWrite = mayWrite;
        ReadOnly = false;
        _segments.Dispose();
    }

    public bool Exists(RelFileNode rel, ForkNumber fork)
    {
        Segment? segment = EnterRetrying(new SegmentKey(rel, fork, 0));
        segment?.Leave();
        return segment is not null;
    }

    /// <exception cref="StorageException">It is there already and <paramref name="mayExist"/> is false, or it cannot be made.</exception>
    public void Create(RelFileNode rel, ForkNumber fork, bool mayExist)
    {
        CheckWritable();
        var key = new SegmentKey(rel, fork, 0);
        if (mayExist)
        {
            _segments.Enter(key, _create)!.Leave();
            return;
        }

        string path = SegmentPath(key);
        MakeDatabaseFolder(rel, path);
        using (_opener(path, BlockFileMode.CreateNew))
        {
            NoteDirectoryChange(path);
        }
    }

    /// <summary>Blocks on disk now; 0 for a missing file. The part of a page at the end, which a crash may leave, does not count.</summary>
    public uint BlockCount(RelFileNode rel, ForkNumber fork)
    {
        uint blocks = 0;
        for (int number = 0; ; number++)
        {
            uint inSegment = BlocksInSegment(new SegmentKey(rel, fork, number)) ?? 0;
            blocks += inSegment;
            if (inSegment < BlocksPerSegment)
            {
                return blocks;
            }
        }
    }

    /// <summary>Reads a page into 4096-aligned memory. False: the block lies past the end of the file (or the file is missing).</summary>
    public bool TryRead(in BufferTag tag, Span<byte> alignedPage)
    {
        var key = new SegmentKey(tag.Rel, tag.Fork, (int)(tag.Block.Value / BlocksPerSegment));
        long offset = (long)(tag.Block.Value % BlocksPerSegment) * Page.Size;
        for (int attempt = 0; ; attempt++)
        {
            Segment? segment = EnterRetrying(key);
            if (segment is null)
            {
                return false;
            }

            try
            {
                int n = segment.File.Read(offset, alignedPage[..Page.Size]);
                if (n == Page.Size || n == 0 || attempt >= Retries)
                {
                    return n == Page.Size;
                }
            }
            catch (StorageException e) when (IoErrors.IsStale(e) && attempt < Retries)
            {
                _segments.Drop(segment);
            }
            finally
            {
                segment.Leave();
            }

            Pause(attempt);
        }
    }

    /// <summary>Writes a page from 4096-aligned memory; the file grows as needed. Not durable before <see cref="Sync"/>.</summary>
    /// <exception cref="StorageException">The write failed; the node is told to stop (I11), unless there is no room (53100): then it may be written again later.</exception>
    public void Write(in BufferTag tag, ReadOnlySpan<byte> alignedPage)
    {
        CheckWritable();
        Segment segment = _segments.Enter(new SegmentKey(tag.Rel, tag.Fork, (int)(tag.Block.Value / BlocksPerSegment)), _create)!;
        try
        {
            segment.File.Write((long)(tag.Block.Value % BlocksPerSegment) * Page.Size, alignedPage[..Page.Size]);
            segment.NoteWritten();
        }
        catch (StorageException e) when (e.IsNoSpace)
        {
            // Rule 5: part of the page may be there, which is a torn page as a crash leaves it; the caller keeps the whole one.
            segment.NoteWritten();
            throw;
        }
        catch (StorageException e)
        {
            FailStop(e);
            throw;
        }
        finally
        {
            segment.Leave();
        }
    }

    /// <summary>
    /// Reserves blocks at the end of a fork; they read as zero. A full disk is met here, as an error of the statement that needs the room, and not when the page
    /// is written.
    /// </summary>
    /// <exception cref="PgException">53100: there is no room; nothing was written.</exception>
    /// <exception cref="StorageException">With errno; nothing was written.</exception>
    public void Extend(RelFileNode rel, ForkNumber fork, uint firstBlock, uint count)
    {
        CheckWritable();
        while (count > 0)
        {
            uint within = firstBlock % BlocksPerSegment;
            uint n = Math.Min(count, BlocksPerSegment - within);
            Segment segment = _segments.Enter(new SegmentKey(rel, fork, (int)(firstBlock / BlocksPerSegment)), _create)!;
            try
            {
                segment.File.Allocate((long)within * Page.Size, (long)n * Page.Size);
                segment.NoteWritten();
            }
            catch (StorageException e) when (e.IsNoSpace)
            {
                throw NoRoom(segment.Key, e);
            }
            finally
            {
                segment.Leave();
            }

            firstBlock += n;
            count -= n;
        }
    }

    /// <summary>
    /// Cuts a fork to a number of blocks. Later segments are cut to nothing and stay, as PostgreSQL leaves them. Durable after <see cref="Sync"/>.
    /// </summary>
    public void Truncate(RelFileNode rel, ForkNumber fork, uint blocks)
    {
        CheckWritable();
        int last = 0;
        while (BlocksInSegment(new SegmentKey(rel, fork, last)) is { } n && n == BlocksPerSegment)
        {
            last++;
        }

        // From the end, so that a crash in between never leaves a full segment behind a short one.
        for (int number = last; number >= 0; number--)
        {
            long first = (long)number * BlocksPerSegment;
            Segment? segment = EnterRetrying(new SegmentKey(rel, fork, number));
            if (segment is null)
            {
                continue;
            }

            try
            {
                long keep = Math.Clamp(blocks - first, 0, BlocksPerSegment) * Page.Size;
                if (segment.File.Length > keep)
                {
                    segment.File.Truncate(keep);
                    segment.NoteWritten();
                }
            }
            catch (StorageException e)
            {
                FailStop(e);
                throw;
            }
            finally
            {
                segment.Leave();
            }
        }
    }

    /// <summary>Removes all segments of a fork. Called by rule I5's one owner only.</summary>
    public void Unlink(RelFileNode rel, ForkNumber fork)
    {
        CheckWritable();
        _segments.Drop(rel, fork);
        string first = SegmentPath(new SegmentKey(rel, fork, 0));
        for (int number = 0; ; number++)
        {
            string path = SegmentPath(new SegmentKey(rel, fork, number));
            if (Syscall.unlink(path) == 0)
            {
                continue;
            }

            Errno errno = Stdlib.GetLastError();
            if (errno != Errno.ENOENT)
            {
                throw IoErrors.Make(errno, "unlink", path);
            }

            if (number > 0)
            {
                break;
            }
        }

        NoteDirectoryChange(first);
    }

    /// <summary>Closes the handles of a relation (its files went, or their path is used anew).</summary>
    public void Forget(RelFileNode rel) => _segments.Drop(rel, null);

    /// <summary>Makes the writes to a fork that returned before the call durable.</summary>
    public void Sync(RelFileNode rel, ForkNumber fork)
    {
        foreach (Segment segment in _segments.Written())
        {
            try
            {
                if (segment.Key.Rel == rel && segment.Key.Fork == fork)
                {
                    SyncSegment(segment);
                }
            }
            finally
            {
                segment.Leave();
            }
        }

        SyncDirectories();
    }

    /// <summary>Syncs every file written since the last call (a checkpoint's sync phase), and the folders where files were made or removed.</summary>
    /// <exception cref="StorageException">A sync failed; the node is told to stop (I11).</exception>
    public void SyncAllWritten()
    {
        foreach (Segment segment in _segments.Written())
        {
            try
            {
                SyncSegment(segment);
            }
            finally
            {
                segment.Leave();
            }
        }

        SyncDirectories();
    }

    public void Dispose() => _segments.Dispose();

    private static void Pause(int attempt) => Thread.Sleep(1 << Math.Min(attempt, 6));

    private Segment? EnterRetrying(in SegmentKey key)
    {
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                return _segments.Enter(key, _open);
            }
            catch (StorageException e) when (IoErrors.IsStale(e) && attempt < Retries)
            {
                Pause(attempt);
            }
        }
    }

    private uint? BlocksInSegment(in SegmentKey key)
    {
        for (int attempt = 0; ; attempt++)
        {
            Segment? segment = EnterRetrying(key);
            if (segment is null)
            {
                return null;
            }

            try
            {
                return (uint)Math.Min(segment.File.Length / Page.Size, BlocksPerSegment);
            }
            catch (StorageException e) when (IoErrors.IsStale(e) && attempt < Retries)
            {
                _segments.Drop(segment);
            }
            finally
            {
                segment.Leave();
            }

            Pause(attempt);
        }
    }

    /// <summary>Opens a segment for writing, and makes it. The ones before it are filled up first: a short one would hide it.</summary>
    private IBlockFile CreateSegment(SegmentKey key)
    {
        string path = SegmentPath(key);
        if (_opener(path, BlockFileMode.Write) is { } there)
        {
            return there;
        }

        MakeDatabaseFolder(key.Rel, path);

        for (int before = 0; before < key.Segment; before++)
        {
            string earlier = SegmentPath(key with { Segment = before });
            using IBlockFile file = _opener(earlier, BlockFileMode.Create)!;
            if (file.Length < (long)BlocksPerSegment * Page.Size)
            {
                file.Truncate((long)BlocksPerSegment * Page.Size);
                file.DataSync();
            }
        }

        IBlockFile made = _opener(path, BlockFileMode.Create)!;
        NoteDirectoryChange(path);
        return made;
    }

    /// <summary>PostgreSQL's words for a file that cannot grow (md.c).</summary>
    private static PgException NoRoom(in SegmentKey key, StorageException e)
    {
        string segment = key.Segment == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $".{key.Segment}");
        return new PgException(SqlStates.DiskFull, $"could not extend file \"{RelativePath(key.Rel, key.Fork)}{segment}\": {Stdlib.strerror(NativeConvert.ToErrno(e.Errno))}")
        {
            Hint = "Check free disk space.",
        };
    }

    private void SyncSegment(Segment segment)
    {
        CheckWritable();
        try
        {
            segment.SyncIfWritten();
        }
        catch (StorageException e)
        {
            FailStop(e);
            throw;
        }
    }

    private void CheckWritable()
    {
        Invariant.Check(!ReadOnly, "I4", "a reader node writes nothing in the shared directory");
        if (_failed is { } failed)
        {
            throw new StorageException($"storage failed before: {failed.Message}", failed) { SqlState = SqlStates.IoError };
        }

        if (_mayWrite?.Invoke() == false)
        {
            throw new StorageException("no data file may be changed any more: this writer cannot prove its lease (I8)") { SqlState = SqlStates.IoError };
        }
    }

    private void FailStop(StorageException e)
    {
        if (Interlocked.CompareExchange(ref _failed, e, null) is null)
        {
            _failStop?.Invoke(e);
        }
    }
}
