using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>An object: its catalog, its number there, and a column number or 0 (PostgreSQL's ObjectAddress).</summary>
public readonly record struct ObjectAddress(Oid Catalog, Oid Id, int Part)
{
    public static ObjectAddress Relation(Oid id, int column = 0) => new(SystemCatalogs.Class.Id, id, column);
    public static ObjectAddress Type(Oid id) => new(SystemCatalogs.Type.Id, id, 0);
    public static ObjectAddress Constraint(Oid id) => new(SystemCatalogs.Constraint.Id, id, 0);
    public static ObjectAddress Namespace(Oid id) => new(SystemCatalogs.Namespace.Id, id, 0);

    /// <summary>
    /// Objects that <c>initdb</c> made cannot be dropped, and nothing records that it depends on them (IsPinnedObject): numbers below 12000, but for
    /// the schema public and databases.
    /// </summary>
    public bool IsPinned =>
        Id.Value < 12000
        && !(Catalog == SystemCatalogs.Namespace.Id && Id.Value == PgOids.PublicNamespace)
        && Catalog != SystemCatalogs.Database.Id;
}

/// <summary>pg_depend.deptype.</summary>
public static class DependencyKind
{
    public const char Normal = 'n', Auto = 'a', Internal = 'i', PartitionPrimary = 'P', PartitionSecondary = 'S', Extension = 'e', AutoExtension = 'x',
        SharedOwner = 'o', SharedAcl = 'a', SharedPolicy = 'r', SharedTablespace = 't';
}
