using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Generic.Redo;

/// <summary>
/// Redo of Generic records, which extensions use for pages of their own (contrib/bloom): fragments are laid over the page, whatever it holds; what lies between "lower" and "upper" is
/// zero afterwards (PostgreSQL's generic_redo).
/// </summary>
public static class GenericRedo
{
    /// <summary>
    /// Applies what the record does to its block <paramref name="blockId"/> and sets the page LSN. A block whose image redo restores is complete with it and is left as it is.
    /// </summary>
    /// <exception cref="StorageException">I10: a fragment that does not fit the page, or a header that makes no sense afterwards.</exception>
    public static void Apply(WalRecord record, int blockId, in BufferTag tag, Page page)
    {
        if (record.Block(blockId).ApplyImage)
        {
            return;
        }

        if (record.OpCode != 0)
        {
            throw record.Malformed($"unknown op code of generic records, for {tag}");
        }

        var delta = new GenericDelta(record.BlockData(blockId));
        while (delta.Next())
        {
            if (delta.Offset + delta.Bytes.Length > Page.Size)
            {
                throw record.Malformed($"a fragment of {delta.Bytes.Length} bytes at {delta.Offset} of {tag}");
            }

            delta.Bytes.CopyTo(page.Bytes[delta.Offset..]);
        }

        int lower = page.Header.Lower;
        int upper = page.Header.Upper;
        if (lower > upper || upper > Page.Size)
        {
            throw record.Malformed($"it leaves {tag} with lower {lower} and upper {upper}");
        }

        page.Bytes[lower..upper].Clear();
        page.Lsn = record.End;
    }
}
