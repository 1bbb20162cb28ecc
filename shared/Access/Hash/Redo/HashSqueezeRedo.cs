using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Hash.Redo;

/// <summary>
/// Redo of what VACUUM does in a bucket: entries deleted, entries moved to pages that come earlier in the chain, pages that became empty given back. These records name the bucket's
/// first page as block 0 when they do not change it, for PostgreSQL to lock.
/// </summary>
internal static class HashSqueezeRedo
{
    /// <returns>Whether the page is changed; else its LSN stays as well.</returns>
    public static bool Apply(WalRecord record, int blockId, Page page)
    {
        if (blockId == 0)
        {
            return false;
        }

        switch (record.OpCode)
        {
            case HashOp.MovePageContents:
                Move(record, blockId, page);
                break;
            case HashOp.SqueezePage:
                Squeeze(record, blockId, page);
                break;
            case HashOp.Delete when blockId == 1:
                HashDelete body = HashDelete.Read(record.MainData);
                ref HashOpaque opaque = ref HashPage.Opaque(page);
                IndexPage.DeleteMany(page, HashBlockData.Offsets(record.BlockData(1)));
                if (body.ClearsDeadMark)
                {
                    opaque.Flags &= ~HashPageFlags.HasDeadTuples;
                }

                break;
            default:
                throw HashRedo.BadBlock(record, blockId);
        }

        return true;
    }

    private static void Move(WalRecord record, int blockId, Page page)
    {
        HashPage.Opaque(page);
        switch (blockId)
        {
            case 1:
                AddEntries(record, page, HashMovePageContents.Read(record.MainData).Count);
                break;
            case 2:
                IndexPage.DeleteMany(page, HashBlockData.Offsets(record.BlockData(2)));
                break;
            default:
                throw HashRedo.BadBlock(record, blockId);
        }
    }

    private static void Squeeze(WalRecord record, int blockId, Page page)
    {
        HashSqueezePage body = HashSqueezePage.Read(record.MainData);
        switch (blockId)
        {
            case 1:
                ref HashOpaque opaque = ref HashPage.Opaque(page);
                AddEntries(record, page, body.Count);
                if (body.ToPrevious)
                {
                    opaque.Next = body.Next;
                }

                break;
            case 2:
                HashPage.Opaque(page);
                HashPage.Initialize(page, HashPageFlags.Unused, uint.MaxValue, uint.MaxValue);
                break;
            case 3 when !body.ToPrevious:
                HashPage.Opaque(page).Next = body.Next;
                break;
            case 4:
                HashPage.Opaque(page).Prev = body.Prev;
                break;
            case 5:
                HashPage.SetBit(page, HashBlockData.Number(record.BlockData(5)), used: false);
                break;
            case 6:
                new HashMeta(page).Header.FirstFree = HashBlockData.Number(record.BlockData(6));
                break;
            default:
                throw HashRedo.BadBlock(record, blockId);
        }
    }

    private static void AddEntries(WalRecord record, Page page, int count)
    {
        if (count == 0)
        {
            return;
        }

        HashMovedEntries moved = HashMovedEntries.Read(record.BlockData(1), count);
        ReadOnlySpan<byte> entries = moved.Entries;
        foreach (ushort number in moved.Offsets)
        {
            int size = entries.Length < IndexTuple.HeaderSize ? 0 : Page.AlignUp(IndexTuple.StoredSize(entries));
            if (size < IndexTuple.HeaderSize || size > entries.Length)
            {
                throw record.Malformed($"an entry of {size} bytes in {entries.Length} bytes of data");
            }

            IndexPage.Add(page, entries[..size], number);
            entries = entries[size..];
        }

        if (!entries.IsEmpty)
        {
            throw record.Malformed($"{entries.Length} bytes after the last of {count} entries");
        }
    }
}
