using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Parse;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;

namespace SharedStorage.Sql.Session;

/// <summary>What the commands of Sql/Commands need of the session.</summary>
public sealed partial class SqlSession
{
    /// <summary>Tables whose files this transaction made (CREATE, TRUNCATE), with the depth of subtransactions then: COPY FREEZE asks.</summary>
    private readonly Dictionary<Oid, int> _newFiles = [];

    internal SequenceSessions Sequences => _sequences ??= new SequenceSessions(this);
    private SequenceSessions? _sequences;

    internal Transaction Tx => Current;
    internal DatabaseCatalog Database => _database;
    internal Catalog.Rows.PgAuthId User => _user;
    internal Catalog.Rows.PgDatabase DatabaseRow => _databaseRow;
    internal SessionSettings Settings => _settings;

    internal void NoteNewFiles(Oid table) => _newFiles[table] = _savepoints.Count;
    internal bool HasNewFiles(Oid table) => _newFiles.TryGetValue(table, out int depth) && depth == _savepoints.Count;

    internal void CheckWritable(string command) => RequireWritable(command);
    internal void CheckWriter(string command) => RequireWriter(command);
    internal void CheckNoBlock(string command) => RequireNoBlock(command);
    internal bool InBlock => _block is BlockState.Explicit or BlockState.Implicit;

    internal void LockRelation(SessionCatalog catalog, Oid table, LockMode mode) => _node.Engine.Locks.Acquire(Current, TagOf(catalog, table), mode);
    internal void LockRelation(Relation relation, LockMode mode) => _node.Engine.Locks.Acquire(Current, LockTag.Relation(relation.LockDatabase, relation.Id), mode);

    internal bool TryLockRelation(SessionCatalog catalog, Oid table, LockMode mode) => _node.Engine.Locks.TryAcquire(Current, TagOf(catalog, table), mode);

    internal Analyzer NewAnalyzer(SessionCatalog catalog, SourceText source) => new(NewContext(catalog, source, [], false, null));

    /// <summary>Resolves names with the catalogs as they are, again when they changed while a lock was waited for.</summary>
    internal T Resolve<T>(Func<SessionCatalog, T> resolve) => WithCatalog(resolve);

    /// <summary>Runs changes of catalogs; what they made is visible to the next command.</summary>
    internal T ChangeCatalogs<T>(Func<CatalogWriter, T> change)
    {
        OidCounter oids = _node.Oids ?? throw new PgException(SqlStates.ReadOnlySqlTransaction, "cannot change catalogs on this node");
        SessionCatalog? before = CurrentCatalog;
        using var writer = new CatalogWriter(_database, _node.Engine, Current, oids, _user.Oid);
        writer.SearchPath = SearchPath(writer.View);
        CurrentCatalog = new SessionCatalog(writer.View);
        try
        {
            T result = change(writer);
            writer.NextCommand();
            return result;
        }
        finally
        {
            CurrentCatalog = before;
        }
    }

    /// <summary>Runs with the catalogs as a writer sees them now.</summary>
    internal SessionCatalog Refresh(CatalogWriter writer)
    {
        CurrentCatalog = new SessionCatalog(writer.View);
        return CurrentCatalog;
    }

    /// <summary>An execution context with a snapshot of now; the caller disposes the snapshot.</summary>
    internal (ExecContext Context, ExprCompiler Compiler, Snapshot Snapshot) NewExecution()
    {
        Snapshot snapshot = TakeSnapshot();
        CurrentCatalog = CatalogAt(snapshot);
        var context = new ExecContext(_node.Engine, _eval, _cancel, _spill)
        {
            Catalog = CurrentCatalog,
            Transaction = Current,
            Snapshot = snapshot,
            Execution = ++_executions,
        };
        return (context, NewCompiler(context), snapshot);
    }

    /// <summary>Plans a query tree and opens it, for COPY (query) TO.</summary>
    internal (RowNode Root, RowDescription Description, Snapshot Snapshot) OpenQuery(PgQuery.Node tree, SourceText source)
    {
        CachedPlan plan = PlanFor(new PreparedStatement("", new RawStatement(source, tree, 0, 0), ""), out Snapshot snapshot);
        if (plan.Writes)
        {
            snapshot.Dispose();
            RequireWritable(plan.RefusedCommand);
        }

        Executor executor = NewExecutor(plan);
        executor.Context.Transaction = Current;
        executor.Context.Snapshot = snapshot;
        executor.Context.Execution = ++_executions;
        executor.Root.Open();
        return (executor.Root, plan.Description ?? throw new PgException(SqlStates.FeatureNotSupported, "COPY query must have a RETURNING clause"), snapshot);
    }

    internal Datum Parse(Oid type, string text, int typmod) => ((ITypeInput)this).Input(type, text, typmod);

    /// <summary>Ends the transaction of a command that works in several (VACUUM), and begins another.</summary>
    internal void NextTransaction()
    {
        CommitTransaction();
        StartTransaction();
    }
}
