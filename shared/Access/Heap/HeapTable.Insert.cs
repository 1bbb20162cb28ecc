using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Format.VisibilityMap;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Heap;

/// <summary>Storing rows: heap_insert and heap_multi_insert.</summary>
public sealed partial class HeapTable
{
    // Where a session's thread forms the row that it is about to store.
    [ThreadStatic] private static byte[]? _rowBuffer;

    /// <summary>Stores a row (TOASTed as needed) and gives its place.</summary>
    public Tid Insert(Transaction tx, ReadOnlySpan<Datum> values, HeapInsertOptions options = HeapInsertOptions.None)
    {
        CheckWritable();
        Xid xid = tx.Xid;
        Span<byte> row = FormForInsert(tx, values, options);
        SetInsertHeader(row, xid, tx.Command, options);
        PinnedPage vm = default;
        PinnedPage page = default;
        try
        {
            page = _placement.Find(row.Length, options, ref vm);
            try
            {
                Tid placed = PlaceAndLog(xid, page, vm, row);
                tx.Session.Changes.Insert(Relation.LockDatabase, Relation.Id, tx.Depth, 1);
                return placed;
            }
            finally
            {
                page.Unlatch();
                page.Dispose();
            }
        }
        finally
        {
            Release(vm);
        }
    }

    /// <summary>Stores many rows with one log record a page (COPY).</summary>
    public void InsertMany(Transaction tx, IReadOnlyList<Datum[]> rows, Span<Tid> tids, HeapInsertOptions options)
    {
        CheckWritable();
        Xid xid = tx.Xid;
        var formed = new byte[rows.Count][];
        for (int i = 0; i < formed.Length; i++)
        {
            formed[i] = FormForInsert(tx, rows[i], options).ToArray();
            SetInsertHeader(formed[i], xid, tx.Command, options);
        }

        PinnedPage vm = default;
        try
        {
            for (int done = 0; done < formed.Length;)
            {
                PinnedPage page = _placement.Find(formed[done].Length, options, ref vm);
                try
                {
                    done += FillPage(xid, page, vm, formed.AsSpan(done), tids[done..], options, isLast: n => done + n == formed.Length);
                }
                finally
                {
                    page.Unlatch();
                    page.Dispose();
                }
            }
        }
        finally
        {
            Release(vm);
        }

        tx.Session.Changes.Insert(Relation.LockDatabase, Relation.Id, tx.Depth, rows.Count);
    }

    private Tid PlaceAndLog(Xid xid, in PinnedPage page, in PinnedPage vm, ReadOnlySpan<byte> row)
    {
        try
        {
            using (Invariant.EnterCritical())
            {
                page.MarkDirty();
                ushort item = Place(page, row);
                bool cleared = ClearAllVisible(page, vm);
                HeapLog.Insert(Engine, xid, page, item, page.Page.ItemBytes(item), cleared);
                return new Tid(page.Block, item);
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
            throw;
        }
    }

    /// <summary>Puts as many rows on the page as fit; the first one is known to.</summary>
    private int FillPage(
        Xid xid, in PinnedPage page, in PinnedPage vm, ReadOnlySpan<byte[]> rows, Span<Tid> tids, HeapInsertOptions options, Func<int, bool> isLast)
    {
        bool frozen = (options & HeapInsertOptions.Frozen) != 0;
        bool wasEmpty = page.Page.ItemCount == 0;
        bool setFrozen = wasEmpty && frozen;
        Span<ushort> items = stackalloc ushort[HeapPage.MaxItems];
        int count = 0;
        try
        {
            using (Invariant.EnterCritical())
            {
                page.MarkDirty();
                do
                {
                    items[count] = Place(page, rows[count]);
                    tids[count] = new Tid(page.Block, items[count]);
                    count++;
                }
                while (count < rows.Length && HeapPage.FreeSpace(page.Page) >= Page.AlignUp(rows[count].Length) + _placement.KeptFree);

                HeapInsertFlags flags = isLast(count) ? HeapInsertFlags.LastInMulti : HeapInsertFlags.None;
                if (!frozen && ClearAllVisible(page, vm))
                {
                    flags |= HeapInsertFlags.AllVisibleCleared;
                }
                else if (setFrozen)
                {
                    page.Page.SetAllVisible(true);
                    flags |= HeapInsertFlags.AllFrozenSet;
                }

                HeapLog.MultiInsert(Engine, xid, page, items[..count], wasEmpty, flags);
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
            throw;
        }

        if (setFrozen)
        {
            _visibility.Set(page.Block, page, vm, Xid.Invalid, VisibilityBits.Both);
        }

        return count;
    }

    private static ushort Place(in PinnedPage page, ReadOnlySpan<byte> row)
    {
        ushort item = HeapPage.ChooseItem(page.Page);
        Invariant.Check(HeapPage.TryPlace(page.Page, item, row.Length, out Span<byte> place), "heap", "a page with room for a row did not take it");
        row.CopyTo(place);
        HeapTupleCodec.Header(place).Ctid = new Tid(page.Block, item);
        return item;
    }

    private static bool ClearAllVisible(in PinnedPage page, in PinnedPage vm)
    {
        if (!page.Page.IsAllVisible)
        {
            return false;
        }

        page.Page.SetAllVisible(false);
        VisibilityMap.Clear(page.Block, vm, VisibilityBits.Both);
        return true;
    }

    /// <summary>The row's bytes, TOASTed as needed; valid until the thread forms the next one.</summary>
    private Span<byte> FormForInsert(Transaction tx, ReadOnlySpan<Datum> values, HeapInsertOptions options)
    {
        TupleDesc desc = Relation.Desc;
        int size = HeapTupleCodec.Size(desc, values);
        if (CanToast && (size > Toaster.Threshold || Toaster.HasExternal(values)))
        {
            Datum[] stored = new Toaster(Engine, Relation).Store(tx, values, default, options);
            return Form(stored);
        }

        return Form(values);
    }

    private Span<byte> Form(ReadOnlySpan<Datum> values)
    {
        int size = HeapTupleCodec.Size(Relation.Desc, values);
        if (_rowBuffer is null || _rowBuffer.Length < size)
        {
            _rowBuffer = new byte[Math.Max(size, Page.Size)];
        }

        return _rowBuffer.AsSpan(0, HeapTupleCodec.Form(Relation.Desc, values, _rowBuffer));
    }

    private static void SetInsertHeader(Span<byte> row, Xid xid, CommandId command, HeapInsertOptions options)
    {
        ref HeapTupleHeader header = ref HeapTupleCodec.Header(row);
        header.InfoMask |= HeapInfoMask.XmaxInvalid | ((options & HeapInsertOptions.Frozen) != 0 ? HeapInfoMask.XminFrozen : 0);
        header.RawXmin = xid.Value;
        header.RawXmax = 0;
        HeapRow.SetCmin(ref header, command);
    }

    private static void Release(in PinnedPage page)
    {
        if (page.IsValid)
        {
            page.Dispose();
        }
    }
}
