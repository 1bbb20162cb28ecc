using SharedStorage.Buffers;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Access.Btree;

/// <summary>
/// A running index scan. It works a leaf page at a time: the matching items are copied out, then neither latch nor pin is held. So vacuum never waits for a
/// scan; who wants to trust an entry without visiting its row asks <see cref="IsLeafUnchanged"/> (R9).
/// </summary>
public sealed class BtreeScan : IDisposable
{
    private const int InitialItems = 16;

    private readonly BtreeDescent _descent;
    private readonly BtreePages _pages;
    private readonly BtreeSchema _schema;
    private readonly bool _backward;
    private BtreeScanPlan _plan;

    private Tid[] _tids = new Tid[InitialItems];
    private ItemPlace[] _places = new ItemPlace[InitialItems];
    private byte[] _keys = new byte[InitialItems * 16];
    private int _keyBytes;
    private int _count;
    private int _current;
    private List<int>? _killed;

    private bool _started;
    private bool _more;
    private uint _block;
    private uint _next;
    private Lsn _lsn;

    private readonly record struct ItemPlace(ushort Number, ushort KeyOffset);

    internal BtreeScan(BtreeDescent descent, BtreeSchema schema, IReadOnlyList<BtreeScanKey> keys, bool backward)
    {
        _descent = descent;
        _pages = descent.Pages;
        _schema = schema;
        _backward = backward;
        _plan = new BtreeScanPlan(schema, keys, backward);
    }

    /// <summary>The row of the current entry.</summary>
    public Tid Tid => _tids[_current];

    /// <summary>The rows of the entries that were taken from the current leaf, and which of them is the current one.</summary>
    internal ReadOnlySpan<Tid> LeafRows => _tids.AsSpan(0, _count);
    internal int LeafPosition => _current;

    /// <summary>Counts the leaves that gave entries, so that who keeps something about a leaf knows when it is another's.</summary>
    internal long LeafNumber { get; private set; }

    /// <summary>Goes to the next entry that matches. False: there is none.</summary>
    /// <exception cref="StorageException">The index is damaged.</exception>
    public bool Next()
    {
        if (_started && ++_current < _count)
        {
            return true;
        }

        int mark = HeldPages.Mark;
        try
        {
            if (_started)
            {
                return StepPage();
            }

            _started = true;
            return First();
        }
        catch
        {
            HeldPages.ReleaseTo(mark);
            throw;
        }
    }

    /// <summary>The values of the current entry (index-only scans).</summary>
    public void GetValues(Datum[] values) => GetValues(values, _schema.ColumnCount);

    /// <summary>The values of the current entry's first columns. Rows of one posting list share them.</summary>
    public void GetValues(Datum[] values, int columns)
    {
        var tuple = new IndexTuple(_keys.AsSpan(_places[_current].KeyOffset, _keyBytes - _places[_current].KeyOffset));
        IndexTupleCodec.Deform(_schema.Desc, tuple.Bytes, columns, values);
        for (int i = 0; i < columns; i++)
        {
            values[i] = IndexValues.Plain(values[i]);
        }
    }

    /// <summary>
    /// Whether the leaf of the current entry is as it was when it was read. An index-only scan asks this AFTER it saw the row's page all-visible: an entry that
    /// was removed since, and whose place may be another row's by now, is met here; then the row must be visited.
    /// </summary>
    public bool IsLeafUnchanged()
    {
        BtreeBuffer buffer = _pages.Get(_block, LatchMode.Shared);
        bool same = buffer.Page.Lsn == _lsn;
        buffer.Release();
        return same;
    }

    /// <summary>The current entry's row is dead to everyone (R5): it is marked so when the page is left. Nothing happens on a reader.</summary>
    public void KillCurrent()
    {
        if (_pages.CanWrite)
        {
            (_killed ??= []).Add(_current);
        }
    }

    public void Restart(IReadOnlyList<BtreeScanKey> keys)
    {
        Leave();
        _plan = new BtreeScanPlan(_schema, keys, _backward);
        _started = false;
        _count = 0;
    }

    public void Dispose()
    {
        Leave();
        _more = false;
        _count = 0;
        _started = true;
    }

    private bool First()
    {
        _current = 0;
        _count = 0;
        _more = false;
        if (!_plan.CanMatch)
        {
            return false;
        }

        BtreeSearchKey start = _plan.Start;
        BtreeBuffer buffer = start.Count > 0 ? _descent.FindLeaf(start, LatchMode.Shared, null) : _descent.FindEnd(0, _backward);
        if (!buffer.IsValid)
        {
            return false;
        }

        int number;
        if (start.Count > 0)
        {
            number = start.Find(buffer.Page, buffer.Opaque) - (_plan.GoBack ? 1 : 0);
        }
        else
        {
            number = _backward ? buffer.Page.ItemCount : buffer.Opaque.FirstDataItem;
        }

        bool any = ReadPage(buffer, number);
        buffer.Release();
        return any || StepPage();
    }

    private bool StepPage()
    {
        Leave();
        _current = 0;
        _count = 0;
        if (!_more)
        {
            return false;
        }

        return _backward ? StepLeft() : StepRight();
    }

    private bool StepRight()
    {
        while (_more && _next != 0)
        {
            BtreeBuffer buffer = _pages.Get(_next, LatchMode.Shared);
            bool any = false;
            if (buffer.Opaque.IsIgnored)
            {
                _next = buffer.Opaque.Next;
            }
            else
            {
                any = ReadPage(buffer, buffer.Opaque.FirstDataItem);
            }

            buffer.Release();
            if (any)
            {
                return true;
            }
        }

        _more = false;
        return false;
    }

    private bool StepLeft()
    {
        BtreeBuffer buffer = _pages.Get(_block, LatchMode.Shared);
        while (_more)
        {
            buffer = _descent.WalkLeft(buffer);
            if (!buffer.IsValid)
            {
                _more = false;
                return false;
            }

            if (!buffer.Opaque.IsIgnored && ReadPage(buffer, buffer.Page.ItemCount))
            {
                buffer.Release();
                return true;
            }
        }

        buffer.Release();
        return false;
    }

    /// <summary>Copies the matching items of a leaf, from the given one on in the scan's direction. False: there are none.</summary>
    private bool ReadPage(BtreeBuffer buffer, int from)
    {
        Page page = buffer.Page;
        ref BtreeOpaque opaque = ref buffer.Opaque;
        _block = buffer.Block;
        _next = opaque.Next;
        _lsn = page.Lsn;
        _count = 0;
        _keyBytes = 0;
        _more = true;
        int first = opaque.FirstDataItem;
        int last = page.ItemCount;
        bool goesOn = true;
        int number = _backward ? Math.Min(from, last) : Math.Max(from, first);
        int step = _backward ? -1 : 1;
        for (; goesOn && number >= first && number <= last; number += step)
        {
            // A reader's snapshot may be older than the writer's reason for the mark (R5).
            bool dead = page.Item(number).IsDead && _pages.CanWrite;
            bool mayEnd = _backward ? number == first : number == last;
            if (dead && !mayEnd)
            {
                continue;
            }

            IndexTuple tuple = BtreePage.Tuple(page, number);
            if (_plan.Matches(tuple, _schema.ColumnCount, out goesOn) && !dead)
            {
                Save(tuple, number);
            }
        }

        if (goesOn && !_backward && !opaque.IsRightmost)
        {
            // The high key bounds the next page: it often shows that no visit there is needed.
            IndexTuple highKey = BtreePage.Tuple(page, BtreePage.HighKey);
            _plan.Matches(highKey, highKey.ColumnCount(_schema.ColumnCount), out goesOn);
        }

        _more = goesOn && (_backward ? !opaque.IsLeftmost : !opaque.IsRightmost);
        _current = 0;
        LeafNumber += _count > 0 ? 1 : 0;
        return _count > 0;
    }

    private void Save(IndexTuple tuple, int number)
    {
        int rows = tuple.RowCount;
        int size = tuple.KeySize;
        if (_keyBytes + size > _keys.Length)
        {
            Array.Resize(ref _keys, Math.Max(_keys.Length * 2, _keyBytes + size));
        }

        if (_count + rows > _tids.Length)
        {
            int length = Math.Max(_tids.Length * 2, _count + rows);
            Array.Resize(ref _tids, length);
            Array.Resize(ref _places, length);
        }

        Span<byte> key = _keys.AsSpan(_keyBytes, size);
        tuple.Bytes[..size].CopyTo(key);
        IndexTuple.WriteSize(key, size);
        var place = new ItemPlace((ushort)number, (ushort)_keyBytes);
        for (int i = 0; i < rows; i++)
        {
            _tids[_count] = tuple.RowTid(i);
            _places[_count++] = place;
        }

        _keyBytes += size;
    }

    /// <summary>
    /// Marks the entries that were found dead, if their page is as it was read: without a pin their places may be other rows' after any change (_bt_killitems).
    /// </summary>
    private void Leave()
    {
        if (_killed is not { Count: > 0 })
        {
            return;
        }

        BtreeBuffer buffer = _pages.Get(_block, LatchMode.Shared);
        Page page = buffer.Page;
        if (page.Lsn == _lsn && MarkDead(page))
        {
            // The flag and the marks are hints; writing them under a shared latch is what PostgreSQL does, too.
            buffer.Opaque.Flags |= BtreePageFlags.HasGarbage;
            buffer.Pin.MarkDirtyHint(standardLayout: true);
        }

        buffer.Release();
        _killed.Clear();
    }

    private bool MarkDead(Page page)
    {
        _killed!.Sort();
        bool any = false;
        int last = page.ItemCount;
        for (int i = 0; i < _killed.Count;)
        {
            int number = _places[_killed[i]].Number;
            int killed = 0;
            int previous = -1;
            for (; i < _killed.Count && _places[_killed[i]].Number == number; i++)
            {
                killed += _killed[i] == previous ? 0 : 1;
                previous = _killed[i];
            }

            // A posting entry goes only with all its rows.
            if (number <= last && !page.Item(number).IsDead && killed == BtreePage.Tuple(page, number).RowCount)
            {
                ItemId id = page.Item(number);
                page.Item(number) = new ItemId(id.Offset, ItemState.Dead, id.Length);
                any = true;
            }
        }

        return any;
    }
}
