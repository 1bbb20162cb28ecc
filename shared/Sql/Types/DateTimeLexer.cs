using System.Text;

namespace SharedStorage.Sql.Types;

internal enum FieldKind
{
    Number,
    Word,
    Date,
    Time,
    Zone,
    Special,
}

internal readonly record struct DateField(FieldKind Kind, string Text);

/// <summary>Splits the text of a date, time or interval into fields by the rules of ParseDateTime; words come in lower case.</summary>
internal static class DateTimeLexer
{
    private const int MaxFields = 25;
    private const int MaxLength = 512;

    /// <summary>Null when the text has something that no date has.</summary>
    public static List<DateField>? Split(ReadOnlySpan<byte> text)
    {
        if (text.Length > MaxLength)
        {
            return null;
        }

        string s = Encoding.Latin1.GetString(text);
        var fields = new List<DateField>(8);
        int i = 0;
        while (i < s.Length)
        {
            char c = s[i];
            if (IsSpace(c))
            {
                i++;
                continue;
            }

            if (fields.Count >= MaxFields)
            {
                return null;
            }

            int start = i;
            if (char.IsAsciiDigit(c))
            {
                fields.Add(Numeric(s, ref i, start));
            }
            else if (c == '.')
            {
                i = Digits(s, i + 1);
                fields.Add(new DateField(FieldKind.Number, s[start..i]));
            }
            else if (char.IsAsciiLetter(c))
            {
                fields.Add(Word(s, ref i, start));
            }
            else if (c is '+' or '-')
            {
                if (Signed(s, ref i) is not { } field)
                {
                    return null;
                }

                fields.Add(field);
            }
            else if (char.IsAscii(c) && (char.IsPunctuation(c) || char.IsSymbol(c)))
            {
                i++;
            }
            else
            {
                return null;
            }
        }

        return fields;
    }

    private static bool IsSpace(char c) => c is ' ' or (>= '\t' and <= '\r');

    private static int Digits(string s, int i)
    {
        while (i < s.Length && char.IsAsciiDigit(s[i]))
        {
            i++;
        }

        return i;
    }

    private static DateField Numeric(string s, ref int i, int start)
    {
        i = Digits(s, i);
        char next = i < s.Length ? s[i] : '\0';
        if (next == ':')
        {
            i++;
            while (i < s.Length && (char.IsAsciiDigit(s[i]) || s[i] is ':' or '.'))
            {
                i++;
            }

            return new DateField(FieldKind.Time, s[start..i]);
        }

        if (next is not ('-' or '/' or '.'))
        {
            return new DateField(FieldKind.Number, s[start..i]);
        }

        i++;
        if (i < s.Length && char.IsAsciiDigit(s[i]))
        {
            FieldKind kind = next == '.' ? FieldKind.Number : FieldKind.Date;
            i = Digits(s, i);
            if (i < s.Length && s[i] == next)
            {
                kind = FieldKind.Date;
                i++;
                while (i < s.Length && (char.IsAsciiDigit(s[i]) || s[i] == next))
                {
                    i++;
                }
            }

            return new DateField(kind, s[start..i]);
        }

        while (i < s.Length && (char.IsAsciiLetterOrDigit(s[i]) || s[i] == next))
        {
            i++;
        }

        return new DateField(FieldKind.Date, s[start..i].ToLowerInvariant());
    }

    private static DateField Word(string s, ref int i, int start)
    {
        while (i < s.Length && char.IsAsciiLetter(s[i]))
        {
            i++;
        }

        string word = s[start..i].ToLowerInvariant();
        char next = i < s.Length ? s[i] : '\0';

        // Punctuation within: a date with a month's name, or the name of a zone. A digit or plus means so only after an unknown word.
        bool isDate = next is '-' or '/' or '.'
            || ((next == '+' || char.IsAsciiDigit(next)) && DateTimeTokens.Date(word).Kind == TokenKind.Unknown);
        if (!isDate)
        {
            return new DateField(FieldKind.Word, word);
        }

        do
        {
            i++;
        }
        while (i < s.Length && (s[i] is '+' or '-' or '/' or '_' or '.' or ':' || char.IsAsciiLetterOrDigit(s[i])));
        return new DateField(FieldKind.Date, s[start..i].ToLowerInvariant());
    }

    private static DateField? Signed(string s, ref int i)
    {
        char sign = s[i++];
        while (i < s.Length && IsSpace(s[i]))
        {
            i++;
        }

        int start = i;
        if (i < s.Length && char.IsAsciiDigit(s[i]))
        {
            while (i < s.Length && (char.IsAsciiDigit(s[i]) || s[i] is ':' or '.' or '-'))
            {
                i++;
            }

            return new DateField(FieldKind.Zone, sign + s[start..i]);
        }

        if (i < s.Length && char.IsAsciiLetter(s[i]))
        {
            while (i < s.Length && char.IsAsciiLetter(s[i]))
            {
                i++;
            }

            return new DateField(FieldKind.Special, (sign + s[start..i]).ToLowerInvariant());
        }

        return null;
    }
}
