using SharedStorage.Catalog.NodeTrees;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>A column of a table to be made; type, collation and default are resolved already.</summary>
public sealed record NewColumn
{
    public required string Name { get; init; }
    public required Oid TypeId { get; init; }
    public int TypeModifier { get; init; } = -1;

    /// <summary>The type's default collation unless COLLATE says otherwise; 0 for types without.</summary>
    public Oid Collation { get; init; }

    public short Dimensions { get; init; }
    public bool NotNull { get; init; }

    /// <summary>The default, coerced to the column's type; null when there is none. A constant null is not stored.</summary>
    public NodeValue? Default { get; init; }

    /// <summary>'a' or 'd' for GENERATED ... AS IDENTITY.</summary>
    public char Identity { get; init; }

    /// <summary>The type's own when '\0'.</summary>
    public char Storage { get; init; }
}

/// <summary>A table to be made.</summary>
public sealed record NewTable
{
    public required string Name { get; init; }
    public required Oid Namespace { get; init; }

    /// <summary>p permanent, u unlogged.</summary>
    public char Persistence { get; init; } = 'p';
    public required IReadOnlyList<NewColumn> Columns { get; init; }

    /// <summary>0 is the database's own.</summary>
    public Oid Tablespace { get; init; }

    /// <summary>Storage parameters "name=value", checked by the caller; null for none.</summary>
    public string[]? Options { get; init; }
}

/// <summary>A key column of an index to be made: a column of the table or an expression.</summary>
public sealed record NewIndexColumn
{
    /// <summary>The table's column number; 0 for an expression.</summary>
    public short Column { get; init; }

    public NodeValue? Expression { get; init; }
    public Oid ExpressionType { get; init; }
    public int ExpressionTypeModifier { get; init; } = -1;

    /// <summary>The name of an expression's column (by PostgreSQL's rule the function's name or "expr").</summary>
    public string? Name { get; init; }

    public Oid Collation { get; init; }
    public required Oid OperatorClass { get; init; }
    public bool Descending { get; init; }
    public bool NullsFirst { get; init; }
}

/// <summary>An index to be made, alone or for a PRIMARY KEY or UNIQUE constraint of the same name.</summary>
public sealed record NewIndex
{
    public required string Name { get; init; }
    public required Oid Table { get; init; }
    public required IReadOnlyList<NewIndexColumn> Columns { get; init; }
    public IReadOnlyList<short> Included { get; init; } = [];
    public bool Unique { get; init; }
    public bool NullsNotDistinct { get; init; }
    public bool Primary { get; init; }
    public bool IsConstraint { get; init; }
    public bool Deferrable { get; init; }
    public bool InitiallyDeferred { get; init; }
    public NodeValue? Predicate { get; init; }
    public string[]? Options { get; init; }
    public Oid Tablespace { get; init; }
}

/// <summary>A foreign key to be made. Columns and operators go in pairs.</summary>
public sealed record NewForeignKey
{
    public required string Name { get; init; }
    public required Oid Table { get; init; }
    public required Oid ReferencedTable { get; init; }
    public required short[] Columns { get; init; }
    public required short[] ReferencedColumns { get; init; }

    /// <summary>The unique index of the referenced table over just the referenced columns.</summary>
    public required Oid ReferencedIndex { get; init; }

    /// <summary>referenced = referencing, referenced = referenced, referencing = referencing.</summary>
    public required Oid[] PfEqOperators { get; init; }
    public required Oid[] PpEqOperators { get; init; }
    public required Oid[] FfEqOperators { get; init; }

    /// <summary>a no action, r restrict, c cascade, n set null, d set default.</summary>
    public char OnUpdate { get; init; } = 'a';
    public char OnDelete { get; init; } = 'a';
    public short[]? DeleteSetColumns { get; init; }

    /// <summary>s simple, f full.</summary>
    public char Match { get; init; } = 's';
    public bool Deferrable { get; init; }
    public bool InitiallyDeferred { get; init; }
    public bool Validated { get; init; } = true;
}

/// <summary>Expressions and predicate of an index, evaluated for a row of its table; implemented where expressions are executed.</summary>
public interface IIndexExpressions
{
    /// <summary>Whether the row belongs into the index.</summary>
    bool Accepts(ReadOnlySpan<Datum> row);

    /// <summary>The value of the index's expression columns, in their order.</summary>
    void Evaluate(ReadOnlySpan<Datum> row, Span<Datum> expressions);
}
