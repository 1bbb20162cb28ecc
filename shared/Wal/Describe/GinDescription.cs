using System.Text;
using SharedStorage.Wal.Records;

namespace SharedStorage.Wal.Describe;

/// <summary>GIN indexes (ginxlog.h).</summary>
internal static class GinDescription
{
    private const byte Insert = 0x20;
    private const byte Split = 0x30;
    private const byte VacuumDataLeafPage = 0x90;
    private const byte DeleteListPage = 0x80;
    private const int IsData = 1;
    private const int IsLeaf = 2;
    private const int IsRootSplit = 4;

    private static readonly string?[] Names =
    [
        null, "CREATE_PTREE", "INSERT", "SPLIT", "VACUUM_PAGE", "DELETE_PAGE", "UPDATE_META_PAGE", "INSERT_LISTPAGE", "DELETE_LISTPAGE",
        "VACUUM_DATA_LEAF_PAGE",
    ];

    public static string? Identify(byte info) => info >> 4 < Names.Length ? Names[info >> 4] : null;

    public static void Describe(WalRecord record, StringBuilder into)
    {
        var b = new BodyReader(record.MainData);
        switch (record.OpCode)
        {
            case Insert:
                DescribeInsert(record, into);
                break;
            case Split:
                // Relation, right link, left child, right child come first.
                b.Skip(24);
                int flags = b.UInt16();
                into.Append($"isrootsplit: {Flag(flags, IsRootSplit)} isdata: {Flag(flags, IsData)} isleaf: {Flag(flags, IsLeaf)}");
                break;
            case VacuumDataLeafPage:
                if (!DescribeImage(record, into))
                {
                    Recompress(record.BlockData(0), into);
                }

                break;
            case DeleteListPage:
                // The metapage's fields come first.
                b.Skip(56);
                into.Append($"ndeleted: {b.Int32()}");
                break;
        }
    }

    private static void DescribeInsert(WalRecord record, StringBuilder into)
    {
        var b = new BodyReader(record.MainData);
        int flags = b.UInt16();
        into.Append($"isdata: {Flag(flags, IsData)} isleaf: {Flag(flags, IsLeaf)}");
        if ((flags & IsLeaf) == 0)
        {
            into.Append($" children: {Block(ref b)}/{Block(ref b)}");
        }

        if (DescribeImage(record, into))
        {
            return;
        }

        var payload = new BodyReader(record.BlockData(0));
        if ((flags & IsData) == 0)
        {
            payload.Skip(2);
            into.Append($" isdelete: {(payload.Bool() ? 'T' : 'F')}");
        }
        else if ((flags & IsLeaf) != 0)
        {
            Recompress(record.BlockData(0), into);
        }
        else
        {
            payload.Skip(2);
            into.Append($" pitem: {Block(ref payload)}-{Block(ref payload)}/{payload.UInt16()}");
        }
    }

    private static bool DescribeImage(WalRecord record, StringBuilder into)
    {
        if (!record.HasBlock(0) || !record.Block(0).HasImage)
        {
            return false;
        }

        into.Append(record.Block(0).ApplyImage ? " (full page image)" : " (full page image, for WAL verification)");
        return true;
    }

    /// <summary>What is done to the compressed segments of a leaf of a posting tree.</summary>
    private static void Recompress(ReadOnlySpan<byte> data, StringBuilder into)
    {
        var b = new BodyReader(data);
        int actions = b.UInt16();
        into.Append($" {actions} segments:");
        for (int i = 0; i < actions; i++)
        {
            int segment = b.Byte();
            int action = b.Byte();
            switch (action)
            {
                case 1:
                    into.Append($" {segment} (delete)");
                    break;
                case 2:
                case 3:
                    // A posting list: its first item, the length of the rest, the rest padded to 16 bits.
                    b.Skip(6);
                    int length = b.UInt16();
                    b.Skip((length + 1) & ~1);
                    into.Append($" {segment} ({(action == 2 ? "insert" : "replace")})");
                    break;
                case 4:
                    int items = b.UInt16();
                    b.Skip(items * 6);
                    into.Append($" {segment} (add {items} items)");
                    break;
                default:
                    into.Append($" {segment} unknown action {action} ???");
                    return;
            }
        }
    }

    private static uint Block(scoped ref BodyReader b) => ((uint)b.UInt16() << 16) | b.UInt16();

    private static char Flag(int flags, int bit) => (flags & bit) != 0 ? 'T' : 'F';
}
