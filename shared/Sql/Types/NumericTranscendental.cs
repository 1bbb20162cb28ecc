using System.Numerics;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Types;

/// <summary>
/// Roots, logarithms, exponentials and powers of numerics. The result's scale is PostgreSQL's choice (numeric.c); the digits are computed in
/// fixed point with a dozen more than that and then rounded.
/// </summary>
internal static class NumericTranscendental
{
    private const int Guard = 15;
    private const int MaxResultScale = 2000;
    private const string PowerState = "2201F";
    private const string LogState = "2201E";
    private const double Log10OfE = 0.434294481903252;

    public static NumericValue Sqrt(NumericValue v)
    {
        if (v.Sign < 0)
        {
            throw new PgException(PowerState, "cannot take square root of a negative number");
        }

        if (v.IsSpecial)
        {
            return v;
        }

        int weight = ((v.Weight + 1) * 4 / 2) - 1;
        return SqrtAt(v, ClampScale(NumericValue.MinSignificantDigits - weight, v.Scale, 0));
    }

    public static NumericValue SqrtAt(NumericValue v, int scale)
    {
        int shift = (2 * scale) - v.Scale;
        if (shift < 0)
        {
            // More digits than the root needs; the cut ones cannot decide the rounding unless all else is exact, so keep them all.
            int more = (v.Scale + 1) / 2;
            return SqrtAt(v, more).Round(scale);
        }

        BigInteger n = v.Unscaled * NumericValue.Power10(shift);
        BigInteger root = IntegerSqrt(n);
        return new NumericValue(n - (root * root) > root ? root + 1 : root, scale);
    }

    public static NumericValue Exp(NumericValue v)
    {
        if (v.IsSpecial)
        {
            return v.Kind == NumericKind.NegativeInfinity ? new NumericValue(0, 0) : v;
        }

        double weight = Math.Clamp(ToDouble(v) * Log10OfE, -MaxResultScale, MaxResultScale);
        return ExpAt(v, ClampScale(NumericValue.MinSignificantDigits - (int)weight, v.Scale, 0));
    }

    public static NumericValue Ln(NumericValue v)
    {
        CheckLogArgument(v);
        if (v.IsSpecial)
        {
            return v;
        }

        return LnAt(v, ClampScale(NumericValue.MinSignificantDigits - EstimateLnWeight(v), v.Scale, 0));
    }

    /// <summary>The logarithm of a number to a base.</summary>
    public static NumericValue Log(NumericValue b, NumericValue v)
    {
        if (b.IsSpecial || v.IsSpecial)
        {
            return LogOfSpecial(b, v);
        }

        int baseWeight = EstimateLnWeight(b);
        int numberWeight = EstimateLnWeight(v);
        int weight = numberWeight - baseWeight;
        int scale = ClampScale(NumericValue.MinSignificantDigits - weight, b.Scale, v.Scale);
        int baseScale = Math.Max(scale + weight - baseWeight + 8, 0);
        int numberScale = Math.Max(scale + weight - numberWeight + 8, 0);
        CheckLogArgument(b);
        NumericValue lnBase = LnAt(b, baseScale);
        CheckLogArgument(v);
        NumericValue lnNumber = LnAt(v, numberScale);
        return lnBase.Sign == 0
            ? throw new PgException(SqlStates.DivisionByZero, "division by zero")
            : NumericMath.Quotient(lnNumber, lnBase, scale, round: true);
    }

    private static NumericValue LogOfSpecial(NumericValue b, NumericValue v)
    {
        if (b.IsNaN || v.IsNaN)
        {
            return NumericValue.NaN;
        }

        CheckLogArgument(b);
        CheckLogArgument(v);
        if (b.IsInfinite)
        {
            return v.IsInfinite ? NumericValue.NaN : new NumericValue(0, 0);
        }

        return v;
    }

    private static void CheckLogArgument(NumericValue v)
    {
        if (v.Sign <= 0)
        {
            throw new PgException(LogState, v.Sign == 0 ? "cannot take logarithm of zero" : "cannot take logarithm of a negative number");
        }
    }

    public static NumericValue Power(NumericValue b, NumericValue e)
    {
        if (b.IsSpecial || e.IsSpecial)
        {
            return PowerOfSpecial(b, e);
        }

        if (b.Sign == 0 && e.Sign < 0)
        {
            throw new PgException(PowerState, "zero raised to a negative power is undefined");
        }

        if (e.IsIntegral)
        {
            BigInteger whole = e.Truncate(0).Unscaled;
            if (whole >= int.MinValue && whole <= int.MaxValue)
            {
                return PowerInteger(b, (int)whole, ClampScale(NumericValue.MinSignificantDigits, b.Scale, 0));
            }
        }

        if (b.Sign == 0)
        {
            return new NumericValue(0, NumericValue.MinSignificantDigits);
        }

        bool negative = false;
        if (b.Sign < 0)
        {
            if (!e.IsIntegral)
            {
                throw ComplexResult();
            }

            negative = !e.Truncate(0).Unscaled.IsEven;
            b = NumericMath.Negate(b);
        }

        int lnWeight = EstimateLnWeight(b);
        int roughScale = Math.Max(8 - lnWeight, 0);
        double weight = ToDouble(NumericMath.Multiply(LnAt(b, roughScale), e).Round(roughScale));
        if (Math.Abs(weight) > MaxResultScale * 3.01)
        {
            return weight > 0 ? throw NumericValue.Overflow() : new NumericValue(0, NumericValue.MaxDisplayScale);
        }

        weight *= Log10OfE;
        int scale = ClampScale(NumericValue.MinSignificantDigits - (int)weight, b.Scale, e.Scale);
        int significant = Math.Max(scale + (int)weight, 0);
        int lnScale = Math.Max(significant - lnWeight + 8, 0);
        NumericValue exponent = NumericMath.Multiply(LnAt(b, lnScale + Guard), e);
        NumericValue result = ExpAt(exponent, scale);
        return negative ? NumericMath.Negate(result) : result;
    }

    private static PgException ComplexResult() =>
        new(PowerState, "a negative number raised to a non-integer power yields a complex result");

    private static NumericValue PowerOfSpecial(NumericValue b, NumericValue e)
    {
        var one = new NumericValue(1, 0);
        if (b.IsNaN || e.IsNaN)
        {
            bool isOne = b.IsNaN ? !e.IsSpecial && e.Sign == 0 : !b.IsSpecial && NumericMath.Compare(b, one) == 0;
            return isOne ? one : NumericValue.NaN;
        }

        if (b.Sign == 0 && e.Sign < 0)
        {
            throw new PgException(PowerState, "zero raised to a negative power is undefined");
        }

        if (b.Sign < 0 && !e.IsSpecial && !e.IsIntegral)
        {
            throw ComplexResult();
        }

        if (!b.IsSpecial && NumericMath.Compare(b, one) == 0)
        {
            return one;
        }

        if (e.Sign == 0)
        {
            return one;
        }

        if (b.Sign == 0)
        {
            return new NumericValue(0, 0);
        }

        if (e.IsInfinite)
        {
            int size = b.IsSpecial ? 1 : NumericMath.Compare(new NumericValue(BigInteger.Abs(b.Unscaled), b.Scale), one);
            if (size == 0)
            {
                return one;
            }

            return (size > 0) == (e.Sign > 0) ? NumericValue.PositiveInfinity : new NumericValue(0, 0);
        }

        if (e.Sign < 0)
        {
            return new NumericValue(0, 0);
        }

        bool odd = b.Sign < 0 && e.IsIntegral && !e.Truncate(0).Unscaled.IsEven;
        return odd ? NumericValue.NegativeInfinity : NumericValue.PositiveInfinity;
    }

    private static NumericValue PowerInteger(NumericValue b, int exponent, int scale)
    {
        switch (exponent)
        {
            case 0:
                return new NumericValue(NumericValue.Power10(scale), scale);
            case 1:
                return b.Round(scale);
            case -1:
                return NumericMath.Quotient(new NumericValue(1, 0), b, scale, round: true);
            case 2:
                return NumericMath.Multiply(b, b).Round(scale);
            default:
                break;
        }

        if (b.Sign == 0)
        {
            return exponent < 0 ? throw new PgException(SqlStates.DivisionByZero, "division by zero") : new NumericValue(0, scale);
        }

        double weight = exponent * BigInteger.Log10(BigInteger.Abs(b.Unscaled)) - ((double)exponent * b.Scale);
        if (weight > 3.0 * short.MaxValue * 4)
        {
            throw NumericValue.Overflow();
        }

        if (weight + 1 < -scale || weight + 1 < -NumericValue.MaxDisplayScale)
        {
            return new NumericValue(0, scale);
        }

        // Digits that the result shows, and those that the products may lose.
        int significant = 1 + scale + (int)weight + (int)Math.Log(Math.Abs((double)exponent)) + 8 + Guard;
        NumericValue result = Significant(PowerLoop(b, Math.Abs((long)exponent), significant), significant);
        result = exponent < 0 ? NumericMath.Quotient(new NumericValue(1, 0), result, scale, round: true) : result.Round(scale);
        return result.Unscaled.IsZero || result.Weight <= short.MaxValue ? result : throw NumericValue.Overflow();
    }

    private static NumericValue PowerLoop(NumericValue b, long exponent, int significant)
    {
        var result = new NumericValue(1, 0);
        NumericValue square = b;
        while (true)
        {
            if ((exponent & 1) != 0)
            {
                result = Significant(Product(result, square), significant);
            }

            exponent >>= 1;
            if (exponent == 0)
            {
                return result;
            }

            square = Significant(Product(square, square), significant);
            if (!square.Unscaled.IsZero && square.Weight > short.MaxValue * 2)
            {
                return square;
            }
        }
    }

    private static NumericValue Product(NumericValue a, NumericValue b) => new(a.Unscaled * b.Unscaled, a.Scale + b.Scale);

    // Drops digits behind the point that lie beyond the significant ones.
    private static NumericValue Significant(NumericValue v, int digits)
    {
        int scale = Math.Max(digits - v.DecimalWeight, 0);
        return scale < v.Scale ? v.Round(scale) : v;
    }

    /// <summary>e to the v, rounded to a scale.</summary>
    private static NumericValue ExpAt(NumericValue v, int scale)
    {
        double approximate = ToDouble(v);
        if (Math.Abs(approximate) >= MaxResultScale * 3)
        {
            return approximate > 0 ? throw NumericValue.Overflow() : new NumericValue(0, scale);
        }

        int halvings = 0;
        for (double d = approximate; Math.Abs(d) > 0.01; d /= 2)
        {
            halvings++;
        }

        int weight = (int)(approximate * Log10OfE);
        int p = Math.Max(scale + Math.Max(weight, 0), 0) + (int)(halvings * 0.302) + Guard;
        BigInteger one = NumericValue.Power10(p);
        BigInteger x = (v.Scale <= p ? v.Unscaled * NumericValue.Power10(p - v.Scale) : v.Unscaled / NumericValue.Power10(v.Scale - p)) >> halvings;
        BigInteger sum = one + x;
        BigInteger term = x;
        for (int n = 2; !term.IsZero; n++)
        {
            term = term * x / one / n;
            sum += term;
        }

        for (int i = 0; i < halvings; i++)
        {
            sum = sum * sum / one;
        }

        return new NumericValue(sum, p).Round(scale);
    }

    /// <summary>The natural logarithm of a positive number, rounded to a scale.</summary>
    private static NumericValue LnAt(NumericValue v, int scale)
    {
        // v = m * 10^k with m near 1; far from it the rest is taken as a multiple of ln 10.
        int k = 0;
        double first = ToDouble(v);
        int p = Math.Max(scale, 0) + Guard + 10;
        if (first is not (>= 0.1 and <= 10))
        {
            k = v.DecimalWeight;
        }

        BigInteger one = NumericValue.Power10(p);
        int shift = p - v.Scale - k;
        BigInteger m = shift >= 0 ? v.Unscaled * NumericValue.Power10(shift) : NumericValue.DivideRounded(v.Unscaled, NumericValue.Power10(-shift), true);
        BigInteger result = LnFixed(m, one, p);
        if (k != 0)
        {
            result += k * LnFixed(one * 10, one, p);
        }

        return new NumericValue(result, p).Round(scale);
    }

    private static BigInteger LnFixed(BigInteger m, BigInteger one, int p)
    {
        int roots = 0;
        BigInteger low = one * 9 / 10;
        BigInteger high = one * 11 / 10;

        // Each root doubles the error of the sum, so work with some more digits.
        int extra = 6;
        BigInteger wide = one * NumericValue.Power10(extra);
        BigInteger x = m * NumericValue.Power10(extra);
        low *= NumericValue.Power10(extra);
        high *= NumericValue.Power10(extra);
        while (x < low || x > high)
        {
            x = IntegerSqrt(x * wide);
            roots++;
        }

        // ln x = 2 (z + z^3/3 + z^5/5 ...) with z = (x-1)/(x+1).
        BigInteger z = (x - wide) * wide / (x + wide);
        BigInteger square = z * z / wide;
        BigInteger sum = z;
        BigInteger power = z;
        for (int n = 3; !power.IsZero; n += 2)
        {
            power = power * square / wide;
            sum += power / n;
        }

        _ = p;
        return NumericValue.DivideRounded(sum << (roots + 1), NumericValue.Power10(extra), round: true);
    }

    /// <summary>The decimal weight of ln(v), roughly.</summary>
    private static int EstimateLnWeight(NumericValue v)
    {
        if (v.Sign <= 0)
        {
            return 0;
        }

        if (NumericMath.Compare(v, new NumericValue(9, 1)) >= 0 && NumericMath.Compare(v, new NumericValue(11, 1)) <= 0)
        {
            NumericValue x = NumericMath.Subtract(v, new NumericValue(1, 0));
            return x.Sign == 0 ? 0 : (x.Weight * 4) + (int)Math.Log10(x.FirstDigit);
        }

        // The first two stored digits are enough; how many there are decides only rounding of the estimate.
        int weight = v.Weight * 4;
        double digits = v.FirstDigit;
        int second = 4 * (v.Weight - 1) + v.Scale;
        BigInteger rest = second >= 0 ? v.Unscaled / NumericValue.Power10(second) : v.Unscaled * NumericValue.Power10(-second);
        if ((4 * v.Weight) + v.Scale > 0 && !(v.Unscaled % NumericValue.Power10((4 * v.Weight) + v.Scale)).IsZero)
        {
            digits = (double)rest;
            weight -= 4;
        }

        double ln = Math.Log(digits) + (weight * 2.302585092994046);
        return (int)Math.Log10(Math.Abs(ln));
    }

    private static BigInteger IntegerSqrt(BigInteger n)
    {
        if (n.IsZero)
        {
            return n;
        }

        BigInteger x = BigInteger.One << (int)((n.GetBitLength() + 1) / 2);
        while (true)
        {
            BigInteger next = (x + (n / x)) >> 1;
            if (next >= x)
            {
                return x;
            }

            x = next;
        }
    }

    /// <summary>The nearest double; infinite when too large.</summary>
    public static double ToDouble(NumericValue v) => v.Kind switch
    {
        NumericKind.NaN => FloatType.NaN,
        NumericKind.PositiveInfinity => double.PositiveInfinity,
        NumericKind.NegativeInfinity => double.NegativeInfinity,
        _ => double.Parse(NumericType.Format(v), System.Globalization.CultureInfo.InvariantCulture),
    };

    private static int ClampScale(int scale, int scaleA, int scaleB) =>
        Math.Min(Math.Max(Math.Max(scale, scaleA), Math.Max(scaleB, 0)), NumericValue.MaxDisplayScale);
}
