namespace SharedStorage.Writer.Fencing;

/// <summary>
/// A writer's term, as a pure state machine (I8, I9): held for one lease from before each renewal; over for ever once it has run out, or a higher epoch is claimed.
/// A renewal counts only if it is on storage before the term that it prolongs is over: who waits for silence waits for at least one lease from what it saw last, so it sees each renewal that
/// counts before it claims. The first one must be there within a lease of the claim of the epoch, for the same reason.
/// Times are readings of the writer's monotonic clock, in ticks of 100 ns. One thread renews, any thread asks.
/// </summary>
/// <param name="epoch">Claimed by this writer.</param>
/// <param name="length">Of the lease.</param>
/// <param name="claimed">Before the claim of the epoch.</param>
public sealed class WriterTerm(ulong epoch, TimeSpan length, TimeSpan claimed)
{
    private long _mustLandBefore = (claimed + length).Ticks;
    private long _validUntil;
    private const string RanOut = "the lease on shared storage ran out before it was renewed";

    private volatile string? _lostBecause;

    public ulong Epoch { get; } = epoch;

    /// <summary>Null while it may be renewed.</summary>
    public string? LostBecause => _lostBecause;

    /// <summary>What is left of it; zero when it is over. A write may start only while something is left.</summary>
    public TimeSpan Left(TimeSpan now)
    {
        long left = _lostBecause is null ? Volatile.Read(ref _validUntil) - now.Ticks : 0;
        return left > 0 ? new TimeSpan(left) : TimeSpan.Zero;
    }

    public bool IsHeld(TimeSpan now) => Left(now) > TimeSpan.Zero;

    /// <summary>
    /// Whether the renewal may be written that began at <paramref name="began"/>; afterwards comes <see cref="Renewed"/> with the same moment, so that the term is measured from before the file changed.
    /// </summary>
    /// <param name="began">A reading of the clock before storage was asked for the epochs.</param>
    /// <param name="highest">The highest epoch claimed.</param>
    public bool MayRenew(TimeSpan began, ulong highest)
    {
        if (began.Ticks >= _mustLandBefore)
        {
            Lose(RanOut);
        }
        else if (highest > Epoch)
        {
            Lose($"epoch {highest} has been claimed, this writer has epoch {Epoch}");
        }

        return _lostBecause is null;
    }

    /// <summary>The renewal is on storage.</summary>
    /// <param name="began">As given to <see cref="MayRenew"/>.</param>
    /// <param name="landed">A reading of the clock after the file was durable.</param>
    /// <returns>Whether it counts; if not, the term is over for ever.</returns>
    public bool Renewed(TimeSpan began, TimeSpan landed)
    {
        if (landed.Ticks >= _mustLandBefore)
        {
            Lose(RanOut);
        }
        else if (_lostBecause is null)
        {
            _mustLandBefore = (began + length).Ticks;
            Volatile.Write(ref _validUntil, _mustLandBefore);
        }

        return _lostBecause is null;
    }

    public void Lose(string reason) => _lostBecause ??= reason;
}
