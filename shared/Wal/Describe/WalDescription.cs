using System.Text;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Describe;

/// <summary>
/// Records as text, in the words of <c>pg_waldump</c>. One file per resource manager beside this; none of it is used by redo (PostgreSQL keeps the two apart in
/// rmgrdesc for the same reason: a tool decodes without being able to redo).
/// </summary>
public static class WalDescription
{
    /// <summary>From here on numbers belong to resource managers that extensions bring (RM_MIN_CUSTOM_ID).</summary>
    public const Rmgr FirstCustom = (Rmgr)128;

    private static readonly Entry[] Table =
    [
        new("XLOG", XlogDescription.Identify, XlogDescription.Describe),
        new("Transaction", XactDescription.Identify, XactDescription.Describe),
        new("Storage", FileDescription.IdentifyStorage, FileDescription.DescribeStorage),
        new("CLOG", SlruDescription.IdentifyClog, SlruDescription.DescribeClog),
        new("Database", FileDescription.IdentifyDatabase, FileDescription.DescribeDatabase),
        new("Tablespace", FileDescription.IdentifyTablespace, FileDescription.DescribeTablespace),
        new("MultiXact", SlruDescription.IdentifyMultiXact, SlruDescription.DescribeMultiXact),
        new("RelMap", FileDescription.IdentifyRelMap, FileDescription.DescribeRelMap),
        new("Standby", StandbyDescription.Identify, StandbyDescription.Describe),
        new("Heap2", HeapDescription.IdentifyHeap2, HeapDescription.DescribeHeap2),
        new("Heap", HeapDescription.IdentifyHeap, HeapDescription.DescribeHeap),
        new("Btree", BtreeDescription.Identify, BtreeDescription.Describe),
        new("Hash", HashDescription.Identify, HashDescription.Describe),
        new("Gin", GinDescription.Identify, GinDescription.Describe),
        new("Gist", GistDescription.Identify, GistDescription.Describe),
        new("Sequence", FileDescription.IdentifySequence, FileDescription.DescribeSequence),
        new("SPGist", SpgistDescription.Identify, SpgistDescription.Describe),
        new("BRIN", BrinDescription.Identify, BrinDescription.Describe),
        new("CommitTs", SlruDescription.IdentifyCommitTs, SlruDescription.DescribeCommitTs),
        new("ReplicationOrigin", OtherDescription.IdentifyOrigin, OtherDescription.DescribeOrigin),
        new("Generic", OtherDescription.IdentifyGeneric, OtherDescription.DescribeGeneric),
        new("LogicalMessage", OtherDescription.IdentifyMessage, OtherDescription.DescribeMessage),
    ];

    private sealed record Entry(string Name, Func<byte, string?> Identify, Action<WalRecord, StringBuilder> Describe);

    /// <summary>The resource managers' names, by their numbers.</summary>
    public static IEnumerable<string> Names => Table.Select(e => e.Name);

    public static string NameOf(Rmgr rmgr) => Of(rmgr).Name;

    /// <summary>The operation's name; null when the info byte has none.</summary>
    public static string? Identify(Rmgr rmgr, byte info) => Of(rmgr).Identify(info);

    /// <summary>What is known of a resource manager of an extension: its number.</summary>
    private static Entry Of(Rmgr rmgr) => (int)rmgr < Table.Length
        ? Table[(int)rmgr]
        : new($"custom{(int)rmgr:D3}", _ => null, (record, into) => into.Append($"rmid: {(int)record.Rmgr}"));

    /// <summary>Appends what the record does, without its blocks.</summary>
    /// <exception cref="StorageException">The record's body does not fit what it should say.</exception>
    public static void Describe(WalRecord record, StringBuilder into)
    {
        try
        {
            Of(record.Rmgr).Describe(record, into);
        }
        catch (Exception e) when (WalRecord.IsRejection(e))
        {
            throw record.Rejected(e);
        }
    }

    /// <summary>Appends the record's line as <c>pg_waldump</c> prints it, with the line end.</summary>
    public static void Line(WalRecord record, bool details, StringBuilder into)
    {
        int images = ImageLength(record);
        into.Append($"rmgr: {NameOf(record.Rmgr),-11} len (rec/tot): {record.TotalLength - images,6}/{record.TotalLength,6}, tx: {record.Xid.Value,10}, ");
        into.Append($"lsn: {Padded(record.Start)}, prev {Padded(record.Previous)}, desc: ");
        if (Identify(record.Rmgr, record.Info) is { } name)
        {
            into.Append(name).Append(' ');
        }
        else
        {
            into.Append($"UNKNOWN ({record.OpCode:x}) ");
        }

        Describe(record, into);
        Blocks(record, details, into);
    }

    /// <summary>Bytes of full-page images in the record.</summary>
    public static int ImageLength(WalRecord record)
    {
        int length = 0;
        for (int i = 0; i < record.BlockCount; i++)
        {
            length += record.HasBlock(i) ? record.Block(i).StoredImageLength : 0;
        }

        return length;
    }

    private static void Blocks(WalRecord record, bool details, StringBuilder into)
    {
        if (details)
        {
            into.Append('\n');
        }

        for (int i = 0; i < record.BlockCount; i++)
        {
            if (!record.HasBlock(i))
            {
                continue;
            }

            ref readonly WalBlock block = ref record.Block(i);
            BufferTag tag = block.Tag;
            into.Append(details ? "\t" : ", ").Append($"blkref #{i}: rel {tag.Rel}");
            if (details || tag.Fork != ForkNumber.Main)
            {
                into.Append($" fork {ForkName(tag.Fork)}");
            }

            into.Append($" blk {tag.Block.Value}");
            if (block.HasImage)
            {
                Image(in block, details, into);
            }

            if (details)
            {
                into.Append('\n');
            }
        }

        if (!details)
        {
            into.Append('\n');
        }
    }

    private static void Image(in WalBlock block, bool details, StringBuilder into)
    {
        string purpose = block.ApplyImage ? "" : " for WAL verification";
        if (!details)
        {
            into.Append(" FPW").Append(purpose);
            return;
        }

        into.Append($" (FPW{purpose}); hole: offset: {block.HoleOffset}, length: {block.HoleLength}");
        if ((block.ImageInfo & WalBlock.ImageCompressed) != 0)
        {
            string method = (block.ImageInfo & WalBlock.ImagePglz) != 0 ? "pglz"
                : (block.ImageInfo & WalBlock.ImageLz4) != 0 ? "lz4"
                : (block.ImageInfo & WalBlock.ImageZstd) != 0 ? "zstd" : "unknown";
            into.Append($", compression saved: {Page.Size - block.HoleLength - block.StoredImageLength}, method: {method}");
        }
    }

    public static string ForkName(ForkNumber fork) => fork switch
    {
        ForkNumber.Main => "main",
        ForkNumber.FreeSpaceMap => "fsm",
        ForkNumber.VisibilityMap => "vm",
        _ => "init",
    };

    private static string Padded(Lsn lsn) => $"{(uint)(lsn.Value >> 32):X}/{(uint)lsn.Value:X8}";
}
