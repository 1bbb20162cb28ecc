using System.Text;
using SharedStorage.Wal.Records;

namespace SharedStorage.Wal.Describe;

internal static class BtreeDescription
{
    public static string? Identify(byte info) => (info & 0xF0) switch
    {
        BtreeOp.InsertLeaf => "INSERT_LEAF",
        BtreeOp.InsertUpper => "INSERT_UPPER",
        BtreeOp.InsertMeta => "INSERT_META",
        BtreeOp.SplitLeft => "SPLIT_L",
        BtreeOp.SplitRight => "SPLIT_R",
        BtreeOp.InsertPost => "INSERT_POST",
        BtreeOp.Dedup => "DEDUP",
        BtreeOp.Vacuum => "VACUUM",
        BtreeOp.Delete => "DELETE",
        BtreeOp.MarkPageHalfDead => "MARK_PAGE_HALFDEAD",
        BtreeOp.UnlinkPage => "UNLINK_PAGE",
        BtreeOp.UnlinkPageMeta => "UNLINK_PAGE_META",
        BtreeOp.NewRoot => "NEWROOT",
        BtreeOp.ReusePage => "REUSE_PAGE",
        BtreeOp.MetaCleanup => "META_CLEANUP",
        _ => null,
    };

    public static void Describe(WalRecord record, StringBuilder into)
    {
        ReadOnlySpan<byte> body = record.MainData;
        switch (record.OpCode)
        {
            case BtreeOp.InsertLeaf:
            case BtreeOp.InsertUpper:
            case BtreeOp.InsertMeta:
            case BtreeOp.InsertPost:
                into.Append($"off {BtreeInsert.Read(body).Offset}");
                break;
            case BtreeOp.SplitLeft:
            case BtreeOp.SplitRight:
                BtreeSplit split = BtreeSplit.Read(body);
                into.Append($"level {split.Level}, firstrightoff {split.FirstRight}, ");
                into.Append($"newitemoff {split.NewItemOffset}, postingoff {split.PostingOffset}");
                break;
            case BtreeOp.Dedup:
                into.Append($"nintervals {BtreeDedup.Read(body).IntervalCount}");
                break;
            case BtreeOp.Vacuum:
                BtreeVacuum vacuum = BtreeVacuum.Read(body);
                into.Append($"ndeleted {vacuum.DeletedCount}; nupdated {vacuum.UpdatedCount}");
                break;
            case BtreeOp.Delete:
                BtreeDelete delete = BtreeDelete.Read(body);
                into.Append($"latestRemovedXid {delete.LatestRemoved}; ndeleted {delete.DeletedCount}; nupdated {delete.UpdatedCount}");
                break;
            default:
                DescribeStructure(record, into);
                break;
        }
    }

    private static void DescribeStructure(WalRecord record, StringBuilder into)
    {
        ReadOnlySpan<byte> body = record.MainData;
        switch (record.OpCode)
        {
            case BtreeOp.MarkPageHalfDead:
                BtreeMarkPageHalfDead mark = BtreeMarkPageHalfDead.Read(body);
                into.Append($"topparent {mark.TopParent}; leaf {mark.Leaf}; left {mark.Left}; right {mark.Right}");
                break;
            case BtreeOp.UnlinkPage:
            case BtreeOp.UnlinkPageMeta:
                BtreeUnlinkPage unlink = BtreeUnlinkPage.Read(body);
                into.Append($"left {unlink.Left}; right {unlink.Right}; level {unlink.Level}; safexid {unlink.SafeXid}; ");
                into.Append($"leafleft {unlink.LeafLeft}; leafright {unlink.LeafRight}; leaftopparent {unlink.LeafTopParent}");
                break;
            case BtreeOp.NewRoot:
                into.Append($"lev {BtreeNewRoot.Read(body).Level}");
                break;
            case BtreeOp.ReusePage:
                BtreeReusePage reuse = BtreeReusePage.Read(body);
                into.Append($"rel {reuse.Node}; latestRemovedXid {reuse.LatestRemoved}");
                break;
            case BtreeOp.MetaCleanup:
                into.Append($"last_cleanup_num_delpages {BtreeMetaData.Read(record.BlockData(0)).LastCleanupDeletedPages}");
                break;
        }
    }
}
