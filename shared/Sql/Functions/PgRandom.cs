namespace SharedStorage.Sql.Functions;

/// <summary>PostgreSQL's generator (xoroshiro128**), so that setseed gives the same row of numbers as there.</summary>
public sealed class PgRandom
{
    private ulong _s0;
    private ulong _s1;

    public PgRandom(ulong seed) => Seed(seed);

    public void Seed(ulong seed)
    {
        _s0 = SplitMix(ref seed);
        _s1 = SplitMix(ref seed);
        if ((_s0 | _s1) == 0)
        {
            (_s0, _s1) = (0x5851F42D4C957F2D, 0x14057B7EF767814F);
        }
    }

    /// <summary>setseed: a number from -1 to 1.</summary>
    public void Seed(double seed) => Seed((ulong)(long)(seed * ((1L << 52) - 1)));

    public ulong NextUInt64()
    {
        ulong s0 = _s0;
        ulong sx = _s1 ^ s0;
        ulong value = ulong.RotateLeft(s0 * 5, 7) * 9;
        _s0 = ulong.RotateLeft(s0, 24) ^ sx ^ (sx << 16);
        _s1 = ulong.RotateLeft(sx, 37);
        return value;
    }

    /// <summary>From 0 to below 1.</summary>
    public double NextDouble() => Math.ScaleB(NextUInt64() >> 12, -52);

    private static ulong SplitMix(ref ulong seed)
    {
        ulong z = seed += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
