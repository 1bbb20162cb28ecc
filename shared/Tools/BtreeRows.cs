using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Tools;

/// <summary>Btree pages as pageinspect's bt_metap, bt_page_stats and bt_page_items show them (btreefuncs.c).</summary>
internal static class BtreeRows
{
    /// <summary>The version from which the metapage says what the last vacuum left.</summary>
    private const uint CleanupVersion = 3;

    public static void Show(Page page, uint block, RowWriter table)
    {
        if (BtreePage.Opaque(page).IsMeta)
        {
            Meta(page, table);
            return;
        }

        Statistics(page, block, table);
        Items(page, table);
    }

    private static void Meta(Page page, RowWriter table)
    {
        if (table.Begin("bt_metap", "magic|version|root|level|fastroot|fastlevel|last_cleanup_num_delpages|last_cleanup_num_tuples|allequalimage"))
        {
            ref BtreeMeta m = ref BtreePage.Meta(page);
            bool cleanup = m.Version >= CleanupVersion;
            table.Row(
                (int)m.Magic, (int)m.Version, m.Root, m.Level, m.FastRoot, m.FastLevel, cleanup ? m.LastCleanupDeletedPages : 0, cleanup ? m.LastCleanupHeapTuples : -1,
                cleanup && m.AllEqualImage);
        }
    }

    private static void Statistics(Page page, uint block, RowWriter table)
    {
        if (!table.Begin("bt_page_stats", "blkno|type|live_items|dead_items|avg_item_size|page_size|free_size|btpo_prev|btpo_next|btpo_level|btpo_flags"))
        {
            return;
        }

        BtreeOpaque opaque = BtreePage.Opaque(page);
        int live = 0;
        int dead = 0;
        int size = 0;
        for (int item = 1; item <= (opaque.IsDeleted ? 0 : page.ItemCount); item++)
        {
            size += BtreePage.Tuple(page, item).Size;
            if (page.Item(item).IsDead)
            {
                dead++;
            }
            else
            {
                live++;
            }
        }

        table.Row(
            block, TypeOf(opaque), live, dead, live + dead > 0 ? size / (live + dead) : 0, page.Header.SizeAndVersion & 0xFF00, page.FreeSpace, opaque.Prev, opaque.Next, opaque.Level,
            (ushort)opaque.Flags);
    }

    private static char TypeOf(in BtreeOpaque opaque) =>
        opaque.IsDeleted ? opaque.IsLeaf || (opaque.Flags & BtreePageFlags.HasFullXid) == 0 ? 'd' : 'D'
        : opaque.IsIgnored ? 'e'
        : opaque.IsLeaf ? 'l'
        : opaque.IsRoot ? 'r' : 'i';

    private static void Items(Page page, RowWriter table)
    {
        if (!table.Begin("bt_page_items", "itemoffset|ctid|itemlen|nulls|vars|data|dead|htid|tids"))
        {
            return;
        }

        BtreeOpaque opaque = BtreePage.Opaque(page);
        for (int item = 1; item <= (opaque.IsDeleted ? 0 : page.ItemCount); item++)
        {
            Item(item, BtreePage.Tuple(page, item), page.Item(item), !opaque.IsLeaf || item < opaque.FirstDataItem, table);
        }
    }

    private static void Item(int number, IndexTuple entry, ItemId id, bool separates, RowWriter table)
    {
        bool hasPlace = entry.TryGetHeapTid(out Tid place) && (!separates || entry.IsPivot);

        // The key alone: without a posting list, and without the place at the end of a pivot.
        int end = entry.IsPosting ? entry.PostingOffset : entry.IsPivot && entry.PivotHasHeapTid ? entry.Size - Page.AlignUp(Tid.Size) : entry.Size;
        if (end < entry.DataOffset || end > entry.Size)
        {
            throw new StorageException($"invalid tuple length {end - entry.DataOffset} for tuple at offset number {number}");
        }

        string data = string.Join(' ', Convert.ToHexStringLower(entry.Bytes[entry.DataOffset..end]).Chunk(2).Select(c => new string(c)));
        string? places = null;
        if (entry.IsPosting)
        {
            var list = new string[entry.PostingCount];
            for (int i = 0; i < list.Length; i++)
            {
                list[i] = $"\"{PageRows.Place(entry.PostingTid(i))}\"";
            }

            places = "{" + string.Join(',', list) + "}";
        }

        table.Row(
            number, PageRows.Place(entry.RawTid), entry.Size, entry.HasNulls, entry.HasVarWidths, data, separates ? null : id.IsDead, hasPlace ? PageRows.Place(place) : null, places);
    }
}
