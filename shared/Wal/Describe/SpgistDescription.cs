using System.Text;
using SharedStorage.Wal.Records;

namespace SharedStorage.Wal.Describe;

/// <summary>SP-GiST indexes (spgxlog.h).</summary>
internal static class SpgistDescription
{
    private static readonly string?[] Names =
    [
        null, "ADD_LEAF", "MOVE_LEAFS", "ADD_NODE", "SPLIT_TUPLE", "PICKSPLIT", "VACUUM_LEAF", "VACUUM_ROOT", "VACUUM_REDIRECT",
    ];

    public static string? Identify(byte info) => info >> 4 < Names.Length ? Names[info >> 4] : null;

    public static void Describe(WalRecord record, StringBuilder into)
    {
        var b = new BodyReader(record.MainData);
        switch (record.OpCode)
        {
            case 0x10:
                bool newPage = b.Bool();
                bool nulls = b.Bool();
                into.Append($"off: {b.UInt16()}, headoff: {b.UInt16()}, parentoff: {b.UInt16()}, nodeI: {b.UInt16()}");
                into.Append(newPage ? " (newpage)" : "").Append(nulls ? " (nulls)" : "");
                break;
            case 0x20:
                MoveLeaves(ref b, into);
                break;
            case 0x30:
                into.Append($"off: {b.UInt16()}, newoff: {b.UInt16()}, ");
                newPage = b.Bool();
                into.Append($"parentBlk: {(sbyte)b.Byte()}, parentoff: {b.UInt16()}, nodeI: {b.UInt16()}");
                into.Append(newPage ? " (newpage)" : "");
                break;
            case 0x40:
                into.Append($"prefixoff: {b.UInt16()}, postfixoff: {b.UInt16()}");
                into.Append(b.Bool() ? " (newpage)" : "").Append(b.Bool() ? " (same)" : "");
                break;
            case 0x50:
                PickSplit(ref b, into);
                break;
            case 0x60:
                into.Append($"ndead: {b.UInt16()}, nplaceholder: {b.UInt16()}, nmove: {b.UInt16()}, nchain: {b.UInt16()}");
                break;
            case 0x70:
                into.Append($"ndelete: {b.UInt16()}");
                break;
            case 0x80:
                into.Append($"ntoplaceholder: {b.UInt16()}, firstplaceholder: {b.UInt16()}, newestredirectxid: {b.UInt32()}");
                break;
        }
    }

    private static void MoveLeaves(scoped ref BodyReader b, StringBuilder into)
    {
        int moves = b.UInt16();
        bool newPage = b.Bool();
        bool replaceDead = b.Bool();
        bool nulls = b.Bool();
        b.Skip(1);
        into.Append($"nmoves: {moves}, parentoff: {b.UInt16()}, nodeI: {b.UInt16()}");
        into.Append(newPage ? " (newpage)" : "").Append(replaceDead ? " (replacedead)" : "").Append(nulls ? " (nulls)" : "");
    }

    private static void PickSplit(scoped ref BodyReader b, StringBuilder into)
    {
        bool root = b.Bool();
        b.Skip(1);
        into.Append($"ndelete: {b.UInt16()}, ninsert: {b.UInt16()}, ");
        b.Skip(2);
        into.Append($"inneroff: {b.UInt16()}, ");
        b.Skip(1);
        bool nulls = b.Bool();
        bool innerIsParent = b.Bool();
        b.Skip(1);
        into.Append($"parentoff: {b.UInt16()}, nodeI: {b.UInt16()}");
        into.Append(innerIsParent ? " (innerIsParent)" : "").Append(nulls ? " (nulls)" : "").Append(root ? " (isRootSplit)" : "");
    }
}
