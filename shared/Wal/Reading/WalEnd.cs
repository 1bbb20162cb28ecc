using SharedStorage.Primitives;

namespace SharedStorage.Wal.Reading;

public enum WalRead
{
    /// <summary>A record was read and its checksum verified.</summary>
    Record,

    /// <summary>The next record ends beyond the limit.</summary>
    AtLimit,

    /// <summary>There is no valid record at the position; <see cref="WalReader.End"/> says why.</summary>
    End,
}

/// <summary>
/// Where and why the log stops being readable. It alone cannot tell the end of the log from damage (I12): the caller compares
/// <see cref="Position"/> with every durable mark, and damage it is when one lies beyond.
/// </summary>
public sealed record WalEnd
{
    /// <summary>Where the next record should begin: the end of the last good one.</summary>
    public required Lsn Position { get; init; }

    /// <summary>The start of the last good record; invalid when none was read.</summary>
    public required Lsn LastRecord { get; init; }

    public required TimelineId Timeline { get; init; }

    /// <summary>PostgreSQL's words where it has some.</summary>
    public required string Message { get; init; }

    /// <summary>The record is cut off: it began here and its continuation is missing; else invalid (PostgreSQL's abortedRecPtr).</summary>
    public Lsn AbortedRecord { get; init; }

    /// <summary>The page on which the missing continuation should begin; else invalid.</summary>
    public Lsn MissingContinuation { get; init; }

    /// <summary>
    /// The start of the next segment when its first page was written for that place; else invalid. A segment is synced before the next one is begun
    /// (PostgreSQL does the same), so then all before it was durable once: the log is damaged, whatever other marks say.
    /// </summary>
    public Lsn NextSegmentWritten { get; init; }

    /// <summary>The failure to report when a durable mark lies beyond the end.</summary>
    public StorageException AsDamage(string mark, Lsn at) => new(
        $"the log is damaged at {Position}: {Message}; but {mark} proves that it was written up to {at} at least");
}
