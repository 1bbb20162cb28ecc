using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Brin.Redo;

/// <summary>
/// Redo of BRIN records, one block at a time and from nothing but the record, the block id and the page. Leaves the bytes that PostgreSQL's brin_xlog.c leaves. Items keep their numbers,
/// since the range map points to them.
/// </summary>
public static class BrinRedo
{
    /// <summary>
    /// Applies what the record does to its block <paramref name="blockId"/> and sets the page LSN. A block whose image redo restores is complete with it and is left as it is.
    /// </summary>
    /// <exception cref="StorageException">I10: unknown op code or a body that does not fit the page.</exception>
    public static void Apply(WalRecord record, int blockId, in BufferTag tag, Page page)
    {
        if (record.Block(blockId).ApplyImage)
        {
            return;
        }

        byte op = (byte)(record.OpCode & BrinOp.OpMask);
        bool initialize = (record.OpCode & BrinOp.InitPage) != 0;
        if (initialize && op is not (BrinOp.Insert or BrinOp.Update))
        {
            throw record.Malformed($"BRIN op code {op:X2} makes no page anew, for {tag}");
        }

        switch (op)
        {
            case BrinOp.CreateIndex when blockId == 0:
                BrinCreateIndex made = BrinCreateIndex.Read(record.MainData);
                BrinPage.InitializeMeta(page, made.PagesPerRange, made.Version);
                break;
            case BrinOp.Insert:
                Insert(record, blockId, page, BrinInsert.Read(record.MainData), initialize);
                break;
            case BrinOp.Update when blockId == 2:
                Remove(page, BrinUpdate.Read(record.MainData).OldOffset);
                break;
            case BrinOp.Update:
                Insert(record, blockId, page, BrinUpdate.Read(record.MainData).Insert, initialize);
                break;
            case BrinOp.SamePageUpdate when blockId == 0:
                Overwrite(record, page, BrinSamePageUpdate.Read(record.MainData).Offset);
                break;
            case BrinOp.RevmapExtend:
                ExtendRevmap(record, blockId, page);
                break;
            case BrinOp.Desummarize:
                Desummarize(record, blockId, page);
                break;
            default:
                throw record.Malformed($"unknown BRIN op code, or one without block {blockId}, for {tag}");
        }

        page.Lsn = record.End;
    }

    private static void Insert(WalRecord record, int blockId, Page page, in BrinInsert body, bool initialize)
    {
        switch (blockId)
        {
            case 0:
                if (initialize)
                {
                    BrinPage.Initialize(page, BrinPageType.Regular);
                }

                BrinPage.Check(page, BrinPageType.Regular);
                IndexPage.AddAt(page, Summary(record), body.Offset);
                break;
            case 1:
                BrinPage.SetRangePlace(page, body.PagesPerRange, body.HeapBlock, new Tid(record.Block(0).Tag.Block, body.Offset));
                break;
            default:
                throw record.Malformed($"a BRIN insertion has no block {blockId}");
        }
    }

    private static void Overwrite(WalRecord record, Page page, ushort number)
    {
        BrinPage.Check(page, BrinPageType.Regular);
        if (!IndexPage.TryOverwrite(page, number, Summary(record)))
        {
            throw record.Malformed($"a summary of {record.BlockData(0).Length} bytes does not fit in the place of item {number}");
        }
    }

    private static void ExtendRevmap(WalRecord record, int blockId, Page page)
    {
        uint target = BrinRevmapExtend.Read(record.MainData).TargetBlock;
        switch (blockId)
        {
            case 0:
                BrinPage.Check(page, BrinPageType.Meta);
                if (BrinPage.LastRevmapPage(page) != target - 1)
                {
                    throw record.Malformed($"block {target} follows block {BrinPage.LastRevmapPage(page)} of the range map");
                }

                BrinPage.SetLastRevmapPage(page, target);
                break;
            case 1:
                if (record.Block(1).Tag.Block.Value != target)
                {
                    throw record.Malformed($"the range map is extended by block {target}, but block {record.Block(1).Tag.Block.Value} is in the record");
                }

                BrinPage.Initialize(page, BrinPageType.Revmap);
                break;
            default:
                throw record.Malformed($"an extension of a BRIN range map has no block {blockId}");
        }
    }

    private static void Desummarize(WalRecord record, int blockId, Page page)
    {
        BrinDesummarize body = BrinDesummarize.Read(record.MainData);
        switch (blockId)
        {
            case 0:
                BrinPage.SetRangePlace(page, body.PagesPerRange, body.HeapBlock, Tid.Invalid);
                break;
            case 1:
                Remove(page, body.Offset);
                break;
            default:
                throw record.Malformed($"a BRIN desummarization has no block {blockId}");
        }
    }

    private static void Remove(Page page, ushort number)
    {
        BrinPage.Check(page, BrinPageType.Regular);
        IndexPage.DeleteAt(page, number);
    }

    private static ReadOnlySpan<byte> Summary(WalRecord record)
    {
        ReadOnlySpan<byte> summary = record.BlockData(0);
        return summary.Length >= BrinPage.MinSummarySize ? summary : throw record.Malformed($"a BRIN summary of {summary.Length} bytes");
    }
}
