using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Index;

[Flags]
public enum GinPageFlags : ushort
{
    None = 0,

    /// <summary>A page of a posting tree; else of the entry tree, or of the pending list.</summary>
    Data = 1,

    Leaf = 2,
    Deleted = 4,
    Meta = 8,
    List = 16,

    /// <summary>The page ends with the last entry of a row (pages of the pending list).</summary>
    ListFullRow = 32,

    IncompleteSplit = 64,

    /// <summary>A leaf of a posting tree holds compressed lists; else it is as PostgreSQL 9.3 left it, an array of places.</summary>
    Compressed = 128,
}

/// <summary>The special space of a GIN page (PostgreSQL's GinPageOpaqueData, ginblock.h).</summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
public struct GinOpaque
{
    public const int Size = 8;

    [FieldOffset(0)] public uint RightLink;

    /// <summary>Children of an inner page of a posting tree; rows of a page of the pending list.</summary>
    [FieldOffset(4)] public ushort Count;

    [FieldOffset(6)] public GinPageFlags Flags;
}

/// <summary>Views and constants of GIN pages (ginblock.h). Entry tree and pending list have items; a posting tree has a right bound and then raw data, up to the header's "lower".</summary>
public static class GinPage
{
    /// <summary>The size of the metapage's data, with padding (GinMetaPageData).</summary>
    public const int MetaSize = 56;

    /// <summary>Where the data of a posting tree's page begins, behind the padded right bound.</summary>
    public const int DataOffset = PageHeader.Size + 8;

    public const int MaxDataSize = SpecialOffset - DataOffset;

    /// <summary>A child of an inner page of a posting tree: its block in two halves of 16 bits, high first, and the highest place in it (PostingItem).</summary>
    public const int PostingItemSize = 10;

    private const int SpecialOffset = Page.Size - GinOpaque.Size;

    /// <summary>The bits that a GIN page's flags never have; BRIN and SP-GiST pages have a number there that has them.</summary>
    private const GinPageFlags NeverSet = (GinPageFlags)0xFF00;

    public static bool IsGin(Page page) =>
        page.Header.Special == SpecialOffset && (Unsafe.As<byte, GinOpaque>(ref page.Bytes[SpecialOffset]).Flags & NeverSet) == 0;

    /// <exception cref="StorageException">The special space is not a GIN index's.</exception>
    public static ref GinOpaque Opaque(Page page)
    {
        if (!IsGin(page))
        {
            throw Damaged($"not a GIN page: its special space begins at {page.Header.Special}");
        }

        return ref Unsafe.As<byte, GinOpaque>(ref page.Bytes[SpecialOffset]);
    }

    /// <summary>Makes an empty page without a right link.</summary>
    public static void Initialize(Page page, GinPageFlags flags)
    {
        page.Initialize(GinOpaque.Size);
        Unsafe.As<byte, GinOpaque>(ref page.Bytes[SpecialOffset]) = new GinOpaque { RightLink = uint.MaxValue, Flags = flags };
    }

    /// <summary>Makes the metapage from its data as a log record carries it.</summary>
    public static void InitializeMeta(Page page, ReadOnlySpan<byte> data)
    {
        Initialize(page, GinPageFlags.Meta);
        data[..MetaSize].CopyTo(page.Bytes[PageHeader.Size..]);
        page.Header.Lower = PageHeader.Size + MetaSize;
    }

    /// <summary>The data of a leaf of a posting tree.</summary>
    /// <exception cref="StorageException">"Lower" does not end it on the page.</exception>
    public static Span<byte> Data(Page page)
    {
        int end = page.Header.Lower;
        return end is >= DataOffset and <= SpecialOffset ? page.Bytes[DataOffset..end] : throw Damaged($"its data ends at {end}");
    }

    public static void SetData(Page page, ReadOnlySpan<byte> data)
    {
        if (data.Length > MaxDataSize)
        {
            throw Damaged($"data of {data.Length} bytes does not fit");
        }

        data.CopyTo(page.Bytes[DataOffset..]);
        page.Header.Lower = (ushort)(DataOffset + data.Length);
    }

    /// <summary>Puts a child before another, which from now on is <paramref name="right"/>: the left one of a split (GinDataPageAddPostingItem).</summary>
    public static void InsertPostingItem(Page page, int number, ReadOnlySpan<byte> item, uint right)
    {
        int count = Children(page, number);
        if ((count + 1) * PostingItemSize > MaxDataSize)
        {
            throw Damaged($"a page with {count} children is full");
        }

        Span<byte> from = page.Bytes[(DataOffset + ((number - 1) * PostingItemSize))..];
        BinaryPrimitives.WriteUInt16LittleEndian(from, (ushort)(right >> 16));
        BinaryPrimitives.WriteUInt16LittleEndian(from[2..], (ushort)right);
        from[..((count - number + 1) * PostingItemSize)].CopyTo(from[PostingItemSize..]);
        item[..PostingItemSize].CopyTo(from);
        SetChildren(page, count + 1);
    }

    public static void DeletePostingItem(Page page, int number)
    {
        int count = Children(page, number);
        Span<byte> from = page.Bytes[(DataOffset + ((number - 1) * PostingItemSize))..];
        from.Slice(PostingItemSize, (count - number) * PostingItemSize).CopyTo(from);
        SetChildren(page, count - 1);
    }

    private static int Children(Page page, int number)
    {
        ref GinOpaque opaque = ref Opaque(page);
        if ((opaque.Flags & (GinPageFlags.Data | GinPageFlags.Leaf)) != GinPageFlags.Data || opaque.Count * PostingItemSize > MaxDataSize || number < 1 || number > opaque.Count)
        {
            throw Damaged($"child {number} of {opaque.Count} of a page with flags {(int)opaque.Flags:X2}");
        }

        return opaque.Count;
    }

    private static void SetChildren(Page page, int count)
    {
        Opaque(page).Count = (ushort)count;
        page.Header.Lower = (ushort)(DataOffset + (count * PostingItemSize));
    }

    public static StorageException Damaged(string what) => new($"damaged GIN page: {what}") { SqlState = SqlStates.IndexCorrupted };
}
