using SharedStorage.Hosting.Cluster;
using SharedStorage.Primitives;

namespace SharedStorage.Writer.Fencing;

/// <summary>What the former writer's end means for the one that follows it (R13).</summary>
/// <param name="Former">The lease file as found; null when no writer of ours ever ran here.</param>
/// <param name="ProvenDead">It let its lease go, or it ran on this host under this boot and is no more: the timeline may go on.</param>
public readonly record struct FormerWriter(WriterLeaseRecord? Former, bool ProvenDead);

/// <summary>Waits until no other writer can hold the lease. A lock is never taken for a fence (I9): what decides is the lease, the process' death, or the fencing hook.</summary>
public static class WriterClaim
{
    /// <exception cref="PgException">Another writer renews its lease: the node may not start as writer.</exception>
    public static FormerWriter Await(string dataDirectory, TimeSpan lease, TimeProvider time, CancellationToken cancel)
    {
        WriterLeaseRecord? former = WriterLeaseRecord.TryRead(dataDirectory);
        if (former is null || former.Released || former.Process.IsDead() == true)
        {
            return new FormerWriter(former, ProvenDead: true);
        }

        // It is alive here, or ran on another host: it must stay silent for a whole lease by this host's clock.
        long start = time.GetTimestamp();
        while (time.GetElapsedTime(start) < lease + TimeSpan.FromSeconds(1))
        {
            if (cancel.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(200)))
            {
                throw new OperationCanceledException(cancel);
            }

            WriterLeaseRecord? now = WriterLeaseRecord.TryRead(dataDirectory);
            if (now is { Released: true })
            {
                return new FormerWriter(now, ProvenDead: true);
            }

            if (now is not null && (now.Renewal != former.Renewal || now.Epoch != former.Epoch))
            {
                throw new PgException(SqlStates.LockFileExists, $"another writer holds this storage: node \"{now.Node}\", epoch {now.Epoch}, process {now.Process.ProcessId}")
                {
                    Hint = "Stop it, or make it a reader with failover.sh or switchover.",
                };
            }
        }

        return new FormerWriter(former, former.Process.IsDead() == true);
    }
}
