using System.Text;
using SharedStorage.Primitives;
using SharedStorage.Wal.Records;

namespace SharedStorage.Wal.Describe;

/// <summary>GiST indexes (gistxlog.h).</summary>
internal static class GistDescription
{
    public static string? Identify(byte info) => (info & 0xF0) switch
    {
        0x00 => "PAGE_UPDATE",
        0x10 => "DELETE",
        0x20 => "PAGE_REUSE",
        0x30 => "PAGE_SPLIT",
        0x60 => "PAGE_DELETE",
        0x70 => "ASSIGN_LSN",
        _ => null,
    };

    public static void Describe(WalRecord record, StringBuilder into)
    {
        var b = new BodyReader(record.MainData);
        switch (record.OpCode)
        {
            case 0x10:
                into.Append($"delete: latestRemovedXid {b.UInt32()}, nitems: {b.UInt16()}");
                break;
            case 0x20:
                into.Append($"rel {b.Rel()}; blk {b.UInt32()}; latestRemovedXid {new FullXid((ulong)b.Int64())}");
                break;
            case 0x30:
                b.Skip(18);
                into.Append($"page_split: splits to {b.UInt16()} pages");
                break;
            case 0x60:
                into.Append($"deleteXid {new FullXid((ulong)b.Int64())}; downlink {b.UInt16()}");
                break;
        }
    }
}
