using System.Globalization;
using System.Text;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

internal enum ParsedKind
{
    Date,
    TimeOnly,
    Epoch,
    Infinity,
    MinusInfinity,
}

/// <summary>
/// Reads dates, times and timestamps in all the forms that PostgreSQL takes (DecodeDateTime, DecodeTimeOnly): ISO and its run-together forms,
/// month names, the orders of DateStyle, Julian days, words as "now" and "tomorrow", zones by offset, abbreviation or name.
/// </summary>
internal sealed partial class DateTimeParser(string typeName, bool zoneAllowed, bool timeOnly, EvalContext context)
{
    [Flags]
    private enum Parts
    {
        None = 0,
        Year = 1,
        Month = 2,
        Day = 4,
        Hour = 8,
        Minute = 16,
        Second = 32,
        Fraction = 64,
        DayOfYear = 128,
        Zone = 256,
        DaylightZone = 512,
        Modifier = 1024,
        AmPm = 2048,
        Era = 4096,
        DayOfWeek = 8192,
        Reserved = 16384,
        Date = Year | Month | Day,
        Time = Hour | Minute | Second | Fraction,
        AllSeconds = Second | Fraction,
    }

    private DateTimeFields _f;
    private Parts _have;
    private bool _textMonth;
    private bool _julian;
    private bool _twoDigits;
    private bool _bc;
    private int _meridian = -1;
    private int _dayOfYear;
    private DateUnit _prefix;
    private PgTimeZone? _zone;

    // What the zone was called, when that is an abbreviation whose meaning changes.
    private string? _abbreviation;
    private byte[] _text = [];

    public DateTimeFields Fields => _f;
    public ParsedKind Kind { get; private set; }

    /// <summary>Seconds east of UTC.</summary>
    public int Offset { get; private set; }
    public bool HasDate => (_have & Parts.Date) == Parts.Date;
    public bool HasZone => (_have & Parts.Zone) != 0;

    public void Parse(ReadOnlySpan<byte> text)
    {
        _text = text.ToArray();
        Kind = timeOnly ? ParsedKind.TimeOnly : ParsedKind.Date;
        List<DateField> fields = DateTimeLexer.Split(text) ?? throw Bad();
        for (int i = 0; i < fields.Count; i++)
        {
            Parts parts = fields[i].Kind switch
            {
                FieldKind.Date => ReadDateField(fields, i),
                FieldKind.Time => ReadTimeField(fields[i].Text),
                FieldKind.Zone => ReadOffset(fields[i].Text),
                FieldKind.Number => _prefix != DateUnit.None ? ReadLabelled(fields[i].Text) : ReadNumber(fields, i),
                _ => ReadWord(fields, i),
            };
            if ((parts & _have) != 0)
            {
                throw Bad();
            }

            _have |= parts;
        }

        Finish();
    }

    private void Finish()
    {
        ValidateDate();
        if (_meridian >= 0 && _f.Hour > 12)
        {
            throw FieldOverflow();
        }

        if (_meridian == 0 && _f.Hour == 12)
        {
            _f.Hour = 0;
        }
        else if (_meridian == 1 && _f.Hour != 12)
        {
            _f.Hour += 12;
        }

        if (timeOnly)
        {
            FinishTime();
            return;
        }

        if (Kind != ParsedKind.Date)
        {
            return;
        }

        if (!HasDate)
        {
            throw Bad();
        }

        if (_zone is not null)
        {
            Offset = (_have & Parts.Modifier) != 0 ? throw Bad() : ZoneOffset();
        }
        else if (zoneAllowed && !HasZone)
        {
            Offset = (_have & Parts.Modifier) != 0 ? throw Bad() : context.TimeZone.OffsetForLocal(LocalTime());
        }
    }

    private void FinishTime()
    {
        if (TimeOverflows())
        {
            throw FieldOverflow();
        }

        if ((_have & Parts.Time) != Parts.Time)
        {
            throw Bad();
        }

        // A zone with changing offsets needs a date; today's without one.
        if (_zone is not null || (zoneAllowed && !HasZone))
        {
            if ((_have & Parts.Modifier) != 0)
            {
                throw Bad();
            }

            // A zone by its full name must be told the date, unless it has one offset only.
            if (_zone is { HasFixedOffset: true } && _abbreviation is null)
            {
                Offset = _zone.OffsetAt(0);
                return;
            }

            bool partOfDate = (_have & Parts.Date) is not (Parts.Date or Parts.None);
            if (partOfDate || (_zone is not null && _abbreviation is null && !HasDate))
            {
                throw Bad();
            }

            if (!HasDate)
            {
                DateTimeFields today = LocalNow();
                (_f.Year, _f.Month, _f.Day) = (today.Year, today.Month, today.Day);
            }

            Offset = _zone is null ? context.TimeZone.OffsetForLocal(LocalTime()) : ZoneOffset();
        }
    }

    private int ZoneOffset() => _abbreviation is null ? _zone!.OffsetForLocal(LocalTime()) : _zone!.OffsetOfAbbreviation(_abbreviation, LocalTime());

    private long LocalTime()
    {
        Int128 v = ((Int128)Calendar.Days(_f.Year, _f.Month, _f.Day) * Calendar.PerDay) + _f.TimeOfDay;
        return v > long.MaxValue ? long.MaxValue : v < long.MinValue ? long.MinValue : (long)v;
    }

    private DateTimeFields LocalNow()
    {
        long now = context.TransactionTimestamp;
        return Calendar.Split(now + (context.TimeZone.OffsetAt(now) * Calendar.PerSecond));
    }

    private bool TimeOverflows() =>
        _f.Hour is < 0 or > 24 || _f.Minute is < 0 or > 59 || _f.Second is < 0 or > 60
        || (_f.Hour == 24 && (_f.Minute > 0 || _f.Second > 0 || _f.Microsecond > 0)) || _f.TimeOfDay > Calendar.PerDay;

    private void ValidateDate()
    {
        if ((_have & Parts.Year) != 0 && !_julian)
        {
            if (_bc)
            {
                _f.Year = _f.Year <= 0 ? throw FieldOverflow() : -(_f.Year - 1);
            }
            else if (_twoDigits)
            {
                _f.Year += _f.Year < 70 ? 2000 : _f.Year < 100 ? 1900 : 0;
            }
            else if (_f.Year <= 0)
            {
                throw FieldOverflow();
            }
        }

        if ((_have & Parts.DayOfYear) != 0)
        {
            Calendar.Date(Calendar.Days(_f.Year, 1, 1) + _dayOfYear - 1, out _f.Year, out _f.Month, out _f.Day);
        }

        if (((_have & Parts.Month) != 0 && _f.Month is < 1 or > 12) || ((_have & Parts.Day) != 0 && _f.Day is < 1 or > 31))
        {
            throw MonthDayOverflow();
        }

        if (HasDate && _f.Day > Calendar.DaysInMonth(_f.Year, _f.Month))
        {
            throw FieldOverflow();
        }
    }

    private Parts ReadTimeField(string s)
    {
        if (_prefix != DateUnit.None)
        {
            _prefix = _prefix == DateUnit.Time ? DateUnit.None : throw Bad();
        }

        Parts parts = ReadTime(s);
        return !timeOnly && TimeOverflows() ? throw FieldOverflow() : parts;
    }

    private Parts ReadTime(string s)
    {
        string[] p = s.Split(':');
        if (p.Length is < 2 or > 3)
        {
            throw Bad();
        }

        _f.Hour = Integer(p[0]);
        if (p.Length == 2 && p[1].Contains('.', StringComparison.Ordinal))
        {
            // mm:ss.fff
            (_f.Minute, _f.Hour) = (_f.Hour, 0);
            ReadSeconds(p[1]);
        }
        else
        {
            _f.Minute = Integer(p[1]);
            _f.Second = 0;
            if (p.Length == 3)
            {
                ReadSeconds(p[2]);
            }
        }

        return _f.Minute > 59 || _f.Second > 60 ? throw FieldOverflow() : Parts.Time;
    }

    private void ReadSeconds(string s)
    {
        int point = s.IndexOf('.', StringComparison.Ordinal);
        _f.Second = Integer(point < 0 ? s : s[..point]);
        if (point >= 0)
        {
            _f.Microsecond = Fraction(s[point..]);
        }
    }

    // ".123" to microseconds, rounded.
    private int Fraction(string s)
    {
        if (s.Length == 1)
        {
            return 0;
        }

        return s.AsSpan(1).ContainsAnyExceptInRange('0', '9')
            ? throw Bad()
            : (int)Math.Round(double.Parse(s, CultureInfo.InvariantCulture) * 1_000_000, MidpointRounding.ToEven);
    }

    private int Integer(string s)
    {
        if (s.Length == 0 || s.AsSpan().ContainsAnyExceptInRange('0', '9'))
        {
            throw Bad();
        }

        return int.TryParse(s, NumberStyles.None, CultureInfo.InvariantCulture, out int v) ? v : throw FieldOverflow();
    }

    private Parts ReadOffset(string s)
    {
        if (!zoneAllowed)
        {
            throw Bad();
        }

        Offset = ParseOffset(s);
        return Parts.Zone;
    }

    /// <summary>"+hh", "+hhmm", "+hh:mm", "+hh:mm:ss" to seconds east.</summary>
    private int ParseOffset(string s)
    {
        if (s.Length == 0 || s[0] is not ('+' or '-'))
        {
            throw Bad();
        }

        string[] p = s[1..].Split(':');
        int hours = OffsetPart(p[0]);
        int minutes = 0;
        int seconds = 0;
        if (p.Length > 1)
        {
            minutes = OffsetPart(p[1]);
            seconds = p.Length > 2 ? OffsetPart(p[2]) : 0;
        }
        else if (p[0].Length > 2)
        {
            (hours, minutes) = (hours / 100, hours % 100);
        }

        if (hours > 15 || minutes > 59 || seconds > 59)
        {
            throw OffsetOverflow();
        }

        int total = (((hours * 60) + minutes) * 60) + seconds;
        return p.Length > 3 ? throw Bad() : s[0] == '-' ? -total : total;
    }

    private int OffsetPart(string s)
    {
        if (s.AsSpan().ContainsAnyExceptInRange('0', '9') || s.Length == 0)
        {
            throw Bad();
        }

        return int.TryParse(s, NumberStyles.None, CultureInfo.InvariantCulture, out int v) ? v : throw OffsetOverflow();
    }

    private PgException Bad() =>
        new(SqlStates.InvalidDatetimeFormat, $"invalid input syntax for type {typeName}: \"{Encoding.UTF8.GetString(_text)}\"");

    private PgException FieldOverflow() =>
        new(SqlStates.DatetimeFieldOverflow, $"date/time field value out of range: \"{Encoding.UTF8.GetString(_text)}\"");

    private PgException MonthDayOverflow() =>
        new(SqlStates.DatetimeFieldOverflow, $"date/time field value out of range: \"{Encoding.UTF8.GetString(_text)}\"")
        {
            Hint = "Perhaps you need a different \"datestyle\" setting.",
        };

    private PgException OffsetOverflow() => new("22009", $"time zone displacement out of range: \"{Encoding.UTF8.GetString(_text)}\"");
}
