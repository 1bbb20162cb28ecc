using SharedStorage.Buffers;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Btree;

/// <summary>
/// Inserts entries (nbtinsert.c). Latches are taken left to right and child before parent; a page is split before its parent knows of the new one, and until
/// it does the left half says so (incomplete split): whoever meets that while writing finishes it.
/// </summary>
internal sealed class BtreeInserter
{
    private readonly BtreeWriter _writer;
    private readonly BtreeSchema _schema;
    private readonly BtreeDescent _descent;
    private readonly BtreeSplitter _splitter;
    private readonly BtreeLeafCleaner _cleaner;
    private BtreeInsertion? _spare;

    /// <summary>The rightmost leaf, where ascending keys go; 0 is not known.</summary>
    private volatile uint _rightmostLeaf;

    public BtreeInserter(BtreeWriter writer)
    {
        _writer = writer;
        _schema = writer.Schema;
        _descent = writer.Descent;
        Tuples = new BtreeTuples(_schema);
        _splitter = new BtreeSplitter(writer, Tuples);
        _cleaner = new BtreeLeafCleaner(writer, Tuples);
        _descent.FinishSplit = (buffer, stack, depth) => FinishSplit(buffer, stack, depth, Xid.Invalid);
    }

    public BtreeTuples Tuples { get; }

    /// <summary>
    /// Adds an entry. Gives <see cref="UniqueVerdict.Duplicate"/> without inserting, or for a partial check after inserting; <see cref="UniqueVerdict.Wait"/>
    /// without inserting: wait, and come again.
    /// </summary>
    public UniqueVerdict Insert(ReadOnlySpan<Datum> values, Tid tid, Xid xid, UniqueCheck check, IRowProbe? probe, out Xid wait)
    {
        BtreeInsertion insertion = Interlocked.Exchange(ref _spare, null) ?? new BtreeInsertion(_schema);
        int mark = HeldPages.Mark;
        try
        {
            insertion.Start(Tuples, values, tid);
            insertion.Xid = xid;
            return Insert(insertion, check, probe, out wait);
        }
        catch
        {
            HeldPages.ReleaseTo(mark);
            throw;
        }
        finally
        {
            insertion.ForgetPage();
            _spare = insertion;
        }
    }

    /// <summary>Adds the missing entry for the right half of a split to the parent; releases the left half.</summary>
    public void FinishSplit(BtreeBuffer left, BtreeStack stack, int depth, Xid xid)
    {
        BtreeBuffer right = _writer.GetExclusive(left.Opaque.Next);
        bool wasRoot = false;
        if (depth == 0)
        {
            BtreeBuffer meta = _writer.GetMeta();
            wasRoot = BtreePage.Meta(meta.Page).Root == left.Block;
            meta.Release();
        }

        bool wasOnly = left.Opaque.IsLeftmost && right.Opaque.IsRightmost;
        InsertIntoParent(left, right, stack, depth, wasRoot, wasOnly, xid);
    }

    private UniqueVerdict Insert(BtreeInsertion insertion, UniqueCheck check, IRowProbe? probe, out Xid wait)
    {
        wait = Xid.Invalid;
        UniqueVerdict verdict = UniqueVerdict.Unique;

        // Nulls differ from everything, unless the index says otherwise.
        bool checking = check != UniqueCheck.No && (!insertion.Key.AnyNulls || _schema.Index.NullsNotDistinct);
        insertion.Key.HasTid = !checking;
        FindLeaf(insertion);
        if (checking)
        {
            verdict = BtreeUniqueCheck.Check(insertion, _writer, probe!, certain: check == UniqueCheck.Yes, out wait);
            if (verdict == UniqueVerdict.Wait || (verdict == UniqueVerdict.Duplicate && check == UniqueCheck.Yes))
            {
                insertion.Leaf.Release();
                return verdict;
            }

            insertion.Key.HasTid = true;
        }

        int number = FindPlace(insertion, checking);
        InsertOnPage(
            insertion.Leaf, default, insertion.Stack, insertion.Stack.Depth, insertion.Item, number, insertion.PostingOffset, splitOnlyPage: false, insertion.Xid);
        return verdict;
    }

    private void FindLeaf(BtreeInsertion insertion)
    {
        insertion.Stack.Clear();
        if (_rightmostLeaf is not 0 and uint known)
        {
            if (TryRightmostLeaf(insertion, known))
            {
                return;
            }

            _rightmostLeaf = 0;
        }

        while (true)
        {
            BtreeBuffer leaf = _descent.FindLeaf(insertion.Key, LatchMode.Exclusive, insertion.Stack);
            if (leaf.IsValid)
            {
                insertion.Leaf = leaf;
                return;
            }

            _writer.CreateRoot(insertion.Xid);
        }
    }

    /// <summary>Ascending keys need no descent: the page that took the last one takes this one too, if it is free at once and has room.</summary>
    private bool TryRightmostLeaf(BtreeInsertion insertion, uint block)
    {
        BtreeBuffer buffer = _writer.Pages.Pin(block);
        if (!buffer.Pin.TryLatch(LatchMode.Exclusive))
        {
            buffer.Unpin();
            return false;
        }

        HeldPages.Add(buffer);
        _writer.Pages.Check(buffer);
        ref BtreeOpaque opaque = ref buffer.Opaque;
        Page page = buffer.Page;
        if (opaque.IsRightmost && opaque.IsLeaf && !opaque.IsIgnored && page.FreeSpace > insertion.Size && page.ItemCount >= BtreePage.HighKey
            && insertion.Key.CompareTo(page, opaque, BtreePage.HighKey) > 0)
        {
            insertion.Leaf = buffer;
            return true;
        }

        buffer.Release();
        return false;
    }

    /// <summary>The leaf and the item before which the entry goes; room is made if that can be done without a split (_bt_findinsertloc).</summary>
    private int FindPlace(BtreeInsertion insertion, bool checking)
    {
        bool duplicates = false;
        if (checking)
        {
            duplicates = insertion.BoundsValid && insertion.Low < insertion.StrictHigh;
            while (true)
            {
                Page page = insertion.Leaf.Page;
                ref BtreeOpaque opaque = ref insertion.Leaf.Opaque;
                bool within = insertion.BoundsValid && insertion.Low <= insertion.StrictHigh && insertion.StrictHigh <= page.ItemCount;
                if (within || opaque.IsRightmost || insertion.Key.CompareTo(page, opaque, BtreePage.HighKey) <= 0)
                {
                    break;
                }

                StepRight(insertion);
                duplicates = true;
            }
        }

        if (insertion.Leaf.Page.FreeSpace < insertion.Size)
        {
            _cleaner.MakeRoom(insertion, simpleOnly: false, checking, duplicates);
        }

        int number = insertion.Find();
        if (insertion.PostingOffset == -1)
        {
            _cleaner.MakeRoom(insertion, simpleOnly: true, checking: false, duplicates: false);
            insertion.PostingOffset = 0;
            insertion.BoundsValid = false;
            number = insertion.Find();
        }

        return number;
    }

    private void StepRight(BtreeInsertion insertion)
    {
        uint next = insertion.Leaf.Opaque.Next;
        while (true)
        {
            BtreeBuffer right = _writer.GetExclusive(next);
            if (right.Opaque.IsIncompleteSplit)
            {
                FinishSplit(right, insertion.Stack, insertion.Stack.Depth, insertion.Xid);
                continue;
            }

            if (!right.Opaque.IsIgnored)
            {
                insertion.Leaf.Release();
                insertion.Leaf = right;
                insertion.BoundsValid = false;
                return;
            }

            next = right.Opaque.Next;
            right.Release();
            if (next == 0)
            {
                throw BtreePages.Corrupted($"fell off the end of index \"{_schema.Name}\"");
            }
        }
    }

    /// <summary>
    /// Puts an item on a page, splitting it if there is no room; releases the page and the child (_bt_insertonpg). <paramref name="depth"/>: the part of the stack
    /// above this page.
    /// </summary>
    private void InsertOnPage(
        BtreeBuffer buffer, BtreeBuffer child, BtreeStack stack, int depth, scoped IndexTuple item, int number, int postingOffset, bool splitOnlyPage, Xid xid)
    {
        Page page = buffer.Page;
        ref BtreeOpaque opaque = ref buffer.Opaque;
        Span<byte> final = stackalloc byte[postingOffset != 0 ? item.Size : 0];
        Span<byte> list = stackalloc byte[postingOffset != 0 ? Page.Size : 0];
        IndexTuple original = item;
        if (postingOffset != 0)
        {
            IndexTuple old = BtreePage.Tuple(page, number);
            if (!old.IsPosting || page.Item(number).IsDead)
            {
                throw BtreePages.Corrupted(
                    $"table tid from new index tuple {item.RawTid} overlaps with invalid duplicate tuple at offset {number} of block {buffer.Block} in index \"{_schema.Name}\"");
            }

            item.Bytes.CopyTo(final);
            item = new IndexTuple(final);
            list = list[..PostingList.Swap(item, old, postingOffset, list)];
            number++;
        }

        if (page.FreeSpace < Page.AlignUp(item.Size))
        {
            bool isRoot = opaque.IsRoot;
            bool isOnly = opaque.IsLeftmost && opaque.IsRightmost;
            BtreeBuffer right = _splitter.Split(buffer, child, new BtreeSplitter.NewItem(item, original, list, number, postingOffset), xid);
            InsertIntoParent(buffer, right, stack, depth, isRoot, isOnly, xid);
            return;
        }

        BtreeBuffer meta = splitOnlyPage ? LatchFastRoot(opaque.Level) : default;
        LogInsert(buffer, child, meta, item, original, list, number, postingOffset, xid);
        bool cache = opaque.IsLeaf && opaque.IsRightmost && !opaque.IsRoot && depth >= 2;
        uint block = buffer.Block;
        if (meta.IsValid)
        {
            meta.Release();
        }

        if (child.IsValid)
        {
            child.Release();
        }

        buffer.Release();
        if (cache)
        {
            _rightmostLeaf = block;
        }
    }

    /// <summary>The metapage, if the fast root lies below this level: it must not, once the level has two pages below it.</summary>
    private BtreeBuffer LatchFastRoot(uint level)
    {
        BtreeBuffer meta = _writer.GetMeta();
        if (BtreePage.Meta(meta.Page).FastLevel < level)
        {
            return meta;
        }

        meta.Release();
        return default;
    }

    private void LogInsert(
        BtreeBuffer buffer, BtreeBuffer child, BtreeBuffer meta, IndexTuple item, IndexTuple original, Span<byte> list, int number, int postingOffset, Xid xid)
    {
        Page page = buffer.Page;
        bool isLeaf = buffer.Opaque.IsLeaf;
        using Invariant.CriticalSection critical = Invariant.EnterCritical();
        try
        {
            if (postingOffset != 0)
            {
                list.CopyTo(BtreePage.Tuple(page, number - 1).Bytes);
            }

            IndexPage.Add(page, item.Bytes, number);
            buffer.Pin.MarkDirty();
            WalRecordBuilder record = _writer.Begin(xid);
            Span<byte> body = stackalloc byte[BtreeInsert.Size];
            new BtreeInsert((ushort)number).Write(body);
            record.AddData(body);
            byte op = postingOffset != 0 ? BtreeOp.InsertPost : BtreeOp.InsertLeaf;
            if (!isLeaf)
            {
                op = BtreeOp.InsertUpper;
                child.Opaque.Flags &= ~BtreePageFlags.IncompleteSplit;
                child.Pin.MarkDirty();
                BtreeWriter.AddBlock(record, 1, child, WalBlockFlags.Standard);
                if (meta.IsValid)
                {
                    op = BtreeOp.InsertMeta;
                    ref BtreeMeta m = ref BtreePage.Meta(meta.Page);
                    m.FastRoot = buffer.Block;
                    m.FastLevel = buffer.Opaque.Level;
                    meta.Pin.MarkDirty();
                    BtreeWriter.AddMeta(record, 2, meta);
                }
            }

            BtreeWriter.AddBlock(record, 0, buffer, WalBlockFlags.Standard);
            if (postingOffset != 0)
            {
                Span<byte> position = stackalloc byte[sizeof(ushort)];
                System.Buffers.Binary.BinaryPrimitives.WriteUInt16LittleEndian(position, (ushort)postingOffset);
                record.AddBlockData(0, position);
            }

            record.AddBlockData(0, original.Bytes);
            Lsn lsn = _writer.Insert(record, op);
            BtreeWriter.SetLsn(lsn, buffer);
            if (child.IsValid)
            {
                BtreeWriter.SetLsn(lsn, child);
            }

            if (meta.IsValid)
            {
                BtreeWriter.SetLsn(lsn, meta);
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
    }

    /// <summary>Gives the right half of a split its entry in the parent; releases both halves (_bt_insert_parent).</summary>
    private void InsertIntoParent(BtreeBuffer left, BtreeBuffer right, BtreeStack stack, int depth, bool isRoot, bool isOnly, Xid xid)
    {
        FaultPoint.Hit("btree.split.before-parent");
        if (isRoot)
        {
            _splitter.NewRoot(left, right, xid);
            right.Release();
            left.Release();
            return;
        }

        uint parentBlock;
        int parentOffset;
        if (depth > 0)
        {
            (parentBlock, parentOffset) = stack[depth - 1];
        }
        else
        {
            // What was the root when we came down has been split since: its parent is found from above.
            BtreeBuffer end = _descent.FindEnd(left.Opaque.Level + 1, rightmost: false);
            (parentBlock, parentOffset) = (end.Block, 0);
            end.Release();
        }

        IndexTuple highKey = BtreePage.Tuple(left.Page, BtreePage.HighKey);
        Span<byte> bytes = stackalloc byte[highKey.Size];
        highKey.Bytes.CopyTo(bytes);
        var item = new IndexTuple(bytes);
        item.DownLink = new BlockNumber(right.Block);
        int above = Math.Max(depth - 1, 0);
        BtreeBuffer parent = FindParent(ref parentBlock, ref parentOffset, left.Block, stack, above, xid);
        uint rightBlock = right.Block;
        right.Release();
        if (!parent.IsValid)
        {
            throw BtreePages.Corrupted($"failed to re-find parent key in index \"{_schema.Name}\" for split pages {left.Block}/{rightBlock}");
        }

        InsertOnPage(parent, left, stack, above, item, parentOffset + 1, postingOffset: 0, isOnly, xid);
    }

    /// <summary>
    /// The page that has the entry of a child, latched exclusively, from where it was last seen to the right; and the entry's number (_bt_getstackbuf).
    /// </summary>
    public BtreeBuffer FindParent(ref uint block, ref int offset, uint child, BtreeStack stack, int depth, Xid xid)
    {
        while (true)
        {
            BtreeBuffer buffer = _writer.GetExclusive(block);
            if (buffer.Opaque.IsIncompleteSplit)
            {
                FinishSplit(buffer, stack, depth, xid);
                continue;
            }

            if (!buffer.Opaque.IsIgnored)
            {
                int found = FindChild(buffer, offset, child);
                if (found > 0)
                {
                    offset = found;
                    return buffer;
                }
            }

            uint next = buffer.Opaque.Next;
            buffer.Release();
            if (next == 0)
            {
                return default;
            }

            block = next;
            offset = 0;
        }
    }

    /// <summary>The item with the child, looked for from where it is likely, first to the right; 0 is none.</summary>
    private static int FindChild(BtreeBuffer buffer, int start, uint child)
    {
        Page page = buffer.Page;
        int first = buffer.Opaque.FirstDataItem;
        int last = page.ItemCount;
        start = Math.Clamp(start, first, last + 1);
        for (int number = start; number <= last; number++)
        {
            if (BtreePage.Tuple(page, number).DownLink.Value == child)
            {
                return number;
            }
        }

        for (int number = start - 1; number >= first; number--)
        {
            if (BtreePage.Tuple(page, number).DownLink.Value == child)
            {
                return number;
            }
        }

        return 0;
    }
}
