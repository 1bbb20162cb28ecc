using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>numeric: text and binary forms, precision and scale.</summary>
internal sealed class NumericType : PgType
{
    private const int MaxPrecision = 1000;

    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        NumericValue v = Parse(text);
        return Datum.FromBytes(ApplyModifier(v, typeModifier).ToBytes());
    }

    public NumericValue Parse(ReadOnlySpan<byte> text)
    {
        ReadOnlySpan<byte> s = TextScan.Trim(text);
        bool negative = s.Length > 0 && s[0] == (byte)'-';
        int at = s.Length > 0 && s[0] is (byte)'-' or (byte)'+' ? 1 : 0;
        if (at < s.Length && !char.IsAsciiDigit((char)s[at]) && s[at] != (byte)'.')
        {
            return ParseSpecial(s, negative) ?? throw InvalidInput(text);
        }

        int start = at;
        int scale = 0;
        int digits = 0;
        bool point = false;
        Int128 small = 0;
        for (; at < s.Length; at++)
        {
            int d = s[at] - '0';
            if ((uint)d <= 9)
            {
                digits++;
                scale += point ? 1 : 0;
                small = digits <= 35 ? (small * 10) + d : small;
            }
            else if (s[at] == (byte)'.' && !point)
            {
                point = true;
            }
            else
            {
                break;
            }
        }

        if (digits == 0)
        {
            throw InvalidInput(text);
        }

        BigInteger value = digits <= 35 ? small : BigInteger.Parse(
            Encoding.ASCII.GetString(s[start..at]).Replace(".", "", StringComparison.Ordinal), System.Globalization.CultureInfo.InvariantCulture);
        int exponent = at < s.Length ? ParseExponent(s[at..], text) : 0;
        if (exponent - scale > 0)
        {
            if (value.IsZero)
            {
                scale = 0;
            }
            else
            {
                if (exponent - scale > 140_000)
                {
                    throw NumericValue.Overflow();
                }

                value *= NumericValue.Power10(exponent - scale);
                scale = 0;
            }
        }
        else
        {
            scale -= exponent;
        }

        if (scale > NumericValue.MaxStoredScale)
        {
            throw NumericValue.Overflow();
        }

        return new NumericValue(negative ? -value : value, scale);
    }

    private int ParseExponent(ReadOnlySpan<byte> s, ReadOnlySpan<byte> text)
    {
        if (s[0] is not ((byte)'e' or (byte)'E') || s.Length < 2)
        {
            throw InvalidInput(text);
        }

        bool negative = s[1] == (byte)'-';
        int at = s[1] is (byte)'-' or (byte)'+' ? 2 : 1;
        long value = 0;
        if (at == s.Length)
        {
            throw InvalidInput(text);
        }

        for (; at < s.Length; at++)
        {
            int d = s[at] - '0';
            if ((uint)d > 9)
            {
                throw InvalidInput(text);
            }

            value = Math.Min((value * 10) + d, int.MaxValue);
        }

        return value >= int.MaxValue / 2 ? throw NumericValue.Overflow() : (int)(negative ? -value : value);
    }

    private static NumericValue? ParseSpecial(ReadOnlySpan<byte> s, bool negative)
    {
        ReadOnlySpan<byte> word = s.Length > 0 && s[0] is (byte)'-' or (byte)'+' ? s[1..] : s;
        if (Ascii.EqualsIgnoreCase(s, "nan"u8))
        {
            return NumericValue.NaN;
        }

        if (Ascii.EqualsIgnoreCase(word, "infinity"u8) || Ascii.EqualsIgnoreCase(word, "inf"u8))
        {
            return negative ? NumericValue.NegativeInfinity : NumericValue.PositiveInfinity;
        }

        return null;
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) => Write(value.Bytes, output);

    public static void Write(ReadOnlySpan<byte> payload, IBufferWriter<byte> output)
    {
        var h = new NumericHeader(payload);
        if (h.TryGetSmall(out Int128 small))
        {
            WriteSmall(small, h.Scale, output);
            return;
        }

        TextScan.WriteAscii(Format(NumericValue.Read(payload)), output);
    }

    private static void WriteSmall(Int128 v, int scale, IBufferWriter<byte> output)
    {
        Span<byte> span = output.GetSpan(48);
        int at = 0;
        if (v < 0)
        {
            span[at++] = (byte)'-';
            v = -v;
        }

        Span<byte> digits = stackalloc byte[40];
        int n;
        if (v <= ulong.MaxValue)
        {
            _ = ((ulong)v).TryFormat(digits, out n, default, System.Globalization.CultureInfo.InvariantCulture);
        }
        else
        {
            _ = v.TryFormat(digits, out n, default, System.Globalization.CultureInfo.InvariantCulture);
        }

        int whole = n - scale;
        if (whole <= 0)
        {
            span[at++] = (byte)'0';
        }
        else
        {
            digits[..whole].CopyTo(span[at..]);
            at += whole;
        }

        if (scale > 0)
        {
            span[at++] = (byte)'.';
            for (int i = whole; i < 0; i++)
            {
                span[at++] = (byte)'0';
            }

            ReadOnlySpan<byte> rest = digits[Math.Max(whole, 0)..n];
            rest.CopyTo(span[at..]);
            at += rest.Length;
        }

        output.Advance(at);
    }

    public static string Format(NumericValue v)
    {
        if (v.IsSpecial)
        {
            return v.Kind switch { NumericKind.NaN => "NaN", NumericKind.PositiveInfinity => "Infinity", _ => "-Infinity" };
        }

        string digits = BigInteger.Abs(v.Unscaled).ToString(System.Globalization.CultureInfo.InvariantCulture);
        digits = digits.PadLeft(v.Scale + 1, '0');
        string text = v.Scale == 0 ? digits : $"{digits[..^v.Scale]}.{digits[^v.Scale..]}";
        return v.Unscaled.Sign < 0 ? "-" + text : text;
    }

    /// <summary>Rounds to the scale of a modifier and checks its precision.</summary>
    /// <exception cref="PgException">22003: numeric field overflow.</exception>
    public static NumericValue ApplyModifier(NumericValue v, int typeModifier)
    {
        if (typeModifier < 4)
        {
            return v;
        }

        int precision = Precision(typeModifier);
        int scale = ScaleOf(typeModifier);
        if (v.IsSpecial)
        {
            return v.IsNaN ? v : throw new PgException(SqlStates.NumericValueOutOfRange, "numeric field overflow")
            {
                Detail = $"A field with precision {precision}, scale {scale} cannot hold an infinite value.",
            };
        }

        NumericValue rounded = v.Round(scale);
        int most = precision - scale;
        if (!rounded.Unscaled.IsZero && rounded.DecimalWeight + 1 > most)
        {
            string limit = most != 0 ? "10^" + most : "1";
            throw new PgException(SqlStates.NumericValueOutOfRange, "numeric field overflow")
            {
                Detail = $"A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}.",
            };
        }

        return rounded;
    }

    private static int Precision(int typeModifier) => ((typeModifier - 4) >> 16) & 0xFFFF;
    private static int ScaleOf(int typeModifier) => (((typeModifier - 4) & 0x7FF) ^ 1024) - 1024;

    public override int ParseTypeModifier(IReadOnlyList<int> parts)
    {
        if (parts.Count is 0 or > 2)
        {
            throw new PgException(SqlStates.InvalidParameterValue, "invalid NUMERIC type modifier");
        }

        if (parts[0] is < 1 or > MaxPrecision)
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"NUMERIC precision {parts[0]} must be between 1 and {MaxPrecision}");
        }

        int scale = parts.Count == 2 ? parts[1] : 0;
        if (scale is < -1000 or > 1000)
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"NUMERIC scale {scale} must be between -1000 and 1000");
        }

        return ((parts[0] << 16) | (scale & 0x7FF)) + 4;
    }

    public override string FormatTypeModifier(int typeModifier) =>
        typeModifier < 4 ? "" : $"({Precision(typeModifier)},{ScaleOf(typeModifier)})";

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        if (data.Length < 8)
        {
            throw new PgException(SqlStates.ProtocolViolation, "insufficient data left in message");
        }

        int count = BinaryPrimitives.ReadUInt16BigEndian(data);
        int weight = BinaryPrimitives.ReadInt16BigEndian(data[2..]);
        int sign = BinaryPrimitives.ReadUInt16BigEndian(data[4..]);
        int scale = BinaryPrimitives.ReadUInt16BigEndian(data[6..]);
        if (sign is 0xC000 or 0xD000 or 0xF000)
        {
            NumericValue special = sign switch
            {
                0xC000 => NumericValue.NaN,
                0xD000 => NumericValue.PositiveInfinity,
                _ => NumericValue.NegativeInfinity,
            };
            return Datum.FromBytes(ApplyModifier(special, typeModifier).ToBytes());
        }

        if (sign is not (0 or 0x4000))
        {
            throw new PgException(SqlStates.InvalidBinaryRepresentation, "invalid sign in external \"numeric\" value");
        }

        if (scale > NumericValue.MaxStoredScale)
        {
            throw new PgException(SqlStates.InvalidBinaryRepresentation, "invalid scale in external \"numeric\" value");
        }

        CheckLength(data, 8 + (2 * count));
        BigInteger value = 0;
        for (int i = 0; i < count; i++)
        {
            int digit = BinaryPrimitives.ReadInt16BigEndian(data[(8 + (2 * i))..]);
            value = digit is < 0 or > 9999
                ? throw new PgException(SqlStates.InvalidBinaryRepresentation, "invalid digit in external \"numeric\" value")
                : (value * 10_000) + digit;
        }

        int exponent = 4 * (weight - count + 1);
        NumericValue v = exponent >= 0 ? new(value * NumericValue.Power10(exponent), 0) : new(value, -exponent);

        // Digits beyond the display scale are cut, as PostgreSQL does.
        v = v.Truncate(scale);
        v = sign == 0x4000 ? new NumericValue(-v.Unscaled, v.Scale) : v;
        return Datum.FromBytes(ApplyModifier(v, typeModifier).ToBytes());
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context)
    {
        var h = new NumericHeader(value.Bytes);
        int sign = h.Kind switch
        {
            NumericKind.NaN => 0xC000,
            NumericKind.PositiveInfinity => 0xD000,
            NumericKind.NegativeInfinity => 0xF000,
            _ => h.Negative ? 0x4000 : 0,
        };
        BinaryOutput.Integer(h.Digits.Length, 2, output);
        BinaryOutput.Integer(h.Weight, 2, output);
        BinaryOutput.Integer((short)sign, 2, output);

        // What PostgreSQL reads as the scale of an infinity's header.
        BinaryOutput.Integer(h.Kind is NumericKind.PositiveInfinity or NumericKind.NegativeInfinity ? 32 : h.Scale, 2, output);
        foreach (short d in h.Digits)
        {
            BinaryOutput.Integer(d, 2, output);
        }
    }

    public override int Compare(Datum a, Datum b, Collation? collation) => NumericHeader.Compare(a.Bytes, b.Bytes);

    public override int Hash(Datum value)
    {
        // Equal numbers differ in their scale only; digits are stored without zeros at either end.
        var h = new NumericHeader(value.Bytes);
        return h.Digits.IsEmpty
            ? (int)h.Kind
            : HashMix.Of(System.Runtime.InteropServices.MemoryMarshal.AsBytes(h.Digits)) ^ (h.Weight * 31) ^ (h.Negative ? 1 : 0);
    }
}
