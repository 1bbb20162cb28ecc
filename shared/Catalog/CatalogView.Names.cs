using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog;

/// <summary>Names to objects through a search path (PostgreSQL's namespace.c), and orders of values by class and collation.</summary>
public sealed partial class CatalogView
{
    /// <summary>
    /// The schemas of a search_path setting that exist, in order, with pg_catalog first unless it is named; "$user" is the role's own schema.
    /// </summary>
    public IReadOnlyList<Oid> ResolveSearchPath(IEnumerable<string> names, string user)
    {
        var path = new List<Oid>();
        foreach (string name in names)
        {
            PgNamespace? schema = NamespaceByName(name == "$user" ? user : name);
            if (schema is not null && !path.Contains(schema.Oid))
            {
                path.Add(schema.Oid);
            }
        }

        var system = new Oid(PgOids.CatalogNamespace);
        if (!path.Contains(system))
        {
            path.Insert(0, system);
        }

        return path;
    }

    /// <exception cref="PgException">3F000.</exception>
    public PgNamespace GetNamespace(string name) =>
        NamespaceByName(name) ?? throw new PgException(SqlStates.InvalidSchemaName, $"schema \"{name}\" does not exist");

    /// <summary>The first relation of the name along the path, or the one in the given schema; null when there is none.</summary>
    /// <exception cref="PgException">3F000: the schema does not exist.</exception>
    public PgClass? FindRelationByName(string? schema, string name, IReadOnlyList<Oid> searchPath)
    {
        if (schema is not null)
        {
            return ClassByName(name, GetNamespace(schema).Oid);
        }

        foreach (Oid ns in searchPath)
        {
            if (ClassByName(name, ns) is { } found)
            {
                return found;
            }
        }

        return null;
    }

    /// <exception cref="PgException">42P01: there is no relation of this name.</exception>
    public PgClass ResolveRelation(string? schema, string name, IReadOnlyList<Oid> searchPath)
    {
        // A schema that does not exist is reported as a relation that does not, as PostgreSQL does in FROM.
        PgClass? found = schema is not null
            ? NamespaceByName(schema) is { } ns ? ClassByName(name, ns.Oid) : null
            : FindRelationByName(null, name, searchPath);
        return found ?? throw new PgException(
            SqlStates.UndefinedTable,
            schema is null ? $"relation \"{name}\" does not exist" : $"relation \"{schema}.{name}\" does not exist");
    }

    public PgType? FindTypeByName(string? schema, string name, IReadOnlyList<Oid> searchPath)
    {
        if (schema is not null)
        {
            return TypeByName(name, GetNamespace(schema).Oid);
        }

        foreach (Oid ns in searchPath)
        {
            if (TypeByName(name, ns) is { } found)
            {
                return found;
            }
        }

        return null;
    }

    /// <summary>Whether the relation is found by its bare name (pg_table_is_visible).</summary>
    public bool IsVisible(PgClass relation, IReadOnlyList<Oid> searchPath) =>
        FindRelationByName(null, relation.RelName, searchPath)?.Oid == relation.Oid;

    /// <summary>The collation of an encoding by its name along the path; UTF-8 is encoding 6, -1 is any.</summary>
    public PgCollation? FindCollationByName(string? schema, string name, IReadOnlyList<Oid> searchPath, int encoding = 6)
    {
        IReadOnlyList<PgCollation> all = CollationsByName(name);
        IEnumerable<Oid> path = schema is null ? searchPath : [GetNamespace(schema).Oid];
        foreach (Oid ns in path)
        {
            PgCollation? found = all.FirstOrDefault(c => c.CollNamespace == ns && c.CollEncoding == encoding)
                ?? all.FirstOrDefault(c => c.CollNamespace == ns && c.CollEncoding == -1);
            if (found is not null)
            {
                return found;
            }
        }

        return null;
    }

    /// <summary>The schema of a table's name for messages: quoted with it only when asked.</summary>
    public string NamespaceName(Oid id) => NamespaceById(id)?.NspName ?? "pg_temp";

    /// <summary>What comparisons need to know of a collation; the default one is the database's. Null for 0.</summary>
    public PgCollationInfo? CollationInfo(Oid id)
    {
        if (!id.IsValid)
        {
            return null;
        }

        if (id.Value == PgOids.DefaultCollation && Database.Id.IsValid && DatabaseById(Database.Id) is { } db)
        {
            return new PgCollationInfo(id, db.DatLocProvider, db.DatLocProvider == 'i' ? db.DatIcuLocale ?? "" : db.DatCollate, db.DatCtype, true);
        }

        return CollationById(id) is { } c
            ? new PgCollationInfo(id, c.CollProvider, c.CollProvider == 'i' ? c.CollIcuLocale ?? "" : c.CollCollate ?? "C", c.CollCtype ?? "C", c.CollIsDeterministic)
            : null;
    }

    /// <summary>The order of a btree family for two types, by support function 1; null when the family has none or it is not implemented.</summary>
    public Comparison<Datum>? ComparisonOf(Oid family, Oid left, Oid right, Oid collation)
    {
        Oid function = SupportFunction(family, left, right, 1);
        if (!function.IsValid || FunctionById(function) is not { } proc)
        {
            return null;
        }

        return BuiltInComparators.ForFunction(proc.ProSrc) is { } builtIn && !(proc.ProSrc == "btnamecmp" && CollationInfo(collation) is { IsC: false })
            ? builtIn
            : Database.Manager.Comparators.Find(proc.ProSrc, CollationInfo(collation));
    }
}
