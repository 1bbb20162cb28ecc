using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

internal enum RegKind
{
    Class,
    Type,
    Proc,
    Procedure,
    Oper,
    Operator,
    Namespace,
    Role,
    Collation,
}

/// <summary>regclass and its like: an oid that is written as the object's name (regproc.c).</summary>
internal sealed class RegType(RegKind kind) : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        string s = Encoding.UTF8.GetString(text);
        if (s == "-")
        {
            return Datum.FromUInt32(0);
        }

        if (s.Length > 0 && s.All(char.IsAsciiDigit))
        {
            return uint.TryParse(s, NumberStyles.None, CultureInfo.InvariantCulture, out uint id) ? Datum.FromUInt32(id) : throw OutOfRange(text);
        }

        return Datum.FromOid(Find(s, context.Catalogs) ?? throw NotFound(s));
    }

    /// <summary>The object of that name; null when there is none.</summary>
    /// <exception cref="PgException">42602, 42601: no proper name; 42725: more than one.</exception>
    public Oid? Find(string s, ICatalogLookup catalogs)
    {
        switch (kind)
        {
            case RegKind.Type:
                return TypeNames.Find(s, catalogs);
            case RegKind.Oper:
                return Single(catalogs.FindOperators(OperatorName(s)), $"more than one operator named {s}");
            case RegKind.Procedure or RegKind.Operator:
                return FindWithArguments(s, catalogs);
            default:
                break;
        }

        List<string> parts = Quoting.SplitName(s) ?? throw new PgException(SqlStates.InvalidName, "invalid name syntax");
        if (kind is RegKind.Namespace or RegKind.Role && parts.Count != 1)
        {
            throw new PgException(SqlStates.InvalidName, "invalid name syntax");
        }

        return kind switch
        {
            RegKind.Class => catalogs.FindRelation(parts),
            RegKind.Namespace => catalogs.FindNamespace(parts[0]),
            RegKind.Role => catalogs.FindRole(parts[0]),
            RegKind.Collation => catalogs.FindCollation(parts),
            _ => Single(catalogs.FindFunctions(parts), $"more than one function named \"{s}\""),
        };
    }

    private static Oid? Single(IReadOnlyList<Oid> found, string ambiguous) => found.Count switch
    {
        0 => null,
        1 => found[0],
        _ => throw new PgException(SqlStates.AmbiguousFunction, ambiguous),
    };

    private static List<string> OperatorName(string s)
    {
        int dot = s.LastIndexOf('.');
        return dot > 0 ? [s[..dot].Trim('"'), s[(dot + 1)..]] : [s];
    }

    private Oid? FindWithArguments(string s, ICatalogLookup catalogs)
    {
        int open = s.IndexOf('(', StringComparison.Ordinal);
        if (open < 0 || !s.EndsWith(')'))
        {
            throw new PgException(SqlStates.InvalidTextRepresentation, open < 0 ? "expected a left parenthesis" : "expected a right parenthesis");
        }

        string[] names = s[(open + 1)..^1].Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var arguments = new List<Oid>();
        foreach (string n in names)
        {
            arguments.Add(n.Equals("none", StringComparison.OrdinalIgnoreCase)
                ? Oid.Invalid
                : TypeNames.Find(n, catalogs) ?? throw new PgException(SqlStates.UndefinedObject, $"type \"{n}\" does not exist"));
        }

        if (kind == RegKind.Operator)
        {
            foreach (Oid id in catalogs.FindOperators(OperatorName(s[..open])))
            {
                (Oid left, Oid right) = catalogs.OperatorArguments(id);
                if (arguments.Count == 2 && left == arguments[0] && right == arguments[1])
                {
                    return id;
                }
            }

            return null;
        }

        List<string> parts = Quoting.SplitName(s[..open]) ?? throw new PgException(SqlStates.InvalidName, "invalid name syntax");
        foreach (Oid id in catalogs.FindFunctions(parts))
        {
            if (catalogs.FunctionArguments(id).SequenceEqual(arguments))
            {
                return id;
            }
        }

        return null;
    }

    private PgException NotFound(string s)
    {
        string plain = kind is RegKind.Procedure or RegKind.Operator ? s : string.Join('.', Quoting.SplitName(s) ?? [s]);
        return kind switch
        {
            RegKind.Class => new PgException(SqlStates.UndefinedTable, $"relation \"{plain}\" does not exist"),
            RegKind.Type => new PgException(SqlStates.UndefinedObject, $"type \"{plain}\" does not exist"),
            RegKind.Namespace => new PgException(SqlStates.InvalidSchemaName, $"schema \"{plain}\" does not exist"),
            RegKind.Role => new PgException(SqlStates.UndefinedObject, $"role \"{plain}\" does not exist"),
            RegKind.Collation => new PgException(SqlStates.UndefinedObject, $"collation \"{plain}\" for encoding \"UTF8\" does not exist"),
            RegKind.Oper or RegKind.Operator => new PgException(SqlStates.UndefinedFunction, $"operator does not exist: {s}"),
            _ => new PgException(SqlStates.UndefinedFunction, $"function \"{s}\" does not exist"),
        };
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.WriteText(Format(value.Oid, context), output);

    private string Format(Oid id, EvalContext context)
    {
        if (!id.IsValid)
        {
            return "-";
        }

        ICatalogLookup c = context.Catalogs;
        string? name = kind switch
        {
            RegKind.Class => Qualified(c.RelationName(id)),
            RegKind.Type => TypeNames.Format(id, null, c) is var t && t != "???" ? t : null,
            RegKind.Namespace => c.NamespaceName(id) is { } n ? Quoting.Identifier(n) : null,
            RegKind.Role => c.RoleName(id) is { } r ? Quoting.Identifier(r) : null,
            RegKind.Collation => Qualified(c.CollationName(id)),
            RegKind.Proc => Qualified(c.FunctionName(id)),
            RegKind.Procedure => Qualified(c.FunctionName(id)) is { } f ? $"{f}({Arguments(c.FunctionArguments(id), c)})" : null,
            RegKind.Oper => Operator(c.OperatorName(id)),
            _ => Operator(c.OperatorName(id)) is { } o && c.OperatorArguments(id) is var (left, right)
                ? $"{o}({(left.IsValid ? TypeNames.Format(left, null, c) : "NONE")},{TypeNames.Format(right, null, c)})"
                : null,
        };
        return name ?? TypeNames.Number(id);
    }

    private static string Arguments(IReadOnlyList<Oid> arguments, ICatalogLookup c) => string.Join(',', arguments.Select(a => TypeNames.Format(a, null, c)));

    private static string? Qualified(CatalogName? name) => name is not { } n ? null : n.Visible ? Quoting.Identifier(n.Name) : Quoting.Qualified(n.Schema, n.Name);
    private static string? Operator(CatalogName? name) => name is not { } n ? null : n.Visible ? n.Name : $"{Quoting.Identifier(n.Schema)}.{n.Name}";

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, 4);
        return Datum.FromUInt32(BinaryPrimitives.ReadUInt32BigEndian(data));
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => BinaryOutput.Integer(value.UInt32, 4, output);
    public override int Compare(Datum a, Datum b, Collation? collation) => a.UInt32.CompareTo(b.UInt32);
    public override bool AreEqual(Datum a, Datum b) => a.UInt32 == b.UInt32;
    public override int Hash(Datum value) => HashMix.Of(value.UInt32);
}
