namespace SharedStorage.Control.Leases;

/// <summary>The times and limits of the protocol. Checked when they are set.</summary>
public sealed record LeaseSettings
{
    /// <summary>Longer than the storage's own peer time-out (GlusterFS in the lab: 4 s), so that a node that storage has dropped has no lease left.</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long whoever waits for another node's lease to end waits by its own clock: a fiftieth more than the lease, since the two clocks may run apart. Monotonic clocks
    /// of hosts differ by less than a thousandth, time slewing included.
    /// </summary>
    public TimeSpan Outwaited => Lease + (Lease / 50);

    /// <summary>Five chances within one lease.</summary>
    public TimeSpan Renewal { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>A reader further behind than this is no longer waited for. 1 GB of log is some seconds of replay.</summary>
    public ulong EvictionBytes { get; init; } = 1UL << 30;

    /// <summary>The same as time: bounds how long any reader can hold the writer.</summary>
    public TimeSpan EvictionTime { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a frozen reader goes on answering (I8).</summary>
    public TimeSpan FrozenAnswers { get; init; } = TimeSpan.FromMinutes(10);

    /// <exception cref="ArgumentException">The settings contradict each other; the message names them.</exception>
    public LeaseSettings Validated()
    {
        if (Renewal <= TimeSpan.Zero || Renewal > Lease / 2)
        {
            throw new ArgumentException("sharedstorage.lease_renewal must be above 0 and at most half of sharedstorage.lease");
        }

        if (EvictionTime < Lease)
        {
            throw new ArgumentException("sharedstorage.eviction_time must not be below sharedstorage.lease");
        }

        return this;
    }
}
