using System.Text;
using SharedStorage.Wal.Records;

namespace SharedStorage.Wal.Describe;

/// <summary>BRIN indexes (brin_xlog.h).</summary>
internal static class BrinDescription
{
    public static string? Identify(byte info) => (info & 0xF0) switch
    {
        0x00 => "CREATE_INDEX",
        0x10 => "INSERT",
        0x90 => "INSERT+INIT",
        0x20 => "UPDATE",
        0xA0 => "UPDATE+INIT",
        0x30 => "SAMEPAGE_UPDATE",
        0x40 => "REVMAP_EXTEND",
        0x50 => "DESUMMARIZE",
        _ => null,
    };

    public static void Describe(WalRecord record, StringBuilder into)
    {
        var b = new BodyReader(record.MainData);
        switch (record.OpCode & 0x70)
        {
            case 0x00:
                uint range = b.UInt32();
                into.Append($"v{b.UInt16()} pagesPerRange {range}");
                break;
            case 0x10:
                into.Append($"heapBlk {b.UInt32()} pagesPerRange {b.UInt32()} offnum {b.UInt16()}");
                break;
            case 0x20:
                int old = b.UInt16();
                b.Skip(2);
                into.Append($"heapBlk {b.UInt32()} pagesPerRange {b.UInt32()} old offnum {old}, new offnum {b.UInt16()}");
                break;
            case 0x30:
                into.Append($"offnum {b.UInt16()}");
                break;
            case 0x40:
                into.Append($"targetBlk {b.UInt32()}");
                break;
            case 0x50:
                into.Append($"pagesPerRange {b.UInt32()}, heapBlk {b.UInt32()}, page offset {b.UInt16()}");
                break;
        }
    }
}
