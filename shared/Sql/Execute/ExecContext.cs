using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Functions;
using SharedStorage.Transactions;

namespace SharedStorage.Sql.Execute;

/// <summary>What a running statement works with. One per executor tree; the tree is used again for the next execution of its plan.</summary>
public sealed class ExecContext(StorageEngine engine, EvalContext eval, CancelFlag cancel, SpillSession spill)
{
    public StorageEngine Engine { get; } = engine;

    /// <summary>Memory and temporary files for what the nodes keep.</summary>
    public SpillOwner Spill { get; } = new(spill);

    public EvalContext Eval { get; } = eval;
    public CancelFlag Cancel { get; } = cancel;
    public ISqlCatalog Catalog { get; set; } = null!;
    public Transaction Transaction { get; set; } = null!;
    public Snapshot Snapshot { get; set; } = null!;

    /// <summary>Counts executions: rows that nodes keep are good for one of them.</summary>
    public long Execution { get; set; }

    /// <summary>$1 is at 0.</summary>
    public Datum[] Parameters { get; set; } = [];
}

/// <summary>Set by another thread to stop the running query.</summary>
public sealed class CancelFlag
{
    private volatile PgException? _reason;

    public bool IsSet => _reason is not null;

    public void Set(PgException reason) => _reason = reason;

    public void Clear()
    {
        // A reason that ends the session stays.
        if (_reason is { Fatal: false })
        {
            _reason = null;
        }
    }

    /// <exception cref="PgException">57014 or the reason to end the session.</exception>
    public void Check()
    {
        if (_reason is { } reason)
        {
            throw new PgException(reason.SqlState, reason.Message) { Fatal = reason.Fatal, Detail = reason.Detail, Hint = reason.Hint };
        }
    }
}

/// <summary>Where a node's current row lies. Nodes that keep rows point it at them, so that nothing is copied.</summary>
public sealed class Slot
{
    public Datum[] Values = [];

    public static Datum[] NullRow(int columns)
    {
        var row = new Datum[columns];
        Array.Fill(row, Datum.Null);
        return row;
    }
}

/// <summary>A place in a slot.</summary>
public readonly record struct SlotRef(Slot Slot, int Index);

/// <summary>
/// Where the columns that an expression may use lie: those of the node's input, else of outer sides of joins at the same query level, else (one level
/// up) of the outer query.
/// </summary>
public sealed class Env(Env? parent, Env? lateral)
{
    private readonly Dictionary<(int Entry, short Column), SlotRef> _columns = [];
    private readonly List<(Expr Expr, SlotRef Place)> _exprs = [];

    public Env? Parent { get; } = parent;

    public void Add(int entry, short column, SlotRef place) => _columns[(entry, column)] = place;
    public void Add(Expr expr, SlotRef place) => _exprs.Add((expr, place));

    public SlotRef? Find(VarExpr v)
    {
        Env? level = this;
        for (int i = 0; i < v.LevelsUp; i++)
        {
            level = level?.Parent;
        }

        return level?.FindHere(v.Entry, v.Column);
    }

    /// <summary>The place of a column of this query level that a plan promises to be there.</summary>
    public SlotRef Require(int entry, short column) => FindHere(entry, column)
        ?? throw new InvariantException("SQL", $"column {entry}.{column} is not among those of the input");

    /// <summary>All places of this level.</summary>
    internal IEnumerable<SlotRef> Places => _columns.Values.Concat(_exprs.Select(e => e.Place));

    /// <summary>An expression that was computed below.</summary>
    public SlotRef? Find(Expr expr)
    {
        foreach ((Expr known, SlotRef place) in _exprs)
        {
            if (known.SameAs(expr))
            {
                return place;
            }
        }

        return null;
    }

    private SlotRef? FindHere(int entry, short column) =>
        _columns.TryGetValue((entry, column), out SlotRef place) ? place : lateral?.FindHere(entry, column);
}
