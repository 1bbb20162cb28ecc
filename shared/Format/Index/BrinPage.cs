using System.Buffers.Binary;
using System.Runtime.InteropServices;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Index;

/// <summary>What a BRIN page is: the last two bytes of it.</summary>
public enum BrinPageType : ushort
{
    Meta = 0xF091,

    /// <summary>A page of the range map: places of summaries, by number of the range.</summary>
    Revmap = 0xF092,

    /// <summary>A page with summaries.</summary>
    Regular = 0xF093,
}

/// <summary>Views and constants of BRIN pages (PostgreSQL's brin_page.h): the special space has 8 bytes, flags and type are its last two words.</summary>
public static class BrinPage
{
    public const int SpecialSize = 8;

    /// <summary>A flag that is not logged: the page's summaries are being moved away, since it is to become one of the range map.</summary>
    public const ushort Evacuate = 1;

    public const uint Magic = 0xA8109CFA;

    /// <summary>The places that a page of the range map has.</summary>
    public const int RevmapItems = (Page.Size - PageHeader.Size - SpecialSize) / Tid.Size;

    /// <summary>A summary begins with the number of its heap block and a byte of flags.</summary>
    public const int MinSummarySize = sizeof(uint) + sizeof(byte);

    private const int MetaSize = 16;
    private const int LastRevmapPageAt = PageHeader.Size + 12;

    public static bool IsBrin(Page page) => page.Header.Special == Page.Size - SpecialSize && Type(page) is BrinPageType.Meta or BrinPageType.Revmap or BrinPageType.Regular;

    public static BrinPageType Type(Page page) => (BrinPageType)BinaryPrimitives.ReadUInt16LittleEndian(page.Bytes[^2..]);

    /// <exception cref="StorageException">The page is of another type, or not a BRIN page at all.</exception>
    public static void Check(Page page, BrinPageType type)
    {
        if (page.Header.Special != Page.Size - SpecialSize || Type(page) != type)
        {
            throw new StorageException($"not a BRIN page of type {type}: its special space begins at {page.Header.Special}, its type is {(ushort)Type(page):X4}")
            {
                SqlState = SqlStates.IndexCorrupted,
            };
        }
    }

    public static void ClearEvacuate(Page page)
    {
        Span<byte> flags = page.Bytes[^4..^2];
        BinaryPrimitives.WriteUInt16LittleEndian(flags, (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(flags) & ~Evacuate));
    }

    public static void Initialize(Page page, BrinPageType type)
    {
        page.Initialize(SpecialSize);
        BinaryPrimitives.WriteUInt16LittleEndian(page.Bytes[^2..], (ushort)type);
    }

    /// <summary>Makes the metapage of an index without any range map.</summary>
    public static void InitializeMeta(Page page, uint pagesPerRange, ushort version)
    {
        Initialize(page, BrinPageType.Meta);
        Span<uint> meta = MemoryMarshal.Cast<byte, uint>(page.Bytes.Slice(PageHeader.Size, MetaSize));
        meta[0] = Magic;
        meta[1] = version;
        meta[2] = pagesPerRange;
        page.Header.Lower = PageHeader.Size + MetaSize;
    }

    /// <summary>The last page of the range map, in the metapage; 0 when there is none.</summary>
    public static uint LastRevmapPage(Page meta) => BinaryPrimitives.ReadUInt32LittleEndian(meta.Bytes[LastRevmapPageAt..]);

    /// <summary>Sets it; "lower" comes to lie behind the metapage's fields, where versions before 11 did not have it.</summary>
    public static void SetLastRevmapPage(Page meta, uint block)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(meta.Bytes[LastRevmapPageAt..], block);
        meta.Header.Lower = PageHeader.Size + MetaSize;
    }

    /// <summary>Sets a range's place in its page of the range map.</summary>
    /// <exception cref="StorageException">The page is none, or there are no ranges of that size.</exception>
    public static void SetRangePlace(Page page, uint pagesPerRange, uint heapBlock, Tid place)
    {
        Check(page, BrinPageType.Revmap);
        if (pagesPerRange == 0)
        {
            throw new StorageException("a BRIN range of no pages") { SqlState = SqlStates.IndexCorrupted };
        }

        int index = (int)(heapBlock / pagesPerRange % RevmapItems);
        IndexTuple.WriteTid(page.Bytes.Slice(PageHeader.Size + (index * Tid.Size), Tid.Size), place);
    }
}
