using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Functions;

/// <summary>
/// Translates PostgreSQL's advanced regular expressions to .NET's syntax. What differs: classes in brackets, \m \M \y \Y \&lt; \&gt;, no special
/// meaning of a backslash's letters beyond those, $ without a line end before it. Leftmost-longest matching of alternatives is not imitated.
/// </summary>
internal static class PosixPattern
{
    private const string Pair = @"(?:[\uD800-\uDBFF][\uDC00-\uDFFF]|";

    public static string Translate(string p, bool newlineDot)
    {
        if (p.StartsWith("***=", StringComparison.Ordinal))
        {
            return System.Text.RegularExpressions.Regex.Escape(p[4..]);
        }

        if (p.StartsWith("***:", StringComparison.Ordinal))
        {
            p = p[4..];
        }

        var b = new StringBuilder(p.Length + 8);
        for (int i = 0; i < p.Length; i++)
        {
            char c = p[i];
            switch (c)
            {
                case '\\' when i + 1 < p.Length:
                    Escape(b, p, ref i);
                    break;
                case '\\':
                    throw new PgException("2201B", "invalid regular expression: invalid escape \\ sequence");
                case '.':
                    // A character beyond the first plane is two units in .NET.
                    b.Append(newlineDot ? Pair + "[^\\n])" : Pair + ".)");
                    break;
                case '[':
                    Bracket(b, p, ref i, newlineDot);
                    break;
                case '$':
                    // .NET's would also match before a last line feed.
                    b.Append(newlineDot ? "$" : "(?!\\n)$");
                    break;
                default:
                    b.Append(c);
                    break;
            }
        }

        return b.ToString();
    }

    private static void Escape(StringBuilder b, string p, ref int i)
    {
        char c = p[++i];
        b.Append(c switch
        {
            'm' => @"\b(?=\w)",
            'M' => @"\b(?<=\w)",
            '<' => @"\b(?=\w)",
            '>' => @"\b(?<=\w)",
            'y' => @"\b",
            'Y' => @"\B",
            'A' => @"\A",
            'Z' => @"\z",
            _ => "\\" + c,
        });
    }

    private static void Bracket(StringBuilder b, string p, ref int i, bool newlineDot)
    {
        // [[:<:]] and [[:>:]] are the beginning and the end of a word.
        if (string.CompareOrdinal(p, i, "[[:<:]]", 0, 7) == 0 || string.CompareOrdinal(p, i, "[[:>:]]", 0, 7) == 0)
        {
            b.Append(p[i + 3] == '<' ? @"\b(?=\w)" : @"\b(?<=\w)");
            i += 6;
            return;
        }

        i++;
        bool negated = i < p.Length && p[i] == '^';
        b.Append(negated ? Pair + "[" : "[");
        if (negated)
        {
            b.Append(newlineDot ? "^\\n" : "^");
            i++;
        }

        bool first = true;
        for (; i < p.Length && (first || p[i] != ']'); i++, first = false)
        {
            if (p[i] == '[' && i + 1 < p.Length && p[i + 1] is ':' or '.' or '=')
            {
                char kind = p[i + 1];
                int end = p.IndexOf(kind + "]", i + 2, StringComparison.Ordinal);
                if (end < 0)
                {
                    throw new PgException("2201B", "invalid regular expression: brackets [] not balanced");
                }

                string name = p[(i + 2)..end];
                b.Append(kind == ':' ? Class(name) : System.Text.RegularExpressions.Regex.Escape(name));
                i = end + 1;
            }
            else if (p[i] == '\\' && i + 1 < p.Length)
            {
                b.Append('\\').Append(p[++i]);
            }
            else if (p[i] is '[' or ']')
            {
                b.Append('\\').Append(p[i]);
            }
            else if (p[i] == '-' && i + 1 < p.Length && p[i + 1] == '[')
            {
                // Subtraction is .NET's alone.
                b.Append("\\-");
            }
            else
            {
                b.Append(p[i]);
            }
        }

        if (i >= p.Length)
        {
            throw new PgException("2201B", "invalid regular expression: brackets [] not balanced");
        }

        b.Append(negated ? "])" : "]");
    }

    private static string Class(string name) => name switch
    {
        "alpha" => @"\p{L}",
        "digit" => @"\d",
        "alnum" => @"\p{L}\p{Nd}",
        "upper" => @"\p{Lu}",
        "lower" => @"\p{Ll}",
        "space" => @"\s",
        "blank" => @" \t",
        "punct" => "!-/:-@\\[-`{-~",
        "cntrl" => @"\x00-\x1f\x7f",
        "xdigit" => "0-9A-Fa-f",
        "graph" => @"\x21-\x7e\p{L}\p{N}",
        "print" => @"\x20-\x7e\p{L}\p{N}",
        "word" => @"\w",
        _ => throw new PgException("2201B", "invalid regular expression: invalid character class"),
    };
}

/// <summary>Patterns of SIMILAR TO as POSIX ones (similar_escape).</summary>
internal static class SimilarPattern
{
    public static Datum Convert(string p, string? escape)
    {
        string e = escape ?? "\\";
        if (e.EnumerateRunes().Count() > 1)
        {
            throw new PgException("22025", "invalid escape string") { Hint = "Escape string must be empty or one character." };
        }

        var b = new StringBuilder("^(?:");
        bool inBracket = false;
        int quotes = 0;
        for (int i = 0; i < p.Length; i++)
        {
            char c = p[i];
            if (e.Length == 1 && c == e[0] && i + 1 < p.Length)
            {
                char next = p[++i];
                if (next == '"' && !inBracket)
                {
                    // The part between the two marks is what substring() gives.
                    b.Append(quotes++ == 0 ? "){1,1}?(" : "){1,1}(?:");
                }
                else
                {
                    b.Append('\\').Append(next);
                }
            }
            else if (inBracket)
            {
                b.Append(c == '\\' ? "\\\\" : c.ToString());
                inBracket = c != ']';
            }
            else
            {
                b.Append(c switch
                {
                    '[' => "[",
                    '%' => ".*",
                    '_' => ".",
                    '(' => "(?:",
                    '\\' or '.' or '^' or '$' => "\\" + c,
                    _ => c.ToString(),
                });
                inBracket = c == '[';
            }
        }

        return Datum.FromText(b.Append(")$").ToString());
    }
}
