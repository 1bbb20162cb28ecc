using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>Arithmetic of intervals (timestamp.c).</summary>
internal static class IntervalFunctions
{
    public static void Add(FunctionTable t)
    {
        t.F2("interval_pl", static (a, b, _) => Sum(IntervalValue.Read(a), IntervalValue.Read(b), 1));
        t.F2("interval_mi", static (a, b, _) => Sum(IntervalValue.Read(a), IntervalValue.Read(b), -1));
        t.F1("interval_um", static (a, _) => Sum(default, IntervalValue.Read(a), -1));
        t.F2("interval_mul", static (a, b, _) => Scale(IntervalValue.Read(a), b.Double, static (v, f) => v * f));
        t.F2("mul_d_interval", static (a, b, _) => Scale(IntervalValue.Read(b), a.Double, static (v, f) => v * f));
        t.F2("interval_div", static (a, b, _) => b.Double == 0
            ? throw IntegerFunctions.DivisionByZero()
            : Scale(IntervalValue.Read(a), b.Double, static (v, f) => v / f));
        t.F1("interval_justify_hours", static (a, _) => JustifyHours(IntervalValue.Read(a)).ToDatum());
        t.F1("interval_justify_days", static (a, _) => JustifyDays(IntervalValue.Read(a)).ToDatum());
        t.F1("interval_justify_interval", static (a, _) => Justify(IntervalValue.Read(a)).ToDatum());
    }

    internal static Datum Sum(IntervalValue a, IntervalValue b, int sign) =>
        IntervalValue.Checked(a.Months + ((long)sign * b.Months), a.Days + ((long)sign * b.Days), (Int128)a.Time + ((Int128)sign * b.Time)).ToDatum();

    // The parts of months and days that are not whole go down to days and time; 30 days are a month.
    private static Datum Scale(IntervalValue v, double factor, Func<double, double, double> by)
    {
        double exactMonths = by(v.Months, factor);
        double exactDays = by(v.Days, factor);
        int months = ToInt(exactMonths);
        int days = ToInt(exactDays);
        double restDays = RoundMicro((exactMonths - months) * 30);
        double restSeconds = RoundMicro((exactDays - days + restDays - (int)restDays) * 86_400);
        long dayCount = days;
        if (Math.Abs(restSeconds) >= 86_400)
        {
            int whole = (int)(restSeconds / 86_400);
            dayCount += whole;
            restSeconds -= whole * 86_400;
        }

        dayCount += (int)restDays;
        double time = Math.Round(by(v.Time, factor) + (restSeconds * 1_000_000), MidpointRounding.ToEven);
        if (!(time is >= long.MinValue and < 9_223_372_036_854_775_808.0))
        {
            throw Calendar.IntervalOutOfRange();
        }

        return IntervalValue.Checked(months, dayCount, (long)time).ToDatum();
    }

    internal static Datum Divide(IntervalValue v, double n) => Scale(v, n, static (x, f) => x / f);

    private static double RoundMicro(double v) => Math.Round(v * 1_000_000, MidpointRounding.ToEven) / 1_000_000;

    private static int ToInt(double v) => v is >= int.MinValue and < 2_147_483_648.0 ? (int)v : throw Calendar.IntervalOutOfRange();

    private static IntervalValue JustifyHours(IntervalValue v)
    {
        long days = v.Time / Calendar.PerDay;
        long time = v.Time - (days * Calendar.PerDay);
        days += v.Days;
        if (days > 0 && time < 0)
        {
            time += Calendar.PerDay;
            days--;
        }
        else if (days < 0 && time > 0)
        {
            time -= Calendar.PerDay;
            days++;
        }

        return IntervalValue.Checked(v.Months, days, time);
    }

    private static IntervalValue JustifyDays(IntervalValue v)
    {
        int whole = v.Days / 30;
        int days = v.Days - (whole * 30);
        long months = (long)v.Months + whole;
        if (months > 0 && days < 0)
        {
            days += 30;
            months--;
        }
        else if (months < 0 && days > 0)
        {
            days -= 30;
            months++;
        }

        return IntervalValue.Checked(months, days, v.Time);
    }

    private static IntervalValue Justify(IntervalValue v)
    {
        long days = v.Days;
        long months = v.Months;
        long time = v.Time;
        if ((days > 0 && time > 0) || (days < 0 && time < 0))
        {
            months += days / 30;
            days %= 30;
        }

        days += time / Calendar.PerDay;
        time %= Calendar.PerDay;
        months += days / 30;
        days %= 30;
        if (months > 0 && (days < 0 || (days == 0 && time < 0)))
        {
            days += 30;
            months--;
        }
        else if (months < 0 && (days > 0 || (days == 0 && time > 0)))
        {
            days -= 30;
            months++;
        }

        if (days > 0 && time < 0)
        {
            time += Calendar.PerDay;
            days--;
        }
        else if (days < 0 && time > 0)
        {
            time -= Calendar.PerDay;
            days++;
        }

        return IntervalValue.Checked(months, days, time);
    }
}
