using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Gin.Redo;

/// <summary>
/// Redo of GIN records, one block at a time and from nothing but the record, the block id and the page. Leaves the bytes that PostgreSQL's ginxlog.c leaves.
/// </summary>
public static class GinRedo
{
    /// <summary>Applies what the record does to its block <paramref name="blockId"/> and sets the page LSN.</summary>
    /// <exception cref="StorageException">I10: unknown op code, or a body that does not fit the page.</exception>
    public static void Apply(WalRecord record, int blockId, in BufferTag tag, Page page)
    {
        if (!Knows(record.OpCode))
        {
            throw record.Malformed($"unknown GIN op code, for {tag}");
        }

        if (record.Block(blockId).ApplyImage)
        {
            // Images are taken after the change: they say it all.
            return;
        }

        switch (record.OpCode)
        {
            case GinOp.CreatePostingTree:
                Only(record, blockId, 0);
                GinPage.Initialize(page, GinPageFlags.Data | GinPageFlags.Leaf | GinPageFlags.Compressed);
                GinPage.SetData(page, GinCreatePostingTree.Read(record.MainData).Lists);
                break;
            case GinOp.Insert:
                Insert(record, blockId, page);
                break;
            case GinOp.Split:
                Split(record, blockId, page);
                break;
            case GinOp.VacuumPage:
                throw record.Malformed($"a vacuumed page has no image, for {tag}");
            case GinOp.VacuumDataLeafPage:
                Only(record, blockId, 0);
                GinRecompressRedo.Apply(page, record.BlockData(0));
                break;
            case GinOp.DeletePage:
                DeletePage(record, blockId, page);
                break;
            case GinOp.UpdateMetaPage:
                UpdateMetaPage(record, blockId, page);
                break;
            case GinOp.InsertListPage:
                Only(record, blockId, 0);
                InsertListPage(record, page);
                break;
            case GinOp.DeleteListPages:
                DeleteListPages(record, blockId, page);
                break;
        }

        page.Lsn = record.End;
    }

    public static bool Knows(byte opCode) => opCode is >= GinOp.CreatePostingTree and <= GinOp.VacuumDataLeafPage;

    private static StorageException BadBlock(WalRecord record, int blockId) => record.Malformed($"this GIN record has no block {blockId}");

    private static void Only(WalRecord record, int blockId, int expected)
    {
        if (blockId != expected)
        {
            throw BadBlock(record, blockId);
        }
    }

    private static void ClearIncompleteSplit(Page page) => GinPage.Opaque(page).Flags &= ~GinPageFlags.IncompleteSplit;

    private static void Insert(WalRecord record, int blockId, Page page)
    {
        GinInsert body = GinInsert.Read(record.MainData);
        switch (blockId)
        {
            case 0:
                break;
            case 1 when !body.IsLeaf:
                ClearIncompleteSplit(page);
                return;
            default:
                throw BadBlock(record, blockId);
        }

        GinPageFlags expected = (body.IsData ? GinPageFlags.Data : GinPageFlags.None) | (body.IsLeaf ? GinPageFlags.Leaf : GinPageFlags.None);
        GinPageFlags flags = GinPage.Opaque(page).Flags;
        if ((flags & (GinPageFlags.Data | GinPageFlags.Leaf)) != expected)
        {
            throw record.Malformed($"an insertion for a page with flags {(int)expected:X2} meets one with flags {(int)flags:X2}");
        }

        if (!body.IsData)
        {
            InsertEntry(record, body, page);
        }
        else if (body.IsLeaf)
        {
            GinRecompressRedo.Apply(page, record.BlockData(0));
        }
        else
        {
            GinInsertChild child = GinInsertChild.Read(record.BlockData(0));
            GinPage.InsertPostingItem(page, child.Offset, child.Item, body.RightChild);
        }
    }

    private static void InsertEntry(WalRecord record, in GinInsert body, Page page)
    {
        GinInsertEntry data = GinInsertEntry.Read(record.BlockData(0));
        if (!body.IsLeaf)
        {
            // The entry that led to both halves leads to the right one now; the one for the left half comes before it.
            CheckItem(record, page, data.Offset);
            new IndexTuple(page.ItemBytes(data.Offset)).RawTid = new Tid(new BlockNumber(body.RightChild), 0);
        }

        if (data.Replaces)
        {
            CheckItem(record, page, data.Offset);
            IndexPage.Delete(page, data.Offset);
        }

        IndexPage.Add(page, data.Entry[..EntrySize(record, data.Entry)], data.Offset);
    }

    private static void CheckItem(WalRecord record, Page page, int number)
    {
        if (!page.HasSaneHeader || number < 1 || number > page.ItemCount)
        {
            throw record.Malformed($"entry {number} of a page with {page.ItemCount}");
        }
    }

    /// <summary>The size of the entry that begins the data, without padding; checked to lie within.</summary>
    private static int EntrySize(WalRecord record, ReadOnlySpan<byte> data)
    {
        int size = data.Length < IndexTuple.HeaderSize ? 0 : IndexTuple.StoredSize(data);
        return size >= IndexTuple.HeaderSize && size <= data.Length ? size : throw record.Malformed($"an entry of {size} bytes in {data.Length} bytes of data");
    }

    private static void Split(WalRecord record, int blockId, Page page)
    {
        GinSplit body = GinSplit.Read(record.MainData);
        switch (blockId)
        {
            case 3 when !body.IsLeaf:
                ClearIncompleteSplit(page);
                break;
            case 0 or 1 or 2:
                throw record.Malformed($"block {blockId} of a GIN split has no image");
            default:
                throw BadBlock(record, blockId);
        }
    }

    private static void DeletePage(WalRecord record, int blockId, Page page)
    {
        GinDeletePage body = GinDeletePage.Read(record.MainData);
        ref GinOpaque opaque = ref GinPage.Opaque(page);
        if ((opaque.Flags & GinPageFlags.Data) == 0)
        {
            throw record.Malformed($"deletion in a posting tree meets a page with flags {(int)opaque.Flags:X2}");
        }

        switch (blockId)
        {
            case 0:
                // Its right link stays, for scans that are about to come here.
                opaque.Flags |= GinPageFlags.Deleted;
                page.Header.PruneXid = body.DeleteXid.Value;
                break;
            case 1:
                GinPage.DeletePostingItem(page, body.ParentOffset);
                break;
            case 2:
                opaque.RightLink = body.RightLink;
                break;
            default:
                throw BadBlock(record, blockId);
        }
    }

    private static void UpdateMetaPage(WalRecord record, int blockId, Page page)
    {
        GinUpdateMetaPage body = GinUpdateMetaPage.Read(record.MainData);
        switch (blockId)
        {
            case 0:
                GinPage.InitializeMeta(page, body.Meta);
                break;
            case 1 when body.EntryCount > 0:
                ref GinOpaque opaque = ref GinPage.Opaque(page);
                AddEntries(record, page, record.BlockData(1), body.EntryCount);
                opaque.Count++;
                break;
            case 1 when body.PreviousTail != uint.MaxValue:
                GinPage.Opaque(page).RightLink = body.NewRightLink;
                break;
            default:
                throw BadBlock(record, blockId);
        }
    }

    private static void InsertListPage(WalRecord record, Page page)
    {
        GinInsertListPage body = GinInsertListPage.Read(record.MainData);
        bool last = body.RightLink == uint.MaxValue;
        GinPage.Initialize(page, last ? GinPageFlags.List | GinPageFlags.ListFullRow : GinPageFlags.List);
        ref GinOpaque opaque = ref GinPage.Opaque(page);
        opaque.RightLink = body.RightLink;
        opaque.Count = (ushort)(last ? 1 : 0);
        AddEntries(record, page, record.BlockData(0), body.EntryCount);
    }

    private static void AddEntries(WalRecord record, Page page, ReadOnlySpan<byte> data, int count)
    {
        int number = page.ItemCount;
        for (int i = 0; i < count; i++)
        {
            int size = EntrySize(record, data);
            IndexPage.Add(page, data[..size], ++number);
            data = data[size..];
        }

        if (!data.IsEmpty)
        {
            throw record.Malformed($"{data.Length} bytes after the last of {count} entries");
        }
    }

    private static void DeleteListPages(WalRecord record, int blockId, Page page)
    {
        GinDeleteListPages body = GinDeleteListPages.Read(record.MainData);
        if (blockId > body.PageCount)
        {
            throw BadBlock(record, blockId);
        }

        if (blockId == 0)
        {
            GinPage.InitializeMeta(page, body.Meta);
            return;
        }

        GinPage.Initialize(page, GinPageFlags.Deleted);
    }
}
