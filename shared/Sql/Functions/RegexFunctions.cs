using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>POSIX regular expressions on .NET's engine: ~ and its like, regexp_* functions (regexp.c).</summary>
internal static class RegexFunctions
{
    private const string RegexState = "2201B";
    private const int CacheLimit = 256;

    // A pattern that backtracks for ever must not hold a session for ever.
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);
    private static readonly ConcurrentDictionary<(string Pattern, RegexOptions Options), Regex> Cache = new();

    public static void Add(FunctionTable t)
    {
        AddOperators(t, "textregexeq", "textregexne", "texticregexeq", "texticregexne", static d => TextFunctions.Str(d));
        AddOperators(t, "nameregexeq", "nameregexne", "nameicregexeq", "nameicregexne", static d => d.AsText());
        t.F2("regexp_like_no_flags", static (a, b, _) => Datum.FromBool(Compile(b, "").IsMatch(TextFunctions.Str(a))));
        t.F3("regexp_like", static (a, b, c, _) => Datum.FromBool(Compile(b, Flags(c, "regexp_like()", out bool _)).IsMatch(TextFunctions.Str(a))));
        t.F3("textregexreplace_noopt", static (a, b, c, _) => Replace(a, Compile(b, ""), c, 0, 1));
        t.FN("textregexreplace", static (a, _) => ReplaceWithFlags(a));
        t.FN("textregexreplace_extended", static (a, _) =>
        {
            (int start, int n) = (Start(a[3]), Nth(a[4]));
            return Replace(a[0], Compile(a[1], Flags(a[5], "regexp_replace()", out bool _)), a[2], start, n);
        });
        t.FN("textregexreplace_extended_no_flags", static (a, _) => Replace(a[0], Compile(a[1], ""), a[2], Start(a[3]), Nth(a[4])));
        t.FN("textregexreplace_extended_no_n", static (a, _) => Replace(a[0], Compile(a[1], ""), a[2], Start(a[3]), 1));
        t.F2("textregexsubstr", static (a, b, _) => Substring(a, Compile(b, "")));
        t.F2("regexp_match_no_flags", static (a, b, _) => FirstMatch(a, Compile(b, "")));
        t.F3("regexp_match", static (a, b, c, _) => FirstMatch(a, Compile(b, Flags(c, "regexp_match()", out bool global)), global));
        t.F2("regexp_split_to_array_no_flags", static (a, b, _) => ArrayFunctions.TextArray(Split(a, Compile(b, ""))));
        t.F3("regexp_split_to_array", static (a, b, c, _) => ArrayFunctions.TextArray(Split(a, Compile(b, SplitFlags(c, "regexp_split_to_array()")))));
        t.F2("regexp_count_no_start", static (a, b, _) => Datum.FromInt32(Compile(b, "").Count(TextFunctions.Str(a))));
        t.F3("regexp_count_no_flags", static (a, b, c, _) => Datum.FromInt32(Compile(b, "").Matches(TextFunctions.Str(a), Offset(a, Start(c))).Count));
        t.F2("regexp_substr_no_start", static (a, b, _) => Compile(b, "").Match(TextFunctions.Str(a)) is { Success: true } m ? Datum.FromText(m.Value) : Datum.Null);
        t.F2("similar_to_escape_2", static (a, b, _) => SimilarPattern.Convert(TextFunctions.Str(a), TextFunctions.Str(b)));
        t.F1("similar_to_escape_1", static (a, _) => SimilarPattern.Convert(TextFunctions.Str(a), null));
        t.F2("similar_escape", static (a, b, _) => a.IsNull ? a : SimilarPattern.Convert(TextFunctions.Str(a), b.IsNull ? null : TextFunctions.Str(b)));
        t.Sql(2074, SqlFunction.Of("substring", static (a, b, c, _) =>
            Substring(a, Compile(SimilarPattern.Convert(TextFunctions.Str(b), TextFunctions.Str(c)), ""))));
    }

    public static void AddSets(Dictionary<string, Func<FunctionBinding, SetFunction>> t)
    {
        void Add(string name, Func<Datum[], EvalContext, SetRows> call) => t.Add(name, _ => new SetFunction(name, 1, call));
        Add("regexp_matches_no_flags", static (a, _) => Matches(a[0], Compile(a[1], ""), global: false));
        Add("regexp_matches", static (a, _) => Matches(a[0], Compile(a[1], Flags(a[2], "regexp_matches()", out bool global)), global));
        Add("regexp_split_to_table_no_flags", static (a, _) => new ListRows(Split(a[0], Compile(a[1], ""))));
        Add("regexp_split_to_table", static (a, _) => new ListRows(Split(a[0], Compile(a[1], SplitFlags(a[2], "regexp_split_to_table()")))));
    }

    private static void AddOperators(FunctionTable t, string eq, string ne, string icEq, string icNe, Func<Datum, string> text)
    {
        t.F2(eq, (a, b, _) => Datum.FromBool(Compile(b, "").IsMatch(text(a))));
        t.F2(ne, (a, b, _) => Datum.FromBool(!Compile(b, "").IsMatch(text(a))));
        t.F2(icEq, (a, b, _) => Datum.FromBool(Compile(b, "i").IsMatch(text(a))));
        t.F2(icNe, (a, b, _) => Datum.FromBool(!Compile(b, "i").IsMatch(text(a))));
    }

    /// <exception cref="PgException">2201B: the expression is invalid.</exception>
    private static Regex Compile(Datum pattern, string flags)
    {
        string p = TextFunctions.Str(pattern);
        RegexOptions options = RegexOptions.CultureInvariant;
        bool literal = false;
        bool newlineSensitive = false;
        bool newlineDot = false;
        foreach (char f in flags)
        {
            switch (f)
            {
                case 'i': options |= RegexOptions.IgnoreCase; break;
                case 'c': options &= ~RegexOptions.IgnoreCase; break;
                case 'x': options |= RegexOptions.IgnorePatternWhitespace; break;
                case 'n' or 'm': (newlineSensitive, newlineDot) = (true, true); break;
                case 'p': newlineDot = true; break;
                case 'w': newlineSensitive = true; break;
                case 's': (newlineSensitive, newlineDot) = (false, false); break;
                case 'q': literal = true; break;
                case 'b': throw PgException.NotSupported("a basic regular expression (option b)");
                case 'e' or 't': break;
                default: break;
            }
        }

        options |= newlineSensitive ? RegexOptions.Multiline : 0;
        options |= newlineDot ? 0 : RegexOptions.Singleline;
        if (Cache.TryGetValue((flags + "\0" + p, options), out Regex? cached))
        {
            return cached;
        }

        Regex regex;
        try
        {
            regex = new Regex(literal ? Regex.Escape(p) : PosixPattern.Translate(p, newlineDot), options, Timeout);
        }
        catch (ArgumentException e)
        {
            throw new PgException(RegexState, $"invalid regular expression: {Reason(e)}");
        }

        if (Cache.Count > CacheLimit)
        {
            Cache.Clear();
        }

        Cache[(flags + "\0" + p, options)] = regex;
        return regex;
    }

    private static string Reason(ArgumentException e) => (e as RegexParseException)?.Error switch
    {
        RegexParseError.InsufficientClosingParentheses or RegexParseError.InsufficientOpeningParentheses => "parentheses () not balanced",
        RegexParseError.UnterminatedBracket => "brackets [] not balanced",
        RegexParseError.QuantifierAfterNothing or RegexParseError.NestedQuantifiersNotParenthesized => "quantifier operand invalid",
        RegexParseError.ReversedQuantifierRange => "invalid repetition count(s)",
        RegexParseError.ReversedCharacterRange => "invalid character range",
        RegexParseError.UndefinedNumberedReference => "invalid backreference number",
        _ => "invalid escape \\ sequence",
    };

    private static string Flags(Datum flags, string function, out bool global)
    {
        string s = TextFunctions.Str(flags);
        global = s.Contains('g', StringComparison.Ordinal);
        foreach (System.Text.Rune r in s.EnumerateRunes())
        {
            if (!r.IsAscii || !"gbicxnmpwsqet".Contains((char)r.Value, StringComparison.Ordinal))
            {
                throw new PgException(SqlStates.InvalidParameterValue, $"invalid regular expression option: \"{r}\"");
            }
        }

        _ = function;
        return s.Replace("g", "", StringComparison.Ordinal);
    }

    private static string SplitFlags(Datum flags, string function)
    {
        string s = Flags(flags, function, out bool global);
        return global ? throw new PgException(SqlStates.InvalidParameterValue, $"{function} does not support the \"global\" option") : s;
    }

    private static int Start(Datum d) => d.Int32 > 0
        ? d.Int32 - 1
        : throw new PgException(SqlStates.InvalidParameterValue, $"invalid value for parameter \"start\": {d.Int32}");

    private static int Nth(Datum d) => d.Int32 >= 0
        ? d.Int32
        : throw new PgException(SqlStates.InvalidParameterValue, $"invalid value for parameter \"n\": {d.Int32}");

    // Characters to UTF-16 units.
    private static int Offset(Datum text, int characters)
    {
        string s = TextFunctions.Str(text);
        int at = 0;
        while (characters-- > 0 && at < s.Length)
        {
            at += char.IsSurrogatePair(s, at) ? 2 : 1;
        }

        return at;
    }

    // An empty match between the two units of one character is none.
    private static bool IsInsidePair(string s, Match m) => m.Length == 0 && m.Index > 0 && m.Index < s.Length && char.IsSurrogatePair(s, m.Index - 1);

    private static Datum ReplaceWithFlags(ReadOnlySpan<Datum> a)
    {
        string s = TextFunctions.Str(a[3]);
        if (s.Length > 0 && char.IsAsciiDigit(s[0]))
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"invalid regular expression option: \"{s[0]}\"")
            {
                Hint = "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.",
            };
        }

        string flags = Flags(a[3], "regexp_replace()", out bool global);
        return Replace(a[0], Compile(a[1], flags), a[2], 0, global ? 0 : 1);
    }

    // The n-th match from a character on; 0 replaces all.
    private static Datum Replace(Datum text, Regex regex, Datum replacement, int start, int n)
    {
        string s = TextFunctions.Str(text);
        string with = TextFunctions.Str(replacement);
        if (start > TextScan.CountCharacters(text.Bytes))
        {
            return text;
        }

        int from = start == 0 ? 0 : Offset(text, start);
        var b = new System.Text.StringBuilder(s.Length);
        b.Append(s, 0, from);
        int at = from;
        int count = 0;
        for (Match m = regex.Match(s, from); m.Success; m = m.NextMatch())
        {
            if (IsInsidePair(s, m))
            {
                continue;
            }

            count++;
            if (n != 0 && count < n)
            {
                continue;
            }

            b.Append(s, at, m.Index - at);
            Expand(b, m, with);
            at = m.Index + m.Length;
            if (n != 0)
            {
                break;
            }
        }

        return at == 0 && count == 0 ? text : Datum.FromText(b.Append(s, at, s.Length - at).ToString());
    }

    // \1 to \9 are groups, \& is all, \\ a backslash.
    private static void Expand(System.Text.StringBuilder b, Match m, string with)
    {
        for (int i = 0; i < with.Length; i++)
        {
            if (with[i] != '\\' || i + 1 == with.Length)
            {
                b.Append(with[i]);
                continue;
            }

            char c = with[++i];
            if (c is >= '1' and <= '9')
            {
                b.Append(m.Groups[c - '0'].Value);
            }
            else if (c == '&')
            {
                b.Append(m.Value);
            }
            else if (c == '\\')
            {
                b.Append('\\');
            }
            else
            {
                b.Append('\\').Append(c);
            }
        }
    }

    private static Datum Substring(Datum text, Regex regex)
    {
        Match m = regex.Match(TextFunctions.Str(text));
        if (!m.Success)
        {
            return Datum.Null;
        }

        Group g = m.Groups.Count > 1 ? m.Groups[1] : m;
        return g.Success ? Datum.FromText(g.Value) : Datum.Null;
    }

    private static Datum FirstMatch(Datum text, Regex regex, bool global = false)
    {
        if (global)
        {
            throw new PgException(SqlStates.InvalidParameterValue, "regexp_match() does not support the \"global\" option")
            {
                Hint = "Use the regexp_matches function instead.",
            };
        }

        Match m = regex.Match(TextFunctions.Str(text));
        return m.Success ? Groups(m) : Datum.Null;
    }

    private static Datum Groups(Match m)
    {
        if (m.Groups.Count == 1)
        {
            return ArrayFunctions.TextArray([Datum.FromText(m.Value)]);
        }

        var values = new Datum[m.Groups.Count - 1];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = m.Groups[i + 1].Success ? Datum.FromText(m.Groups[i + 1].Value) : Datum.Null;
        }

        return ArrayFunctions.TextArray(values);
    }

    private static ListRows Matches(Datum text, Regex regex, bool global)
    {
        var rows = new List<Datum>();
        for (Match m = regex.Match(TextFunctions.Str(text)); m.Success; m = m.NextMatch())
        {
            rows.Add(Groups(m));
            if (!global)
            {
                break;
            }
        }

        return new ListRows(rows);
    }

    // Empty matches at the ends or right after another match do not split.
    private static Datum[] Split(Datum text, Regex regex)
    {
        string s = TextFunctions.Str(text);
        var parts = new List<Datum>();
        int at = 0;
        for (Match m = regex.Match(s); m.Success; m = m.NextMatch())
        {
            if ((m.Length == 0 && (m.Index == at || m.Index == s.Length)) || IsInsidePair(s, m))
            {
                continue;
            }

            parts.Add(Datum.FromText(s[at..m.Index]));
            at = m.Index + m.Length;
        }

        parts.Add(Datum.FromText(s[at..]));
        return [.. parts];
    }
}
