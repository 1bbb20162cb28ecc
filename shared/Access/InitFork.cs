using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access;

/// <summary>Init forks: what unlogged relations are reset to after a crash (R16).</summary>
internal static class InitFork
{
    /// <summary>
    /// Logs a new page of an init fork as an image, whatever its relation is. PostgreSQL's recovery writes the image of such a page to its file at once, and copies init forks as files at its end;
    /// what other records make of the page is in its buffers only by then. In a critical section, after the page was marked dirty.
    /// </summary>
    public static unsafe void Log(StorageEngine engine, Xid xid, in PinnedPage pin)
    {
        Page page = pin.Page;
        WalRecordBuilder record = engine.WritableWal.Begin(xid);
        record.AddBlock(0, pin.Tag, pin.Pointer, WalBlockFlags.ForceImage | WalBlockFlags.Standard);
        page.Lsn = engine.WritableWal.Insert(record, Rmgr.Xlog, XlogOp.Image);
    }
}
