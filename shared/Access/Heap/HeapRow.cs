using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Heap;

/// <summary>Changes of a row's header that operations and their redo share (htup_details.h, heapam.c).</summary>
internal static class HeapRow
{
    /// <summary>The item number that a ctid has when the row went to another partition.</summary>
    public const ushort MovedPartitionsItem = 0xFFFD;

    /// <summary>The item number that a ctid has while its insertion is speculative; the block is then a token.</summary>
    public const ushort SpeculativeItem = 0xFFFE;

    /// <summary>What a record must say of xmax (compute_infobits).</summary>
    public static HeapInfoBits InfoBits(HeapInfoMask mask, HeapInfoMask2 mask2)
    {
        HeapInfoBits bits = HeapInfoBits.None;
        bits |= (mask & HeapInfoMask.XmaxIsMulti) != 0 ? HeapInfoBits.XmaxIsMulti : 0;
        bits |= (mask & HeapInfoMask.XmaxLockOnly) != 0 ? HeapInfoBits.XmaxLockOnly : 0;
        bits |= (mask & HeapInfoMask.XmaxExclusiveLock) != 0 ? HeapInfoBits.XmaxExclusiveLock : 0;
        bits |= (mask & HeapInfoMask.XmaxKeyShareLock) != 0 ? HeapInfoBits.XmaxKeyShareLock : 0;
        bits |= (mask2 & HeapInfoMask2.KeysUpdated) != 0 ? HeapInfoBits.KeysUpdated : 0;
        return bits;
    }

    /// <summary>Forgets the old xmax and sets the masks as a record says.</summary>
    public static void SetInfoBits(ref HeapTupleHeader row, HeapInfoBits bits)
    {
        HeapInfoMask mask = row.InfoMask & ~(HeapInfoMask.XmaxBits | HeapInfoMask.Moved);
        mask |= (bits & HeapInfoBits.XmaxIsMulti) != 0 ? HeapInfoMask.XmaxIsMulti : 0;
        mask |= (bits & HeapInfoBits.XmaxLockOnly) != 0 ? HeapInfoMask.XmaxLockOnly : 0;
        mask |= (bits & HeapInfoBits.XmaxExclusiveLock) != 0 ? HeapInfoMask.XmaxExclusiveLock : 0;
        mask |= (bits & HeapInfoBits.XmaxKeyShareLock) != 0 ? HeapInfoMask.XmaxKeyShareLock : 0;
        row.InfoMask = mask;
        row.InfoMask2 &= ~HeapInfoMask2.KeysUpdated;
        row.InfoMask2 |= (bits & HeapInfoBits.KeysUpdated) != 0 ? HeapInfoMask2.KeysUpdated : 0;
    }

    public static void SetHotUpdated(ref HeapTupleHeader row, bool hot) =>
        row.InfoMask2 = hot ? row.InfoMask2 | HeapInfoMask2.HotUpdated : row.InfoMask2 & ~HeapInfoMask2.HotUpdated;

    public static void SetCmin(ref HeapTupleHeader row, CommandId command)
    {
        row.RawCommandId = command.Value;
        row.InfoMask &= ~HeapInfoMask.ComboCid;
    }

    public static void SetCmax(ref HeapTupleHeader row, CommandId command, bool isCombo)
    {
        row.RawCommandId = command.Value;
        row.InfoMask = isCombo ? row.InfoMask | HeapInfoMask.ComboCid : row.InfoMask & ~HeapInfoMask.ComboCid;
    }

    /// <summary>Carries out a freeze plan on one row (heap_execute_freeze_tuple).</summary>
    public static void Freeze(ref HeapTupleHeader row, in HeapFreezePlan plan)
    {
        row.RawXmax = plan.Xmax.Value;
        if ((plan.Flags & HeapFreezePlan.FreezeXvac) != 0)
        {
            row.RawCommandId = Xid.Frozen.Value;
        }

        if ((plan.Flags & HeapFreezePlan.InvalidXvac) != 0)
        {
            row.RawCommandId = 0;
        }

        row.InfoMask = plan.InfoMask;
        row.InfoMask2 = plan.InfoMask2;
    }
}
