using SharedStorage.Primitives;

namespace SharedStorage.Buffers.LogIndex;

/// <summary>A thread's list of entries, used again and again: it allocates only when it grows.</summary>
internal sealed class EntryList
{
    private ulong[] _items = new ulong[64];

    public int Count { get; private set; }

    public ReadOnlySpan<ulong> Items => _items.AsSpan(0, Count);

    public Lsn Start(int i) => new(_items[i] & ~LogIndex.InitializesBit);

    public bool Initializes(int i) => (_items[i] & LogIndex.InitializesBit) != 0;

    public void Add(ulong entry)
    {
        if (Count == _items.Length)
        {
            Array.Resize(ref _items, _items.Length * 2);
        }

        _items[Count++] = entry;
    }

    public void Clear() => Count = 0;

    /// <summary>Puts another list before this one.</summary>
    public void Prepend(EntryList other)
    {
        int count = Count + other.Count;
        if (count > _items.Length)
        {
            Array.Resize(ref _items, Math.Max(count, _items.Length * 2));
        }

        _items.AsSpan(0, Count).CopyTo(_items.AsSpan(other.Count));
        other.Items.CopyTo(_items);
        Count = count;
    }

    public void Reverse() => Array.Reverse(_items, 0, Count);

    /// <summary>The last record that makes the page whatever it was; -1 when none does.</summary>
    public int LastInitializing()
    {
        for (int i = Count - 1; i >= 0; i--)
        {
            if (Initializes(i))
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>The first entry at or after a position; <see cref="Count"/> when there is none.</summary>
    public int FirstFrom(Lsn from)
    {
        int i = 0;
        while (i < Count && Start(i) < from)
        {
            i++;
        }

        return i;
    }
}
