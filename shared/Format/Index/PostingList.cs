using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Index;

/// <summary>
/// Posting entries: one key with the places of several rows, in order, none twice. Redo repeats each of these steps, so their bytes are PostgreSQL's
/// (nbtdedup.c). Results are written to buffers that the caller gives, a page in size.
/// </summary>
public static class PostingList
{
    /// <summary>
    /// Makes an entry with the key of <paramref name="from"/> (plain or posting; its own places are not taken over) for these places, in ascending order,
    /// 6 bytes each. One place makes a plain entry. Gives the size.
    /// </summary>
    public static int Form(IndexTuple from, ReadOnlySpan<byte> tids, Span<byte> into)
    {
        int key = from.KeySize;
        int count = tids.Length / Tid.Size;
        int size = count > 1 ? Page.AlignUp(key + tids.Length) : key;
        into[..size].Clear();
        from.Bytes[..key].CopyTo(into);
        IndexTuple.WriteSize(into, size);
        var made = new IndexTuple(into[..size]);
        if (count > 1)
        {
            made.SetPosting(count, key);
            tids.CopyTo(into[key..]);
        }
        else
        {
            made.SetPlain(IndexTuple.ReadTid(tids));
        }

        return size;
    }

    /// <summary>
    /// Makes the entry that is left when some of a posting entry's rows go; <paramref name="gone"/> are positions in its list, ascending from 0, not all of them.
    /// </summary>
    public static int Remove(IndexTuple from, ReadOnlySpan<ushort> gone, Span<byte> into)
    {
        ReadOnlySpan<byte> all = from.Posting;
        int count = from.PostingCount;
        Span<byte> kept = stackalloc byte[all.Length];
        int n = 0;
        int next = 0;
        for (int i = 0; i < count; i++)
        {
            if (next < gone.Length && gone[next] == i)
            {
                next++;
                continue;
            }

            all.Slice(i * Tid.Size, Tid.Size).CopyTo(kept[n..]);
            n += Tid.Size;
        }

        if (next != gone.Length || n == 0)
        {
            throw Damaged($"{gone.Length} of {count} rows cannot be taken from a posting list");
        }

        return Form(from, kept[..n], into);
    }

    /// <summary>
    /// Splits a posting list for a new entry whose place falls inside it: the new place goes into the list at <paramref name="position"/>, the list's last
    /// place goes to the new entry. Both keep their sizes. <paramref name="newItem"/> is changed; the new list is written to <paramref name="into"/>.
    /// </summary>
    /// <exception cref="StorageException">The position does not lie within the list: an entry is there twice, the index is damaged.</exception>
    public static int Swap(IndexTuple newItem, IndexTuple list, int position, Span<byte> into)
    {
        int count = list.IsPosting ? list.PostingCount : 0;
        if (position <= 0 || position >= count)
        {
            throw Damaged($"posting list with {count} items cannot be split at offset {position}");
        }

        list.Bytes.CopyTo(into);
        Span<byte> tids = new IndexTuple(into[..list.Size]).Posting;
        Tid last = IndexTuple.ReadTid(tids[((count - 1) * Tid.Size)..]);
        int at = position * Tid.Size;
        tids[at..((count - 1) * Tid.Size)].CopyTo(tids[(at + Tid.Size)..]);
        IndexTuple.WriteTid(tids[at..], newItem.RawTid);
        newItem.RawTid = last;
        return list.Size;
    }

    private static StorageException Damaged(string what) => new($"damaged index: {what}") { SqlState = SqlStates.IndexCorrupted };
}
