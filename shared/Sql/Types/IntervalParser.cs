using System.Globalization;
using System.Text;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>Reads an interval in the forms of PostgreSQL, SQL and ISO 8601 (DecodeInterval, DecodeISO8601Interval).</summary>
internal sealed class IntervalParser(int range, EvalContext context)
{
    private byte[] _text = [];
    private Int128 _time;
    private long _days;
    private long _months;
    private long _years;

    public IntervalValue Parse(ReadOnlySpan<byte> text)
    {
        _text = text.ToArray();
        List<DateField>? fields = DateTimeLexer.Split(text);
        string trimmed = Encoding.UTF8.GetString(TextScan.Trim(text));
        if (trimmed.Length >= 2 && trimmed[0] == 'P')
        {
            ReadIso(trimmed);
        }
        else
        {
            ReadFields(fields ?? throw Bad());
        }

        Int128 months = ((Int128)_years * 12) + _months;
        return months == (int)months && _days == (int)_days && _time == (long)_time
            ? new IntervalValue((int)months, (int)_days, (long)_time)
            : throw Overflow();
    }

    private void ReadFields(List<DateField> fields)
    {
        bool negateAll = context.IntervalStyle == IntervalStyle.SqlStandard && fields.Count > 0 && fields[0].Text[0] == '-'
            && fields.Skip(1).All(f => f.Text[0] is not ('-' or '+'));
        DateUnit unit = DateUnit.None;
        var seen = new HashSet<DateUnit>();
        bool ago = false;

        // Backwards, since a unit stands behind its number.
        for (int i = fields.Count - 1; i >= 0; i--)
        {
            (FieldKind kind, string s) = fields[i];
            switch (kind)
            {
                case FieldKind.Time:
                    ReadTime(s, negateAll);
                    See(seen, DateUnit.Time);
                    unit = DateUnit.Day;
                    break;
                case FieldKind.Zone when s.Contains(':', StringComparison.Ordinal):
                    ReadTime(s[1..], negateAll || s[0] == '-');
                    See(seen, DateUnit.Time);
                    unit = DateUnit.Day;
                    break;
                case FieldKind.Zone or FieldKind.Date or FieldKind.Number:
                    unit = ReadAmount(s, unit, negateAll, seen);
                    break;
                default:
                    Token t = DateTimeTokens.Unit(s);
                    if (t.Kind == TokenKind.Ignore)
                    {
                        continue;
                    }

                    ago |= t.Kind == TokenKind.Ago ? true : t.Kind == TokenKind.Unit ? false : throw Bad();
                    unit = (DateUnit)t.Value;
                    break;
            }
        }

        if (seen.Count == 0)
        {
            throw Bad();
        }

        if (ago)
        {
            (_time, _days, _months, _years) = (-_time, -_days, -_months, -_years);
        }
    }

    // Each unit at most once; a time of day holds hours, minutes and seconds.
    private void See(HashSet<DateUnit> seen, DateUnit unit)
    {
        DateUnit[] units = unit == DateUnit.Time ? [DateUnit.Hour, DateUnit.Minute, DateUnit.Second, DateUnit.Millisecond, DateUnit.Microsecond] : [unit];
        foreach (DateUnit u in units)
        {
            if (!seen.Add(u))
            {
                throw Bad();
            }
        }
    }

    private void ReadTime(string s, bool negative)
    {
        string[] p = s.Split(':');
        if (p.Length is < 2 or > 3 || p[0].Length == 0)
        {
            throw Bad();
        }

        long first = Whole(p[0]);
        string last = p[^1];
        int point = last.IndexOf('.', StringComparison.Ordinal);
        double fraction = point >= 0 ? Fraction(last[point..]) : 0;
        long lastWhole = Whole(point >= 0 ? last[..point] : last);
        long hours = first;
        long minutes = p.Length == 3 ? Whole(p[1]) : lastWhole;
        long seconds = p.Length == 3 ? lastWhole : 0;
        if (p.Length == 2 && (point >= 0 || range == (IntervalType.Minute | IntervalType.Second)))
        {
            (hours, minutes, seconds) = (0, first, lastWhole);
        }

        if (minutes > 59 || seconds > 60)
        {
            throw Overflow();
        }

        Int128 time = ((Int128)hours * Calendar.PerHour) + (minutes * Calendar.PerMinute) + (seconds * Calendar.PerSecond)
            + (long)Math.Round(fraction * Calendar.PerSecond, MidpointRounding.ToEven);
        _time = negative ? -time : time;
    }

    private long Whole(string s)
    {
        if (s.Length == 0 || s.AsSpan().ContainsAnyExceptInRange('0', '9'))
        {
            throw Bad();
        }

        return long.TryParse(s, NumberStyles.None, CultureInfo.InvariantCulture, out long v) ? v : throw Overflow();
    }

    private double Fraction(string s)
    {
        if (s.Length == 1)
        {
            return 0;
        }

        return s.AsSpan(1).ContainsAnyExceptInRange('0', '9') ? throw Bad() : double.Parse("0" + s, CultureInfo.InvariantCulture);
    }

    private DateUnit ReadAmount(string s, DateUnit unit, bool negateAll, HashSet<DateUnit> seen)
    {
        if (unit == DateUnit.None)
        {
            unit = DefaultUnit();
        }

        bool negative = s[0] == '-' || negateAll;
        string digits = s[0] is '+' or '-' ? s[1..] : s;
        int dash = digits.IndexOf('-', StringComparison.Ordinal);
        int point = digits.IndexOf('.', StringComparison.Ordinal);
        long whole;
        double fraction = 0;
        if (dash >= 0)
        {
            // SQL's "years-months".
            long months = Whole(digits[(dash + 1)..]);
            Int128 total = ((Int128)Whole(digits[..dash]) * 12) + months;
            whole = months >= 12 || total > long.MaxValue ? throw Overflow() : (long)total;
            unit = DateUnit.Month;
        }
        else if (point >= 0)
        {
            whole = point == 0 ? 0 : Whole(digits[..point]);
            fraction = Fraction(digits[point..]);
        }
        else
        {
            whole = Whole(digits);
        }

        Add(unit, negative ? -whole : whole, negative ? -fraction : fraction);
        See(seen, unit);
        if (unit == DateUnit.Second && fraction != 0)
        {
            See(seen, DateUnit.Millisecond);
            See(seen, DateUnit.Microsecond);
        }

        return unit == DateUnit.Hour ? DateUnit.Day : unit;
    }

    private DateUnit DefaultUnit() => range switch
    {
        IntervalType.Year => DateUnit.Year,
        IntervalType.Month or (IntervalType.Year | IntervalType.Month) => DateUnit.Month,
        IntervalType.Day => DateUnit.Day,
        IntervalType.Hour or (IntervalType.Day | IntervalType.Hour) => DateUnit.Hour,
        IntervalType.Minute or (IntervalType.Hour | IntervalType.Minute) or (IntervalType.Day | IntervalType.Hour | IntervalType.Minute) => DateUnit.Minute,
        _ => DateUnit.Second,
    };

    private void Add(DateUnit unit, long whole, double fraction)
    {
        switch (unit)
        {
            case DateUnit.Microsecond: AddTime(whole, fraction, 1); break;
            case DateUnit.Millisecond: AddTime(whole, fraction, 1000); break;
            case DateUnit.Second: AddTime(whole, fraction, Calendar.PerSecond); break;
            case DateUnit.Minute: AddTime(whole, fraction, Calendar.PerMinute); break;
            case DateUnit.Hour: AddTime(whole, fraction, Calendar.PerHour); break;
            case DateUnit.Day:
                AddDays(whole);
                AddTime(0, fraction, Calendar.PerDay);
                break;
            case DateUnit.Week:
                AddDays((Int128)whole * 7);
                AddPartOfDays(fraction * 7);
                break;
            case DateUnit.Month:
                _months = CheckInt((Int128)_months + whole);
                AddPartOfDays(fraction * 30);
                break;
            case DateUnit.Year: AddYears(whole, fraction, 1); break;
            case DateUnit.Decade: AddYears(whole, fraction, 10); break;
            case DateUnit.Century: AddYears(whole, fraction, 100); break;
            case DateUnit.Millennium: AddYears(whole, fraction, 1000); break;
            default: throw Bad();
        }
    }

    private void AddTime(long whole, double fraction, long unit)
    {
        _time += ((Int128)whole * unit) + (Int128)Math.Round(fraction * unit, MidpointRounding.ToEven);
        if (_time != (long)_time)
        {
            throw Overflow();
        }
    }

    private void AddDays(Int128 days) => _days = CheckInt(_days + days);

    private void AddPartOfDays(double days)
    {
        long whole = (long)days;
        AddDays(whole);
        AddTime(0, days - whole, Calendar.PerDay);
    }

    private void AddYears(long whole, double fraction, int years)
    {
        _years = CheckInt(_years + ((Int128)whole * years));

        // A part of a year is whole months, rounded.
        _months = CheckInt(_months + (long)Math.Round(fraction * years * 12, MidpointRounding.ToEven));
    }

    private long CheckInt(Int128 v) => v == (int)v ? (int)v : throw Overflow();

    // "P1Y2M3DT4H5M6S", "P0001-02-03T04:05:06", "P00010203T040506"
    private void ReadIso(string s)
    {
        bool date = true;
        bool any = false;
        int i = 1;
        while (i < s.Length)
        {
            if (s[i] == 'T')
            {
                (date, any) = (false, false);
                i++;
                continue;
            }

            int start = i;
            (long whole, double fraction) = IsoNumber(s, ref i);
            char unit = i < s.Length ? s[i++] : '\0';
            int digits = s.AsSpan(start).TrimStart("+-").IndexOfAnyExceptInRange('0', '9') is var n && n < 0 ? s.AsSpan(start).TrimStart("+-").Length : n;
            if (unit is '\0' or '-' or 'T' or ':' && !(unit == ':' && date) && !(unit == '-' && !date))
            {
                ReadAlternative(s, ref i, ref date, unit, whole, fraction, digits, any);
                any = false;
                if (unit != 'T' && i >= s.Length)
                {
                    return;
                }

                continue;
            }

            DateUnit u = (date, unit) switch
            {
                (true, 'Y') => DateUnit.Year,
                (true, 'M') => DateUnit.Month,
                (true, 'W') => DateUnit.Week,
                (true, 'D') => DateUnit.Day,
                (false, 'H') => DateUnit.Hour,
                (false, 'M') => DateUnit.Minute,
                (false, 'S') => DateUnit.Second,
                _ => throw Bad(),
            };
            Add(u, whole, fraction);
            any = true;
        }
    }

    private void ReadAlternative(string s, ref int i, ref bool date, char unit, long whole, double fraction, int digits, bool any)
    {
        if (any)
        {
            throw Bad();
        }

        if (date && unit != '-' && digits == 8)
        {
            Add(DateUnit.Year, whole / 10_000, 0);
            Add(DateUnit.Month, whole / 100 % 100, 0);
            Add(DateUnit.Day, whole % 100, fraction);
            date = unit != 'T';
            return;
        }

        if (!date && unit == '\0' && digits == 6)
        {
            Add(DateUnit.Hour, whole / 10_000, 0);
            Add(DateUnit.Minute, whole / 100 % 100, 0);
            Add(DateUnit.Second, whole % 100, fraction);
            return;
        }

        // Parts with separators: years-months-days or hours:minutes:seconds.
        DateUnit[] units = date ? [DateUnit.Year, DateUnit.Month, DateUnit.Day] : [DateUnit.Hour, DateUnit.Minute, DateUnit.Second];
        char separator = date ? '-' : ':';
        Add(units[0], whole, fraction);
        for (int k = 1; k < 3 && unit == separator; k++)
        {
            (whole, fraction) = IsoNumber(s, ref i);
            Add(units[k], whole, fraction);
            unit = i < s.Length ? s[i++] : '\0';
        }

        if (unit == 'T' && date)
        {
            date = false;
        }
        else if (unit != '\0')
        {
            throw Bad();
        }
    }

    private (long Whole, double Fraction) IsoNumber(string s, ref int i)
    {
        int start = i;
        while (i < s.Length && (char.IsAsciiDigit(s[i]) || s[i] is '.' || (i == start && s[i] is '+' or '-')))
        {
            i++;
        }

        if (!double.TryParse(s.AsSpan(start, i - start), NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double v))
        {
            throw Bad();
        }

        double whole = Math.Truncate(v);
        return Math.Abs(whole) < 1e18 ? ((long)whole, v - whole) : throw Overflow();
    }

    private PgException Bad() =>
        new(SqlStates.InvalidDatetimeFormat, $"invalid input syntax for type interval: \"{Encoding.UTF8.GetString(_text)}\"");

    private PgException Overflow() => new("22015", $"interval field value out of range: \"{Encoding.UTF8.GetString(_text)}\"");
}
