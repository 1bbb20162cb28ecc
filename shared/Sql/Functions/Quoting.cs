using System.Text;

namespace SharedStorage.Sql.Functions;

/// <summary>Quotes identifiers and literals so that the parser reads them back (quote.c, ruleutils.c).</summary>
public static class Quoting
{
    // Words that PostgreSQL 15's grammar treats specially wherever an identifier may stand; all but the unreserved ones.
    private static readonly HashSet<string> Keywords = new(
        """
        all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char character check
        coalesce collate collation column concurrently constraint create cross current_catalog current_date current_role current_schema current_time
        current_timestamp current_user dec decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign
        freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull join
        lateral leading least left like limit localtime localtimestamp national natural nchar none normalize not notnull null nullif numeric offset
        on only or order out outer overlaps overlay placing position precision primary real references returning right row select session_user setof
        similar smallint some substring symmetric table tablesample then time timestamp to trailing treat trim true union unique user using values
        varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
        xmlserialize xmltable
        """.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries), StringComparer.Ordinal);

    public static string Identifier(string name, bool always = false)
    {
        bool safe = name.Length > 0 && (char.IsAsciiLetterLower(name[0]) || name[0] == '_')
            && name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_') && !Keywords.Contains(name);
        return safe && !always ? name : "\"" + name.Replace("\"", "\"\"", StringComparison.Ordinal) + "\"";
    }

    public static string Qualified(string schema, string name) => Identifier(schema) + "." + Identifier(name);

    public static string Literal(string s)
    {
        string quoted = "'" + s.Replace("'", "''", StringComparison.Ordinal).Replace("\\", "\\\\", StringComparison.Ordinal) + "'";
        return s.Contains('\\', StringComparison.Ordinal) ? "E" + quoted : quoted;
    }

    /// <summary>The parts of a possibly quoted and qualified name ("a.\"B\""); null when it is malformed.</summary>
    public static List<string>? SplitName(string text)
    {
        var parts = new List<string>();
        int i = 0;
        while (true)
        {
            while (i < text.Length && char.IsWhiteSpace(text[i]))
            {
                i++;
            }

            if (i >= text.Length)
            {
                return null;
            }

            var b = new StringBuilder();
            if (text[i] == '"')
            {
                i++;
                while (true)
                {
                    int end = text.IndexOf('"', i);
                    if (end < 0)
                    {
                        return null;
                    }

                    b.Append(text, i, end - i);
                    i = end + 1;
                    if (i < text.Length && text[i] == '"')
                    {
                        b.Append('"');
                        i++;
                        continue;
                    }

                    break;
                }
            }
            else
            {
                while (i < text.Length && text[i] != '.' && !char.IsWhiteSpace(text[i]))
                {
                    b.Append(char.ToLowerInvariant(text[i++]));
                }
            }

            if (b.Length == 0)
            {
                return null;
            }

            parts.Add(b.ToString());
            while (i < text.Length && char.IsWhiteSpace(text[i]))
            {
                i++;
            }

            if (i >= text.Length)
            {
                return parts;
            }

            if (text[i++] != '.')
            {
                return null;
            }
        }
    }
}
