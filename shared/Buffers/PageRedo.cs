using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;

namespace SharedStorage.Buffers;

/// <summary>
/// How the pool brings one page forward: implemented by Recovery's RedoTable, given to the pool by the node. A pure function of record, block and page bytes.
/// </summary>
public interface IPageRedo
{
    /// <summary>
    /// Applies to <paramref name="page"/> what <paramref name="record"/> does to the block <paramref name="tag"/>: restores its image if it has one to apply,
    /// runs the resource manager's own routine, sets the page LSN where PostgreSQL does. Called in log order, once per record and page.
    /// </summary>
    /// <exception cref="StorageException">I10: unknown or malformed; the message has LSN, resource manager and info byte.</exception>
    void Apply(WalRecord record, in BufferTag tag, Page page);
}
