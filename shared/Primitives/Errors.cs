namespace SharedStorage.Primitives;

/// <summary>
/// The user's failure: what a client is told, with PostgreSQL's SQLSTATE, message, detail, hint and position (counted in characters from 1; 0 is none).
/// </summary>
public sealed class PgException(string sqlState, string message) : Exception(message)
{
    public string SqlState { get; } = sqlState;
    public string? Detail { get; init; }
    public string? Hint { get; init; }
    public int Position { get; set; }
    public string? Schema { get; init; }
    public string? Table { get; init; }
    public string? Column { get; init; }
    public string? DataType { get; init; }
    public string? Constraint { get; init; }

    /// <summary>FATAL ends the session, ERROR the statement.</summary>
    public bool Fatal { get; init; }

    /// <summary>What is not there yet, by its name (SQLSTATE 0A000).</summary>
    public static PgException NotSupported(string what) => new(SqlStates.FeatureNotSupported, $"{what} is not supported yet");
}

/// <summary>The environment's failure: I/O or damage. The message names file, block or LSN.</summary>
public sealed class StorageException : IOException
{
    public StorageException(string message) : base(message) { }
    public StorageException(string message, Exception inner) : base(message, inner) { }

    /// <summary>The SQLSTATE that a client is told: data_corrupted (XX001) or io_error (58030).</summary>
    public string SqlState { get; init; } = SqlStates.DataCorrupted;

    /// <summary>A record that was in the log cannot be read any more.</summary>
    public bool LogIsGone { get; init; }

    /// <summary>The errno of the call that failed; 0 when none did.</summary>
    public int Errno { get; init; }

    /// <summary>The storage has no room (ENOSPC, EDQUOT): what was asked for was refused, and may be asked for again.</summary>
    public bool IsNoSpace => Errno is NoSpaceLeft or QuotaExceeded;

    private const int NoSpaceLeft = 28;
    private const int QuotaExceeded = 122;
}

/// <summary>Our failure: a promise that the code makes to itself does not hold. It names the invariant or rule.</summary>
public sealed class InvariantException(string rule, string message) : Exception($"{rule}: {message}")
{
    public string Rule { get; } = rule;
}
