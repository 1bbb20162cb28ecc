using SharedStorage.Buffers;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Btree;

/// <summary>What an unlogged index is reset to after a crash (R16): the metapage of an empty index, in the init fork, which is logged (btbuildempty). The fork's file is there.</summary>
internal static class BtreeInitFork
{
    public static unsafe void Write(StorageEngine engine, Transaction tx, RelFileNode node, bool allEqualImage)
    {
        PinnedPage pin = engine.Buffers.PinNew(node, ForkNumber.Init);
        try
        {
            using Invariant.CriticalSection critical = Invariant.EnterCritical();
            Page page = pin.Page;
            BtreePage.InitializeMeta(page, new BtreeMeta { Version = BtreeMeta.CurrentVersion, AllEqualImage = allEqualImage });
            pin.MarkDirty();
            WalRecordBuilder record = engine.WritableWal.Begin(tx.XidOrInvalid);
            record.AddBlock(0, pin.Tag, pin.Pointer, WalBlockFlags.ForceImage | WalBlockFlags.Standard);
            page.Lsn = engine.WritableWal.Insert(record, Rmgr.Xlog, XlogOp.Image);
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
        finally
        {
            pin.Unlatch();
            pin.Dispose();
        }
    }
}
