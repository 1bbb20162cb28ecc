using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Btree.Redo;

/// <summary>Redo of a page split: the left page from what it was, the right one from the record alone, the links of their neighbours.</summary>
internal static class BtreeSplitRedo
{
    public static void Apply(WalRecord record, int blockId, Page page)
    {
        BtreeSplit body = BtreeSplit.Read(record.MainData);
        uint right = record.Block(1).Tag.Block.Value;
        switch (blockId)
        {
            case 0:
                RebuildLeft(record, body, page);
                ref BtreeOpaque left = ref BtreePage.Opaque(page);
                left.Flags = BtreePageFlags.IncompleteSplit | LeafFlag(body);
                left.Next = right;
                left.CycleId = 0;
                break;
            case 1:
                BtreePage.Initialize(page);
                ref BtreeOpaque opaque = ref BtreePage.Opaque(page);
                opaque.Prev = record.Block(0).Tag.Block.Value;
                opaque.Next = record.HasBlock(2) ? record.Block(2).Tag.Block.Value : 0;
                opaque.Level = body.Level;
                opaque.Flags = LeafFlag(body);
                BtreeRedo.RestoreItems(page, record.BlockData(1));
                break;
            case 2:
                BtreePage.Opaque(page).Prev = right;
                break;
            case 3:
                BtreeRedo.ClearIncompleteSplit(page);
                break;
            default:
                throw BtreeRedo.BadBlock(record, blockId);
        }
    }

    private static BtreePageFlags LeafFlag(in BtreeSplit body) => body.Level == 0 ? BtreePageFlags.Leaf : BtreePageFlags.None;

    /// <summary>The items are added to an empty page in order, as the split itself does, so that they lie where it put them.</summary>
    private static void RebuildLeft(WalRecord record, in BtreeSplit body, Page page)
    {
        bool newOnLeft = record.OpCode == BtreeOp.SplitLeft;
        ReadOnlySpan<byte> data = record.BlockData(0);
        Span<byte> newItem = stackalloc byte[Page.Size];
        Span<byte> list = stackalloc byte[Page.Size];
        int newSize = 0;
        int listSize = 0;
        int replaced = 0;
        if (newOnLeft || body.PostingOffset != 0)
        {
            newSize = BtreeRedo.AlignedSize(data);
            data[..newSize].CopyTo(newItem);
            data = data[newSize..];
            if (body.PostingOffset != 0)
            {
                replaced = body.NewItemOffset - 1;
                listSize = PostingList.Swap(new IndexTuple(newItem[..newSize]), BtreePage.Tuple(page, replaced), body.PostingOffset, list);
            }
        }

        int highKeySize = BtreeRedo.AlignedSize(data);
        if (highKeySize != data.Length)
        {
            throw new StorageException("btree redo: split with data after the high key");
        }

        Span<byte> bytes = stackalloc byte[Page.Size];
        var built = new Page(bytes);
        BtreePage.Initialize(built);
        BtreePage.Opaque(built) = BtreePage.Opaque(page);
        IndexPage.Add(built, data, BtreePage.HighKey);
        int next = BtreePage.HighKey + 1;
        int number = BtreePage.Opaque(page).FirstDataItem;
        for (; number < body.FirstRight; number++)
        {
            if (number == replaced)
            {
                IndexPage.Add(built, list[..listSize], next++);
                continue;
            }

            if (newOnLeft && number == body.NewItemOffset)
            {
                IndexPage.Add(built, newItem[..newSize], next++);
            }

            IndexPage.Add(built, page.ItemBytes(number), next++);
        }

        if (newOnLeft && number == body.NewItemOffset)
        {
            IndexPage.Add(built, newItem[..newSize], next);
        }

        bytes.CopyTo(page.Bytes);
    }
}
