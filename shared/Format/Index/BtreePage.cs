using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Index;

[Flags]
public enum BtreePageFlags : ushort
{
    None = 0,
    Leaf = 1,
    Root = 2,
    Deleted = 4,
    Meta = 8,
    HalfDead = 16,
    SplitEnd = 32,
    HasGarbage = 64,
    IncompleteSplit = 128,
    HasFullXid = 256,
}

/// <summary>The special space of a btree page (PostgreSQL's BTPageOpaqueData, nbtree.h).</summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
public struct BtreeOpaque
{
    public const int Size = 16;

    [FieldOffset(0)] public uint Prev;
    [FieldOffset(4)] public uint Next;

    /// <summary>0 is a leaf.</summary>
    [FieldOffset(8)] public uint Level;

    [FieldOffset(12)] public BtreePageFlags Flags;

    /// <summary>The vacuum during which the page was last split, or 0.</summary>
    [FieldOffset(14)] public ushort CycleId;

    public readonly bool IsLeftmost => Prev == 0;
    public readonly bool IsRightmost => Next == 0;
    public readonly bool IsLeaf => (Flags & BtreePageFlags.Leaf) != 0;
    public readonly bool IsRoot => (Flags & BtreePageFlags.Root) != 0;
    public readonly bool IsDeleted => (Flags & BtreePageFlags.Deleted) != 0;
    public readonly bool IsMeta => (Flags & BtreePageFlags.Meta) != 0;
    public readonly bool IsHalfDead => (Flags & BtreePageFlags.HalfDead) != 0;

    /// <summary>Deleted or half dead: a search steps over it.</summary>
    public readonly bool IsIgnored => (Flags & (BtreePageFlags.Deleted | BtreePageFlags.HalfDead)) != 0;

    public readonly bool IsIncompleteSplit => (Flags & BtreePageFlags.IncompleteSplit) != 0;

    /// <summary>The number of the first item that is not the high key.</summary>
    public readonly int FirstDataItem => IsRightmost ? BtreePage.HighKey : BtreePage.HighKey + 1;
}

/// <summary>What the first page of a btree holds (PostgreSQL's BTMetaPageData); 48 bytes after the page header.</summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
public struct BtreeMeta
{
    public const int Size = 48;
    public const uint ExpectedMagic = 0x053162;

    /// <summary>The only version served: places are key parts, so all entries differ.</summary>
    public const uint CurrentVersion = 4;

    [FieldOffset(0)] public uint Magic;
    [FieldOffset(4)] public uint Version;
    [FieldOffset(8)] public uint Root;
    [FieldOffset(12)] public uint Level;

    /// <summary>The lowest page that is alone on its level: where searches begin.</summary>
    [FieldOffset(16)] public uint FastRoot;

    [FieldOffset(20)] public uint FastLevel;

    /// <summary>Deleted pages that the last vacuum could not recycle yet.</summary>
    [FieldOffset(24)] public uint LastCleanupDeletedPages;

    [FieldOffset(32)] public double LastCleanupHeapTuples;
    [FieldOffset(40)] public byte AllEqualImageByte;

    /// <summary>Equal keys have equal bytes in all columns, so deduplication is allowed.</summary>
    public bool AllEqualImage
    {
        readonly get => AllEqualImageByte != 0;
        set => AllEqualImageByte = value ? (byte)1 : (byte)0;
    }
}

/// <summary>Views and constants of btree pages. Items are in key order; on all but the rightmost page of a level item 1 is the high key.</summary>
public static class BtreePage
{
    public const uint MetaBlock = 0;
    public const int HighKey = 1;

    /// <summary>The largest leaf entry that may be inserted: three must fit a page, each with a place added by truncation (BTMaxItemSize).</summary>
    public const int MaxItemSize = 2704;

    /// <summary>The largest entry of any kind on a page (BTMaxItemSizeNoHeapTid).</summary>
    public const int MaxItemSizeWithTid = 2712;

    /// <summary>More rows than a leaf page can stand for (MaxTIDsPerBTreePage).</summary>
    public const int MaxRows = (Page.Size - PageHeader.Size - BtreeOpaque.Size) / Tid.Size;

    /// <summary>The most entries on an index page (MaxIndexTuplesPerPage).</summary>
    public const int MaxItems = (Page.Size - PageHeader.Size) / (16 + ItemId.Size);

    public const int DefaultFillFactor = 90;
    public const int InnerFillFactor = 70;
    public const int SingleValueFillFactor = 96;

    /// <exception cref="StorageException">The special space is not a btree's.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref BtreeOpaque Opaque(Page page)
    {
        if (page.Header.Special != Page.Size - BtreeOpaque.Size)
        {
            ThrowNotBtree(page.Header.Special);
        }

        return ref Unsafe.As<byte, BtreeOpaque>(ref page.Bytes[Page.Size - BtreeOpaque.Size]);
    }

    public static ref BtreeMeta Meta(Page page) => ref Unsafe.As<byte, BtreeMeta>(ref page.Bytes[PageHeader.Size]);

    public static IndexTuple Tuple(Page page, int number) => new(page.ItemBytes(number));

    public static void Initialize(Page page) => page.Initialize(BtreeOpaque.Size);

    /// <summary>Makes the metapage of an index (or anew by redo): everything that a log record carries, the deprecated row count as -1.</summary>
    public static void InitializeMeta(Page page, in BtreeMeta meta)
    {
        Initialize(page);
        ref BtreeMeta m = ref Meta(page);
        m = meta;
        m.Magic = BtreeMeta.ExpectedMagic;
        m.LastCleanupHeapTuples = -1.0;
        Opaque(page).Flags = BtreePageFlags.Meta;

        // Lower lies behind the data: what lies between lower and upper is left out of full-page images.
        page.Header.Lower = PageHeader.Size + BtreeMeta.Size;
    }

    /// <summary>Makes the page a deleted one that may be reused once no scan is older than <paramref name="safeXid"/> (BTPageSetDeleted).</summary>
    public static void SetDeleted(Page page, FullXid safeXid)
    {
        ref BtreeOpaque opaque = ref Opaque(page);
        opaque.Flags = (opaque.Flags & ~BtreePageFlags.HalfDead) | BtreePageFlags.Deleted | BtreePageFlags.HasFullXid;
        page.Header.Lower = PageHeader.Size + sizeof(ulong);
        page.Header.Upper = page.Header.Special;
        MemoryMarshal.Write(page.Bytes[PageHeader.Size..], safeXid.Value);
    }

    /// <summary>The number from which on no scan can still reach a deleted page; a page of an older format is free at once.</summary>
    public static FullXid DeletedSafeXid(Page page) =>
        (Opaque(page).Flags & BtreePageFlags.HasFullXid) == 0
            ? new FullXid(0, Xid.FirstNormal)
            : new FullXid(MemoryMarshal.Read<ulong>(page.Bytes[PageHeader.Size..]));

    /// <summary>Makes the page an empty leaf that is no longer in its parent; its only item names the top of the branch that goes with it.</summary>
    public static void InitializeHalfDead(Page page, uint left, uint right, uint topParent)
    {
        Initialize(page);
        ref BtreeOpaque opaque = ref Opaque(page);
        opaque.Prev = left;
        opaque.Next = right;
        opaque.Level = 0;
        opaque.Flags = BtreePageFlags.HalfDead | BtreePageFlags.Leaf;
        opaque.CycleId = 0;
        Span<byte> highKey = stackalloc byte[IndexTuple.HeaderSize];
        IndexTuple.WriteHeader(highKey, new Tid(new BlockNumber(topParent), 0), IndexTuple.HeaderSize, hasNulls: false, hasVarWidths: false);
        new IndexTuple(highKey).SetPivot(0, heapTid: false);
        IndexPage.Add(page, highKey, HighKey);
    }

    private static void ThrowNotBtree(int special) =>
        throw new StorageException($"not a btree page: its special space begins at {special}") { SqlState = SqlStates.IndexCorrupted };
}
