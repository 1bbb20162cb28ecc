using System.Runtime.InteropServices;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Btree.Redo;

/// <summary>
/// Redo of btree records, one block at a time and from nothing but the record, the block id and the page: so a page is brought forward alone, whatever
/// state its neighbours are in. Leaves the bytes that PostgreSQL's nbtxlog.c leaves.
/// </summary>
public static class BtreeRedo
{
    /// <summary>
    /// Applies what the record does to its block <paramref name="blockId"/> and sets the page LSN. A block whose image redo restores is complete with it and
    /// is left as it is.
    /// </summary>
    /// <exception cref="StorageException">I10: unknown op code or a body that does not fit the page; the caller adds the record's LSN.</exception>
    public static void Apply(WalRecord record, int blockId, in BufferTag tag, Page page)
    {
        if (record.Block(blockId).ApplyImage)
        {
            return;
        }

        switch (record.OpCode)
        {
            case BtreeOp.InsertLeaf:
                Insert(record, blockId, page);
                break;
            case BtreeOp.InsertUpper:
            case BtreeOp.InsertMeta:
                InsertInner(record, blockId, page);
                break;
            case BtreeOp.InsertPost:
                InsertIntoPosting(record, page);
                break;
            case BtreeOp.SplitLeft:
            case BtreeOp.SplitRight:
                BtreeSplitRedo.Apply(record, blockId, page);
                break;
            case BtreeOp.Dedup:
                BtreeDedupRedo.Apply(record, page);
                break;
            case BtreeOp.Vacuum:
                BtreeVacuum vacuum = BtreeVacuum.Read(record.MainData);
                DeleteItems(page, record.BlockData(blockId), vacuum.DeletedCount, vacuum.UpdatedCount);
                break;
            case BtreeOp.Delete:
                BtreeDelete delete = BtreeDelete.Read(record.MainData);
                DeleteItems(page, record.BlockData(blockId), delete.DeletedCount, delete.UpdatedCount);
                break;
            case BtreeOp.MarkPageHalfDead:
                MarkHalfDead(record, blockId, page);
                break;
            case BtreeOp.UnlinkPage:
            case BtreeOp.UnlinkPageMeta:
                Unlink(record, blockId, page);
                break;
            case BtreeOp.NewRoot:
                NewRoot(record, blockId, page);
                break;
            case BtreeOp.MetaCleanup:
                RestoreMeta(record, blockId, page);
                break;
            default:
                throw record.Malformed($"unknown btree op code, for {tag}");
        }

        page.Lsn = record.End;
    }

    /// <summary>Whether the op code is known; REUSE_PAGE has no block to redo.</summary>
    public static bool Knows(byte opCode) => opCode <= BtreeOp.MetaCleanup;

    internal static StorageException BadBlock(WalRecord record, int blockId) =>
        record.Malformed($"this btree record has no block {blockId}");

    internal static void ClearIncompleteSplit(Page page) =>
        BtreePage.Opaque(page).Flags &= ~BtreePageFlags.IncompleteSplit;

    /// <summary>Fills an empty page from entries that lie one after another, the last one first (_bt_restore_page).</summary>
    internal static void RestoreItems(Page page, ReadOnlySpan<byte> data)
    {
        Span<ushort> starts = stackalloc ushort[BtreePage.MaxItems + 1];
        int count = 0;
        for (int at = 0; at < data.Length; at += AlignedSize(data[at..]))
        {
            if (count == starts.Length)
            {
                throw new StorageException("btree redo: more items than fit a page");
            }

            starts[count++] = (ushort)at;
        }

        for (int i = count - 1; i >= 0; i--)
        {
            IndexPage.Add(page, data.Slice(starts[i], AlignedSize(data[starts[i]..])), count - i);
        }
    }

    /// <summary>The size of the entry that begins the data, with its padding; checked to lie within.</summary>
    internal static int AlignedSize(ReadOnlySpan<byte> data)
    {
        int size = data.Length < IndexTuple.HeaderSize ? 0 : Page.AlignUp(IndexTuple.StoredSize(data));
        if (size < IndexTuple.HeaderSize || size > data.Length)
        {
            throw new StorageException($"btree redo: an entry of {size} bytes in {data.Length} bytes of data");
        }

        return size;
    }

    internal static void RestoreMeta(WalRecord record, int blockId, Page page)
    {
        BtreeMetaData data = BtreeMetaData.Read(record.BlockData(blockId));
        BtreePage.InitializeMeta(page, new BtreeMeta
        {
            Version = data.Version,
            Root = data.Root,
            Level = data.Level,
            FastRoot = data.FastRoot,
            FastLevel = data.FastLevel,
            LastCleanupDeletedPages = data.LastCleanupDeletedPages,
            AllEqualImage = data.AllEqualImage,
        });
    }

    private static void Insert(WalRecord record, int blockId, Page page) =>
        IndexPage.Add(page, record.BlockData(blockId), BtreeInsert.Read(record.MainData).Offset);

    private static void InsertInner(WalRecord record, int blockId, Page page)
    {
        switch (blockId)
        {
            case 0:
                Insert(record, blockId, page);
                break;
            case 1:
                ClearIncompleteSplit(page);
                break;
            case 2 when record.OpCode == BtreeOp.InsertMeta:
                RestoreMeta(record, blockId, page);
                break;
            default:
                throw BadBlock(record, blockId);
        }
    }

    private static void InsertIntoPosting(WalRecord record, Page page)
    {
        ReadOnlySpan<byte> data = record.BlockData(0);
        if (data.Length < sizeof(ushort) + IndexTuple.HeaderSize)
        {
            throw new StorageException("btree redo: posting insert without an entry");
        }

        int position = MemoryMarshal.Read<ushort>(data);
        int number = BtreeInsert.Read(record.MainData).Offset;
        Span<byte> item = stackalloc byte[Page.Size];
        Span<byte> list = stackalloc byte[Page.Size];
        data = data[sizeof(ushort)..];
        data.CopyTo(item);
        var newItem = new IndexTuple(item[..data.Length]);
        IndexTuple old = BtreePage.Tuple(page, number - 1);
        int size = PostingList.Swap(newItem, old, position, list);
        list[..size].CopyTo(old.Bytes);
        IndexPage.Add(page, item[..data.Length], number);
    }

    private static void DeleteItems(Page page, ReadOnlySpan<byte> data, int deleted, int updated)
    {
        ReadOnlySpan<ushort> words = MemoryMarshal.Cast<byte, ushort>(data);
        if (words.Length < deleted + updated)
        {
            throw new StorageException("btree redo: deletion with too little data");
        }

        ReadOnlySpan<ushort> gone = words[..deleted];
        ReadOnlySpan<ushort> changed = words.Slice(deleted, updated);
        words = words[(deleted + updated)..];
        Span<byte> made = stackalloc byte[updated > 0 ? Page.Size : 0];
        foreach (ushort number in changed)
        {
            int count = words[0];
            int size = PostingList.Remove(BtreePage.Tuple(page, number), words.Slice(1, count), made);
            if (!IndexPage.TryOverwrite(page, number, made[..size]))
            {
                throw new StorageException($"btree redo: item {number} does not fit after its update");
            }

            words = words[(count + 1)..];
        }

        if (deleted > 0)
        {
            IndexPage.DeleteMany(page, gone);
        }

        BtreePage.Opaque(page).Flags &= ~BtreePageFlags.HasGarbage;
    }

    private static void MarkHalfDead(WalRecord record, int blockId, Page page)
    {
        BtreeMarkPageHalfDead body = BtreeMarkPageHalfDead.Read(record.MainData);
        switch (blockId)
        {
            case 0:
                BtreePage.InitializeHalfDead(page, body.Left, body.Right, body.TopParent);
                break;
            case 1:
                IndexTuple next = BtreePage.Tuple(page, body.ParentOffset + 1);
                IndexTuple kept = BtreePage.Tuple(page, body.ParentOffset);
                kept.DownLink = next.DownLink;
                IndexPage.Delete(page, body.ParentOffset + 1);
                break;
            default:
                throw BadBlock(record, blockId);
        }
    }

    private static void Unlink(WalRecord record, int blockId, Page page)
    {
        BtreeUnlinkPage body = BtreeUnlinkPage.Read(record.MainData);
        switch (blockId)
        {
            case 0:
                BtreePage.Initialize(page);
                ref BtreeOpaque opaque = ref BtreePage.Opaque(page);
                opaque.Prev = body.Left;
                opaque.Next = body.Right;
                opaque.Level = body.Level;
                opaque.CycleId = 0;
                BtreePage.SetDeleted(page, body.SafeXid);
                if (body.Level == 0)
                {
                    opaque.Flags |= BtreePageFlags.Leaf;
                }

                break;
            case 1:
                BtreePage.Opaque(page).Next = body.Right;
                break;
            case 2:
                BtreePage.Opaque(page).Prev = body.Left;
                break;
            case 3:
                BtreePage.InitializeHalfDead(page, body.LeafLeft, body.LeafRight, body.LeafTopParent);
                break;
            case 4 when record.OpCode == BtreeOp.UnlinkPageMeta:
                RestoreMeta(record, blockId, page);
                break;
            default:
                throw BadBlock(record, blockId);
        }
    }

    private static void NewRoot(WalRecord record, int blockId, Page page)
    {
        BtreeNewRoot body = BtreeNewRoot.Read(record.MainData);
        switch (blockId)
        {
            case 0:
                BtreePage.Initialize(page);
                ref BtreeOpaque opaque = ref BtreePage.Opaque(page);
                opaque.Flags = BtreePageFlags.Root | (body.Level == 0 ? BtreePageFlags.Leaf : BtreePageFlags.None);
                opaque.Level = body.Level;
                if (body.Level > 0)
                {
                    RestoreItems(page, record.BlockData(blockId));
                }

                break;
            case 1:
                ClearIncompleteSplit(page);
                break;
            case 2:
                RestoreMeta(record, blockId, page);
                break;
            default:
                throw BadBlock(record, blockId);
        }
    }
}
