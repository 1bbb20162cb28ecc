using System.Runtime.InteropServices;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Btree.Redo;

/// <summary>Redo of a deduplication pass: the record says which runs of items became one, the page has the items.</summary>
internal static class BtreeDedupRedo
{
    public static void Apply(WalRecord record, Page page)
    {
        int count = BtreeDedup.Read(record.MainData).IntervalCount;
        ReadOnlySpan<ushort> intervals = MemoryMarshal.Cast<byte, ushort>(record.BlockData(0));
        if (intervals.Length != count * 2)
        {
            throw new StorageException($"btree redo: {count} intervals in {intervals.Length * sizeof(ushort)} bytes");
        }

        Rebuild(page, intervals);
        BtreePage.Opaque(page).Flags &= ~BtreePageFlags.HasGarbage;
    }

    /// <summary>Merges the runs given as pairs of first item and number of items, and leaves the other items in their order.</summary>
    internal static void Rebuild(Page page, ReadOnlySpan<ushort> intervals)
    {
        Span<byte> bytes = stackalloc byte[Page.Size];
        Span<byte> tids = stackalloc byte[Page.Size];
        Span<byte> made = stackalloc byte[Page.Size];
        var built = new Page(bytes);
        BtreePage.Initialize(built);
        BtreePage.Opaque(built) = BtreePage.Opaque(page);
        int first = BtreePage.Opaque(page).FirstDataItem;
        int next = 1;
        if (first > BtreePage.HighKey)
        {
            IndexPage.Add(built, page.ItemBytes(BtreePage.HighKey), next++);
        }

        int last = page.ItemCount;
        for (int number = first; number <= last;)
        {
            if (intervals.IsEmpty || intervals[0] != number)
            {
                IndexPage.Add(built, BtreePage.Tuple(page, number).Bytes, next++);
                number++;
                continue;
            }

            int end = number + intervals[1];
            if (end > last + 1)
            {
                throw new StorageException("btree redo: a deduplication interval ends behind the page");
            }

            int length = 0;
            for (int i = number; i < end; i++)
            {
                IndexTuple item = BtreePage.Tuple(page, i);
                ReadOnlySpan<byte> of = item.IsPosting ? item.Posting : item.Bytes[..Tid.Size];
                of.CopyTo(tids[length..]);
                length += of.Length;
            }

            int size = PostingList.Form(BtreePage.Tuple(page, number), tids[..length], made);
            IndexPage.Add(built, made[..size], next++);
            intervals = intervals[2..];
            number = end;
        }

        if (!intervals.IsEmpty)
        {
            throw new StorageException("btree redo: deduplication intervals are not on the page");
        }

        // Who changes the page for the first time needs its LSN to decide on a full-page image.
        built.Lsn = page.Lsn;
        bytes.CopyTo(page.Bytes);
    }
}
