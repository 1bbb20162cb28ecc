using SharedStorage.Buffers;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Access.Btree;

internal enum UniqueVerdict
{
    Unique,

    /// <summary>A row with the key is there for certain.</summary>
    Duplicate,

    /// <summary>Another transaction's end decides.</summary>
    Wait,
}

/// <summary>
/// Looks whether a live row has the key of an entry about to be inserted (_bt_check_unique). The leaf where such a key would come first is latched exclusively
/// until the entry is in, so no two inserters of one key are at this at a time.
/// </summary>
internal static class BtreeUniqueCheck
{
    /// <param name="insertion">Its leaf is latched exclusively, its key has no place. The bounds are set.</param>
    /// <param name="writer">The index.</param>
    /// <param name="probe">The table.</param>
    /// <param name="wait">With <see cref="UniqueVerdict.Wait"/>, for whom.</param>
    /// <param name="certain">False: in-progress transactions are not told from committed ones (<see cref="UniqueCheck.Partial"/>).</param>
    public static UniqueVerdict Check(BtreeInsertion insertion, BtreeWriter writer, IRowProbe probe, bool certain, out Xid wait)
    {
        wait = Xid.Invalid;
        BtreeBuffer buffer = insertion.Leaf;
        int number = insertion.Find();
        bool onFirst = true;
        while (true)
        {
            Page page = buffer.Page;
            ref BtreeOpaque opaque = ref buffer.Opaque;
            int last = page.ItemCount;
            for (; number <= last; number++)
            {
                if ((onFirst && insertion.BoundsValid && number == insertion.StrictHigh)
                    || (!page.Item(number).IsDead && insertion.Key.CompareTo(page, opaque, number) != 0))
                {
                    return Leave(buffer, onFirst, UniqueVerdict.Unique);
                }

                if (page.Item(number).IsDead)
                {
                    continue;
                }

                UniqueVerdict verdict = CheckItem(insertion, buffer, number, probe, certain, out wait);
                if (verdict != UniqueVerdict.Unique)
                {
                    return Leave(buffer, onFirst, verdict);
                }
            }

            if (opaque.IsRightmost || insertion.Key.CompareTo(page, opaque, BtreePage.HighKey) != 0)
            {
                return Leave(buffer, onFirst, UniqueVerdict.Unique);
            }

            buffer = NextLeaf(buffer, onFirst, writer);
            onFirst = false;
            number = buffer.Opaque.FirstDataItem;
        }
    }

    private static UniqueVerdict CheckItem(BtreeInsertion insertion, BtreeBuffer buffer, int number, IRowProbe probe, bool certain, out Xid wait)
    {
        wait = Xid.Invalid;
        Page page = buffer.Page;
        IndexTuple tuple = BtreePage.Tuple(page, number);
        bool allDead = true;
        for (int i = 0; i < tuple.RowCount; i++)
        {
            if (!probe.IsLiveOrInDoubt(tuple.RowTid(i), out wait, out bool dead))
            {
                allDead &= dead;
                continue;
            }

            if (!certain)
            {
                return UniqueVerdict.Duplicate;
            }

            if (wait.IsValid)
            {
                return UniqueVerdict.Wait;
            }

            // While an index is built concurrently, the row to insert may be dead by now: then there is no conflict.
            return probe.IsLive(insertion.RowTid) ? UniqueVerdict.Duplicate : UniqueVerdict.Unique;
        }

        if (allDead)
        {
            ItemId id = page.Item(number);
            page.Item(number) = new ItemId(id.Offset, ItemState.Dead, id.Length);
            buffer.Opaque.Flags |= BtreePageFlags.HasGarbage;
            buffer.Pin.MarkDirtyHint(standardLayout: true);
        }

        return UniqueVerdict.Unique;
    }

    private static UniqueVerdict Leave(BtreeBuffer buffer, bool onFirst, UniqueVerdict verdict)
    {
        if (!onFirst)
        {
            buffer.Release();
        }

        return verdict;
    }

    private static BtreeBuffer NextLeaf(BtreeBuffer buffer, bool onFirst, BtreeWriter writer)
    {
        do
        {
            uint next = buffer.Opaque.Next;
            if (next == 0)
            {
                throw BtreePages.Corrupted($"fell off the end of index \"{writer.Schema.Name}\"");
            }

            if (!onFirst)
            {
                buffer.Release();
            }

            buffer = writer.Pages.Get(next, LatchMode.Shared);
            onFirst = false;
        }
        while (buffer.Opaque.IsIgnored);

        return buffer;
    }
}
