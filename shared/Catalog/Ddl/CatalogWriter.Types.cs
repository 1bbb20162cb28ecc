using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Ddl;

/// <summary>The row type of a table and its array type (PostgreSQL's pg_type.c).</summary>
public sealed partial class CatalogWriter
{
    private Oid CreateRowType(string name, Oid schema, Oid relation, Oid owner)
    {
        MakeRoomForType(name, schema);
        Oid array = NewOid(SystemCatalogs.Type);
        Oid type = NewOid(SystemCatalogs.Type);
        var row = new PgType
        {
            Oid = type,
            TypName = name,
            TypNamespace = schema,
            TypOwner = owner,
            TypLen = -1,
            TypType = 'c',
            TypCategory = 'C',
            TypIsDefined = true,
            TypDelim = ',',
            TypRelId = relation,
            TypArray = array,
            TypInput = new Oid(2290),
            TypOutput = new Oid(2291),
            TypReceive = new Oid(2402),
            TypSend = new Oid(2403),
            TypAlign = 'd',
            TypStorage = 'x',
            TypTypMod = -1,
        };
        Insert(SystemCatalogs.Type, row);
        AddDependency(ObjectAddress.Type(type), ObjectAddress.Relation(relation), DependencyKind.Internal);
        Insert(SystemCatalogs.Type, row with
        {
            Oid = array,
            TypName = ArrayTypeName(name, schema),
            TypType = 'b',
            TypCategory = 'A',
            TypRelId = Oid.Invalid,
            TypElem = type,
            TypArray = Oid.Invalid,
            TypInput = new Oid(750),
            TypOutput = new Oid(751),
            TypReceive = new Oid(2400),
            TypSend = new Oid(2401),
            TypAnalyze = new Oid(3816),
            TypSubscript = new Oid(6179),
        });
        AddDependency(ObjectAddress.Type(array), ObjectAddress.Type(type), DependencyKind.Internal);
        return type;
    }

    /// <summary>An array type that PostgreSQL named by itself gives way to a table of that name (moveArrayTypeName).</summary>
    private void MakeRoomForType(string name, Oid schema)
    {
        if (View.TypeByName(name, schema) is not { } existing)
        {
            return;
        }

        PgType? element = existing.TypElem.IsValid ? View.TypeById(existing.TypElem) : null;
        if (element is null || element.TypArray != existing.Oid)
        {
            throw new PgException(SqlStates.DuplicateObject, $"type \"{name}\" already exists")
            {
                Hint = "A relation has an associated type of the same name, so you must use a name that doesn't conflict with any existing type.",
            };
        }

        (PgType row, Tid tid) = Get(SystemCatalogs.Type, existing.Oid);
        Update(SystemCatalogs.Type, tid, row, row with { TypName = ArrayTypeName(name, schema) });
        NextCommand();
    }

    /// <summary>Underscores before the name, as many as it takes to be unique, and the end cut off (makeUniqueTypeName).</summary>
    private string ArrayTypeName(string name, Oid schema)
    {
        string candidate = name;
        for (int underscores = 1; underscores < CatalogDatum.NameLength - 1; underscores++)
        {
            candidate = ObjectNames.Cut("_" + candidate, CatalogDatum.NameLength - 1);
            if (View.TypeByName(candidate, schema) is null)
            {
                return candidate;
            }
        }

        throw new PgException(SqlStates.DuplicateObject, $"could not form array type name for type \"{name}\"");
    }
}
