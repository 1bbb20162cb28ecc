using SharedStorage.Primitives;

namespace SharedStorage.Writer.Flush;

/// <summary>
/// The marks that <c>consistent</c> is the minimum of (I3, R1, R7, R11), in the order in which they must be read: what is inserted first, since every later change lies at or after it; what cuts
/// hold back last, since one that begins meanwhile lies later too.
/// </summary>
/// <param name="Inserted">The log without gaps.</param>
/// <param name="Flushed">The durable log.</param>
/// <param name="OldestUnflushed">The oldest commit or SLRU change that is not in its file.</param>
/// <param name="OldestChange">The oldest change of a page that is not durable in its file.</param>
/// <param name="LowestApplied">The slowest leased reader.</param>
/// <param name="OldestCut">What cuts of files hold back.</param>
public readonly record struct ConsistentPoint(Lsn Inserted, Lsn Flushed, Lsn OldestUnflushed, Lsn OldestChange, Lsn LowestApplied, Lsn OldestCut)
{
    /// <summary>What may be announced.</summary>
    public Lsn Value => Lsn.Min(Lsn.Min(Lsn.Min(Inserted, Flushed), Lsn.Min(OldestUnflushed, OldestChange)), Lsn.Min(LowestApplied, OldestCut));
}
