using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>float8 and float4; a NaN equals itself and is above all else.</summary>
internal sealed class FloatType(bool single) : PgType
{
    /// <summary>The NaN that PostgreSQL stores; .NET's has the sign bit set.</summary>
    public static readonly double NaN = BitConverter.Int64BitsToDouble(0x7FF8000000000000);

    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        double v = Parse(text);
        return single ? Datum.FromSingle((float)v) : Datum.FromDouble(v);
    }

    public double Parse(ReadOnlySpan<byte> text)
    {
        ReadOnlySpan<byte> s = TextScan.Trim(text);
        if (Special(s) is { } special)
        {
            return special;
        }

        // The library takes more words than PostgreSQL does; a number begins with a digit, a point or a sign.
        int first = s.Length > 0 && s[0] is (byte)'-' or (byte)'+' ? 1 : 0;
        if (first >= s.Length || !(char.IsAsciiDigit((char)s[first]) || s[first] == (byte)'.'))
        {
            throw InvalidInput(text);
        }

        const NumberStyles styles = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        double v;
        if (single)
        {
            if (!float.TryParse(s, styles, CultureInfo.InvariantCulture, out float f))
            {
                throw InvalidInput(text);
            }

            v = f;
        }
        else if (!double.TryParse(s, styles, CultureInfo.InvariantCulture, out v))
        {
            throw InvalidInput(text);
        }

        if (double.IsInfinity(v) || (v == 0 && HasDigit(s)))
        {
            throw new PgException(SqlStates.NumericValueOutOfRange, $"\"{Encoding.UTF8.GetString(s)}\" is out of range for type {Name}");
        }

        return v;
    }

    // Whether the mantissa has a digit that is not zero: then a zero result is an underflow.
    private static bool HasDigit(ReadOnlySpan<byte> s)
    {
        foreach (byte b in s)
        {
            if (b is (byte)'e' or (byte)'E')
            {
                break;
            }

            if (b is >= (byte)'1' and <= (byte)'9')
            {
                return true;
            }
        }

        return false;
    }

    private static double? Special(ReadOnlySpan<byte> s)
    {
        bool negative = s.Length > 0 && s[0] == (byte)'-';
        ReadOnlySpan<byte> word = s.Length > 0 && s[0] is (byte)'-' or (byte)'+' ? s[1..] : s;
        if (Ascii.EqualsIgnoreCase(word, "nan"u8))
        {
            return FloatType.NaN;
        }

        return Ascii.EqualsIgnoreCase(word, "infinity"u8) || Ascii.EqualsIgnoreCase(word, "inf"u8)
            ? negative ? double.NegativeInfinity : double.PositiveInfinity
            : null;
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context)
    {
        if (single)
        {
            FloatText.Write(value.Single, context.ExtraFloatDigits, output);
        }
        else
        {
            FloatText.Write(value.Double, context.ExtraFloatDigits, output);
        }
    }

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, Length);
        return single ? Datum.FromSingle(BinaryPrimitives.ReadSingleBigEndian(data)) : Datum.FromDouble(BinaryPrimitives.ReadDoubleBigEndian(data));
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => BinaryOutput.Integer(value.Bits, Length, output);

    public override int Compare(Datum a, Datum b, Collation? collation) =>
        single ? CompareDoubles(a.Single, b.Single) : CompareDoubles(a.Double, b.Double);

    public static int CompareDoubles(double a, double b)
    {
        if (double.IsNaN(a))
        {
            return double.IsNaN(b) ? 0 : 1;
        }

        return double.IsNaN(b) ? -1 : a < b ? -1 : a > b ? 1 : 0;
    }

    public override int Hash(Datum value)
    {
        double v = single ? value.Single : value.Double;

        // Minus zero equals zero; all NaNs are one.
        return v == 0 ? 0 : double.IsNaN(v) ? 1 : HashMix.Of(BitConverter.DoubleToInt64Bits(v));
    }
}

/// <summary>
/// Whether decimal digits lie exactly halfway between a float and a neighbour. .NET's shortest form may end there, PostgreSQL's does not.
/// </summary>
internal static class FloatBoundary
{
    public static bool IsOnBoundary(double v, ReadOnlySpan<byte> digits, int exponent)
    {
        long bits = BitConverter.DoubleToInt64Bits(v);
        ulong fraction = (ulong)bits & 0xFFFFFFFFFFFFF;
        return ((bits >> 52) & 0x7FF) != 0 && Matches(digits, exponent, fraction | (1UL << 52), fraction == 0, 23);
    }

    public static bool IsOnBoundary(float v, ReadOnlySpan<byte> digits, int exponent)
    {
        int bits = BitConverter.SingleToInt32Bits(v);
        uint fraction = (uint)bits & 0x7FFFFF;
        return ((bits >> 23) & 0xFF) != 0 && Matches(digits, exponent, fraction | (1UL << 23), fraction == 0, 10);
    }

    // A halfway point is an odd number (twice the mantissa plus or minus one) times a power of two. The odd parts must agree: the digits'
    // own times a power of five. Beyond small powers that cannot be, since the odd number has a bit more than the mantissa.
    private static bool Matches(ReadOnlySpan<byte> digits, int exponent, ulong mantissa, bool isPowerOfTwo, int mostFives)
    {
        if (digits.IsEmpty)
        {
            return false;
        }

        int fives = exponent - (digits.Length - 1);
        if (fives > mostFives || fives < -2)
        {
            return false;
        }

        UInt128 value = 0;
        foreach (byte d in digits)
        {
            value = (value * 10) + (uint)(d - '0');
        }

        UInt128 scale = 1;
        for (int i = 0; i < Math.Abs(fives); i++)
        {
            scale *= 5;
        }

        UInt128 left = value * (fives > 0 ? scale : 1);
        left >>= (int)UInt128.TrailingZeroCount(left);
        UInt128 right = fives < 0 ? scale : 1;
        return left == ((mantissa * 2) + 1) * right || left == ((mantissa * 2) - 1) * right
            || (isPowerOfTwo && left == ((mantissa * 4) - 1) * right);
    }
}

/// <summary>Text of floats: the shortest that reads back the same, or a number of digits (extra_float_digits).</summary>
internal static class FloatText
{
    public static void Write(double v, int extraDigits, IBufferWriter<byte> output)
    {
        if (WriteSpecial(v, output))
        {
            return;
        }

        if (extraDigits <= 0)
        {
            TextScan.WriteAscii(General(v, Math.Max(15 + extraDigits, 1)), output);
            return;
        }

        Span<byte> text = stackalloc byte[40];
        _ = v.TryFormat(text, out int n, default, CultureInfo.InvariantCulture);
        Span<byte> digits = stackalloc byte[24];
        int count = Digits(text[..n], digits, out int exponent, out bool negative);
        if (FloatBoundary.IsOnBoundary(v, digits[..count], exponent))
        {
            // PostgreSQL takes no digits that are as near to a neighbour; at most 17 digits are needed.
            for (int precision = count; precision <= 17; precision++)
            {
                _ = v.TryFormat(text, out n, Precision(precision), CultureInfo.InvariantCulture);
                count = Digits(text[..n], digits, out exponent, out negative);
                if (double.Parse(text[..n], CultureInfo.InvariantCulture) == v && !FloatBoundary.IsOnBoundary(v, digits[..count], exponent))
                {
                    break;
                }
            }
        }

        WriteShortest(digits[..count], exponent, negative, 15, output);
    }

    private static string Precision(int digits) => "E" + (digits - 1).ToString(CultureInfo.InvariantCulture);

    public static void Write(float v, int extraDigits, IBufferWriter<byte> output)
    {
        if (WriteSpecial(v, output))
        {
            return;
        }

        if (extraDigits <= 0)
        {
            TextScan.WriteAscii(General(v, Math.Max(6 + extraDigits, 1)), output);
            return;
        }

        Span<byte> text = stackalloc byte[40];
        _ = v.TryFormat(text, out int n, default, CultureInfo.InvariantCulture);
        Span<byte> digits = stackalloc byte[24];
        int count = Digits(text[..n], digits, out int exponent, out bool negative);
        if (FloatBoundary.IsOnBoundary(v, digits[..count], exponent))
        {
            for (int precision = count; precision <= 9; precision++)
            {
                _ = v.TryFormat(text, out n, Precision(precision), CultureInfo.InvariantCulture);
                count = Digits(text[..n], digits, out exponent, out negative);
                if (float.Parse(text[..n], CultureInfo.InvariantCulture) == v && !FloatBoundary.IsOnBoundary(v, digits[..count], exponent))
                {
                    break;
                }
            }
        }

        WriteShortest(digits[..count], exponent, negative, 6, output);
    }

    private static bool WriteSpecial(double v, IBufferWriter<byte> output)
    {
        if (double.IsNaN(v))
        {
            TextScan.Write("NaN"u8, output);
            return true;
        }

        if (double.IsInfinity(v))
        {
            TextScan.Write(v > 0 ? "Infinity"u8 : "-Infinity"u8, output);
            return true;
        }

        return false;
    }

    // As PostgreSQL writes it: fixed for exponents -4 up to a limit, else scientific.
    private static void WriteShortest(ReadOnlySpan<byte> digits, int exponent, bool negative, int limit, IBufferWriter<byte> output)
    {
        int count = digits.Length;
        Span<byte> span = output.GetSpan(40);
        int at = 0;
        if (negative)
        {
            span[at++] = (byte)'-';
        }

        if (count == 0)
        {
            span[at++] = (byte)'0';
        }
        else if (exponent >= -4 && exponent < limit)
        {
            at = Fixed(span, at, digits, exponent);
        }
        else
        {
            at = Scientific(span, at, digits, exponent);
        }

        output.Advance(at);
    }

    private static int Fixed(Span<byte> span, int at, ReadOnlySpan<byte> digits, int exponent)
    {
        if (exponent < 0)
        {
            span[at++] = (byte)'0';
            span[at++] = (byte)'.';
            for (int i = -1; i > exponent; i--)
            {
                span[at++] = (byte)'0';
            }

            digits.CopyTo(span[at..]);
            return at + digits.Length;
        }

        for (int i = 0; i < Math.Max(digits.Length, exponent + 1); i++)
        {
            if (i == exponent + 1)
            {
                span[at++] = (byte)'.';
            }

            span[at++] = i < digits.Length ? digits[i] : (byte)'0';
        }

        return at;
    }

    private static int Scientific(Span<byte> span, int at, ReadOnlySpan<byte> digits, int exponent)
    {
        span[at++] = digits[0];
        if (digits.Length > 1)
        {
            span[at++] = (byte)'.';
            digits[1..].CopyTo(span[at..]);
            at += digits.Length - 1;
        }

        span[at++] = (byte)'e';
        span[at++] = exponent < 0 ? (byte)'-' : (byte)'+';
        int e = Math.Abs(exponent);
        if (e >= 100)
        {
            span[at++] = (byte)('0' + (e / 100));
        }

        span[at++] = (byte)('0' + (e / 10 % 10));
        span[at++] = (byte)('0' + (e % 10));
        return at;
    }

    // The significant digits, and the power of ten of the first.
    private static int Digits(ReadOnlySpan<byte> text, Span<byte> digits, out int exponent, out bool negative)
    {
        negative = text[0] == (byte)'-';
        int count = 0;
        int whole = 0;
        bool point = false;
        exponent = 0;
        for (int i = negative ? 1 : 0; i < text.Length; i++)
        {
            byte b = text[i];
            if (b == (byte)'.')
            {
                point = true;
            }
            else if (b == (byte)'E')
            {
                exponent = int.Parse(text[(i + 1)..], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
                break;
            }
            else
            {
                // Leading zeros count only for the place of the point.
                if (count > 0 || b != (byte)'0')
                {
                    digits[count++] = b;
                    whole += point ? 0 : 1;
                }
                else if (point)
                {
                    whole--;
                }
            }
        }

        exponent += whole - 1;
        while (count > 0 && digits[count - 1] == (byte)'0')
        {
            count--;
        }

        return count;
    }

    /// <summary>C's %.*g.</summary>
    public static string General(double v, int precision)
    {
        if (v == 0)
        {
            return double.IsNegative(v) ? "-0" : "0";
        }

        if (!double.IsFinite(v))
        {
            return double.IsNaN(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity";
        }

        string text = v.ToString("E" + (precision - 1).ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        int e = text.IndexOf('E', StringComparison.Ordinal);
        int exponent = int.Parse(text.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        bool negative = text[0] == '-';
        string digits = text[(negative ? 1 : 0)..e].Replace(".", "", StringComparison.Ordinal).TrimEnd('0');
        Span<byte> span = stackalloc byte[Math.Max(precision, 20) + 40];
        Span<byte> ascii = stackalloc byte[digits.Length];
        _ = Encoding.ASCII.GetBytes(digits, ascii);
        int n = exponent < -4 || exponent >= precision ? Scientific(span, 0, ascii, exponent) : Fixed(span, 0, ascii, exponent);
        return (negative ? "-" : "") + Encoding.ASCII.GetString(span[..n]);
    }
}
