using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Sql.Session;

/// <summary>What all sessions of a node share: given by the node's program to each <see cref="SqlSession"/>.</summary>
public sealed class SqlNode
{
    public required StorageEngine Engine { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>CHECKPOINT on the writer: returns when the checkpoint is complete. Null on a reader, which refuses the command.</summary>
    public Action? Checkpoint { get; set; }

    /// <summary>The LSN that this node has applied (reader) or inserted (writer); for pg_last_wal_replay_lsn and the like.</summary>
    public Func<Lsn>? CurrentLsn { get; init; }

    /// <summary>Cancels the query of another session by its process number (pg_cancel_backend); false when there is none.</summary>
    public Func<int, bool>? CancelSession { get; init; }

    /// <summary>The path of the data directory, for SHOW data_directory.</summary>
    public string DataDirectory { get; init; } = "";

    public int Port { get; init; } = 5432;

    /// <summary>A reader refuses writes with SQLSTATE 25006; a promotion clears this.</summary>
    public bool IsReader => Engine.Wal is null;
}

/// <summary>What a client's startup message says.</summary>
public sealed record SessionStartup
{
    public required string User { get; init; }
    public required string Database { get; init; }

    /// <summary>The process number that the client was told in BackendKeyData (pg_backend_pid).</summary>
    public int ProcessId { get; init; }

    /// <summary>The other parameters of the startup message (application_name, client_encoding, DateStyle, options ...).</summary>
    public IReadOnlyDictionary<string, string> Parameters { get; init; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
}
