using SharedStorage.Access;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Parse;
using SharedStorage.Sql.Plan;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;

namespace SharedStorage.Sql.Session;

/// <summary>A plan with what it depends on; kept with its prepared statement.</summary>
internal sealed class CachedPlan(Query query, RowPlan plan, object version, string searchPath, PlanPaths disabled, (LockTag Tag, LockMode Mode)[] locks, RowDescription? description)
{
    public Query Query { get; } = query;
    public RowPlan Plan { get; } = plan;

    /// <summary>The state of the catalogs that it was made at.</summary>
    public object Version { get; } = version;
    public string SearchPath { get; } = searchPath;
    public PlanPaths Disabled { get; } = disabled;
    public (LockTag Tag, LockMode Mode)[] Locks { get; } = locks;
    public RowDescription? Description { get; } = description;

    /// <summary>Changes rows or locks them, so a read-only transaction refuses it.</summary>
    public bool Writes { get; } = query.Kind != QueryKind.Select || HasRowMarks(query);

    /// <summary>An executor tree that waits for its next execution.</summary>
    public Executor? Idle { get; set; }

    private static bool HasRowMarks(Query query) => query.RowMarks.Count > 0 || query.Entries.Exists(e => e.Subquery is not null && HasRowMarks(e.Subquery));

    /// <summary>The command's name in messages and in the tag.</summary>
    public string Command => Query.Kind switch
    {
        QueryKind.Insert => "INSERT",
        QueryKind.Update => "UPDATE",
        QueryKind.Delete => "DELETE",
        _ => "SELECT",
    };

    public string RefusedCommand => Query.Kind == QueryKind.Select ? Strength() : Command;

    private string Strength() => (Query.RowMarks.Count == 0 ? Access.Heap.RowLockMode.Exclusive : Query.RowMarks.Max(m => m.Mode)) switch
    {
        Access.Heap.RowLockMode.KeyShare => "SELECT FOR KEY SHARE",
        Access.Heap.RowLockMode.Share => "SELECT FOR SHARE",
        Access.Heap.RowLockMode.NoKeyExclusive => "SELECT FOR NO KEY UPDATE",
        _ => "SELECT FOR UPDATE",
    };
}

/// <summary>An executor tree of a plan.</summary>
internal sealed class Executor(ExecContext context, RowNode root)
{
    public ExecContext Context { get; } = context;
    public RowNode Root { get; } = root;
}

/// <summary>A statement that was parsed and analyzed; an empty one has no tree.</summary>
internal sealed class PreparedStatement(string name, RawStatement? raw, string text)
{
    public string Name { get; } = name;
    public RawStatement? Raw { get; } = raw;
    public string Text { get; } = text;
    public Oid[] ParameterTypes { get; set; } = [];
    public CachedPlan? Plan { get; set; }

    /// <summary>The columns of the result as they were told to the client; null: none.</summary>
    public RowDescription? Description { get; set; }
    public bool IsQuery => Raw is not null && Analyzer.IsQuery(Raw.Tree);

    /// <summary>Made by SQL's PREPARE (for pg_prepared_statements).</summary>
    public bool FromSql { get; init; }
}

/// <summary>A bound statement, or a cursor: what can be executed in parts.</summary>
internal sealed class Portal(string name, PreparedStatement statement)
{
    public string Name { get; } = name;
    public PreparedStatement Statement { get; } = statement;
    public Datum[] Parameters { get; set; } = [];
    public short[] Formats { get; set; } = [];
    public RowDescription? Description { get; set; }

    // While it runs.
    public CachedPlan? Plan { get; set; }
    public Executor? Executor { get; set; }
    public Snapshot? Snapshot { get; set; }
    public bool IsOpen => Executor is not null;
    public bool AtEnd { get; set; }

    /// <summary>Rows kept: for results of commands, and for cursors that can move backward or outlive their transaction.</summary>
    public RowStore? Rows { get; private set; }
    public RowStoreReader Reader { get; private set; } = null!;

    private SpillOwner? _spill;

    /// <summary>Begins to keep rows.</summary>
    public RowStore KeepRows(SpillSession session)
    {
        _spill = new SpillOwner(session) { OutlivesTransaction = WithHold };
        Rows = new RowStore(_spill);
        Reader = Rows.NewReader();
        return Rows;
    }

    /// <summary>The portal is gone: what it kept in files goes.</summary>
    public void ForgetRows() => _spill?.Release();
    public string? Tag { get; set; }
    public long Position { get; set; }
    public bool IsCursor { get; init; }
    public bool CanScroll { get; init; }
    public bool WithHold { get; init; }

    /// <summary>The depth of subtransactions that it was made at.</summary>
    public int Depth { get; init; }
}
