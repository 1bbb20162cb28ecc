using SharedStorage.Primitives;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Wal.Inserting;

/// <summary>How full-page images are compressed (wal_compression).</summary>
public enum WalCompression
{
    None,
    Pglz,
    Lz4,
    Zstd,
}

/// <summary>The settings and the surroundings of a <see cref="WalInserter"/>; defaults are PostgreSQL's.</summary>
public sealed class WalInserterOptions
{
    public required WalDirectory Directory { get; init; }
    public required TimelineId Timeline { get; init; }

    /// <summary>wal_buffers, in bytes: a multiple of 8192 and at least 64 KiB. PostgreSQL takes at most one segment by default.</summary>
    public int BufferSize { get; init; } = WalLayout.DefaultSegmentSize;

    /// <summary>Relations whose changes are not logged (R16).</summary>
    public UnloggedRelations Unlogged { get; init; } = new();

    public bool FullPageWrites { get; init; } = true;
    public WalCompression Compression { get; init; }

    /// <summary>wal_consistency_checking: whether records of this resource manager carry an image of each page for comparison.</summary>
    public Func<Rmgr, bool>? ConsistencyChecking { get; init; }

    /// <summary>commit_delay: microseconds that a flush waits for others to join; 0 does not wait.</summary>
    public int CommitDelay { get; init; }

    /// <summary>commit_siblings: the wait is worth it only with so many other transactions open.</summary>
    public int CommitSiblings { get; init; } = 5;

    /// <summary>How many transactions are open now, the caller's own not counted.</summary>
    public Func<int>? OpenTransactions { get; init; }

    /// <summary>min_wal_size, bytes: so many segments are kept for use again.</summary>
    public long MinWalSize { get; init; } = 80L << 20;

    /// <summary>max_wal_size, bytes: no more than this is kept for use again.</summary>
    public long MaxWalSize { get; init; } = 1L << 30;

    /// <summary>wal_keep_size, bytes kept behind the current position whatever else.</summary>
    public long KeepSize { get; init; }

    /// <summary>checkpoint_completion_target, for the estimate of how much log the next cycle needs.</summary>
    public double CheckpointCompletionTarget { get; init; } = 0.9;

    /// <summary>Asked before each write to the log (I8, I9): false means that this node may not write any more, which stops it.</summary>
    public Func<bool> MayWrite { get; init; } = static () => true;

    /// <summary>Called once when a write or a sync has failed or was refused (I11): the node stops. It must not flush.</summary>
    public Action<StorageException> OnFailure { get; init; } = static _ => { };

    /// <summary>Called once when there is no room for the next segment: the flush waits for it.</summary>
    public Action<StorageException> OnSpaceMissing { get; init; } = static _ => { };

    /// <summary>Called when that wait has ended.</summary>
    public Action OnSpaceBack { get; init; } = static () => { };

    /// <summary>Called by the flushing thread when a segment is full and durable: its number.</summary>
    public Action<ulong> OnSegmentFilled { get; init; } = static _ => { };

    /// <summary>Called by a flushing thread after the flushed position has advanced; must be short.</summary>
    public Action<Lsn> OnFlushed { get; init; } = static _ => { };
}
