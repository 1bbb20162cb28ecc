using SharedStorage.Primitives;

namespace SharedStorage.Writer.Files;

/// <summary>
/// What waits to be removed until every reader has passed the record that drops it (I5): no state but the list, so that the decision is a function of one position. The owner serializes.
/// </summary>
public sealed class PendingRemovals<T>
{
    private readonly List<(Lsn End, T Item)> _entries = [];

    public int Count => _entries.Count;

    public IReadOnlyList<(Lsn End, T Item)> Entries => _entries;

    /// <summary>The position that everybody has passed: applied by all leased readers, and no snapshot in the cluster is older.</summary>
    public static Lsn PassedByAll(Lsn lowestApplied, Lsn horizon) => Lsn.Min(lowestApplied, horizon);

    public void Add(Lsn end, T item) => _entries.Add((end, item));

    /// <summary>Moves what may be removed by now into a list.</summary>
    public void TakePassed(Lsn passed, List<T> into)
    {
        int kept = 0;
        for (int i = 0; i < _entries.Count; i++)
        {
            if (_entries[i].End <= passed)
            {
                into.Add(_entries[i].Item);
            }
            else
            {
                _entries[kept++] = _entries[i];
            }
        }

        _entries.RemoveRange(kept, _entries.Count - kept);
    }

    public void Clear() => _entries.Clear();
}
