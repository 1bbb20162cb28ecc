using SharedStorage.Primitives;

namespace SharedStorage.Sql.Functions;

/// <summary>The name of an object of a schema, and whether it is found without its schema (search_path).</summary>
public readonly record struct CatalogName(string Schema, string Name, bool Visible);

/// <summary>What functions need of pg_type.</summary>
public sealed record TypeInfo
{
    public required Oid Id { get; init; }
    public required CatalogName Name { get; init; }
    public short Length { get; init; }
    public bool ByValue { get; init; }

    /// <summary>1, 2, 4 or 8 bytes.</summary>
    public byte Alignment { get; init; } = 4;

    /// <summary>typtype: b base, c row, d domain, e enum, p pseudo, r range, m multirange.</summary>
    public char Kind { get; init; } = 'b';

    /// <summary>typcategory.</summary>
    public char Category { get; init; } = 'U';
    public Oid Element { get; init; }
    public Oid Array { get; init; }

    /// <summary>A true array type (its subscript handler is the array's), not a fixed-length one as name.</summary>
    public bool IsTrueArray { get; init; }
    public Oid BaseType { get; init; }
    public int TypeModifier { get; init; } = -1;
}

/// <summary>
/// Catalog questions that functions and reg* types ask; the session answers with its current snapshot. Members not answered yet fail with 0A000.
/// A null answer means that there is no such object.
/// </summary>
public interface ICatalogLookup
{
    /// <summary>A relation by the parts of its name (one to three), through search_path when there is one part.</summary>
    Oid? FindRelation(IReadOnlyList<string> name);
    CatalogName? RelationName(Oid id);

    /// <summary>relkind, or '\0'.</summary>
    char RelationKind(Oid id) => '\0';

    TypeInfo? Type(Oid id);

    /// <summary>A type by the parts of its catalog name.</summary>
    Oid? FindType(IReadOnlyList<string> name);

    Oid? FindNamespace(string name);
    string? NamespaceName(Oid id);
    Oid? FindRole(string name);
    string? RoleName(Oid id);
    bool RoleIsSuperuser(Oid id) => true;

    /// <summary>All functions of that name; regproc wants exactly one.</summary>
    IReadOnlyList<Oid> FindFunctions(IReadOnlyList<string> name) => throw PgException.NotSupported("regproc");
    CatalogName? FunctionName(Oid id) => throw PgException.NotSupported("regproc");
    IReadOnlyList<Oid> FunctionArguments(Oid id) => throw PgException.NotSupported("regprocedure");
    IReadOnlyList<Oid> FindOperators(IReadOnlyList<string> name) => throw PgException.NotSupported("regoper");
    CatalogName? OperatorName(Oid id) => throw PgException.NotSupported("regoper");
    (Oid Left, Oid Right) OperatorArguments(Oid id) => throw PgException.NotSupported("regoperator");
    Oid? FindCollation(IReadOnlyList<string> name) => throw PgException.NotSupported("regcollation");
    CatalogName? CollationName(Oid id) => throw PgException.NotSupported("regcollation");
    string? DatabaseName(Oid id) => null;
    Oid? FindDatabase(string name) => null;

    /// <summary>pg_opclass_is_visible and its like, by the catalog's class number (2616 pg_opclass, 2753 pg_opfamily, 3456 pg_collation ...).</summary>
    bool? IsVisible(uint catalog, Oid id) => true;

    /// <summary>pg_description; the class is the catalog's own oid.</summary>
    string? Description(Oid id, uint catalog, int subId) => null;
    string? SharedDescription(Oid id, uint catalog) => null;

    /// <summary>pg_attribute.attname of a column.</summary>
    string? ColumnName(Oid relation, int column) => null;

    /// <summary>The SQL text of a node tree (pg_get_expr).</summary>
    string? DeparseExpression(string nodeTree, Oid relation, bool pretty) => throw PgException.NotSupported("pg_get_expr()");
    string? IndexDefinition(Oid index, int column, bool pretty) => throw PgException.NotSupported("pg_get_indexdef()");
    string? ConstraintDefinition(Oid constraint, bool pretty) => throw PgException.NotSupported("pg_get_constraintdef()");
    string? ViewDefinition(Oid view, bool pretty, int wrapColumn) => throw PgException.NotSupported("pg_get_viewdef()");
    string? RuleDefinition(Oid rule, bool pretty) => throw PgException.NotSupported("pg_get_ruledef()");
    string? TriggerDefinition(Oid trigger, bool pretty) => throw PgException.NotSupported("pg_get_triggerdef()");
    string? FunctionDefinition(Oid function) => throw PgException.NotSupported("pg_get_functiondef()");
    string? FunctionArgumentText(Oid function, bool identity) => throw PgException.NotSupported("pg_get_function_arguments()");
    string? FunctionResultText(Oid function) => throw PgException.NotSupported("pg_get_function_result()");

    /// <summary>The body of a function in standard SQL form; null when it has none.</summary>
    string? FunctionBodyText(Oid function) => throw PgException.NotSupported("pg_get_function_sqlbody()");
    string? StatisticsDefinition(Oid statistics, bool columnsOnly) => throw PgException.NotSupported("pg_get_statisticsobjdef()");
    string? PartitionKeyDefinition(Oid table) => null;

    /// <summary>The sequence that a column owns (pg_get_serial_sequence).</summary>
    Oid? OwnedSequence(Oid relation, string column) => null;

    /// <summary>Bytes of a relation's fork ("main", "fsm", "vm", "init"); null when there is no such relation.</summary>
    long? RelationSize(Oid relation, string fork) => throw PgException.NotSupported("pg_relation_size()");

    /// <summary>All forks, with TOAST (pg_table_size), and with indexes (pg_total_relation_size).</summary>
    long? TableSize(Oid relation, bool withIndexes) => throw PgException.NotSupported("pg_table_size()");
    long? IndexesSize(Oid relation) => throw PgException.NotSupported("pg_indexes_size()");
    long? DatabaseSize(Oid database) => throw PgException.NotSupported("pg_database_size()");
    long? TablespaceSize(Oid tablespace) => throw PgException.NotSupported("pg_tablespace_size()");
    uint? RelationFileNode(Oid relation) => throw PgException.NotSupported("pg_relation_filenode()");
    string? RelationFilePath(Oid relation) => throw PgException.NotSupported("pg_relation_filepath()");

    /// <summary>Whether the session's role may do that; the roles that exist are superusers so far.</summary>
    bool HasPrivilege(Oid role, string kind, Oid id, string privilege) => true;
}
