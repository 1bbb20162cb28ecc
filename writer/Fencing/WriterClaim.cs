using SharedStorage.Control.Leases;
using SharedStorage.Hosting.Cluster;
using SharedStorage.Primitives;

namespace SharedStorage.Writer.Fencing;

/// <summary>What the former writer's end means for the one that follows it (R13).</summary>
/// <param name="Former">The lease file as found; null when no writer of ours ever ran here.</param>
/// <param name="ProvenDead">It let its lease go, or it ran on this host under this boot and is no more: the timeline may go on.</param>
/// <param name="Epoch">The highest epoch when that was found: the claim is for the one after it.</param>
public readonly record struct FormerWriter(WriterLeaseRecord? Former, bool ProvenDead, ulong Epoch);

/// <summary>
/// Waits until no other writer can hold the lease. A lock is never taken for a fence (I9): what decides is the lease, the process' death, or the fencing hook. The decision is <see cref="ClaimWatch"/>'s.
/// </summary>
public static class WriterClaim
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(200);

    /// <exception cref="PgException">Another writer renews its lease: the node may not start as writer.</exception>
    public static FormerWriter Await(string dataDirectory, LeaseSettings settings, TimeProvider time, CancellationToken cancel)
    {
        var epochs = new Epochs(dataDirectory);

        // A second more: the other host's clock, and the way of its last renewal to storage.
        var watch = new ClaimWatch(settings.Outwaited + TimeSpan.FromSeconds(1));
        long start = time.GetTimestamp();
        while (true)
        {
            ulong highest = epochs.Highest();
            WriterLeaseRecord? lease = WriterLeaseRecord.TryRead(dataDirectory);
            switch (watch.See(Sighting(highest, lease), time.GetElapsedTime(start)))
            {
                case ClaimVerdict.FreeAndDead:
                    return new FormerWriter(lease, ProvenDead: true, watch.After);
                case ClaimVerdict.FreeAfterSilence:
                    return new FormerWriter(lease, ProvenDead: false, watch.After);
                case ClaimVerdict.Held:
                    throw new PgException(
                        SqlStates.LockFileExists,
                        lease is null ? $"another writer starts on this storage: epoch {highest}"
                            : $"another writer holds this storage: node \"{lease.Node}\", epoch {lease.Epoch}, process {lease.Process.ProcessId}")
                    {
                        Hint = "Stop it, or make it a reader with failover.sh or switchover.",
                    };
                default:
                    break;
            }

            if (cancel.WaitHandle.WaitOne(LookEvery))
            {
                throw new OperationCanceledException(cancel);
            }
        }
    }

    /// <summary>What storage shows now.</summary>
    internal static FormerSighting Sighting(ulong highest, WriterLeaseRecord? lease) =>
        new(highest, lease?.Epoch ?? 0, lease?.Renewal ?? 0, lease?.Released ?? false, lease?.Process.IsDead() == true, lease?.Opened ?? false);
}
