using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Access.Heap;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute.Expressions;

namespace SharedStorage.Sql.Execute.Nodes;

/// <summary>One bound of an index scan: the value is computed at each start.</summary>
public sealed record IndexBound(int Column, BtreeStrategy Strategy, Evaluator? Value, Comparison<Datum>? Compare);

/// <summary>What scans of a btree have in common: bounds, which are exact and so not tested again.</summary>
public abstract class BtreeScanNode : TableScanNode
{
    private readonly BtreeIndex _index;
    private readonly bool _backward;
    private BtreeScanKey[] _keys = [];
    private IReadOnlyList<IndexBound> _bounds = [];
    private BtreeScan? _scan;
    private bool _empty;

    protected BtreeScanNode(ExecContext context, int entry, Relation table, IndexInfo index, bool backward, IReadOnlyList<short> systemColumns)
        : base(context, entry, table, systemColumns)
    {
        _index = new BtreeIndex(context.Engine, index);
        Heap = new HeapTable(context.Engine, table);
        _backward = backward;
    }

    protected HeapTable Heap { get; }

    public IReadOnlyList<IndexBound> Bounds
    {
        get => _bounds;
        set => (_bounds, _keys) = (value, new BtreeScanKey[value.Count]);
    }

    public override void Open()
    {
        _empty = false;
        for (int i = 0; i < _keys.Length; i++)
        {
            IndexBound bound = _bounds[i];
            Datum value = bound.Value?.Eval() ?? Datum.Null;
            if (value.IsNull && bound.Strategy is not (BtreeStrategy.IsNull or BtreeStrategy.IsNotNull))
            {
                // "column = null" holds for no row.
                _empty = true;
                return;
            }

            _keys[i] = new BtreeScanKey(bound.Column, bound.Strategy, value) { Compare = bound.Compare };
        }

        if (_scan is null)
        {
            _scan = _index.Scan(_keys, _backward);
        }
        else
        {
            _scan.Restart(_keys);
        }
    }

    public sealed override bool Next()
    {
        if (_empty)
        {
            return false;
        }

        BtreeScan scan = _scan!;
        Slot.Values = Row;
        while (scan.Next())
        {
            if (Context.Cancel.IsSet)
            {
                Context.Cancel.Check();
            }

            if (Fetch(scan, out bool allDead))
            {
                if (Filter is null || Filter.IsTrue())
                {
                    return true;
                }
            }
            else if (allDead)
            {
                scan.KillCurrent();
            }
        }

        return false;
    }

    public override void Close()
    {
        _scan?.Dispose();
        _scan = null;
    }

    /// <summary>Puts the row of the scan's current entry into the slot. False: the snapshot does not see it.</summary>
    protected abstract bool Fetch(BtreeScan scan, out bool allDead);
}

/// <summary>A btree scan that visits the heap for each entry.</summary>
public sealed class IndexScanNode(ExecContext context, int entry, Relation table, IndexInfo index, bool backward, IReadOnlyList<short> systemColumns)
    : BtreeScanNode(context, entry, table, index, backward, systemColumns)
{
    protected override bool Fetch(BtreeScan scan, out bool allDead)
    {
        Tid tid = scan.Tid;
        bool found = Heap.TryFetch(ref tid, Context.Snapshot, Row, out allDead);
        if (found)
        {
            SetSystemColumns(tid, default);
        }

        return found;
    }
}

/// <summary>
/// A btree scan whose columns are all in the index: the heap is visited only for rows of pages that the visibility map does not call all-visible (nodeIndexonlyscan.c).
/// </summary>
public sealed class IndexOnlyScanNode : BtreeScanNode
{
    private readonly LeafVisibility _visibility;
    private readonly Datum[] _values;
    private readonly (int From, int To)[] _copied;
    private readonly int _columns;

    /// <param name="context">The statement.</param>
    /// <param name="entry">The number of the entry in its query level.</param>
    /// <param name="table">The table.</param>
    /// <param name="index">The index.</param>
    /// <param name="backward">Against the index's order.</param>
    /// <param name="wanted">By column of the table, from 0: those that the query uses. The index has them all.</param>
    public IndexOnlyScanNode(ExecContext context, int entry, Relation table, IndexInfo index, bool backward, bool[] wanted)
        : base(context, entry, table, index, backward, [])
    {
        _visibility = new LeafVisibility(context.Engine, table.Node);
        _values = new Datum[index.Columns.Count];
        _copied = [.. Enumerable.Range(0, index.Columns.Count).Select(i => (i, index.Columns[i].HeapAttribute - 1)).Where(c => c.Item2 >= 0 && wanted[c.Item2])];
        _columns = _copied.Length == 0 ? 0 : _copied[^1].From + 1;
        Array.Fill(Row, Datum.Null);
    }

    /// <summary>How many rows were visited in the heap.</summary>
    public long HeapFetches { get; private set; }

    protected override bool Fetch(BtreeScan scan, out bool allDead)
    {
        allDead = false;
        if (!_visibility.IsCurrentVisible(scan))
        {
            HeapFetches++;
            Tid tid = scan.Tid;
            if (!Heap.IsVisible(ref tid, Context.Snapshot, out allDead))
            {
                return false;
            }
        }

        if (_columns > 0)
        {
            scan.GetValues(_values, _columns);
            foreach ((int from, int to) in _copied)
            {
                Row[to] = _values[from];
            }
        }

        return true;
    }
}
