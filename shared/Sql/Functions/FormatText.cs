using System.Globalization;
using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>format(): %s, %I, %L with position, width and left alignment (text_format in varlena.c).</summary>
internal static class FormatText
{
    public static Datum Format(string format, ReadOnlySpan<Datum> values, ReadOnlySpan<PgType> types, EvalContext c)
    {
        var b = new StringBuilder();
        int next = 0;
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%')
            {
                b.Append(format[i]);
                continue;
            }

            i++;
            if (i < format.Length && format[i] == '%')
            {
                b.Append('%');
                continue;
            }

            Specifier s = Parse(format, ref i);
            int width = s.Width;
            if (s.IndirectWidth)
            {
                int at = s.WidthPosition > 0 ? s.WidthPosition - 1 : next++;
                Check(at, values.Length);
                width = values[at].IsNull ? 0 : int.Parse(types[at].OutputText(values[at], c), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
            }

            int index = s.Position > 0 ? s.Position - 1 : next;
            next = index + 1;
            Check(index, values.Length);
            string text = Convert(s.Type, values[index], types[index], c);
            bool left = s.Left || width < 0;
            b.Append(left ? text.PadRight(Math.Abs(width)) : text.PadLeft(Math.Abs(width)));
        }

        return Datum.FromText(b.ToString());
    }

    private static void Check(int index, int count)
    {
        if (index >= count)
        {
            throw new PgException(SqlStates.InvalidParameterValue, "too few arguments for format()");
        }
    }

    private static string Convert(char type, Datum value, PgType valueType, EvalContext c)
    {
        if (value.IsNull)
        {
            return type switch
            {
                'L' => "NULL",
                'I' => throw new PgException("22004", "null values cannot be formatted as an SQL identifier"),
                _ => "",
            };
        }

        string text = valueType.OutputText(value, c);
        return type switch { 'L' => Quoting.Literal(text), 'I' => Quoting.Identifier(text, c.QuoteAllIdentifiers), _ => text };
    }

    private static Specifier Parse(string format, ref int i)
    {
        var s = new Specifier();
        int start = i;
        if (Digits(format, ref i) is { } n)
        {
            if (i < format.Length && format[i] == '$')
            {
                s.Position = n > 0 ? n : throw new PgException(SqlStates.InvalidParameterValue, "format specifies argument 0, but arguments are numbered from 1");
                i++;
            }
            else
            {
                i = start;
            }
        }

        while (i < format.Length && format[i] == '-')
        {
            s.Left = true;
            i++;
        }

        if (i < format.Length && format[i] == '*')
        {
            i++;
            s.IndirectWidth = true;
            if (Digits(format, ref i) is { } p)
            {
                s.WidthPosition = p > 0 ? p : throw new PgException(SqlStates.InvalidParameterValue, "format specifies argument 0, but arguments are numbered from 1");
                if (i >= format.Length || format[i] != '$')
                {
                    throw new PgException(SqlStates.InvalidParameterValue, "width argument position must be ended by \"$\"");
                }

                i++;
            }
        }
        else
        {
            s.Width = Digits(format, ref i) ?? 0;
        }

        if (i >= format.Length)
        {
            throw new PgException(SqlStates.InvalidParameterValue, "unterminated format() type specifier") { Hint = "For a single \"%\" use \"%%\"." };
        }

        s.Type = format[i] is 's' or 'I' or 'L'
            ? format[i]
            : throw new PgException(SqlStates.InvalidParameterValue, $"unrecognized format() type specifier \"{Rune.GetRuneAt(format, i)}\"")
            {
                Hint = "For a single \"%\" use \"%%\".",
            };
        return s;
    }

    private static int? Digits(string format, ref int i)
    {
        int start = i;
        while (i < format.Length && char.IsAsciiDigit(format[i]))
        {
            i++;
        }

        if (i == start)
        {
            return null;
        }

        return int.TryParse(format.AsSpan(start, i - start), NumberStyles.None, CultureInfo.InvariantCulture, out int v)
            ? v
            : throw new PgException(SqlStates.NumericValueOutOfRange, "number is out of range");
    }

    private struct Specifier
    {
        public int Position;
        public bool Left;
        public int Width;
        public bool IndirectWidth;
        public int WidthPosition;
        public char Type;
    }
}
