using SharedStorage.Primitives;

namespace SharedStorage.Sql.Types;

/// <summary>A moment taken apart; year 0 is 1 BC.</summary>
internal struct DateTimeFields
{
    public int Year;
    public int Month;
    public int Day;
    public int Hour;
    public int Minute;
    public int Second;
    public int Microsecond;

    public readonly long TimeOfDay => Calendar.Time(Hour, Minute, Second, Microsecond);
}

/// <summary>
/// The Gregorian calendar without end in both directions, as PostgreSQL counts: days and microseconds since 2000-01-01; the extreme numbers
/// are the infinities.
/// </summary>
internal static class Calendar
{
    public const long PerSecond = 1_000_000;
    public const long PerMinute = 60 * PerSecond;
    public const long PerHour = 60 * PerMinute;
    public const long PerDay = 24 * PerHour;

    /// <summary>The Julian day of 2000-01-01.</summary>
    public const int EpochJulian = 2_451_545;

    /// <summary>The Julian day of 1970-01-01.</summary>
    public const int UnixJulian = 2_440_588;

    public const int DateInfinity = int.MaxValue;
    public const int DateMinusInfinity = int.MinValue;
    private const long MinTimestamp = -211_813_488_000_000_000;
    private const long EndTimestamp = 9_223_371_331_200_000_000;
    private const long EndDate = 2_147_483_494L - EpochJulian;

    // Days from 0000-03-01 to 2000-01-01: years that begin in March put the leap day last.
    private const long MarchEpoch = 730_425;
    private static readonly int[] MonthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

    public static bool IsFinite(long timestamp) => timestamp is not (long.MinValue or long.MaxValue);
    public static bool IsFiniteDate(int date) => date is not (int.MinValue or int.MaxValue);
    public static bool IsLeap(long year) => year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    public static int DaysInMonth(long year, int month) => month == 2 && IsLeap(year) ? 29 : MonthDays[month - 1];
    public static bool IsValidTimestamp(long v) => v is >= MinTimestamp and < EndTimestamp;
    public static bool IsValidDate(long days) => days >= -EpochJulian && days < EndDate;

    /// <summary>Days since 2000-01-01.</summary>
    public static long Days(long year, int month, int day)
    {
        long y = month <= 2 ? year - 1 : year;
        long era = (y >= 0 ? y : y - 399) / 400;
        long yearOfEra = y - (era * 400);
        long dayOfYear = (((153 * (month + (month > 2 ? -3 : 9))) + 2) / 5) + day - 1;
        long dayOfEra = (yearOfEra * 365) + (yearOfEra / 4) - (yearOfEra / 100) + dayOfYear;
        return (era * 146_097) + dayOfEra - MarchEpoch;
    }

    public static void Date(long days, out int year, out int month, out int day)
    {
        long z = days + MarchEpoch;
        long era = (z >= 0 ? z : z - 146_096) / 146_097;
        long dayOfEra = z - (era * 146_097);
        long yearOfEra = (dayOfEra - (dayOfEra / 1460) + (dayOfEra / 36_524) - (dayOfEra / 146_096)) / 365;
        long dayOfYear = dayOfEra - ((365 * yearOfEra) + (yearOfEra / 4) - (yearOfEra / 100));
        long m = ((5 * dayOfYear) + 2) / 153;
        day = (int)(dayOfYear - (((153 * m) + 2) / 5) + 1);
        month = (int)(m < 10 ? m + 3 : m - 9);
        year = (int)(yearOfEra + (era * 400) + (month <= 2 ? 1 : 0));
    }

    public static long Time(long hour, int minute, int second, int microsecond) =>
        (hour * PerHour) + (minute * PerMinute) + (second * PerSecond) + microsecond;

    /// <summary>Rounds down to whole days.</summary>
    public static long FloorDays(long timestamp)
    {
        long days = timestamp / PerDay;
        return timestamp - (days * PerDay) < 0 ? days - 1 : days;
    }

    public static DateTimeFields Split(long timestamp)
    {
        long days = FloorDays(timestamp);
        DateTimeFields f = SplitTime(timestamp - (days * PerDay));
        Date(days, out f.Year, out f.Month, out f.Day);
        return f;
    }

    public static DateTimeFields SplitTime(long time)
    {
        long seconds = time / PerSecond;
        return new DateTimeFields
        {
            Hour = (int)(seconds / 3600),
            Minute = (int)(seconds / 60 % 60),
            Second = (int)(seconds % 60),
            Microsecond = (int)(time - (seconds * PerSecond)),
        };
    }

    /// <summary>Microseconds since 2000-01-01; false when out of PostgreSQL's range.</summary>
    public static bool TryJoin(in DateTimeFields f, out long timestamp)
    {
        Int128 v = ((Int128)Days(f.Year, f.Month, f.Day) * PerDay) + f.TimeOfDay;
        timestamp = (long)v;
        return v == timestamp && IsValidTimestamp(timestamp);
    }

    /// <exception cref="PgException">22008: out of range.</exception>
    public static long Join(in DateTimeFields f) => TryJoin(f, out long v) ? v : throw TimestampOutOfRange();

    /// <summary>From a day number, checked.</summary>
    public static long FromDate(int date)
    {
        if (!IsFiniteDate(date))
        {
            return date == DateInfinity ? long.MaxValue : long.MinValue;
        }

        Int128 v = (Int128)date * PerDay;
        return v < EndTimestamp ? (long)v : throw new PgException(SqlStates.DatetimeFieldOverflow, "date out of range for timestamp");
    }

    /// <summary>0 is Sunday.</summary>
    public static int DayOfWeek(long days) => (int)((((days + 6) % 7) + 7) % 7);

    public static int IsoWeek(int year, int month, int day) => IsoYearAndWeek(Days(year, month, day), year).Week;
    public static int IsoYear(int year, int month, int day) => IsoYearAndWeek(Days(year, month, day), year).Year;

    // The week with the year's first Thursday is its first; weeks begin on Monday.
    private static (int Year, int Week) IsoYearAndWeek(long days, int year)
    {
        if (days < FirstMonday(year))
        {
            year--;
        }
        else if (days >= FirstMonday(year + 1))
        {
            year++;
        }

        return (year, (int)((days - FirstMonday(year)) / 7) + 1);
    }

    /// <summary>The Monday of the first week of an ISO year.</summary>
    public static long FirstMonday(int year)
    {
        long fourth = Days(year, 1, 4);
        return fourth - ((DayOfWeek(fourth) + 6) % 7);
    }

    public static PgException TimestampOutOfRange() => new(SqlStates.DatetimeFieldOverflow, "timestamp out of range");
    public static PgException DateOutOfRange() => new(SqlStates.DatetimeFieldOverflow, "date out of range");
    public static PgException IntervalOutOfRange() => new(SqlStates.DatetimeFieldOverflow, "interval out of range");

    /// <summary>A timestamp(p): rounded half away from zero to p digits; -1 leaves it.</summary>
    public static long RoundTo(long v, int precision)
    {
        if (precision is < 0 or >= 6)
        {
            return v;
        }

        long unit = 1;
        for (int i = precision; i < 6; i++)
        {
            unit *= 10;
        }

        return v >= 0 ? (v + (unit / 2)) / unit * unit : -((-v + (unit / 2)) / unit * unit);
    }
}
