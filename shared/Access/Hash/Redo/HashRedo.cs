using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Hash.Redo;

/// <summary>
/// Redo of hash index records, one block at a time and from nothing but the record, the block id and the page. Leaves the bytes that PostgreSQL's hash_xlog.c leaves. That takes
/// cleanup locks on the first page of a bucket, which keep scans out while entries move; here a page never changes while it is in use (R9).
/// </summary>
public static class HashRedo
{
    /// <summary>Applies what the record does to its block <paramref name="blockId"/> and sets the page LSN.</summary>
    /// <exception cref="StorageException">I10: unknown op code, or a body that does not fit the page.</exception>
    public static void Apply(WalRecord record, int blockId, in BufferTag tag, Page page)
    {
        if (!Knows(record.OpCode))
        {
            throw record.Malformed($"unknown hash op code, for {tag}");
        }

        if (record.Block(blockId).ApplyImage)
        {
            // Images are taken after the change: they say it all.
            return;
        }

        switch (record.OpCode)
        {
            case HashOp.InitMetaPage:
                HashInitMetaPage init = HashInitMetaPage.Read(record.MainData);
                Only(record, blockId, 0);
                HashMeta.Initialize(page, init.Tuples, init.HashFunction, init.FillFactor);
                break;
            case HashOp.InitBitmapPage:
                InitBitmap(record, blockId, page);
                break;
            case HashOp.Insert:
                Insert(record, blockId, page);
                break;
            case HashOp.AddOverflowPage:
                AddOverflowPage(record, blockId, page);
                break;
            case HashOp.SplitAllocatePage:
                SplitAllocate(record, blockId, page);
                break;
            case HashOp.SplitPage:
                throw record.Malformed($"a page of a split bucket has no image, for {tag}");
            case HashOp.SplitComplete:
                SplitComplete(record, blockId, page);
                break;
            case HashOp.MovePageContents:
            case HashOp.SqueezePage:
            case HashOp.Delete:
                if (!HashSqueezeRedo.Apply(record, blockId, page))
                {
                    return;
                }

                break;
            case HashOp.SplitCleanup:
                Only(record, blockId, 0);
                HashPage.Opaque(page).Flags &= ~HashPageFlags.NeedsSplitCleanup;
                break;
            case HashOp.UpdateMetaPage:
                Only(record, blockId, 0);
                new HashMeta(page).Header.Tuples = HashUpdateMetaPage.Read(record.MainData).Tuples;
                break;
            case HashOp.VacuumOnePage:
                VacuumOnePage(record, blockId, page);
                break;
        }

        page.Lsn = record.End;
    }

    public static bool Knows(byte opCode) => opCode <= HashOp.VacuumOnePage;

    internal static StorageException BadBlock(WalRecord record, int blockId) => record.Malformed($"this hash record has no block {blockId}");

    private static uint BlockOf(WalRecord record, int blockId) => record.HasBlock(blockId) ? record.Block(blockId).Tag.Block.Value : throw BadBlock(record, blockId);

    private static void Only(WalRecord record, int blockId, int expected)
    {
        if (blockId != expected)
        {
            throw BadBlock(record, blockId);
        }
    }

    private static void InitBitmap(WalRecord record, int blockId, Page page)
    {
        switch (blockId)
        {
            case 0:
                HashPage.InitializeBitmap(page, HashInitBitmapPage.Read(record.MainData).BitmapSize);
                break;
            case 1:
                // The first bitmap lies behind the buckets, which begin at block 1.
                var meta = new HashMeta(page);
                meta.AddMap(meta.Header.MaxBucket + 2);
                break;
            default:
                throw BadBlock(record, blockId);
        }
    }

    private static void Insert(WalRecord record, int blockId, Page page)
    {
        switch (blockId)
        {
            case 0:
                HashPage.Opaque(page);
                IndexPage.Add(page, record.BlockData(0), HashInsert.Read(record.MainData).Offset);
                break;
            case 1:
                new HashMeta(page).Header.Tuples += 1;
                break;
            default:
                throw BadBlock(record, blockId);
        }
    }

    private static void AddOverflowPage(WalRecord record, int blockId, Page page)
    {
        HashAddOverflowPage body = HashAddOverflowPage.Read(record.MainData);
        switch (blockId)
        {
            case 0:
                HashPage.Initialize(page, HashPageFlags.Overflow, BlockOf(record, 1), HashBlockData.Number(record.BlockData(0)));
                break;
            case 1:
                HashPage.Opaque(page).Next = BlockOf(record, 0);
                break;
            case 2:
                HashPage.SetBit(page, HashBlockData.Number(record.BlockData(2)), used: true);
                break;
            case 3:
                HashPage.InitializeBitmap(page, body.BitmapSize);
                break;
            case 4:
                var meta = new HashMeta(page);
                meta.Header.FirstFree = HashBlockData.Number(record.BlockData(4));
                if (!body.Reused)
                {
                    meta.Spare(meta.Header.SplitPoint)++;
                    if (record.HasBlock(3))
                    {
                        // A bitmap page is an overflow page too.
                        meta.AddMap(BlockOf(record, 3));
                        meta.Spare(meta.Header.SplitPoint)++;
                    }
                }

                break;
            default:
                throw BadBlock(record, blockId);
        }
    }

    private static void SplitAllocate(WalRecord record, int blockId, Page page)
    {
        HashSplitAllocatePage body = HashSplitAllocatePage.Read(record.MainData);
        switch (blockId)
        {
            case 0:
                ref HashOpaque old = ref HashPage.Opaque(page);
                old.Flags = (HashPageFlags)body.OldFlags;
                old.Prev = body.NewBucket;
                break;
            case 1:
                HashPage.Initialize(page, (HashPageFlags)body.NewFlags, body.NewBucket, body.NewBucket);
                break;
            case 2:
                var meta = new HashMeta(page);
                HashSplitMeta data = HashSplitMeta.Read(body, record.BlockData(2));
                ref HashMetaHeader header = ref meta.Header;
                header.MaxBucket = body.NewBucket;
                if (body.MasksChange)
                {
                    header.LowMask = data.LowMask;
                    header.HighMask = data.HighMask;
                }

                if (body.SplitPointChanges)
                {
                    meta.Spare(data.SplitPoint) = data.Spares;
                    header.SplitPoint = data.SplitPoint;
                }

                break;
            default:
                throw BadBlock(record, blockId);
        }
    }

    private static void SplitComplete(WalRecord record, int blockId, Page page)
    {
        HashSplitComplete body = HashSplitComplete.Read(record.MainData);
        HashPage.Opaque(page).Flags = (HashPageFlags)(blockId switch
        {
            0 => body.OldFlags,
            1 => body.NewFlags,
            _ => throw BadBlock(record, blockId),
        });
    }

    private static void VacuumOnePage(WalRecord record, int blockId, Page page)
    {
        HashVacuumOnePage body = HashVacuumOnePage.Read(record.MainData);
        switch (blockId)
        {
            case 0:
                ref HashOpaque opaque = ref HashPage.Opaque(page);
                IndexPage.DeleteMany(page, body.Offsets);
                opaque.Flags &= ~HashPageFlags.HasDeadTuples;
                break;
            case 1:
                new HashMeta(page).Header.Tuples -= body.Offsets.Length;
                break;
            default:
                throw BadBlock(record, blockId);
        }
    }
}
