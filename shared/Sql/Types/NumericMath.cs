using System.Numerics;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Types;

/// <summary>Arithmetic on numerics with PostgreSQL's choice of scales (numeric.c).</summary>
internal static class NumericMath
{
    public static NumericValue Add(NumericValue a, NumericValue b)
    {
        if (a.IsSpecial || b.IsSpecial)
        {
            if (a.IsNaN || b.IsNaN || (a.IsInfinite && b.IsInfinite && a.Kind != b.Kind))
            {
                return NumericValue.NaN;
            }

            return a.IsInfinite ? a : b;
        }

        int scale = Math.Max(a.Scale, b.Scale);
        return new NumericValue(AtScale(a, scale) + AtScale(b, scale), scale);
    }

    public static NumericValue Negate(NumericValue a) => a.Kind switch
    {
        NumericKind.NaN => a,
        NumericKind.PositiveInfinity => NumericValue.NegativeInfinity,
        NumericKind.NegativeInfinity => NumericValue.PositiveInfinity,
        _ => new NumericValue(-a.Unscaled, a.Scale),
    };

    public static NumericValue Subtract(NumericValue a, NumericValue b) => Add(a, Negate(b));

    public static NumericValue Multiply(NumericValue a, NumericValue b)
    {
        if (a.IsSpecial || b.IsSpecial)
        {
            if (a.IsNaN || b.IsNaN || a.Sign == 0 || b.Sign == 0)
            {
                return NumericValue.NaN;
            }

            return a.Sign == b.Sign ? NumericValue.PositiveInfinity : NumericValue.NegativeInfinity;
        }

        var product = new NumericValue(a.Unscaled * b.Unscaled, a.Scale + b.Scale);
        return product.Scale > NumericValue.MaxStoredScale ? product.Round(NumericValue.MaxStoredScale) : product;
    }

    public static NumericValue Divide(NumericValue a, NumericValue b)
    {
        if (SpecialQuotient(a, b) is { } special)
        {
            return special;
        }

        return Quotient(a, b, DivisionScale(a, b), round: true);
    }

    /// <summary>div(): the whole quotient, cut towards zero.</summary>
    public static NumericValue DivideTruncated(NumericValue a, NumericValue b) =>
        SpecialQuotient(a, b) ?? Quotient(a, b, 0, round: false);

    private static NumericValue? SpecialQuotient(NumericValue a, NumericValue b)
    {
        if (a.IsNaN || b.IsNaN)
        {
            return NumericValue.NaN;
        }

        if (b is { IsSpecial: false, Sign: 0 })
        {
            throw new PgException(SqlStates.DivisionByZero, "division by zero");
        }

        if (a.IsInfinite)
        {
            return b.IsInfinite ? NumericValue.NaN : a.Sign == b.Sign ? NumericValue.PositiveInfinity : NumericValue.NegativeInfinity;
        }

        return b.IsInfinite ? new NumericValue(0, 0) : null;
    }

    public static NumericValue Quotient(NumericValue a, NumericValue b, int scale, bool round)
    {
        int shift = scale + b.Scale - a.Scale;
        BigInteger top = shift >= 0 ? a.Unscaled * NumericValue.Power10(shift) : a.Unscaled;
        BigInteger bottom = shift >= 0 ? b.Unscaled : b.Unscaled * NumericValue.Power10(-shift);
        return new NumericValue(NumericValue.DivideRounded(top, bottom, round), scale);
    }

    /// <summary>At least 16 significant digits, and no fewer behind the point than either operand shows.</summary>
    public static int DivisionScale(NumericValue a, NumericValue b)
    {
        int weight = a.Weight - b.Weight;
        if (a.FirstDigit <= b.FirstDigit)
        {
            weight--;
        }

        int scale = NumericValue.MinSignificantDigits - (weight * 4);
        scale = Math.Max(Math.Max(scale, a.Scale), Math.Max(b.Scale, 0));
        return Math.Min(scale, NumericValue.MaxDisplayScale);
    }

    public static NumericValue Modulo(NumericValue a, NumericValue b)
    {
        if (a.IsNaN || b.IsNaN)
        {
            return NumericValue.NaN;
        }

        if (a.IsInfinite)
        {
            return b.Sign == 0 ? throw new PgException(SqlStates.DivisionByZero, "division by zero") : NumericValue.NaN;
        }

        if (b.IsInfinite)
        {
            return a;
        }

        if (b.Sign == 0)
        {
            throw new PgException(SqlStates.DivisionByZero, "division by zero");
        }

        int scale = Math.Max(a.Scale, b.Scale);
        return new NumericValue(BigInteger.Remainder(AtScale(a, scale), AtScale(b, scale)), scale);
    }

    public static int Compare(NumericValue a, NumericValue b)
    {
        int scale = Math.Max(a.Scale, b.Scale);
        return AtScale(a, scale).CompareTo(AtScale(b, scale));
    }

    public static BigInteger AtScale(NumericValue v, int scale) =>
        scale == v.Scale ? v.Unscaled : v.Unscaled * NumericValue.Power10(scale - v.Scale);

    public static NumericValue Gcd(NumericValue a, NumericValue b)
    {
        if (a.IsSpecial || b.IsSpecial)
        {
            return NumericValue.NaN;
        }

        int scale = Math.Max(a.Scale, b.Scale);
        return new NumericValue(BigInteger.GreatestCommonDivisor(AtScale(a, scale), AtScale(b, scale)), scale);
    }

    public static NumericValue Lcm(NumericValue a, NumericValue b)
    {
        if (a.IsSpecial || b.IsSpecial)
        {
            return NumericValue.NaN;
        }

        int scale = Math.Max(a.Scale, b.Scale);
        BigInteger x = AtScale(a, scale);
        BigInteger y = AtScale(b, scale);
        return x.IsZero || y.IsZero
            ? new NumericValue(0, scale)
            : new NumericValue(BigInteger.Abs(x / BigInteger.GreatestCommonDivisor(x, y) * y), scale);
    }

    public static NumericValue Ceiling(NumericValue v)
    {
        NumericValue cut = v.Truncate(0);
        return v.Sign > 0 && !v.IsIntegral ? new NumericValue(cut.Unscaled + 1, 0) : cut;
    }

    public static NumericValue Floor(NumericValue v)
    {
        NumericValue cut = v.Truncate(0);
        return v.Sign < 0 && !v.IsIntegral ? new NumericValue(cut.Unscaled - 1, 0) : cut;
    }

    /// <summary>The digits behind the point that are not just trailing zeros.</summary>
    public static int MinimalScale(NumericValue v)
    {
        int scale = v.Scale;
        BigInteger u = v.Unscaled;
        if (u.IsZero)
        {
            return 0;
        }

        while (scale > 0)
        {
            BigInteger next = BigInteger.DivRem(u, 10, out BigInteger rest);
            if (!rest.IsZero)
            {
                break;
            }

            u = next;
            scale--;
        }

        return scale;
    }
}
