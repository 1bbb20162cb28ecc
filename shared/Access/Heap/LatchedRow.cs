using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Visibility;

namespace SharedStorage.Access.Heap;

/// <summary>
/// A row under change: its page pinned and latched exclusively, its visibility map page pinned when the page is all-visible. What is taken is given back by
/// <see cref="Dispose"/>, whatever happens between.
/// </summary>
internal ref struct LatchedRow
{
    private readonly StorageEngine _engine;
    private readonly HeapPlacement _placement;
    private bool _latched;

    public LatchedRow(StorageEngine engine, HeapPlacement placement, RelFileNode node, Tid tid)
    {
        _engine = engine;
        _placement = placement;
        Tid = tid;
        Page = engine.Buffers.Pin(new BufferTag(node, ForkNumber.Main, tid.Block));
        Latch();
    }

    public Tid Tid { get; }
    public PinnedPage Page;
    public PinnedPage Map;

    public readonly bool IsRow => Tid.Offset >= 1 && Tid.Offset <= Page.Page.ItemCount && Page.Page.Item(Tid.Offset).IsNormal;

    public readonly Span<byte> Bytes => Page.Page.ItemBytes(Tid.Offset);
    public readonly ref HeapTupleHeader Header => ref HeapTupleCodec.Header(Bytes);
    public readonly bool IsAllVisible => Page.Page.IsAllVisible;

    /// <summary>Latches again, with the map's page if needed: what was read before may have changed.</summary>
    public void Latch()
    {
        _placement.LatchWithMap(Page, HeapInsertOptions.None, ref Map);
        _latched = true;
    }

    public void Unlatch()
    {
        _latched = false;
        Page.Unlatch();
    }

    /// <summary>The latch was taken by other means (two pages in order).</summary>
    public void NoteLatched() => _latched = true;

    public readonly TupleUpdateState UpdateState(Transaction tx, CommandId command)
    {
        var context = new VisibilityContext(_engine, Page);
        return HeapVisibility.SatisfiesUpdate(ref context, ref Header, Tid, tx, command);
    }

    /// <summary>Clears the page's all-visible flag and its bits; inside the critical section. Tells whether it was set.</summary>
    public readonly bool ClearAllVisible()
    {
        if (!Page.Page.IsAllVisible)
        {
            return false;
        }

        Page.Page.SetAllVisible(false);
        VisibilityMap.Clear(Tid.Block, Map, Format.VisibilityMap.VisibilityBits.Both);
        return true;
    }

    /// <summary>Clears the all-frozen bit only: a lock puts an xid on the page, but hides no row. Inside the critical section.</summary>
    public readonly bool ClearAllFrozen() =>
        Page.Page.IsAllVisible && VisibilityMap.Clear(Tid.Block, Map, Format.VisibilityMap.VisibilityBits.AllFrozen);

    /// <summary>Writes xmax into the row's header; the masks' other bits stay.</summary>
    public readonly void SetXmax(in RowXmax xmax)
    {
        ref HeapTupleHeader row = ref Header;
        row.InfoMask = (row.InfoMask & ~(HeapInfoMask.XmaxBits | HeapInfoMask.Moved)) | xmax.Mask;
        row.InfoMask2 = (row.InfoMask2 & ~HeapInfoMask2.KeysUpdated) | xmax.Mask2;
        row.RawXmax = xmax.Xmax.Value;
    }

    public void Dispose()
    {
        if (_latched)
        {
            Unlatch();
        }

        Page.Dispose();
        if (Map.IsValid)
        {
            Map.Dispose();
        }
    }
}
