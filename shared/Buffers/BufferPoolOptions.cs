using SharedStorage.Buffers.LogIndex;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal.Reading;

namespace SharedStorage.Buffers;

/// <summary>What a pool is made of. It begins as one that applies; <see cref="BufferPool.SwitchToWriting"/> makes it a writer's.</summary>
public sealed record BufferPoolOptions
{
    /// <summary>Pages in memory (shared_buffers / 8 KiB). At least 16.</summary>
    public required int Frames { get; init; }

    public required RelationFiles Files { get; init; }

    /// <summary>Everything before this is applied: what versions of pages are brought forward to. Moved by the tail.</summary>
    public required LsnCell Applied { get; init; }

    /// <summary>
    /// All changes before this are durable in data files, as far as this node knows: the writer's announcement on a reader, the redo position in crash
    /// recovery. The LogIndex holds every entry from here on.
    /// </summary>
    public required LsnCell Consistent { get; init; }

    /// <summary>Null only where nothing is ever redone (tests, tools).</summary>
    public IPageRedo? Redo { get; init; }

    public IWalRecords? Records { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Frozen copies kept in memory at most; a quarter of the frames, but no less than 64, when 0.</summary>
    public int FrozenCopies { get; init; }

    /// <summary>A folder on local disk, of this pool alone, for the frozen copies beyond that; null keeps as many as memory holds. What is in it is deleted at the start.</summary>
    public string? FrozenSpill { get; init; }

    /// <summary>Bytes of frozen copies on local disk at most (<c>sharedstorage.frozen_spill_size</c>): the order of the log that a reader may lag.</summary>
    public long FrozenSpillBytes { get; init; } = 1L << 30;

    /// <summary>In place of <see cref="FrozenSpill"/>: tests fill the disk.</summary>
    internal SpillDirectory? FrozenSpillDirectory { get; init; }

    /// <summary>Memory for the LogIndex in bytes before it counts as full (DESIGN: 128 MB).</summary>
    public long LogIndexBytes { get; init; } = 128L << 20;

    /// <summary>A folder on local disk, of this pool alone, for what the LogIndex has beyond that; null keeps all in memory. What is in it is deleted at the start.</summary>
    public string? LogIndexSpill { get; init; }

    /// <summary>Where storage may be ahead of this node: beside a stock writer. Null fails at once when a page is (R12).</summary>
    public IStorageAhead? Ahead { get; init; }

    /// <summary>How long a pin waits for a frame, and a change for room, before it fails: longer than any reader can hold the writer, so that its eviction frees what it held back.</summary>
    public TimeSpan FrameWait { get; init; } = TimeSpan.FromSeconds(40);

    /// <summary>How often a page that fails its checks is read again, with pauses of 1, 2, 4 ... ms: a torn read beside a write lasts no longer.</summary>
    public int TornReadRetries { get; init; } = 6;

    /// <summary>
    /// For a page that stays damaged though the index has no image of it (it was cut): the records since the checkpoint's redo that touch the page, in order, before the given
    /// position; true for one that makes the page. Reads the log through, so it is slow, and rarely called.
    /// </summary>
    public Func<BufferTag, Lsn, IReadOnlyList<(Lsn Start, bool Initializes)>>? LogSinceRedo { get; init; }

    /// <summary>Asked before and after each read from storage (R12, I8: a frozen reader's lease). May throw to fail the query.</summary>
    public IStorageReadCheck? ReadCheck { get; init; }
}

/// <summary>What must hold around each read of a page from shared storage (R12).</summary>
public interface IStorageReadCheck
{
    void BeforeRead(in BufferTag tag);

    /// <param name="pageLsn">The page's LSN; invalid for an all-zero page and past the end, both of which a frozen reader takes for a later page.</param>
    void AfterRead(in BufferTag tag, Lsn pageLsn, bool pastEnd);

    /// <summary>A fork's size was taken from its file: a frozen reader must not learn a size that a live writer may have changed.</summary>
    void AfterSize(RelFileNode rel, ForkNumber fork);
}

/// <summary>What the pool has done since it was made.</summary>
public readonly record struct BufferCounters
{
    public long Hits { get; init; }
    public long Reads { get; init; }
    public long Writes { get; init; }
    public long RecordsRedone { get; init; }
    public long VersionsBuilt { get; init; }
    public long Evictions { get; init; }
    public long FrozenCopiesTaken { get; init; }
    public int FrozenCopiesNow { get; init; }

    /// <summary>Of the copies kept now, those on local disk.</summary>
    public int FrozenCopiesSpilled { get; init; }

    /// <summary>Changes that waited for a reader because nothing more could be kept back for it.</summary>
    public long ChangesSlowed { get; init; }
    public long TornReads { get; init; }
    public long PagesRebuilt { get; init; }
    public long HintImages { get; init; }
    public int DirtyFrames { get; init; }
}
