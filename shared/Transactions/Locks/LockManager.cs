using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Locks;

/// <summary>PostgreSQL's table lock modes by their numbers (lockdefs.h).</summary>
public enum LockMode
{
    None = 0, AccessShare = 1, RowShare = 2, RowExclusive = 3, ShareUpdateExclusive = 4, Share = 5, ShareRowExclusive = 6, Exclusive = 7, AccessExclusive = 8,
}

public enum LockKind : byte
{
    Relation, RelationExtend, Transaction, Tuple, Object, Advisory, Database, Page,
}

/// <summary>What is locked: kind, database, object (relation or class), and two further parts (block and offset; object id; xid in <see cref="A"/>).</summary>
public readonly record struct LockTag(LockKind Kind, Oid Database, uint Object, uint A, ushort B)
{
    public static LockTag Relation(Oid database, Oid relation) => new(LockKind.Relation, database, relation.Value, 0, 0);
    public static LockTag Transaction(Xid xid) => new(LockKind.Transaction, Oid.Invalid, 0, xid.Value, 0);
    public static LockTag Tuple(Oid database, Oid relation, Tid tid) => new(LockKind.Tuple, database, relation.Value, tid.Block.Value, tid.Offset);
}

/// <summary>Heavyweight locks with queues, deadlock detection (40P01), lock_timeout (55P03) and cancel (57014).</summary>
public sealed class LockManager
{
    /// <summary>Waits until granted. Counted: the same owner may take the same lock again.</summary>
    /// <exception cref="PgException">Deadlock, time-out or cancel.</exception>
    public void Acquire(Transaction owner, in LockTag tag, LockMode mode) => throw new NotImplementedException();
    public bool TryAcquire(Transaction owner, in LockTag tag, LockMode mode) => throw new NotImplementedException();
    public void Release(Transaction owner, in LockTag tag, LockMode mode) => throw new NotImplementedException();

    /// <summary>Waits until the transaction has ended (XactLockTableWait).</summary>
    public void WaitForTransaction(Transaction waiter, Xid xid) => throw new NotImplementedException();
}
