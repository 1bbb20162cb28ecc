using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Access;

/// <summary>A relation as access methods see it; made by the catalog (a relcache entry), immutable.</summary>
public sealed record Relation
{
    public required Oid Id { get; init; }
    public required string Name { get; init; }
    public Oid Namespace { get; init; }
    public required RelFileNode Node { get; init; }
    public required TupleDesc Desc { get; init; }

    /// <summary>r table, i index, t TOAST, v view, S sequence, m, c, f, p, I.</summary>
    public required char Kind { get; init; }

    /// <summary>p permanent, u unlogged, t temporary.</summary>
    public char Persistence { get; init; } = 'p';

    public int FillFactor { get; init; } = 100;
    public Oid ToastRelation { get; init; }

    /// <summary>The TOAST table and its index, opened with the table; null when it has none.</summary>
    public Relation? Toast { get; init; }

    public IndexInfo? ToastIndex { get; init; }
    public Oid AccessMethod { get; init; }
    public Oid Owner { get; init; }
    public Oid RowType { get; init; }
    public bool IsShared => Node.Tablespace == RelFileNode.GlobalTablespace;

    /// <summary>Whether a catalog table: its changes carry invalidations.</summary>
    public bool IsCatalog => Id.Value < Oid.FirstNormal.Value;

    /// <summary>The database for lock tags: 0 for shared relations.</summary>
    public Oid LockDatabase => IsShared ? Oid.Invalid : Node.Database;
}

/// <summary>One key or included column of an index.</summary>
public sealed record IndexColumn
{
    /// <summary>The table's column number; 0 is an expression.</summary>
    public required short HeapAttribute { get; init; }

    /// <summary>The column as stored in the index.</summary>
    public required TupleAttribute Attribute { get; init; }

    public Oid OperatorFamily { get; init; }
    public Oid OperatorClass { get; init; }
    public Oid InputType { get; init; }
    public Oid Collation { get; init; }
    public bool Descending { get; init; }
    public bool NullsFirst { get; init; }

    /// <summary>The class's order for two non-null values (support function 1), ascending; null for included columns.</summary>
    public Comparison<Datum>? Compare { get; init; }

    /// <summary>Whether equal means same bytes (support function 4), for all columns needed by deduplication.</summary>
    public bool EqualImage { get; init; }
}

/// <summary>An index as access methods see it.</summary>
public sealed record IndexInfo
{
    public required Relation Relation { get; init; }
    public required Oid TableId { get; init; }

    /// <summary>Key columns first, then included ones.</summary>
    public required IReadOnlyList<IndexColumn> Columns { get; init; }

    public required int KeyCount { get; init; }
    public bool IsUnique { get; init; }
    public bool NullsNotDistinct { get; init; }
    public bool IsPrimary { get; init; }
    public bool IsImmediate { get; init; } = true;
    public bool IsValid { get; init; } = true;
    public bool IsReady { get; init; } = true;
    public bool DeduplicateItems { get; init; } = true;
    public Oid AccessMethod { get; init; }
    public bool HasExpressions { get; init; }
    public bool HasPredicate { get; init; }
}
