using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Visibility;

namespace SharedStorage.Access.Heap;

/// <summary>
/// All versions of a heap that some snapshot may still see, for what makes an index or the heap itself anew (the scans with SnapshotAny in heapam_handler.c).
/// The caller holds a lock that keeps other writers out, so a change under way is the caller's own.
/// </summary>
public sealed class HeapVersionScan(StorageEngine engine, Relation relation, Transaction own, Lsn horizon) : IDisposable
{
    private readonly ushort[] _items = new ushort[HeapPage.MaxItems];
    private readonly TupleVacuumState[] _states = new TupleVacuumState[HeapPage.MaxItems];
    private readonly uint _end = engine.Buffers.BlockCount(relation.Node, ForkNumber.Main);
    private PinnedPage _page;
    private uint _next;
    private int _count;
    private int _at;

    public Tid Tid { get; private set; }

    public TupleVacuumState State { get; private set; }

    /// <summary>Snapshots to come see the version; the others are there for old ones.</summary>
    public bool IsAlive => State is TupleVacuumState.Live or TupleVacuumState.InsertInProgress;

    public ref readonly HeapTupleHeader Header => ref HeapTupleCodec.ReadHeader(Row);

    /// <summary>The version's bytes; they stay until the next call.</summary>
    public ReadOnlySpan<byte> Row => _page.Page.ItemBytes(Tid.Offset);

    public bool MoveNext()
    {
        while (_at == _count)
        {
            Leave();
            if (_next >= _end)
            {
                return false;
            }

            ReadPage();
        }

        Tid = new Tid(_page.Block, _items[_at]);
        State = _states[_at++];
        return true;
    }

    /// <summary>Goes to the version at just this place; false when there is none that counts.</summary>
    public bool MoveTo(Tid tid)
    {
        if (!_page.IsValid || _page.Block != tid.Block)
        {
            Leave();
            _next = tid.Block.Value;
            ReadPage();
        }

        _at = Array.IndexOf(_items, tid.Offset, 0, _count);
        if (_at < 0)
        {
            _at = _count;
            return false;
        }

        Tid = tid;
        State = _states[_at++];
        return true;
    }

    /// <summary>The row's values, TOASTed ones made whole.</summary>
    public void Read(Datum[] values)
    {
        HeapTupleCodec.Deform(relation.Desc, Row, values);
        if ((Header.InfoMask & HeapInfoMask.HasVarWidth) != 0)
        {
            Detoaster.Replace(engine, relation, values);
        }
    }

    public void Dispose() => Leave();

    private void ReadPage()
    {
        _page = engine.Buffers.Pin(new BufferTag(relation.Node, ForkNumber.Main, new BlockNumber(_next++)));
        using SharedLatch latch = _page.LatchShared();
        Page page = _page.Page;
        var context = new VisibilityContext(engine, _page);
        for (int item = 1; item <= page.ItemCount; item++)
        {
            ItemId id = page.Item(item);
            if (!id.IsNormal)
            {
                continue;
            }

            TupleVacuumState state = HeapVisibility.SatisfiesVacuum(ref context, ref HeapTupleCodec.Header(page.Bytes.Slice(id.Offset, id.Length)), horizon, own);
            if (state != TupleVacuumState.Dead)
            {
                (_items[_count], _states[_count]) = ((ushort)item, state);
                _count++;
            }
        }
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
