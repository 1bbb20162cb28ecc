using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Functions;

/// <summary>AT TIME ZONE: timezone() with a name, an abbreviation or an interval (timestamp.c, date.c).</summary>
internal static class DateTimeZones
{
    public static void Add(FunctionTable t)
    {
        t.F2("timestamp_zone", static (a, b, _) => !Calendar.IsFinite(b.Int64)
            ? b
            : Shift(b.Int64, -OffsetForLocal(TextFunctions.Str(a), b.Int64)));
        t.F2("timestamptz_zone", static (a, b, _) => !Calendar.IsFinite(b.Int64) ? b : Shift(b.Int64, OffsetAt(TextFunctions.Str(a), b.Int64)));
        t.F2("timestamp_izone", static (a, b, c) => !Calendar.IsFinite(b.Int64) ? b : Shift(b.Int64, -Seconds(a, c)));
        t.F2("timestamptz_izone", static (a, b, c) => !Calendar.IsFinite(b.Int64) ? b : Shift(b.Int64, Seconds(a, c)));
        t.F2("timetz_zone", static (a, b, c) => MoveTimeTz(b, OffsetAt(TextFunctions.Str(a), c.TransactionTimestamp)));
        t.F2("timetz_izone", static (a, b, c) => MoveTimeTz(b, Seconds(a, c)));
    }

    private static Datum Shift(long v, long seconds) => Datum.FromInt64(DateTimeOperators.CheckTimestamp((Int128)v + (seconds * Calendar.PerSecond)));

    private static int Seconds(Datum interval, EvalContext c)
    {
        IntervalValue v = IntervalValue.Read(interval);
        if (v.Months != 0 || v.Days != 0)
        {
            string text = IntervalText.Format(v, c.IntervalStyle);
            throw new PgException(SqlStates.InvalidParameterValue, $"interval time zone \"{text}\" must not include months or days");
        }

        return (int)(v.Time / Calendar.PerSecond);
    }

    private static Datum MoveTimeTz(Datum v, int offset)
    {
        long time = TimeTzType.Time(v) + ((TimeTzType.ZoneWest(v) + (long)offset) * Calendar.PerSecond);
        time %= Calendar.PerDay;
        return TimeTzType.From(time < 0 ? time + Calendar.PerDay : time, -offset);
    }

    /// <exception cref="PgException">22023: no such zone.</exception>
    public static PgTimeZone Find(string name)
    {
        Token t = DateTimeTokens.Zone(name.ToLowerInvariant());
        return t.Kind switch
        {
            TokenKind.Zone or TokenKind.DaylightZone => PgTimeZone.Fixed(t.Value),
            TokenKind.DynamicZone => PgTimeZone.Find(t.Zone!)!,
            _ => PgTimeZone.Find(name) ?? throw new PgException(SqlStates.InvalidParameterValue, $"time zone \"{name}\" not recognized"),
        };
    }

    public static int OffsetForLocal(string zone, long local) => DateTimeTokens.Zone(zone.ToLowerInvariant()) is { Kind: TokenKind.DynamicZone } t
        ? PgTimeZone.Find(t.Zone!)!.OffsetOfAbbreviation(zone.ToUpperInvariant(), local)
        : Find(zone).OffsetForLocal(local);

    private static int OffsetAt(string zone, long utc) => DateTimeTokens.Zone(zone.ToLowerInvariant()) is { Kind: TokenKind.DynamicZone } t
        ? PgTimeZone.Find(t.Zone!)!.OffsetOfAbbreviationAt(zone.ToUpperInvariant(), utc)
        : Find(zone).OffsetAt(utc);
}
