using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Access.Heap;

/// <summary>
/// What the heap does to the items of a page, byte for byte as PostgreSQL does it (bufpage.c): placing rows, closing gaps, cutting the array of line
/// pointers. Redo and the operations themselves use the same routines.
/// </summary>
public static class HeapPage
{
    /// <summary>Line pointers that a heap page may have (MaxHeapTuplesPerPage).</summary>
    public const int MaxItems = (Page.Size - PageHeader.Size) / (24 + ItemId.Size);

    /// <summary>The longest row (MaxHeapTupleSize).</summary>
    public const int MaxRowSize = Page.Size - 32;

    /// <summary>The item number for the next row: an unused one where the page's hint says that there is one, else a new one.</summary>
    public static ushort ChooseItem(Page page)
    {
        int count = page.ItemCount;
        if ((page.Header.Flags & PageFlags.HasFreeLines) != 0)
        {
            for (int i = 1; i <= count; i++)
            {
                if (!page.Item(i).IsUsed)
                {
                    return (ushort)i;
                }
            }

            page.Header.Flags &= ~PageFlags.HasFreeLines;
        }

        return (ushort)(count + 1);
    }

    /// <summary>Reserves room for a row under this item number and gives its bytes, to be written by the caller; false when it does not fit.</summary>
    /// <exception cref="StorageException">The item number is in use or beyond the next one, or the page is damaged.</exception>
    public static bool TryPlace(Page page, int item, int size, out Span<byte> row)
    {
        row = default;
        ref PageHeader header = ref page.Header;
        if (header.Lower < PageHeader.Size || header.Lower > header.Upper || header.Upper > header.Special || header.Special > Page.Size)
        {
            throw new StorageException($"corrupted page pointers: lower = {header.Lower}, upper = {header.Upper}, special = {header.Special}");
        }

        int next = page.ItemCount + 1;
        if (item < 1 || item > next || item > MaxItems)
        {
            throw new StorageException($"item {item} cannot be placed on a page with {next - 1} items");
        }

        if (item < next && page.Item(item).IsUsed)
        {
            throw new StorageException($"item {item} is in use");
        }

        int lower = header.Lower + (item == next ? ItemId.Size : 0);
        int upper = header.Upper - Page.AlignUp(size);
        if (lower > upper)
        {
            return false;
        }

        page.Item(item) = new ItemId(upper, ItemState.Normal, size);
        header.Lower = (ushort)lower;
        header.Upper = (ushort)upper;
        row = page.Bytes.Slice(upper, size);
        return true;
    }

    /// <summary>Room for one more row with its line pointer; none when no more line pointers are allowed (PageGetHeapFreeSpace).</summary>
    public static int FreeSpace(Page page)
    {
        int space = page.FreeSpace;
        int count = page.ItemCount;
        if (space == 0 || count < MaxItems)
        {
            return space;
        }

        if ((page.Header.Flags & PageFlags.HasFreeLines) == 0)
        {
            return 0;
        }

        for (int i = 1; i <= count; i++)
        {
            if (!page.Item(i).IsUsed)
            {
                return space;
            }
        }

        return 0;
    }

    /// <summary>Notes that this transaction's end may leave a row to prune (PageSetPrunable).</summary>
    public static void SetPrunable(Page page, Xid xid)
    {
        var current = new Xid(page.Header.PruneXid);
        if (!current.IsValid || xid.Precedes(current))
        {
            page.Header.PruneXid = xid.Value;
        }
    }

    /// <summary>Carries out a pruning: line pointers first, then the gaps are closed (heap_page_prune_execute).</summary>
    public static void Prune(Page page, ReadOnlySpan<ushort> redirected, ReadOnlySpan<ushort> dead, ReadOnlySpan<ushort> unused)
    {
        for (int i = 0; i < redirected.Length; i += 2)
        {
            page.Item(redirected[i]) = new ItemId(redirected[i + 1], ItemState.Redirect, 0);
        }

        foreach (ushort item in dead)
        {
            page.Item(item) = new ItemId(0, ItemState.Dead, 0);
        }

        foreach (ushort item in unused)
        {
            page.Item(item) = default;
        }

        RepairFragmentation(page);
    }

    /// <summary>
    /// Moves the rows to the end of the page, in reverse order of their items, and drops unused line pointers at the end (PageRepairFragmentation).
    /// </summary>
    /// <exception cref="StorageException">A line pointer or the header is damaged; the page is then as it was, but for items already marked.</exception>
    public static void RepairFragmentation(Page page)
    {
        ref PageHeader header = ref page.Header;
        if (header.Lower < PageHeader.Size || header.Lower > header.Upper || header.Upper > header.Special || header.Special > Page.Size
            || header.Special != Page.AlignUp(header.Special))
        {
            throw new StorageException($"corrupted page pointers: lower = {header.Lower}, upper = {header.Upper}, special = {header.Special}");
        }

        int count = page.ItemCount;
        int lastUsed = 0;
        int unused = 0;
        int total = 0;
        bool ordered = true;
        int lastOffset = header.Special;
        for (int i = 1; i <= count; i++)
        {
            ref ItemId id = ref page.Item(i);
            if (!id.IsUsed)
            {
                id = default;
                unused++;
                continue;
            }

            lastUsed = i;
            if (!id.HasStorage)
            {
                continue;
            }

            if (id.Offset < header.Upper || id.Offset >= header.Special)
            {
                throw new StorageException($"corrupted line pointer: {id.Offset}");
            }

            ordered &= id.Offset < lastOffset;
            lastOffset = id.Offset;
            total += Page.AlignUp(id.Length);
        }

        if (total > header.Special - header.Lower)
        {
            throw new StorageException($"corrupted item lengths: total {total}, available space {header.Special - header.Lower}");
        }

        Compact(page, count, ordered);
        header.Lower -= (ushort)(ItemId.Size * (count - lastUsed));
        unused -= count - lastUsed;
        header.Flags = unused > 0 ? header.Flags | PageFlags.HasFreeLines : header.Flags & ~PageFlags.HasFreeLines;
    }

    /// <summary>Drops unused line pointers at the end, but leaves one item (PageTruncateLinePointerArray; vacuum's second pass).</summary>
    public static void TruncateItems(Page page)
    {
        ref PageHeader header = ref page.Header;
        int count = page.ItemCount;
        int keep = count;
        while (keep > 1 && !page.Item(keep).IsUsed)
        {
            keep--;
        }

        bool anyUnused = false;
        for (int i = 1; i <= keep && !anyUnused; i++)
        {
            anyUnused = !page.Item(i).IsUsed;
        }

        header.Lower -= (ushort)(ItemId.Size * (count - keep));
        header.Flags = anyUnused ? header.Flags | PageFlags.HasFreeLines : header.Flags & ~PageFlags.HasFreeLines;
    }

    private static void Compact(Page page, int count, bool ordered)
    {
        Span<byte> bytes = page.Bytes;
        int upper = page.Header.Special;

        // Rows that lie in order can be moved one after another without harm; others are moved out of a copy.
        Span<byte> copy = ordered ? default : stackalloc byte[Page.Size];
        if (!ordered)
        {
            bytes.CopyTo(copy);
        }

        ReadOnlySpan<byte> source = ordered ? bytes : copy;
        for (int i = 1; i <= count; i++)
        {
            ref ItemId id = ref page.Item(i);
            if (!id.IsUsed || !id.HasStorage)
            {
                continue;
            }

            // The padding after a row moves with it, as in PostgreSQL.
            int length = Page.AlignUp(id.Length);
            upper -= length;
            if (id.Offset != upper)
            {
                source.Slice(id.Offset, length).CopyTo(bytes[upper..]);
                id = new ItemId(upper, id.State, id.Length);
            }
        }

        page.Header.Upper = (ushort)upper;
    }
}
