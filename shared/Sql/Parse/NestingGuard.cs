using SharedStorage.Primitives;

namespace SharedStorage.Sql.Parse;

/// <summary>
/// Bounds how deep the parse tree of a query string can become, before the parser is called: the parser and its serializer recurse in C, where a stack
/// overflow would end the process. The bound is by tokens: every level of a tree costs one, and lists (commas, AND, OR) add no level.
/// </summary>
internal static class NestingGuard
{
    /// <summary>Far beyond what people write, and about where stock PostgreSQL's stack of 2 MB ends.</summary>
    public const int MaxDepth = 6_000;

    private const int MaxParentheses = 5_000;

    /// <summary>An upper bound of the tree's depth.</summary>
    /// <exception cref="PgException">54001 when the string may nest too deep.</exception>
    public static int Measure(ReadOnlySpan<byte> sql)
    {
        int peak = 0;
        Span<int> saved = stackalloc int[64];
        int[]? more = null;
        int level = 0, tokens = 0, i = 0;
        while (i < sql.Length)
        {
            byte c = sql[i];
            int start = i;
            i = SkipToken(sql, i);
            switch (c)
            {
                case (byte)'(' or (byte)'[':
                    if (level >= MaxParentheses)
                    {
                        throw TooDeep();
                    }

                    if (level >= saved.Length && more is null)
                    {
                        more = new int[MaxParentheses];
                    }

                    tokens++;
                    if (level < saved.Length)
                    {
                        saved[level] = tokens;
                    }
                    else
                    {
                        more![level] = tokens;
                    }

                    level++;
                    break;
                case (byte)')' or (byte)']':
                    if (level > 0)
                    {
                        level--;
                        tokens = level < saved.Length ? saved[level] : more![level];
                    }

                    break;
                case (byte)',' or (byte)';':
                    tokens = Base(saved, more, level);
                    break;
                case <= (byte)' ':
                    break;
                default:
                    tokens = IsListWord(sql[start..i]) ? Base(saved, more, level) : tokens + 1;
                    break;
            }

            peak = Math.Max(peak, tokens);
            if (peak > MaxDepth)
            {
                throw TooDeep();
            }
        }

        return peak;
    }

    public static PgException TooDeep() => new(SqlStates.StatementTooComplex, "stack depth limit exceeded")
    {
        Hint = "The statement nests too deep. Break it into several statements.",
    };

    private static int Base(ReadOnlySpan<int> saved, int[]? more, int level) =>
        level == 0 ? 0 : level - 1 < saved.Length ? saved[level - 1] : more![level - 1];

    private static bool IsListWord(ReadOnlySpan<byte> word) =>
        (word.Length == 3 && (word[0] | 0x20) == 'a' && (word[1] | 0x20) == 'n' && (word[2] | 0x20) == 'd')
        || (word.Length == 2 && (word[0] | 0x20) == 'o' && (word[1] | 0x20) == 'r');

    /// <summary>The offset after the token at <paramref name="i"/>: a quoted string, a comment, a word, or one byte.</summary>
    private static int SkipToken(ReadOnlySpan<byte> sql, int i)
    {
        byte c = sql[i];
        if (c is (byte)'\'' or (byte)'"')
        {
            bool escapes = c == '\'' && i > 0 && (sql[i - 1] | 0x20) == 'e';
            return SkipQuoted(sql, i + 1, c, escapes);
        }

        if (c == '-' && i + 1 < sql.Length && sql[i + 1] == '-')
        {
            int end = sql[i..].IndexOf((byte)'\n');
            return end < 0 ? sql.Length : i + end;
        }

        if (c == '$' && SkipDollarQuoted(sql, i) is > 0 and int next)
        {
            return next;
        }

        if (!IsWord(c))
        {
            return i + 1;
        }

        // "E'...'" leaves its letter for the quote to see.
        while (i < sql.Length && IsWord(sql[i]))
        {
            i++;
        }

        return i;
    }

    private static bool IsWord(byte c) => char.IsAsciiLetterOrDigit((char)c) || c == '_' || c >= 0x80;

    private static int SkipQuoted(ReadOnlySpan<byte> sql, int i, byte quote, bool escapes)
    {
        while (i < sql.Length)
        {
            if (escapes && sql[i] == '\\')
            {
                i += 2;
            }
            else if (sql[i++] == quote)
            {
                return i;
            }
        }

        return sql.Length;
    }

    private static int SkipDollarQuoted(ReadOnlySpan<byte> sql, int i)
    {
        int tagEnd = i + 1;
        while (tagEnd < sql.Length && IsWord(sql[tagEnd]))
        {
            tagEnd++;
        }

        if (tagEnd >= sql.Length || sql[tagEnd] != '$' || (tagEnd > i + 1 && char.IsAsciiDigit((char)sql[i + 1])))
        {
            return 0;
        }

        ReadOnlySpan<byte> tag = sql[i..(tagEnd + 1)];
        int end = sql[(tagEnd + 1)..].IndexOf(tag);
        return end < 0 ? sql.Length : tagEnd + 1 + end + tag.Length;
    }
}
