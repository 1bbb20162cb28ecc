using SharedStorage.Buffers;
using SharedStorage.Io;
using SharedStorage.Wal.Inserting;

namespace SharedStorage.Transactions;

/// <summary>What every access method works with: one per node.</summary>
public sealed class StorageEngine
{
    public required RelationFiles Files { get; init; }
    public required BufferPool Buffers { get; init; }
    public required TransactionManager Transactions { get; init; }
    public required Locks.LockManager Locks { get; init; }

    /// <summary>The log's inserting end; null on a reader. Set at promotion, before the node opens for writes.</summary>
    public WalInserter? Wal { get; set; }

    /// <summary>The relations whose changes the log does not carry (R16).</summary>
    public UnloggedRelations Unlogged { get; } = new();

    /// <summary>Gives the next number of the node's counter of object numbers (XLOG_NEXTOID); TOAST values are named by it. Set with <see cref="Wal"/>.</summary>
    public Func<Primitives.Oid>? NewOid { get; set; }

    /// <summary>How files are cut (R1); set by the writer. Null cuts at once.</summary>
    public IFileShortening? Shortening { get; set; }

    /// <summary>The inserting end, or an invariant failure: nothing below SQL may write on a reader (I4).</summary>
    public WalInserter WritableWal => Wal ?? throw new Primitives.InvariantException("I4", "a reader tried to insert a log record");
}
