using System.Runtime.CompilerServices;
using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Visibility;

namespace SharedStorage.Access.Heap;

/// <summary>
/// A running scan; its current row is valid until the next call. Values are detoasted. A page's visible rows are found at once, under one latch; they are
/// read under the pin alone, which keeps them in place.
/// </summary>
public sealed class HeapScan : IDisposable
{
    private readonly StorageEngine _engine;
    private readonly Relation _relation;
    private readonly Snapshot _snapshot;
    private readonly ushort[] _visible = new ushort[HeapPage.MaxItems];
    private PinnedPage _page;
    private uint _first;
    private uint _next;
    private uint _end;
    private int _count;
    private int _at;

    internal HeapScan(StorageEngine engine, Relation relation, Snapshot snapshot)
    {
        _engine = engine;
        _relation = relation;
        _snapshot = snapshot;
        _end = engine.Buffers.BlockCount(relation.Node, ForkNumber.Main);
    }

    /// <summary>Which columns are wanted (by index from 0); null is all. Others come as null datums.</summary>
    public bool[]? Wanted { get; set; }

    public Tid Tid { get; private set; }

    /// <summary>System columns of the current row (xmin, xmax, cmin, cmax, ctid).</summary>
    public ref readonly HeapTupleHeader Header => ref HeapTupleCodec.ReadHeader(_page.Page.ItemBytes(Tid.Offset));

    /// <summary>Restricts the scan to a range of blocks (parallel parts, ANALYZE samples).</summary>
    public void SetBlocks(uint first, uint count)
    {
        uint blocks = _engine.Buffers.BlockCount(_relation.Node, ForkNumber.Main);
        _first = Math.Min(first, blocks);
        _end = (uint)Math.Min((ulong)first + count, blocks);
        Restart();
    }

    public bool Next(Datum[] values)
    {
        if (!MoveNext())
        {
            return false;
        }

        HeapTupleCodec.Deform(_relation.Desc, _page.Page.ItemBytes(Tid.Offset), values, Wanted);
        if ((Header.InfoMask & HeapInfoMask.HasVarWidth) != 0)
        {
            Detoaster.Replace(_engine, _relation, values);
        }

        return true;
    }

    /// <summary>Goes to the next row without reading its values; <see cref="Tid"/> and <see cref="Header"/> are set.</summary>
    public bool MoveNext()
    {
        while (_at == _count)
        {
            if (!NextPage())
            {
                return false;
            }
        }

        Tid = new Tid(_page.Block, _visible[_at++]);
        return true;
    }

    public void Restart()
    {
        Leave();
        _next = _first;
    }

    public void Dispose() => Leave();

    private bool NextPage()
    {
        Leave();
        if (_next >= _end)
        {
            return false;
        }

        _page = _engine.Buffers.Pin(new BufferTag(_relation.Node, ForkNumber.Main, new BlockNumber(_next++)));
        HeapPruning.PruneIfWorthIt(_engine, _relation, _page);
        using SharedLatch latch = _page.LatchShared();
        Page page = _page.Page;
        int items = page.ItemCount;
        bool allVisible = page.IsAllVisible;
        var context = new VisibilityContext(_engine, _page);
        for (int item = 1; item <= items; item++)
        {
            ItemId id = page.Item(item);
            if (id.IsNormal
                && (allVisible || HeapVisibility.IsVisible(ref context, ref HeapTupleCodec.Header(page.Bytes.Slice(id.Offset, id.Length)), _snapshot)))
            {
                _visible[_count++] = (ushort)item;
            }
        }

        return true;
    }

    private void Leave()
    {
        if (_page.IsValid)
        {
            _page.Dispose();
            _page = default;
        }

        _at = _count = 0;
    }
}
