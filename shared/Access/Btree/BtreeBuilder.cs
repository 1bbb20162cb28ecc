using SharedStorage.Buffers;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;

namespace SharedStorage.Access.Btree;

/// <summary>
/// Writes an index from sorted entries, leaves first: one page per level is being filled, and goes to the pool with a full-page image in the log
/// when it is full (nbtsort.c). The metapage comes last: until then the index is not valid.
/// </summary>
internal sealed class BtreeBuilder(BtreeWriter writer, BtreeTuples tuples, Xid xid)
{
    private const byte FullPageImage = 0xB0;

    /// <summary>Posting entries take no more than the room that a leaf at the default fill factor leaves free.</summary>
    private const int MaxPostingSize = ((Page.Size * 10 / 100) & ~7) - ItemId.Size;

    /// <summary>A level's rightmost page. The first line pointer is kept for the high key.</summary>
    private sealed class Level(uint number, uint block, int full)
    {
        public readonly uint Number = number;
        public readonly int Full = full;
        public uint Block = block;
        public byte[] Bytes = NewPage(number);
        public byte[]? LowKey;
        public int LastItem = BtreePage.HighKey;
        public int LastExtra;
        public Level? Parent;
        public Page Page => new(Bytes);
    }

    private readonly byte[] _pending = new byte[Page.Size];
    private readonly byte[] _made = new byte[Page.Size];
    private readonly byte[] _tids = new byte[Page.Size];
    private readonly byte[] _highKey = new byte[Page.Size];
    private readonly BtreeSchema _schema = writer.Schema;
    private readonly RelFileNode _node = writer.Schema.Index.Relation.Node;
    private Level? _leaf;
    private uint _allocated = 1;
    private int _tidBytes;

    public void Build(BtreeSorter sorted, bool deduplicate)
    {
        bool merge = deduplicate && AllEqualImage && _schema.Index.DeduplicateItems;
        for (int i = 0; i < sorted.Count; i++)
        {
            _leaf ??= NewLevel(0);
            IndexTuple item = sorted[i];
            if (!merge)
            {
                Add(_leaf, item, 0);
            }
            else if (_tidBytes == 0 || !TryMerge(item))
            {
                FlushPending();
                item.Bytes.CopyTo(_pending);
                item.Bytes[..Tid.Size].CopyTo(_tids);
                _tidBytes = Tid.Size;
            }
        }

        FlushPending();
        (uint root, uint level) = FinishLevels();
        byte[] meta = new byte[Page.Size];
        BtreePage.InitializeMeta(new Page(meta), new BtreeMeta
        {
            Version = BtreeMeta.CurrentVersion,
            Root = root,
            Level = level,
            FastRoot = root,
            FastLevel = level,
            AllEqualImage = AllEqualImage,
        });
        Write(meta, BtreePage.MetaBlock);
    }

    private bool AllEqualImage =>
        _schema.KeyCount == _schema.ColumnCount && _schema.Index.Columns.All(c => c.EqualImage);

    private static byte[] NewPage(uint level)
    {
        byte[] bytes = new byte[Page.Size];
        var page = new Page(bytes);
        BtreePage.Initialize(page);
        ref BtreeOpaque opaque = ref BtreePage.Opaque(page);
        opaque.Level = level;
        opaque.Flags = level == 0 ? BtreePageFlags.Leaf : BtreePageFlags.None;
        page.Header.Lower += ItemId.Size;
        return bytes;
    }

    private Level NewLevel(uint number)
    {
        int fill = number == 0 ? _schema.Index.Relation.FillFactor : BtreePage.InnerFillFactor;
        return new Level(number, _allocated++, Page.Size * (100 - fill) / 100);
    }

    private bool TryMerge(IndexTuple item)
    {
        var pending = new IndexTuple(_pending);
        if (Page.AlignUp(pending.Size + _tidBytes + Tid.Size) > MaxPostingSize || tuples.ColumnsToKeepByBytes(pending, item) <= _schema.KeyCount)
        {
            return false;
        }

        item.Bytes[..Tid.Size].CopyTo(_tids.AsSpan(_tidBytes));
        _tidBytes += Tid.Size;
        return true;
    }

    private void FlushPending()
    {
        if (_tidBytes == 0)
        {
            return;
        }

        var pending = new IndexTuple(_pending);
        int size = PostingList.Form(pending, _tids.AsSpan(0, _tidBytes), _made);
        Add(_leaf!, new IndexTuple(_made.AsSpan(0, size)), size - pending.Size);
        _tidBytes = 0;
    }

    /// <summary>Adds an item to a level; finishes its page first when that is full. <paramref name="extra"/>: the bytes of its posting list.</summary>
    private void Add(Level level, scoped IndexTuple item, int extra)
    {
        int lastExtra = level.LastExtra;
        level.LastExtra = extra;
        bool isLeaf = level.Number == 0;
        int room = level.Page.FreeSpace;
        int needed = item.Size + (isLeaf ? Page.AlignUp(Tid.Size) : 0);

        // At least two items are on each page, whatever the fill factor.
        if (room < needed || (room + lastExtra < level.Full && level.LastItem > BtreePage.HighKey + 1))
        {
            FinishPage(level);
        }

        if (level.LastItem == BtreePage.HighKey)
        {
            level.LowKey = new byte[IndexTuple.HeaderSize];
            IndexTuple.WriteHeader(level.LowKey, new Tid(new BlockNumber(0), 0), IndexTuple.HeaderSize, hasNulls: false, hasVarWidths: false);
            new IndexTuple(level.LowKey).SetPivot(0, heapTid: false);
        }

        level.LastItem++;
        Place(level.Page, item, level.LastItem, cut: !isLeaf && level.LastItem == BtreePage.HighKey + 1);
    }

    /// <summary>The first item of an inner page has no key: it is minus infinity.</summary>
    private static void Place(Page page, scoped IndexTuple item, int number, bool cut)
    {
        if (!cut)
        {
            IndexPage.Add(page, item.Bytes, number);
            return;
        }

        Span<byte> bytes = stackalloc byte[IndexTuple.HeaderSize];
        IndexTuple.WriteHeader(bytes, item.RawTid, IndexTuple.HeaderSize, hasNulls: false, hasVarWidths: false);
        new IndexTuple(bytes).SetPivot(0, heapTid: false);
        IndexPage.Add(page, bytes, number);
    }

    /// <summary>Moves the last item of the page to a new one and makes it the old page's high key; links the old page into its parent and writes it.</summary>
    private void FinishPage(Level level)
    {
        Page old = level.Page;
        uint oldBlock = level.Block;
        byte[] oldBytes = level.Bytes;
        bool isLeaf = level.Number == 0;
        byte[] newBytes = NewPage(level.Number);
        uint newBlock = _allocated++;
        int last = level.LastItem;
        IndexTuple moved = BtreePage.Tuple(old, last);
        Place(new Page(newBytes), moved, BtreePage.HighKey + 1, cut: !isLeaf);
        old.Item(BtreePage.HighKey) = old.Item(last);
        old.Item(last) = default;
        old.Header.Lower -= ItemId.Size;
        if (isLeaf)
        {
            int size = tuples.FormHighKey(BtreePage.Tuple(old, last - 1), moved, _highKey);
            if (!IndexPage.TryOverwrite(old, BtreePage.HighKey, _highKey.AsSpan(0, size)))
            {
                throw BtreePages.Corrupted($"failed to add high key while building index \"{_schema.Name}\"");
            }
        }

        level.Parent ??= NewLevel(level.Number + 1);
        AddDownLink(level, oldBlock);
        level.LowKey = BtreePage.Tuple(old, BtreePage.HighKey).Bytes.ToArray();
        BtreePage.Opaque(old).Next = newBlock;
        BtreePage.Opaque(new Page(newBytes)).Prev = oldBlock;
        Write(oldBytes, oldBlock);
        level.Bytes = newBytes;
        level.Block = newBlock;
        level.LastItem = BtreePage.HighKey + 1;
    }

    private void AddDownLink(Level level, uint block)
    {
        var low = new IndexTuple(level.LowKey!);
        low.DownLink = new BlockNumber(block);
        Add(level.Parent!, low, 0);
    }

    /// <summary>Writes the last page of each level, which has no high key; gives root and its level, or none for an empty index.</summary>
    private (uint Root, uint Level) FinishLevels()
    {
        (uint, uint) root = (0, 0);
        for (Level? level = _leaf; level is not null; level = level.Parent)
        {
            Page page = level.Page;
            if (level.Parent is null)
            {
                BtreePage.Opaque(page).Flags |= BtreePageFlags.Root;
                root = (level.Block, level.Number);
            }
            else
            {
                AddDownLink(level, level.Block);
            }

            int count = page.ItemCount;
            for (int i = BtreePage.HighKey; i < count; i++)
            {
                page.Item(i) = page.Item(i + 1);
            }

            page.Item(count) = default;
            page.Header.Lower -= ItemId.Size;
            Write(level.Bytes, level.Block);
        }

        return root;
    }

    /// <summary>Puts a finished page into the pool and its image into the log.</summary>
    private void Write(byte[] bytes, uint block)
    {
        while (writer.Pages.BlockCount <= block)
        {
            // Pages are finished in another order than numbered: those in between stay zero until their turn.
            PinnedPage added = writer.Engine.Buffers.PinNew(_node, ForkNumber.Main);
            added.Unlatch();
            added.Dispose();
        }

        var tag = new BufferTag(_node, ForkNumber.Main, new BlockNumber(block));
        using PinnedPage pin = writer.Engine.Buffers.Pin(tag, PinMode.NoRead);
        using ExclusiveLatch latch = pin.LatchExclusive();
        using Invariant.CriticalSection critical = Invariant.EnterCritical();
        try
        {
            Page page = pin.Page;
            bytes.CopyTo(page.Bytes);
            pin.MarkDirty();
            WalRecordBuilder record = writer.Begin(xid);
            unsafe
            {
                record.AddBlock(0, tag, pin.Pointer, WalBlockFlags.ForceImage | WalBlockFlags.Standard);
            }

            page.Lsn = writer.Wal.Insert(record, Rmgr.Xlog, FullPageImage);
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
    }
}
