using SharedStorage.Primitives;
using SharedStorage.Sql.Session;
using Pg = PgQuery;

namespace SharedStorage.Sql.Commands;

/// <summary>The options of COPY (copy.c ProcessCopyOptions).</summary>
internal sealed class CopyOptions
{
    public bool Csv { get; private init; }
    public byte Delimiter { get; private init; } = (byte)'\t';
    public byte[] Null { get; private init; } = "\\N"u8.ToArray();
    public byte Quote { get; private init; } = (byte)'"';
    public byte Escape { get; private init; } = (byte)'"';
    public bool Header { get; private init; }
    public bool HeaderMatch { get; private init; }
    public bool Freeze { get; private init; }
    public bool ForceQuoteAll { get; private init; }
    public HashSet<string> ForceQuote { get; } = new(StringComparer.Ordinal);
    public HashSet<string> ForceNotNull { get; } = new(StringComparer.Ordinal);
    public HashSet<string> ForceNull { get; } = new(StringComparer.Ordinal);

    public static CopyOptions Read(IReadOnlyList<Pg.Node> nodes, bool isFrom)
    {
        var values = new Dictionary<string, Pg.Node?>(StringComparer.Ordinal);
        foreach (Pg.DefElem option in nodes.Select(n => n.DefElem))
        {
            if (!values.TryAdd(option.Defname, option.Arg))
            {
                throw new PgException(SqlStates.SyntaxError, "conflicting or redundant options");
            }
        }

        string format = values.TryGetValue("format", out Pg.Node? f) ? SqlSession.SettingText(f) : "text";
        bool csv = format switch
        {
            "csv" => true,
            "text" => false,
            "binary" => throw PgException.NotSupported("COPY in binary format"),
            _ => throw new PgException(SqlStates.InvalidParameterValue, $"COPY format \"{format}\" not recognized"),
        };
        string? Value(string name) => values.TryGetValue(name, out Pg.Node? node) ? SqlSession.SettingText(node) : null;
        string header = values.TryGetValue("header", out Pg.Node? h) ? h is null ? "on" : SqlSession.SettingText(h) : "off";
        byte quote = One(Value("quote"), "quote", (byte)'"');
        var result = new CopyOptions
        {
            Csv = csv,
            Delimiter = One(Value("delimiter"), "delimiter", csv ? (byte)',' : (byte)'\t'),
            Null = System.Text.Encoding.UTF8.GetBytes(Value("null") ?? (csv ? "" : "\\N")),
            Quote = quote,
            Escape = One(Value("escape"), "escape", quote),
            Header = header is "on" or "true" or "1" or "match",
            HeaderMatch = header == "match",
            Freeze = values.TryGetValue("freeze", out Pg.Node? z) && (z is null || SessionSettings.ParseBool(SqlSession.SettingText(z)) == true),
            ForceQuoteAll = values.TryGetValue("force_quote", out Pg.Node? q) && q?.NodeCase == Pg.Node.NodeOneofCase.AStar,
        };
        Names(values, "force_quote", result.ForceQuote);
        Names(values, "force_not_null", result.ForceNotNull);
        Names(values, "force_null", result.ForceNull);
        Check(result, values, isFrom);
        return result;
    }

    private static void Check(CopyOptions o, Dictionary<string, Pg.Node?> values, bool isFrom)
    {
        foreach (string name in values.Keys)
        {
            bool known = name is "format" or "freeze" or "delimiter" or "null" or "header" or "quote" or "escape" or "force_quote" or "force_not_null" or "force_null" or "encoding";
            if (!known)
            {
                throw new PgException(SqlStates.SyntaxError, $"option \"{name}\" not recognized");
            }

            if (!o.Csv && name is "quote" or "escape" or "force_quote" or "force_not_null" or "force_null")
            {
                throw new PgException(SqlStates.FeatureNotSupported, $"COPY {name.Replace('_', ' ')} available only in CSV mode");
            }
        }

        if (values.TryGetValue("encoding", out Pg.Node? encoding)
            && SqlSession.SettingText(encoding).Replace("-", "", StringComparison.Ordinal).ToUpperInvariant() is not ("UTF8" or "SQL_ASCII"))
        {
            throw PgException.NotSupported("COPY with another encoding than UTF8");
        }

        if (o.Delimiter is (byte)'\n' or (byte)'\r' || (!o.Csv && (o.Delimiter == '\\' || o.Delimiter == '.' || char.IsAsciiLetterOrDigit((char)o.Delimiter))))
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"COPY delimiter cannot be \"{(char)o.Delimiter}\"");
        }

        if (o.Freeze && !isFrom)
        {
            throw new PgException(SqlStates.FeatureNotSupported, "COPY freeze only available using COPY FROM");
        }
    }

    private static void Names(Dictionary<string, Pg.Node?> values, string name, HashSet<string> into)
    {
        if (values.TryGetValue(name, out Pg.Node? node) && node?.NodeCase == Pg.Node.NodeOneofCase.List)
        {
            into.UnionWith(node.List.Items.Select(SqlSession.SettingText));
        }
    }

    private static byte One(string? text, string name, byte otherwise) => text is null ? otherwise
        : text.Length == 1 && text[0] < 0x80 ? (byte)text[0]
        : throw new PgException(SqlStates.FeatureNotSupported, $"COPY {name} must be a single one-byte character");
}
