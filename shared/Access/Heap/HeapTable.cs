using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Access.Heap;

public enum ModifyOutcome
{
    Ok,

    /// <summary>Changed by this transaction's current or a later command.</summary>
    SelfModified,

    /// <summary>Updated by another transaction that committed; follow <see cref="ModifyResult.NewTid"/>.</summary>
    Updated,
    Deleted,

    /// <summary>Not visible to the command at all.</summary>
    Invisible,

    /// <summary>Locked by another and the caller would not wait.</summary>
    WouldBlock,
}

public readonly record struct ModifyResult(ModifyOutcome Outcome, Tid NewTid, Xid Xmax, CommandId Cmax)
{
    /// <summary>After an update: the new version is not heap-only, so every index needs an entry.</summary>
    public bool NeedsIndexEntries { get; init; }
}

public enum RowLockMode
{
    KeyShare, Share, NoKeyExclusive, Exclusive,
}

public enum LockWait
{
    Wait, Skip, Error,
}

/// <summary>Row operations on a heap: what PostgreSQL's heapam.c does, with its log records, HOT, row locks and TOAST.</summary>
public sealed class HeapTable(StorageEngine engine, Relation relation)
{
    public StorageEngine Engine { get; } = engine;
    public Relation Relation { get; } = relation;

    /// <summary>Stores a row (TOASTed as needed) and gives its place.</summary>
    public Tid Insert(Transaction tx, ReadOnlySpan<Datum> values, HeapInsertOptions options = HeapInsertOptions.None) => throw new NotImplementedException();

    /// <summary>Stores many rows with one log record a page (COPY).</summary>
    public void InsertMany(Transaction tx, IReadOnlyList<Datum[]> rows, Span<Tid> tids, HeapInsertOptions options) => throw new NotImplementedException();

    /// <summary>Deletes the row at the place; waits for concurrent writers of it. <paramref name="snapshot"/> gives the command.</summary>
    public ModifyResult Delete(Transaction tx, Tid tid, Snapshot snapshot, LockWait wait = LockWait.Wait) => throw new NotImplementedException();

    /// <summary>
    /// Updates the row; <paramref name="indexedColumns"/> (by column number) decide HOT, <paramref name="keyColumns"/> the lock strength.
    /// </summary>
    public ModifyResult Update(Transaction tx, Tid tid, ReadOnlySpan<Datum> values, Snapshot snapshot, IReadOnlySet<int> indexedColumns, IReadOnlySet<int> keyColumns, out Tid newTid) => throw new NotImplementedException();

    /// <summary>Locks a row (SELECT FOR ..., foreign keys); with <paramref name="followUpdates"/> goes to its latest version.</summary>
    public ModifyResult Lock(Transaction tx, ref Tid tid, Snapshot snapshot, RowLockMode mode, LockWait wait, bool followUpdates) => throw new NotImplementedException();

    /// <summary>Overwrites a row in place, same size, not transactional (heap_inplace_update: pg_class counts, datfrozenxid).</summary>
    public void UpdateInPlace(Transaction tx, Tid tid, ReadOnlySpan<Datum> values) => throw new NotImplementedException();

    /// <summary>A scan of all rows that the snapshot sees, page by page.</summary>
    public HeapScan Scan(Snapshot snapshot) => throw new NotImplementedException();

    /// <summary>
    /// Reads the version that the snapshot sees of the HOT chain that begins at <paramref name="tid"/>; sets it to that version's place.
    /// <paramref name="allDead"/>: the whole chain is dead to everyone, so the index entry may be killed.
    /// </summary>
    public bool TryFetch(ref Tid tid, Snapshot snapshot, Datum[] values, out bool allDead) => throw new NotImplementedException();

    /// <summary>Reads the version at just this place whoever sees it (after a lock, EvalPlanQual).</summary>
    public bool TryFetchVersion(Tid tid, Datum[] values) => throw new NotImplementedException();
}

[Flags]
public enum HeapInsertOptions
{
    None = 0,

    /// <summary>Rows are stored frozen, pages all-visible (COPY FREEZE into a table created or truncated in this transaction).</summary>
    Frozen = 1,
    SkipFsm = 2,
}

/// <summary>A running scan; its current row is valid until the next call. Values are detoasted.</summary>
public sealed class HeapScan : IDisposable
{
    /// <summary>Which columns are wanted (by index from 0); null is all. Others come as null datums.</summary>
    public bool[]? Wanted { get; set; }

    /// <summary>Restricts the scan to a range of blocks (parallel parts, ANALYZE samples).</summary>
    public void SetBlocks(uint first, uint count) => throw new NotImplementedException();

    public bool Next(Datum[] values) => throw new NotImplementedException();
    public Tid Tid => throw new NotImplementedException();

    /// <summary>System columns of the current row (xmin, xmax, cmin, cmax, ctid).</summary>
    public ref readonly HeapTupleHeader Header => throw new NotImplementedException();

    public void Restart() => throw new NotImplementedException();
    public void Dispose() => throw new NotImplementedException();
}
