using SharedStorage.Access;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Analyze;

/// <summary>
/// The catalogs as analysis and planning ask them: rows by key, as the statement's transaction sees them. One object per statement or transaction; its
/// implementation caches. The lists of names hold all schemas; the search path is applied by the caller.
/// </summary>
public interface ISqlCatalog
{
    PgType? Type(Oid id);
    PgType? TypeByName(string name, Oid schema);
    PgProc? Proc(Oid id);
    IReadOnlyList<PgProc> ProcsByName(string name);
    PgOperator? Operator(Oid id);
    IReadOnlyList<PgOperator> OperatorsByName(string name);
    PgCast? Cast(Oid source, Oid target);
    PgAggregate? Aggregate(Oid function);
    PgOpClass? OpClass(Oid id);

    /// <summary>The default class of an access method for just this type.</summary>
    PgOpClass? DefaultOpClass(Oid accessMethod, Oid type);
    IReadOnlyList<PgAmOp> FamilyOperators(Oid family);

    /// <summary>Each family that has the operator (pg_amop by amopopr).</summary>
    IReadOnlyList<PgAmOp> OperatorFamilies(Oid operatorId);
    PgNamespace? Schema(Oid id);
    PgNamespace? SchemaByName(string name);
    PgCollation? Collation(Oid id);
    PgCollation? CollationByName(string name, Oid schema);
    PgClass? Class(Oid id);
    PgClass? ClassByName(string name, Oid schema);
    PgAuthId? Role(Oid id);
    PgAuthId? RoleByName(string name);
    PgDatabase? Database(Oid id);
    PgDatabase? DatabaseByName(string name);

    /// <summary>What access methods need of a relation; for views and composite types too. Null when there is none.</summary>
    Relation? Relation(Oid id);
    IReadOnlyList<IndexInfo> Indexes(Oid table);
    IReadOnlyList<PgConstraint> Constraints(Oid table);

    /// <summary>Foreign keys of other tables (and its own) that refer to this table.</summary>
    IReadOnlyList<PgConstraint> ReferencingConstraints(Oid table);
    IReadOnlyList<PgTrigger> Triggers(Oid table);

    /// <summary>The default (or generation) expression of a column as a node tree; null when it has none.</summary>
    string? DefaultTree(Oid table, short column);

    /// <summary>The action of a view's SELECT rule as a node tree.</summary>
    string? ViewTree(Oid view);
    PgIndex? IndexRow(Oid index);
    PgStatistic? Statistic(Oid table, short column);

    /// <summary>How text is ordered under a collation; the default one is the database's.</summary>
    Types.Collation? CollationOf(Oid collation);
    IReadOnlyList<PgConstraint> DomainChecks(Oid domain);

    /// <summary>The order of a btree family between two types; null when it has none.</summary>
    Comparison<Format.Tuples.Datum>? CrossComparison(Oid family, Oid left, Oid right, Oid collation);
    Catalog.CatalogView? View => null;

    /// <summary>Identifies the state of the catalogs: a plan made at one is good while the object is the same.</summary>
    object Version { get; }
}

/// <summary>Input of literals: from the types' own input functions.</summary>
public interface ITypeInput
{
    Format.Tuples.Datum Input(Oid type, string text, int typmod);
    string Output(Oid type, Format.Tuples.Datum value);
}
