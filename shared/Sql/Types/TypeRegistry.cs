using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>The built-in types by pg_type.oid, their arrays among them.</summary>
public static partial class TypeRegistry
{
    // Numbers of built-in types lie below this; a plain array is the fastest table.
    private const int Limit = 6200;
    private static readonly PgType?[] BuiltIn = Build();

    public static IEnumerable<PgType> All => BuiltIn.Where(t => t is not null)!;

    /// <summary>A built-in type, or null when it is none or not implemented.</summary>
    public static PgType? Find(Oid type) => type.Value < Limit ? BuiltIn[type.Value] : null;

    /// <summary>A type; one that is not built in is looked up (a domain gives its base type's form, an array of users' types its own).</summary>
    /// <exception cref="PgException">0A000: not implemented; 42704: no such type.</exception>
    public static PgType Get(Oid type, ICatalogLookup? catalogs)
    {
        if (Find(type) is { } found)
        {
            return found;
        }

        TypeInfo? info = catalogs?.Type(type);
        if (info is null)
        {
            throw type.Value < Limit ? PgException.NotSupported($"type {type}") : new PgException(SqlStates.UndefinedObject, $"type with OID {type} does not exist");
        }

        if (info.Kind == 'd')
        {
            return Get(info.BaseType, catalogs);
        }

        if (info.IsTrueArray)
        {
            return new ArrayType(Get(info.Element, catalogs)) { Id = type.Value, Name = info.Name.Name, Length = -1, ByValue = false };
        }

        throw PgException.NotSupported($"type {info.Name.Name}");
    }

    private static PgType?[] Build()
    {
        var table = new PgType?[Limit];
        foreach (PgType t in BaseTypes())
        {
            table[t.Id] = t;
            if (t.ArrayId != 0)
            {
                table[t.ArrayId] = new ArrayType(t)
                {
                    Id = t.ArrayId,
                    Name = t.Name + "[]",
                    Length = -1,
                    ByValue = false,
                    Alignment = (byte)(t.Alignment == 8 ? 8 : 4),
                    Delimiter = t.Delimiter,
                };
            }
        }

        return table;
    }
}
