using System.Globalization;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

internal sealed partial class DateTimeParser
{
    private Parts ReadDateField(List<DateField> fields, int i)
    {
        string s = fields[i].Text;
        if (timeOnly)
        {
            if (!zoneAllowed)
            {
                throw Bad();
            }

            // A date may come along, since it decides what a zone's name means.
            if (i == 0 && fields.Count >= 2 && (fields[^1].Kind == FieldKind.Date || fields[1].Kind == FieldKind.Time))
            {
                return ReadDate(s);
            }

            return char.IsAsciiDigit(s[0]) ? ReadTimeWithOffset(s) : ReadZoneName(s);
        }

        if (_prefix == DateUnit.Julian)
        {
            return ReadJulianWithOffset(s);
        }

        if (_prefix == DateUnit.None && (_have & (Parts.Month | Parts.Day)) != (Parts.Month | Parts.Day))
        {
            return ReadDate(s);
        }

        if (!zoneAllowed)
        {
            throw Bad();
        }

        if (char.IsAsciiDigit(s[0]) || _prefix != DateUnit.None)
        {
            _prefix = _prefix is DateUnit.None or DateUnit.Time ? DateUnit.None : throw Bad();
            return ReadTimeWithOffset(s);
        }

        return ReadZoneName(s);
    }

    private Parts ReadJulianWithOffset(string s)
    {
        int end = s.AsSpan().IndexOfAnyExceptInRange('0', '9');
        if (!zoneAllowed || end <= 0)
        {
            throw Bad();
        }

        SetJulian(Integer(s[..end]));
        Offset = ParseOffset(s[end..]);
        _prefix = DateUnit.None;
        return Parts.Date | Parts.Time | Parts.Zone;
    }

    private void SetJulian(int day)
    {
        Calendar.Date((long)day - Calendar.EpochJulian, out _f.Year, out _f.Month, out _f.Day);
        _julian = true;
    }

    // "hhmmss-zz"
    private Parts ReadTimeWithOffset(string s)
    {
        int dash = s.IndexOf('-', StringComparison.Ordinal);
        if ((_have & Parts.Time) == Parts.Time || dash < 0)
        {
            throw Bad();
        }

        Offset = ParseOffset(s[dash..]);
        return ReadRunTogether(s[..dash], _have | (timeOnly ? Parts.Date : 0)) | Parts.Zone;
    }

    private Parts ReadZoneName(string s)
    {
        _zone = PgTimeZone.Find(s) ?? throw new PgException(SqlStates.InvalidParameterValue, $"time zone \"{s}\" not recognized");
        return Parts.Zone;
    }

    // "2001-02-03", "3/2/01", "2001-feb-03" ...
    private Parts ReadDate(string s)
    {
        var pieces = new List<string?>();
        int i = 0;
        while (i < s.Length)
        {
            while (i < s.Length && !char.IsAsciiLetterOrDigit(s[i]))
            {
                i++;
            }

            if (i == s.Length)
            {
                throw Bad();
            }

            int start = i;
            bool digit = char.IsAsciiDigit(s[i]);
            while (i < s.Length && (digit ? char.IsAsciiDigit(s[i]) : char.IsAsciiLetter(s[i])))
            {
                i++;
            }

            pieces.Add(s[start..i]);

            // The character after a piece is dropped, whatever it is.
            i += i < s.Length ? 1 : 0;
        }

        Parts result = 0;
        Parts have = _have;
        bool textMonth = false;
        for (int k = 0; k < pieces.Count; k++)
        {
            if (!char.IsAsciiLetter(pieces[k]![0]))
            {
                continue;
            }

            Token t = DateTimeTokens.Date(pieces[k]!);
            if (t.Kind == TokenKind.Ignore)
            {
                continue;
            }

            if (t.Kind != TokenKind.Month || (have & Parts.Month) != 0)
            {
                throw Bad();
            }

            _f.Month = t.Value;
            textMonth = true;
            have |= Parts.Month;
            result |= Parts.Month;
            pieces[k] = null;
        }

        foreach (string? piece in pieces)
        {
            if (piece is null)
            {
                continue;
            }

            Parts p = ReadPart(piece, textMonth, have);
            if ((have & p) != 0)
            {
                throw Bad();
            }

            have |= p;
            result |= p;
        }

        return (have & ~(Parts.DayOfYear | Parts.Zone)) != Parts.Date ? throw Bad() : result;
    }

    // One number that is a year, month or day by what is known already and by DateStyle.
    private Parts ReadPart(string s, bool textMonth, Parts have)
    {
        int end = s.AsSpan().IndexOfAnyExceptInRange('0', '9');
        string digits = end < 0 ? s : s[..end];
        if (digits.Length == 0)
        {
            throw Bad();
        }

        int value = Integer(digits);
        if (end >= 0)
        {
            if (s[end] != '.')
            {
                throw Bad();
            }

            if (digits.Length > 2)
            {
                return ReadRunTogether(s, have | Parts.Date);
            }

            _f.Microsecond = Fraction(s[end..]);
        }

        int length = s.Length;
        if (length == 3 && (have & Parts.Date) == Parts.Year && value is >= 1 and <= 366)
        {
            _dayOfYear = value;
            return Parts.DayOfYear | Parts.Month | Parts.Day;
        }

        bool longYear = length >= 3 || context.DateOrder == DateOrder.Ymd;
        switch (have & Parts.Date)
        {
            case Parts.None:
                return longYear ? SetYear(value, length) : context.DateOrder == DateOrder.Dmy ? SetDay(value) : SetMonth(value);
            case Parts.Year:
            case Parts.Day:
                return SetMonth(value);
            case Parts.Month:
                return textMonth && longYear ? SetYear(value, length) : SetDay(value);
            case Parts.Year | Parts.Month:
                if (textMonth && length >= 3 && _twoDigits)
                {
                    // The number taken for a year was the day.
                    (_f.Day, _f.Year) = (_f.Year, value);
                    _twoDigits = false;
                    return Parts.Day;
                }

                return SetDay(value);
            case Parts.Month | Parts.Day:
                return SetYear(value, length);
            case Parts.Date:
                return ReadRunTogether(s, have);
            default:
                throw Bad();
        }
    }

    private Parts SetYear(int value, int length)
    {
        _f.Year = value;
        _twoDigits = length <= 2;
        return Parts.Year;
    }

    private Parts SetMonth(int value)
    {
        _f.Month = value;
        return Parts.Month;
    }

    private Parts SetDay(int value)
    {
        _f.Day = value;
        return Parts.Day;
    }

    // "20011225", "040506.789"
    private Parts ReadRunTogether(string s, Parts have)
    {
        int point = s.IndexOf('.', StringComparison.Ordinal);
        if (point >= 0)
        {
            _f.Microsecond = Fraction(s[point..]);
            s = s[..point];
        }
        else if ((have & Parts.Date) != Parts.Date && s.Length >= 6)
        {
            _f.Day = Integer(s[^2..]);
            _f.Month = Integer(s[^4..^2]);
            _f.Year = Integer(s[..^4]);
            _twoDigits |= s.Length - 4 == 2;
            return Parts.Date;
        }

        if ((have & Parts.Time) != Parts.Time && s.Length is 6 or 4)
        {
            _f.Second = s.Length == 6 ? Integer(s[4..]) : 0;
            _f.Minute = Integer(s[2..4]);
            _f.Hour = Integer(s[..2]);
            return Parts.Time;
        }

        throw Bad();
    }

    private Parts ReadNumber(List<DateField> fields, int i)
    {
        string s = fields[i].Text;
        int point = s.IndexOf('.', StringComparison.Ordinal);
        Parts have = _have | (timeOnly ? Parts.Date : 0);
        if (timeOnly)
        {
            if (point >= 0)
            {
                if (i == 0 && fields.Count >= 2 && fields[^1].Kind == FieldKind.Date)
                {
                    return ReadDate(s);
                }

                return point > 2 ? ReadRunTogether(s, have) : throw Bad();
            }

            return s.Length > 4 ? ReadRunTogether(s, have) : ReadPart(s, false, have);
        }

        if (point >= 0 && (_have & Parts.Date) == 0)
        {
            return ReadDate(s);
        }

        if (point > 2 || (s.Length >= 6 && ((_have & Parts.Date) == 0 || (_have & Parts.Time) == 0)))
        {
            return ReadRunTogether(s, have);
        }

        return ReadPart(s, _textMonth, have);
    }

    // A number after a unit: "y2001m02d04", "J2451187".
    private Parts ReadLabelled(string s)
    {
        int end = s.AsSpan().IndexOfAnyExceptInRange('0', '9');
        if (end == 0 || (end > 0 && (s[end] != '.' || _prefix is not (DateUnit.Julian or DateUnit.Time or DateUnit.Second))))
        {
            throw Bad();
        }

        DateUnit unit = _prefix;
        _prefix = DateUnit.None;
        if (!timeOnly)
        {
            Kind = ParsedKind.Date;
        }

        if (unit == DateUnit.Time)
        {
            Parts time = ReadRunTogether(s, _have | Parts.Date);
            return time == Parts.Time ? time : throw Bad();
        }

        int value = Integer(end < 0 ? s : s[..end]);
        if (timeOnly && !zoneAllowed && unit is DateUnit.Julian or DateUnit.Year or DateUnit.Month or DateUnit.Day)
        {
            throw Bad();
        }

        switch (unit)
        {
            case DateUnit.Year:
                _f.Year = value;
                return Parts.Year;
            case DateUnit.Month when (_have & (Parts.Month | Parts.Hour)) == (Parts.Month | Parts.Hour):
            case DateUnit.Minute:
                _f.Minute = value;
                return Parts.Minute;
            case DateUnit.Month:
                return SetMonth(value);
            case DateUnit.Day:
                return SetDay(value);
            case DateUnit.Hour:
                _f.Hour = value;
                return Parts.Hour;
            case DateUnit.Second:
                _f.Second = value;
                if (end < 0)
                {
                    return Parts.Second;
                }

                _f.Microsecond = Fraction(s[end..]);
                return Parts.AllSeconds;
            case DateUnit.Julian:
                SetJulian(value);
                if (end < 0)
                {
                    return Parts.Date;
                }

                double day = s.Length == end + 1 ? 0 : double.Parse(s.AsSpan(end), CultureInfo.InvariantCulture);
                DateTimeFields t = Calendar.SplitTime((long)(day * Calendar.PerDay));
                (_f.Hour, _f.Minute, _f.Second, _f.Microsecond) = (t.Hour, t.Minute, t.Second, t.Microsecond);
                return Parts.Date | Parts.Time;
            default:
                throw Bad();
        }
    }

    private Parts ReadWord(List<DateField> fields, int i)
    {
        string word = fields[i].Text;
        Token t = fields[i].Kind == FieldKind.Word ? DateTimeTokens.Zone(word) : default;
        if (t.Kind == TokenKind.Unknown)
        {
            t = DateTimeTokens.Date(word);
        }

        switch (t.Kind)
        {
            case TokenKind.Ignore:
                return Parts.None;
            case TokenKind.Reserved:
                return ReadReserved((DateUnit)t.Value);
            case TokenKind.Month when !timeOnly:
                if ((_have & Parts.Month) != 0 && !_textMonth && (_have & Parts.Day) == 0 && _f.Month is >= 1 and <= 31)
                {
                    // The number taken for a month was the day.
                    _f.Day = _f.Month;
                    _textMonth = true;
                    _f.Month = t.Value;
                    return Parts.Day;
                }

                _textMonth = true;
                return SetMonth(t.Value);
            case TokenKind.DaylightModifier when zoneAllowed:
                Offset += t.Value;
                return Parts.Modifier | Parts.DaylightZone;
            case TokenKind.DaylightZone when zoneAllowed:
                Offset = t.Value;
                return Parts.Zone | Parts.DaylightZone;
            case TokenKind.Zone when zoneAllowed:
                Offset = t.Value;
                return Parts.Zone;
            case TokenKind.DynamicZone when zoneAllowed:
                _zone = PgTimeZone.Find(t.Zone!);
                _abbreviation = word.ToUpperInvariant();
                return Parts.Zone;
            case TokenKind.AmPm:
                _meridian = t.Value;
                return Parts.AmPm;
            case TokenKind.Era:
                _bc = t.Value == 1;
                return Parts.Era;
            case TokenKind.DayOfWeek when !timeOnly:
                return Parts.DayOfWeek;
            case TokenKind.Unit:
                _prefix = (DateUnit)t.Value;
                return Parts.None;
            case TokenKind.IsoTime:
                bool sensible = timeOnly || ((_have & Parts.Date) == Parts.Date);
                if (!sensible || i + 1 >= fields.Count || fields[i + 1].Kind is not (FieldKind.Number or FieldKind.Time or FieldKind.Date))
                {
                    throw Bad();
                }

                _prefix = DateUnit.Time;
                return Parts.None;
            case TokenKind.Unknown when PgTimeZone.Find(word) is { } zone && zoneAllowed:
                _zone = zone;
                return Parts.Zone;
            default:
                throw Bad();
        }
    }

    private Parts ReadReserved(DateUnit word)
    {
        switch (word)
        {
            case DateUnit.Now:
                _f = LocalNow();
                if (timeOnly)
                {
                    return Parts.Time;
                }

                Offset = context.TimeZone.OffsetAt(context.TransactionTimestamp);
                return Parts.Date | Parts.Time | Parts.Zone;
            case DateUnit.AllBalls:
                (_f.Hour, _f.Minute, _f.Second, Offset) = (0, 0, 0, 0);
                return Parts.Time | Parts.Zone;
            case DateUnit.Today or DateUnit.Tomorrow or DateUnit.Yesterday when !timeOnly:
                DateTimeFields now = LocalNow();
                int shift = word switch { DateUnit.Tomorrow => 1, DateUnit.Yesterday => -1, _ => 0 };
                Calendar.Date(Calendar.Days(now.Year, now.Month, now.Day) + shift, out _f.Year, out _f.Month, out _f.Day);

                // The year is complete, whatever its length.
                _twoDigits = false;
                return Parts.Date;
            case DateUnit.Epoch or DateUnit.Infinity or DateUnit.MinusInfinity when !timeOnly:
                Kind = word switch { DateUnit.Epoch => ParsedKind.Epoch, DateUnit.Infinity => ParsedKind.Infinity, _ => ParsedKind.MinusInfinity };
                return Parts.Reserved;
            default:
                throw Bad();
        }
    }
}
