using SharedStorage.Buffers;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Access.Btree;

/// <summary>The way down: per level the page and the item whose child was taken. It may be out of date when it is used; pages only ever split to the right.</summary>
internal sealed class BtreeStack
{
    private readonly List<(uint Block, int Offset)> _entries = [];

    public int Depth => _entries.Count;
    public (uint Block, int Offset) this[int depth] => _entries[depth];
    public void Clear() => _entries.Clear();
    public void Push(uint block, int offset) => _entries.Add((block, offset));
    public void Set(int depth, uint block, int offset) => _entries[depth] = (block, offset);
}

/// <summary>
/// Finds pages by key, after Lehman and Yao: one page is latched at a time, and whoever comes to a page that was split since its link was read moves
/// right by the high key (nbtsearch.c). So on a reader each page may be of a later version than the one before it (R9).
/// </summary>
internal sealed class BtreeDescent(BtreePages pages, BtreeSchema schema)
{
    /// <summary>Finishes a split that was left without its entry in the parent; gives back no page. Set by the inserting side.</summary>
    public Action<BtreeBuffer, BtreeStack, int>? FinishSplit { get; set; }

    private volatile CachedRoot? _root;

    /// <summary>Whether the index allows deduplication; known once a root was found.</summary>
    public bool AllEqualImage { get; private set; }

    private sealed record CachedRoot(uint Block, uint Level);

    public BtreePages Pages => pages;

    /// <summary>The metapage's content.</summary>
    /// <exception cref="StorageException">Block 0 is no metapage.</exception>
    public BtreeMeta ReadMeta()
    {
        BtreeBuffer buffer = pages.Get(BtreePage.MetaBlock, LatchMode.Shared);
        BtreeMeta meta = BtreePage.Meta(buffer.Page);
        bool isMeta = buffer.Opaque.IsMeta;
        buffer.Release();
        CheckMeta(meta, isMeta);
        AllEqualImage = meta.AllEqualImage;
        return meta;
    }

    public void CheckMeta(in BtreeMeta meta, bool isMeta)
    {
        if (!isMeta || meta.Magic != BtreeMeta.ExpectedMagic)
        {
            throw BtreePages.Corrupted($"index \"{schema.Name}\" is not a btree");
        }

        if (meta.Version != BtreeMeta.CurrentVersion)
        {
            throw PgException.NotSupported($"version {meta.Version} of btree index \"{schema.Name}\" (REINDEX makes version {BtreeMeta.CurrentVersion})");
        }
    }

    public void ForgetRoot() => _root = null;

    /// <summary>The page where searches begin, latched shared; invalid when the index is empty (_bt_getroot).</summary>
    public BtreeBuffer GetRoot()
    {
        if (_root is { } cached)
        {
            // The page may have been split, deleted or used anew since: it will do only as long as it is alone on its level.
            BtreeBuffer known = pages.Get(cached.Block, LatchMode.Shared);
            ref BtreeOpaque opaque = ref known.Opaque;
            if (!opaque.IsIgnored && !opaque.IsMeta && opaque.Level == cached.Level && opaque.IsLeftmost && opaque.IsRightmost)
            {
                return known;
            }

            known.Release();
            _root = null;
        }

        BtreeMeta meta = ReadMeta();
        if (meta.Root == 0)
        {
            return default;
        }

        BtreeBuffer root = SkipIgnored(pages.Get(meta.FastRoot, LatchMode.Shared));
        if (root.Opaque.Level != meta.FastLevel)
        {
            throw BtreePages.Corrupted($"root page {root.Block} of index \"{schema.Name}\" has level {root.Opaque.Level}, expected {meta.FastLevel}");
        }

        _root = new CachedRoot(root.Block, meta.FastLevel);
        return root;
    }

    /// <summary>The true root, not the fast one; for walks to inner levels. Invalid when the index is empty.</summary>
    public BtreeBuffer GetTrueRoot()
    {
        BtreeMeta meta = ReadMeta();
        return meta.Root == 0 ? default : SkipIgnored(pages.Get(meta.Root, LatchMode.Shared));
    }

    /// <summary>
    /// The leaf where the key belongs, latched in the given mode; invalid when the index is empty. In exclusive mode incomplete splits on the way are
    /// finished. The way down is put on the stack.
    /// </summary>
    public BtreeBuffer FindLeaf(BtreeSearchKey key, LatchMode leafMode, BtreeStack? stack)
    {
        stack?.Clear();
        BtreeBuffer buffer = GetRoot();
        if (!buffer.IsValid)
        {
            return buffer;
        }

        bool forInsert = leafMode == LatchMode.Exclusive;
        LatchMode mode = LatchMode.Shared;
        while (true)
        {
            buffer = MoveRight(key, buffer, mode, forInsert, stack, stack?.Depth ?? 0);
            ref BtreeOpaque opaque = ref buffer.Opaque;
            if (opaque.IsLeaf)
            {
                break;
            }

            int number = key.Find(buffer.Page, opaque);
            uint child = BtreePage.Tuple(buffer.Page, number).DownLink.Value;
            stack?.Push(buffer.Block, number);
            if (opaque.Level == 1)
            {
                mode = leafMode;
            }

            buffer = pages.Exchange(buffer, child, mode);
        }

        if (mode != leafMode)
        {
            // The root is a leaf: it was latched before that was known, and may have been split in between.
            buffer.Unlatch();
            buffer.Latch(leafMode);
            buffer = MoveRight(key, buffer, leafMode, forInsert, stack, stack?.Depth ?? 0);
        }

        return buffer;
    }

    /// <summary>
    /// From a page that may have been split or deleted to the one where the key belongs (_bt_moveright). <paramref name="depth"/>: how much of the stack
    /// lies above this page.
    /// </summary>
    public BtreeBuffer MoveRight(BtreeSearchKey key, BtreeBuffer buffer, LatchMode mode, bool forInsert, BtreeStack? stack, int depth)
    {
        int bound = key.NextKey ? 0 : 1;
        while (true)
        {
            ref BtreeOpaque opaque = ref buffer.Opaque;
            if (opaque.IsRightmost)
            {
                break;
            }

            if (forInsert && opaque.IsIncompleteSplit)
            {
                uint block = buffer.Block;
                if (mode == LatchMode.Shared)
                {
                    buffer.Unlatch();
                    buffer.Latch(LatchMode.Exclusive);
                }

                if (buffer.Opaque.IsIncompleteSplit)
                {
                    FinishSplit!(buffer, stack!, depth);
                }
                else
                {
                    buffer.Release();
                }

                buffer = pages.Get(block, mode);
                continue;
            }

            if (!opaque.IsIgnored && key.CompareTo(buffer.Page, opaque, BtreePage.HighKey) < bound)
            {
                break;
            }

            buffer = pages.Exchange(buffer, opaque.Next, mode);
        }

        if (buffer.Opaque.IsIgnored)
        {
            throw BtreePages.Corrupted($"fell off the end of index \"{schema.Name}\"");
        }

        return buffer;
    }

    /// <summary>The first or last page of a level, latched shared; invalid when the index is empty (_bt_get_endpoint).</summary>
    public BtreeBuffer FindEnd(uint level, bool rightmost)
    {
        BtreeBuffer buffer = level == 0 ? GetRoot() : GetTrueRoot();
        if (!buffer.IsValid)
        {
            return buffer;
        }

        while (true)
        {
            while (buffer.Opaque.IsIgnored || (rightmost && !buffer.Opaque.IsRightmost))
            {
                buffer = StepRight(buffer);
            }

            ref BtreeOpaque opaque = ref buffer.Opaque;
            if (opaque.Level == level)
            {
                return buffer;
            }

            Page page = buffer.Page;
            if (opaque.Level < level || page.ItemCount < opaque.FirstDataItem)
            {
                throw BtreePages.Corrupted($"btree level {level} not found in index \"{schema.Name}\"");
            }

            int number = rightmost ? page.ItemCount : opaque.FirstDataItem;
            buffer = pages.Exchange(buffer, BtreePage.Tuple(page, number).DownLink.Value, LatchMode.Shared);
        }
    }

    /// <summary>
    /// From a page to its left neighbour as it is now; invalid at the left end (_bt_walk_left). The neighbour may have been split (then the page wanted lies
    /// right of it) or the page itself deleted (then its keys went to the right). A half-dead page may come back: the caller steps over it. On a reader the tail may
    /// apply any number of records between two of these steps.
    /// </summary>
    public BtreeBuffer WalkLeft(BtreeBuffer buffer)
    {
        while (!buffer.Opaque.IsLeftmost)
        {
            uint from = buffer.Block;
            uint left = buffer.Opaque.Prev;
            Lsn version = buffer.Page.Lsn;
            buffer.Release();
            FaultPoint.Hit("btree.backward.before-left");
            buffer = pages.Get(left, LatchMode.Shared);
            for (int tries = 0; ;)
            {
                ref BtreeOpaque opaque = ref buffer.Opaque;
                if (!opaque.IsDeleted && opaque.Next == from)
                {
                    return buffer;
                }

                // More than four splits in between are less likely than that the page is gone.
                if (opaque.IsRightmost || ++tries > 4)
                {
                    break;
                }

                buffer = pages.Exchange(buffer, opaque.Next, LatchMode.Shared);
            }

            buffer = pages.Exchange(buffer, from, LatchMode.Shared);
            if (buffer.Opaque.IsDeleted)
            {
                do
                {
                    buffer = StepRight(buffer);
                }
                while (buffer.Opaque.IsDeleted);
            }
            else if (buffer.Opaque.Prev == left && buffer.Page.Lsn == version)
            {
                // R9: no record has touched the page since its link was followed, so the neighbour must have led back to it. When one has (the neighbour was split, and the
                // new page between them deleted again), the link may name the same neighbour and be right all the same: the loop follows it anew.
                throw BtreePages.Corrupted($"could not find left sibling of block {from} in index \"{schema.Name}\"");
            }
        }

        buffer.Release();
        return default;
    }

    private BtreeBuffer SkipIgnored(BtreeBuffer buffer)
    {
        while (buffer.Opaque.IsIgnored)
        {
            buffer = StepRight(buffer);
        }

        return buffer;
    }

    private BtreeBuffer StepRight(BtreeBuffer buffer)
    {
        uint next = buffer.Opaque.Next;
        if (next == 0)
        {
            throw BtreePages.Corrupted($"fell off the end of index \"{schema.Name}\"");
        }

        return pages.Exchange(buffer, next, LatchMode.Shared);
    }
}
