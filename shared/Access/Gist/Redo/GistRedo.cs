using System.Runtime.InteropServices;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Gist.Redo;

/// <summary>
/// Redo of GiST records, one block at a time and from nothing but the record, the block id and the page. Leaves the bytes that PostgreSQL's gistxlog.c leaves. PAGE_REUSE (a conflict point
/// for standbys) and ASSIGN_LSN (moves the log's position) have no block.
/// </summary>
public static class GistRedo
{
    /// <summary>The block of PAGE_UPDATE that is the left half of a split below.</summary>
    private const int UpdateLeftChild = 1;

    /// <summary>The block of PAGE_SPLIT that is the left half of a split below; the pages that the record makes come after it.</summary>
    private const int SplitLeftChild = 0;

    /// <summary>
    /// Applies what the record does to its block <paramref name="blockId"/> and sets the page LSN. A block whose image redo restores is complete with it, but for the left half of a
    /// split below: its image was taken before the record's position was known.
    /// </summary>
    /// <exception cref="StorageException">I10: unknown op code or a body that does not fit the page.</exception>
    public static void Apply(WalRecord record, int blockId, in BufferTag tag, Page page)
    {
        if (IsLeftChild(record, blockId))
        {
            ref GistOpaque opaque = ref GistPage.Opaque(page);
            opaque.Nsn = record.End;
            opaque.Flags &= ~GistPageFlags.FollowRight;
            page.Lsn = record.End;
            return;
        }

        if (record.Block(blockId).ApplyImage)
        {
            return;
        }

        switch (record.OpCode)
        {
            case GistOp.PageUpdate when blockId == 0:
                Update(record, page);
                break;
            case GistOp.Delete when blockId == 0:
                Delete(record, page);
                break;
            case GistOp.PageSplit:
                Split(record, blockId, page);
                break;
            case GistOp.PageDelete when blockId == 0:
                GistPage.SetDeleted(page, GistPageDelete.Read(record.MainData).DeleteXid);
                break;
            case GistOp.PageDelete when blockId == 1:
                _ = GistPage.Opaque(page);
                IndexPage.Delete(page, GistPageDelete.Read(record.MainData).DownLinkOffset);
                break;
            default:
                throw record.Malformed($"unknown GiST op code, or one without block {blockId}, for {tag}");
        }

        page.Lsn = record.End;
    }

    /// <summary>Whether the block is the left half of a split that the record's new downlink completes. PostgreSQL changes it after it has inserted the record.</summary>
    public static bool IsLeftChild(WalRecord record, int blockId) => record.OpCode switch
    {
        GistOp.PageUpdate => blockId == UpdateLeftChild,
        GistOp.PageSplit => blockId == SplitLeftChild,
        _ => false,
    };

    private static void Update(WalRecord record, Page page)
    {
        var body = GistPageUpdate.Read(record.MainData, record.BlockData(0));
        ReadOnlySpan<byte> entries = body.Entries;
        int added = 0;
        _ = GistPage.Opaque(page);
        if (body.Deleted.Length == 1 && body.InsertCount == 1)
        {
            // One for one: it takes the other's place, as when it was inserted.
            int size = EntrySize(record, entries);
            if (!IndexPage.TryOverwrite(page, body.Deleted[0], entries[..size]))
            {
                throw record.Malformed($"an entry of {size} bytes does not fit in the place of item {body.Deleted[0]}");
            }

            entries = entries[size..];
            added++;
        }
        else if (body.Deleted.Length > 0)
        {
            IndexPage.DeleteMany(page, body.Deleted);
        }

        added += AddEntries(record, page, entries);
        if (added != body.InsertCount)
        {
            throw record.Malformed($"it has {added} entries and names {body.InsertCount}");
        }
    }

    private static void Delete(WalRecord record, Page page)
    {
        var body = GistDelete.Read(record.MainData);
        ref GistOpaque opaque = ref GistPage.Opaque(page);
        IndexPage.DeleteMany(page, body.Deleted);
        opaque.Flags &= ~GistPageFlags.HasGarbage;
    }

    private static void Split(WalRecord record, int blockId, Page page)
    {
        GistPageSplit body = GistPageSplit.Read(record.MainData);
        if (blockId > body.PageCount)
        {
            throw record.Malformed($"block {blockId} of a split into {body.PageCount} pages");
        }

        ReadOnlySpan<byte> data = record.BlockData(blockId);
        if (data.Length < sizeof(int))
        {
            throw record.Malformed($"block {blockId} of a split has no count of entries");
        }

        bool isRoot = record.Block(blockId).Tag.Block.Value == GistPage.RootBlock;
        bool isRootSplit = record.HasBlock(1) && record.Block(1).Tag.Block.Value == GistPage.RootBlock;
        GistPage.Initialize(page, body.WasLeaf && !isRoot ? GistPageFlags.Leaf : GistPageFlags.None);
        int expected = MemoryMarshal.Read<int>(data);
        int added = AddEntries(record, page, data[sizeof(int)..]);
        if (added != expected)
        {
            throw record.Malformed($"block {blockId} of a split has {added} entries and names {expected}");
        }

        ref GistOpaque opaque = ref GistPage.Opaque(page);
        opaque.Nsn = body.OldNsn;
        if (isRoot)
        {
            return;
        }

        bool isLast = blockId == body.PageCount;
        if (!isLast && !record.HasBlock(blockId + 1))
        {
            throw record.Malformed($"a split into {body.PageCount} pages has no block {blockId + 1}");
        }

        opaque.RightLink = isLast ? body.OldRightLink : record.Block(blockId + 1).Tag.Block.Value;
        if (!isLast && !isRootSplit && body.MarkFollowRight)
        {
            opaque.Flags |= GistPageFlags.FollowRight;
        }
    }

    private static int AddEntries(WalRecord record, Page page, ReadOnlySpan<byte> entries)
    {
        int added = 0;
        while (!entries.IsEmpty)
        {
            int size = EntrySize(record, entries);
            IndexPage.Add(page, entries[..size], page.ItemCount + 1);
            entries = entries[size..];
            added++;
        }

        return added;
    }

    /// <summary>The size of the entry that begins the data; checked to lie within.</summary>
    private static int EntrySize(WalRecord record, ReadOnlySpan<byte> data)
    {
        int size = data.Length < IndexTuple.HeaderSize ? 0 : IndexTuple.StoredSize(data);
        return size >= IndexTuple.HeaderSize && size <= data.Length ? size : throw record.Malformed($"an entry of {size} bytes in {data.Length} bytes of data");
    }
}
