using SharedStorage.Primitives;

namespace SharedStorage.Recovery.Walcheck;

/// <summary>What a walcheck reads and how far.</summary>
public sealed record WalcheckOptions
{
    /// <summary>A copy of the data directory, taken before the log in question was written, of a server that was stopped cleanly. Never written.</summary>
    public required string Base { get; init; }

    /// <summary>The folder of the log's segments; it begins at the base's checkpoint or before.</summary>
    public required string Wal { get; init; }

    /// <summary>Images of records that start before this are not compared; replay begins at the base's checkpoint all the same.</summary>
    public Lsn From { get; init; }

    /// <summary>Replay stops before the first record that ends after this; invalid means the end of the log.</summary>
    public Lsn To { get; init; }

    /// <summary>A data directory as stock PostgreSQL left it by its clean stop at the end of the log; null compares no files.</summary>
    public string? Against { get; init; }

    /// <summary>Where pages that differ are written; a new folder for temporary files when null.</summary>
    public string? Output { get; init; }

    /// <summary>Pages kept in memory. A page that is evicted is redone from the base again, so fewer cost time, not memory alone.</summary>
    public int Frames { get; init; } = 32768;

    /// <summary>So many mismatches are described and written out; the others are only counted, so that one broken routine cannot fill the disk.</summary>
    public int MaxDetails { get; init; } = 20;
}
