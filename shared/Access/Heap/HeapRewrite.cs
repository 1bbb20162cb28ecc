using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Heap;

/// <summary>What a rewritten heap's row of pg_class is to say.</summary>
public readonly record struct HeapRewriteResult(uint Pages, double Rows, double Removed, Xid FrozenXid, MultiXactId MinMulti);

/// <summary>
/// Copies a heap into a new, empty one (rewriteheap.c; CLUSTER, VACUUM FULL). Versions that old snapshots see are copied with their xids and update chains, so
/// the new heap answers every snapshot as the old one did; what nobody sees is left behind (I7), what is old is frozen (R5). Pages go whole into the log.
/// </summary>
public sealed class HeapRewrite
{
    private const byte FullPageImage = 0xB0;

    private readonly StorageEngine _engine;
    private readonly Transaction _tx;
    private readonly Relation _old;
    private readonly Relation _new;
    private readonly Xid _oldFrozenXid;
    private readonly MultiXactId _oldMinMulti;
    private readonly Xid _xidHorizon;
    private readonly HeapFreezing _freezing;
    private readonly byte[] _page = new byte[Page.Size];
    private readonly Datum[] _values;
    private readonly int _keptFree;

    /// <summary>Updated versions that wait for the place of the one after them, by its inserter and old place.</summary>
    private readonly Dictionary<(Xid, Tid), (byte[] Row, Tid OldTid)> _waiting = [];

    /// <summary>New places of versions that an older one may point to.</summary>
    private readonly Dictionary<(Xid, Tid), Tid> _moved = [];
    private uint _blocks;
    private double _rows;

    public HeapRewrite(StorageEngine engine, Transaction tx, Relation oldHeap, Relation newHeap, Xid frozenXid, MultiXactId minMulti)
    {
        (_engine, _tx, _old, _new, _oldFrozenXid, _oldMinMulti) = (engine, tx, oldHeap, newHeap, frozenXid, minMulti);
        TransactionManager transactions = engine.Transactions;

        // The xid horizon first: H, taken after it, covers everything that ended before it (R5).
        _xidHorizon = transactions.XidHorizon;
        Horizon = transactions.Horizon;
        MultiXactId oldestMulti = transactions.MultiXacts.OldestRunning;
        _freezing = new HeapFreezing(transactions, new FreezeLimits(frozenXid, minMulti, _xidHorizon, oldestMulti), new RowLocks(engine, newHeap).Of)
        {
            OldestXid = _xidHorizon,
            OldestMulti = oldestMulti,
        };
        _values = new Datum[oldHeap.Desc.Count];
        _keptFree = Page.Size * (100 - newHeap.FillFactor) / 100;
        NewPage();
    }

    /// <summary>What is dead to H is not copied.</summary>
    public Lsn Horizon { get; }

    /// <summary>Copies one version of the old heap.</summary>
    public void Copy(ReadOnlySpan<byte> oldRow, Tid oldTid, bool isAlive)
    {
        _rows += isAlive ? 1 : 0;
        byte[] row = Form(oldRow);
        ref HeapTupleHeader header = ref HeapTupleCodec.Header(row);
        HeapTupleHeader before = HeapTupleCodec.ReadHeader(oldRow);
        bool updated = (before.InfoMask & HeapInfoMask.XmaxInvalid) == 0 && !before.XmaxIsLockedOnly
            && before.Ctid != oldTid && before.Ctid.Offset != HeapRow.MovedPartitionsItem;
        Tid next = default;
        if (updated)
        {
            var key = (UpdaterOf(before), before.Ctid);
            if (!_moved.Remove(key, out next))
            {
                // The version after it has not come yet.
                _waiting[key] = (row, oldTid);
                return;
            }
        }

        Place(row, oldTid, next, updated);
    }

    /// <summary>Writes what is left, and gives the counts.</summary>
    public HeapRewriteResult Finish(double removed)
    {
        // The version after these is dead to everyone or gone: they end their chains.
        foreach ((byte[] row, Tid _) in _waiting.Values)
        {
            Put(row, default, false);
        }

        _waiting.Clear();
        WritePage();
        Xid frozen = _freezing.OldestXid;
        MultiXactId multi = _freezing.OldestMulti;
        return new HeapRewriteResult(
            _blocks, _rows, removed,
            _oldFrozenXid.IsNormal && frozen.Precedes(_oldFrozenXid) ? _oldFrozenXid : frozen,
            _oldMinMulti.IsValid && multi.Precedes(_oldMinMulti) ? _oldMinMulti : multi);
    }

    private Xid UpdaterOf(in HeapTupleHeader row) =>
        row.XmaxIsMulti ? _engine.Transactions.MultiXacts.GetUpdater(new MultiXactId(row.RawXmax)) : row.Xmax;

    /// <summary>The row in the new heap's form: dropped columns null, TOASTed values in the new TOAST table, xids as they were or frozen.</summary>
    private byte[] Form(ReadOnlySpan<byte> oldRow)
    {
        HeapTupleCodec.Deform(_old.Desc, oldRow, _values);
        for (int i = 0; i < _values.Length; i++)
        {
            if (_new.Desc[i].IsDropped)
            {
                _values[i] = Datum.Null;
            }
            else if (!_values[i].IsNull && _values[i].Object is ToastedValue { IsExternal: true } toasted)
            {
                _values[i] = Datum.FromBytes(Detoaster.Fetch(_engine, _old, toasted));
            }
        }

        Datum[] stored = _values;
        if (HeapTupleCodec.Size(_new.Desc, stored) > Toaster.Threshold)
        {
            stored = new Toaster(_engine, _new).Store(_tx, _values, default, HeapInsertOptions.SkipFsm);
        }

        byte[] row = HeapTupleCodec.Form(_new.Desc, stored);
        if (Page.AlignUp(row.Length) > HeapPage.MaxRowSize)
        {
            throw new PgException(SqlStates.ProgramLimitExceeded, $"row is too big: size {row.Length}, maximum size {HeapPage.MaxRowSize}");
        }

        ref HeapTupleHeader header = ref HeapTupleCodec.Header(row);
        ref readonly HeapTupleHeader old = ref HeapTupleCodec.ReadHeader(oldRow);
        (header.RawXmin, header.RawXmax, header.RawCommandId) = (old.RawXmin, old.RawXmax, old.RawCommandId);
        header.InfoMask = (header.InfoMask & ~HeapInfoMask.XactMask) | (old.InfoMask & HeapInfoMask.XactMask);
        if (_freezing.Plan(header, 0, out _) is { } plan)
        {
            HeapRow.Freeze(ref header, plan);
        }

        return row;
    }

    /// <summary>Stores a version, then the ones before it that waited for its place.</summary>
    private void Place(byte[] row, Tid oldTid, Tid next, bool hasNext)
    {
        while (true)
        {
            Tid place = Put(row, next, hasNext);
            HeapTupleHeader header = HeapTupleCodec.ReadHeader(row);

            // Only an updated version has one before it; one whose inserter ended before H has none that anybody sees.
            if ((header.InfoMask & HeapInfoMask.Updated) == 0 || !header.Xmin.IsNormal || header.Xmin.Precedes(_xidHorizon))
            {
                return;
            }

            var key = (header.Xmin, oldTid);
            if (!_waiting.Remove(key, out (byte[] Row, Tid OldTid) before))
            {
                _moved[key] = place;
                return;
            }

            (row, oldTid, next, hasNext) = (before.Row, before.OldTid, place, true);
        }
    }

    private Tid Put(byte[] row, Tid next, bool hasNext)
    {
        var page = new Page(_page);
        if (page.ItemCount > 0 && Page.AlignUp(row.Length) + _keptFree > HeapPage.FreeSpace(page))
        {
            WritePage();
            NewPage();
        }

        ushort item = (ushort)(page.ItemCount + 1);
        Invariant.Check(HeapPage.TryPlace(page, item, row.Length, out Span<byte> room), "heap", "a page with room for a row did not take it");
        row.CopyTo(room);
        var place = new Tid(new BlockNumber(_blocks), item);
        HeapTupleCodec.Header(room).Ctid = hasNext ? next : place;
        return place;
    }

    private void NewPage() => new Page(_page).Initialize(0);

    /// <summary>Puts a finished page into the pool and its image into the log.</summary>
    private void WritePage()
    {
        if (new Page(_page).ItemCount == 0)
        {
            return;
        }

        PinnedPage pin = _engine.Buffers.PinNew(_new.Node, ForkNumber.Main);
        try
        {
            using Invariant.CriticalSection critical = Invariant.EnterCritical();
            Page page = pin.Page;
            _page.CopyTo(page.Bytes);
            pin.MarkDirty();
            WalRecordBuilder record = _engine.WritableWal.Begin(_tx.XidOrInvalid);
            unsafe
            {
                record.AddBlock(0, pin.Tag, pin.Pointer, WalBlockFlags.ForceImage | WalBlockFlags.Standard);
            }

            page.Lsn = _engine.WritableWal.Insert(record, Rmgr.Xlog, FullPageImage);
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
        finally
        {
            pin.Unlatch();
            pin.Dispose();
        }

        _blocks++;
    }
}
