using SharedStorage.Format.Control;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Multi;

namespace SharedStorage.Transactions;

/// <summary>What a checkpoint says of transactions: where a node begins, as reader, recovery or writer.</summary>
public readonly record struct TransactionStart
{
    public required FullXid NextXid { get; init; }

    /// <summary>The oldest xid that any database may still hold, and whose (pg_control's oldestXid).</summary>
    public required Xid OldestXid { get; init; }

    public required Oid OldestXidDatabase { get; init; }

    /// <summary>The oldest that ran at an online checkpoint; invalid after a shutdown checkpoint: then all before <see cref="NextXid"/> have ended.</summary>
    public Xid OldestActiveXid { get; init; }

    public required MultiXactLimits MultiXacts { get; init; }

    /// <summary>track_commit_timestamp, by the control file.</summary>
    public bool TrackCommitTimestamp { get; init; }

    public Xid OldestCommitTimestamp { get; init; }
    public Xid NewestCommitTimestamp { get; init; }

    /// <summary>B (R8): where the tail begins, the checkpoint's redo; all that ended before it is told by clog only.</summary>
    public required Lsn Begin { get; init; }

    /// <summary>
    /// From the checkpoint that a node begins at; <paramref name="shutdown"/> says that nothing ran. An online one of a server with wal_level = minimal does
    /// not say who ran: then anyone may have.
    /// </summary>
    public static TransactionStart From(in CheckPoint checkpoint, bool shutdown, bool trackCommitTimestamp = false) => new()
    {
        TrackCommitTimestamp = trackCommitTimestamp,
        OldestCommitTimestamp = checkpoint.OldestCommitTsXid,
        NewestCommitTimestamp = checkpoint.NewestCommitTsXid,
        NextXid = checkpoint.NextXid,
        OldestXid = checkpoint.OldestXid,
        OldestXidDatabase = checkpoint.OldestXidDatabase,
        OldestActiveXid = shutdown ? Xid.Invalid : checkpoint.OldestActiveXid.IsValid ? checkpoint.OldestActiveXid : checkpoint.OldestXid,
        MultiXacts = new MultiXactLimits(checkpoint.NextMulti, checkpoint.NextMultiOffset, checkpoint.OldestMulti, checkpoint.OldestMultiDatabase),
        Begin = checkpoint.Redo,
    };
}
