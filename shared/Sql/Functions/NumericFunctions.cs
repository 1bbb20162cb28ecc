using System.Numerics;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>Operators, functions and casts of numeric. Numbers of up to 35 digits take a path of 128-bit integers that allocates the result only.</summary>
internal static class NumericFunctions
{
    private const int SmallDigits = 35;
    private static readonly NumericValue One = new(1, 0);

    public static void Add(FunctionTable t)
    {
        AddComparisons(t);
        AddArithmetic(t);
        AddRounding(t);
        AddTranscendental(t);
        AddCasts(t);
    }

    public static Datum FromInteger(Int128 value) => Datum.FromBytes(NumericValue.Encode(value, 0));
    public static NumericValue Read(Datum d) => NumericValue.Read(d.Bytes);
    public static Datum Make(NumericValue v) => Datum.FromBytes(v.ToBytes());

    public static Datum Plus(Datum a, Datum b) => AddSmall(a, b, 1) ?? Make(NumericMath.Add(Read(a), Read(b)));
    public static Datum Minus(Datum a, Datum b) => AddSmall(a, b, -1) ?? Make(NumericMath.Subtract(Read(a), Read(b)));

    private static Datum? AddSmall(Datum a, Datum b, int sign)
    {
        var x = new NumericHeader(a.Bytes);
        var y = new NumericHeader(b.Bytes);
        int scale = Math.Max(x.Scale, y.Scale);
        if (x.DigitLimit + scale - x.Scale >= SmallDigits || y.DigitLimit + scale - y.Scale >= SmallDigits
            || !x.TryGetSmall(out Int128 v) || !y.TryGetSmall(out Int128 w))
        {
            return null;
        }

        v *= NumericValue.SmallPower10(scale - x.Scale);
        w *= NumericValue.SmallPower10(scale - y.Scale);
        return Datum.FromBytes(NumericValue.Encode(sign > 0 ? v + w : v - w, scale));
    }

    private static Datum Times(Datum a, Datum b)
    {
        var x = new NumericHeader(a.Bytes);
        var y = new NumericHeader(b.Bytes);
        return x.DigitLimit + y.DigitLimit <= SmallDigits && x.TryGetSmall(out Int128 v) && y.TryGetSmall(out Int128 w)
            ? Datum.FromBytes(NumericValue.Encode(v * w, x.Scale + y.Scale))
            : Make(NumericMath.Multiply(Read(a), Read(b)));
    }

    private static Datum Modulo(Datum a, Datum b)
    {
        var x = new NumericHeader(a.Bytes);
        var y = new NumericHeader(b.Bytes);
        int scale = Math.Max(x.Scale, y.Scale);
        if (x.DigitLimit + scale - x.Scale >= SmallDigits || y.DigitLimit + scale - y.Scale >= SmallDigits
            || !x.TryGetSmall(out Int128 v) || !y.TryGetSmall(out Int128 w) || w == 0)
        {
            return Make(NumericMath.Modulo(Read(a), Read(b)));
        }

        v *= NumericValue.SmallPower10(scale - x.Scale);
        w *= NumericValue.SmallPower10(scale - y.Scale);
        return Datum.FromBytes(NumericValue.Encode(v % w, scale));
    }

    private static void AddComparisons(FunctionTable t)
    {
        t.F2("numeric_eq", static (a, b, _) => Datum.FromBool(NumericHeader.Compare(a.Bytes, b.Bytes) == 0));
        t.F2("numeric_ne", static (a, b, _) => Datum.FromBool(NumericHeader.Compare(a.Bytes, b.Bytes) != 0));
        t.F2("numeric_lt", static (a, b, _) => Datum.FromBool(NumericHeader.Compare(a.Bytes, b.Bytes) < 0));
        t.F2("numeric_le", static (a, b, _) => Datum.FromBool(NumericHeader.Compare(a.Bytes, b.Bytes) <= 0));
        t.F2("numeric_gt", static (a, b, _) => Datum.FromBool(NumericHeader.Compare(a.Bytes, b.Bytes) > 0));
        t.F2("numeric_ge", static (a, b, _) => Datum.FromBool(NumericHeader.Compare(a.Bytes, b.Bytes) >= 0));
        t.F2("numeric_cmp", static (a, b, _) => Datum.FromInt32(Math.Sign(NumericHeader.Compare(a.Bytes, b.Bytes))));
        t.F2("numeric_larger", static (a, b, _) => NumericHeader.Compare(a.Bytes, b.Bytes) > 0 ? a : b);
        t.F2("numeric_smaller", static (a, b, _) => NumericHeader.Compare(a.Bytes, b.Bytes) < 0 ? a : b);
    }

    private static void AddArithmetic(FunctionTable t)
    {
        t.F2("numeric_add", static (a, b, _) => Plus(a, b));
        t.F2("numeric_sub", static (a, b, _) => Minus(a, b));
        t.F2("numeric_mul", static (a, b, _) => Times(a, b));
        t.F2("numeric_div", static (a, b, _) => Make(NumericMath.Divide(Read(a), Read(b))));
        t.F2("numeric_div_trunc", static (a, b, _) => Make(NumericMath.DivideTruncated(Read(a), Read(b))));
        t.F2("numeric_mod", static (a, b, _) => Modulo(a, b));
        t.F1("numeric_inc", static (a, _) => Make(NumericMath.Add(Read(a), One)));
        t.F1("numeric_uminus", static (a, _) => Make(NumericMath.Negate(Read(a))));
        t.F1("numeric_uplus", static (a, _) => a);
        t.F1("numeric_abs", static (a, _) => Read(a) is var v && v.Sign < 0 ? Make(NumericMath.Negate(v)) : a);
        t.F1("numeric_sign", static (a, _) => Read(a) is { IsNaN: true } ? a : FromInteger(Read(a).Sign));
        t.F2("numeric_gcd", static (a, b, _) => Make(NumericMath.Gcd(Read(a), Read(b))));
        t.F2("numeric_lcm", static (a, b, _) => Make(NumericMath.Lcm(Read(a), Read(b))));
        t.F1("numeric_fac", static (a, c) => Make(Factorial(a.Bits, c)));
        t.FN("width_bucket_numeric", static (a, _) => WidthBucket(Read(a[0]), Read(a[1]), Read(a[2]), a[3].Int32));
    }

    private static NumericValue Factorial(long n, EvalContext c)
    {
        if (n < 0)
        {
            throw new PgException(SqlStates.NumericValueOutOfRange, "factorial of a negative number is undefined");
        }

        if (n > 32177)
        {
            throw NumericValue.Overflow();
        }

        BigInteger product = 1;
        for (long i = 2; i <= n; i++)
        {
            product *= i;
            if (i % 256 == 0)
            {
                c.CheckCancel();
            }
        }

        return new NumericValue(product, 0);
    }

    private static Datum WidthBucket(NumericValue v, NumericValue low, NumericValue high, int count)
    {
        const string state = "2201G";
        if (count <= 0)
        {
            throw new PgException(state, "count must be greater than zero");
        }

        if (v.IsNaN || low.IsNaN || high.IsNaN)
        {
            throw new PgException(state, "operand, lower bound, and upper bound cannot be NaN");
        }

        if (low.IsInfinite || high.IsInfinite)
        {
            throw new PgException(state, "lower and upper bounds must be finite");
        }

        int order = NumericMath.Compare(low, high);
        if (order == 0)
        {
            throw new PgException(state, "lower bound cannot equal upper bound");
        }

        // Counting downwards is counting upwards with all signs changed.
        if (order > 0)
        {
            (v, low, high) = (NumericMath.Negate(v), NumericMath.Negate(low), NumericMath.Negate(high));
        }

        if (v.IsInfinite)
        {
            return v.Sign < 0 ? Datum.FromInt32(0) : IntegerFunctions.Int4(count + 1L);
        }

        if (NumericMath.Compare(v, low) < 0)
        {
            return Datum.FromInt32(0);
        }

        if (NumericMath.Compare(v, high) >= 0)
        {
            return IntegerFunctions.Int4(count + 1L);
        }

        // The rounded quotient may reach the count, as in PostgreSQL 15.
        NumericValue part = NumericMath.Multiply(NumericMath.Subtract(v, low), new NumericValue(count, 0));
        NumericValue quotient = NumericMath.Divide(part, NumericMath.Subtract(high, low));
        return IntegerFunctions.Int4((long)NumericMath.Floor(NumericMath.Add(quotient, One)).Unscaled);
    }

    private static void AddRounding(FunctionTable t)
    {
        // Limits of what a stored number can have before and behind the point.
        t.F2("numeric_round", static (a, b, _) => Rounded(a, Math.Clamp(b.Int32, -131_073, NumericValue.MaxStoredScale), true));
        t.F2("numeric_trunc", static (a, b, _) => Rounded(a, Math.Clamp(b.Int32, -131_072, NumericValue.MaxStoredScale), false));
        t.Sql1(1708, "round", static (a, _) => Rounded(a, 0, true));
        t.Sql1(1710, "trunc", static (a, _) => Rounded(a, 0, false));
        t.F1("numeric_ceil", static (a, _) => Read(a) is { IsSpecial: false } v ? Make(NumericMath.Ceiling(v)) : a);
        t.F1("numeric_floor", static (a, _) => Read(a) is { IsSpecial: false } v ? Make(NumericMath.Floor(v)) : a);
        t.F1("numeric_scale", static (a, _) => new NumericHeader(a.Bytes) is { Kind: NumericKind.Finite } h ? Datum.FromInt32(h.Scale) : Datum.Null);
        t.F1("numeric_min_scale", static (a, _) => Read(a) is { IsSpecial: false } v ? Datum.FromInt32(NumericMath.MinimalScale(v)) : Datum.Null);
        t.F1("numeric_trim_scale", static (a, _) => Read(a) is { IsSpecial: false } v ? Make(v.Truncate(NumericMath.MinimalScale(v))) : a);
        t.F2("numeric", static (a, b, _) => b.Int32 < 4 ? a : Make(NumericType.ApplyModifier(Read(a), b.Int32)));
    }

    private static Datum Rounded(Datum a, int scale, bool round)
    {
        NumericValue v = Read(a);
        return v.IsSpecial ? a : Make(round ? v.Round(scale) : v.Truncate(scale));
    }

    private static void AddTranscendental(FunctionTable t)
    {
        var ten = new NumericValue(10, 0);
        t.F1("numeric_sqrt", static (a, _) => Make(NumericTranscendental.Sqrt(Read(a))));
        t.F1("numeric_exp", static (a, _) => Make(NumericTranscendental.Exp(Read(a))));
        t.F1("numeric_ln", static (a, _) => Make(NumericTranscendental.Ln(Read(a))));
        t.F2("numeric_log", static (a, b, _) => Make(NumericTranscendental.Log(Read(a), Read(b))));
        t.F2("numeric_power", static (a, b, _) => Make(NumericTranscendental.Power(Read(a), Read(b))));
        t.Sql1(1741, "log", (a, _) => Make(NumericTranscendental.Log(ten, Read(a))));
        t.Sql1(1481, "log10", (a, _) => Make(NumericTranscendental.Log(ten, Read(a))));
    }

    private static void AddCasts(FunctionTable t)
    {
        foreach (string name in new[] { "int2_numeric", "int4_numeric", "int8_numeric" })
        {
            t.F1(name, static (a, _) => FromInteger(a.Bits));
        }

        t.F1("numeric_int2", static (a, _) => Datum.FromInt64(ToInteger(Read(a), short.MinValue, short.MaxValue, "smallint")));
        t.F1("numeric_int4", static (a, _) => Datum.FromInt64(ToInteger(Read(a), int.MinValue, int.MaxValue, "integer")));
        t.F1("numeric_int8", static (a, _) => Datum.FromInt64(ToInteger(Read(a), long.MinValue, long.MaxValue, "bigint")));
        t.F1("float8_numeric", static (a, _) => Make(FromDouble(a.Double, 15)));
        t.F1("float4_numeric", static (a, _) => Make(FromDouble(a.Single, 6)));
        t.F1("numeric_float8", static (a, _) => Datum.FromDouble(ToDouble(a)));
        t.F1("numeric_float4", static (a, _) => Datum.FromSingle(ToSingle(a)));
        t.F1("numeric_pg_lsn", static (a, _) => Datum.FromInt64((long)ToLsn(Read(a))));
        t.F2("pg_lsn_pli", static (a, b, _) => MoveLsn(a, Read(b)));
        t.F2("pg_lsn_mii", static (a, b, _) => MoveLsn(a, NumericMath.Negate(Read(b))));
        t.Sql2(5023, "numeric_pl_pg_lsn", static (a, b, _) => MoveLsn(b, Read(a)));
    }

    private static ulong ToLsn(NumericValue v)
    {
        if (v.IsSpecial)
        {
            throw new PgException(SqlStates.FeatureNotSupported, v.IsNaN ? "cannot convert NaN to pg_lsn" : "cannot convert infinity to pg_lsn");
        }

        BigInteger whole = v.Round(0).Unscaled;
        return whole.Sign < 0 || whole > ulong.MaxValue ? throw new PgException(SqlStates.InvalidParameterValue, "pg_lsn out of range") : (ulong)whole;
    }

    private static Datum MoveLsn(Datum lsn, NumericValue bytes)
    {
        if (bytes.IsNaN)
        {
            throw new PgException(SqlStates.FeatureNotSupported, "cannot add NaN to pg_lsn");
        }

        return Datum.FromInt64((long)ToLsn(NumericMath.Add(new NumericValue((ulong)lsn.Bits, 0), bytes)));
    }

    public static long ToInteger(NumericValue v, long min, long max, string type)
    {
        if (v.IsSpecial)
        {
            throw new PgException(SqlStates.FeatureNotSupported, v.IsNaN ? $"cannot convert NaN to {type}" : $"cannot convert infinity to {type}");
        }

        BigInteger whole = v.Round(0).Unscaled;
        return whole < min || whole > max ? throw new PgException(SqlStates.NumericValueOutOfRange, $"{type} out of range") : (long)whole;
    }

    public static NumericValue FromDouble(double v, int digits)
    {
        if (double.IsNaN(v))
        {
            return NumericValue.NaN;
        }

        if (double.IsInfinity(v))
        {
            return v > 0 ? NumericValue.PositiveInfinity : NumericValue.NegativeInfinity;
        }

        return NumericParser.Parse(System.Text.Encoding.ASCII.GetBytes(FloatText.General(v, digits)));
    }

    private static readonly NumericType NumericParser = (NumericType)TypeRegistry.Find(new Oid(1700))!;

    private static double ToDouble(Datum a)
    {
        NumericValue v = Read(a);
        double d = NumericTranscendental.ToDouble(v);
        return v.IsSpecial || (!double.IsInfinity(d) && (d != 0 || v.Unscaled.IsZero))
            ? d
            : throw new PgException(SqlStates.NumericValueOutOfRange, $"\"{NumericType.Format(v)}\" is out of range for type double precision");
    }

    private static float ToSingle(Datum a)
    {
        NumericValue v = Read(a);
        if (v.IsSpecial)
        {
            return (float)NumericTranscendental.ToDouble(v);
        }

        string text = NumericType.Format(v);
        float f = float.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
        return !float.IsInfinity(f) && (f != 0 || v.Unscaled.IsZero)
            ? f
            : throw new PgException(SqlStates.NumericValueOutOfRange, $"\"{text}\" is out of range for type real");
    }
}
