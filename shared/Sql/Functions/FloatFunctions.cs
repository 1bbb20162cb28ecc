using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>float4 and float8: arithmetic that reports overflow and underflow, comparison, casts and mathematics (float.c).</summary>
internal static class FloatFunctions
{
    private const string PowerState = "2201F";
    private const string LogState = "2201E";

    public static void Add(FunctionTable t)
    {
        AddComparisons(t);
        AddArithmetic(t);
        AddCasts(t);
        AddRounding(t);
        AddMathematics(t);
        AddTrigonometry(t);
    }

    internal static PgException Overflow() => new(SqlStates.NumericValueOutOfRange, "value out of range: overflow");
    internal static PgException Underflow() => new(SqlStates.NumericValueOutOfRange, "value out of range: underflow");

    private static double Check(double r, double a, double b) =>
        double.IsInfinity(r) && !double.IsInfinity(a) && !double.IsInfinity(b) ? throw Overflow() : r;

    internal static double Plus(double a, double b) => Check(a + b, a, b);
    internal static double Minus(double a, double b) => Check(a - b, a, b);

    internal static double Times(double a, double b)
    {
        double r = Check(a * b, a, b);
        return r == 0 && a != 0 && b != 0 ? throw Underflow() : r;
    }

    internal static double Divide(double a, double b)
    {
        if (b == 0 && !double.IsNaN(a))
        {
            throw IntegerFunctions.DivisionByZero();
        }

        double r = a / b;
        if (double.IsInfinity(r) && !double.IsInfinity(a))
        {
            throw Overflow();
        }

        return r == 0 && a != 0 && !double.IsInfinity(b) ? throw Underflow() : r;
    }

    // The result of two singles is rounded to single; then the same checks.
    private static Datum Single(double r, float a, float b)
    {
        float f = (float)r;
        return float.IsInfinity(f) && !float.IsInfinity(a) && !float.IsInfinity(b) ? throw Overflow() : Datum.FromSingle(f);
    }

    private static void AddComparisons(FunctionTable t)
    {
        AddComparisons(t, "float8", "btfloat8cmp", static (a, b) => FloatType.CompareDoubles(a.Double, b.Double));
        AddComparisons(t, "float4", "btfloat4cmp", static (a, b) => FloatType.CompareDoubles(a.Single, b.Single));
        AddComparisons(t, "float48", "btfloat48cmp", static (a, b) => FloatType.CompareDoubles(a.Single, b.Double));
        AddComparisons(t, "float84", "btfloat84cmp", static (a, b) => FloatType.CompareDoubles(a.Double, b.Single));
        t.F2("float8larger", static (a, b, _) => FloatType.CompareDoubles(a.Double, b.Double) > 0 ? a : b);
        t.F2("float8smaller", static (a, b, _) => FloatType.CompareDoubles(a.Double, b.Double) < 0 ? a : b);
        t.F2("float4larger", static (a, b, _) => FloatType.CompareDoubles(a.Single, b.Single) > 0 ? a : b);
        t.F2("float4smaller", static (a, b, _) => FloatType.CompareDoubles(a.Single, b.Single) < 0 ? a : b);
    }

    private static void AddComparisons(FunctionTable t, string prefix, string order, Comparison<Datum> compare)
    {
        t.F2(prefix + "eq", (a, b, _) => Datum.FromBool(compare(a, b) == 0));
        t.F2(prefix + "ne", (a, b, _) => Datum.FromBool(compare(a, b) != 0));
        t.F2(prefix + "lt", (a, b, _) => Datum.FromBool(compare(a, b) < 0));
        t.F2(prefix + "le", (a, b, _) => Datum.FromBool(compare(a, b) <= 0));
        t.F2(prefix + "gt", (a, b, _) => Datum.FromBool(compare(a, b) > 0));
        t.F2(prefix + "ge", (a, b, _) => Datum.FromBool(compare(a, b) >= 0));
        t.F2(order, (a, b, _) => Datum.FromInt32(compare(a, b)));
    }

    private static void AddArithmetic(FunctionTable t)
    {
        t.F2("float8pl", static (a, b, _) => Datum.FromDouble(Plus(a.Double, b.Double)));
        t.F2("float8mi", static (a, b, _) => Datum.FromDouble(Minus(a.Double, b.Double)));
        t.F2("float8mul", static (a, b, _) => Datum.FromDouble(Times(a.Double, b.Double)));
        t.F2("float8div", static (a, b, _) => Datum.FromDouble(Divide(a.Double, b.Double)));
        t.F2("float48pl", static (a, b, _) => Datum.FromDouble(Plus(a.Single, b.Double)));
        t.F2("float48mi", static (a, b, _) => Datum.FromDouble(Minus(a.Single, b.Double)));
        t.F2("float48mul", static (a, b, _) => Datum.FromDouble(Times(a.Single, b.Double)));
        t.F2("float48div", static (a, b, _) => Datum.FromDouble(Divide(a.Single, b.Double)));
        t.F2("float84pl", static (a, b, _) => Datum.FromDouble(Plus(a.Double, b.Single)));
        t.F2("float84mi", static (a, b, _) => Datum.FromDouble(Minus(a.Double, b.Single)));
        t.F2("float84mul", static (a, b, _) => Datum.FromDouble(Times(a.Double, b.Single)));
        t.F2("float84div", static (a, b, _) => Datum.FromDouble(Divide(a.Double, b.Single)));
        t.F2("float4pl", static (a, b, _) => Single((double)a.Single + b.Single, a.Single, b.Single));
        t.F2("float4mi", static (a, b, _) => Single((double)a.Single - b.Single, a.Single, b.Single));
        t.F2("float4mul", static (a, b, _) => Single(a.Single * b.Single, a.Single, b.Single) is var r && r.Single == 0 && a.Single != 0 && b.Single != 0
            ? throw Underflow() : r);
        t.F2("float4div", static (a, b, _) => DivideSingle(a.Single, b.Single));
        t.F1("float8um", static (a, _) => Datum.FromDouble(-a.Double));
        t.F1("float4um", static (a, _) => Datum.FromSingle(-a.Single));
        t.F1("float8up", static (a, _) => a);
        t.F1("float4up", static (a, _) => a);
        t.F1("float8abs", static (a, _) => Datum.FromDouble(Math.Abs(a.Double)));
        t.F1("float4abs", static (a, _) => Datum.FromSingle(Math.Abs(a.Single)));
    }

    private static Datum DivideSingle(float a, float b)
    {
        if (b == 0 && !float.IsNaN(a))
        {
            throw IntegerFunctions.DivisionByZero();
        }

        float r = a / b;
        if (float.IsInfinity(r) && !float.IsInfinity(a))
        {
            throw Overflow();
        }

        return r == 0 && a != 0 && !float.IsInfinity(b) ? throw Underflow() : Datum.FromSingle(r);
    }

    private static void AddCasts(FunctionTable t)
    {
        foreach (string p in new[] { "i2", "i4", "i8" })
        {
            t.F1(p + "tod", static (a, _) => Datum.FromDouble(a.Bits));
            t.F1(p + "tof", static (a, _) => Datum.FromSingle(a.Bits));
        }

        t.F1("ftod", static (a, _) => Datum.FromDouble(a.Single));
        t.F1("dtof", static (a, _) => ToSingle(a.Double));
        t.F1("dtoi2", static (a, _) => Datum.FromInt64(ToInteger(a.Double, -32768.0, 32768.0, "smallint")));
        t.F1("dtoi4", static (a, _) => Datum.FromInt64(ToInteger(a.Double, -2147483648.0, 2147483648.0, "integer")));
        t.F1("dtoi8", static (a, _) => Datum.FromInt64(ToInteger(a.Double, -9223372036854775808.0, 9223372036854775808.0, "bigint")));
        t.F1("ftoi2", static (a, _) => Datum.FromInt64(ToInteger(a.Single, -32768.0, 32768.0, "smallint")));
        t.F1("ftoi4", static (a, _) => Datum.FromInt64(ToInteger(a.Single, -2147483648.0, 2147483648.0, "integer")));
        t.F1("ftoi8", static (a, _) => Datum.FromInt64(ToInteger(a.Single, -9223372036854775808.0, 9223372036854775808.0, "bigint")));
    }

    private static Datum ToSingle(double v)
    {
        float f = (float)v;
        if (float.IsInfinity(f) && !double.IsInfinity(v))
        {
            throw Overflow();
        }

        return f == 0 && v != 0 ? throw Underflow() : Datum.FromSingle(f);
    }

    internal static long ToInteger(double v, double min, double limit, string type)
    {
        double r = Math.Round(v, MidpointRounding.ToEven);
        return r >= min && r < limit ? (long)r : throw new PgException(SqlStates.NumericValueOutOfRange, $"{type} out of range");
    }

    private static void AddRounding(FunctionTable t)
    {
        t.F1("dround", static (a, _) => Datum.FromDouble(Math.Round(a.Double, MidpointRounding.ToEven)));
        t.F1("dtrunc", static (a, _) => Datum.FromDouble(Math.Truncate(a.Double)));
        t.F1("dceil", static (a, _) => Datum.FromDouble(Math.Ceiling(a.Double)));
        t.F1("dfloor", static (a, _) => Datum.FromDouble(Math.Floor(a.Double)));
        t.F1("dsign", static (a, _) => Datum.FromDouble(a.Double > 0 ? 1 : a.Double < 0 ? -1 : 0));
        t.FN("width_bucket_float8", static (a, _) => WidthBucket(a[0].Double, a[1].Double, a[2].Double, a[3].Int32));
    }

    private static Datum WidthBucket(double v, double low, double high, int count)
    {
        const string state = "2201G";
        if (count <= 0)
        {
            throw new PgException(state, "count must be greater than zero");
        }

        if (double.IsNaN(v) || double.IsNaN(low) || double.IsNaN(high))
        {
            throw new PgException(state, "operand, lower bound, and upper bound cannot be NaN");
        }

        if (double.IsInfinity(low) || double.IsInfinity(high))
        {
            throw new PgException(state, "lower and upper bounds must be finite");
        }

        if (low == high)
        {
            throw new PgException(state, "lower bound cannot equal upper bound");
        }

        bool up = low < high;
        if (up ? v < low : v > low)
        {
            return Datum.FromInt32(0);
        }

        if (up ? v >= high : v <= high)
        {
            return IntegerFunctions.Int4(count + 1L);
        }

        double bucket = (up ? count * (v - low) / (high - low) : count * (low - v) / (low - high)) + 1;
        return Datum.FromInt32(bucket is >= int.MinValue and < 2_147_483_648.0 ? (int)bucket : int.MinValue);
    }

    private static void AddMathematics(FunctionTable t)
    {
        t.F1("dsqrt", static (a, _) => a.Double < 0
            ? throw new PgException(PowerState, "cannot take square root of a negative number")
            : Datum.FromDouble(Math.Sqrt(a.Double)));
        t.F1("dcbrt", static (a, _) => Datum.FromDouble(Math.Cbrt(a.Double)));
        t.F2("dpow", static (a, b, _) => Datum.FromDouble(Power(a.Double, b.Double)));
        t.F1("dexp", static (a, _) => Datum.FromDouble(Exp(a.Double)));
        t.F1("dlog1", static (a, _) => Datum.FromDouble(Log(a.Double, Math.Log)));
        t.F1("dlog10", static (a, _) => Datum.FromDouble(Log(a.Double, Math.Log10)));
        t.F0("dpi", static _ => Datum.FromDouble(Math.PI));
        t.F1("degrees", static (a, _) => Datum.FromDouble(Divide(a.Double, 0.0174532925199432957692)));
        t.F1("radians", static (a, _) => Datum.FromDouble(Times(a.Double, 0.0174532925199432957692)));
        t.F0("drandom", static c => Datum.FromDouble(c.Random.NextDouble()));
        t.F1("setseed", static (a, c) => SetSeed(a.Double, c));
    }

    private static Datum SetSeed(double seed, EvalContext c)
    {
        if (!(seed >= -1 && seed <= 1))
        {
            throw new PgException(SqlStates.InvalidParameterValue, $"setseed parameter {FloatText.General(seed, 6)} is out of allowed range [-1,1]");
        }

        c.Random.Seed(seed);
        return Datum.FromInt32(0);
    }

    private static double Power(double a, double b)
    {
        if (double.IsNaN(a))
        {
            return b == 0 ? 1 : FloatType.NaN;
        }

        if (double.IsNaN(b))
        {
            return a == 1 ? 1 : FloatType.NaN;
        }

        if (a == 0 && b < 0)
        {
            throw new PgException(PowerState, "zero raised to a negative power is undefined");
        }

        if (a < 0 && Math.Floor(b) != b)
        {
            throw new PgException(PowerState, "a negative number raised to a non-integer power yields a complex result");
        }

        double r = Math.Pow(a, b);
        if (double.IsInfinity(a) || double.IsInfinity(b))
        {
            return r;
        }

        if (double.IsInfinity(r))
        {
            throw Overflow();
        }

        return r == 0 && a != 0 ? throw Underflow() : r;
    }

    private static double Exp(double a)
    {
        double r = Math.Exp(a);
        if (double.IsNaN(a) || double.IsInfinity(a))
        {
            return r;
        }

        if (double.IsInfinity(r))
        {
            throw Overflow();
        }

        return r == 0 ? throw Underflow() : r;
    }

    private static double Log(double a, Func<double, double> log)
    {
        if (a <= 0)
        {
            throw new PgException(LogState, a == 0 ? "cannot take logarithm of zero" : "cannot take logarithm of a negative number");
        }

        return log(a);
    }

    private static void AddTrigonometry(FunctionTable t)
    {
        Math1(t, "dsin", Math.Sin, static a => double.IsInfinity(a));
        Math1(t, "dcos", Math.Cos, static a => double.IsInfinity(a));
        Math1(t, "dtan", Math.Tan, static a => double.IsInfinity(a));
        Math1(t, "dcot", static a => 1.0 / Math.Tan(a), static a => double.IsInfinity(a));
        Math1(t, "dasin", Math.Asin, static a => a is < -1 or > 1);
        Math1(t, "dacos", Math.Acos, static a => a is < -1 or > 1);
        Math1(t, "datan", Math.Atan, static _ => false);
        Math1(t, "dsinh", Math.Sinh, static _ => false);
        Math1(t, "dcosh", Math.Cosh, static _ => false);
        Math1(t, "dtanh", Math.Tanh, static _ => false);
        Math1(t, "dasinh", Math.Asinh, static _ => false);
        Math1(t, "dacosh", Math.Acosh, static a => a < 1);
        Math1(t, "datanh", Math.Atanh, static a => a is < -1 or > 1);
        t.F2("datan2", static (a, b, _) => Datum.FromDouble(Math.Atan2(a.Double, b.Double)));
    }

    private static void Math1(FunctionTable t, string name, Func<double, double> f, Func<double, bool> outside) =>
        t.F1(name, (a, _) => outside(a.Double) ? throw new PgException(SqlStates.NumericValueOutOfRange, "input is out of range") : Datum.FromDouble(f(a.Double)));
}
