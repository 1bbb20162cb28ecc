using SharedStorage.Primitives;
using SharedStorage.Transactions.Locks;
using SharedStorage.Transactions.TwoPhase;

namespace SharedStorage.Transactions;

/// <summary>A prepared transaction on the writer: it runs without a session, and whoever says COMMIT PREPARED ends it.</summary>
public sealed partial class Transaction
{
    /// <summary>It was prepared: its end has a record of its own kind.</summary>
    internal bool IsPrepared { get; private init; }

    /// <summary>Takes up again what the state of a prepared transaction says: xids, files to remove, messages. Locks are the manager's to take.</summary>
    internal static Transaction Restore(TransactionManager manager, PreparedTransaction prepared)
    {
        var header = prepared.Header;
        var tx = new Transaction(manager, new LockSession { IsTransient = true }, readOnly: false)
        {
            IsPrepared = true,
            Database = prepared.Database,
            InvalidatesRelcacheInitFile = header.InvalidatesInitFile,

            // Not known which of its locks the log told of: its end releases them all, as PostgreSQL's does.
            LoggedExclusiveLock = true,
        };
        Volatile.Write(ref tx._topXid, prepared.Xid.Value);
        Volatile.Write(ref tx._oldestMulti, prepared.OldestMultiXact.Value);
        tx._children.AddRange(prepared.Children);
        foreach (RelFileNode rel in header.CommitRelFileNodes)
        {
            tx.DropFilesAtCommit(rel);
        }

        foreach (RelFileNode rel in header.AbortRelFileNodes)
        {
            tx.DropFilesAtAbort(rel);
        }

        tx._invalidations.AddRange(header.Invalidations);
        return tx;
    }
}
