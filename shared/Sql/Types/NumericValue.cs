using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Types;

internal enum NumericKind
{
    Finite,
    NaN,
    PositiveInfinity,
    NegativeInfinity,
}

/// <summary>
/// A decimal number: an integer and how many of its digits stand behind the point. The stored form is numeric.c's: a header with sign, display
/// scale and weight, then digits to base 10000 without leading and trailing zeros.
/// </summary>
internal readonly struct NumericValue(BigInteger unscaled, int scale, NumericKind kind = NumericKind.Finite)
{
    public const int MaxDisplayScale = 1000;
    public const int MaxStoredScale = 0x3FFF;
    public const int MinSignificantDigits = 16;
    private const int SpecialMark = 0xC000;
    private const int ShortMark = 0x8000;
    private const int MaxWeight = short.MaxValue;
    private static readonly BigInteger[] Powers = MakePowers();
    private static readonly Int128[] SmallPowers = MakeSmallPowers();

    /// <summary>The value times ten to the <see cref="Scale"/>.</summary>
    public BigInteger Unscaled { get; } = unscaled;

    /// <summary>Digits behind the point, also how many are shown.</summary>
    public int Scale { get; } = scale;
    public NumericKind Kind { get; } = kind;

    public bool IsSpecial => Kind != NumericKind.Finite;
    public bool IsNaN => Kind == NumericKind.NaN;
    public bool IsInfinite => Kind is NumericKind.PositiveInfinity or NumericKind.NegativeInfinity;

    /// <summary>-1, 0 or 1; a NaN counts as positive.</summary>
    public int Sign => Kind switch { NumericKind.Finite => Unscaled.Sign, NumericKind.NegativeInfinity => -1, _ => 1 };

    public static NumericValue NaN { get; } = new(0, 0, NumericKind.NaN);
    public static NumericValue PositiveInfinity { get; } = new(0, 0, NumericKind.PositiveInfinity);
    public static NumericValue NegativeInfinity { get; } = new(0, 0, NumericKind.NegativeInfinity);

    public static BigInteger Power10(int n) => n < Powers.Length ? Powers[n] : BigInteger.Pow(10, n);

    /// <summary>For exponents to 38.</summary>
    public static Int128 SmallPower10(int n) => SmallPowers[n];

    public static NumericValue Read(ReadOnlySpan<byte> payload)
    {
        var h = new NumericHeader(payload);
        if (h.Kind != NumericKind.Finite)
        {
            return h.Kind switch
            {
                NumericKind.NaN => NaN,
                NumericKind.PositiveInfinity => PositiveInfinity,
                _ => NegativeInfinity,
            };
        }

        if (h.TryGetSmall(out Int128 small))
        {
            return new NumericValue(small, h.Scale);
        }

        BigInteger value = FromDigits(h.Digits);
        int exponent = (4 * (h.Weight - h.Digits.Length + 1)) + h.Scale;
        value = exponent >= 0 ? value * Power10(exponent) : value / Power10(-exponent);
        return new NumericValue(h.Negative ? -value : value, h.Scale);
    }

    // Halves are joined, so that the work on long numbers is that of few long products, not of many short ones.
    private static BigInteger FromDigits(ReadOnlySpan<short> digits)
    {
        if (digits.Length <= 32)
        {
            BigInteger v = BigInteger.Zero;
            int i = 0;
            for (; i + 4 <= digits.Length; i += 4)
            {
                v = (v * 10_000_000_000_000_000L) + ((((digits[i] * 10_000L) + digits[i + 1]) * 100_000_000L) + (digits[i + 2] * 10_000L) + digits[i + 3]);
            }

            for (; i < digits.Length; i++)
            {
                v = (v * 10_000) + digits[i];
            }

            return v;
        }

        int half = digits.Length / 2;
        return (FromDigits(digits[..half]) * Power10(4 * (digits.Length - half))) + FromDigits(digits[half..]);
    }

    /// <summary>The stored form.</summary>
    /// <exception cref="PgException">22003: too large for the format.</exception>
    public byte[] ToBytes()
    {
        if (Kind != NumericKind.Finite)
        {
            var special = new byte[2];
            BinaryPrimitives.WriteUInt16LittleEndian(special, Kind switch
            {
                NumericKind.NaN => SpecialMark,
                NumericKind.PositiveInfinity => 0xD000,
                _ => 0xF000,
            });
            return special;
        }

        BigInteger abs = BigInteger.Abs(Unscaled);
        if (abs < SmallPowers[35])
        {
            return Encode((Int128)Unscaled, Scale);
        }

        int pad = (4 - (Scale % 4)) % 4;
        abs *= Power10(pad);
        var groups = new List<short>();
        ToGroups(abs, groups, 0);
        groups.Reverse();
        int weight = groups.Count - ((Scale + pad) / 4) - 1;
        return Assemble(CollectionsMarshal.AsSpan(groups), weight, Scale, Unscaled.Sign < 0);
    }

    // Groups of four digits, the lowest first; at least so many.
    private static void ToGroups(BigInteger v, List<short> groups, int least)
    {
        int digits = DigitCount(v);
        if (digits > 128)
        {
            int low = digits / 8 * 4;
            BigInteger high = BigInteger.DivRem(v, Power10(low), out BigInteger rest);
            ToGroups(rest, groups, low / 4);
            ToGroups(high, groups, Math.Max(least - (low / 4), 0));
            return;
        }

        int start = groups.Count;
        while (!v.IsZero)
        {
            v = BigInteger.DivRem(v, 10_000_000_000_000_000UL, out BigInteger part);
            ulong p = (ulong)part;
            for (int i = 0; i < 4; i++)
            {
                groups.Add((short)(p % 10_000));
                p /= 10_000;
            }
        }

        while (groups.Count > start && groups[^1] == 0)
        {
            groups.RemoveAt(groups.Count - 1);
        }

        while (groups.Count - start < least)
        {
            groups.Add(0);
        }
    }

    /// <summary>The stored form of a number of at most 35 digits.</summary>
    public static byte[] Encode(Int128 unscaled, int scale)
    {
        bool negative = unscaled < 0;
        UInt128 abs = (UInt128)(negative ? -unscaled : unscaled);
        int pad = (4 - (scale % 4)) % 4;
        abs *= (UInt128)SmallPowers[pad];
        Span<short> groups = stackalloc short[12];
        int at = groups.Length;
        while (abs > ulong.MaxValue)
        {
            // Four groups at a time: the division of 128 bits is the slow part.
            UInt128 high = abs / 10_000_000_000_000_000UL;
            ulong low = (ulong)(abs - (high * 10_000_000_000_000_000UL));
            for (int i = 0; i < 4; i++)
            {
                groups[--at] = (short)(low % 10_000);
                low /= 10_000;
            }

            abs = high;
        }

        for (ulong rest = (ulong)abs; rest != 0; rest /= 10_000)
        {
            groups[--at] = (short)(rest % 10_000);
        }

        ReadOnlySpan<short> used = groups[at..];
        return Assemble(used, used.Length - ((scale + pad) / 4) - 1, scale, negative);
    }

    private static byte[] Assemble(ReadOnlySpan<short> groups, int weight, int scale, bool negative)
    {
        int lead = groups.IndexOfAnyExcept((short)0);
        if (lead < 0)
        {
            groups = [];
            (weight, negative) = (0, false);
        }
        else
        {
            groups = groups[lead..].TrimEnd((short)0);
            weight -= lead;
        }

        if (weight > MaxWeight || scale > MaxStoredScale)
        {
            throw Overflow();
        }

        byte[] result;
        if (scale <= 63 && weight is >= -64 and <= 63)
        {
            result = new byte[2 + (2 * groups.Length)];
            int header = ShortMark | (negative ? 0x2000 : 0) | (scale << 7) | (weight & 0x7F);
            BinaryPrimitives.WriteUInt16LittleEndian(result, (ushort)header);
            MemoryMarshal.AsBytes(groups).CopyTo(result.AsSpan(2));
            return result;
        }

        result = new byte[4 + (2 * groups.Length)];
        BinaryPrimitives.WriteUInt16LittleEndian(result, (ushort)((negative ? 0x4000 : 0) | scale));
        BinaryPrimitives.WriteInt16LittleEndian(result.AsSpan(2), (short)weight);
        MemoryMarshal.AsBytes(groups).CopyTo(result.AsSpan(4));
        return result;
    }

    public static PgException Overflow() => new(SqlStates.NumericValueOutOfRange, "value overflows numeric format");

    /// <summary>Decimal digits of a number that is not negative; 0 has none.</summary>
    public static int DigitCount(BigInteger v)
    {
        if (v.IsZero)
        {
            return 0;
        }

        int estimate = (int)((v.GetBitLength() - 1) * 0.30102999566398119);
        return v >= Power10(estimate) ? (v >= Power10(estimate + 1) ? estimate + 2 : estimate + 1) : estimate;
    }

    /// <summary>The power of ten of the first digit; meaningless for zero.</summary>
    public int DecimalWeight => DigitCount(BigInteger.Abs(Unscaled)) - Scale - 1;

    /// <summary>The power of 10000 of the first stored digit; 0 for zero.</summary>
    public int Weight => Unscaled.IsZero ? 0 : (int)Math.Floor(DecimalWeight / 4.0);

    /// <summary>The first stored digit (1 to 9999); 0 for zero.</summary>
    public int FirstDigit
    {
        get
        {
            if (Unscaled.IsZero)
            {
                return 0;
            }

            int shift = (4 * Weight) + Scale;
            BigInteger abs = BigInteger.Abs(Unscaled);
            return (int)(shift >= 0 ? abs / Power10(shift) : abs * Power10(-shift));
        }
    }

    /// <summary>Whether nothing but zeros stands behind the point.</summary>
    public bool IsIntegral => Scale == 0 || (Unscaled % Power10(Scale)).IsZero;

    /// <summary>Rounded half away from zero; a negative scale rounds before the point and then gives scale 0.</summary>
    public NumericValue Round(int scale) => Rescale(scale, round: true);

    /// <summary>Cut towards zero.</summary>
    public NumericValue Truncate(int scale) => Rescale(scale, round: false);

    private NumericValue Rescale(int scale, bool round)
    {
        if (scale >= Scale)
        {
            return new NumericValue(Unscaled * Power10(scale - Scale), scale);
        }

        // Nothing of the number is left: spare the huge power.
        if (Unscaled.IsZero || DecimalWeight + scale < -1)
        {
            return new NumericValue(BigInteger.Zero, Math.Max(scale, 0));
        }

        BigInteger q = DivideRounded(Unscaled, Power10(Scale - scale), round);
        return scale >= 0 ? new NumericValue(q, scale) : new NumericValue(q * Power10(-scale), 0);
    }

    /// <summary>A quotient rounded half away from zero, or cut.</summary>
    public static BigInteger DivideRounded(BigInteger a, BigInteger b, bool round)
    {
        BigInteger q = BigInteger.DivRem(a, b, out BigInteger rest);
        if (round && BigInteger.Abs(rest) * 2 >= BigInteger.Abs(b))
        {
            q += (a.Sign < 0) == (b.Sign < 0) ? 1 : -1;
        }

        return q;
    }

    private static BigInteger[] MakePowers()
    {
        var powers = new BigInteger[512];
        powers[0] = 1;
        for (int i = 1; i < powers.Length; i++)
        {
            powers[i] = powers[i - 1] * 10;
        }

        return powers;
    }

    private static Int128[] MakeSmallPowers()
    {
        var powers = new Int128[39];
        powers[0] = 1;
        for (int i = 1; i < powers.Length; i++)
        {
            powers[i] = powers[i - 1] * 10;
        }

        return powers;
    }
}

/// <summary>A stored numeric taken apart, without copying its digits.</summary>
internal readonly ref struct NumericHeader
{
    public NumericHeader(ReadOnlySpan<byte> payload)
    {
        int header = BinaryPrimitives.ReadUInt16LittleEndian(payload);
        switch (header & 0xC000)
        {
            case 0xC000:
                Kind = (header & 0xF000) switch { 0xC000 => NumericKind.NaN, 0xD000 => NumericKind.PositiveInfinity, _ => NumericKind.NegativeInfinity };
                break;
            case 0x8000:
                Negative = (header & 0x2000) != 0;
                Scale = (header & 0x1F80) >> 7;
                Weight = (header & 0x3F) | ((header & 0x40) != 0 ? ~0x3F : 0);
                Digits = MemoryMarshal.Cast<byte, short>(payload[2..]);
                break;
            default:
                Negative = (header & 0xC000) == 0x4000;
                Scale = header & 0x3FFF;
                Weight = BinaryPrimitives.ReadInt16LittleEndian(payload[2..]);
                Digits = MemoryMarshal.Cast<byte, short>(payload[4..]);
                break;
        }
    }

    public NumericKind Kind { get; }
    public bool Negative { get; }
    public int Scale { get; }
    public int Weight { get; }
    public ReadOnlySpan<short> Digits { get; }

    /// <summary>The most digits that the number can have, counted with its scale.</summary>
    public int DigitLimit => (4 * (Math.Max(Weight, -1) + 1)) + Scale;

    /// <summary>The number times ten to its scale when it has at most 35 digits.</summary>
    public bool TryGetSmall(out Int128 unscaled)
    {
        unscaled = 0;
        if (Kind != NumericKind.Finite || DigitLimit > 35)
        {
            return false;
        }

        ReadOnlySpan<short> digits = Digits;
        if (digits.Length <= 4)
        {
            long v = 0;
            foreach (short d in digits)
            {
                v = (v * 10_000) + d;
            }

            unscaled = v;
        }
        else
        {
            foreach (short d in digits)
            {
                unscaled = (unscaled * 10_000) + d;
            }
        }

        int exponent = (4 * (Weight - digits.Length + 1)) + Scale;
        if (exponent > 0)
        {
            unscaled *= NumericValue.SmallPower10(exponent);
        }
        else if (exponent < 0)
        {
            unscaled /= NumericValue.SmallPower10(-exponent);
        }

        unscaled = Negative ? -unscaled : unscaled;
        return true;
    }

    /// <summary>The order of two stored numbers: -Infinity, the finite ones, Infinity, NaN.</summary>
    public static int Compare(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        var x = new NumericHeader(a);
        var y = new NumericHeader(b);
        if (x.Kind != NumericKind.Finite || y.Kind != NumericKind.Finite)
        {
            return Rank(x.Kind).CompareTo(Rank(y.Kind));
        }

        int signX = x.Digits.IsEmpty ? 0 : x.Negative ? -1 : 1;
        int signY = y.Digits.IsEmpty ? 0 : y.Negative ? -1 : 1;
        if (signX != signY || signX == 0)
        {
            return signX.CompareTo(signY);
        }

        int c = x.Weight != y.Weight ? x.Weight.CompareTo(y.Weight) : x.Digits.SequenceCompareTo(y.Digits);
        return signX < 0 ? -c : c;
    }

    private static int Rank(NumericKind kind) => kind switch
    {
        NumericKind.NegativeInfinity => 0,
        NumericKind.Finite => 1,
        NumericKind.PositiveInfinity => 2,
        _ => 3,
    };
}
