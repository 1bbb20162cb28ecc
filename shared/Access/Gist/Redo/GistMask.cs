using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;

namespace SharedStorage.Access.Gist.Redo;

/// <summary>
/// Blanks what may differ between a GiST page and its redo. Narrower than gist_mask: node sequence numbers and the follow-right flag count, but on the left half of a split in the record
/// that completes it, and so do the page's hints in the header, which GiST does not use. LSN and checksum are the caller's to blank.
/// </summary>
public static class GistMask
{
    /// <param name="page">A GiST page with a sane header.</param>
    /// <param name="isLeftChild">The image was taken before the page got the record's position (<see cref="GistRedo.IsLeftChild"/>).</param>
    public static void Apply(Page page, bool isLeftChild)
    {
        page.Bytes[page.Header.Lower..page.Header.Upper].Clear();
        ref GistOpaque opaque = ref GistPage.Opaque(page);

        // Scans mark entries dead, and the page as having such, without a record. Whether entries were deleted is noted or not, depending on the minor version.
        opaque.Flags &= ~(GistPageFlags.HasGarbage | GistPageFlags.TuplesDeleted);
        if (opaque.IsLeaf && !opaque.IsDeleted)
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

        if (isLeftChild)
        {
            opaque.Nsn = default;
            opaque.Flags &= ~GistPageFlags.FollowRight;
        }
    }
}
