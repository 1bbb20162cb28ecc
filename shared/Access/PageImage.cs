using SharedStorage.Buffers;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access;

/// <summary>
/// A page logged whole, whatever its relation is (log_newpage). Of an init fork it must be such a record (R16): PostgreSQL's recovery writes the image of such a page to its file at once, and copies
/// init forks as files at its end; what other records make of the page is in its buffers only by then.
/// </summary>
public static class PageImage
{
    /// <summary>In a critical section, after the page was marked dirty.</summary>
    /// <param name="standardLayout">The hole between the page's lower and upper end is left out. Pages of maps have none.</param>
    /// <returns>The end of the record: the page's LSN, which the caller sets.</returns>
    public static unsafe Lsn Log(StorageEngine engine, Xid xid, in PinnedPage page, bool standardLayout)
    {
        WalRecordBuilder record = engine.WritableWal.Begin(xid);
        record.AddBlock(0, page.Tag, page.Pointer, WalBlockFlags.ForceImage | (standardLayout ? WalBlockFlags.Standard : WalBlockFlags.None));
        return engine.WritableWal.Insert(record, Rmgr.Xlog, XlogOp.Image);
    }
}
