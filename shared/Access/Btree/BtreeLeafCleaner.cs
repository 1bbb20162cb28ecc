using System.Runtime.InteropServices;
using SharedStorage.Access.Btree.Redo;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Btree;

/// <summary>
/// Makes room on a full leaf so that it need not be split: removes entries that are marked dead, then merges equal ones
/// (_bt_delete_or_dedup_one_page, nbtdedup.c). Deleting old versions bottom-up is left to vacuum.
/// </summary>
internal sealed class BtreeLeafCleaner(BtreeWriter writer, BtreeTuples tuples)
{
    /// <summary>Posting entries stay small enough for a page full of one value to be split well several times.</summary>
    private const int MaxPostingSize = BtreePage.MaxItemSize / 2;

    /// <summary>An entry at the size limit counts as large only with more rows than this.</summary>
    private const int ManyRows = 50;

    public void MakeRoom(BtreeInsertion insertion, bool simpleOnly, bool checking, bool duplicates)
    {
        if (DeleteDead(insertion))
        {
            insertion.BoundsValid = false;
            if (insertion.Leaf.Page.FreeSpace >= insertion.Size)
            {
                return;
            }

            duplicates = true;
        }

        if (simpleOnly || (checking && !duplicates))
        {
            return;
        }

        insertion.BoundsValid = false;
        if (writer.Schema.Index.DeduplicateItems && writer.Descent.AllEqualImage)
        {
            Deduplicate(insertion, duplicates);
        }
    }

    private bool DeleteDead(BtreeInsertion insertion)
    {
        Page page = insertion.Leaf.Page;
        BtreeItemDeletion? deletion = null;
        int last = page.ItemCount;
        for (int number = insertion.Leaf.Opaque.FirstDataItem; number <= last; number++)
        {
            if (page.Item(number).IsDead)
            {
                deletion ??= new BtreeItemDeletion(writer);
                deletion.Add(number);
            }
        }

        if (deletion is null)
        {
            return false;
        }

        // Marked entries are dead to all snapshots of this cluster (R5). A stock standby asks for the youngest xid at fault: none is younger than this.
        deletion.ApplyBySession(insertion.Leaf, writer.Engine.Transactions.NextXid.Previous(), insertion.Xid);
        return true;
    }

    private void Deduplicate(BtreeInsertion insertion, bool forVersions)
    {
        BtreeBuffer buffer = insertion.Leaf;
        Page page = buffer.Page;
        var pass = new Pass(tuples, writer.Schema.KeyCount, page);
        List<ushort> intervals = pass.Run(insertion.Item, allowSingleValue: !forVersions);
        if (intervals.Count == 0)
        {
            return;
        }

        ReadOnlySpan<ushort> data = CollectionsMarshal.AsSpan(intervals);
        using Invariant.CriticalSection critical = Invariant.EnterCritical();
        try
        {
            BtreeDedupRedo.Rebuild(page, data);
            buffer.Opaque.Flags &= ~BtreePageFlags.HasGarbage;
            buffer.Pin.MarkDirty();
            WalRecordBuilder record = writer.Begin(insertion.Xid);
            BtreeWriter.AddBlock(record, 0, buffer, WalBlockFlags.Standard);
            Span<byte> body = stackalloc byte[BtreeDedup.Size];
            new BtreeDedup((ushort)(data.Length / 2)).Write(body);
            record.AddData(body);
            record.AddBlockData(0, MemoryMarshal.AsBytes(data));
            BtreeWriter.SetLsn(writer.Insert(record, BtreeOp.Dedup), buffer);
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
    }

    /// <summary>One pass over a leaf: which runs of items become one.</summary>
    private ref struct Pass(BtreeTuples tuples, int keyCount, Page page)
    {
        private readonly Page _page = page;
        private readonly List<ushort> _intervals = [];
        private int _limit = MaxPostingSize;
        private int _large;
        private int _first;
        private int _items;
        private int _rows;
        private int _keySize;

        public List<ushort> Run(IndexTuple newItem, bool allowSingleValue)
        {
            int number = BtreePage.Opaque(_page).FirstDataItem;
            int last = _page.ItemCount;
            if (number > last)
            {
                return _intervals;
            }

            bool singleValue = allowSingleValue && IsEqual(newItem, BtreePage.Tuple(_page, number)) && IsEqual(newItem, BtreePage.Tuple(_page, last));
            bool merging = true;
            Begin(number);
            for (number++; number <= last; number++)
            {
                IndexTuple item = BtreePage.Tuple(_page, number);
                if (merging && IsEqual(BtreePage.Tuple(_page, _first), item) && TryMerge(item))
                {
                    continue;
                }

                End();
                if (singleValue && _large == 5)
                {
                    ShrinkLimit(newItem);
                }
                else if (singleValue && _large == 6)
                {
                    // What is left goes to the right page of the split to come.
                    merging = false;
                    singleValue = false;
                }

                Begin(number);
            }

            End();
            return _intervals;
        }

        private readonly bool IsEqual(IndexTuple a, IndexTuple b) => tuples.ColumnsToKeepByBytes(a, b) > keyCount;

        private void Begin(int number)
        {
            IndexTuple item = BtreePage.Tuple(_page, number);
            _first = number;
            _items = 1;
            _rows = item.RowCount;
            _keySize = item.KeySize;
        }

        private bool TryMerge(IndexTuple item)
        {
            if (Page.AlignUp(_keySize + ((_rows + item.RowCount) * Tid.Size)) > _limit)
            {
                _large += _rows > ManyRows ? 1 : 0;
                return false;
            }

            _items++;
            _rows += item.RowCount;
            return true;
        }

        private readonly void End()
        {
            if (_items > 1)
            {
                _intervals.Add((ushort)_first);
                _intervals.Add((ushort)_items);
            }
        }

        /// <summary>The sixth large entry is smaller, so that the page when it is split is filled as the split wants it.</summary>
        private void ShrinkLimit(IndexTuple newItem)
        {
            int free = Page.Size - PageHeader.Size - BtreeOpaque.Size - (newItem.Size + ItemId.Size + Page.AlignUp(Tid.Size));
            _limit = Math.Max(0, _limit - (int)(free * ((100 - BtreePage.SingleValueFillFactor) / 100.0)));
        }
    }
}
