using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Session;

/// <summary>The state that ReadyForQuery tells.</summary>
public enum TransactionBlockState
{
    Idle = 'I',
    InBlock = 'T',
    Failed = 'E',
}

/// <summary>The answer to Execute.</summary>
public enum ExecuteOutcome
{
    /// <summary>CommandComplete with <see cref="ExecuteResult.Tag"/>.</summary>
    Complete,

    /// <summary>The row limit was reached: PortalSuspended.</summary>
    Suspended,

    /// <summary>The statement was empty: EmptyQueryResponse.</summary>
    Empty,
}

public readonly record struct ExecuteResult(ExecuteOutcome Outcome, string? Tag);

/// <summary>
/// One connection's SQL: its settings, transaction, prepared statements and portals. All members are for its one thread, except <see cref="Cancel"/>.
/// After a <see cref="PgException"/> in the extended protocol the caller skips messages up to Sync; the session has put its transaction in the right state.
/// </summary>
public sealed partial class SqlSession : IDisposable
{
    /// <exception cref="PgException">3D000, 28000: no such database or role; 22023: a bad startup setting.</exception>
    public SqlSession(SqlNode node, SessionStartup startup) => throw new NotImplementedException();

    /// <summary>What types and functions know of this session; the wire protocol writes values with it.</summary>
    public Functions.EvalContext EvalContext => throw new NotImplementedException();

    public TransactionBlockState State => throw new NotImplementedException();

    /// <summary>The settings whose changes clients are told (ParameterStatus), with their values now.</summary>
    public IEnumerable<KeyValuePair<string, string>> ReportedParameters => throw new NotImplementedException();

    /// <summary>Called when a reported setting changes: name, value (ParameterStatus).</summary>
    public Action<string, string>? ParameterChanged { get; set; }

    /// <summary>Called for each notice.</summary>
    public Action<SqlNotice>? Notice { get; set; }

    /// <summary>Runs a simple Query: all its statements, in one implicit transaction block as PostgreSQL does.</summary>
    public void ExecuteSimple(string sql, IResultSink sink) => throw new NotImplementedException();

    /// <summary>Parse: makes a prepared statement; the empty name is the unnamed one and may be replaced. A zero type is to be inferred.</summary>
    public void Prepare(string name, string sql, ReadOnlySpan<Oid> parameterTypes) => throw new NotImplementedException();

    /// <summary>Describe 'S': the parameters' types, and the columns or null (NoData).</summary>
    public RowDescription? DescribeStatement(string name, out IReadOnlyList<Oid> parameterTypes) => throw new NotImplementedException();

    /// <summary>Describe 'P': the columns or null (NoData), and their formats as bound (none: text; one: for all).</summary>
    public RowDescription? DescribePortal(string name, out IReadOnlyList<short> formats) => throw new NotImplementedException();

    /// <summary>
    /// Bind: makes a portal. The values are as the client sent them (null array element: SQL null), in <paramref name="parameterFormats"/> (0 text, 1 binary; none: text; one: for all).
    /// </summary>
    public void Bind(string portal, string statement, ReadOnlySpan<short> parameterFormats, ReadOnlySpan<ReadOnlyMemory<byte>?> values, ReadOnlySpan<short> resultFormats) =>
        throw new NotImplementedException();

    /// <summary>Execute: at most <paramref name="maxRows"/> rows (0: all).</summary>
    public ExecuteResult Execute(string portal, long maxRows, IResultSink sink) => throw new NotImplementedException();

    public void ClosePortal(string name) => throw new NotImplementedException();
    public void CloseStatement(string name) => throw new NotImplementedException();

    /// <summary>Sync: commits the implicit transaction of the extended protocol, if one is open. May fail (deferred checks, flush).</summary>
    public void Sync() => throw new NotImplementedException();

    /// <summary>Asks the running query to stop with 57014. From any thread; nothing when no query runs.</summary>
    public void Cancel() => throw new NotImplementedException();

    /// <summary>Asks the session to end: the running query stops with this FATAL error (57P01, 57P02, 25P03). From any thread.</summary>
    public void Terminate(PgException reason) => throw new NotImplementedException();

    /// <summary>Aborts what is open.</summary>
    public void Dispose() => throw new NotImplementedException();
}
