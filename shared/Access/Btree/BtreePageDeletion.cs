using SharedStorage.Buffers;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Btree;

/// <summary>
/// Deletes empty leaves, and inner pages that have no other child (_bt_pagedel). Two steps, each one log record: the branch leaves its parent and the
/// leaf becomes half dead; then its pages leave their neighbours, from the top down. Between the steps, and after a crash there, searches step over the leaf
/// and the next vacuum goes on. One vacuum at a time runs on an index.
/// </summary>
internal sealed class BtreePageDeletion(BtreeWriter writer, BtreeInserter inserter)
{
    private readonly List<(uint Block, FullXid SafeXid)> _deleted = [];

    /// <summary>Pages that were deleted, and from which transaction on each may be used anew.</summary>
    public IReadOnlyList<(uint Block, FullXid SafeXid)> Deleted => _deleted;

    /// <summary>Deletes the leaf if that is possible, and its right neighbours that are empty too. The leaf is latched exclusively; it is released.</summary>
    public void Delete(BtreeBuffer leaf)
    {
        BtreeStack? stack = null;
        while (true)
        {
            ref BtreeOpaque opaque = ref leaf.Opaque;
            bool mayGo = opaque.IsLeaf && !opaque.IsDeleted && !opaque.IsRightmost && !opaque.IsRoot
                && opaque.FirstDataItem > leaf.Page.ItemCount && !opaque.IsIncompleteSplit;
            if (!mayGo)
            {
                leaf.Release();
                return;
            }

            if (!opaque.IsHalfDead)
            {
                if (stack is null)
                {
                    stack = FindWayDown(ref leaf);
                    if (stack is null)
                    {
                        return;
                    }

                    continue;
                }

                if (!MarkHalfDead(leaf, stack))
                {
                    leaf.Release();
                    return;
                }
            }

            FaultPoint.Hit("btree.delete.half-dead");
            bool rightIsEmpty = false;
            while (leaf.Opaque.IsHalfDead)
            {
                UnlinkTop(ref leaf, out rightIsEmpty);
            }

            uint right = leaf.Opaque.Next;
            leaf.Release();
            if (!rightIsEmpty)
            {
                return;
            }

            leaf = writer.GetExclusive(right);
        }
    }

    /// <summary>
    /// The way from the root to the leaf, by its high key; the leaf's latch is let go meanwhile. Null, with the leaf released: its left neighbour is the left half of a split
    /// that is not finished, so its parent has no entry for it.
    /// </summary>
    private BtreeStack? FindWayDown(ref BtreeBuffer leaf)
    {
        BtreeSearchKey key = KeyOf(BtreePage.Tuple(leaf.Page, BtreePage.HighKey));
        uint block = leaf.Block;
        uint left = leaf.Opaque.Prev;
        leaf.Release();
        if (IsLeftOfIncompleteSplit(left, block))
        {
            return null;
        }

        var stack = new BtreeStack();
        BtreeBuffer found = writer.Descent.FindLeaf(key, LatchMode.Shared, stack);
        if (found.IsValid)
        {
            found.Release();
        }

        leaf = writer.GetExclusive(block);
        return stack;
    }

    private BtreeSearchKey KeyOf(IndexTuple pivot)
    {
        var key = new BtreeSearchKey(writer.Schema) { Count = pivot.PivotColumns, PivotSearch = true };
        for (int i = 0; i < key.Count; i++)
        {
            Datum value = IndexColumns.Value(writer.Schema.Desc, pivot, i);
            key.Parts[i] = new KeyPart(IndexValues.Plain(value), null);
        }

        key.HasTid = pivot.TryGetHeapTid(out Tid tid);
        key.RowTid = tid;
        return key;
    }

    private bool IsLeftOfIncompleteSplit(uint left, uint block)
    {
        if (left == 0)
        {
            return false;
        }

        BtreeBuffer buffer = writer.Pages.Get(left, LatchMode.Shared);
        bool result = buffer.Opaque.Next == block && buffer.Opaque.IsIncompleteSplit;
        buffer.Release();
        return result;
    }

    private bool IsHalfDead(uint block)
    {
        BtreeBuffer buffer = writer.Pages.Get(block, LatchMode.Shared);
        bool result = buffer.Opaque.IsHalfDead;
        buffer.Release();
        return result;
    }

    /// <summary>Takes the branch that ends in the leaf out of its parent: the key space goes to the right. False: it cannot be deleted now.</summary>
    private bool MarkHalfDead(BtreeBuffer leaf, BtreeStack stack)
    {
        // A half-dead right neighbour has no entry in the parent, which would spoil what follows.
        if (IsHalfDead(leaf.Opaque.Next))
        {
            return false;
        }

        uint top = leaf.Block;
        uint topRight = leaf.Opaque.Next;
        BtreeBuffer parent = LatchBranchParent(stack, ref top, ref topRight, out int offset);
        if (!parent.IsValid)
        {
            return false;
        }

        if (BtreePage.Tuple(parent.Page, offset + 1).DownLink.Value != topRight)
        {
            throw BtreePages.Corrupted(
                $"right sibling {topRight} of block {top} is not next child of block {parent.Block} in index \"{writer.Schema.Name}\"");
        }

        uint topParent = top == leaf.Block ? uint.MaxValue : top;
        using (Invariant.EnterCritical())
        {
            try
            {
                IndexTuple entry = BtreePage.Tuple(parent.Page, offset);
                entry.DownLink = new BlockNumber(topRight);
                IndexPage.Delete(parent.Page, offset + 1);
                uint left = leaf.Opaque.Prev;
                uint right = leaf.Opaque.Next;
                Lsn old = leaf.Page.Lsn;
                BtreePage.InitializeHalfDead(leaf.Page, left, right, topParent);
                BtreeWriter.SetLsn(old, leaf);
                parent.Pin.MarkDirty();
                leaf.Pin.MarkDirty();
                WalRecordBuilder record = writer.Begin(Xid.Invalid);
                BtreeWriter.AddBlock(record, 0, leaf, WalBlockFlags.WillInit);
                BtreeWriter.AddBlock(record, 1, parent, WalBlockFlags.Standard);
                Span<byte> body = stackalloc byte[BtreeMarkPageHalfDead.Size];
                new BtreeMarkPageHalfDead((ushort)offset, leaf.Block, left, right, topParent).Write(body);
                record.AddData(body);
                BtreeWriter.SetLsn(writer.Insert(record, BtreeOp.MarkPageHalfDead), leaf, parent);
            }
            catch (Exception e)
            {
                Invariant.Abandon(e);
            }
        }

        parent.Release();
        return true;
    }

    /// <summary>
    /// The parent of the branch that goes, latched exclusively: the first page upwards that has another child right of it. The rightmost child of a page can go only
    /// when it is the only one and the page goes, too. Invalid: nothing can be deleted.
    /// </summary>
    private BtreeBuffer LatchBranchParent(BtreeStack stack, ref uint top, ref uint topRight, out int offset)
    {
        offset = 0;
        for (int depth = stack.Depth - 1; depth >= 0; depth--)
        {
            (uint block, int at) = stack[depth];
            BtreeBuffer parent = inserter.FindParent(ref block, ref at, top, stack, depth, Xid.Invalid);
            if (!parent.IsValid)
            {
                throw BtreePages.Corrupted($"failed to re-find parent key in index \"{writer.Schema.Name}\" for deletion target page {top}");
            }

            stack.Set(depth, block, at);
            int last = parent.Page.ItemCount;
            if (at < last)
            {
                offset = at;
                return parent;
            }

            if (at != parent.Opaque.FirstDataItem || parent.Opaque.IsRightmost)
            {
                parent.Release();
                return default;
            }

            uint child = parent.Block;
            uint left = parent.Opaque.Prev;
            top = child;
            topRight = parent.Opaque.Next;

            // The page gets no new entry while the leaf below it is latched, so it may be let go.
            parent.Release();
            if (IsLeftOfIncompleteSplit(left, child))
            {
                return default;
            }
        }

        return default;
    }

    /// <summary>Takes the topmost page of the branch out of its level; with the leaf itself the branch is gone. The leaf is latched before and after.</summary>
    private void UnlinkTop(ref BtreeBuffer leaf, out bool rightIsEmpty)
    {
        uint leafBlock = leaf.Block;
        uint leafLeft = leaf.Opaque.Prev;
        uint leafRight = leaf.Opaque.Next;
        uint target = BtreePage.Tuple(leaf.Page, BtreePage.HighKey).DownLink.Value;
        leaf.Release();
        bool isLeaf = target == uint.MaxValue;
        uint left = leafLeft;
        if (isLeaf)
        {
            target = leafBlock;
        }
        else
        {
            BtreeBuffer peek = writer.Pages.Get(target, LatchMode.Shared);
            left = peek.Opaque.Prev;
            peek.Release();
            leaf = writer.GetExclusive(leafBlock);
        }

        BtreeBuffer leftBuffer = LatchLeft(left, target);
        left = leftBuffer.IsValid ? leftBuffer.Block : 0;
        BtreeBuffer buffer = writer.GetExclusive(target);
        CheckTarget(buffer, left, isLeaf);
        uint nextTop = uint.MaxValue;
        if (!isLeaf)
        {
            uint child = BtreePage.Tuple(buffer.Page, buffer.Opaque.FirstDataItem).DownLink.Value;
            nextTop = child == leafBlock ? uint.MaxValue : child;
        }

        BtreeBuffer right = writer.GetExclusive(buffer.Opaque.Next);
        if (right.Opaque.Prev != target)
        {
            throw BtreePages.Corrupted(
                $"right sibling's left-link doesn't match: block {right.Block} links to {right.Opaque.Prev} instead of expected {target} in index \"{writer.Schema.Name}\"");
        }

        rightIsEmpty = right.Opaque.FirstDataItem > right.Page.ItemCount;
        BtreeBuffer meta = left == 0 && right.Opaque.IsRightmost ? LatchMetaFor(buffer.Opaque.Level) : default;
        var body = new BtreeUnlinkPage(
            left, right.Block, buffer.Opaque.Level, writer.Engine.Transactions.NextFullXid, leafLeft, leafRight, nextTop);
        LogUnlink(new Unlinked(buffer, leftBuffer, right, isLeaf ? default : leaf, meta), body);
        if (meta.IsValid)
        {
            meta.Release();
        }

        if (leftBuffer.IsValid)
        {
            leftBuffer.Release();
        }

        right.Release();
        _deleted.Add((target, body.SafeXid));
        if (isLeaf)
        {
            leaf = buffer;
        }
        else
        {
            buffer.Release();
        }
    }

    /// <summary>The left neighbour of the target as it is now: what was it a moment ago may have been split.</summary>
    private BtreeBuffer LatchLeft(uint left, uint target)
    {
        if (left == 0)
        {
            return default;
        }

        BtreeBuffer buffer = writer.GetExclusive(left);
        while (buffer.Opaque.IsDeleted || buffer.Opaque.Next != target)
        {
            uint next = buffer.Opaque.Next;
            if (next == 0 || buffer.Opaque.IsDeleted || next == buffer.Block)
            {
                throw BtreePages.Corrupted($"no left sibling of block {target} was found in index \"{writer.Schema.Name}\"");
            }

            buffer.Release();
            buffer = writer.GetExclusive(next);
        }

        return buffer;
    }

    private void CheckTarget(BtreeBuffer buffer, uint left, bool isLeaf)
    {
        ref BtreeOpaque opaque = ref buffer.Opaque;
        int count = buffer.Page.ItemCount;
        bool asExpected = !opaque.IsRightmost && !opaque.IsRoot && !opaque.IsDeleted && opaque.Prev == left && opaque.IsLeaf == isLeaf
            && (isLeaf ? opaque.IsHalfDead && opaque.FirstDataItem > count : opaque.FirstDataItem == count);
        if (!asExpected)
        {
            throw BtreePages.Corrupted($"deletion target changed status unexpectedly in block {buffer.Block} of index \"{writer.Schema.Name}\"");
        }
    }

    /// <summary>The metapage, if the page that stays alone on this level is to be the fast root.</summary>
    private BtreeBuffer LatchMetaFor(uint level)
    {
        BtreeBuffer meta = writer.GetMeta();
        if (BtreePage.Meta(meta.Page).FastLevel <= level + 1)
        {
            return meta;
        }

        meta.Release();
        return default;
    }

    private readonly record struct Unlinked(BtreeBuffer Target, BtreeBuffer Left, BtreeBuffer Right, BtreeBuffer Leaf, BtreeBuffer Meta);

    private void LogUnlink(in Unlinked pages, in BtreeUnlinkPage body)
    {
        using Invariant.CriticalSection critical = Invariant.EnterCritical();
        try
        {
            WalRecordBuilder record = writer.Begin(Xid.Invalid);
            pages.Target.Pin.MarkDirty();
            BtreePage.SetDeleted(pages.Target.Page, body.SafeXid);
            pages.Target.Opaque.CycleId = 0;
            BtreeWriter.AddBlock(record, 0, pages.Target, WalBlockFlags.WillInit);
            if (pages.Left.IsValid)
            {
                pages.Left.Pin.MarkDirty();
                pages.Left.Opaque.Next = body.Right;
                BtreeWriter.AddBlock(record, 1, pages.Left, WalBlockFlags.Standard);
            }

            pages.Right.Pin.MarkDirty();
            pages.Right.Opaque.Prev = body.Left;
            BtreeWriter.AddBlock(record, 2, pages.Right, WalBlockFlags.Standard);
            if (pages.Leaf.IsValid)
            {
                pages.Leaf.Pin.MarkDirty();
                IndexTuple highKey = BtreePage.Tuple(pages.Leaf.Page, BtreePage.HighKey);
                highKey.DownLink = new BlockNumber(body.LeafTopParent);
                BtreeWriter.AddBlock(record, 3, pages.Leaf, WalBlockFlags.WillInit);
            }

            byte op = BtreeOp.UnlinkPage;
            if (pages.Meta.IsValid)
            {
                op = BtreeOp.UnlinkPageMeta;
                pages.Meta.Pin.MarkDirty();
                ref BtreeMeta meta = ref BtreePage.Meta(pages.Meta.Page);
                meta.FastRoot = body.Right;
                meta.FastLevel = body.Level;
                BtreeWriter.AddMeta(record, 4, pages.Meta);
            }

            Span<byte> bytes = stackalloc byte[BtreeUnlinkPage.Size];
            body.Write(bytes);
            record.AddData(bytes);
            Lsn lsn = writer.Insert(record, op);
            BtreeWriter.SetLsn(lsn, pages.Target, pages.Right);
            foreach (BtreeBuffer other in (ReadOnlySpan<BtreeBuffer>)[pages.Left, pages.Leaf, pages.Meta])
            {
                if (other.IsValid)
                {
                    BtreeWriter.SetLsn(lsn, other);
                }
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
    }
}
