using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Sql.Session;

/// <summary>What all sessions of a node share: given by the node's program to each <see cref="SqlSession"/>.</summary>
public sealed class SqlNode
{
    public required StorageEngine Engine { get; init; }

    /// <summary>The node's catalogs; made with <see cref="SqlComparators"/>. Set before the first session.</summary>
    public CatalogManager Catalogs { get; set; } = null!;

    /// <summary>Numbers of new objects; null on a reader.</summary>
    public OidCounter? Oids { get; set; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>CHECKPOINT on the writer: returns when the checkpoint is complete. Null on a reader, which refuses the command.</summary>
    public Action? Checkpoint { get; set; }

    /// <summary>Where the log is inserted (writer) or applied (reader), and flushed; for pg_current_wal_lsn and the like.</summary>
    public Func<Lsn>? CurrentLsn { get; init; }
    public Func<Lsn>? FlushedLsn { get; init; }

    /// <summary>How replay is held; null where it cannot be.</summary>
    public Functions.IReplayControl? Replay { get; set; }

    /// <summary>Cancels the query of another session by its process number (pg_cancel_backend); false when there is none.</summary>
    public Func<int, bool>? CancelSession { get; init; }

    /// <summary>Ends a client's session by its process number with a FATAL error; false when there is none of that number.</summary>
    public Func<int, PgException, bool>? TerminateSession { get; init; }

    /// <summary>On the writer: a database's folder (tablespace, database) goes once every reader has passed the position (I5). Null on a reader.</summary>
    public Action<Oid, Oid, Lsn>? RemoveDatabaseFolder { get; set; }

    /// <summary>The sessions that there are, autovacuum's included.</summary>
    public OpenSessions Sessions { get; } = new();

    /// <summary>
    /// Called before a statement's snapshot when sharedstorage.read_consistency is not "eventual": waits until the node has applied enough, or fails. Null on a node that
    /// is the writer: whatever was committed is visible there.
    /// </summary>
    public Action<ReadDemand>? AwaitConsistency { get; set; }

    /// <summary>Called before each snapshot: throws when the node may not answer now (a lease that lapsed, eviction).</summary>
    public Action? CheckMayAnswer { get; set; }

    /// <summary>After VACUUM: the oldest xid and multixact of all databases may have moved, so clog and multixacts can be cut.</summary>
    public Action? VacuumFinished { get; set; }

    /// <summary>Settings of the node's files, by name: what RESET goes back to.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);

    /// <summary>The path of the data directory, for SHOW data_directory.</summary>
    public string DataDirectory { get; init; } = "";

    /// <summary>The node's local place for what does not fit into work_mem (I4); null keeps it all in memory.</summary>
    public Execute.Spill.TempDirectory? TemporaryFiles { get; init; }

    public int Port { get; init; } = 5432;

    /// <summary>Microseconds since 2000-01-01 UTC when the node started.</summary>
    public long StartTimestamp { get; init; }

    /// <summary>A reader refuses writes with SQLSTATE 25006; a promotion ends that.</summary>
    public bool IsReader => Engine.Wal is null;
}

/// <summary>What a statement asks of its snapshot (sharedstorage.read_consistency).</summary>
/// <param name="Global">At or after everything that the writer had committed when the statement began; else at or after <paramref name="AtLeast"/>.</param>
/// <param name="AtLeast">The position that the client passed (sharedstorage.read_lsn).</param>
/// <param name="Limit">How long it may wait (sharedstorage.read_consistency_timeout).</param>
/// <param name="CheckInterrupts">Throws when the statement is to stop; called now and then during the wait.</param>
public readonly record struct ReadDemand(bool Global, Lsn AtLeast, TimeSpan Limit, Action CheckInterrupts);

/// <summary>What a client's startup message says.</summary>
public sealed record SessionStartup
{
    public required string User { get; init; }
    public required string Database { get; init; }

    /// <summary>The process number that the client was told in BackendKeyData (pg_backend_pid).</summary>
    public int ProcessId { get; init; }

    /// <summary>A session of the node's own, for autovacuum: as the first superuser, in any database.</summary>
    public bool IsAutovacuum { get; init; }

    /// <summary>Called with the transaction in which the session's catalogs are read, before it has a snapshot.</summary>
    public Action<Transaction>? Begins { get; init; }

    /// <summary>The other parameters of the startup message (application_name, client_encoding, DateStyle, options ...).</summary>
    public IReadOnlyDictionary<string, string> Parameters { get; init; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
}
