using System.Globalization;
using System.Text;
using SharedStorage.Wal.Records;

namespace SharedStorage.Wal.Describe;

/// <summary>Hash indexes (hash_xlog.h).</summary>
internal static class HashDescription
{
    private static readonly string[] Names =
    [
        "INIT_META_PAGE", "INIT_BITMAP_PAGE", "INSERT", "ADD_OVFL_PAGE", "SPLIT_ALLOCATE_PAGE", "SPLIT_PAGE", "SPLIT_COMPLETE",
        "MOVE_PAGE_CONTENTS", "SQUEEZE_PAGE", "DELETE", "SPLIT_CLEANUP", "UPDATE_META_PAGE", "VACUUM_ONE_PAGE",
    ];

    public static string? Identify(byte info) => info >> 4 < Names.Length ? Names[info >> 4] : null;

    public static void Describe(WalRecord record, StringBuilder into)
    {
        var b = new BodyReader(record.MainData);
        switch (record.OpCode)
        {
            case 0x00:
                double tuples = b.Double();
                b.Skip(4);
                into.Append($"num_tuples {General(tuples)}, fillfactor {b.UInt16()}");
                break;
            case 0x10:
                into.Append($"bmsize {b.UInt16()}");
                break;
            case 0x20:
                into.Append($"off {b.UInt16()}");
                break;
            case 0x30:
                into.Append($"bmsize {b.UInt16()}, bmpage_found {Flag(b.Bool())}");
                break;
            case 0x40:
                uint bucket = b.UInt32();
                b.Skip(4);
                int flags = b.Byte();
                into.Append($"new_bucket {bucket}, meta_page_masks_updated {Flag((flags & 1) != 0)}, issplitpoint_changed {Flag((flags & 2) != 0)}");
                break;
            case 0x60:
                into.Append($"old_bucket_flag {b.UInt16()}, new_bucket_flag {b.UInt16()}");
                break;
            case 0x70:
                into.Append($"ntups {b.UInt16()}, is_primary {Flag(b.Bool())}");
                break;
            case 0x80:
                into.Append($"prevblkno {b.UInt32()}, nextblkno {b.UInt32()}, ntups {b.UInt16()}, is_primary {Flag(b.Bool())}");
                break;
            case 0x90:
                into.Append($"clear_dead_marking {Flag(b.Bool())}, is_primary {Flag(b.Bool())}");
                break;
            case 0xB0:
                into.Append($"ntuples {General(b.Double())}");
                break;
            case 0xC0:
                uint removed = b.UInt32();
                into.Append($"ntuples {b.Int32()}, latestRemovedXid {removed}");
                break;
        }
    }

    private static char Flag(bool on) => on ? 'T' : 'F';

    /// <summary>As C's %g.</summary>
    private static string General(double value) => value.ToString("G6", CultureInfo.InvariantCulture).Replace('E', 'e');
}
