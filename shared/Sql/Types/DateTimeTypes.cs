using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>What the date and time types have in common: one number that orders them.</summary>
internal abstract class MomentType : PgType
{
    public override int Compare(Datum a, Datum b, Collation? collation) => a.Bits.CompareTo(b.Bits);
    public override bool AreEqual(Datum a, Datum b) => a.Bits == b.Bits;
    public override int Hash(Datum value) => HashMix.Of(value.Bits);
    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => BinaryOutput.Integer(value.Bits, Length, output);

    protected static int ParsePrecision(IReadOnlyList<int> parts, string name)
    {
        if (parts.Count != 1)
        {
            throw new PgException(SqlStates.InvalidParameterValue, "invalid type modifier");
        }

        return parts[0] < 0
            ? throw new PgException(SqlStates.InvalidParameterValue, $"{name} precision must not be negative")
            : Math.Min(parts[0], 6);
    }
}

internal sealed class DateType : MomentType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        if (IsoDateTime.TryDate(text, out long fast))
        {
            return Datum.FromInt32((int)fast);
        }

        var p = new DateTimeParser("date", zoneAllowed: true, timeOnly: false, context);
        p.Parse(text);
        switch (p.Kind)
        {
            case ParsedKind.Infinity:
                return Datum.FromInt32(Calendar.DateInfinity);
            case ParsedKind.MinusInfinity:
                return Datum.FromInt32(Calendar.DateMinusInfinity);
            case ParsedKind.Epoch:
                return Datum.FromInt32(Calendar.UnixJulian - Calendar.EpochJulian);
            default:
                long days = Calendar.Days(p.Fields.Year, p.Fields.Month, p.Fields.Day);
                return Calendar.IsValidDate(days)
                    ? Datum.FromInt32((int)days)
                    : throw new PgException(SqlStates.DatetimeFieldOverflow, $"date out of range: \"{Encoding.UTF8.GetString(text)}\"");
        }
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) => DateTimeText.WriteDate(value.Int32, output, context);

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, 4);
        int v = BinaryPrimitives.ReadInt32BigEndian(data);
        return !Calendar.IsFiniteDate(v) || Calendar.IsValidDate(v) ? Datum.FromInt32(v) : throw Calendar.DateOutOfRange();
    }
}

/// <summary>timestamp, and timestamptz, which is the same number in UTC.</summary>
internal sealed class TimestampType(bool withZone) : MomentType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        if (IsoDateTime.TryTimestamp(text, out long local, out int? offset))
        {
            long utc = withZone ? local - ((offset ?? context.TimeZone.OffsetForLocal(local)) * Calendar.PerSecond) : local;
            return Datum.FromInt64(Calendar.RoundTo(utc, typeModifier));
        }

        var p = new DateTimeParser(withZone ? Name : "timestamp", zoneAllowed: true, timeOnly: false, context);
        p.Parse(text);
        switch (p.Kind)
        {
            case ParsedKind.Infinity:
                return Datum.FromInt64(long.MaxValue);
            case ParsedKind.MinusInfinity:
                return Datum.FromInt64(long.MinValue);
            case ParsedKind.Epoch:
                return Datum.FromInt64((long)(Calendar.UnixJulian - Calendar.EpochJulian) * Calendar.PerDay);
            default:
                Int128 v = ((Int128)Calendar.Days(p.Fields.Year, p.Fields.Month, p.Fields.Day) * Calendar.PerDay) + p.Fields.TimeOfDay;
                v -= withZone ? p.Offset * Calendar.PerSecond : 0;
                return v == (long)v && Calendar.IsValidTimestamp((long)v)
                    ? Datum.FromInt64(Calendar.RoundTo((long)v, typeModifier))
                    : throw new PgException(SqlStates.DatetimeFieldOverflow, $"timestamp out of range: \"{Encoding.UTF8.GetString(text)}\"");
        }
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) =>
        DateTimeText.WriteTimestamp(value.Int64, withZone, output, context);

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, 8);
        long v = BinaryPrimitives.ReadInt64BigEndian(data);
        if (!Calendar.IsFinite(v))
        {
            return Datum.FromInt64(v);
        }

        return Calendar.IsValidTimestamp(v) ? Datum.FromInt64(Calendar.RoundTo(v, typeModifier)) : throw Calendar.TimestampOutOfRange();
    }

    public override int ParseTypeModifier(IReadOnlyList<int> parts) => ParsePrecision(parts, withZone ? "TIMESTAMP WITH TIME ZONE" : "TIMESTAMP");
    public override string FormatTypeModifier(int typeModifier) => typeModifier >= 0 ? $"({typeModifier})" : "";
}

internal sealed class TimeType : MomentType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        var p = new DateTimeParser("time", zoneAllowed: true, timeOnly: true, context);
        p.Parse(text);
        return Datum.FromInt64(Calendar.RoundTo(p.Fields.TimeOfDay, typeModifier));
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) => DateTimeText.WriteTime(value.Int64, output);

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, 8);
        long v = BinaryPrimitives.ReadInt64BigEndian(data);
        return v is >= 0 and <= Calendar.PerDay
            ? Datum.FromInt64(Calendar.RoundTo(v, typeModifier))
            : throw new PgException(SqlStates.DatetimeFieldOverflow, "time out of range");
    }

    public override int ParseTypeModifier(IReadOnlyList<int> parts) => ParsePrecision(parts, "TIME");
    public override string FormatTypeModifier(int typeModifier) => typeModifier >= 0 ? $"({typeModifier})" : "";
}

/// <summary>timetz: 12 bytes, the local time and the zone in seconds west of UTC; ordered by the moment, then by the zone.</summary>
internal sealed class TimeTzType : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        var p = new DateTimeParser(Name, zoneAllowed: true, timeOnly: true, context);
        p.Parse(text);
        return From(Calendar.RoundTo(p.Fields.TimeOfDay, typeModifier), -p.Offset);
    }

    public static Datum From(long time, int zoneWest)
    {
        var bytes = new byte[12];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, time);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), zoneWest);
        return Datum.FromBytes(bytes);
    }

    public static long Time(Datum d) => BinaryPrimitives.ReadInt64LittleEndian(d.Bytes);
    public static int ZoneWest(Datum d) => BinaryPrimitives.ReadInt32LittleEndian(d.Bytes.AsSpan(8));

    public static int CompareValues(Datum a, Datum b)
    {
        int c = (Time(a) + (ZoneWest(a) * Calendar.PerSecond)).CompareTo(Time(b) + (ZoneWest(b) * Calendar.PerSecond));
        return c != 0 ? c : ZoneWest(a).CompareTo(ZoneWest(b));
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) =>
        DateTimeText.WriteTimeTz(Time(value), -ZoneWest(value), output);

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, 12);
        long v = BinaryPrimitives.ReadInt64BigEndian(data);
        int zone = BinaryPrimitives.ReadInt32BigEndian(data[8..]);
        if (v is < 0 or > Calendar.PerDay)
        {
            throw new PgException(SqlStates.DatetimeFieldOverflow, "time out of range");
        }

        return Math.Abs((long)zone) < 16 * 3600
            ? From(Calendar.RoundTo(v, typeModifier), zone)
            : throw new PgException("22009", "time zone displacement out of range");
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context)
    {
        BinaryOutput.Integer(Time(value), 8, output);
        BinaryOutput.Integer(ZoneWest(value), 4, output);
    }

    public override int Compare(Datum a, Datum b, Collation? collation) => CompareValues(a, b);
    public override int Hash(Datum value) => HashMix.Of(value.Bytes);

    public override int ParseTypeModifier(IReadOnlyList<int> parts) =>
        parts.Count == 1 && parts[0] >= 0 ? Math.Min(parts[0], 6) : throw new PgException(SqlStates.InvalidParameterValue, "invalid type modifier");

    public override string FormatTypeModifier(int typeModifier) => typeModifier >= 0 ? $"({typeModifier})" : "";
}

/// <summary>The plain ISO forms, which loads are full of, without the general reader's allocations.</summary>
internal static class IsoDateTime
{
    public static bool TryDate(ReadOnlySpan<byte> s, out long days) => TryDate(s, out days, out int used) && used == s.Length;

    public static bool TryTimestamp(ReadOnlySpan<byte> s, out long local, out int? offset)
    {
        local = 0;
        offset = null;
        if (!TryDate(s, out long days, out int at))
        {
            return false;
        }

        local = days * Calendar.PerDay;
        if (at == s.Length)
        {
            return true;
        }

        if (s.Length < at + 9 || s[at] != (byte)' ' || s[at + 3] != (byte)':' || s[at + 6] != (byte)':'
            || !Two(s, at + 1, out int hour) || !Two(s, at + 4, out int minute) || !Two(s, at + 7, out int second)
            || hour > 23 || minute > 59 || second > 59)
        {
            return false;
        }

        at += 9;
        int micro = 0;
        if (at < s.Length && s[at] == (byte)'.')
        {
            int unit = 100_000;
            for (at++; at < s.Length && s[at] is >= (byte)'0' and <= (byte)'9'; at++)
            {
                if (unit == 0)
                {
                    return false;
                }

                micro += (s[at] - '0') * unit;
                unit /= 10;
            }
        }

        local += Calendar.Time(hour, minute, second, micro);
        if (at == s.Length)
        {
            return true;
        }

        // "+hh" only; longer offsets are rare.
        if (s.Length != at + 3 || s[at] is not ((byte)'+' or (byte)'-') || !Two(s, at + 1, out int zone) || zone > 15)
        {
            return false;
        }

        offset = s[at] == (byte)'-' ? -zone * 3600 : zone * 3600;
        return true;
    }

    private static bool TryDate(ReadOnlySpan<byte> s, out long days, out int used)
    {
        days = 0;
        used = 10;
        if (s.Length < 10 || s[4] != (byte)'-' || s[7] != (byte)'-' || !Two(s, 0, out int century) || !Two(s, 2, out int rest)
            || !Two(s, 5, out int month) || !Two(s, 8, out int day))
        {
            return false;
        }

        int year = (century * 100) + rest;
        if (year == 0 || month is < 1 or > 12 || day < 1 || day > Calendar.DaysInMonth(year, month))
        {
            return false;
        }

        days = Calendar.Days(year, month, day);
        return true;
    }

    private static bool Two(ReadOnlySpan<byte> s, int at, out int value)
    {
        int high = s[at] - '0';
        int low = s[at + 1] - '0';
        value = (high * 10) + low;
        return (uint)high <= 9 && (uint)low <= 9;
    }
}
