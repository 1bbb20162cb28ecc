using SharedStorage.Access.Heap;
using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Visibility;

namespace SharedStorage.Access.Btree;

/// <summary>Unique checks against a heap: an entry stands for a chain of versions on one page (heap_hot_search_buffer with a dirty snapshot).</summary>
internal sealed class HeapProbe(HeapTable table, Transaction own) : IRowProbe
{
    private enum Question
    {
        Dirty, Self,
    }

    public bool IsLiveOrInDoubt(Tid tid, out Xid wait, out bool allDead) => Search(tid, Question.Dirty, out wait, out allDead);

    public bool IsLive(Tid tid) => Search(tid, Question.Self, out _, out _);

    private bool Search(Tid tid, Question question, out Xid wait, out bool allDead)
    {
        StorageEngine engine = table.Engine;
        using PinnedPage pin = engine.Buffers.Pin(new BufferTag(table.Relation.Node, ForkNumber.Main, tid.Block));
        using SharedLatch latch = pin.LatchShared();
        var context = new VisibilityContext(engine, pin);
        Page page = pin.Page;
        Lsn horizon = engine.Transactions.Horizon;
        wait = Xid.Invalid;
        allDead = true;
        int number = tid.Offset;
        Xid previousXmax = Xid.Invalid;
        bool atStart = true;
        while (number >= 1 && number <= page.ItemCount)
        {
            ItemId id = page.Item(number);
            if (!id.IsNormal)
            {
                if (!id.IsRedirected || !atStart)
                {
                    break;
                }

                number = id.RedirectTarget;
                atStart = false;
                continue;
            }

            ref HeapTupleHeader header = ref HeapTupleCodec.Header(page.ItemBytes(number));

            // A place may have been used anew since its chain ended: the links must fit on both sides.
            if ((atStart && header.IsHeapOnly) || (previousXmax.IsValid && header.Xmin != previousXmax))
            {
                break;
            }

            if (IsLive(ref context, ref header, question, out wait))
            {
                allDead = false;
                return true;
            }

            allDead = allDead && HeapVisibility.SatisfiesVacuum(ref context, ref header, horizon) == TupleVacuumState.Dead;
            if (!header.IsHotUpdated)
            {
                break;
            }

            previousXmax = context.UpdaterOf(header);
            number = header.CtidOffset;
            atStart = false;
        }

        return false;
    }

    private bool IsLive(ref VisibilityContext context, ref HeapTupleHeader header, Question question, out Xid wait)
    {
        wait = Xid.Invalid;
        if (question == Question.Self)
        {
            return HeapVisibility.SatisfiesSelf(ref context, ref header, own);
        }

        bool live = HeapVisibility.SatisfiesDirty(ref context, ref header, own, out DirtyConflict conflict);
        wait = conflict.WaitFor;
        return live;
    }
}
