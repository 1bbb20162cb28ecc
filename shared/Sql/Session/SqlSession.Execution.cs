using System.Globalization;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute;
using SharedStorage.Sql.Execute.Dml;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Parse;
using SharedStorage.Transactions;

namespace SharedStorage.Sql.Session;

/// <summary>The simple and the extended protocol's work (postgres.c, pquery.c).</summary>
public sealed partial class SqlSession
{
    private readonly Dictionary<string, PreparedStatement> _statements = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Portal> _portals = new(StringComparer.Ordinal);
    private long _executions;

    /// <summary>Runs a simple Query: all its statements, in one implicit transaction block as PostgreSQL does.</summary>
    public void ExecuteSimple(string sql, IResultSink sink) => Guarded(() =>
    {
        _statements.Remove("");
        ClosePortal("");
        IReadOnlyList<RawStatement> statements = SqlParser.Parse(sql);
        if (statements.Count == 0)
        {
            sink.EmptyQuery();
            return;
        }

        for (int i = 0; i < statements.Count; i++)
        {
            RawStatement raw = statements[i];
            RefuseWhenFailed(raw.Tree);
            StartTransactionIfNeeded();
            if (statements.Count > 1 && _block == BlockState.None)
            {
                _block = BlockState.Implicit;
            }

            string tag = RunSimple(raw, sink);
            if (i == statements.Count - 1 && _block == BlockState.Implicit)
            {
                _block = BlockState.None;
            }

            FinishStatement();
            // The transaction has ended before the client is told so.
            sink.Complete(tag);
        }
    });

    private string RunSimple(RawStatement raw, IResultSink sink)
    {
        var statement = new PreparedStatement("", raw, raw.Text);
        var portal = new Portal("", statement) { Depth = _savepoints.Count };
        try
        {
            return Run(portal, 0, sink).Tag ?? "";
        }
        finally
        {
            EndPortal(portal);
            portal.ForgetRows();
        }
    }

    private void FinishStatement()
    {
        if (_block == BlockState.None)
        {
            CommitTransaction();
        }
        else if (_tx is not null && _block != BlockState.Failed)
        {
            _tx.NextCommand();
        }
    }

    private void StartTransactionIfNeeded()
    {
        _eval.StatementTimestamp = _info.ClockTimestamp;
        if (_block != BlockState.Failed)
        {
            StartTransaction();
        }
    }

    private void RefuseWhenFailed(PgQuery.Node tree)
    {
        if (_block == BlockState.Failed && !EndsBlock(tree))
        {
            throw new PgException(SqlStates.InFailedSqlTransaction, "current transaction is aborted, commands ignored until end of transaction block");
        }
    }

    private static bool EndsBlock(PgQuery.Node tree) => tree.NodeCase == PgQuery.Node.NodeOneofCase.TransactionStmt
        && tree.TransactionStmt.Kind is PgQuery.TransactionStmtKind.TransStmtCommit or PgQuery.TransactionStmtKind.TransStmtRollback
            or PgQuery.TransactionStmtKind.TransStmtRollbackTo or PgQuery.TransactionStmtKind.TransStmtPrepare;

    /// <summary>Runs an action with cancel on, the time limit, and the transaction's state right after an error.</summary>
    private void Guarded(Action action)
    {
        long limit = _settings.Milliseconds("statement_timeout");
        using Timer? timer = limit > 0
            ? new Timer(_ =>
            {
                _cancel.Set(new PgException(SqlStates.QueryCanceled, "canceling statement due to statement timeout"));
                _locks.Interrupt();
            }, null, limit, Timeout.Infinite)
            : null;
        _running = true;
        try
        {
            _cancel.Check();
            action();
        }
        catch (InsufficientExecutionStackException)
        {
            HandleError();
            throw NestingGuard.TooDeep();
        }
        catch
        {
            HandleError();
            throw;
        }
        finally
        {
            _running = false;
            CurrentCatalog = null;
            _cancel.Clear();
        }
    }

    /// <summary>Parse: makes a prepared statement; the empty name is the unnamed one and may be replaced. A zero type is to be inferred.</summary>
    public void Prepare(string name, string sql, ReadOnlySpan<Oid> parameterTypes)
    {
        List<Oid> types = [.. parameterTypes];
        Guarded(() =>
        {
            IReadOnlyList<RawStatement> statements = SqlParser.Parse(sql);
            if (statements.Count > 1)
            {
                throw new PgException(SqlStates.SyntaxError, "cannot insert multiple commands into a prepared statement");
            }

            if (name.Length > 0 && _statements.ContainsKey(name))
            {
                throw new PgException(SqlStates.DuplicatePreparedStatement, $"prepared statement \"{name}\" already exists");
            }

            _statements.Remove(name);
            RawStatement? raw = statements.Count == 0 ? null : statements[0];
            var statement = new PreparedStatement(name, raw, sql);
            if (raw is not null)
            {
                RefuseWhenFailed(raw.Tree);
                AnalyzePrepared(statement, types);
            }

            _statements[name] = statement;
        });
    }

    private void AnalyzePrepared(PreparedStatement statement, List<Oid> types)
    {
        if (!statement.IsQuery)
        {
            statement.ParameterTypes = [.. types];
            if (_block != BlockState.Failed)
            {
                StartTransactionIfNeeded();
                statement.Description = DescribeUtility(statement.Raw!.Tree);
            }

            return;
        }

        StartTransactionIfNeeded();
        statement.Plan = MakePlan(statement.Raw!, types, true);
        statement.ParameterTypes = [.. types];
        statement.Description = statement.Plan.Description;
    }

    private PreparedStatement FindStatement(string name) => _statements.GetValueOrDefault(name)
        ?? throw new PgException(SqlStates.InvalidSqlStatementName, name.Length == 0 ? "unnamed prepared statement does not exist" : $"prepared statement \"{name}\" does not exist");

    private Portal FindPortal(string name) => _portals.GetValueOrDefault(name)
        ?? throw new PgException(SqlStates.InvalidCursorName, $"portal \"{name}\" does not exist");

    /// <summary>Describe 'S': the parameters' types, and the columns or null (NoData).</summary>
    public RowDescription? DescribeStatement(string name, out IReadOnlyList<Oid> parameterTypes)
    {
        PreparedStatement? statement = null;
        Guarded(() =>
        {
            statement = FindStatement(name);
            if (_block == BlockState.Failed && statement.Description is not null)
            {
                throw new PgException(SqlStates.InFailedSqlTransaction, "current transaction is aborted, commands ignored until end of transaction block");
            }
        });
        parameterTypes = statement!.ParameterTypes;
        return statement.Description;
    }

    /// <summary>Describe 'P': the columns or null (NoData), and their formats as bound (none: text; one: for all).</summary>
    public RowDescription? DescribePortal(string name, out IReadOnlyList<short> formats)
    {
        Portal? portal = null;
        Guarded(() => portal = FindPortal(name));
        formats = portal!.Formats;
        return portal.Description ?? portal.Statement.Description;
    }

    /// <summary>
    /// Bind: makes a portal. The values are as the client sent them (null array element: SQL null), in <paramref name="parameterFormats"/> (0 text, 1 binary; none: text; one: for all).
    /// </summary>
    public void Bind(string portal, string statement, ReadOnlySpan<short> parameterFormats, ReadOnlySpan<ReadOnlyMemory<byte>?> values, ReadOnlySpan<short> resultFormats)
    {
        // Not through a closure: spans cannot go there, and this path is hot.
        _running = true;
        try
        {
            _cancel.Check();
            PreparedStatement prepared = FindStatement(statement);
            if (prepared.Raw is not null)
            {
                RefuseWhenFailed(prepared.Raw.Tree);
            }

            CheckBind(portal, prepared, parameterFormats.Length, values.Length);
            StartTransactionIfNeeded();
            Datum[] parameters = values.Length == 0 ? [] : ReadParameters(prepared, parameterFormats, values);
            ClosePortal(portal);
            _portals[portal] = new Portal(portal, prepared) { Parameters = parameters, Formats = resultFormats.Length == 0 ? [] : resultFormats.ToArray(), Depth = _savepoints.Count };
        }
        catch
        {
            HandleError();
            throw;
        }
        finally
        {
            _running = false;
        }
    }

    private void CheckBind(string portal, PreparedStatement prepared, int formats, int values)
    {
        if (formats > 1 && formats != values)
        {
            throw new PgException(SqlStates.ProtocolViolation, $"bind message has {formats} parameter formats but {values} parameters");
        }

        if (values != prepared.ParameterTypes.Length)
        {
            throw new PgException(SqlStates.ProtocolViolation,
                $"bind message supplies {values} parameters, but prepared statement \"{prepared.Name}\" requires {prepared.ParameterTypes.Length}");
        }

        if (portal.Length > 0 && _portals.ContainsKey(portal))
        {
            throw new PgException(SqlStates.DuplicateCursor, $"cursor \"{portal}\" already exists");
        }
    }

    private Datum[] ReadParameters(PreparedStatement prepared, ReadOnlySpan<short> formats, ReadOnlySpan<ReadOnlyMemory<byte>?> values)
    {
        var result = new Datum[values.Length];
        for (int i = 0; i < result.Length; i++)
        {
            if (values[i] is not { } bytes)
            {
                result[i] = Datum.Null;
                continue;
            }

            Types.PgType type = Types.TypeRegistry.Get(prepared.ParameterTypes[i], _eval.Catalogs);
            short format = formats.Length == 0 ? (short)0 : formats[formats.Length == 1 ? 0 : i];
            result[i] = format switch
            {
                0 => type.Input(bytes.Span, -1, _eval),
                1 => type.Receive(bytes.Span, -1, _eval),
                _ => throw new PgException(SqlStates.InvalidParameterValue, $"unsupported format code: {format}"),
            };
        }

        return result;
    }

    /// <summary>Execute: at most <paramref name="maxRows"/> rows (0: all).</summary>
    public ExecuteResult Execute(string portal, long maxRows, IResultSink sink)
    {
        ExecuteResult result = default;
        Guarded(() =>
        {
            Portal p = FindPortal(portal);
            if (p.Statement.Raw is null)
            {
                result = new ExecuteResult(ExecuteOutcome.Empty, null);
                return;
            }

            RefuseWhenFailed(p.Statement.Raw.Tree);
            StartTransactionIfNeeded();
            result = Run(p, maxRows, sink);
            if (result.Outcome == ExecuteOutcome.Complete && _tx is not null && _block != BlockState.Failed)
            {
                _tx.NextCommand();
            }
        });
        return result;
    }

    public void ClosePortal(string name)
    {
        if (_portals.Remove(name, out Portal? portal))
        {
            EndPortal(portal);
            portal.ForgetRows();
        }
    }

    public void CloseStatement(string name) => _statements.Remove(name);

    /// <summary>Sync: commits the implicit transaction of the extended protocol, if one is open. May fail (deferred checks, flush).</summary>
    public void Sync()
    {
        if (_tx is not null && _block is BlockState.None or BlockState.Implicit)
        {
            _block = BlockState.None;
            Guarded(CommitTransaction);
        }
    }

    /// <summary>Runs a portal from where it is.</summary>
    private ExecuteResult Run(Portal portal, long maxRows, IResultSink sink)
    {
        if (portal.Rows is not null)
        {
            return SendKept(portal, maxRows, sink);
        }

        return portal.Statement.IsQuery ? RunQuery(portal, maxRows, sink) : RunUtility(portal, maxRows, sink);
    }

    private ExecuteResult RunQuery(Portal portal, long maxRows, IResultSink sink)
    {
        if (portal.AtEnd)
        {
            return new ExecuteResult(ExecuteOutcome.Complete, portal.Plan!.Query.Kind == QueryKind.Select ? "SELECT 0" : portal.Tag);
        }

        if (!portal.IsOpen)
        {
            Open(portal);
        }

        CachedPlan plan = portal.Plan!;
        RowDescription? description = plan.Description;
        long count = 0;
        if (description is not null)
        {
            sink.BeginRows(description, portal.Formats);
            RowNode root = portal.Executor!.Root;
            int columns = description.Count;
            while (true)
            {
                if (!root.Next())
                {
                    portal.AtEnd = true;
                    break;
                }

                sink.Row(root.Output.Values.AsSpan(0, columns));
                if (++count == maxRows)
                {
                    return new ExecuteResult(ExecuteOutcome.Suspended, null);
                }
            }
        }

        portal.AtEnd = true;
        portal.Tag = plan.Query.Kind switch
        {
            QueryKind.Select => string.Create(CultureInfo.InvariantCulture, $"SELECT {count}"),
            QueryKind.Insert => string.Create(CultureInfo.InvariantCulture, $"INSERT 0 {((ModifyNode)portal.Executor!.Root).Count}"),
            QueryKind.Update => string.Create(CultureInfo.InvariantCulture, $"UPDATE {((ModifyNode)portal.Executor!.Root).Count}"),
            _ => string.Create(CultureInfo.InvariantCulture, $"DELETE {((ModifyNode)portal.Executor!.Root).Count}"),
        };
        EndPortal(portal);
        return new ExecuteResult(ExecuteOutcome.Complete, portal.Tag);
    }

    /// <summary>Plans (or takes the cached plan), and opens an executor tree.</summary>
    private void Open(Portal portal)
    {
        CachedPlan plan = PlanFor(portal.Statement, out Snapshot snapshot);
        portal.Plan = plan;
        portal.Snapshot = snapshot;
        if (plan.Writes)
        {
            RequireWritable(plan.RefusedCommand);
        }

        Executor executor = NewExecutor(plan);
        portal.Executor = executor;
        ExecContext context = executor.Context;
        context.Catalog = CurrentCatalog!;
        context.Transaction = Current;
        context.Snapshot = snapshot;
        context.Parameters = portal.Parameters;
        context.Execution = ++_executions;
        executor.Root.Open();
    }

    /// <summary>Ends a portal's run; its executor tree waits for the plan's next execution.</summary>
    private static void EndPortal(Portal portal)
    {
        if (portal.Executor is { } executor)
        {
            portal.Executor = null;
            executor.Root.Close();
            executor.Context.Spill.Release();
            executor.Context.Transaction = null!;
            executor.Context.Snapshot = null!;
            if (portal.AtEnd && portal.Plan is { Idle: null } plan)
            {
                plan.Idle = executor;
            }
        }

        portal.Snapshot?.Dispose();
        portal.Snapshot = null;
    }

    private static ExecuteResult SendKept(Portal portal, long maxRows, IResultSink sink)
    {
        RowStore rows = portal.Rows!;
        if (portal.Description is { } description)
        {
            sink.BeginRows(description, portal.Formats);
        }

        long count = 0;
        while (portal.Position < rows.Count)
        {
            sink.Row(portal.Reader[portal.Position++]);
            if (++count == maxRows && portal.Position < rows.Count)
            {
                return new ExecuteResult(ExecuteOutcome.Suspended, null);
            }
        }

        return new ExecuteResult(ExecuteOutcome.Complete, portal.Tag);
    }

    private void CloseAllPortals()
    {
        foreach (Portal portal in _portals.Values)
        {
            EndPortal(portal);
            portal.ForgetRows();
        }

        _portals.Clear();
    }

    /// <summary>The end of a transaction (or of a subtransaction): its portals go, WITH HOLD cursors that are complete stay.</summary>
    private void CloseTransactionPortals(int depth = 0)
    {
        foreach (Portal portal in _portals.Values.ToArray())
        {
            if (portal.Depth >= depth && !(portal.WithHold && portal.AtEnd))
            {
                EndPortal(portal);
                portal.ForgetRows();
                _portals.Remove(portal.Name);
            }
        }
    }
}
