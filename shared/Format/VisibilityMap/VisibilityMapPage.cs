using System.Numerics;
using System.Runtime.InteropServices;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Format.VisibilityMap;

/// <summary>What the map says of a heap page. All-frozen is set only together with all-visible.</summary>
[Flags]
public enum VisibilityBits : byte
{
    None = 0,
    AllVisible = 1,
    AllFrozen = 2,
    Both = AllVisible | AllFrozen,
}

/// <summary>A page of a relation's visibility map: after the page header two bits for each heap page (PostgreSQL's visibilitymap.c).</summary>
public readonly ref struct VisibilityMapPage(Page page)
{
    private const int MapBytes = Page.Size - PageHeader.Size;
    private const int PagesPerByte = 4;

    /// <summary>Heap pages that one page of the map covers: 32672.</summary>
    public const uint HeapPagesPerPage = MapBytes * PagesPerByte;

    private readonly Page _page = page;

    public static BlockNumber MapBlock(BlockNumber heapBlock) => new(heapBlock.Value / HeapPagesPerPage);

    /// <summary>The map's pages that a heap of so many pages needs; the last one may cover more.</summary>
    public static uint BlocksFor(uint heapBlocks) => (uint)(((ulong)heapBlocks + HeapPagesPerPage - 1) / HeapPagesPerPage);

    public VisibilityBits Get(BlockNumber heapBlock) => (VisibilityBits)((Map[ByteOf(heapBlock)] >> ShiftOf(heapBlock)) & 3);

    /// <summary>Sets bits; tells whether the page's bits were others before.</summary>
    public bool Set(BlockNumber heapBlock, VisibilityBits bits)
    {
        bool differ = Get(heapBlock) != bits;
        if (differ)
        {
            Map[ByteOf(heapBlock)] |= (byte)((int)bits << ShiftOf(heapBlock));
        }

        return differ;
    }

    /// <summary>Clears bits; tells whether one was set.</summary>
    public bool Clear(BlockNumber heapBlock, VisibilityBits bits)
    {
        byte mask = (byte)((int)bits << ShiftOf(heapBlock));
        ref byte at = ref Map[ByteOf(heapBlock)];
        bool any = (at & mask) != 0;
        at &= (byte)~mask;
        return any;
    }

    /// <summary>Clears all bits from this heap page on (a truncated heap).</summary>
    public void ClearFrom(BlockNumber heapBlock)
    {
        int first = ByteOf(heapBlock);
        Map[(first + 1)..].Clear();
        Map[first] &= (byte)((1 << ShiftOf(heapBlock)) - 1);
    }

    /// <summary>How many heap pages are all-visible and all-frozen.</summary>
    public (uint Visible, uint Frozen) Count()
    {
        uint visible = 0;
        uint frozen = 0;
        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(Map))
        {
            visible += (uint)BitOperations.PopCount(word & 0x5555555555555555);
            frozen += (uint)BitOperations.PopCount(word & 0xAAAAAAAAAAAAAAAA);
        }

        return (visible, frozen);
    }

    private Span<byte> Map => _page.Bytes[PageHeader.Size..];
    private static int ByteOf(BlockNumber heapBlock) => (int)(heapBlock.Value % HeapPagesPerPage) / PagesPerByte;
    private static int ShiftOf(BlockNumber heapBlock) => (int)(heapBlock.Value % PagesPerByte) * 2;
}
