using SharedStorage.Buffers;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Btree;

/// <summary>
/// One pass of vacuum over an index in the order of its blocks (btvacuumscan): removes entries of dead rows, deletes pages that are empty then, and gives
/// deleted pages that no scan can reach any more to the free space map (R5).
/// </summary>
internal sealed class BtreeVacuumScan(BtreeWriter writer, BtreeInserter inserter, Func<Tid, bool>? isDead)
{
    /// <summary>A leaf of the pass, and where to go back to when items of it were moved behind the pass by a split.</summary>
    private readonly record struct Step(bool DeletePage, uint BackTo);

    private readonly BtreeItemDeletion _deletion = new(writer);
    private readonly BtreePageDeletion _pageDeletion = new(writer, inserter);
    private readonly List<ushort> _positions = [];
    private double _tuples;
    private double _removed;
    private uint _deletedPages;
    private uint _freePages;

    public BtreeVacuumStats Run()
    {
        RelFileNode node = writer.Schema.Index.Relation.Node;
        ushort cycle = isDead is null ? (ushort)0 : BtreeVacuumCycles.Start(node);
        int mark = HeldPages.Mark;
        try
        {
            uint blocks;
            uint block = BtreePage.MetaBlock + 1;

            // Pages that come to the end meanwhile are seen too: a split may have put items there.
            while (block < (blocks = writer.Pages.BlockCount))
            {
                for (; block < blocks; block++)
                {
                    VacuumFrom(block, cycle);
                }
            }

            FreeDeleted();
            if (_freePages > 0)
            {
                writer.Free.Vacuum();
            }

            return new BtreeVacuumStats(block, _tuples, _removed, _deletedPages, _freePages);
        }
        catch
        {
            HeldPages.ReleaseTo(mark);
            throw;
        }
        finally
        {
            if (cycle != 0)
            {
                BtreeVacuumCycles.End(node);
            }
        }
    }

    /// <summary>Notes in the metapage how many deleted pages wait to be recycled: whether the next vacuum without dead rows has to come (_bt_set_cleanup_info).</summary>
    public static void SetCleanupInfo(BtreeWriter writer, uint waiting)
    {
        if (writer.Descent.ReadMeta().LastCleanupDeletedPages == waiting)
        {
            return;
        }

        BtreeBuffer meta = writer.GetMeta();
        using (Invariant.EnterCritical())
        {
            try
            {
                ref BtreeMeta m = ref BtreePage.Meta(meta.Page);
                m.LastCleanupDeletedPages = waiting;
                m.LastCleanupHeapTuples = -1.0;
                meta.Pin.MarkDirty();
                WalRecordBuilder record = writer.Begin(Xid.Invalid);
                BtreeWriter.AddMeta(record, 0, meta);
                BtreeWriter.SetLsn(writer.Insert(record, BtreeOp.MetaCleanup), meta);
            }
            catch (Exception e)
            {
                Invariant.Abandon(e);
            }
        }

        meta.Release();
    }

    /// <summary>Treats a block, then pages before it that got items from it by splits since the pass began.</summary>
    private void VacuumFrom(uint block, ushort cycle)
    {
        uint current = block;
        while (current != 0)
        {
            current = VacuumPage(current, block, cycle);
        }
    }

    private uint VacuumPage(uint block, uint scanBlock, ushort cycle)
    {
        BtreeBuffer buffer = writer.Pages.Pin(block);
        buffer.Latch(LatchMode.Shared);
        HeldPages.Add(buffer);
        Page page = buffer.Page;
        if (!page.IsNew)
        {
            writer.Pages.Check(buffer);
        }

        bool goneBack = block != scanBlock;
        if (goneBack && (page.IsNew || !buffer.Opaque.IsLeaf || buffer.Opaque.IsIgnored || buffer.Opaque.CycleId != cycle))
        {
            // It was treated when it was its turn.
            buffer.Release();
            return 0;
        }

        if (page.IsNew || writer.IsRecyclable(page))
        {
            buffer.Release();
            writer.Free.Record(new BlockNumber(block), Page.Size - 1);
            _deletedPages++;
            _freePages++;
            return 0;
        }

        ref BtreeOpaque opaque = ref buffer.Opaque;
        if (opaque.IsDeleted || !opaque.IsLeaf)
        {
            _deletedPages += opaque.IsDeleted ? 1u : 0u;
            buffer.Release();
            return 0;
        }

        HeldPages.Remove(buffer);
        buffer.Unlatch();
        buffer.Pin.LatchForCleanup();
        HeldPages.Add(buffer);
        if (buffer.Opaque.IsDeleted)
        {
            buffer.Release();
            return 0;
        }

        Step step = buffer.Opaque.IsHalfDead ? new Step(DeletePage: true, 0) : VacuumLeaf(buffer, scanBlock, cycle);
        if (step.DeletePage && !goneBack)
        {
            int before = _pageDeletion.Deleted.Count;
            _pageDeletion.Delete(buffer);

            // A page further on is counted when its turn comes.
            for (int i = before; i < _pageDeletion.Deleted.Count; i++)
            {
                _deletedPages += _pageDeletion.Deleted[i].Block <= scanBlock ? 1u : 0u;
            }
        }
        else
        {
            buffer.Release();
        }

        return step.BackTo;
    }

    private Step VacuumLeaf(BtreeBuffer buffer, uint scanBlock, ushort cycle)
    {
        ref BtreeOpaque opaque = ref buffer.Opaque;
        Page page = buffer.Page;
        bool splitSince = cycle != 0 && opaque.CycleId == cycle;
        bool back = splitSince && (opaque.Flags & BtreePageFlags.SplitEnd) == 0 && !opaque.IsRightmost && opaque.Next < scanBlock;
        uint backTo = back ? opaque.Next : 0;
        int first = opaque.FirstDataItem;
        _deletion.Clear();
        int live = 0;
        for (int number = first; isDead is not null && number <= page.ItemCount; number++)
        {
            live += Judge(BtreePage.Tuple(page, number), number);
        }

        if (!_deletion.IsEmpty)
        {
            _deletion.ApplyByVacuum(buffer);
        }
        else if (splitSince)
        {
            opaque.CycleId = 0;
            buffer.Pin.MarkDirtyHint(standardLayout: true);
        }

        int left = page.ItemCount - first + 1;
        if (left <= 0)
        {
            return new Step(DeletePage: true, backTo);
        }

        _tuples += isDead is null ? left : live;
        return new Step(DeletePage: false, backTo);
    }

    /// <summary>Notes what of an entry goes; gives how many of its rows stay.</summary>
    private int Judge(IndexTuple tuple, int number)
    {
        int rows = tuple.RowCount;
        _positions.Clear();
        for (int i = 0; i < rows; i++)
        {
            if (isDead!(tuple.RowTid(i)))
            {
                _positions.Add((ushort)i);
            }
        }

        _removed += _positions.Count;
        if (_positions.Count == rows)
        {
            _deletion.Add(number);
        }
        else if (_positions.Count > 0)
        {
            _deletion.Add(number, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_positions));
        }

        return rows - _positions.Count;
    }

    /// <summary>Of the pages that this pass deleted, those that nobody can come to any more are free at once.</summary>
    private void FreeDeleted()
    {
        foreach ((uint block, FullXid safeXid) in _pageDeletion.Deleted)
        {
            if (writer.IsOld(safeXid))
            {
                writer.Free.Record(new BlockNumber(block), Page.Size - 1);
                _freePages++;
            }
        }
    }
}
