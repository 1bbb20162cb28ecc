using System.Numerics;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Functions;

/// <summary>int2, int4, int8, oid, bool and "char": arithmetic with overflow checks, comparison, casts among them (int.c, int8.c, oid.c, bool.c).</summary>
internal static class IntegerFunctions
{
    private static readonly string[] Comparable =
        ["int2", "int4", "int8", "int24", "int42", "int28", "int82", "int48", "int84", "bool", "date_", "time_", "timestamp_"];

    public static void Add(FunctionTable t)
    {
        AddComparisons(t);
        AddArithmetic2(t);
        AddArithmetic4(t);
        AddArithmetic8(t);
        AddBits(t);
        AddCasts(t);
        AddOther(t);
    }

    internal static PgException SmallIntOutOfRange() => new(SqlStates.NumericValueOutOfRange, "smallint out of range");
    internal static PgException IntegerOutOfRange() => new(SqlStates.NumericValueOutOfRange, "integer out of range");
    internal static PgException BigIntOutOfRange() => new(SqlStates.NumericValueOutOfRange, "bigint out of range");
    internal static PgException DivisionByZero() => new(SqlStates.DivisionByZero, "division by zero");

    internal static Datum Int2(long v) => v == (short)v ? Datum.FromInt64(v) : throw SmallIntOutOfRange();
    internal static Datum Int4(long v) => v == (int)v ? Datum.FromInt64(v) : throw IntegerOutOfRange();

    private static Datum Plus8(Datum a, Datum b)
    {
        long r = unchecked(a.Bits + b.Bits);
        return ((a.Bits ^ r) & (b.Bits ^ r)) < 0 ? throw BigIntOutOfRange() : Datum.FromInt64(r);
    }

    private static Datum Minus8(Datum a, Datum b)
    {
        long r = unchecked(a.Bits - b.Bits);
        return ((a.Bits ^ b.Bits) & (a.Bits ^ r)) < 0 ? throw BigIntOutOfRange() : Datum.FromInt64(r);
    }

    private static Datum Times8(Datum a, Datum b)
    {
        long high = Math.BigMul(a.Bits, b.Bits, out long low);
        return high != low >> 63 ? throw BigIntOutOfRange() : Datum.FromInt64(low);
    }

    private static Datum Divide8(Datum a, Datum b)
    {
        if (b.Bits == 0)
        {
            throw DivisionByZero();
        }

        if (b.Bits == -1)
        {
            return a.Bits == long.MinValue ? throw BigIntOutOfRange() : Datum.FromInt64(-a.Bits);
        }

        return Datum.FromInt64(a.Bits / b.Bits);
    }

    // The remainder of a division by -1 is 0; the processor would trap on the smallest number.
    private static Datum Modulo(Datum a, Datum b) =>
        b.Bits == 0 ? throw DivisionByZero() : Datum.FromInt64(b.Bits == -1 ? 0 : a.Bits % b.Bits);

    private static void AddComparisons(FunctionTable t)
    {
        foreach (string p in Comparable)
        {
            t.F2(p + "eq", static (a, b, _) => Datum.FromBool(a.Bits == b.Bits));
            t.F2(p + "ne", static (a, b, _) => Datum.FromBool(a.Bits != b.Bits));
            t.F2(p + "lt", static (a, b, _) => Datum.FromBool(a.Bits < b.Bits));
            t.F2(p + "le", static (a, b, _) => Datum.FromBool(a.Bits <= b.Bits));
            t.F2(p + "gt", static (a, b, _) => Datum.FromBool(a.Bits > b.Bits));
            t.F2(p + "ge", static (a, b, _) => Datum.FromBool(a.Bits >= b.Bits));
        }

        foreach (string p in new[] { "btint2", "btint4", "btint8", "btint24", "btint42", "btint28", "btint82", "btint48", "btint84", "btbool", "date_", "time_", "timestamp_" })
        {
            t.F2(p + "cmp", static (a, b, _) => Datum.FromInt32(a.Bits.CompareTo(b.Bits)));
        }

        foreach (string p in new[] { "oid", "xid", "cid" })
        {
            t.F2(p + "eq", static (a, b, _) => Datum.FromBool(a.UInt32 == b.UInt32));
        }

        t.F2("oidne", static (a, b, _) => Datum.FromBool(a.UInt32 != b.UInt32));
        t.F2("xidneq", static (a, b, _) => Datum.FromBool(a.UInt32 != b.UInt32));
        t.F2("oidlt", static (a, b, _) => Datum.FromBool(a.UInt32 < b.UInt32));
        t.F2("oidle", static (a, b, _) => Datum.FromBool(a.UInt32 <= b.UInt32));
        t.F2("oidgt", static (a, b, _) => Datum.FromBool(a.UInt32 > b.UInt32));
        t.F2("oidge", static (a, b, _) => Datum.FromBool(a.UInt32 >= b.UInt32));
        t.F2("btoidcmp", static (a, b, _) => Datum.FromInt32(a.UInt32.CompareTo(b.UInt32)));
        t.F2("oidlarger", static (a, b, _) => a.UInt32 > b.UInt32 ? a : b);
        t.F2("oidsmaller", static (a, b, _) => a.UInt32 < b.UInt32 ? a : b);
        t.F2("chareq", static (a, b, _) => Datum.FromBool((byte)a.Bits == (byte)b.Bits));
        t.F2("charne", static (a, b, _) => Datum.FromBool((byte)a.Bits != (byte)b.Bits));
        t.F2("charlt", static (a, b, _) => Datum.FromBool((byte)a.Bits < (byte)b.Bits));
        t.F2("charle", static (a, b, _) => Datum.FromBool((byte)a.Bits <= (byte)b.Bits));
        t.F2("chargt", static (a, b, _) => Datum.FromBool((byte)a.Bits > (byte)b.Bits));
        t.F2("charge", static (a, b, _) => Datum.FromBool((byte)a.Bits >= (byte)b.Bits));
        t.F2("btcharcmp", static (a, b, _) => Datum.FromInt32(Math.Sign((byte)a.Bits - (byte)b.Bits)));
        foreach (string p in new[] { "pg_lsn_", "xid8" })
        {
            t.F2(p + "eq", static (a, b, _) => Datum.FromBool(a.Bits == b.Bits));
            t.F2(p + "ne", static (a, b, _) => Datum.FromBool(a.Bits != b.Bits));
            t.F2(p + "lt", static (a, b, _) => Datum.FromBool((ulong)a.Bits < (ulong)b.Bits));
            t.F2(p + "le", static (a, b, _) => Datum.FromBool((ulong)a.Bits <= (ulong)b.Bits));
            t.F2(p + "gt", static (a, b, _) => Datum.FromBool((ulong)a.Bits > (ulong)b.Bits));
            t.F2(p + "ge", static (a, b, _) => Datum.FromBool((ulong)a.Bits >= (ulong)b.Bits));
            t.F2(p + "cmp", static (a, b, _) => Datum.FromInt32(((ulong)a.Bits).CompareTo((ulong)b.Bits)));
            t.F2(p + (p[^1] == '_' ? "larger" : "_larger"), static (a, b, _) => (ulong)a.Bits > (ulong)b.Bits ? a : b);
            t.F2(p + (p[^1] == '_' ? "smaller" : "_smaller"), static (a, b, _) => (ulong)a.Bits < (ulong)b.Bits ? a : b);
        }

        foreach (string p in new[] { "int2", "int4", "int8", "date_", "time_", "timestamp_" })
        {
            t.F2(p + "larger", static (a, b, _) => a.Bits > b.Bits ? a : b);
            t.F2(p + "smaller", static (a, b, _) => a.Bits < b.Bits ? a : b);
        }
    }

    private static void AddArithmetic2(FunctionTable t)
    {
        t.F2("int2pl", static (a, b, _) => Int2(a.Bits + b.Bits));
        t.F2("int2mi", static (a, b, _) => Int2(a.Bits - b.Bits));
        t.F2("int2mul", static (a, b, _) => Int2(a.Bits * b.Bits));
        t.F2("int2div", static (a, b, _) => b.Bits == 0 ? throw DivisionByZero() : Int2(a.Bits / b.Bits));
        t.F2("int2mod", static (a, b, _) => Modulo(a, b));
        t.F1("int2um", static (a, _) => Int2(-a.Bits));
        t.F1("int2up", static (a, _) => a);
        t.F1("int2abs", static (a, _) => Int2(Math.Abs(a.Bits)));
    }

    private static void AddArithmetic4(FunctionTable t)
    {
        // Sums and products of 32-bit numbers fit in 64 bits, so one check of the result is enough.
        foreach (string p in new[] { "int4", "int24", "int42" })
        {
            t.F2(p + "pl", static (a, b, _) => Int4(a.Bits + b.Bits));
            t.F2(p + "mi", static (a, b, _) => Int4(a.Bits - b.Bits));
            t.F2(p + "mul", static (a, b, _) => Int4(a.Bits * b.Bits));
            t.F2(p + "div", static (a, b, _) => b.Bits == 0 ? throw DivisionByZero() : Int4(a.Bits / b.Bits));
        }

        t.F2("int4mod", static (a, b, _) => Modulo(a, b));
        t.F1("int4um", static (a, _) => Int4(-a.Bits));
        t.F1("int4up", static (a, _) => a);
        t.F1("int4abs", static (a, _) => Int4(Math.Abs(a.Bits)));
        t.F1("int4inc", static (a, _) => Int4(a.Bits + 1));
        t.F2("int4gcd", static (a, b, _) => Int4((long)Gcd(a.Bits, b.Bits)));
        t.F2("int4lcm", static (a, b, _) => Int4(Lcm(a.Bits, b.Bits) is var v && v > int.MaxValue ? throw IntegerOutOfRange() : (long)v));
    }

    private static void AddArithmetic8(FunctionTable t)
    {
        foreach (string p in new[] { "int8", "int28", "int82", "int48", "int84" })
        {
            t.F2(p + "pl", static (a, b, _) => Plus8(a, b));
            t.F2(p + "mi", static (a, b, _) => Minus8(a, b));
            t.F2(p + "mul", static (a, b, _) => Times8(a, b));
            t.F2(p + "div", static (a, b, _) => Divide8(a, b));
        }

        t.F2("int8mod", static (a, b, _) => Modulo(a, b));
        t.F1("int8um", static (a, _) => a.Bits == long.MinValue ? throw BigIntOutOfRange() : Datum.FromInt64(-a.Bits));
        t.F1("int8up", static (a, _) => a);
        t.F1("int8abs", static (a, _) => a.Bits == long.MinValue ? throw BigIntOutOfRange() : Datum.FromInt64(Math.Abs(a.Bits)));
        t.F1("int8inc", static (a, _) => a.Bits == long.MaxValue ? throw BigIntOutOfRange() : Datum.FromInt64(a.Bits + 1));
        t.F2("int8inc_any", static (a, _, _) => a.Bits == long.MaxValue ? throw BigIntOutOfRange() : Datum.FromInt64(a.Bits + 1));
        t.F1("int8dec", static (a, _) => a.Bits == long.MinValue ? throw BigIntOutOfRange() : Datum.FromInt64(a.Bits - 1));
        t.F2("int8gcd", static (a, b, _) => Gcd(a.Bits, b.Bits) is var v && v > long.MaxValue ? throw BigIntOutOfRange() : Datum.FromInt64((long)v));
        t.F2("int8lcm", static (a, b, _) => Lcm(a.Bits, b.Bits) is var v && v > long.MaxValue ? throw BigIntOutOfRange() : Datum.FromInt64((long)v));
        t.F2("pg_lsn_mi", static (a, b, _) => NumericFunctions.FromInteger((Int128)(ulong)a.Bits - (ulong)b.Bits));
    }

    private static void AddBits(FunctionTable t)
    {
        foreach (string p in new[] { "int2", "int4", "int8" })
        {
            t.F2(p + "and", static (a, b, _) => Datum.FromInt64(a.Bits & b.Bits));
            t.F2(p + "or", static (a, b, _) => Datum.FromInt64(a.Bits | b.Bits));
            t.F2(p + "xor", static (a, b, _) => Datum.FromInt64(a.Bits ^ b.Bits));
            t.F1(p + "not", static (a, _) => Datum.FromInt64(~a.Bits));
        }

        t.F2("int2shl", static (a, b, _) => Datum.FromInt16((short)(a.Int16 << b.Int32)));
        t.F2("int2shr", static (a, b, _) => Datum.FromInt16((short)(a.Int16 >> b.Int32)));
        t.F2("int4shl", static (a, b, _) => Datum.FromInt32(a.Int32 << b.Int32));
        t.F2("int4shr", static (a, b, _) => Datum.FromInt32(a.Int32 >> b.Int32));
        t.F2("int8shl", static (a, b, _) => Datum.FromInt64(a.Int64 << b.Int32));
        t.F2("int8shr", static (a, b, _) => Datum.FromInt64(a.Int64 >> b.Int32));
    }

    private static void AddCasts(FunctionTable t)
    {
        foreach (string widening in new[] { "i2toi4", "int28", "int48" })
        {
            t.F1(widening, static (a, _) => a);
        }

        t.F1("i4toi2", static (a, _) => Int2(a.Bits));
        t.F1("int82", static (a, _) => Int2(a.Bits));
        t.F1("int84", static (a, _) => Int4(a.Bits));
        t.F1("i8tooid", static (a, _) => a.Bits is < 0 or > uint.MaxValue
            ? throw new PgException(SqlStates.NumericValueOutOfRange, "OID out of range")
            : Datum.FromUInt32((uint)a.Bits));
        t.F1("oidtoi8", static (a, _) => Datum.FromInt64(a.UInt32));
        t.F1("int4_bool", static (a, _) => Datum.FromBool(a.Int32 != 0));
        t.F1("bool_int4", static (a, _) => Datum.FromInt32(a.Bool ? 1 : 0));
        t.F1("chartoi4", static (a, _) => Datum.FromInt32((sbyte)a.Bits));
        t.F1("i4tochar", static (a, _) => a.Int32 is < sbyte.MinValue or > sbyte.MaxValue
            ? throw new PgException(SqlStates.NumericValueOutOfRange, "\"char\" out of range")
            : Datum.FromInt16((sbyte)a.Int32));
        t.F1("xid8toxid", static (a, _) => Datum.FromUInt32((uint)a.Bits));
        t.F1("booltext", static (a, _) => Datum.FromBytes(a.Bool ? "true"u8.ToArray() : "false"u8.ToArray()));
    }

    private static void AddOther(FunctionTable t)
    {
        t.F2("booland_statefunc", static (a, b, _) => Datum.FromBool(a.Bool && b.Bool));
        t.F2("boolor_statefunc", static (a, b, _) => Datum.FromBool(a.Bool || b.Bool));

        // sum(int2), sum(int4): a null state is "no row yet"; they are not strict.
        foreach (string name in new[] { "int2_sum", "int4_sum" })
        {
            t.F2(name, static (a, b, _) => b.IsNull ? a : a.IsNull ? b : Datum.FromInt64(a.Bits + b.Bits));
        }
    }

    private static ulong Gcd(long a, long b) => (ulong)BigInteger.GreatestCommonDivisor(a, b);

    private static UInt128 Lcm(long a, long b)
    {
        if (a == 0 || b == 0)
        {
            return 0;
        }

        ulong g = Gcd(a, b);
        return (UInt128)(ulong)Math.Abs((decimal)a) / g * (ulong)Math.Abs((decimal)b);
    }
}
