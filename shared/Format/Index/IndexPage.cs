using System.Runtime.InteropServices;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Index;

/// <summary>
/// Items of index pages: their line pointers have no gaps and each has storage (but for BRIN: <see cref="AddAt"/>, <see cref="DeleteAt"/>). Where bytes come to lie
/// matters (redo is compared byte for byte), so these place them as PostgreSQL's bufpage.c does.
/// </summary>
public static class IndexPage
{
    /// <summary>Puts an item at this number; those at and after it move up by one. False: it does not fit.</summary>
    /// <exception cref="StorageException">The number leaves a gap, or the header is damaged.</exception>
    public static bool TryAdd(Page page, ReadOnlySpan<byte> item, int number)
    {
        CheckHeader(page);
        int limit = page.ItemCount + 1;
        if (number < 1 || number > limit)
        {
            throw Damaged($"item {number} of a page with {limit - 1}");
        }

        ref PageHeader header = ref page.Header;
        int lower = header.Lower + ItemId.Size;
        int upper = header.Upper - Page.AlignUp(item.Length);
        if (lower > upper)
        {
            return false;
        }

        if (number < limit)
        {
            Span<ItemId> ids = Ids(page, limit);
            ids[(number - 1)..(limit - 1)].CopyTo(ids[number..]);
        }

        page.Item(number) = new ItemId(upper, ItemState.Normal, item.Length);
        item.CopyTo(page.Bytes[upper..]);
        header.Lower = (ushort)lower;
        header.Upper = (ushort)upper;
        return true;
    }

    /// <summary>As <see cref="TryAdd"/> where the room was made sure of before.</summary>
    public static void Add(Page page, ReadOnlySpan<byte> item, int number)
    {
        if (!TryAdd(page, item, number))
        {
            throw Damaged($"an item of {item.Length} bytes does not fit ({page.ExactFreeSpace} bytes free)");
        }
    }

    /// <summary>Removes an item; its bytes and its line pointer close up (PageIndexTupleDelete).</summary>
    public static void Delete(Page page, int number)
    {
        CheckHeader(page);
        int count = page.ItemCount;
        CheckItem(page, number, count);
        ItemId gone = page.Item(number);
        int size = Page.AlignUp(gone.Length);
        Span<ItemId> ids = Ids(page, count);
        ids[number..].CopyTo(ids[(number - 1)..]);
        ref PageHeader header = ref page.Header;
        if (gone.Offset > header.Upper)
        {
            page.Bytes[header.Upper..gone.Offset].CopyTo(page.Bytes[(header.Upper + size)..]);
        }

        header.Upper += (ushort)size;
        header.Lower -= ItemId.Size;
        MoveOffsets(ids[..(count - 1)], gone.Offset, size);
    }

    /// <summary>
    /// Removes items by number, in ascending order. More than two: what is left is packed anew in line pointer order (PageIndexMultiDelete).
    /// </summary>
    public static void DeleteMany(Page page, ReadOnlySpan<ushort> numbers)
    {
        if (numbers.Length <= 2)
        {
            for (int i = numbers.Length - 1; i >= 0; i--)
            {
                Delete(page, numbers[i]);
            }

            return;
        }

        CheckHeader(page);
        int count = page.ItemCount;
        ref PageHeader header = ref page.Header;
        Span<byte> old = stackalloc byte[Page.Size];
        page.Bytes.CopyTo(old);
        Span<ItemId> ids = Ids(page, count);
        int kept = 0;
        int next = 0;
        int upper = header.Special;
        for (int number = 1; number <= count; number++)
        {
            CheckItem(page, number, count);
            ItemId id = ids[number - 1];
            if (next < numbers.Length && numbers[next] == number)
            {
                next++;
                continue;
            }

            upper -= Page.AlignUp(id.Length);
            old.Slice(id.Offset, Page.AlignUp(id.Length)).CopyTo(page.Bytes[upper..]);
            ids[kept++] = new ItemId(upper, id.State, id.Length);
        }

        if (next != numbers.Length)
        {
            throw Damaged("items to delete are not in order or not on the page");
        }

        header.Lower = (ushort)(PageHeader.Size + (kept * ItemId.Size));
        header.Upper = (ushort)upper;
    }

    /// <summary>Replaces an item; what lies below it moves by the difference (PageIndexTupleOverwrite). Its state stays. False: it does not fit.</summary>
    public static bool TryOverwrite(Page page, int number, ReadOnlySpan<byte> item)
    {
        CheckHeader(page);
        int count = page.ItemCount;
        CheckItem(page, number, count);
        ItemId id = page.Item(number);
        ref PageHeader header = ref page.Header;
        int shrink = Page.AlignUp(id.Length) - Page.AlignUp(item.Length);
        if (-shrink > header.Upper - header.Lower)
        {
            return false;
        }

        if (shrink != 0)
        {
            page.Bytes[header.Upper..id.Offset].CopyTo(page.Bytes[(header.Upper + shrink)..]);
            header.Upper = (ushort)(header.Upper + shrink);
            MoveOffsets(Ids(page, count), id.Offset, shrink);
        }

        page.Item(number) = new ItemId(id.Offset + shrink, id.State, item.Length);
        item.CopyTo(page.Bytes[(id.Offset + shrink)..]);
        return true;
    }

    /// <summary>The bytes of an item; its number and where it lies are checked.</summary>
    /// <exception cref="StorageException">There is no such item, or it does not lie among the items.</exception>
    public static Span<byte> CheckedItem(Page page, int number)
    {
        CheckHeader(page);
        CheckItem(page, number, page.ItemCount);
        return page.ItemBytes(number);
    }

    /// <summary>
    /// Puts an item at a number that is unused or the next one; no other number changes (PageAddItem with "overwrite"). For pages whose items are known by number from elsewhere.
    /// </summary>
    public static void AddAt(Page page, ReadOnlySpan<byte> item, int number)
    {
        int count = page.ItemCount;
        if (number == count + 1)
        {
            Add(page, item, number);
            return;
        }

        CheckHeader(page);
        if (number < 1 || number > count || page.Item(number).IsUsed || page.Item(number).HasStorage)
        {
            throw Damaged($"item {number} of a page with {count} is in use or leaves a gap");
        }

        ref PageHeader header = ref page.Header;
        int upper = header.Upper - Page.AlignUp(item.Length);
        if (header.Lower > upper)
        {
            throw Damaged($"an item of {item.Length} bytes does not fit ({page.ExactFreeSpace} bytes free)");
        }

        page.Item(number) = new ItemId(upper, ItemState.Normal, item.Length);
        item.CopyTo(page.Bytes[upper..]);
        header.Upper = (ushort)upper;
    }

    /// <summary>Removes an item and leaves its number unused; the last number goes (PageIndexTupleDeleteNoCompact).</summary>
    public static void DeleteAt(Page page, int number)
    {
        CheckHeader(page);
        int count = page.ItemCount;
        CheckItem(page, number, count);
        ItemId gone = page.Item(number);
        int size = Page.AlignUp(gone.Length);
        ref PageHeader header = ref page.Header;
        if (number < count)
        {
            page.Item(number) = new ItemId(0, ItemState.Unused, 0);
        }
        else
        {
            header.Lower -= ItemId.Size;
            count--;
        }

        page.Bytes[header.Upper..gone.Offset].CopyTo(page.Bytes[(header.Upper + size)..]);
        header.Upper += (ushort)size;
        MoveOffsets(Ids(page, count), gone.Offset, size);
    }

    private static Span<ItemId> Ids(Page page, int count) =>
        MemoryMarshal.Cast<byte, ItemId>(page.Bytes.Slice(PageHeader.Size, count * ItemId.Size));

    private static void MoveOffsets(Span<ItemId> ids, int upTo, int by)
    {
        foreach (ref ItemId id in ids)
        {
            // Only BRIN has numbers without storage; they stay as they are.
            if (id.HasStorage && id.Offset <= upTo)
            {
                id = new ItemId(id.Offset + by, id.State, id.Length);
            }
        }
    }

    private static void CheckHeader(Page page)
    {
        if (!page.HasSaneHeader)
        {
            throw Damaged($"lower {page.Header.Lower}, upper {page.Header.Upper}, special {page.Header.Special}");
        }
    }

    private static void CheckItem(Page page, int number, int count)
    {
        if (number < 1 || number > count)
        {
            throw Damaged($"item {number} of a page with {count}");
        }

        ItemId id = page.Item(number);
        if (id.Offset < page.Header.Upper || id.Offset + id.Length > page.Header.Special || (id.Offset & (Page.MaxAlign - 1)) != 0)
        {
            throw Damaged($"item {number} lies at {id.Offset} with {id.Length} bytes");
        }
    }

    private static StorageException Damaged(string what) => new($"damaged index page: {what}") { SqlState = SqlStates.IndexCorrupted };
}
