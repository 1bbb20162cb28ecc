using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;

namespace SharedStorage.Access.Brin.Redo;

/// <summary>
/// Blanks what may differ between a BRIN page and its redo. Narrower than brin_mask: the page's hints in the header count, since BRIN uses none. LSN and checksum are the caller's to blank.
/// </summary>
public static class BrinMask
{
    /// <param name="page">A BRIN page with a sane header.</param>
    public static void Apply(Page page)
    {
        // All of a range map's content lies between "lower" and "upper", so there it counts.
        if (BrinPage.Type(page) is BrinPageType.Regular or BrinPageType.Meta)
        {
            page.Bytes[page.Header.Lower..page.Header.Upper].Clear();
        }

        // Of no use after a crash, so it is not logged.
        BrinPage.ClearEvacuate(page);
    }
}
