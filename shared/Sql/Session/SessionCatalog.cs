using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Types;
using PgType = SharedStorage.Catalog.Rows.PgType;

namespace SharedStorage.Sql.Session;

/// <summary>The catalogs as a statement's snapshot sees them, for analysis, planning and execution.</summary>
internal sealed class SessionCatalog(CatalogView view) : ISqlCatalog
{
    public CatalogView View => view;
    public object Version => view.Version;
    public PgType? Type(Oid id) => view.TypeById(id);
    public PgType? TypeByName(string name, Oid schema) => view.TypeByName(name, schema);
    public PgProc? Proc(Oid id) => view.FunctionById(id);
    public IReadOnlyList<PgProc> ProcsByName(string name) => view.FunctionsByName(name);
    public PgOperator? Operator(Oid id) => view.OperatorById(id);
    public IReadOnlyList<PgOperator> OperatorsByName(string name) => view.OperatorsByName(name);
    public PgCast? Cast(Oid source, Oid target) => view.CastBetween(source, target);
    public PgAggregate? Aggregate(Oid function) => view.AggregateById(function);
    public PgOpClass? OpClass(Oid id) => view.OpClassById(id);
    public PgOpClass? DefaultOpClass(Oid accessMethod, Oid type) => view.DefaultOpClass(accessMethod, type);
    public IReadOnlyList<PgAmOp> FamilyOperators(Oid family) => view.OperatorsOfFamily(family);
    public IReadOnlyList<PgAmOp> OperatorFamilies(Oid operatorId) => view.FamiliesOfOperator(operatorId);
    public PgNamespace? Schema(Oid id) => view.NamespaceById(id);
    public PgNamespace? SchemaByName(string name) => view.NamespaceByName(name);
    public PgCollation? Collation(Oid id) => view.CollationById(id);
    public PgCollation? CollationByName(string name, Oid schema) =>
        view.CollationsByName(name).FirstOrDefault(c => c.CollNamespace == schema && c.CollEncoding is 6 or -1);
    public PgClass? Class(Oid id) => view.ClassById(id);
    public PgClass? ClassByName(string name, Oid schema) => view.ClassByName(name, schema);
    public PgAuthId? Role(Oid id) => view.RoleById(id);
    public PgAuthId? RoleByName(string name) => view.RoleByName(name);
    public PgDatabase? Database(Oid id) => view.DatabaseById(id);
    public PgDatabase? DatabaseByName(string name) => view.DatabaseByName(name);
    public Relation? Relation(Oid id) => view.FindRelation(id);
    public IReadOnlyList<IndexInfo> Indexes(Oid table) => view.GetIndexes(table);
    public IReadOnlyList<PgConstraint> Constraints(Oid table) => view.GetConstraints(table);
    public IReadOnlyList<PgConstraint> ReferencingConstraints(Oid table) => view.GetReferencingConstraints(table);
    public IReadOnlyList<PgTrigger> Triggers(Oid table) => view.GetTriggers(table);
    public string? DefaultTree(Oid table, short column) => view.GetDefault(table, column);
    public string? ViewTree(Oid id) => view.GetRules(id).FirstOrDefault(r => r.RuleName == "_RETURN")?.EvAction;
    public PgIndex? IndexRow(Oid index) => view.IndexRow(index);
    public PgStatistic? Statistic(Oid table, short column) => view.GetStatistic(table, column);
    public IReadOnlyList<PgConstraint> DomainChecks(Oid domain) => [.. view.ConstraintsOfType(domain).Where(c => c.ConType == 'c')];
    public Comparison<Datum>? CrossComparison(Oid family, Oid left, Oid right, Oid collation) => view.ComparisonOf(family, left, right, collation);

    public Collation? CollationOf(Oid collation)
    {
        PgCollationInfo? info = view.CollationInfo(collation);
        return info is null ? null : info.Provider == 'i' ? throw PgException.NotSupported($"ICU collation {info.Locale}") : Types.Collation.Get(info.Locale, info.CType);
    }
}

/// <summary>Orders of values for the catalogs' index descriptions.</summary>
public sealed class SqlComparators : IComparatorProvider
{
    public Comparison<Datum>? Find(string supportFunction, PgCollationInfo? collation) =>
        collation is { Provider: 'i' } ? null : Comparators.Find(supportFunction, collation is null ? null : Types.Collation.Get(collation.Locale, collation.CType));
}
