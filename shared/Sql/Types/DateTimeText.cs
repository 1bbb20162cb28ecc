using System.Buffers;
using System.Globalization;
using System.Text;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>Writes dates and times in the styles of DateStyle.</summary>
internal static class DateTimeText
{
    private static readonly string[] Months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    private static readonly string[] Days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

    public static void WriteDate(int days, IBufferWriter<byte> output, EvalContext c)
    {
        if (!Calendar.IsFiniteDate(days))
        {
            TextScan.Write(days == Calendar.DateInfinity ? "infinity"u8 : "-infinity"u8, output);
            return;
        }

        Calendar.Date(days, out int year, out int month, out int day);
        Span<byte> b = output.GetSpan(32);
        int shown = year > 0 ? year : 1 - year;
        int at;
        switch (c.DateStyle)
        {
            case DateStyle.Iso:
                at = Three(b, shown, 4, '-', month, 2, day, 2);
                break;
            case DateStyle.Sql:
                at = c.DateOrder == DateOrder.Dmy ? Three(b, day, 2, '/', month, 2, shown, 4) : Three(b, month, 2, '/', day, 2, shown, 4);
                break;
            case DateStyle.German:
                at = Three(b, day, 2, '.', month, 2, shown, 4);
                break;
            default:
                at = c.DateOrder == DateOrder.Dmy ? Three(b, day, 2, '-', month, 2, shown, 4) : Three(b, month, 2, '-', day, 2, shown, 4);
                break;
        }

        output.Advance(Era(b, at, year));
    }

    public static void WriteTimestamp(long value, bool withZone, IBufferWriter<byte> output, EvalContext c)
    {
        if (!Calendar.IsFinite(value))
        {
            TextScan.Write(value == long.MaxValue ? "infinity"u8 : "-infinity"u8, output);
            return;
        }

        int offset = 0;
        string abbreviation = "";
        if (withZone)
        {
            offset = c.TimeZone.OffsetAt(value, out abbreviation, out _);
        }

        DateTimeFields f = Calendar.Split(value + (offset * Calendar.PerSecond));
        int shown = f.Year > 0 ? f.Year : 1 - f.Year;
        Span<byte> b = output.GetSpan(64);
        int at;
        switch (c.DateStyle)
        {
            case DateStyle.Iso:
                at = Three(b, shown, 4, '-', f.Month, 2, f.Day, 2);
                b[at++] = (byte)' ';
                at = Time(b, at, f);
                at = withZone ? Offset(b, at, offset) : at;
                break;
            case DateStyle.Sql:
                at = c.DateOrder == DateOrder.Dmy ? Three(b, f.Day, 2, '/', f.Month, 2, shown, 4) : Three(b, f.Month, 2, '/', f.Day, 2, shown, 4);
                b[at++] = (byte)' ';
                at = Time(b, at, f);
                at = withZone ? Zone(b, at, abbreviation, offset) : at;
                break;
            case DateStyle.German:
                at = Three(b, f.Day, 2, '.', f.Month, 2, shown, 4);
                b[at++] = (byte)' ';
                at = Time(b, at, f);
                at = withZone ? Zone(b, at, abbreviation, offset) : at;
                break;
            default:
                string day = f.Day.ToString("00", CultureInfo.InvariantCulture);
                string month = Months[f.Month - 1];
                string date = c.DateOrder == DateOrder.Dmy ? $"{day} {month}" : $"{month} {day}";
                at = Encoding.ASCII.GetBytes($"{Days[Calendar.DayOfWeek(Calendar.Days(f.Year, f.Month, f.Day))]} {date} ", b);
                at = Time(b, at, f);
                b[at++] = (byte)' ';
                at = Number(b, at, shown, 4);
                at = withZone ? Zone(b, at, abbreviation, offset) : at;
                break;
        }

        output.Advance(Era(b, at, f.Year));
    }

    public static void WriteTime(long time, IBufferWriter<byte> output)
    {
        Span<byte> b = output.GetSpan(24);
        output.Advance(Time(b, 0, Calendar.SplitTime(time)));
    }

    public static void WriteTimeTz(long time, int offsetEast, IBufferWriter<byte> output)
    {
        Span<byte> b = output.GetSpan(40);
        output.Advance(Offset(b, Time(b, 0, Calendar.SplitTime(time)), offsetEast));
    }

    private static int Three(Span<byte> b, int x, int xDigits, char separator, int y, int yDigits, int z, int zDigits)
    {
        int at = Number(b, 0, x, xDigits);
        b[at++] = (byte)separator;
        at = Number(b, at, y, yDigits);
        b[at++] = (byte)separator;
        return Number(b, at, z, zDigits);
    }

    private static int Era(Span<byte> b, int at, int year)
    {
        if (year > 0)
        {
            return at;
        }

        " BC"u8.CopyTo(b[at..]);
        return at + 3;
    }

    private static int Time(Span<byte> b, int at, in DateTimeFields f)
    {
        at = Number(b, at, f.Hour, 2);
        b[at++] = (byte)':';
        at = Number(b, at, f.Minute, 2);
        b[at++] = (byte)':';
        at = Number(b, at, f.Second, 2);
        return Fraction(b, at, f.Microsecond);
    }

    /// <summary>".123" without trailing zeros; nothing for 0.</summary>
    public static int Fraction(Span<byte> b, int at, int microseconds)
    {
        if (microseconds == 0)
        {
            return at;
        }

        b[at++] = (byte)'.';
        at = Number(b, at, microseconds, 6);
        while (b[at - 1] == (byte)'0')
        {
            at--;
        }

        return at;
    }

    private static int Zone(Span<byte> b, int at, string abbreviation, int offset)
    {
        b[at++] = (byte)' ';

        // Zones without a name of their own are shown by their offset.
        return abbreviation.Length == 0 ? Offset(b, at, offset) : at + Encoding.ASCII.GetBytes(abbreviation, b[at..]);
    }

    private static int Offset(Span<byte> b, int at, int east)
    {
        b[at++] = (byte)(east >= 0 ? '+' : '-');
        int s = Math.Abs(east);
        at = Number(b, at, s / 3600, 2);
        if (s % 3600 != 0)
        {
            b[at++] = (byte)':';
            at = Number(b, at, s / 60 % 60, 2);
        }

        if (s % 60 != 0)
        {
            b[at++] = (byte)':';
            at = Number(b, at, s % 60, 2);
        }

        return at;
    }

    /// <summary>A number with at least so many digits.</summary>
    public static int Number(Span<byte> b, int at, int value, int digits)
    {
        int width = digits;
        long limit = 1;
        for (int i = 0; i < digits; i++)
        {
            limit *= 10;
        }

        while (value >= limit)
        {
            limit *= 10;
            width++;
        }

        for (int i = width - 1; i >= 0; i--)
        {
            b[at + i] = (byte)('0' + (value % 10));
            value /= 10;
        }

        return at + width;
    }
}
