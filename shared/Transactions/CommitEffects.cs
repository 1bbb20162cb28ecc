using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Slru;
using SharedStorage.Wal.Records;

namespace SharedStorage.Transactions;

/// <summary>
/// Hears of each commit that carries invalidations, in the order of the log and before any snapshot can see the commit: on the writer from the commit queue,
/// on a reader from the tail. So "valid between two such commits" is an interval of snapshot LSNs. It must be quick and must not throw.
/// </summary>
public interface ICommitListener
{
    void BeforeVisible(Lsn commitEnd, Xid xid, in XactEnd record);
}

/// <summary>Rule I5: files vanish last. The node's queue waits for the leased readers; <see cref="ImmediateRemoval"/> serves a node without any.</summary>
public interface IRelationRemoval
{
    /// <summary>The relations (all forks) were dropped by the record that ends at the position; called once the drop is visible.</summary>
    void RemoveRelations(ReadOnlySpan<RelFileNode> relations, Lsn end);

    /// <summary>SLRU segments were truncated away by the record that ends at the position.</summary>
    void RemoveSegments(SlruFiles files, IReadOnlyList<uint> segments, Lsn end);
}

/// <summary>Removes at once: right when no reader is leased, and for the files of an aborted transaction that no reader ever saw.</summary>
public sealed class ImmediateRemoval(RelationFiles files, Buffers.BufferPool buffers) : IRelationRemoval
{
    public void RemoveRelations(ReadOnlySpan<RelFileNode> relations, Lsn end)
    {
        foreach (RelFileNode rel in relations)
        {
            for (ForkNumber fork = ForkNumber.Main; fork <= ForkNumber.Init; fork++)
            {
                buffers.Discard(rel, fork, 0);
                files.Unlink(rel, fork);
            }
        }
    }

    public void RemoveSegments(SlruFiles files, IReadOnlyList<uint> segments, Lsn end)
    {
        foreach (uint segment in segments)
        {
            files.Delete(segment);
        }
    }
}

/// <summary>When a commit is answered (synchronous_commit).</summary>
public enum SynchronousCommit
{
    /// <summary>At once: the record is flushed soon after. The one exception to I6 (R14).</summary>
    Off,

    /// <summary>Once the record is durable.</summary>
    Local,
    RemoteWrite,
    On,

    /// <summary>Once the readers that count have applied the record.</summary>
    RemoteApply,
}
