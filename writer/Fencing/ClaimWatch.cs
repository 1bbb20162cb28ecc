namespace SharedStorage.Writer.Fencing;

/// <summary>What storage shows of the former writer at one moment.</summary>
/// <param name="HighestEpoch">The highest epoch claimed; 0 when none ever was.</param>
/// <param name="LeaseEpoch">The epoch in the lease file; 0 without a file.</param>
/// <param name="Renewal">The file's counter.</param>
/// <param name="Released">It stopped cleanly and let its lease go.</param>
/// <param name="ProcessIsDead">It ran on this host and is no more.</param>
/// <param name="Opened">It had opened for writes. One that died before says nothing of the writer before it, whose zombie it may not have outwaited.</param>
public readonly record struct FormerSighting(ulong HighestEpoch, ulong LeaseEpoch, ulong Renewal, bool Released, bool ProcessIsDead, bool Opened);

public enum ClaimVerdict
{
    /// <summary>Look again.</summary>
    Wait,

    /// <summary>The former writer is dead or let its lease go: the next epoch may be claimed, and its timeline may go on.</summary>
    FreeAndDead,

    /// <summary>It was silent for a lease, so it holds none; but nobody knows that it is dead (R13).</summary>
    FreeAfterSilence,

    /// <summary>Another writer is at work, or begins to.</summary>
    Held,
}

/// <summary>
/// Decides whether a node may claim the storage (I9, R13), as a pure state machine: sightings with their time in, verdicts out. An epoch that was claimed but has no lease file yet is a
/// writer that starts, or one that died starting: it is given a lease of silence as well. The claim that follows names the epoch seen here, so of two nodes that waited together one fails.
/// </summary>
public sealed class ClaimWatch(TimeSpan outwaited)
{
    private FormerSighting _first;
    private TimeSpan _since;
    private bool _watching;

    /// <summary>The highest epoch at the first sighting: the claim is for the one after it, and fails if that is taken by then.</summary>
    public ulong After => _first.HighestEpoch;

    public ClaimVerdict See(in FormerSighting sighting, TimeSpan now)
    {
        if (!_watching)
        {
            (_first, _since, _watching) = (sighting, now, true);
        }

        if (sighting.HighestEpoch != _first.HighestEpoch || sighting.LeaseEpoch != _first.LeaseEpoch || (sighting.Renewal != _first.Renewal && !sighting.Released))
        {
            return ClaimVerdict.Held;
        }

        bool lastIsKnown = sighting.LeaseEpoch == sighting.HighestEpoch;
        if (lastIsKnown && (sighting.HighestEpoch == 0 || sighting.Released || (sighting.ProcessIsDead && sighting.Opened)))
        {
            return ClaimVerdict.FreeAndDead;
        }

        return now - _since < outwaited ? ClaimVerdict.Wait : ClaimVerdict.FreeAfterSilence;
    }
}
