using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;

namespace SharedStorage.Access.Hash.Redo;

/// <summary>
/// Blanks what may differ between a hash page and its redo: sessions mark entries dead without logging it, and that the page has such. Narrower than PostgreSQL's hash_mask: free
/// pages are compared, and of line pointers all but that mark.
/// </summary>
public static class HashMask
{
    public static void Apply(Page page)
    {
        if (page.IsNew || !HashPage.IsHash(page))
        {
            return;
        }

        page.Lsn = default;
        page.Header.Checksum = 0;
        page.Bytes[page.Header.Lower..page.Header.Upper].Clear();
        ref HashOpaque opaque = ref HashPage.Opaque(page);
        if ((opaque.Flags & HashPageFlags.Type) is HashPageFlags.Bucket or HashPageFlags.Overflow)
        {
            for (int i = 1; i <= page.ItemCount; i++)
            {
                ItemId id = page.Item(i);
                if (id.IsDead)
                {
                    page.Item(i) = new ItemId(id.Offset, ItemState.Normal, id.Length);
                }
            }
        }

        opaque.Flags &= ~HashPageFlags.HasDeadTuples;
    }
}
