using SharedStorage.Access.Heap;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Visibility;

namespace SharedStorage.Access.Btree;

/// <summary>Unique checks against a heap: an entry stands for a chain of versions on one page.</summary>
internal sealed class HeapProbe(HeapTable table, Transaction own) : IRowProbe
{
    public bool IsLiveOrInDoubt(Tid tid, out Xid wait, out bool allDead)
    {
        bool live = table.TryFindDirty(ref tid, own, out DirtyConflict conflict, out allDead);
        wait = conflict.WaitFor;
        return live;
    }

    public bool IsLive(Tid tid) => table.TryFindDirty(ref tid, own, out DirtyConflict conflict, out _) && !conflict.Inserter.IsValid;
}
