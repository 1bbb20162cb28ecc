using System.Buffers.Binary;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Slru;

/// <summary>
/// pg_commit_ts: for each transaction the time of its commit (microseconds since 2000) and the replication origin that it came from, ten bytes; 819 entries a page, its last
/// two bytes unused (commit_ts.c).
/// </summary>
public static class CommitTimestampLayout
{
    public const int EntrySize = sizeof(long) + sizeof(ushort);
    public const uint PerPage = SlruLayout.PageSize / EntrySize;

    public static uint PageOf(Xid xid) => xid.Value / PerPage;
    public static int OffsetOf(Xid xid) => (int)(xid.Value % PerPage) * EntrySize;
    public static bool StartsPage(Xid xid) => xid.Value % PerPage == 0 || xid == Xid.FirstNormal;

    public static (long Time, ushort Origin) Get(ReadOnlySpan<byte> page, Xid xid)
    {
        ReadOnlySpan<byte> entry = page.Slice(OffsetOf(xid), EntrySize);
        return (BinaryPrimitives.ReadInt64LittleEndian(entry), BinaryPrimitives.ReadUInt16LittleEndian(entry[sizeof(long)..]));
    }

    public static void Set(Span<byte> page, Xid xid, long time, ushort origin)
    {
        Span<byte> entry = page.Slice(OffsetOf(xid), EntrySize);
        BinaryPrimitives.WriteInt64LittleEndian(entry, time);
        BinaryPrimitives.WriteUInt16LittleEndian(entry[sizeof(long)..], origin);
    }

    /// <summary>Whether page <paramref name="a"/> lies wholly before page <paramref name="b"/> in the circle of numbers (CommitTsPagePrecedes).</summary>
    public static bool PagePrecedes(uint a, uint b)
    {
        // The offset keeps all compared numbers among the normal ones.
        uint x = (a * PerPage) + Xid.FirstNormal.Value + 1;
        uint y = (b * PerPage) + Xid.FirstNormal.Value + 1;
        return new Xid(x).Precedes(new Xid(y)) && new Xid(x).Precedes(new Xid(y + PerPage - 1));
    }
}
