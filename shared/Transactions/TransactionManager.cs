using SharedStorage.Primitives;

namespace SharedStorage.Transactions;

/// <summary>The two bits of a transaction in pg_xact.</summary>
public enum XidStatus : byte
{
    InProgress = 0,
    Committed = 1,
    Aborted = 2,
    SubCommitted = 3,
}

/// <summary>
/// Numbers, states and order of the transactions of a node: clog, commit-LSN map, running transactions, visible LSN, horizons (I6, I7, R5, R8, R14).
/// </summary>
public sealed class TransactionManager
{
    /// <summary>Every commit whose record ends at or before this is in clog and in the commit-LSN map.</summary>
    public Lsn Visible => throw new NotImplementedException();

    public XidStatus StatusOf(Xid xid) => throw new NotImplementedException();

    /// <summary>Runs on this writer now, as a top-level or subtransaction. Always false on a reader.</summary>
    public bool IsInProgress(Xid xid) => throw new NotImplementedException();

    /// <summary>The rule I6: whether the transaction's commit record ends at or before <paramref name="at"/> (hint bits must not be asked first; R8).</summary>
    public bool CommittedAtOrBefore(Xid xid, Lsn at) => throw new NotImplementedException();

    /// <summary>H: the oldest snapshot LSN in the cluster (I7). A row version may go only when its deleter's commit ends at or before it.</summary>
    public Lsn Horizon => throw new NotImplementedException();

    /// <summary>The oldest xid that had not ended at H: what freeze limits, relfrozenxid and recycling follow (R5).</summary>
    public Xid XidHorizon => throw new NotImplementedException();

    public Xid NextXid => throw new NotImplementedException();

    /// <summary>A new session-level transaction; no xid yet.</summary>
    public Transaction Begin(bool readOnly = false) => throw new NotImplementedException();
}

/// <summary>
/// One client transaction with its subtransactions. Belongs to one session thread. It takes an xid at its first change.
/// </summary>
public sealed class Transaction
{
    /// <summary>The xid of the current (sub)transaction; taken (and its parents') when there is none yet.</summary>
    public Xid Xid => throw new NotImplementedException();

    public Xid TopXidOrInvalid => throw new NotImplementedException();
    public Xid XidOrInvalid => throw new NotImplementedException();

    /// <summary>Whether the xid is this transaction's or one of its live or committed subtransactions'.</summary>
    public bool IsOwn(Xid xid) => throw new NotImplementedException();

    public CommandId Command => throw new NotImplementedException();

    /// <summary>Makes what was done so far visible to the next command of the same transaction (CommandCounterIncrement).</summary>
    public void NextCommand() => throw new NotImplementedException();

    /// <summary>The combo command id for a row that this transaction inserted (cmin) and now deletes (cmax).</summary>
    public CommandId ComboCommand(CommandId cmin, CommandId cmax) => throw new NotImplementedException();
    public CommandId ResolveCmin(CommandId raw, bool isCombo) => throw new NotImplementedException();
    public CommandId ResolveCmax(CommandId raw, bool isCombo) => throw new NotImplementedException();

    public int Depth => throw new NotImplementedException();
    public void BeginSub(string? savepoint) => throw new NotImplementedException();

    /// <summary>Commits the current subtransaction into its parent (RELEASE).</summary>
    public void ReleaseSub() => throw new NotImplementedException();

    /// <summary>Aborts the current subtransaction: its locks, pending files and messages go.</summary>
    public void AbortSub() => throw new NotImplementedException();

    /// <summary>The relation's files are removed at commit (or, for what was created here, at abort): listed in the commit record, removed by rule I5.</summary>
    public void DropFilesAtCommit(RelFileNode rel) => throw new NotImplementedException();
    public void DropFilesAtAbort(RelFileNode rel) => throw new NotImplementedException();

    /// <summary>A shared invalidation message (16 bytes, PostgreSQL's SharedInvalidationMessage) for the commit record.</summary>
    public void AddInvalidation(ReadOnlySpan<byte> message) => throw new NotImplementedException();
    public bool HasInvalidations => throw new NotImplementedException();

    /// <summary>A snapshot at the node's visible LSN that also sees this transaction's own earlier commands. Registered for the horizon until disposed.</summary>
    public Snapshot TakeSnapshot() => throw new NotImplementedException();

    /// <summary>R14: record, flush (by synchronous_commit), clog, map, visible, locks, return. Gives the commit record's end, or invalid when nothing was written.</summary>
    public Lsn Commit() => throw new NotImplementedException();
    public void Abort() => throw new NotImplementedException();
}

/// <summary>What a query sees: all commits that end at or before <see cref="Lsn"/>, and its own transaction's commands before <see cref="Command"/>.</summary>
public sealed class Snapshot : IDisposable
{
    public Lsn Lsn { get; init; }
    public CommandId Command { get; init; }

    /// <summary>The transaction whose own changes are seen; null sees none.</summary>
    public Transaction? Own { get; init; }

    public void Dispose() => throw new NotImplementedException();
}
