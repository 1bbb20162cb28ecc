using SharedStorage.Access.Heap;
using SharedStorage.Buffers;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Btree;

/// <summary>What every change of a btree needs: pages to write, new pages, the log, the metapage. One per index; used by many threads.</summary>
internal sealed class BtreeWriter(StorageEngine engine, BtreeSchema schema, BtreeDescent descent)
{
    private readonly RelFileNode _node = schema.Index.Relation.Node;
    private readonly FreeSpaceMap _free = new(engine, schema.Index.Relation.Node);

    public StorageEngine Engine { get; } = engine;
    public BtreeSchema Schema { get; } = schema;
    public BtreeDescent Descent { get; } = descent;
    public BtreePages Pages { get; } = descent.Pages;
    public FreeSpaceMap Free => _free;
    public WalInserter Wal => Engine.WritableWal;

    public BtreeBuffer GetExclusive(uint block) => Pages.Get(block, LatchMode.Exclusive);

    /// <summary>An empty page that belongs to nothing yet, latched exclusively: a recycled one, else a new one at the end (_bt_getbuf with P_NEW).</summary>
    public BtreeBuffer NewPage(Xid xid)
    {
        while (true)
        {
            BlockNumber found = _free.Search(Page.Size / 2);
            if (!found.IsValid)
            {
                break;
            }

            // The map is a hint: whoever takes a page from it notes that, and looks whether it is free indeed.
            _free.Record(found, 0);
            if (found.Value < Pages.BlockCount && TryRecycle(found.Value, xid, out BtreeBuffer recycled))
            {
                return recycled;
            }
        }

        var added = new BtreeBuffer(Engine.Buffers.PinNew(_node, ForkNumber.Main));
        HeldPages.Add(added);
        BtreePage.Initialize(added.Page);
        return added;
    }

    /// <summary>Whether no scan can still come to a deleted page: the xid of its deletion had ended at H (R5).</summary>
    public bool IsRecyclable(Page page) =>
        BtreePage.Opaque(page).IsDeleted && IsOld(BtreePage.DeletedSafeXid(page));

    public bool IsOld(FullXid safeXid)
    {
        // The horizon as a full number: it lies at most half the numbers before the next one.
        FullXid next = Engine.Transactions.NextFullXid;
        uint age = next.Xid.Value - Engine.Transactions.XidHorizon.Value;
        return safeXid.Value < next.Value - age;
    }

    /// <summary>Starts a record for the log; pages in it are changed within one critical section.</summary>
    public WalRecordBuilder Begin(Xid xid) => Wal.Begin(xid);

    public Lsn Insert(WalRecordBuilder record, byte op) => Wal.Insert(record, Rmgr.Btree, op);

    public static unsafe void AddBlock(WalRecordBuilder record, int id, in BtreeBuffer buffer, WalBlockFlags flags) =>
        record.AddBlock(id, buffer.Pin.Tag, buffer.Pointer, flags);

    /// <summary>Adds the metapage with its content, which redo makes anew from it.</summary>
    public static void AddMeta(WalRecordBuilder record, int id, in BtreeBuffer buffer)
    {
        AddBlock(record, id, buffer, WalBlockFlags.WillInit | WalBlockFlags.Standard);
        BtreeMeta meta = BtreePage.Meta(buffer.Page);
        Span<byte> data = stackalloc byte[BtreeMetaData.Size];
        new BtreeMetaData(meta.Version, meta.Root, meta.Level, meta.FastRoot, meta.FastLevel, meta.LastCleanupDeletedPages, meta.AllEqualImage).Write(data);
        record.AddBlockData(id, data);
    }

    /// <summary>Latches the metapage exclusively; it is looked at again by whoever changes it.</summary>
    public BtreeBuffer GetMeta()
    {
        BtreeBuffer buffer = GetExclusive(BtreePage.MetaBlock);
        Descent.CheckMeta(BtreePage.Meta(buffer.Page), buffer.Opaque.IsMeta);
        return buffer;
    }

    /// <summary>Makes the first root, a leaf, of an index that has none; another thread may have been faster.</summary>
    public void CreateRoot(Xid xid)
    {
        BtreeBuffer meta = GetMeta();
        if (BtreePage.Meta(meta.Page).Root != 0)
        {
            meta.Release();
            return;
        }

        BtreeBuffer root = NewPage(xid);
        using (Invariant.EnterCritical())
        {
            try
            {
                root.Opaque.Flags = BtreePageFlags.Leaf | BtreePageFlags.Root;
                ref BtreeMeta m = ref BtreePage.Meta(meta.Page);
                m.Root = root.Block;
                m.Level = 0;
                m.FastRoot = root.Block;
                m.FastLevel = 0;
                m.LastCleanupDeletedPages = 0;
                m.LastCleanupHeapTuples = -1.0;
                root.Pin.MarkDirty();
                meta.Pin.MarkDirty();
                WalRecordBuilder record = Begin(xid);
                Span<byte> body = stackalloc byte[BtreeNewRoot.Size];
                new BtreeNewRoot(root.Block, 0).Write(body);
                record.AddData(body);
                AddBlock(record, 0, root, WalBlockFlags.WillInit);
                AddMeta(record, 2, meta);
                SetLsn(Insert(record, BtreeOp.NewRoot), root, meta);
            }
            catch (Exception e)
            {
                Invariant.Abandon(e);
            }
        }

        root.Release();
        meta.Release();
    }

    public static void SetLsn(Lsn lsn, in BtreeBuffer a)
    {
        Page page = a.Page;
        page.Lsn = lsn;
    }

    public static void SetLsn(Lsn lsn, in BtreeBuffer a, in BtreeBuffer b)
    {
        SetLsn(lsn, a);
        SetLsn(lsn, b);
    }

    private bool TryRecycle(uint block, Xid xid, out BtreeBuffer buffer)
    {
        buffer = Pages.Pin(block);
        if (!buffer.Pin.TryLatch(LatchMode.Exclusive))
        {
            buffer.Unpin();
            return false;
        }

        HeldPages.Add(buffer);
        Page page = buffer.Page;
        bool isNew = page.IsNew;
        if (!isNew && !IsRecyclable(page))
        {
            buffer.Release();
            return false;
        }

        if (!isNew)
        {
            LogReuse(block, BtreePage.DeletedSafeXid(page), xid);
        }

        BtreePage.Initialize(page);
        return true;
    }

    /// <summary>For a stock standby: it may have a scan that is about to come to the page.</summary>
    private void LogReuse(uint block, FullXid safeXid, Xid xid)
    {
        Span<byte> body = stackalloc byte[BtreeReusePage.Size];
        new BtreeReusePage(_node, block, safeXid).Write(body);
        Insert(Begin(xid).AddData(body), BtreeOp.ReusePage);
    }
}
