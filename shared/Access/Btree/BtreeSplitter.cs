using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Btree;

/// <summary>Splits a page in two, and puts a new root above two halves (_bt_split, _bt_newroot). One log record covers all pages of each step.</summary>
internal sealed class BtreeSplitter(BtreeWriter writer, BtreeTuples tuples)
{
    /// <summary>
    /// The item that did not fit, and the number it would have. When its place falls into a posting list (<see cref="PostingOffset"/> is not 0), that is the item
    /// before it, <see cref="List"/> what becomes of it, and <see cref="Original"/> the item before the two exchanged places.
    /// </summary>
    internal readonly ref struct NewItem(IndexTuple item, IndexTuple original, ReadOnlySpan<byte> list, int number, int postingOffset)
    {
        public readonly IndexTuple Item = item;
        public readonly IndexTuple Original = original;
        public readonly ReadOnlySpan<byte> List = list;
        public readonly int Number = number;
        public readonly int PostingOffset = postingOffset;
        public int ReplacedNumber => PostingOffset != 0 ? Number - 1 : 0;
    }

    /// <summary>Splits; gives the right half, latched. The left half says that its neighbour is not in the parent yet. Releases the child.</summary>
    public BtreeBuffer Split(BtreeBuffer buffer, BtreeBuffer child, in NewItem item, Xid xid)
    {
        Page page = buffer.Page;
        BtreeOpaque old = buffer.Opaque;
        (int firstRight, bool newOnLeft) = BtreeSplitPoint.Choose(tuples, writer.Schema.KeyCount, page, item.Number, item.Item, writer.Schema.Index.Relation.FillFactor);

        Span<byte> leftBytes = stackalloc byte[Page.Size];
        Span<byte> rightBytes = stackalloc byte[Page.Size];
        var left = new Page(leftBytes);
        var right = new Page(rightBytes);
        BtreePageFlags flags = old.Flags & ~(BtreePageFlags.Root | BtreePageFlags.SplitEnd | BtreePageFlags.HasGarbage);
        BtreePage.Initialize(left);
        BtreePage.Opaque(left) = old with { Flags = flags | BtreePageFlags.IncompleteSplit };
        BtreePage.Initialize(right);
        BtreePage.Opaque(right) = old with { Flags = flags, Prev = buffer.Block };
        AddHighKey(page, left, item, firstRight, newOnLeft, old.IsLeaf);
        if (!old.IsRightmost)
        {
            IndexPage.Add(right, page.ItemBytes(BtreePage.HighKey), BtreePage.HighKey);
        }

        Distribute(page, left, right, item, firstRight, newOnLeft);

        BtreeBuffer sibling = default;
        if (!old.IsRightmost)
        {
            sibling = writer.GetExclusive(old.Next);
            CheckSibling(sibling, buffer.Block);
        }

        // The new page comes last: a failure after it would leave a page behind that looks like part of the tree.
        BtreeBuffer rightBuffer = writer.NewPage(xid);
        BtreePage.Opaque(left).Next = rightBuffer.Block;
        ushort cycle = BtreeVacuumCycles.Current(writer.Schema.Index.Relation.Node);
        BtreePage.Opaque(left).CycleId = cycle;
        BtreePage.Opaque(right).CycleId = cycle;
        if (sibling.IsValid && sibling.Opaque.CycleId != cycle)
        {
            BtreePage.Opaque(right).Flags |= BtreePageFlags.SplitEnd;
        }

        left.Lsn = page.Lsn;
        right.Lsn = rightBuffer.Page.Lsn;
        Log(new Halves(buffer, rightBuffer, sibling, child), leftBytes, rightBytes, item, firstRight, newOnLeft, xid);
        if (sibling.IsValid)
        {
            sibling.Release();
        }

        if (child.IsValid)
        {
            child.Release();
        }

        return rightBuffer;
    }

    /// <summary>Puts a root above the two halves of the old one; both stay latched.</summary>
    public void NewRoot(BtreeBuffer left, BtreeBuffer right, Xid xid)
    {
        IndexTuple highKey = BtreePage.Tuple(left.Page, BtreePage.HighKey);
        Span<byte> rightItem = stackalloc byte[highKey.Size];
        highKey.Bytes.CopyTo(rightItem);
        var toRight = new IndexTuple(rightItem);
        toRight.DownLink = new BlockNumber(right.Block);
        Span<byte> leftItem = stackalloc byte[IndexTuple.HeaderSize];
        IndexTuple.WriteHeader(leftItem, new Tid(new BlockNumber(left.Block), 0), IndexTuple.HeaderSize, hasNulls: false, hasVarWidths: false);
        new IndexTuple(leftItem).SetPivot(0, heapTid: false);

        BtreeBuffer root = writer.NewPage(xid);
        BtreeBuffer meta = writer.GetMeta();
        using (Invariant.EnterCritical())
        {
            try
            {
                Page page = root.Page;
                root.Opaque.Flags = BtreePageFlags.Root;
                root.Opaque.Level = left.Opaque.Level + 1;
                ref BtreeMeta m = ref BtreePage.Meta(meta.Page);
                m.Root = m.FastRoot = root.Block;
                m.Level = m.FastLevel = root.Opaque.Level;
                IndexPage.Add(page, leftItem, 1);
                IndexPage.Add(page, rightItem, 2);
                left.Opaque.Flags &= ~BtreePageFlags.IncompleteSplit;
                left.Pin.MarkDirty();
                root.Pin.MarkDirty();
                meta.Pin.MarkDirty();
                WalRecordBuilder record = writer.Begin(xid);
                Span<byte> body = stackalloc byte[BtreeNewRoot.Size];
                new BtreeNewRoot(root.Block, root.Opaque.Level).Write(body);
                record.AddData(body);
                BtreeWriter.AddBlock(record, 0, root, WalBlockFlags.WillInit);
                BtreeWriter.AddBlock(record, 1, left, WalBlockFlags.Standard);
                BtreeWriter.AddMeta(record, 2, meta);
                record.AddBlockData(0, page.Bytes[page.Header.Upper..page.Header.Special]);
                Lsn lsn = writer.Insert(record, BtreeOp.NewRoot);
                BtreeWriter.SetLsn(lsn, left, root);
                BtreeWriter.SetLsn(lsn, meta);
            }
            catch (Exception e)
            {
                Invariant.Abandon(e);
            }
        }

        meta.Release();
        root.Release();
    }

    private readonly record struct Halves(BtreeBuffer Left, BtreeBuffer Right, BtreeBuffer Sibling, BtreeBuffer Child);

    /// <summary>On a leaf the shortest key that tells the halves apart; on an inner page the first key of the right half, which loses it there.</summary>
    private void AddHighKey(Page page, Page left, in NewItem item, int firstRight, bool newOnLeft, bool isLeaf)
    {
        IndexTuple first = !newOnLeft && item.Number == firstRight ? item.Item : ItemOf(page, item, firstRight);
        if (!isLeaf)
        {
            IndexPage.Add(left, first.Bytes, BtreePage.HighKey);
            return;
        }

        IndexTuple last = newOnLeft && item.Number == firstRight ? item.Item : ItemOf(page, item, firstRight - 1);
        Span<byte> highKey = stackalloc byte[Page.Size];
        int size = tuples.FormHighKey(last, first, highKey);
        IndexPage.Add(left, highKey[..size], BtreePage.HighKey);
    }

    /// <summary>An item of the page as it will be once a posting list is replaced.</summary>
    private static IndexTuple ItemOf(Page page, in NewItem item, int number) =>
        number == item.ReplacedNumber ? new IndexTuple(Writable(item.List)) : BtreePage.Tuple(page, number);

    private static Span<byte> Writable(ReadOnlySpan<byte> bytes) =>
        System.Runtime.InteropServices.MemoryMarshal.CreateSpan(ref System.Runtime.InteropServices.MemoryMarshal.GetReference(bytes), bytes.Length);

    private static void Distribute(Page page, Page left, Page right, in NewItem item, int firstRight, bool newOnLeft)
    {
        int last = page.ItemCount;
        bool isLeaf = BtreePage.Opaque(page).IsLeaf;
        int minusInfinity = isLeaf ? 0 : right.ItemCount + 1;
        for (int number = BtreePage.Opaque(page).FirstDataItem; number <= last; number++)
        {
            if (number == item.Number)
            {
                Add(newOnLeft ? left : right, item.Item, newOnLeft ? 0 : minusInfinity);
            }

            Add(number < firstRight ? left : right, ItemOf(page, item, number), number < firstRight ? 0 : minusInfinity);
        }

        if (item.Number > last)
        {
            Add(right, item.Item, minusInfinity);
        }
    }

    private static void Add(Page to, IndexTuple item, int minusInfinity)
    {
        int number = to.ItemCount + 1;
        if (number != minusInfinity)
        {
            IndexPage.Add(to, item.Bytes, number);
            return;
        }

        Span<byte> cut = stackalloc byte[IndexTuple.HeaderSize];
        IndexTuple.WriteHeader(cut, item.RawTid, IndexTuple.HeaderSize, hasNulls: false, hasVarWidths: false);
        new IndexTuple(cut).SetPivot(0, heapTid: false);
        IndexPage.Add(to, cut, number);
    }

    private void CheckSibling(BtreeBuffer sibling, uint expected)
    {
        if (sibling.Opaque.Prev != expected)
        {
            throw BtreePages.Corrupted(
                $"right sibling's left-link doesn't match: block {sibling.Block} links to {sibling.Opaque.Prev} instead of expected {expected} in index \"{writer.Schema.Name}\"");
        }
    }

    private void Log(in Halves pages, Span<byte> left, Span<byte> right, in NewItem item, int firstRight, bool newOnLeft, Xid xid)
    {
        using Invariant.CriticalSection critical = Invariant.EnterCritical();
        try
        {
            left.CopyTo(pages.Left.Page.Bytes);
            right.CopyTo(pages.Right.Page.Bytes);
            pages.Left.Pin.MarkDirty();
            pages.Right.Pin.MarkDirty();
            bool logList = item.PostingOffset != 0 && item.ReplacedNumber < firstRight;
            WalRecordBuilder record = writer.Begin(xid);
            Span<byte> body = stackalloc byte[BtreeSplit.Size];
            new BtreeSplit(pages.Left.Opaque.Level, (ushort)firstRight, (ushort)item.Number, (ushort)(logList ? item.PostingOffset : 0)).Write(body);
            record.AddData(body);
            BtreeWriter.AddBlock(record, 0, pages.Left, WalBlockFlags.Standard);
            BtreeWriter.AddBlock(record, 1, pages.Right, WalBlockFlags.WillInit);
            if (pages.Sibling.IsValid)
            {
                pages.Sibling.Opaque.Prev = pages.Right.Block;
                pages.Sibling.Pin.MarkDirty();
                BtreeWriter.AddBlock(record, 2, pages.Sibling, WalBlockFlags.Standard);
            }

            if (pages.Child.IsValid)
            {
                pages.Child.Opaque.Flags &= ~BtreePageFlags.IncompleteSplit;
                pages.Child.Pin.MarkDirty();
                BtreeWriter.AddBlock(record, 3, pages.Child, WalBlockFlags.Standard);
            }

            if (logList || newOnLeft)
            {
                record.AddBlockData(0, logList ? item.Original.Bytes : item.Item.Bytes);
            }

            record.AddBlockData(0, BtreePage.Tuple(pages.Left.Page, BtreePage.HighKey).Bytes);
            Page r = pages.Right.Page;
            record.AddBlockData(1, r.Bytes[r.Header.Upper..r.Header.Special]);
            Lsn lsn = writer.Insert(record, newOnLeft ? BtreeOp.SplitLeft : BtreeOp.SplitRight);
            BtreeWriter.SetLsn(lsn, pages.Left, pages.Right);
            if (pages.Sibling.IsValid)
            {
                BtreeWriter.SetLsn(lsn, pages.Sibling);
            }

            if (pages.Child.IsValid)
            {
                BtreeWriter.SetLsn(lsn, pages.Child);
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
    }
}
