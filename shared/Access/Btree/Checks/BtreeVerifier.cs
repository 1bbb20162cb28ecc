using System.Globalization;
using SharedStorage.Buffers;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Access.Btree.Checks;

/// <summary>What a check of an index found: counts, and each violation in words.</summary>
public sealed record BtreeReport(long Rows, uint LeafPages, uint Levels, IReadOnlyList<string> Problems)
{
    public bool IsSound => Problems.Count == 0;
}

/// <summary>
/// Checks the structure of an index that nobody writes meanwhile: metapage, levels from the root down, links between neighbours, order within and between
/// pages, each child's bounds against its entry in the parent (what amcheck's bt_index_parent_check checks). For tests and for tools.
/// </summary>
public sealed class BtreeVerifier
{
    private const int MaxProblems = 100;

    private readonly BtreeSchema _schema;
    private readonly BtreePages _pages;
    private readonly List<string> _problems = [];
    private long _rows;
    private uint _leaves;

    private BtreeVerifier(BtreeSchema schema, BtreePages pages)
    {
        _schema = schema;
        _pages = pages;
    }

    /// <summary>An entry of a level above: the child and its lower bound, which is the key of the entry.</summary>
    private sealed record Child(uint Block, byte[]? LowerBound);

    public static BtreeReport Check(StorageEngine engine, IndexInfo index) =>
        Check(new BtreeSchema(index), new PoolBtreePages(engine.Buffers, index.Relation.Node, index.Relation.Name));

    internal static BtreeReport Check(BtreeSchema schema, BtreePages pages)
    {
        var verifier = new BtreeVerifier(schema, pages);
        BtreeMeta meta = new BtreeDescent(pages, schema).ReadMeta();
        if (meta.Root == 0)
        {
            return new BtreeReport(0, 0, 0, []);
        }

        List<Child> level = [new Child(meta.Root, null)];
        for (int depth = (int)meta.Level; depth >= 0; depth--)
        {
            level = verifier.CheckLevel(level, (uint)depth, isRoot: depth == meta.Level && !verifier.IsSplitRoot(meta.Root));
            if (depth == meta.FastLevel && !verifier._fastRootSeen)
            {
                verifier.CheckFastRoot(meta);
            }
        }

        return new BtreeReport(verifier._rows, verifier._leaves, meta.Level + 1, verifier._problems);
    }

    private bool _fastRootSeen;

    private void CheckFastRoot(in BtreeMeta meta)
    {
        _fastRootSeen = true;
        BtreeBuffer buffer = _pages.Get(meta.FastRoot, LatchMode.Shared);
        ref BtreeOpaque opaque = ref buffer.Opaque;
        if (!opaque.IsIgnored && !opaque.IsIncompleteSplit && (opaque.Level != meta.FastLevel || !opaque.IsLeftmost || !opaque.IsRightmost))
        {
            Report(buffer.Block, "is the fast root but not alone on its level");
        }

        buffer.Release();
    }

    /// <summary>The root was split, and there is no new root yet: the metapage names the left half.</summary>
    private bool IsSplitRoot(uint root)
    {
        BtreeBuffer buffer = _pages.Get(root, LatchMode.Shared);
        bool result = buffer.Opaque.IsIncompleteSplit;
        buffer.Release();
        return result;
    }

    /// <summary>Walks a level from the left; gives the children of its pages.</summary>
    private List<Child> CheckLevel(List<Child> expected, uint level, bool isRoot)
    {
        var children = new List<Child>();
        int next = 0;
        uint previous = 0;
        uint block = expected[0].Block;
        byte[]? lowerBound = null;
        bool afterIncompleteSplit = false;
        while (block != 0 && _problems.Count < MaxProblems)
        {
            BtreeBuffer buffer = _pages.Get(block, LatchMode.Shared);
            Page page = buffer.Page;
            ref BtreeOpaque opaque = ref buffer.Opaque;
            Expect(opaque.Prev == previous, block, $"has left link {opaque.Prev}, expected {previous}");
            Expect(opaque.Level == level, block, $"has level {opaque.Level}, expected {level}");
            Expect(!opaque.IsDeleted, block, "is deleted but linked");
            Expect(opaque.IsLeaf == (level == 0), block, "has the wrong leaf flag");
            Expect(opaque.IsRoot == isRoot, block, "has the wrong root flag");
            bool inParent = next < expected.Count && expected[next].Block == block;
            Expect(inParent || opaque.IsHalfDead || afterIncompleteSplit, block, "has no entry in the level above");
            if (inParent)
            {
                CheckBound(block, expected[next].LowerBound, lowerBound);
                next++;
            }

            if (!opaque.IsHalfDead)
            {
                lowerBound = CheckPage(buffer, lowerBound, children);
            }

            afterIncompleteSplit = opaque.IsIncompleteSplit || (afterIncompleteSplit && opaque.IsHalfDead);
            previous = block;
            block = opaque.Next;
            buffer.Release();
        }

        Expect(next == expected.Count, previous, $"ends its level with {expected.Count - next} entries of the level above not met");
        return children;
    }

    /// <summary>The entry in the parent must be the high key of the page to the left, byte for byte but for the child.</summary>
    private void CheckBound(uint block, byte[]? inParent, byte[]? highKeyOfLeft)
    {
        if (inParent is not null && highKeyOfLeft is not null)
        {
            Expect(inParent.AsSpan(4).SequenceEqual(highKeyOfLeft.AsSpan(4)), block, "has another lower bound in its parent than its left sibling's high key");
        }
    }

    /// <summary>Order of the items, and both bounds; gives the high key.</summary>
    private byte[]? CheckPage(BtreeBuffer buffer, byte[]? lowerBound, List<Child> children)
    {
        Page page = buffer.Page;
        ref BtreeOpaque opaque = ref buffer.Opaque;
        int first = opaque.FirstDataItem;
        int last = page.ItemCount;
        byte[]? highKey = opaque.IsRightmost ? null : BtreePage.Tuple(page, BtreePage.HighKey).Bytes.ToArray();
        for (int number = first; number <= last; number++)
        {
            IndexTuple tuple = BtreePage.Tuple(page, number);
            Expect(opaque.IsLeaf != tuple.IsPivot, buffer.Block, $"has at item {number} an entry of the wrong kind");
            if (!opaque.IsLeaf)
            {
                bool isFirst = number == first;
                Expect(!isFirst || tuple.PivotColumns == 0, buffer.Block, "has a first item that is not minus infinity");
                children.Add(new Child(tuple.DownLink.Value, isFirst ? lowerBound : tuple.Bytes.ToArray()));
            }
            else
            {
                CheckRows(buffer.Block, number, tuple);
            }

            if (number > first)
            {
                Expect(Compare(BtreePage.Tuple(page, number - 1), tuple) < 0, buffer.Block, $"has items {number - 1} and {number} out of order");
            }
        }

        if (opaque.IsLeaf)
        {
            _leaves++;
        }

        if (last < first)
        {
            return highKey;
        }

        int lowest = opaque.IsLeaf ? first : first + 1;
        if (lowerBound is not null && lowest <= last)
        {
            int order = Compare(new IndexTuple(lowerBound), BtreePage.Tuple(page, lowest));
            Expect(order < 0, buffer.Block, "has an item that is not above its lower bound");
        }

        if (highKey is not null)
        {
            Expect(CompareLast(page, last, highKey) <= 0, buffer.Block, "has an item above its high key");
        }

        return highKey;
    }

    private int CompareLast(Page page, int last, byte[] highKey)
    {
        IndexTuple tuple = BtreePage.Tuple(page, last);
        BtreeSearchKey key = KeyOf(tuple);
        if (!tuple.IsPivot)
        {
            key.RowTid = tuple.MaxHeapTid;
        }

        return CompareKey(key, new IndexTuple(highKey));
    }

    private void CheckRows(uint block, int number, IndexTuple tuple)
    {
        _rows += tuple.RowCount;
        Expect(!tuple.IsPosting || tuple.PostingCount > 1, block, $"has at item {number} a posting list of one row");
        for (int i = 1; i < tuple.RowCount; i++)
        {
            Expect(tuple.RowTid(i - 1).CompareTo(tuple.RowTid(i)) < 0, block, $"has at item {number} a posting list out of order");
        }
    }

    private int Compare(IndexTuple left, IndexTuple right)
    {
        BtreeSearchKey key = KeyOf(left);
        if (!left.IsPivot)
        {
            key.RowTid = left.MaxHeapTid;
        }

        return CompareKey(key, right);
    }

    /// <summary>The order of a whole entry against another, both with cut columns as minus infinity.</summary>
    private int CompareKey(BtreeSearchKey key, IndexTuple right)
    {
        int columns = right.ColumnCount(_schema.KeyCount);
        columns = Math.Min(columns, _schema.KeyCount);
        for (int i = 0; i < Math.Min(columns, key.Count); i++)
        {
            int order = _schema.CompareKeyToColumn(i, right, key.Parts[i]);
            if (order != 0)
            {
                return order;
            }
        }

        if (key.Count != columns)
        {
            return key.Count.CompareTo(columns);
        }

        bool hasTid = right.TryGetHeapTid(out Tid tid);
        return !key.HasTid || !hasTid ? key.HasTid.CompareTo(hasTid) : key.RowTid.CompareTo(tid);
    }

    private BtreeSearchKey KeyOf(IndexTuple tuple)
    {
        var key = new BtreeSearchKey(_schema) { Count = Math.Min(tuple.ColumnCount(_schema.KeyCount), _schema.KeyCount) };
        for (int i = 0; i < key.Count; i++)
        {
            key.Parts[i] = new KeyPart(IndexValues.Plain(IndexColumns.Value(_schema.Desc, tuple, i)), null);
        }

        key.HasTid = tuple.TryGetHeapTid(out Tid tid);
        key.RowTid = tid;
        return key;
    }

    private void Expect(bool holds, uint block, string problem)
    {
        if (!holds)
        {
            Report(block, problem);
        }
    }

    private void Report(uint block, string problem) =>
        _problems.Add(string.Create(CultureInfo.InvariantCulture, $"block {block} of index \"{_schema.Name}\" {problem}"));
}
