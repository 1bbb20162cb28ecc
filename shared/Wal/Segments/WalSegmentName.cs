using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Segments;

/// <summary>The name of a segment file: 24 hexadecimal digits, eight each for timeline, "log" (4 GiB) and segment within it.</summary>
public readonly record struct WalSegmentName(TimelineId Timeline, ulong Segment)
{
    private const int Digits = 24;

    public string ToFileName(int segmentSize)
    {
        ulong perLog = 0x1_0000_0000UL / (uint)segmentSize;
        return string.Create(CultureInfo.InvariantCulture, $"{Timeline.Value:X8}{(uint)(Segment / perLog):X8}{(uint)(Segment % perLog):X8}");
    }

    public static bool TryParse([NotNullWhen(true)] string? name, int segmentSize, out WalSegmentName result)
    {
        result = default;
        if (name is not { Length: Digits } || name.AsSpan().ContainsAnyExcept("0123456789ABCDEF"))
        {
            return false;
        }

        ulong perLog = 0x1_0000_0000UL / (uint)segmentSize;
        uint timeline = uint.Parse(name.AsSpan(0, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        uint log = uint.Parse(name.AsSpan(8, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        uint within = uint.Parse(name.AsSpan(16, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        if (within >= perLog || timeline == 0)
        {
            return false;
        }

        result = new WalSegmentName(new TimelineId(timeline), (log * perLog) + within);
        return true;
    }

    public static string HistoryFileName(TimelineId timeline) =>
        string.Create(CultureInfo.InvariantCulture, $"{timeline.Value:X8}.history");
}
