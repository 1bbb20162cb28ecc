using SharedStorage.Primitives;

namespace SharedStorage.Access.Heap;

/// <summary>The places of dead items in the order of the heap, 8 bytes each; indexes ask it about every entry.</summary>
internal sealed class DeadItems
{
    private readonly List<ulong> _items = [];

    public int Count => _items.Count;

    public Tid this[int index] => new(new BlockNumber((uint)(_items[index] >> 16)), (ushort)_items[index]);

    /// <summary>Adds a place that comes after all that are in it.</summary>
    public void Add(Tid tid) => _items.Add(Key(tid));

    public bool Contains(Tid tid)
    {
        ulong key = Key(tid);
        return _items.Count != 0 && key >= _items[0] && key <= _items[^1] && _items.BinarySearch(key) >= 0;
    }

    public void Clear() => _items.Clear();

    private static ulong Key(Tid tid) => ((ulong)tid.Block.Value << 16) | tid.Offset;
}
