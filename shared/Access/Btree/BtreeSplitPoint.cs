using System.Runtime.InteropServices;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;

namespace SharedStorage.Access.Btree;

/// <summary>
/// Chooses where to split a page (nbtsplitloc.c): about half way, or by fill factor at the right end; among points that are about as good in space the one whose
/// new high key needs the fewest columns; never between equal keys if that can be helped. The page is seen as if the new item were already on it.
/// </summary>
internal ref struct BtreeSplitPoint
{
    private const double LeafDistance = 0.050;
    private const double InnerDistance = 0.075;

    private readonly record struct Candidate(int Delta, int LeftFree, int RightFree, int FirstRight, bool NewOnLeft);

    private enum Strategy
    {
        Default, ManyDuplicates, SingleValue,
    }

    private readonly BtreeTuples _tuples;
    private readonly int _keyCount;
    private readonly Page _page;
    private readonly IndexTuple _newItem;
    private readonly int _newOffset;
    private readonly int _newSize;
    private readonly bool _isLeaf;
    private readonly bool _isRightmost;
    private readonly List<Candidate> _points = [];
    private readonly int _leftSpace;
    private readonly int _rightSpace;
    private readonly int _oldTotal;
    private int _smallestFirstRight = int.MaxValue;
    private int _interval;

    private BtreeSplitPoint(BtreeTuples tuples, int keyCount, Page page, int newOffset, IndexTuple newItem)
    {
        ref BtreeOpaque opaque = ref BtreePage.Opaque(page);
        _tuples = tuples;
        _keyCount = keyCount;
        _page = page;
        _newItem = newItem;
        _newOffset = newOffset;
        _newSize = Page.AlignUp(newItem.Size) + ItemId.Size;
        _isLeaf = opaque.IsLeaf;
        _isRightmost = opaque.IsRightmost;
        _leftSpace = Page.Size - PageHeader.Size - BtreeOpaque.Size;
        _rightSpace = _leftSpace - (_isRightmost ? 0 : SizeOnPage(BtreePage.HighKey));
        _oldTotal = _rightSpace - page.ExactFreeSpace;
    }

    /// <summary>The first item of the page as it is that goes right; and whether the new item, if it goes just before that, goes left.</summary>
    public static (int FirstRight, bool NewOnLeft) Choose(
        BtreeTuples tuples, int keyCount, Page page, int newOffset, IndexTuple newItem, int leafFillFactor)
    {
        var split = new BtreeSplitPoint(tuples, keyCount, page, newOffset, newItem);
        split.CollectPoints();
        return split._points.Count > 0
            ? split.Choose(leafFillFactor / 100.0)
            : throw BtreePages.Corrupted("could not find a feasible split point of a btree page");
    }

    private readonly int SizeOnPage(int number) => Page.AlignUp(_page.Item(number).Length) + ItemId.Size;

    private void CollectPoints()
    {
        int last = _page.ItemCount;
        int left = 0;
        for (int number = BtreePage.Opaque(_page).FirstDataItem; number <= last; number++)
        {
            int size = SizeOnPage(number);
            if (number <= _newOffset)
            {
                AddPoint(number, newOnLeft: false, left, size);
            }

            if (number >= _newOffset)
            {
                AddPoint(number, newOnLeft: true, left, size);
            }

            left += size;
        }

        if (_newOffset > last)
        {
            AddPoint(_newOffset, newOnLeft: false, left, 0);
        }
    }

    private void AddPoint(int firstRight, bool newOnLeft, int oldToLeft, int firstRightSize)
    {
        int saved = 0;
        if (firstRight == _newOffset && !newOnLeft)
        {
            firstRightSize = _newSize;
        }
        else if (_isLeaf && firstRightSize > 64)
        {
            // A posting list does not go into the high key: so much that it counts.
            IndexTuple tuple = BtreePage.Tuple(_page, firstRight);
            saved = tuple.IsPosting ? tuple.Size - tuple.PostingOffset : 0;
        }

        // The first item on the right becomes the left page's high key, on a leaf perhaps with a place added; on an inner page it loses its key on the right.
        int leftFree = _leftSpace - oldToLeft - firstRightSize - (_isLeaf ? Page.AlignUp(6) - saved : 0) - (newOnLeft ? _newSize : 0);
        int rightFree = _rightSpace - (_oldTotal - oldToLeft) - (newOnLeft ? 0 : _newSize)
            + (_isLeaf ? 0 : firstRightSize - (IndexTuple.HeaderSize + ItemId.Size));
        if (leftFree >= 0 && rightFree >= 0)
        {
            _smallestFirstRight = Math.Min(_smallestFirstRight, firstRightSize);
            _points.Add(new Candidate(0, leftFree, rightFree, firstRight, newOnLeft));
        }
    }

    private (int FirstRight, bool NewOnLeft) Choose(double leafFill)
    {
        double? fill = null;
        if (!_isLeaf)
        {
            fill = _isRightmost ? BtreePage.InnerFillFactor / 100.0 : null;
        }
        else if (_isRightmost)
        {
            fill = leafFill;
        }
        else if (IsAfterNewItem(leafFill, out bool useFill))
        {
            // Keys grow at one place in the middle (a group's own sequence): what lies left of it is done with.
            if (!useFill && HasPointAfterNewItem())
            {
                return (_newOffset, true);
            }

            fill = useFill ? leafFill : null;
        }

        Candidate leftmost = _points[0];
        Candidate rightmost = _points[^1];
        SortByDelta(fill);
        _interval = DefaultInterval();
        (Strategy strategy, int perfect) = ChooseStrategy(leftmost, rightmost);
        if (strategy == Strategy.ManyDuplicates)
        {
            _interval = _points.Count;
        }
        else if (strategy == Strategy.SingleValue)
        {
            SortByDelta(BtreePage.SingleValueFillFactor / 100.0);
            _interval = 1;
        }

        Candidate best = BestOfInterval(perfect, strategy);
        return (best.FirstRight, best.NewOnLeft);
    }

    private readonly bool HasPointAfterNewItem()
    {
        int at = _newOffset;
        return _points.Exists(p => p.NewOnLeft && p.FirstRight == at);
    }

    private readonly void SortByDelta(double? fill)
    {
        Span<Candidate> points = CollectionsMarshal.AsSpan(_points);
        foreach (ref Candidate p in points)
        {
            double delta = fill is { } f ? (f * p.LeftFree) - ((1.0 - f) * p.RightFree) : p.LeftFree - p.RightFree;
            p = p with { Delta = (int)Math.Abs(delta) };
        }

        points.Sort((a, b) => a.Delta != b.Delta ? a.Delta.CompareTo(b.Delta) : a.FirstRight.CompareTo(b.FirstRight));
    }

    /// <summary>How many of the best points in space are about as good as the very best.</summary>
    private readonly int DefaultInterval()
    {
        int tolerance = (int)(_oldTotal * (_isLeaf ? LeafDistance : InnerDistance));
        Candidate best = _points[0];
        for (int i = 1; i < _points.Count; i++)
        {
            if (Math.Abs(_points[i].LeftFree - best.LeftFree) > tolerance || Math.Abs(_points[i].RightFree - best.RightFree) > tolerance)
            {
                return i;
            }
        }

        return _points.Count;
    }

    /// <summary>The strategy, and the penalty that cannot be bettered.</summary>
    private (Strategy Strategy, int Perfect) ChooseStrategy(in Candidate leftmost, in Candidate rightmost)
    {
        if (!_isLeaf)
        {
            return (Strategy.Default, _smallestFirstRight);
        }

        (Candidate left, Candidate right) = IntervalEdges();
        int perfect = _tuples.ColumnsToKeepByBytes(LastLeft(left), FirstRight(right));
        if (perfect <= _keyCount)
        {
            return (Strategy.Default, perfect);
        }

        perfect = _tuples.ColumnsToKeepByBytes(LastLeft(leftmost), FirstRight(rightmost));
        if (perfect <= _keyCount)
        {
            return (Strategy.ManyDuplicates, _keyCount);
        }

        // One value fills the page: the left page is filled up if further duplicates will come to the right one.
        bool last = _isRightmost || _tuples.ColumnsToKeepByBytes(BtreePage.Tuple(_page, BtreePage.HighKey), _newItem) <= _keyCount;
        return (last ? Strategy.SingleValue : Strategy.Default, perfect);
    }

    private readonly (Candidate Left, Candidate Right) IntervalEdges()
    {
        Candidate left = _points[0];
        Candidate right = _points[0];
        for (int i = 1; i < Math.Min(_interval, _points.Count); i++)
        {
            Candidate p = _points[i];
            left = Order(p) < Order(left) ? p : left;
            right = Order(p) > Order(right) ? p : right;
        }

        return (left, right);
    }

    private static int Order(in Candidate p) => (p.FirstRight * 2) + (p.NewOnLeft ? 1 : 0);

    private Candidate BestOfInterval(int perfect, Strategy strategy)
    {
        int best = 0;
        int bestPenalty = int.MaxValue;
        for (int i = 0; i < Math.Min(_interval, _points.Count); i++)
        {
            int penalty = Penalty(_points[i]);
            if (penalty < bestPenalty)
            {
                bestPenalty = penalty;
                best = i;
            }

            if (penalty <= perfect)
            {
                break;
            }
        }

        Candidate chosen = _points[best];

        // A new item that comes just before a group of duplicates would, split after split, leave ever smaller pages.
        bool nearNewItem = !chosen.NewOnLeft && chosen.FirstRight >= _newOffset && chosen.FirstRight < _newOffset + 9;
        return strategy == Strategy.ManyDuplicates && !_isRightmost && nearNewItem ? _points[0] : chosen;
    }

    private readonly int Penalty(in Candidate p)
    {
        if (_isLeaf)
        {
            return _tuples.ColumnsToKeepByBytes(LastLeft(p), FirstRight(p));
        }

        return !p.NewOnLeft && p.FirstRight == _newOffset ? _newSize : SizeOnPage(p.FirstRight);
    }

    private readonly IndexTuple LastLeft(in Candidate p) =>
        p.NewOnLeft && p.FirstRight == _newOffset ? _newItem : BtreePage.Tuple(_page, p.FirstRight - 1);

    private readonly IndexTuple FirstRight(in Candidate p) =>
        !p.NewOnLeft && p.FirstRight == _newOffset ? _newItem : BtreePage.Tuple(_page, p.FirstRight);

    /// <summary>
    /// Whether keys seem to grow just here, within a group: several columns, items of one small size, and the new one follows its neighbour in the first column
    /// and in the table.
    /// </summary>
    private readonly bool IsAfterNewItem(double leafFill, out bool useFill)
    {
        useFill = false;
        int last = _page.ItemCount;
        bool oneSize = _newSize == _smallestFirstRight && _newSize * (last - 1) == _oldTotal && _newSize <= 24 + ItemId.Size;
        if (_keyCount == 1 || _newOffset == BtreePage.HighKey + 1 || !oneSize)
        {
            return false;
        }

        IndexTuple before = BtreePage.Tuple(_page, _newOffset - 1);
        bool atEnd = _newOffset > last;
        if (!atEnd && (before.IsPosting || !IsAdjacent(before, _newItem)))
        {
            return false;
        }

        int keep = _tuples.ColumnsToKeepByBytes(before, _newItem);
        useFill = atEnd || (double)_newOffset / (last + 1.0) > leafFill;
        return keep > 1 && keep <= _keyCount;
    }

    private static bool IsAdjacent(IndexTuple low, IndexTuple high)
    {
        uint a = low.RawTid.Block.Value;
        uint b = high.RawTid.Block.Value;
        return a == b || (a + 1 == b && high.RawTid.Offset == 1);
    }
}
