using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>date_trunc, date_bin, age (timestamp.c).</summary>
internal static class DateTimeParts
{
    public static void Add(FunctionTable t)
    {
        t.F2("timestamp_trunc", static (a, b, _) => Calendar.IsFinite(b.Int64) ? Truncate(TextFunctions.Str(a), b.Int64) : b);
        t.F2("timestamptz_trunc", static (a, b, c) => TruncateTz(TextFunctions.Str(a), b, c.TimeZone));
        t.F3("timestamptz_trunc_zone", static (a, b, c, _) => TruncateTz(TextFunctions.Str(a), b, DateTimeZones.Find(TextFunctions.Str(c))));
        t.F2("interval_trunc", static (a, b, _) => TruncateInterval(TextFunctions.Str(a), IntervalValue.Read(b)));
    }

    internal static PgException NotSupported(string unit, string type) =>
        new(SqlStates.FeatureNotSupported, $"unit \"{unit}\" not supported for type {type}");

    internal static PgException NotRecognized(string unit, string type) =>
        new(SqlStates.InvalidParameterValue, $"unit \"{unit}\" not recognized for type {type}");

    private static DateUnit Unit(string lower, string type)
    {
        Token t = DateTimeTokens.Unit(lower);
        return t.Kind == TokenKind.Unit ? (DateUnit)t.Value : throw NotRecognized(lower, type);
    }

    private static Datum Truncate(string unit, long v)
    {
        string lower = TextFunctions.LowerAscii(unit);
        DateTimeFields f = Calendar.Split(v);
        Cut(ref f, Unit(lower, "timestamp without time zone"), lower, "timestamp without time zone");
        return Datum.FromInt64(Calendar.Join(f));
    }

    private static Datum TruncateTz(string unit, Datum v, PgTimeZone zone)
    {
        const string type = "timestamp with time zone";
        if (!Calendar.IsFinite(v.Int64))
        {
            return v;
        }

        string lower = TextFunctions.LowerAscii(unit);
        int offset = zone.OffsetAt(v.Int64);
        DateTimeFields f = Calendar.Split(v.Int64 + (offset * Calendar.PerSecond));

        // From days upwards the offset may be another one at the new time.
        if (Cut(ref f, Unit(lower, type), lower, type))
        {
            offset = zone.OffsetForLocal(Calendar.Join(f));
        }

        return Datum.FromInt64(DateTimeOperators.CheckTimestamp((Int128)Calendar.Join(f) - (offset * Calendar.PerSecond)));
    }

    // Cuts the fields; true when the date (or the hour) may have changed.
    private static bool Cut(ref DateTimeFields f, DateUnit unit, string name, string type)
    {
        switch (unit)
        {
            case DateUnit.Week:
                long monday = Calendar.Days(f.Year, f.Month, f.Day);
                monday -= (Calendar.DayOfWeek(monday) + 6) % 7;
                Calendar.Date(monday, out f.Year, out f.Month, out f.Day);
                break;
            case DateUnit.Millennium:
                f.Year = f.Year > 0 ? ((f.Year + 999) / 1000 * 1000) - 999 : -((999 - (f.Year - 1)) / 1000 * 1000) + 1;
                (f.Month, f.Day) = (1, 1);
                break;
            case DateUnit.Century:
                f.Year = f.Year > 0 ? ((f.Year + 99) / 100 * 100) - 99 : -((99 - (f.Year - 1)) / 100 * 100) + 1;
                (f.Month, f.Day) = (1, 1);
                break;
            case DateUnit.Decade:
                f.Year = f.Year > 0 ? f.Year / 10 * 10 : -((8 - (f.Year - 1)) / 10 * 10);
                (f.Month, f.Day) = (1, 1);
                break;
            case DateUnit.Year:
                (f.Month, f.Day) = (1, 1);
                break;
            case DateUnit.Quarter:
                (f.Month, f.Day) = ((3 * ((f.Month - 1) / 3)) + 1, 1);
                break;
            case DateUnit.Month:
                f.Day = 1;
                break;
            case DateUnit.Day:
                break;
            case DateUnit.Hour:
                (f.Minute, f.Second, f.Microsecond) = (0, 0, 0);
                return false;
            case DateUnit.Minute:
                (f.Second, f.Microsecond) = (0, 0);
                return false;
            case DateUnit.Second:
                f.Microsecond = 0;
                return false;
            case DateUnit.Millisecond:
                f.Microsecond = f.Microsecond / 1000 * 1000;
                return false;
            case DateUnit.Microsecond:
                return false;
            default:
                throw NotSupported(name, type);
        }

        (f.Hour, f.Minute, f.Second, f.Microsecond) = (0, 0, 0, 0);
        return true;
    }

    private static Datum TruncateInterval(string unit, IntervalValue v)
    {
        string lower = TextFunctions.LowerAscii(unit);
        static IntervalValue Years(IntervalValue v, int n) => new(v.Months / (12 * n) * 12 * n, 0, 0);
        IntervalValue r = Unit(lower, "interval") switch
        {
            DateUnit.Millennium => Years(v, 1000),
            DateUnit.Century => Years(v, 100),
            DateUnit.Decade => Years(v, 10),
            DateUnit.Year => Years(v, 1),
            DateUnit.Quarter => new IntervalValue(v.Months / 3 * 3, 0, 0),
            DateUnit.Month => new IntervalValue(v.Months, 0, 0),
            DateUnit.Day => v with { Time = 0 },
            DateUnit.Hour => v with { Time = v.Time / Calendar.PerHour * Calendar.PerHour },
            DateUnit.Minute => v with { Time = v.Time / Calendar.PerMinute * Calendar.PerMinute },
            DateUnit.Second => v with { Time = v.Time / Calendar.PerSecond * Calendar.PerSecond },
            DateUnit.Millisecond => v with { Time = v.Time / 1000 * 1000 },
            DateUnit.Microsecond => v,
            DateUnit.Week => throw new PgException(SqlStates.FeatureNotSupported, $"unit \"{lower}\" not supported for type interval")
            {
                Detail = "Months usually have fractional weeks.",
            },
            _ => throw NotSupported(lower, "interval"),
        };
        return r.ToDatum();
    }

    /// <summary>The difference in years, months, days and time; both are local.</summary>
    public static Datum Age(long a, long b)
    {
        // The infinities count as the moments that their numbers would be, as in PostgreSQL 15; below Julian day 0 there is none.
        if (Calendar.FloorDays(a) < -Calendar.EpochJulian || Calendar.FloorDays(b) < -Calendar.EpochJulian)
        {
            throw Calendar.TimestampOutOfRange();
        }

        bool negative = a < b;
        (DateTimeFields high, DateTimeFields low) = negative ? (Calendar.Split(b), Calendar.Split(a)) : (Calendar.Split(a), Calendar.Split(b));
        long time = high.TimeOfDay - low.TimeOfDay;
        int days = high.Day - low.Day;
        int months = ((high.Year - low.Year) * 12) + high.Month - low.Month;
        while (time < 0)
        {
            time += Calendar.PerDay;
            days--;
        }

        while (days < 0)
        {
            // A borrowed month is as long as the earlier moment's.
            days += Calendar.DaysInMonth(low.Year, low.Month);
            months--;
        }

        return negative ? new IntervalValue(-months, -days, -time).ToDatum() : new IntervalValue(months, days, time).ToDatum();
    }

    /// <summary>date_bin: the start of the stride in which the moment lies.</summary>
    public static Datum Bin(IntervalValue stride, long v, long origin)
    {
        if (!Calendar.IsFinite(v))
        {
            return Datum.FromInt64(v);
        }

        if (!Calendar.IsFinite(origin))
        {
            throw new PgException(SqlStates.DatetimeFieldOverflow, "origin out of range");
        }

        if (stride.Months != 0)
        {
            throw new PgException(SqlStates.FeatureNotSupported, "timestamps cannot be binned into intervals containing months or years");
        }

        Int128 size = ((Int128)stride.Days * Calendar.PerDay) + stride.Time;
        Int128 distance = (Int128)v - origin;
        if (size != (long)size || distance != (long)distance)
        {
            throw Calendar.IntervalOutOfRange();
        }

        if (size <= 0)
        {
            throw new PgException(SqlStates.DatetimeFieldOverflow, "stride must be greater than zero");
        }

        Int128 rest = distance % size;
        Int128 result = origin + distance - rest;
        return Datum.FromInt64(rest < 0 ? DateTimeOperators.CheckTimestamp(result - size) : (long)result);
    }
}
