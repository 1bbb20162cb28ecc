using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>Comparison, arithmetic, casts and constructors of dates, times, timestamps and intervals (date.c, timestamp.c).</summary>
internal static class DateTimeOperators
{
    public static void Add(FunctionTable t)
    {
        AddComparisons(t);
        AddDates(t);
        AddTimestamps(t);
        AddTimes(t);
        AddCasts(t);
        AddClock(t);
        AddMakers(t);
    }

    internal static long ToUtc(long local, EvalContext c) =>
        Calendar.IsFinite(local) ? CheckTimestamp((Int128)local - (c.TimeZone.OffsetForLocal(local) * Calendar.PerSecond)) : local;

    internal static long ToLocal(long utc, EvalContext c) =>
        Calendar.IsFinite(utc) ? CheckTimestamp((Int128)utc + (c.TimeZone.OffsetAt(utc) * Calendar.PerSecond)) : utc;

    internal static long CheckTimestamp(Int128 v) => v == (long)v && Calendar.IsValidTimestamp((long)v) ? (long)v : throw Calendar.TimestampOutOfRange();

    private static void Six(FunctionTable t, string prefix, string suffix, Func<Datum, Datum, EvalContext, int> compare)
    {
        t.F2(prefix + "eq" + suffix, (a, b, c) => Datum.FromBool(compare(a, b, c) == 0));
        t.F2(prefix + "ne" + suffix, (a, b, c) => Datum.FromBool(compare(a, b, c) != 0));
        t.F2(prefix + "lt" + suffix, (a, b, c) => Datum.FromBool(compare(a, b, c) < 0));
        t.F2(prefix + "le" + suffix, (a, b, c) => Datum.FromBool(compare(a, b, c) <= 0));
        t.F2(prefix + "gt" + suffix, (a, b, c) => Datum.FromBool(compare(a, b, c) > 0));
        t.F2(prefix + "ge" + suffix, (a, b, c) => Datum.FromBool(compare(a, b, c) >= 0));
        t.F2(prefix + "cmp" + suffix, (a, b, c) => Datum.FromInt32(Math.Sign(compare(a, b, c))));
    }

    // A date as a moment for comparison: those beyond the timestamps' range are above all of them, but below infinity.
    private static Int128 DateMoment(int date) => date switch
    {
        Calendar.DateInfinity => long.MaxValue,
        Calendar.DateMinusInfinity => long.MinValue,
        _ => Int128.Min((Int128)date * Calendar.PerDay, long.MaxValue - 1L),
    };

    private static Int128 DateMomentUtc(int date, EvalContext c) => LocalMomentUtc(DateMoment(date), c);

    private static Int128 LocalMomentUtc(Int128 local, EvalContext c) =>
        local == (long)local && Calendar.IsValidTimestamp((long)local) ? local - (c.TimeZone.OffsetForLocal((long)local) * Calendar.PerSecond) : local;

    private static void AddComparisons(FunctionTable t)
    {
        Six(t, "date_", "_timestamp", static (a, b, _) => DateMoment(a.Int32).CompareTo(b.Int64));
        Six(t, "timestamp_", "_date", static (a, b, _) => -DateMoment(b.Int32).CompareTo(a.Int64));
        Six(t, "date_", "_timestamptz", static (a, b, c) => DateMomentUtc(a.Int32, c).CompareTo(b.Int64));
        Six(t, "timestamptz_", "_date", static (a, b, c) => -DateMomentUtc(b.Int32, c).CompareTo(a.Int64));
        Six(t, "timestamp_", "_timestamptz", static (a, b, c) => LocalMomentUtc(a.Int64, c).CompareTo(b.Int64));
        Six(t, "timestamptz_", "_timestamp", static (a, b, c) => -LocalMomentUtc(b.Int64, c).CompareTo(a.Int64));
        Six(t, "interval_", "", static (a, b, _) => IntervalValue.Read(a).Span.CompareTo(IntervalValue.Read(b).Span));
        Six(t, "timetz_", "", static (a, b, _) => TimeTzType.CompareValues(a, b));
        t.F2("interval_larger", static (a, b, _) => IntervalValue.Read(a).Span > IntervalValue.Read(b).Span ? a : b);
        t.F2("interval_smaller", static (a, b, _) => IntervalValue.Read(a).Span < IntervalValue.Read(b).Span ? a : b);
        t.F2("timetz_larger", static (a, b, _) => TimeTzType.CompareValues(a, b) > 0 ? a : b);
        t.F2("timetz_smaller", static (a, b, _) => TimeTzType.CompareValues(a, b) < 0 ? a : b);
        t.F1("date_finite", static (a, _) => Datum.FromBool(Calendar.IsFiniteDate(a.Int32)));
        t.F1("timestamp_finite", static (a, _) => Datum.FromBool(Calendar.IsFinite(a.Int64)));
        t.F1("interval_finite", static (_, _) => Datum.FromBool(true));
    }

    private static Datum DatePlus(int date, long days)
    {
        if (!Calendar.IsFiniteDate(date))
        {
            return Datum.FromInt32(date);
        }

        long r = date + days;
        return Calendar.IsValidDate(r) ? Datum.FromInt32((int)r) : throw Calendar.DateOutOfRange();
    }

    private static void AddDates(FunctionTable t)
    {
        t.F2("date_pli", static (a, b, _) => DatePlus(a.Int32, b.Int32));
        t.F2("date_mii", static (a, b, _) => DatePlus(a.Int32, -(long)b.Int32));
        t.Sql2(2550, "integer_pl_date", static (a, b, _) => DatePlus(b.Int32, a.Int32));
        t.F2("date_mi", static (a, b, _) => Calendar.IsFiniteDate(a.Int32) && Calendar.IsFiniteDate(b.Int32)
            ? Datum.FromInt32(a.Int32 - b.Int32)
            : throw new PgException(SqlStates.DatetimeFieldOverflow, "cannot subtract infinite dates"));
        t.F2("date_pl_interval", static (a, b, _) => TimestampPlus(Calendar.FromDate(a.Int32), IntervalValue.Read(b), 1));
        t.F2("date_mi_interval", static (a, b, _) => TimestampPlus(Calendar.FromDate(a.Int32), IntervalValue.Read(b), -1));
        t.Sql2(2546, "interval_pl_date", static (a, b, _) => TimestampPlus(Calendar.FromDate(b.Int32), IntervalValue.Read(a), 1));
        t.F2("datetime_timestamp", static (a, b, _) => DateAndTime(a.Int32, b.Int64));
        t.Sql2(1296, "timedate_pl", static (a, b, _) => DateAndTime(b.Int32, a.Int64));
        t.Sql2(1176, "timestamptz", static (a, b, c) => Datum.FromInt64(ToUtc(DateAndTime(a.Int32, b.Int64).Int64, c)));
        t.F2("datetimetz_timestamptz", static (a, b, _) => DateAndTimeTz(a.Int32, b));
        t.Sql2(1298, "timetzdate_pl", static (a, b, _) => DateAndTimeTz(b.Int32, a));
    }

    private static Datum DateAndTime(int date, long time)
    {
        long day = Calendar.FromDate(date);
        return Datum.FromInt64(Calendar.IsFinite(day) ? CheckTimestamp((Int128)day + time) : day);
    }

    private static Datum DateAndTimeTz(int date, Datum time)
    {
        long day = Calendar.FromDate(date);
        return Datum.FromInt64(Calendar.IsFinite(day)
            ? CheckTimestamp((Int128)day + TimeTzType.Time(time) + (TimeTzType.ZoneWest(time) * Calendar.PerSecond))
            : day);
    }

    /// <summary>Months first (the day is cut to the month's length), then days, then time.</summary>
    internal static Datum TimestampPlus(long v, IntervalValue i, int sign)
    {
        if (!Calendar.IsFinite(v))
        {
            return Datum.FromInt64(v);
        }

        v = AddMonths(v, sign * (long)i.Months);
        if (i.Days != 0)
        {
            v = CheckTimestamp(v + ((Int128)i.Days * sign * Calendar.PerDay));
        }

        return Datum.FromInt64(CheckTimestamp(v + ((Int128)i.Time * sign)));
    }

    private static long AddMonths(long v, long months)
    {
        if (months == 0)
        {
            return v;
        }

        DateTimeFields f = Calendar.Split(v);
        long month = (f.Year * 12L) + f.Month - 1 + months;
        long year = (long)Math.Floor(month / 12.0);
        if (year != (int)year)
        {
            throw Calendar.TimestampOutOfRange();
        }

        f.Year = (int)year;
        f.Month = (int)(month - (year * 12)) + 1;
        f.Day = Math.Min(f.Day, Calendar.DaysInMonth(f.Year, f.Month));
        return Calendar.Join(f);
    }

    /// <summary>Months and days by the calendar of the session's zone; the time of day stays what it was there.</summary>
    internal static Datum TimestampTzPlus(long v, IntervalValue i, int sign, EvalContext c)
    {
        if (!Calendar.IsFinite(v))
        {
            return Datum.FromInt64(v);
        }

        if (i.Months != 0)
        {
            v = ToUtc(AddMonths(ToLocal(v, c), sign * (long)i.Months), c);
        }

        if (i.Days != 0)
        {
            v = ToUtc(CheckTimestamp(ToLocal(v, c) + ((Int128)i.Days * sign * Calendar.PerDay)), c);
        }

        return Datum.FromInt64(CheckTimestamp(v + ((Int128)i.Time * sign)));
    }

    private static void AddTimestamps(FunctionTable t)
    {
        t.F2("timestamp_mi", static (a, b, _) => Difference(a.Int64, b.Int64));
        t.F2("timestamp_pl_interval", static (a, b, _) => TimestampPlus(a.Int64, IntervalValue.Read(b), 1));
        t.F2("timestamp_mi_interval", static (a, b, _) => TimestampPlus(a.Int64, IntervalValue.Read(b), -1));
        t.F2("timestamptz_pl_interval", static (a, b, c) => TimestampTzPlus(a.Int64, IntervalValue.Read(b), 1, c));
        t.F2("timestamptz_mi_interval", static (a, b, c) => TimestampTzPlus(a.Int64, IntervalValue.Read(b), -1, c));
        t.Sql2(2548, "interval_pl_timestamp", static (a, b, _) => TimestampPlus(b.Int64, IntervalValue.Read(a), 1));
        t.Sql2(2549, "interval_pl_timestamptz", static (a, b, c) => TimestampTzPlus(b.Int64, IntervalValue.Read(a), 1, c));
        t.F2("timestamp_scale", static (a, b, _) => Scaled(a, b.Int32));
        t.F2("timestamptz_scale", static (a, b, _) => Scaled(a, b.Int32));
        t.F2("time_scale", static (a, b, _) => Datum.FromInt64(Calendar.RoundTo(a.Int64, b.Int32)));
        t.F2("timetz_scale", static (a, b, _) => TimeTzType.From(Calendar.RoundTo(TimeTzType.Time(a), b.Int32), TimeTzType.ZoneWest(a)));
        t.F2("interval_scale", static (a, b, _) => IntervalType.Adjust(IntervalValue.Read(a), b.Int32).ToDatum());
        t.F2("timestamp_age", static (a, b, _) => DateTimeParts.Age(a.Int64, b.Int64));
        t.F2("timestamptz_age", static (a, b, c) => DateTimeParts.Age(ToLocal(a.Int64, c), ToLocal(b.Int64, c)));
        t.Sql1(1386, "age", static (a, c) => DateTimeParts.Age(Today(c), ToLocal(a.Int64, c)));
        t.Sql1(2059, "age", static (a, c) => DateTimeParts.Age(Today(c), a.Int64));
        t.F3("timestamp_bin", static (a, b, c, _) => DateTimeParts.Bin(IntervalValue.Read(a), b.Int64, c.Int64));
        t.F3("timestamptz_bin", static (a, b, c, _) => DateTimeParts.Bin(IntervalValue.Read(a), b.Int64, c.Int64));
    }

    internal static long Today(EvalContext c) => Calendar.FloorDays(ToLocal(c.TransactionTimestamp, c)) * Calendar.PerDay;

    private static Datum Scaled(Datum a, int precision) => Calendar.IsFinite(a.Int64) ? Datum.FromInt64(Calendar.RoundTo(a.Int64, precision)) : a;

    private static Datum Difference(long a, long b)
    {
        if (!Calendar.IsFinite(a) || !Calendar.IsFinite(b))
        {
            throw new PgException(SqlStates.DatetimeFieldOverflow, "cannot subtract infinite timestamps");
        }

        // Whole days are taken out as days. More than 292 thousand years wrap around, as in PostgreSQL 15.
        long d = unchecked(a - b);
        long days = d / Calendar.PerDay;
        return new IntervalValue(0, (int)days, d - (days * Calendar.PerDay)).ToDatum();
    }

    private static long WrapTime(Int128 v)
    {
        long r = (long)(v % Calendar.PerDay);
        return r < 0 ? r + Calendar.PerDay : r;
    }

    private static void AddTimes(FunctionTable t)
    {
        t.F2("time_mi_time", static (a, b, _) => new IntervalValue(0, 0, a.Int64 - b.Int64).ToDatum());
        t.F2("time_pl_interval", static (a, b, _) => Datum.FromInt64(WrapTime((Int128)a.Int64 + IntervalValue.Read(b).Time)));
        t.F2("time_mi_interval", static (a, b, _) => Datum.FromInt64(WrapTime((Int128)a.Int64 - IntervalValue.Read(b).Time)));
        t.Sql2(1848, "interval_pl_time", static (a, b, _) => Datum.FromInt64(WrapTime((Int128)b.Int64 + IntervalValue.Read(a).Time)));
        t.F2("timetz_pl_interval", static (a, b, _) => TimeTzPlus(a, IntervalValue.Read(b).Time));
        t.F2("timetz_mi_interval", static (a, b, _) => TimeTzPlus(a, -(Int128)IntervalValue.Read(b).Time));
        t.Sql2(2547, "interval_pl_timetz", static (a, b, _) => TimeTzPlus(b, IntervalValue.Read(a).Time));
    }

    private static Datum TimeTzPlus(Datum a, Int128 time) => TimeTzType.From(WrapTime(TimeTzType.Time(a) + time), TimeTzType.ZoneWest(a));

    private static void AddCasts(FunctionTable t)
    {
        t.F1("date_timestamp", static (a, _) => Datum.FromInt64(Calendar.FromDate(a.Int32)));
        t.F1("date_timestamptz", static (a, c) => Datum.FromInt64(DateToUtc(a.Int32, c)));
        t.F1("timestamp_date", static (a, _) => Datum.FromInt32(ToDate(a.Int64)));
        t.F1("timestamptz_date", static (a, c) => Datum.FromInt32(ToDate(ToLocal(a.Int64, c))));
        t.F1("timestamp_timestamptz", static (a, c) => Datum.FromInt64(ToUtc(a.Int64, c)));
        t.F1("timestamptz_timestamp", static (a, c) => Datum.FromInt64(ToLocal(a.Int64, c)));
        t.F1("timestamp_time", static (a, _) => Calendar.IsFinite(a.Int64) ? Datum.FromInt64(WrapTime(a.Int64)) : Datum.Null);
        t.F1("timestamptz_time", static (a, c) => Calendar.IsFinite(a.Int64) ? Datum.FromInt64(WrapTime(ToLocal(a.Int64, c))) : Datum.Null);
        t.F1("timestamptz_timetz", static (a, c) => Calendar.IsFinite(a.Int64)
            ? TimeTzType.From(WrapTime(ToLocal(a.Int64, c)), -c.TimeZone.OffsetAt(a.Int64))
            : Datum.Null);
        t.F1("timetz_time", static (a, _) => Datum.FromInt64(TimeTzType.Time(a)));
        t.F1("time_timetz", static (a, c) => TimeTzType.From(a.Int64, -c.TimeZone.OffsetForLocal(Today(c) + a.Int64)));
        t.F1("time_interval", static (a, _) => new IntervalValue(0, 0, a.Int64).ToDatum());
        t.F1("interval_time", static (a, _) => Datum.FromInt64(WrapTime(IntervalValue.Read(a).Time)));
        t.F1("float8_timestamptz", static (a, _) => FromUnix(a.Double));
    }

    private static long DateToUtc(int date, EvalContext c)
    {
        long local = Calendar.FromDate(date);
        if (!Calendar.IsFinite(local))
        {
            return local;
        }

        long utc = local - (c.TimeZone.OffsetForLocal(local) * Calendar.PerSecond);
        return Calendar.IsValidTimestamp(utc) ? utc : throw new PgException(SqlStates.DatetimeFieldOverflow, "date out of range for timestamp");
    }

    private static int ToDate(long v) => v switch
    {
        long.MaxValue => Calendar.DateInfinity,
        long.MinValue => Calendar.DateMinusInfinity,
        _ => (int)Calendar.FloorDays(v),
    };

    private static Datum FromUnix(double seconds)
    {
        if (double.IsNaN(seconds))
        {
            throw new PgException(SqlStates.DatetimeFieldOverflow, "timestamp cannot be NaN");
        }

        if (double.IsInfinity(seconds))
        {
            return Datum.FromInt64(seconds > 0 ? long.MaxValue : long.MinValue);
        }

        const double epoch = (double)(Calendar.EpochJulian - Calendar.UnixJulian) * 86_400;
        double v = Math.Round((seconds - epoch) * 1_000_000, MidpointRounding.ToEven);
        return v is >= -211_813_488_000_000_000.0 and < 9_223_371_331_200_000_000.0
            ? Datum.FromInt64((long)v)
            : throw new PgException(SqlStates.DatetimeFieldOverflow, $"timestamp out of range: \"{FloatText.General(seconds, 6)}\"");
    }

    private static void AddClock(FunctionTable t)
    {
        t.F0("now", static c => Datum.FromInt64(c.TransactionTimestamp));
        t.F0("statement_timestamp", static c => Datum.FromInt64(c.StatementTimestamp));
        t.F0("clock_timestamp", static c => Datum.FromInt64(c.Session.ClockTimestamp));
        t.F0("timeofday", static c => TimeOfDay(c));
        t.F0("pg_postmaster_start_time", static c => Datum.FromInt64(c.Session.StartTimestamp));
        t.F0("pg_conf_load_time", static c => Datum.FromInt64(c.Session.StartTimestamp));
    }

    private static Datum TimeOfDay(EvalContext c)
    {
        long now = c.Session.ClockTimestamp;
        DateTimeFields f = Calendar.Split(now + (c.TimeZone.OffsetAt(now, out string zone, out _) * Calendar.PerSecond));
        string day = DateTimeNames.Days[Calendar.DayOfWeek(Calendar.Days(f.Year, f.Month, f.Day))][..3];
        return Datum.FromText(string.Create(
            System.Globalization.CultureInfo.InvariantCulture,
            $"{day} {DateTimeNames.Months[f.Month - 1][..3]} {f.Day:00} {f.Hour:00}:{f.Minute:00}:{f.Second:00}.{f.Microsecond:000000} {f.Year} {zone}"));
    }

    private static void AddMakers(FunctionTable t)
    {
        t.F3("make_date", static (a, b, c, _) => MakeDate(a.Int32, b.Int32, c.Int32));
        t.F3("make_time", static (a, b, c, _) => Datum.FromInt64(MakeTime(a.Int32, b.Int32, c.Double)));
        t.FN("make_timestamp", static (a, _) => Datum.FromInt64(MakeTimestamp(a)));
        t.FN("make_timestamptz", static (a, c) => Datum.FromInt64(ToUtc(MakeTimestamp(a), c)));
        t.FN("make_timestamptz_at_timezone", static (a, c) =>
        {
            long local = MakeTimestamp(a);
            return Datum.FromInt64(CheckTimestamp((Int128)local - (DateTimeZones.OffsetForLocal(TextFunctions.Str(a[6]), local) * Calendar.PerSecond)));
        });
        t.FN("make_interval", static (a, _) => MakeInterval(a));
    }

    // C's %02d, where a sign takes a place.
    private static string Two(int v) => v.ToString(System.Globalization.CultureInfo.InvariantCulture).PadLeft(2, '0');

    private static Datum MakeDate(int year, int month, int day)
    {
        int y = year < 0 ? year + 1 : year;
        if (year is 0 or int.MinValue || month is < 1 or > 12 || day < 1 || day > Calendar.DaysInMonth(y, month))
        {
            throw new PgException(SqlStates.DatetimeFieldOverflow, $"date field value out of range: {year}-{Two(month)}-{Two(day)}");
        }

        long days = Calendar.Days(y, month, day);
        return Calendar.IsValidDate(days)
            ? Datum.FromInt32((int)days)
            : throw new PgException(SqlStates.DatetimeFieldOverflow, $"date out of range: {year}-{Two(month)}-{Two(day)}");
    }

    private static long MakeTime(int hour, int minute, double second)
    {
        bool bad = hour < 0 || minute is < 0 or > 59 || double.IsNaN(second) || second < 0 || second > 60
            || hour > 24 || (hour == 24 && (minute > 0 || second > 0));
        return bad
            ? throw new PgException(
                SqlStates.DatetimeFieldOverflow,
                $"time field value out of range: {hour}:{Two(minute)}:{(double.IsFinite(second) ? FloatText.General(second, 6).PadLeft(2, '0') : FloatText.General(second, 6))}")
            : Calendar.Time(hour, minute, 0, 0) + (long)Math.Round(second * 1_000_000, MidpointRounding.ToEven);
    }

    private static long MakeTimestamp(ReadOnlySpan<Datum> a)
    {
        long day = MakeDate(a[0].Int32, a[1].Int32, a[2].Int32).Int32;
        return CheckTimestamp(((Int128)day * Calendar.PerDay) + MakeTime(a[3].Int32, a[4].Int32, a[5].Double));
    }

    private static Datum MakeInterval(ReadOnlySpan<Datum> a)
    {
        if (double.IsNaN(a[6].Double) || double.IsInfinity(a[6].Double))
        {
            throw Calendar.IntervalOutOfRange();
        }

        Int128 time = ((Int128)a[4].Int32 * Calendar.PerHour) + ((Int128)a[5].Int32 * Calendar.PerMinute)
            + (Int128)Math.Round(a[6].Double * Calendar.PerSecond, MidpointRounding.ToEven);
        return IntervalValue.Checked((a[0].Int32 * 12L) + a[1].Int32, (a[2].Int32 * 7L) + a[3].Int32, time).ToDatum();
    }
}

/// <summary>English names, as PostgreSQL writes them.</summary>
internal static class DateTimeNames
{
    public static readonly string[] Days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

    public static readonly string[] Months =
    [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
    ];
}
