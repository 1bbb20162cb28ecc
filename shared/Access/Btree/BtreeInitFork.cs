using SharedStorage.Buffers;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Access.Btree;

/// <summary>What an unlogged index is reset to after a crash (R16): the metapage of an empty index, in the init fork, which is logged (btbuildempty). The fork's file is there.</summary>
internal static class BtreeInitFork
{
    public static void Write(StorageEngine engine, Transaction tx, RelFileNode node, bool allEqualImage)
    {
        PinnedPage pin = engine.Buffers.PinNew(node, ForkNumber.Init);
        try
        {
            using Invariant.CriticalSection critical = Invariant.EnterCritical();
            Page page = pin.Page;
            BtreePage.InitializeMeta(page, new BtreeMeta { Version = BtreeMeta.CurrentVersion, AllEqualImage = allEqualImage });
            pin.MarkDirty();
            page.Lsn = PageImage.Log(engine, tx.XidOrInvalid, pin, standardLayout: true);
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
