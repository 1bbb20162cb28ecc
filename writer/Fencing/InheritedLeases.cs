using SharedStorage.Control.Leases;

namespace SharedStorage.Writer.Fencing;

/// <summary>
/// Waits out the leases that an earlier writer granted, and its own, for what a new writer does to files before it serves readers (I8, R13). Rare: most files show the log's cuts and drops already.
/// </summary>
public sealed class InheritedLeases(bool any, LeaseSettings settings, TimeProvider time)
{
    private readonly long _origin = time.GetTimestamp();

    /// <summary>Returns when no lease of an earlier writer can run any more, and none of its writes can land.</summary>
    public void Await()
    {
        TimeSpan left = any ? settings.Outwaited - time.GetElapsedTime(_origin) : TimeSpan.Zero;
        if (left > TimeSpan.Zero)
        {
            Task.Delay(left, time).Wait();
        }
    }
}
