using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;

namespace SharedStorage.Access.Spgist.Redo;

/// <summary>
/// Blanks what may differ between an SP-GiST page and its redo. Narrower than spg_mask: the page's hints in the header count, since SP-GiST uses none. In the metapage the list of pages
/// used last is a cache that is never logged: it matters where files are compared. LSN and checksum are the caller's to blank.
/// </summary>
public static class SpgistMask
{
    /// <param name="page">An SP-GiST page with a sane header.</param>
    public static void Apply(Page page)
    {
        page.Bytes[page.Header.Lower..page.Header.Upper].Clear();
        if (SpgistPage.Opaque(page).IsMeta)
        {
            page.Bytes.Slice(SpgistPage.LastUsedPagesAt, SpgistPage.LastUsedPagesSize).Clear();
        }
    }
}
