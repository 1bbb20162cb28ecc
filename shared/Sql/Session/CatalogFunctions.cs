using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Functions;
using PgType = SharedStorage.Catalog.Rows.PgType;

namespace SharedStorage.Sql.Session;

/// <summary>Answers functions' questions about catalogs with the running statement's catalogs.</summary>
internal sealed partial class CatalogFunctions(SqlSession session) : ICatalogLookup
{
    private SessionCatalog Catalog => session.CurrentCatalog ?? throw new InvariantException("SQL", "a function asks the catalogs outside of a statement");
    private IReadOnlyList<Oid> SearchPath => session.SearchPath(Catalog.View);

    private IEnumerable<Oid> Schemas(IReadOnlyList<string> name)
    {
        if (name.Count == 1)
        {
            return SearchPath;
        }

        return Catalog.SchemaByName(name[^2]) is { } schema ? [schema.Oid]
            : throw new PgException(SqlStates.InvalidSchemaName, $"schema \"{name[^2]}\" does not exist");
    }

    public Oid? FindRelation(IReadOnlyList<string> name)
    {
        if (name.Count > 1 && Catalog.SchemaByName(name[^2]) is null)
        {
            return null;
        }

        foreach (Oid schema in Schemas(name))
        {
            if (Catalog.ClassByName(name[^1], schema) is { } found)
            {
                return found.Oid;
            }
        }

        return null;
    }

    public CatalogName? RelationName(Oid id)
    {
        if (Catalog.Class(id) is not { } row)
        {
            return null;
        }

        return new CatalogName(SchemaName(row.RelNamespace), row.RelName, SearchPath.Select(s => Catalog.ClassByName(row.RelName, s)).FirstOrDefault(c => c is not null)?.Oid == id);
    }

    private string SchemaName(Oid schema) => Catalog.Schema(schema)?.NspName ?? "";

    public char RelationKind(Oid id) => Catalog.Class(id)?.RelKind ?? '\0';

    public TypeInfo? Type(Oid id)
    {
        if (Catalog.Type(id) is not { } t)
        {
            return null;
        }

        bool visible = SearchPath.Select(s => Catalog.TypeByName(t.TypName, s)).FirstOrDefault(x => x is not null)?.Oid == id;
        return new TypeInfo
        {
            Id = id,
            Name = new CatalogName(SchemaName(t.TypNamespace), t.TypName, visible),
            Length = t.TypLen,
            ByValue = t.TypByVal,
            Alignment = t.TypAlign switch { 'c' => 1, 's' => 2, 'i' => 4, _ => 8 },
            Kind = t.TypType,
            Category = t.TypCategory,
            Element = t.TypElem,
            Array = t.TypArray,
            IsTrueArray = t.TypElem.IsValid && t.TypLen == -1 && t.TypSubscript.Value == 6179,
            BaseType = t.TypBaseType,
            TypeModifier = t.TypTypMod,
        };
    }

    public Oid? FindType(IReadOnlyList<string> name)
    {
        foreach (Oid schema in Schemas(name))
        {
            if (Catalog.TypeByName(name[^1], schema) is { } found)
            {
                return found.Oid;
            }
        }

        return null;
    }

    public Oid? FindNamespace(string name) => Catalog.SchemaByName(name)?.Oid;
    public string? NamespaceName(Oid id) => Catalog.Schema(id)?.NspName;
    public Oid? FindRole(string name) => Catalog.RoleByName(name)?.Oid;
    public string? RoleName(Oid id) => Catalog.Role(id)?.RolName;
    public bool RoleIsSuperuser(Oid id) => Catalog.Role(id)?.RolSuper ?? false;

    public IReadOnlyList<Oid> FindFunctions(IReadOnlyList<string> name)
    {
        IReadOnlyList<Oid> schemas = [.. Schemas(name)];
        return [.. Catalog.ProcsByName(name[^1]).Where(p => schemas.Contains(p.ProNamespace)).Select(p => p.Oid)];
    }

    public CatalogName? FunctionName(Oid id)
    {
        if (Catalog.Proc(id) is not { } p)
        {
            return null;
        }

        // Found by its bare name: no function of that name and arguments lies earlier on the path.
        Oid? first = SearchPath.SelectMany(s => Catalog.ProcsByName(p.ProName).Where(x => x.ProNamespace == s && x.ProArgTypes.AsSpan().SequenceEqual(p.ProArgTypes))).FirstOrDefault()?.Oid;
        return new CatalogName(SchemaName(p.ProNamespace), p.ProName, first == id);
    }

    public IReadOnlyList<Oid> FunctionArguments(Oid id) => Catalog.Proc(id)?.ProArgTypes ?? [];

    public IReadOnlyList<Oid> FindOperators(IReadOnlyList<string> name)
    {
        IReadOnlyList<Oid> schemas = [.. Schemas(name)];
        return [.. Catalog.OperatorsByName(name[^1]).Where(o => schemas.Contains(o.OprNamespace)).Select(o => o.Oid)];
    }

    public CatalogName? OperatorName(Oid id) => Catalog.Operator(id) is { } o ? new CatalogName(SchemaName(o.OprNamespace), o.OprName, SearchPath.Contains(o.OprNamespace)) : null;
    public (Oid Left, Oid Right) OperatorArguments(Oid id) => Catalog.Operator(id) is { } o ? (o.OprLeft, o.OprRight) : default;

    public Oid? FindCollation(IReadOnlyList<string> name)
    {
        foreach (Oid schema in Schemas(name))
        {
            if (Catalog.CollationByName(name[^1], schema) is { } found)
            {
                return found.Oid;
            }
        }

        return null;
    }

    public CatalogName? CollationName(Oid id) => Catalog.Collation(id) is { } c ? new CatalogName(SchemaName(c.CollNamespace), c.CollName, SearchPath.Contains(c.CollNamespace)) : null;
    public string? DatabaseName(Oid id) => Catalog.Database(id)?.DatName;
    public Oid? FindDatabase(string name) => Catalog.DatabaseByName(name)?.Oid;
    public string? Description(Oid id, uint catalog, int subId) => Catalog.View.CommentOn(new Oid(catalog), id, subId);

    public string? ColumnName(Oid relation, int column) =>
        Catalog.Relation(relation) is { } r && column > 0 && column <= r.Desc.Count ? r.Desc[column - 1].Name : null;

    public long? RelationSize(Oid relation, string fork)
    {
        ForkNumber number = fork switch { "fsm" => ForkNumber.FreeSpaceMap, "vm" => ForkNumber.VisibilityMap, "init" => ForkNumber.Init, _ => ForkNumber.Main };
        if (Catalog.Relation(relation) is not { } r || r.Kind is 'v' or 'c' or 'f' or 'p' or 'I')
        {
            return Catalog.Class(relation) is null ? null : 0;
        }

        return SizeOf(r, number);
    }

    private long SizeOf(Relation r, ForkNumber fork) =>
        session.Node.Engine.Buffers.ForkExists(r.Node, fork) ? session.Node.Engine.Buffers.BlockCount(r.Node, fork) * 8192L : 0;

    private long AllForks(Oid id) => Catalog.Relation(id) is { } r
        ? SizeOf(r, ForkNumber.Main) + SizeOf(r, ForkNumber.FreeSpaceMap) + SizeOf(r, ForkNumber.VisibilityMap) : 0;

    public long? TableSize(Oid relation, bool withIndexes)
    {
        if (Catalog.Class(relation) is not { } row)
        {
            return null;
        }

        if (row.RelKind is 'v' or 'c' or 'f' or 'p' or 'I')
        {
            return 0;
        }

        long size = AllForks(relation);
        if (row.RelToastRelId.IsValid)
        {
            size += AllForks(row.RelToastRelId) + Catalog.Indexes(row.RelToastRelId).Sum(i => AllForks(i.Relation.Id));
        }

        return withIndexes ? size + (IndexesSize(relation) ?? 0) : size;
    }

    public long? IndexesSize(Oid relation) => Catalog.Class(relation) is null ? null : Catalog.Indexes(relation).Sum(i => AllForks(i.Relation.Id));

    public long? DatabaseSize(Oid database)
    {
        if (Catalog.Database(database) is null)
        {
            return null;
        }

        // Its part of each tablespace.
        string tablespaces = Path.Combine(session.Node.DataDirectory, "pg_tblspc");
        IEnumerable<string> parts = Directory.Exists(tablespaces)
            ? Directory.EnumerateDirectories(tablespaces).SelectMany(t => Directory.EnumerateDirectories(t, "PG_15_*")).Select(v => Path.Combine(v, database.ToString())) : [];
        return parts.Append(Path.Combine(session.Node.DataDirectory, "base", database.ToString())).Where(Directory.Exists).Sum(FilesBelow);
    }

    public long? TablespaceSize(Oid tablespace)
    {
        string root = tablespace == RelFileNode.DefaultTablespace ? "base" : tablespace == RelFileNode.GlobalTablespace ? "global"
            : Path.Combine("pg_tblspc", tablespace.ToString());
        string directory = Path.Combine(session.Node.DataDirectory, root);
        return Directory.Exists(directory) ? FilesBelow(directory) : null;
    }

    // A file that goes meanwhile counts nothing.
    private static long FilesBelow(string directory) =>
        new DirectoryInfo(directory).EnumerateFiles("*", SearchOption.AllDirectories).Sum(f => f.Exists ? f.Length : 0);

    public uint? RelationFileNode(Oid relation) => Catalog.Relation(relation)?.Node.Relation.Value;
}
