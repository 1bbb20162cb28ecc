using System.Globalization;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>Names of types as SQL writes them (format_type), and back (regtype).</summary>
public static class TypeNames
{
    // SQL's names that are not the catalog's.
    private static readonly Dictionary<string, uint> Sql = new(StringComparer.Ordinal)
    {
        ["bigint"] = 20,
        ["smallint"] = 21,
        ["integer"] = 23,
        ["int"] = 23,
        ["boolean"] = 16,
        ["real"] = 700,
        ["double precision"] = 701,
        ["float"] = 701,
        ["decimal"] = 1700,
        ["dec"] = 1700,
        ["character"] = 1042,
        ["char"] = 1042,
        ["nchar"] = 1042,
        ["national character"] = 1042,
        ["character varying"] = 1043,
        ["char varying"] = 1043,
        ["timestamp"] = 1114,
        ["timestamp without time zone"] = 1114,
        ["timestamp with time zone"] = 1184,
        ["time"] = 1083,
        ["time without time zone"] = 1083,
        ["time with time zone"] = 1266,
        ["bit"] = 1560,
        ["bit varying"] = 1562,
    };

    /// <summary>Built-in types that are not implemented but have names of their own.</summary>
    private static readonly Dictionary<uint, string> Other = new()
    {
        [1560] = "bit",
        [1562] = "bit varying",
        [1561] = "bit[]",
        [1563] = "bit varying[]",
    };

    /// <summary>The name with its modifier when one is given; "???" when there is no such type.</summary>
    public static string Format(Oid type, int? typeModifier, ICatalogLookup? catalogs)
    {
        if (!type.IsValid)
        {
            return "-";
        }

        if (TypeRegistry.Find(type) is { } builtIn)
        {
            return builtIn is ArrayType ? Format(new Oid(builtIn.Element!.Id), typeModifier, catalogs) + "[]" : FormatBuiltIn(builtIn, typeModifier, catalogs);
        }

        if (Other.TryGetValue(type.Value, out string? name))
        {
            return name;
        }

        TypeInfo? info = catalogs?.Type(type);
        if (info is null)
        {
            return "???";
        }

        if (info.IsTrueArray)
        {
            return Format(info.Element, typeModifier, catalogs) + "[]";
        }

        return info.Name.Visible ? Quoting.Identifier(info.Name.Name) : Quoting.Qualified(info.Name.Schema, info.Name.Name);
    }

    private static string FormatBuiltIn(PgType type, int? typeModifier, ICatalogLookup? catalogs)
    {
        int modifier = typeModifier ?? -1;
        switch (type.Id)
        {
            case 1042:
                // With an explicit -1 it is not the character that SQL means, which has length 1.
                return modifier >= 4 ? "character" + type.FormatTypeModifier(modifier) : typeModifier is null ? "character" : "bpchar";
            case 1083 or 1114 or 1184 or 1266 when modifier >= 0:
                int space = type.Name.IndexOf(' ', StringComparison.Ordinal);
                return type.Name[..space] + type.FormatTypeModifier(modifier) + type.Name[space..];
            default:
                // The few that are no keywords of SQL may be hidden by users' types.
                string name = modifier >= 0 ? type.Name + type.FormatTypeModifier(modifier) : type.Name;
                return catalogs is null || IsSqlName(type) || catalogs.Type(new Oid(type.Id)) is not { Name.Visible: false } info
                    ? name
                    : Quoting.Qualified(info.Name.Schema, info.Name.Name);
        }
    }

    private static bool IsSqlName(PgType type) => Sql.ContainsKey(type.Name) || type.Id is 1186 or 1700 or 18;

    /// <summary>A type by its written name, "[]" and modifiers included; null when there is none.</summary>
    public static Oid? Find(string text, ICatalogLookup catalogs)
    {
        string s = text.Trim();
        bool array = false;
        while (s.EndsWith(']'))
        {
            int open = s.LastIndexOf('[');
            if (open < 0)
            {
                return null;
            }

            array = true;
            s = s[..open].TrimEnd();
        }

        // A modifier does not matter for the number.
        int paren = s.IndexOf('(', StringComparison.Ordinal);
        if (paren >= 0)
        {
            int close = s.IndexOf(')', paren);
            s = close < 0 ? s : (s[..paren].TrimEnd() + s[(close + 1)..]).Trim();
        }

        string plain = string.Join(' ', s.ToLowerInvariant().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        Oid? found = Sql.TryGetValue(plain, out uint id) ? new Oid(id) : Quoting.SplitName(s) is { } parts ? catalogs.FindType(parts) : null;
        if (!array || found is not { } element)
        {
            return found;
        }

        uint arrayId = TypeRegistry.Find(element)?.ArrayId ?? 0;
        if (arrayId != 0)
        {
            return new Oid(arrayId);
        }

        return catalogs.Type(element) is { Array: { IsValid: true } a } ? a : null;
    }

    internal static string Number(Oid id) => id.Value.ToString(CultureInfo.InvariantCulture);
}
