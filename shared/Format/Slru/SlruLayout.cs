using System.Globalization;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Slru;

/// <summary>
/// The files of PostgreSQL's "simple LRU" areas (slru.c): pages of 8 KiB without header or checksum, 32 of them in a file of 256 KiB,
/// whose name is the segment number in at least four hexadecimal digits.
/// </summary>
public static class SlruLayout
{
    public const int PageSize = 8192;
    public const int PagesPerSegment = 32;
    public const int SegmentSize = PageSize * PagesPerSegment;

    public static uint SegmentOf(uint page) => page / PagesPerSegment;

    public static long OffsetInSegment(uint page) => (long)(page % PagesPerSegment) * PageSize;

    public static string SegmentName(uint segment) => segment.ToString("X4", CultureInfo.InvariantCulture);

    /// <summary>Reads a segment file's name; false for other files in the directory.</summary>
    public static bool TryParseSegmentName(ReadOnlySpan<char> name, out uint segment)
    {
        segment = 0;
        return name.Length is >= 4 and <= 6
            && uint.TryParse(name, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out segment)
            && name.IndexOfAnyInRange('a', 'f') < 0;
    }
}

/// <summary>pg_xact: two bits for each transaction, the lowest bits of a byte first (clog.c).</summary>
public static class ClogLayout
{
    public const int BitsPerXid = 2;
    public const int XidsPerByte = 4;
    public const uint XidsPerPage = SlruLayout.PageSize * XidsPerByte;

    public static uint PageOf(Xid xid) => xid.Value / XidsPerPage;
    public static int ByteOf(Xid xid) => (int)(xid.Value % XidsPerPage / XidsPerByte);
    public static int ShiftOf(Xid xid) => (int)(xid.Value % XidsPerByte) * BitsPerXid;

    /// <summary>Whether the xid is the first of its page; in page 0 that is the first normal one.</summary>
    public static bool StartsPage(Xid xid) => xid.Value % XidsPerPage == 0 || xid == Xid.FirstNormal;

    public static byte Get(ReadOnlySpan<byte> page, Xid xid) => (byte)((page[ByteOf(xid)] >> ShiftOf(xid)) & 3);

    public static void Set(Span<byte> page, Xid xid, byte status)
    {
        ref byte b = ref page[ByteOf(xid)];
        b = (byte)((b & ~(3 << ShiftOf(xid))) | ((status & 3) << ShiftOf(xid)));
    }

    /// <summary>Whether page <paramref name="a"/> lies wholly before page <paramref name="b"/> in the circle of numbers (CLOGPagePrecedes).</summary>
    public static bool PagePrecedes(uint a, uint b)
    {
        // The offset keeps all compared numbers among the normal ones.
        uint x = (a * XidsPerPage) + Xid.FirstNormal.Value + 1;
        uint y = (b * XidsPerPage) + Xid.FirstNormal.Value + 1;
        return new Xid(x).Precedes(new Xid(y)) && new Xid(x).Precedes(new Xid(y + XidsPerPage - 1));
    }
}
