using System.Collections.Concurrent;
using System.Globalization;
using NodaTime;
using NodaTime.TimeZones;

namespace SharedStorage.Sql.Types;

/// <summary>
/// A time zone by the tz database, or with a fixed offset. Times are PostgreSQL's: microseconds since 2000-01-01, in UTC or local.
/// </summary>
public sealed class PgTimeZone
{
    private const long PerSecond = 1_000_000;
    private const long UnixEpochSeconds = 946_684_800;

    // 400 Gregorian years: after them the calendar and so the rules repeat.
    private const long CycleSeconds = 146_097L * 86_400;
    private static readonly long MinSeconds = Instant.FromUtc(-9997, 1, 1, 0, 0).ToUnixTimeSeconds();
    private static readonly long MaxSeconds = Instant.FromUtc(9998, 1, 1, 0, 0).ToUnixTimeSeconds();
    private static readonly long MaxAbbreviationSeconds = Instant.FromUtc(2040, 1, 1, 0, 0).ToUnixTimeSeconds();
    private static readonly ConcurrentDictionary<string, PgTimeZone?> Cache = new(StringComparer.OrdinalIgnoreCase);
    private static readonly Dictionary<string, string> Names = TzdbDateTimeZoneSource.Default.GetIds()
        .GroupBy(i => i, StringComparer.OrdinalIgnoreCase).ToDictionary(g => g.Key, g => g.First(), StringComparer.OrdinalIgnoreCase);

    private readonly DateTimeZone? _zone;
    private readonly int _fixedOffset;
    private Span? _last;

    private PgTimeZone(string name, DateTimeZone zone)
    {
        Name = name;
        _zone = zone;
    }

    private PgTimeZone(string name, int offset, string abbreviation)
    {
        Name = name;
        _fixedOffset = offset;
        _last = new Span(long.MinValue, long.MaxValue, offset, abbreviation, false);
    }

    public static PgTimeZone Utc { get; } = new("UTC", 0, "UTC");

    /// <summary>As SHOW TimeZone prints it.</summary>
    public string Name { get; }

    /// <summary>The names that pg_timezone_names lists.</summary>
    public static IEnumerable<string> KnownNames => Names.Values;

    /// <summary>A zone by its name in the tz database (any case), or by a POSIX form ("EST5EDT", "&lt;+03&gt;-3"); null when there is none.</summary>
    public static PgTimeZone? Find(string name) => Cache.GetOrAdd(name, static n => Load(n));

    /// <summary>A zone so many seconds east of UTC.</summary>
    public static PgTimeZone Fixed(int secondsEast)
    {
        string text = OffsetText(secondsEast);
        return new PgTimeZone($"<{text}>{OffsetText(-secondsEast)}", secondsEast, text);
    }

    /// <summary>Seconds east of UTC at an instant.</summary>
    public int OffsetAt(long utc) => At(utc).Offset;

    public int OffsetAt(long utc, out string abbreviation, out bool daylight)
    {
        Span s = At(utc);
        (abbreviation, daylight) = (s.Abbreviation, s.Daylight);
        return s.Offset;
    }

    /// <summary>
    /// Seconds east of UTC for a local time. In a gap the offset before it counts, where an hour is twice there the later one (PostgreSQL's choice).
    /// </summary>
    public int OffsetForLocal(long local)
    {
        if (_zone is null)
        {
            return _fixedOffset;
        }

        // Offsets are below a day, so the spans around a day before and after hold all candidates.
        Span before = At(local - (86_400 * PerSecond));
        Span after = At(local + (86_400 * PerSecond));
        if (before.Offset == after.Offset && before.End == after.End)
        {
            return before.Offset;
        }

        Span first = before;
        while (true)
        {
            if (first.End == long.MaxValue || local - (first.Offset * PerSecond) < first.End)
            {
                Span? next = first.End == long.MaxValue ? null : At(first.End);

                // Valid in this span; also valid in the next one when the clock was put back.
                if (next is not null && local - (next.Offset * PerSecond) >= first.End)
                {
                    return next.Offset;
                }

                return first.Offset;
            }

            Span following = At(first.End);
            if (local - (following.Offset * PerSecond) < first.End)
            {
                return first.Offset;
            }

            first = following;
        }
    }

    /// <summary>Whether the offset never changes.</summary>
    public bool HasFixedOffset => _zone is null || _zone.MinOffset == _zone.MaxOffset;

    /// <summary>
    /// Seconds east of UTC that an abbreviation means at a local time: in the latest interval that has it, else the first later one; the zone's own
    /// offset when it is never used.
    /// </summary>
    public int OffsetOfAbbreviation(string abbreviation, long local)
    {
        int zoneOffset = OffsetForLocal(local);
        if (_zone is null)
        {
            return zoneOffset;
        }

        Instant at = Instant.FromUnixTimeSeconds(Math.Clamp(((local / PerSecond) - zoneOffset) + UnixEpochSeconds, MinSeconds, MaxSeconds));
        int? earlier = null;
        foreach (ZoneInterval i in _zone.GetZoneIntervals(new Interval(null, Instant.FromUnixTimeSeconds(MaxAbbreviationSeconds))))
        {
            if (i.Name != abbreviation)
            {
                continue;
            }

            if (earlier is not null && i.HasStart && i.Start > at)
            {
                break;
            }

            earlier = i.WallOffset.Seconds;
            if (i.HasStart && i.Start > at)
            {
                break;
            }
        }

        return earlier ?? zoneOffset;
    }

    /// <summary>The same for an instant.</summary>
    public int OffsetOfAbbreviationAt(string abbreviation, long utc) => OffsetOfAbbreviation(abbreviation, utc + (OffsetAt(utc) * PerSecond));

    public override string ToString() => Name;

    private static PgTimeZone? Load(string name)
    {
        if (name.Equals("UTC", StringComparison.OrdinalIgnoreCase))
        {
            return Utc;
        }

        if (name.Equals("GMT", StringComparison.OrdinalIgnoreCase))
        {
            return new PgTimeZone("GMT", 0, "GMT");
        }

        if (Names.TryGetValue(name, out string? id))
        {
            return new PgTimeZone(id, DateTimeZoneProviders.Tzdb[id]);
        }

        return PosixTimeZone(name);
    }

    // "<abbr>offset" or "ABC+5": hours west of UTC, as POSIX counts. Daylight rules beyond known names are not read.
    private static PgTimeZone? PosixTimeZone(string name)
    {
        int i = 0;
        string abbreviation;
        if (name.StartsWith('<'))
        {
            int end = name.IndexOf('>', StringComparison.Ordinal);
            if (end < 0)
            {
                return null;
            }

            abbreviation = name[1..end];
            i = end + 1;
        }
        else
        {
            while (i < name.Length && char.IsAsciiLetter(name[i]))
            {
                i++;
            }

            abbreviation = name[..i].ToUpperInvariant();
        }

        if (abbreviation.Length < 3 || i >= name.Length)
        {
            return null;
        }

        int sign = name[i] == '-' ? -1 : 1;
        string[] parts = name[i..].TrimStart('+', '-').Split(':');
        int seconds = 0;
        for (int p = 0; p < 3; p++)
        {
            int v = 0;
            if (p < parts.Length && !int.TryParse(parts[p], NumberStyles.None, CultureInfo.InvariantCulture, out v))
            {
                return null;
            }

            seconds = (seconds * 60) + v;
        }

        return parts.Length > 3 || seconds > 168 * 3600 ? null : new PgTimeZone(name, -sign * seconds, abbreviation);
    }

    private static string OffsetText(int seconds)
    {
        int a = Math.Abs(seconds);
        string sign = seconds < 0 ? "-" : "+";
        string text = string.Create(CultureInfo.InvariantCulture, $"{sign}{a / 3600:00}");
        if (a % 3600 != 0)
        {
            text += string.Create(CultureInfo.InvariantCulture, $":{a / 60 % 60:00}");
        }

        return a % 60 == 0 ? text : text + string.Create(CultureInfo.InvariantCulture, $":{a % 60:00}");
    }

    private Span At(long utc)
    {
        Span? last = Volatile.Read(ref _last);
        if (last is not null && utc >= last.Start && utc < last.End)
        {
            return last;
        }

        if (_zone is null)
        {
            return last!;
        }

        long seconds = Math.DivRem(utc, PerSecond, out long rest) - (rest < 0 ? 1 : 0) + UnixEpochSeconds;
        if (seconds >= MaxSeconds)
        {
            // Beyond the library's range: the same rules as a whole number of cycles earlier.
            long cycles = ((seconds - MaxSeconds) / CycleSeconds) + 1;
            ZoneInterval far = _zone.GetZoneInterval(Instant.FromUnixTimeSeconds(seconds - (cycles * CycleSeconds)));
            long shift = cycles * CycleSeconds;
            return new Span(
                far.HasStart ? FromUnix(far.Start, shift) : long.MinValue,
                far.HasEnd ? FromUnix(far.End, shift) : long.MaxValue,
                far.WallOffset.Seconds,
                far.Name,
                far.Savings != Offset.Zero);
        }

        ZoneInterval interval = _zone.GetZoneInterval(Instant.FromUnixTimeSeconds(Math.Max(seconds, MinSeconds)));
        var span = new Span(
            interval.HasStart ? FromUnix(interval.Start, 0) : long.MinValue,
            interval.HasEnd ? FromUnix(interval.End, 0) : long.MaxValue,
            interval.WallOffset.Seconds,
            interval.Name,
            interval.Savings != Offset.Zero);
        Volatile.Write(ref _last, span);
        return span;
    }

    // Saturates: an interval may end beyond the last moment that there is.
    private static long FromUnix(Instant instant, long shift)
    {
        Int128 v = ((Int128)instant.ToUnixTimeSeconds() + shift - UnixEpochSeconds) * PerSecond;
        return v > long.MaxValue ? long.MaxValue : v < long.MinValue ? long.MinValue : (long)v;
    }

    /// <summary>An interval in which the offset is the same; times are UTC.</summary>
    private sealed record Span(long Start, long End, int Offset, string Abbreviation, bool Daylight);
}
