using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>LIKE and ILIKE (like.c): on bytes, since UTF-8 keeps characters apart.</summary>
internal static class PatternFunctions
{
    public static void Add(FunctionTable t)
    {
        t.F2("textlike", static (a, b, _) => Datum.FromBool(Like(a.Bytes, b.Bytes)));
        t.F2("textnlike", static (a, b, _) => Datum.FromBool(!Like(a.Bytes, b.Bytes)));
        t.F2("namelike", static (a, b, _) => Datum.FromBool(Like(Comparators.NameBytes(a), b.Bytes)));
        t.F2("namenlike", static (a, b, _) => Datum.FromBool(!Like(Comparators.NameBytes(a), b.Bytes)));
        t.F2("bytealike", static (a, b, _) => Datum.FromBool(LikeBytes(a.Bytes, b.Bytes)));
        t.F2("byteanlike", static (a, b, _) => Datum.FromBool(!LikeBytes(a.Bytes, b.Bytes)));
        Fold(t, "texticlike", false, static d => d.Bytes);
        Fold(t, "texticnlike", true, static d => d.Bytes);
        Fold(t, "nameiclike", false, static d => Comparators.NameBytes(d).ToArray());
        Fold(t, "nameicnlike", true, static d => Comparators.NameBytes(d).ToArray());
        t.F2("like_escape", static (a, b, _) => Escape(TextFunctions.Str(a), TextFunctions.Str(b)));
    }

    private static void Fold(FunctionTable t, string name, bool negate, Func<Datum, byte[]> bytes) => t.Bound(name, b =>
    {
        Collation c = b.Collation ?? Collation.C;
        return SqlFunction.Of(name, (x, y, _) => Datum.FromBool(Like(Lower(bytes(x), c), Lower(y.Bytes, c)) != negate));
    });

    private static byte[] Lower(byte[] s, Collation c)
    {
        char[] chars = Encoding.UTF8.GetChars(s);
        for (int i = 0; i < chars.Length; i++)
        {
            chars[i] = c.ToLower(chars[i]);
        }

        return Encoding.UTF8.GetBytes(chars);
    }

    /// <summary>Whether text matches a pattern: % any text, _ one character, \ makes the next one plain.</summary>
    /// <exception cref="PgException">22025: the pattern ends with the escape.</exception>
    public static bool Like(ReadOnlySpan<byte> s, ReadOnlySpan<byte> p) => Match(s, p, characters: true);

    private static bool LikeBytes(ReadOnlySpan<byte> s, ReadOnlySpan<byte> p) => Match(s, p, characters: false);

    private static bool Match(ReadOnlySpan<byte> s, ReadOnlySpan<byte> p, bool characters)
    {
        int i = 0;
        int k = 0;
        int starPattern = -1;
        int starText = 0;
        while (true)
        {
            if (k < p.Length && p[k] == (byte)'%')
            {
                // Come back here when what follows fails: the % then takes one byte more.
                starPattern = ++k;
                starText = i;
                if (k == p.Length)
                {
                    return true;
                }

                continue;
            }

            bool fits = false;
            if (k < p.Length && i < s.Length)
            {
                if (p[k] == (byte)'_')
                {
                    i += characters ? CharacterLength(s, i) : 1;
                    k++;
                    fits = true;
                }
                else
                {
                    int at = p[k] == (byte)'\\' ? k + 1 : k;
                    if (at == p.Length)
                    {
                        throw EndsWithEscape();
                    }

                    fits = p[at] == s[i];
                    if (fits)
                    {
                        i++;
                        k = at + 1;
                    }
                }
            }
            else if (k == p.Length && i == s.Length)
            {
                return true;
            }

            if (fits)
            {
                continue;
            }

            if (starPattern < 0 || starText >= s.Length)
            {
                return false;
            }

            starText += characters ? CharacterLength(s, starText) : 1;
            i = starText;
            k = starPattern;
        }
    }

    private static int CharacterLength(ReadOnlySpan<byte> s, int at)
    {
        int n = 1;
        while (at + n < s.Length && (s[at + n] & 0xC0) == 0x80)
        {
            n++;
        }

        return n;
    }

    private static PgException EndsWithEscape() => new("22025", "LIKE pattern must not end with escape character");

    // A pattern with another escape character as one with the backslash.
    private static Datum Escape(string p, string escape)
    {
        if (escape.Length == 0)
        {
            return Datum.FromText(p.Replace("\\", "\\\\", StringComparison.Ordinal));
        }

        if (escape.EnumerateRunes().Count() != 1)
        {
            throw new PgException("22025", "invalid escape string") { Hint = "Escape string must be empty or one character." };
        }

        if (escape == "\\")
        {
            return Datum.FromText(p);
        }

        Rune e = Rune.GetRuneAt(escape, 0);
        var b = new StringBuilder(p.Length);
        bool after = false;
        foreach (Rune r in p.EnumerateRunes())
        {
            if (r == e && !after)
            {
                b.Append('\\');
                after = true;
                continue;
            }

            if (r.Value == '\\' && !after)
            {
                b.Append('\\');
            }

            b.Append(r.ToString());
            after = false;
        }

        return Datum.FromText(b.ToString());
    }
}
