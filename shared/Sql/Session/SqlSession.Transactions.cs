using SharedStorage.Catalog;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Sql.Session;

/// <summary>Transactions, savepoints and snapshots of the session (PostgreSQL's xact.c on top of the storage's transactions).</summary>
public sealed partial class SqlSession
{
    private enum BlockState
    {
        /// <summary>No BEGIN: a transaction, if any, ends with the statement, the query string or Sync.</summary>
        None,

        /// <summary>A query string of several statements: they are one transaction.</summary>
        Implicit,
        Explicit,
        Failed,
    }

    private readonly List<string> _savepoints = [];
    private Transaction? _tx;
    private BlockState _block;

    // The failed subtransaction is gone already; its savepoint's name is still known.
    private bool _failedSub;
    private bool _readOnly;
    private string _isolation = "read committed";

    /// <summary>Repeatable read: the moment of the transaction's first snapshot.</summary>
    private Snapshot? _fixedSnapshot;
    private bool _hadSnapshot;

    /// <summary>The end of this session's last commit record.</summary>
    private Lsn _lastCommit;

    private bool IsRepeatableRead => _isolation is "repeatable read" or "serializable";
    private bool IsReadOnly => _tx is null ? _node.IsReader || _settings.Get("default_transaction_read_only") == "on" : _node.IsReader || _readOnly;

    private Transaction Current => _tx ?? throw new InvariantException("SQL", "no transaction");

    private void StartTransaction()
    {
        if (_tx is not null)
        {
            return;
        }

        _node.CheckMayAnswer?.Invoke();
        _readOnly = _settings.Get("default_transaction_read_only") == "on";
        _isolation = _settings.Get("default_transaction_isolation")!;
        _tx = _node.Engine.Transactions.Begin(_locks, _node.IsReader || _readOnly);
        _tx.Database = _databaseRow.Oid;
        _tx.DatabaseTablespace = _databaseRow.DatTablespace;
        _tx.SynchronousCommit = _settings.Get("synchronous_commit") switch
        {
            "off" => SynchronousCommit.Off,
            "local" => SynchronousCommit.Local,
            "remote_write" => SynchronousCommit.RemoteWrite,
            "remote_apply" => SynchronousCommit.RemoteApply,
            _ => SynchronousCommit.On,
        };
        _hadSnapshot = false;
        _eval.TransactionTimestamp = _eval.StatementTimestamp;
    }

    private void CommitTransaction()
    {
        if (_tx is null)
        {
            return;
        }

        CloseTransactionPortals();
        Transaction tx = _tx;
        try
        {
            if (_node.Engine.Wal is { IsWaitingForSpace: true } log && tx.TopXidOrInvalid.IsValid)
            {
                // Before the commit has a record: so far it can still be cancelled, and its outcome is known.
                log.AwaitSpace(_cancel.Check);
            }

            NoteCommit(tx.Commit());
        }
        catch (PgException)
        {
            ForgetTransaction(false);
            throw;
        }

        ForgetTransaction(true);
    }

    /// <summary>A client that reads elsewhere afterwards passes this position on (sharedstorage.read_lsn); one that asked for session consistency is told of each commit.</summary>
    private void NoteCommit(Lsn end)
    {
        if (!end.IsValid)
        {
            return;
        }

        _lastCommit = end;
        if (_settings.Get("sharedstorage.read_consistency") == "session")
        {
            ParameterChanged?.Invoke("sharedstorage.commit_lsn", end.ToString());
        }
    }

    private void AbortTransaction()
    {
        if (_tx is null)
        {
            return;
        }

        CloseTransactionPortals();
        _tx.Abort();
        ForgetTransaction(false);
    }

    private void ForgetTransaction(bool committed)
    {
        if (_tx is { HasEnded: false })
        {
            _tx.Abort();
        }

        _tx = null;
        _spill.EndTransaction();
        _fixedSnapshot = null;
        _savepoints.Clear();
        _newFiles.Clear();
        _failedSub = false;
        _readOnly = false;
        _isolation = _settings.Get("default_transaction_isolation") ?? "read committed";
        _settings.EndTransaction(committed, 0);
    }

    /// <summary>A snapshot for a statement; the caller disposes it.</summary>
    private Snapshot TakeSnapshot()
    {
        if (!(IsRepeatableRead && _fixedSnapshot is not null))
        {
            AwaitConsistency();
        }

        _node.CheckMayAnswer?.Invoke();
        _hadSnapshot = true;
        Transaction tx = Current;
        if (!IsRepeatableRead)
        {
            return tx.TakeSnapshot();
        }

        _fixedSnapshot ??= tx.TakeSnapshot();
        return _fixedSnapshot.WithCommand(tx.Command);
    }

    private void AwaitConsistency()
    {
        if (_node.AwaitConsistency is { } wait && _settings.Get("sharedstorage.read_consistency") is { } wanted && wanted != "eventual")
        {
            wait(new ReadDemand(
                wanted == "global", Lsn.Parse(_settings.Get("sharedstorage.read_lsn")!), TimeSpan.FromMilliseconds(_settings.Milliseconds("sharedstorage.read_consistency_timeout")), _cancel.Check));
        }
    }

    private void SetIsolation(string level)
    {
        if (level == "serializable")
        {
            throw _node.IsReader
                ? new PgException(SqlStates.FeatureNotSupported, "cannot use serializable mode in a hot standby") { Hint = "You can use REPEATABLE READ instead." }
                : PgException.NotSupported("isolation level SERIALIZABLE");
        }

        if (_tx is null || level == _isolation)
        {
            _isolation = level;
            return;
        }

        if (_hadSnapshot)
        {
            throw new PgException(SqlStates.ActiveSqlTransaction, "SET TRANSACTION ISOLATION LEVEL must be called before any query");
        }

        if (_tx.Depth > 0)
        {
            throw new PgException(SqlStates.ActiveSqlTransaction, "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
        }

        _isolation = level;
    }

    private void SetReadOnly(bool value)
    {
        if (!value && _tx is not null)
        {
            if (_node.IsReader)
            {
                throw new PgException(SqlStates.FeatureNotSupported, "cannot set transaction read-write mode during recovery");
            }

            if (_readOnly && _hadSnapshot)
            {
                throw new PgException(SqlStates.ActiveSqlTransaction, "transaction read-write mode must be set before any query");
            }
        }

        _readOnly = value;
        if (_tx is not null)
        {
            _tx.IsReadOnly = value || _node.IsReader;
        }
    }

    /// <exception cref="PgException">25006.</exception>
    private void RequireWritable(string command)
    {
        if (IsReadOnly)
        {
            throw new PgException(SqlStates.ReadOnlySqlTransaction, $"cannot execute {command} in a read-only transaction");
        }
    }

    /// <exception cref="PgException">25006: a reader refuses what a read-only transaction of a writer would do.</exception>
    private void RequireWriter(string command)
    {
        if (_node.IsReader)
        {
            throw new PgException(SqlStates.ReadOnlySqlTransaction, $"cannot execute {command} during recovery");
        }
    }

    private void RequireNoBlock(string command)
    {
        if (_block is BlockState.Explicit or BlockState.Failed)
        {
            throw new PgException(SqlStates.ActiveSqlTransaction, $"{command} cannot run inside a transaction block");
        }

        if (_block == BlockState.Implicit)
        {
            throw new PgException(SqlStates.ActiveSqlTransaction, $"{command} cannot run inside a transaction block");
        }
    }

    private void RequireBlock(string command)
    {
        if (_block is not (BlockState.Explicit or BlockState.Failed))
        {
            throw new PgException(SqlStates.NoActiveSqlTransaction, $"{command} can only be used in transaction blocks");
        }
    }

    /// <summary>A statement failed: what it did is undone, a block waits for its ROLLBACK.</summary>
    private void HandleError()
    {
        _cancel.Clear();
        if (_block is BlockState.Explicit)
        {
            _block = BlockState.Failed;
            if (_tx is { Depth: > 0 } && _savepoints.Count > 0)
            {
                CloseTransactionPortals(_savepoints.Count);
                _tx.AbortSub();
                _settings.EndTransaction(false, _savepoints.Count);
                _failedSub = true;
                return;
            }

            AbortTransaction();
            return;
        }

        if (_block != BlockState.Failed)
        {
            AbortTransaction();
            _block = BlockState.None;
        }
    }

    private void BeginBlock(PgQuery.TransactionStmt s)
    {
        if (_block == BlockState.Explicit)
        {
            SendNotice("WARNING", SqlStates.ActiveSqlTransaction, "there is already a transaction in progress");
        }

        _block = BlockState.Explicit;
        ApplyModes(s.Options);
    }

    private void ApplyModes(IEnumerable<PgQuery.Node> options)
    {
        foreach (PgQuery.Node node in options)
        {
            PgQuery.DefElem option = node.DefElem;
            string value = SettingText(option.Arg);
            switch (option.Defname)
            {
                case "transaction_isolation":
                    SetIsolation(value);
                    break;
                case "transaction_read_only":
                    SetReadOnly(value is "1" or "on" or "true");
                    break;
            }
        }
    }

    private string CommitBlock(bool chain)
    {
        RefuseChain(chain);
        switch (_block)
        {
            case BlockState.Failed:
                AbortTransaction();
                _block = BlockState.None;
                return "ROLLBACK";
            case BlockState.Explicit:
                // The block ends even when the commit fails.
                _block = BlockState.None;
                CommitTransaction();
                return "COMMIT";
            default:
                SendNotice("WARNING", SqlStates.NoActiveSqlTransaction, "there is no transaction in progress");
                CommitTransaction();
                return "COMMIT";
        }
    }

    /// <summary>COMMIT PREPARED and ROLLBACK PREPARED: ends what another session, before or under PostgreSQL, has prepared.</summary>
    private void FinishPrepared(string globalId, bool commit)
    {
        string command = commit ? "COMMIT PREPARED" : "ROLLBACK PREPARED";
        RequireNoBlock(command);
        RequireWriter(command);
        TransactionManager transactions = _node.Engine.Transactions;
        if (transactions.Prepared.Find(globalId) is { } prepared && prepared.Owner != _user.Oid && !_user.RolSuper)
        {
            throw new PgException(SqlStates.InsufficientPrivilege, "permission denied to finish prepared transaction")
            {
                Hint = "Must be superuser or the user that prepared the transaction.",
            };
        }

        SynchronousCommit sync = _tx?.SynchronousCommit ?? SynchronousCommit.On;
        transactions.FinishPrepared(globalId, commit, _databaseRow.Oid, _databaseRow.DatTablespace, sync);
    }

    private static void RefuseChain(bool chain)
    {
        if (chain)
        {
            throw PgException.NotSupported("AND CHAIN");
        }
    }

    private string RollbackBlock(bool chain)
    {
        RefuseChain(chain);
        if (_block is not (BlockState.Explicit or BlockState.Failed))
        {
            SendNotice("WARNING", SqlStates.NoActiveSqlTransaction, "there is no transaction in progress");
        }

        AbortTransaction();
        _block = BlockState.None;
        return "ROLLBACK";
    }

    private void Savepoint(string name)
    {
        RequireBlock("SAVEPOINT");
        Current.BeginSub(name);
        _savepoints.Add(name);
    }

    private int FindSavepoint(string name)
    {
        int index = _savepoints.LastIndexOf(name);
        return index >= 0 ? index : throw new PgException(SqlStates.InvalidSavepointSpecification, $"savepoint \"{name}\" does not exist");
    }

    private void ReleaseSavepoint(string name)
    {
        RequireBlock("RELEASE SAVEPOINT");
        int index = FindSavepoint(name);
        while (_savepoints.Count > index)
        {
            Current.ReleaseSub();
            _settings.EndTransaction(true, _savepoints.Count);
            _savepoints.RemoveAt(_savepoints.Count - 1);
        }
    }

    private void RollbackToSavepoint(string name)
    {
        RequireBlock("ROLLBACK TO SAVEPOINT");
        int index = FindSavepoint(name);
        CloseTransactionPortals(index + 1);
        while (_savepoints.Count > index)
        {
            if (!_failedSub)
            {
                Current.AbortSub();
                _settings.EndTransaction(false, _savepoints.Count);
            }

            _failedSub = false;
            _savepoints.RemoveAt(_savepoints.Count - 1);
        }

        Current.BeginSub(name);
        _savepoints.Add(name);
        _block = BlockState.Explicit;
    }

    private SessionCatalog CatalogAt(Snapshot snapshot) => new(_database.View(snapshot));
}
