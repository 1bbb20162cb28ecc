using SharedStorage.Primitives;
using SharedStorage.Sql.Parse;

namespace SharedStorage.Sql.Analyze;

/// <summary>What a statement is analyzed against.</summary>
public sealed class AnalyzeContext
{
    public required ISqlCatalog Catalog { get; init; }
    public required ITypeInput Types { get; init; }
    public required SourceText Source { get; init; }

    /// <summary>The schemas of the effective search path, pg_catalog included where it is searched.</summary>
    public required IReadOnlyList<Oid> SearchPath { get; init; }
    public string DatabaseName { get; init; } = "";

    /// <summary>Types of $1, $2 ...; zero or unknown ones are inferred, and the list grows when <see cref="InferParameters"/>.</summary>
    public List<Oid> ParameterTypes { get; init; } = [];
    public bool InferParameters { get; init; }

    /// <summary>Locks a table as soon as its name is resolved; gives false when the name must be resolved again.</summary>
    public Action<Oid, Transactions.Locks.LockMode>? LockTable { get; init; }

    public PgException Error(string state, string message, int location, string? hint = null, string? detail = null) =>
        new(state, message) { Position = Source.Position(location), Hint = hint, Detail = detail };
}

/// <summary>One query level during analysis (PostgreSQL's ParseState).</summary>
internal sealed class Scope(Query query, Scope? parent)
{
    public Query Query { get; } = query;
    public Scope? Parent { get; } = parent;
    public List<NamespaceItem> Items { get; set; } = [];
    public Dictionary<string, CommonTable> CommonTables { get; } = new(StringComparer.Ordinal);

    /// <summary>What is analyzed now, for messages and for where aggregates may stand.</summary>
    public ClauseKind Clause { get; set; }

    /// <summary>LATERAL items may be referred to.</summary>
    public bool LateralActive { get; set; }

    /// <summary>The target of an INSERT column or UPDATE SET: DEFAULT is allowed.</summary>
    public bool AllowDefault { get; set; }
    public bool InAggregate { get; set; }
}

internal enum ClauseKind
{
    None, SelectTarget, InsertTarget, UpdateTarget, Where, JoinOn, GroupBy, Having, OrderBy, DistinctOn, Limit, Offset, Returning, Values, FromFunction, FromSubquery,
    Filter, CheckConstraint, ColumnDefault, IndexExpression, Execute, Other,
}

/// <summary>What a name in a query can mean: an alias with its columns.</summary>
internal sealed class NamespaceItem
{
    /// <summary>Null for an unnamed join.</summary>
    public required string? Alias { get; init; }
    public required IReadOnlyList<NamespaceColumn> Columns { get; init; }

    /// <summary>The range table entry; 0 for a join.</summary>
    public int Entry { get; init; }
    public string? Schema { get; init; }

    /// <summary>"alias.column" finds it.</summary>
    public bool AliasVisible { get; set; } = true;

    /// <summary>A bare "column" finds it.</summary>
    public bool ColumnsVisible { get; set; } = true;

    /// <summary>Only LATERAL items may refer to it, for now.</summary>
    public bool LateralOnly { get; set; }
    public bool LateralOk { get; set; } = true;
}

internal readonly record struct NamespaceColumn(string Name, Expr Expr);
