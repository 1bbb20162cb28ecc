using SharedStorage.Hosting.Cluster;
using SharedStorage.Primitives;
using SharedStorage.Wal.Reading;

namespace SharedStorage.Hosting.Engine;

/// <summary>I12: the end of the log is believed only at or beyond every durable mark; before one it is damage, and the node refuses to start.</summary>
public static class LogEnd
{
    /// <exception cref="StorageException">The log ends before a mark; the message names both.</exception>
    public static void Check(NodeEngine engine, WriterLeaseRecord? former)
    {
        WalEnd end = engine.Tail.End ?? throw new InvariantException("I12", "the log was not read to its end");
        Lsn reached = end.Position;
        if (engine.Control.MinRecoveryPoint > reached)
        {
            throw end.AsDamage("pg_control's minimum recovery point", engine.Control.MinRecoveryPoint);
        }

        // At its start a shutdown checkpoint is the whole log; its record was read and verified by the tail.
        if (engine.Control.CheckPointAt >= reached)
        {
            throw end.AsDamage("pg_control's checkpoint", engine.Control.CheckPointAt);
        }

        if (former is not null && former.SystemIdentifier == engine.Control.SystemIdentifier && former.Flushed > reached)
        {
            throw end.AsDamage("the writer's lease file", former.Flushed);
        }

        if (end.NextSegmentWritten.IsValid)
        {
            throw end.AsDamage("the next segment", end.NextSegmentWritten);
        }
    }
}
