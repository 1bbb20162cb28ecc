using System.Numerics;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>extract (numeric) and date_part (double precision) for all date and time types.</summary>
internal static class ExtractFunctions
{
    private const string Timestamp = "timestamp without time zone";
    private const string TimestampTz = "timestamp with time zone";

    /// <summary>A field's value: a whole number with so many decimal places; Double is what date_part gives when it differs.</summary>
    private readonly record struct Part(Int128 Value, int Scale, double? Double = null, int Infinity = 0, bool Null = false);

    public static void Add(FunctionTable t)
    {
        Both(t, "extract_timestamp", "timestamp_part", static (u, v, _) => OfTimestamp(u, v.Int64, v.Int64, null, Timestamp));
        Both(t, "extract_timestamptz", "timestamptz_part", static (u, v, c) => OfTimestampTz(u, v.Int64, c));
        Both(t, "extract_time", "time_part", static (u, v, _) => OfTime(u, v.Int64, null, "time without time zone"));
        Both(t, "extract_timetz", "timetz_part", static (u, v, _) => OfTime(u, TimeTzType.Time(v), -TimeTzType.ZoneWest(v), "time with time zone"));
        Both(t, "extract_interval", "interval_part", static (u, v, _) => OfInterval(u, IntervalValue.Read(v)));
        t.F2("extract_date", static (a, b, _) => Numeric(OfDate(Unit(a), b.Int32)));
        t.Sql2(1384, "date_part", static (a, b, _) =>
        {
            long v = Calendar.FromDate(b.Int32);
            return Double(OfTimestamp(Unit(a), v, v, null, Timestamp));
        });
    }

    private static void Both(FunctionTable t, string extract, string part, Func<string, Datum, EvalContext, Part> f)
    {
        t.F2(extract, (a, b, c) => Numeric(f(Unit(a), b, c)));
        t.F2(part, (a, b, c) => Double(f(Unit(a), b, c)));
    }

    private static string Unit(Datum a) => TextFunctions.LowerAscii(TextFunctions.Str(a));

    private static Datum Numeric(Part p)
    {
        if (p.Null)
        {
            return Datum.Null;
        }

        if (p.Infinity != 0)
        {
            return NumericFunctions.Make(p.Infinity > 0 ? NumericValue.PositiveInfinity : NumericValue.NegativeInfinity);
        }

        return NumericFunctions.Make(new NumericValue((BigInteger)p.Value, p.Scale));
    }

    private static Datum Double(Part p)
    {
        if (p.Null)
        {
            return Datum.Null;
        }

        if (p.Infinity != 0)
        {
            return Datum.FromDouble(p.Infinity > 0 ? double.PositiveInfinity : double.NegativeInfinity);
        }

        return Datum.FromDouble(p.Double ?? ((double)p.Value / Math.Pow(10, p.Scale)));
    }

    private static Part OfTimestampTz(string unit, long v, EvalContext c)
    {
        if (!Calendar.IsFinite(v))
        {
            return OfTimestamp(unit, v, v, 0, TimestampTz);
        }

        int offset = c.TimeZone.OffsetAt(v);
        return OfTimestamp(unit, v + (offset * Calendar.PerSecond), v, offset, TimestampTz);
    }

    private static Part OfTimestamp(string unit, long local, long utc, int? offset, string type)
    {
        Token t = DateTimeTokens.Field(unit);
        if (t.Kind is not (TokenKind.Unit or TokenKind.Reserved))
        {
            throw DateTimeParts.NotRecognized(unit, type);
        }

        var field = (DateUnit)t.Value;
        if (!Calendar.IsFinite(local))
        {
            return OfInfinity(unit, field, local > 0 ? 1 : -1, offset is not null, type);
        }

        if (field == DateUnit.Epoch)
        {
            return new Part((Int128)utc + ((Int128)(Calendar.EpochJulian - Calendar.UnixJulian) * Calendar.PerDay), 6);
        }

        DateTimeFields f = Calendar.Split(local);
        if (OfDateFields(field, f) is { } whole)
        {
            return new Part(whole, 0);
        }

        if (field == DateUnit.Julian)
        {
            return Julian(f);
        }

        return OfTimeFields(field, f.TimeOfDay) ?? OfOffset(field, offset) ?? throw DateTimeParts.NotSupported(unit, type);
    }

    private static Part OfInfinity(string unit, DateUnit field, int sign, bool withZone, string type)
    {
        switch (field)
        {
            case DateUnit.Microsecond or DateUnit.Millisecond or DateUnit.Second or DateUnit.Minute or DateUnit.Hour or DateUnit.Day or DateUnit.Month
                or DateUnit.Quarter or DateUnit.Week or DateUnit.DayOfWeek or DateUnit.IsoDayOfWeek or DateUnit.DayOfYear:
            case DateUnit.TimeZone or DateUnit.TimeZoneHour or DateUnit.TimeZoneMinute when withZone || type == Timestamp:
                return new Part(0, 0, Null: true);
            case DateUnit.Year or DateUnit.Decade or DateUnit.Century or DateUnit.Millennium or DateUnit.Julian or DateUnit.IsoYear or DateUnit.Epoch:
                return new Part(0, 0, Infinity: sign);
            default:
                throw DateTimeParts.NotSupported(unit, type);
        }
    }

    private static Part Julian(DateTimeFields f)
    {
        long day = Calendar.Days(f.Year, f.Month, f.Day) + Calendar.EpochJulian;

        // As PostgreSQL: the part of the day is a numeric quotient with its usual scale.
        NumericValue part = NumericMath.Divide(new NumericValue(f.TimeOfDay, 0), new NumericValue(Calendar.PerDay, 0));
        NumericValue sum = NumericMath.Add(new NumericValue(day, 0), part);
        double seconds = (((f.Hour * 60) + f.Minute) * 60) + f.Second + (f.Microsecond / 1_000_000.0);
        return new Part((Int128)sum.Unscaled, sum.Scale, day + (seconds / 86_400));
    }

    // The fields that dates have; null for others.
    private static long? OfDateFields(DateUnit field, in DateTimeFields f)
    {
        int year = f.Year;
        switch (field)
        {
            case DateUnit.Day: return f.Day;
            case DateUnit.Month: return f.Month;
            case DateUnit.Quarter: return ((f.Month - 1) / 3) + 1;
            case DateUnit.Week: return Calendar.IsoWeek(year, f.Month, f.Day);
            case DateUnit.Year: return year > 0 ? year : year - 1;
            case DateUnit.Decade: return year >= 0 ? year / 10 : -((8 - (year - 1)) / 10);
            case DateUnit.Century: return year > 0 ? (year + 99) / 100 : -((99 - (year - 1)) / 100);
            case DateUnit.Millennium: return year > 0 ? (year + 999) / 1000 : -((999 - (year - 1)) / 1000);
            case DateUnit.IsoYear:
                int iso = Calendar.IsoYear(year, f.Month, f.Day);
                return iso > 0 ? iso : iso - 1;
            case DateUnit.DayOfWeek: return Calendar.DayOfWeek(Calendar.Days(year, f.Month, f.Day));
            case DateUnit.IsoDayOfWeek: return Calendar.DayOfWeek(Calendar.Days(year, f.Month, f.Day)) is var d && d == 0 ? 7 : d;
            case DateUnit.DayOfYear: return Calendar.Days(year, f.Month, f.Day) - Calendar.Days(year, 1, 1) + 1;
            default: return null;
        }
    }

    private static Part? OfTimeFields(DateUnit field, long time)
    {
        long second = time % Calendar.PerMinute;
        return field switch
        {
            DateUnit.Microsecond => new Part(second, 0),
            DateUnit.Millisecond => new Part(second, 3, ((second / 1_000_000) * 1000.0) + ((second % 1_000_000) / 1000.0)),
            DateUnit.Second => new Part(second, 6, (second / 1_000_000) + ((second % 1_000_000) / 1_000_000.0)),
            DateUnit.Minute => new Part(time % Calendar.PerHour / Calendar.PerMinute, 0),
            DateUnit.Hour => new Part(time / Calendar.PerHour, 0),
            _ => null,
        };
    }

    private static Part? OfOffset(DateUnit field, int? offset)
    {
        if (offset is not { } o)
        {
            return null;
        }

        return field switch
        {
            DateUnit.TimeZone => new Part(o, 0),
            DateUnit.TimeZoneHour => new Part(o / 3600, 0),
            DateUnit.TimeZoneMinute => new Part(o / 60 % 60, 0),
            _ => null,
        };
    }

    private static Part OfDate(string unit, int date)
    {
        Token t = DateTimeTokens.Field(unit);
        if (t.Kind is not (TokenKind.Unit or TokenKind.Reserved))
        {
            throw DateTimeParts.NotRecognized(unit, "date");
        }

        var field = (DateUnit)t.Value;
        bool timeOfDay = field is DateUnit.Hour or DateUnit.Minute or DateUnit.Second or DateUnit.Millisecond or DateUnit.Microsecond;
        if (!Calendar.IsFiniteDate(date))
        {
            return timeOfDay ? throw DateTimeParts.NotSupported(unit, "date") : OfInfinity(unit, field, date > 0 ? 1 : -1, false, "date");
        }

        var f = default(DateTimeFields);
        Calendar.Date(date, out f.Year, out f.Month, out f.Day);
        return field switch
        {
            DateUnit.Julian => new Part((long)date + Calendar.EpochJulian, 0),
            DateUnit.Epoch => new Part(((long)date + Calendar.EpochJulian - Calendar.UnixJulian) * 86_400, 0),
            _ => new Part(OfDateFields(field, f) ?? throw DateTimeParts.NotSupported(unit, "date"), 0),
        };
    }

    private static Part OfTime(string unit, long time, int? offset, string type)
    {
        Token t = DateTimeTokens.Field(unit);
        var field = (DateUnit)t.Value;
        if (t.Kind == TokenKind.Reserved && field == DateUnit.Epoch)
        {
            return new Part(time - ((offset ?? 0) * Calendar.PerSecond), 6);
        }

        return t.Kind != TokenKind.Unit
            ? throw DateTimeParts.NotRecognized(unit, type)
            : OfTimeFields(field, time) ?? OfOffset(field, offset) ?? throw DateTimeParts.NotSupported(unit, type);
    }

    private static Part OfInterval(string unit, IntervalValue v)
    {
        Token t = DateTimeTokens.Field(unit);
        var field = (DateUnit)t.Value;
        if (t.Kind == TokenKind.Reserved && field == DateUnit.Epoch)
        {
            // A year is 365.25 days, a month 30.
            Int128 quarters = (((Int128)1461 * (v.Months / 12)) + ((Int128)120 * (v.Months % 12)) + ((Int128)4 * v.Days)) * 21_600;
            double d = (v.Time / 1_000_000.0) + (365.25 * 86_400 * (v.Months / 12)) + (30.0 * 86_400 * (v.Months % 12)) + (86_400.0 * v.Days);
            return new Part((quarters * 1_000_000) + v.Time, 6, d);
        }

        if (t.Kind != TokenKind.Unit)
        {
            throw DateTimeParts.NotRecognized(unit, "interval");
        }

        int years = v.Months / 12;
        return field switch
        {
            DateUnit.Day => new Part(v.Days, 0),
            DateUnit.Month => new Part(v.Months % 12, 0),
            DateUnit.Quarter => new Part((v.Months % 12 / 3) + 1, 0),
            DateUnit.Year => new Part(years, 0),
            DateUnit.Decade => new Part(years / 10, 0),
            DateUnit.Century => new Part(years / 100, 0),
            DateUnit.Millennium => new Part(years / 1000, 0),
            _ => OfTimeFields(field, v.Time) ?? throw DateTimeParts.NotSupported(unit, "interval"),
        };
    }
}
