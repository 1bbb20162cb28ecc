using System.Collections.Concurrent;
using SharedStorage.Primitives;

namespace SharedStorage.Access.Btree;

/// <summary>
/// Numbers of the vacuums that run over indexes now (nbtutils.c). A page that is split meanwhile carries the number: so vacuum knows that some of its
/// items may have moved to a page that it has already passed.
/// </summary>
internal static class BtreeVacuumCycles
{
    /// <summary>The last two bytes of a page tell tools the kind of index by values above this (MAX_BT_CYCLE_ID).</summary>
    private const int Max = 0xFF7F;

    private static readonly ConcurrentDictionary<RelFileNode, ushort> Running = new();
    private static readonly Lock Gate = new();
    private static ushort _last;

    /// <summary>The number of the vacuum that runs on the index, or 0. Asked with the page latched that is about to be split.</summary>
    public static ushort Current(RelFileNode index) => Running.IsEmpty ? (ushort)0 : Running.GetValueOrDefault(index);

    /// <exception cref="InvariantException">A vacuum runs on the index already.</exception>
    public static ushort Start(RelFileNode index)
    {
        lock (Gate)
        {
            _last = _last >= Max ? (ushort)1 : (ushort)(_last + 1);
            Invariant.Check(Running.TryAdd(index, _last), "btree", $"two vacuums run on index {index}");
            return _last;
        }
    }

    public static void End(RelFileNode index) => Running.TryRemove(index, out _);
}
