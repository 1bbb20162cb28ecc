using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using Pg = PgQuery;

namespace SharedStorage.Sql.Analyze;

/// <summary>Names of types (parse_type.c) and how types are written in messages (format_type.c).</summary>
public sealed partial class Analyzer
{
    /// <summary>Resolves a written type with its modifier.</summary>
    /// <exception cref="PgException">42704: no such type; 42601, 22023: a bad modifier.</exception>
    public (Oid Type, int Typmod) ResolveType(Pg.TypeName name)
    {
        if (name.PctType)
        {
            throw PgException.NotSupported("%TYPE");
        }

        string[] parts = [.. name.Names.Select(ExprString)];
        PgType? type = name.TypeOid != 0 ? Catalog.Type(new Oid(name.TypeOid)) : LookupType(parts);
        if (type is null || !type.TypIsDefined)
        {
            throw _context.Error(SqlStates.UndefinedObject, $"type \"{string.Join('.', parts)}{(name.ArrayBounds.Count > 0 ? "[]" : "")}\" does not exist", name.Location);
        }

        int typmod = name.Typmods.Count > 0 ? TypeModifier(type, name) : name.Typemod;
        if (name.ArrayBounds.Count > 0)
        {
            if (!type.TypArray.IsValid)
            {
                throw _context.Error(SqlStates.UndefinedObject, $"could not find array type for data type {FormatType(type.Oid)}", name.Location);
            }

            return (type.TypArray, typmod);
        }

        return (type.Oid, typmod);
    }

    private PgType? LookupType(string[] parts)
    {
        if (parts.Length > 1)
        {
            PgNamespace? schema = Catalog.SchemaByName(parts[^2]);
            if (schema is null)
            {
                throw new PgException(SqlStates.InvalidSchemaName, $"schema \"{parts[^2]}\" does not exist");
            }

            return Catalog.TypeByName(parts[^1], schema.Oid);
        }

        foreach (Oid schema in _context.SearchPath)
        {
            if (Catalog.TypeByName(parts[0], schema) is { } found)
            {
                return found;
            }
        }

        return null;
    }

    private int TypeModifier(PgType type, Pg.TypeName name)
    {
        if (!type.TypModIn.IsValid)
        {
            throw _context.Error(SqlStates.SyntaxError, $"type modifier is not allowed for type \"{FormatType(type.Oid)}\"", name.Location);
        }

        var values = new List<int>();
        foreach (Pg.Node node in name.Typmods)
        {
            if (node.NodeCase != Pg.Node.NodeOneofCase.AConst || node.AConst.ValCase != Pg.A_Const.ValOneofCase.Ival)
            {
                if (type.Oid.Value == PgTypes.Interval)
                {
                    throw PgException.NotSupported("interval fields");
                }

                throw _context.Error(SqlStates.SyntaxError, "type modifiers must be simple constants or identifiers", name.Location);
            }

            values.Add(node.AConst.Ival.Ival);
        }

        return TypeModifiers.Encode(type, values);
    }

    /// <summary>The type as PostgreSQL writes it ("character varying(10)", "integer[]").</summary>
    public string FormatType(Oid type, int typmod = -1) => TypeNames.Format(Catalog, type, typmod, _context.SearchPath);

    private Oid BaseType(Oid type, out int typmod)
    {
        typmod = -1;
        while (Catalog.Type(type) is { TypType: 'd' } domain)
        {
            type = domain.TypBaseType;
            typmod = domain.TypTypMod;
        }

        return type;
    }

    private Oid BaseType(Oid type) => BaseType(type, out _);

    /// <summary>The type of the elements of a true array; 0 for others.</summary>
    private Oid ElementType(Oid type)
    {
        PgType? row = Catalog.Type(BaseType(type));
        return row is { TypElem.IsValid: true, TypLen: -1 } && row.TypSubscript.Value is 6179 ? row.TypElem : Oid.Invalid;
    }

    private Oid ArrayType(Oid element) => Catalog.Type(element)?.TypArray ?? Oid.Invalid;

    private char Category(Oid type) => Catalog.Type(type)?.TypCategory ?? 'X';

    private bool IsPreferred(char category, Oid type) => Catalog.Type(type) is { } row && row.TypCategory == category && row.TypIsPreferred;

    private static bool IsPolymorphic(Oid type) => type.Value is PgTypes.AnyElement or PgTypes.AnyArray or PgTypes.AnyNonArray or PgTypes.AnyEnum or PgTypes.AnyRange
        or PgTypes.AnyMultiRange or PgTypes.AnyCompatible or PgTypes.AnyCompatibleArray or PgTypes.AnyCompatibleNonArray or PgTypes.AnyCompatibleRange
        or PgTypes.AnyCompatibleMultiRange;

    private ConstExpr NullConst(Oid type, int typmod = -1) => new(Datum.Null, type, typmod);
}
