namespace SharedStorage.Simulation;

/// <summary>The one source of chance of a schedule (xorshift): the seed decides everything.</summary>
internal struct Dice(ulong seed)
{
    private ulong _state = (seed + 1) * 0x9E3779B97F4A7C15;

    public ulong Next()
    {
        _state ^= _state << 13;
        _state ^= _state >> 7;
        _state ^= _state << 17;
        return _state * 0x2545F4914F6CDD1D >> 11;
    }

    /// <summary>From 0 to below the limit.</summary>
    public int Below(int limit) => (int)(Next() % (ulong)limit);

    /// <summary>True so many times of a thousand.</summary>
    public bool Chance(int perThousand) => Below(1000) < perThousand;

    /// <summary>Milliseconds as microseconds, from the first to below the second.</summary>
    public long Millis(int from, int to) => (from * 1000L) + (long)(Next() % (ulong)((to - from) * 1000L));
}
