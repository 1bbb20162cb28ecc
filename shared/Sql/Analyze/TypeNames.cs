using System.Globalization;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Analyze;

/// <summary>Types as PostgreSQL writes them (format_type.c).</summary>
public static class TypeNames
{
    public static string Format(ISqlCatalog catalog, Oid type, int typmod, IReadOnlyList<Oid> searchPath)
    {
        PgType? row = catalog.Type(type);
        if (row is null)
        {
            return type.IsValid ? "???" : "-";
        }

        bool array = row.TypElem.IsValid && row.TypLen == -1 && row.TypSubscript.Value == 6179 && row.TypStorage != 'p';
        if (array)
        {
            row = catalog.Type(row.TypElem) ?? row;
        }

        string name = Standard(row.Oid.Value, typmod) ?? Plain(catalog, row, typmod, searchPath);
        return array ? name + "[]" : name;
    }

    private static string? Standard(uint type, int typmod) => type switch
    {
        PgTypes.Bit => typmod >= 0 ? $"bit({typmod})" : typmod == -1 ? "bit" : "bit",
        PgTypes.Bool => "boolean",
        PgTypes.BpChar => typmod >= 4 ? $"character({typmod - 4})" : "character",
        PgTypes.Float4 => "real",
        PgTypes.Float8 => "double precision",
        PgTypes.Int2 => "smallint",
        PgTypes.Int4 => "integer",
        PgTypes.Int8 => "bigint",
        PgTypes.Numeric => typmod >= 4
            ? string.Create(CultureInfo.InvariantCulture, $"numeric({((typmod - 4) >> 16) & 0xFFFF},{((((typmod - 4) & 0x7FF) ^ 1024) - 1024)})")
            : "numeric",
        PgTypes.Interval => "interval",
        PgTypes.Time => Precision("time", typmod, " without time zone"),
        PgTypes.TimeTz => Precision("time", typmod, " with time zone"),
        PgTypes.Timestamp => Precision("timestamp", typmod, " without time zone"),
        PgTypes.TimestampTz => Precision("timestamp", typmod, " with time zone"),
        PgTypes.VarBit => typmod >= 0 ? $"bit varying({typmod})" : "bit varying",
        PgTypes.VarChar => typmod >= 4 ? $"character varying({typmod - 4})" : "character varying",
        _ => null,
    };

    private static string Precision(string name, int typmod, string zone) => typmod >= 0 ? $"{name}({typmod}){zone}" : name + zone;

    private static string Plain(ISqlCatalog catalog, PgType row, int typmod, IReadOnlyList<Oid> searchPath)
    {
        string name = Quote(row.TypName);
        foreach (Oid schema in searchPath)
        {
            if (schema == row.TypNamespace)
            {
                return typmod >= 0 ? $"{name}({typmod})" : name;
            }

            if (catalog.TypeByName(row.TypName, schema) is not null)
            {
                break;
            }
        }

        return row.TypNamespace.Value == PgOids.CatalogNamespace ? name : $"{Quote(catalog.Schema(row.TypNamespace)?.NspName ?? "")}.{name}";
    }

    /// <summary>quote_identifier, for names that are no keywords.</summary>
    public static string Quote(string name)
    {
        bool plain = name.Length > 0 && (char.IsAsciiLetterLower(name[0]) || name[0] == '_')
            && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_') && !Keywords.NeedsQuotes(name);
        return plain ? name : $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }
}

/// <summary>Modifiers of types as pg_attribute.atttypmod holds them (the types' typmodin functions).</summary>
public static class TypeModifiers
{
    public static int Encode(PgType type, IReadOnlyList<int> values)
    {
        switch (type.Oid.Value)
        {
            case PgTypes.BpChar or PgTypes.VarChar:
                string name = type.Oid.Value == PgTypes.BpChar ? "char" : "varchar";
                if (values.Count != 1)
                {
                    throw new PgException(SqlStates.InvalidParameterValue, "invalid type modifier");
                }

                return values[0] < 1 ? throw new PgException(SqlStates.InvalidParameterValue, $"length for type {name} must be at least 1")
                    : values[0] > 10485760 ? throw new PgException(SqlStates.InvalidParameterValue, $"length for type {name} cannot exceed 10485760")
                    : values[0] + 4;
            case PgTypes.Numeric:
                return EncodeNumeric(values);
            case PgTypes.Time or PgTypes.TimeTz or PgTypes.Timestamp or PgTypes.TimestampTz:
                return values.Count != 1 ? throw new PgException(SqlStates.InvalidParameterValue, "invalid type modifier")
                    : values[0] < 0 ? throw new PgException(SqlStates.InvalidParameterValue, $"{type.TypName.ToUpperInvariant()}({values[0]}) precision must not be negative")
                    : Math.Min(values[0], 6);
            case PgTypes.Bit or PgTypes.VarBit:
                return values.Count != 1 || values[0] < 1 ? throw new PgException(SqlStates.InvalidParameterValue, "invalid type modifier") : values[0];
            case PgTypes.Interval:
                return values.Count switch
                {
                    1 => (values[0] << 16) | 0xFFFF,
                    2 => (values[0] << 16) | Math.Min(values[1], 6),
                    _ => throw new PgException(SqlStates.InvalidParameterValue, "invalid type modifier"),
                };
            default:
                throw PgException.NotSupported($"a modifier of type {type.TypName}");
        }
    }

    private static int EncodeNumeric(IReadOnlyList<int> values)
    {
        if (values.Count is < 1 or > 2)
        {
            throw new PgException(SqlStates.InvalidParameterValue, "invalid NUMERIC type modifier");
        }

        if (values[0] is < 1 or > 1000)
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"NUMERIC precision {values[0]} must be between 1 and 1000");
        }

        int scale = values.Count == 2 ? values[1] : 0;
        return scale is < -1000 or > 1000
            ? throw new PgException(SqlStates.InvalidParameterValue, $"NUMERIC scale {scale} must be between -1000 and 1000")
            : ((values[0] << 16) | (scale & 0x7FF)) + 4;
    }
}
