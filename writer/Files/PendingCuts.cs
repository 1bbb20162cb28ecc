using SharedStorage.Primitives;

namespace SharedStorage.Writer.Files;

/// <summary>
/// The cuts of files that are under way (R1), as a pure ledger: what holds back <c>consistent</c>, and when a file may be cut. The owner serializes.
/// </summary>
public sealed class PendingCuts
{
    private readonly List<Lsn> _holds = [];

    /// <summary>Consistent goes no further; <see cref="Lsn.Max"/> when no cut is under way.</summary>
    public Lsn Oldest => _holds.Count == 0 ? Lsn.Max : _holds.Min();

    /// <summary>
    /// Begins a cut, before its record is inserted and before its pages are given up. Their changes are then neither in a frame nor in the file, and a reader before the record still
    /// redoes them: so consistent stays before the oldest change that is not durable, not only before the record (I3).
    /// </summary>
    /// <returns>What <see cref="End"/> takes.</returns>
    public Lsn Begin(Lsn reserved, Lsn oldestChange)
    {
        Lsn hold = Lsn.Min(reserved, oldestChange);
        _holds.Add(hold);
        return hold;
    }

    /// <summary>The cut is on disk, or failed for good.</summary>
    public void End(Lsn hold) => _holds.Remove(hold);

    /// <summary>Every leased reader has applied the record that ends here. Snapshots need not pass: the horizon proves that the tail is empty for them (I7).</summary>
    public static bool MayCut(Lsn end, Lsn lowestApplied) => end <= lowestApplied;
}
