using SharedStorage.Primitives;
using SharedStorage.Transactions.Locks;
using SharedStorage.Transactions.TwoPhase;

namespace SharedStorage.Transactions;

/// <summary>Prepared transactions on the writer (PostgreSQL's twophase.c): they hold their xids and locks until somebody ends them.</summary>
public sealed partial class TransactionManager
{
    /// <summary>Prepared transactions that somebody ends; under the lock of those that run.</summary>
    private readonly HashSet<Xid> _finishing = [];

    /// <summary>Ends a prepared transaction (COMMIT PREPARED, ROLLBACK PREPARED). Its file goes once its record is durable; gives the commit record's end.</summary>
    /// <exception cref="PgException">42704: there is none of that name; 55000: another session ends it now, or it is of another database.</exception>
    public Lsn FinishPrepared(string globalId, bool commit, Oid database, Oid databaseTablespace, SynchronousCommit sync)
    {
        PreparedTransaction prepared = Prepared.Find(globalId)
            ?? throw new PgException(SqlStates.UndefinedObject, $"prepared transaction with identifier \"{globalId}\" does not exist");
        if (prepared.Database != database)
        {
            throw new PgException(SqlStates.FeatureNotSupported, "prepared transaction belongs to another database")
            {
                Hint = "Connect to the database where the transaction was prepared to finish it.",
            };
        }

        Transaction tx = TakePrepared(prepared)
            ?? throw new PgException(SqlStates.ObjectNotInPrerequisiteState, $"prepared transaction with identifier \"{globalId}\" is busy");
        tx.DatabaseTablespace = databaseTablespace;
        tx.SynchronousCommit = sync == SynchronousCommit.Off ? SynchronousCommit.Local : sync;
        Lsn end = Lsn.Invalid;
        if (commit)
        {
            end = tx.Commit();
        }
        else
        {
            tx.Abort();
        }

        Prepared.RemoveWithFile(prepared.Xid);
        return end;
    }

    /// <summary>Makes a prepared transaction run on this node, which becomes the writer.</summary>
    private void Restore(PreparedTransaction prepared)
    {
        Transaction tx = Transaction.Restore(this, prepared);
        foreach (Xid child in prepared.Children)
        {
            Map.Set(child, CommitLsnMap.Running);
        }

        Map.Set(prepared.Xid, CommitLsnMap.Running);
        lock (_running)
        {
            _withXid.Add(tx);
        }

        foreach ((LockTag tag, LockMode mode) in prepared.Locks)
        {
            bool taken = Locks.TryAcquire(tx, tag, mode);
            Invariant.Check(taken, "locks", $"prepared transaction {prepared.Xid} does not get its lock on {tag}");
        }
    }

    /// <summary>Claims a prepared transaction for its end; null when somebody else has.</summary>
    private Transaction? TakePrepared(PreparedTransaction prepared)
    {
        lock (_running)
        {
            Transaction? tx = _withXid.Find(t => t.IsPrepared && t.TopXidOrInvalid == prepared.Xid);
            return tx is not null && _finishing.Add(prepared.Xid) ? tx : null;
        }
    }
}
