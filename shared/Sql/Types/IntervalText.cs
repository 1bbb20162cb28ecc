using System.Globalization;
using System.Text;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>Writes intervals in the four styles of IntervalStyle.</summary>
internal static class IntervalText
{
    public static string Format(IntervalValue v, IntervalStyle style)
    {
        var parts = new Parts(v);
        return style switch
        {
            IntervalStyle.SqlStandard => SqlStandard(parts),
            IntervalStyle.Iso8601 => Iso(parts),
            IntervalStyle.PostgresVerbose => Verbose(parts),
            _ => Postgres(parts),
        };
    }

    private static string Postgres(Parts p)
    {
        var b = new StringBuilder();
        bool before = false;
        void Add(long value, string unit)
        {
            if (value == 0)
            {
                return;
            }

            // After a negative field a positive one shows its sign.
            b.Append(b.Length > 0 ? " " : "").Append(before && value > 0 ? "+" : "").Append(CultureInfo.InvariantCulture, $"{value} {unit}");
            b.Append(value != 1 ? "s" : "");
            before = value < 0;
        }

        Add(p.Year, "year");
        Add(p.Month, "mon");
        Add(p.Day, "day");
        if (b.Length == 0 || p.HasTime)
        {
            b.Append(b.Length > 0 ? " " : "").Append(p.TimeNegative ? "-" : before ? "+" : "");
            b.Append(CultureInfo.InvariantCulture, $"{UnsignedAbs(p.Hour):00}:{Math.Abs(p.Minute):00}:").Append(Seconds(p, pad: true));
        }

        return b.ToString();
    }

    private static string Verbose(Parts p)
    {
        var b = new StringBuilder("@");
        bool before = false;
        bool zero = true;
        void Add(long value, string unit)
        {
            if (value == 0)
            {
                return;
            }

            // The first field decides whether all is "ago"; later ones are shown relative to that.
            if (zero)
            {
                before = value < 0;
                value = Math.Abs(value);
            }
            else if (before)
            {
                value = -value;
            }

            b.Append(CultureInfo.InvariantCulture, $" {value} {unit}").Append(value == 1 ? "" : "s");
            zero = false;
        }

        Add(p.Year, "year");
        Add(p.Month, "mon");
        Add(p.Day, "day");
        Add(p.Hour, "hour");
        Add(p.Minute, "min");
        if (p.Second != 0 || p.Microsecond != 0)
        {
            b.Append(' ');
            if (p.Second < 0 || (p.Second == 0 && p.Microsecond < 0))
            {
                if (zero)
                {
                    before = true;
                }
                else if (!before)
                {
                    b.Append('-');
                }
            }
            else if (before)
            {
                b.Append('-');
            }

            b.Append(Seconds(p, pad: false)).Append(Math.Abs(p.Second) != 1 || p.Microsecond != 0 ? " secs" : " sec");
            zero = false;
        }

        return b.Append(zero ? " 0" : "").Append(before ? " ago" : "").ToString();
    }

    private static string Iso(Parts p)
    {
        var b = new StringBuilder("P");
        void Add(long value, char unit)
        {
            if (value != 0)
            {
                b.Append(CultureInfo.InvariantCulture, $"{value}{unit}");
            }
        }

        Add(p.Year, 'Y');
        Add(p.Month, 'M');
        Add(p.Day, 'D');
        if (p.HasTime)
        {
            b.Append('T');
            Add(p.Hour, 'H');
            Add(p.Minute, 'M');
            if (p.Second != 0 || p.Microsecond != 0)
            {
                b.Append(p.Second < 0 || p.Microsecond < 0 ? "-" : "").Append(Seconds(p, pad: false)).Append('S');
            }
        }

        return b.Length == 1 ? "PT0S" : b.ToString();
    }

    private static string SqlStandard(Parts p)
    {
        bool negative = p.Year < 0 || p.Month < 0 || p.Day < 0 || p.TimeNegative;
        bool positive = p.Year > 0 || p.Month > 0 || p.Day > 0 || p.Hour > 0 || p.Minute > 0 || p.Second > 0 || p.Microsecond > 0;
        bool yearMonth = p.Year != 0 || p.Month != 0;
        bool dayTime = p.Day != 0 || p.HasTime;
        if (!negative && !positive)
        {
            return "0";
        }

        string time = string.Create(CultureInfo.InvariantCulture, $"{UnsignedAbs(p.Hour)}:{Math.Abs(p.Minute):00}:{Seconds(p, pad: true)}");
        if ((negative && positive) || (yearMonth && dayTime))
        {
            char y = p.Year < 0 || p.Month < 0 ? '-' : '+';
            char d = p.Day < 0 ? '-' : '+';
            char t = p.TimeNegative ? '-' : '+';
            return string.Create(CultureInfo.InvariantCulture, $"{y}{Math.Abs(p.Year)}-{Math.Abs(p.Month)} {d}{Math.Abs(p.Day)} {t}{time}");
        }

        string sign = negative ? "-" : "";
        if (yearMonth)
        {
            return string.Create(CultureInfo.InvariantCulture, $"{sign}{Math.Abs(p.Year)}-{Math.Abs(p.Month)}");
        }

        return p.Day != 0 ? string.Create(CultureInfo.InvariantCulture, $"{sign}{Math.Abs(p.Day)} {time}") : sign + time;
    }

    private static ulong UnsignedAbs(long v) => v < 0 ? (ulong)-(Int128)v : (ulong)v;

    private static string Seconds(Parts p, bool pad)
    {
        int second = Math.Abs(p.Second);
        string text = second.ToString(pad ? "00" : "0", CultureInfo.InvariantCulture);
        return p.Microsecond == 0 ? text : text + "." + Math.Abs(p.Microsecond).ToString("000000", CultureInfo.InvariantCulture).TrimEnd('0');
    }

    private readonly struct Parts(IntervalValue v)
    {
        public int Year { get; } = v.Months / 12;
        public int Month { get; } = v.Months % 12;
        public long Day { get; } = v.Days;
        public long Hour { get; } = v.Time / Calendar.PerHour;
        public int Minute { get; } = (int)(v.Time % Calendar.PerHour / Calendar.PerMinute);
        public int Second { get; } = (int)(v.Time % Calendar.PerMinute / Calendar.PerSecond);
        public int Microsecond { get; } = (int)(v.Time % Calendar.PerSecond);
        public bool TimeNegative => Hour < 0 || Minute < 0 || Second < 0 || Microsecond < 0;
        public bool HasTime => Hour != 0 || Minute != 0 || Second != 0 || Microsecond != 0;
    }
}
