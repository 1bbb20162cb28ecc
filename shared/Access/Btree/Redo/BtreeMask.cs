using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;

namespace SharedStorage.Access.Btree.Redo;

/// <summary>
/// Blanks what may differ between a page and its redo: what is never logged, or is cleared by redo (btree_mask). For comparing with images of
/// wal_consistency_checking, and with files.
/// </summary>
public static class BtreeMask
{
    public static void Apply(Page page)
    {
        if (page.IsNew)
        {
            return;
        }

        ref PageHeader header = ref page.Header;
        page.Lsn = default;
        header.Checksum = 0;
        header.PruneXid = 0;
        header.Flags = PageFlags.None;
        page.Bytes[header.Lower..header.Upper].Clear();
        ref BtreeOpaque opaque = ref BtreePage.Opaque(page);
        if (opaque.IsLeaf && !opaque.IsDeleted)
        {
            for (int i = 1; i <= page.ItemCount; i++)
            {
                ItemId id = page.Item(i);
                page.Item(i) = new ItemId(id.Offset, ItemState.Unused, id.Length);
            }
        }

        opaque.Flags &= ~(BtreePageFlags.HasGarbage | BtreePageFlags.SplitEnd);
        opaque.CycleId = 0;
    }
}
