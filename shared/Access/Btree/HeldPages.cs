namespace SharedStorage.Access.Btree;

/// <summary>
/// The btree pages that this thread has pinned and latched, in the order of taking. Comparisons run code of types, and damage is met anywhere: whoever enters
/// the btree code lets go, on failure, of what was taken since (as PostgreSQL does at the end of a transaction). Nested entries (a comparison that reads a catalog) have
/// marks of their own.
/// </summary>
internal static class HeldPages
{
    [ThreadStatic] private static BtreeBuffer[]? _held;
    [ThreadStatic] private static int _count;

    public static int Mark => _count;

    public static void Add(in BtreeBuffer buffer)
    {
        BtreeBuffer[] held = _held ??= new BtreeBuffer[16];
        if (_count == held.Length)
        {
            Array.Resize(ref held, held.Length * 2);
            _held = held;
        }

        held[_count++] = buffer;
    }

    public static unsafe void Remove(in BtreeBuffer buffer)
    {
        for (int i = _count - 1; i >= 0; i--)
        {
            if (_held![i].Pointer == buffer.Pointer)
            {
                _held.AsSpan(i + 1, _count - i - 1).CopyTo(_held.AsSpan(i));
                _held[--_count] = default;
                return;
            }
        }
    }

    /// <summary>Lets go of everything that was taken since the mark.</summary>
    public static void ReleaseTo(int mark)
    {
        while (_count > mark)
        {
            // A copy: letting go clears the place in the list.
            BtreeBuffer last = _held![_count - 1];
            last.Release();
        }
    }
}
