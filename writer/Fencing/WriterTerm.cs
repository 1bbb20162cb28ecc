namespace SharedStorage.Writer.Fencing;

/// <summary>
/// A writer's term, as a pure state machine (I8, I9): held for one lease from before each renewal; over for ever once it has run out, or a higher epoch is claimed.
/// Times are readings of the writer's monotonic clock, in ticks of 100 ns. One thread renews, any thread asks.
/// </summary>
public sealed class WriterTerm(ulong epoch, TimeSpan length)
{
    private long _validUntil;
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
        long until = Volatile.Read(ref _validUntil);
        if (until != 0 && began.Ticks >= until)
        {
            Lose("the lease on shared storage ran out before it could be renewed");
        }
        else if (highest > Epoch)
        {
            Lose($"epoch {highest} has been claimed, this writer has epoch {Epoch}");
        }

        return _lostBecause is null;
    }

    public void Renewed(TimeSpan began) => Volatile.Write(ref _validUntil, (began + length).Ticks);

    public void Lose(string reason) => _lostBecause ??= reason;
}
