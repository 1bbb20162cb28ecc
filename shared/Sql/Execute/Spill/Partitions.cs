using SharedStorage.Format.Tuples;

namespace SharedStorage.Sql.Execute.Spill;

/// <summary>Rows by the hash of their key, so that a part that fits into memory can be worked on at a time; a part that does not is parted again by other bits.</summary>
internal sealed class Partitions(SpillOwner owner, TempFile file, int level)
{
    public const int Fan = 16;

    /// <summary>By then the hash is used up: rows that are still together are equal, or as good as.</summary>
    public const int LastLevel = 7;

    private readonly RowTape?[] _tapes = new RowTape?[Fan];

    public RowTape? this[int number] => _tapes[number];

    public int Level => level;

    /// <summary>Which part a key of this hash belongs to.</summary>
    public int NumberOf(int hash)
    {
        // The hashes of small numbers are small: all bits must take part (MurmurHash3's last step).
        uint h = (uint)hash;
        h = (h ^ (h >> 16)) * 0x85EBCA6B;
        h = (h ^ (h >> 13)) * 0xC2B2AE35;
        h ^= h >> 16;
        return (int)(h >> (4 * level)) & (Fan - 1);
    }

    public void Add(int number, ReadOnlySpan<Datum> row) => (_tapes[number] ??= new RowTape(owner, file)).Add(row);

    public void Finish()
    {
        foreach (RowTape? tape in _tapes)
        {
            tape?.Finish();
        }
    }
}
