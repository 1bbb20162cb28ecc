using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;

namespace SharedStorage.Access.Gin.Redo;

/// <summary>
/// Blanks what may differ between a GIN page and its redo: a page deleted from the pending list keeps its entries, and redo makes it empty. Narrower than PostgreSQL's gin_mask:
/// deleted pages of posting trees are compared, with the xid that deleted them.
/// </summary>
public static class GinMask
{
    public static void Apply(Page page)
    {
        if (page.IsNew || !GinPage.IsGin(page))
        {
            return;
        }

        page.Lsn = default;
        page.Header.Checksum = 0;
        ref GinOpaque opaque = ref GinPage.Opaque(page);
        if (opaque.Flags == GinPageFlags.Deleted)
        {
            page.Header.Lower = PageHeader.Size;
            page.Header.Upper = page.Header.Special;
            page.Bytes[PageHeader.Size..page.Header.Special].Clear();
            opaque.RightLink = 0;
            opaque.Count = 0;
            return;
        }

        // PostgreSQL 9.3 did not set "lower" on pages of posting trees.
        if ((opaque.Flags & GinPageFlags.Data) == 0 || page.Header.Lower > PageHeader.Size)
        {
            page.Bytes[page.Header.Lower..page.Header.Upper].Clear();
        }
    }
}
