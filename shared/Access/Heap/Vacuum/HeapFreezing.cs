using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Multi;
using SharedStorage.Transactions.Visibility;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Heap;

/// <summary>The limits of a vacuum: what must be frozen, and below which the table cannot have anything.</summary>
/// <param name="RelFrozenXid">The table's relfrozenxid: nothing older is in it.</param>
/// <param name="RelMinMxid">The table's relminmxid.</param>
/// <param name="FreezeLimit">Older xids are frozen; never above the xid horizon (R5).</param>
/// <param name="MultiCutoff">Older multixacts are replaced.</param>
public readonly record struct FreezeLimits(Xid RelFrozenXid, MultiXactId RelMinMxid, Xid FreezeLimit, MultiXactId MultiCutoff);

/// <summary>
/// Decides what freezing does to a row (heap_prepare_freeze_tuple) and keeps account of the oldest xid and multixact that stay, the table's new relfrozenxid and
/// relminmxid.
/// </summary>
internal sealed class HeapFreezing(TransactionManager transactions, FreezeLimits limits, Func<MultiXactId, RowXmax> masksOf)
{
    public Xid OldestXid { get; set; }
    public MultiXactId OldestMulti { get; set; }

    /// <summary>A plan for the row when something is to be frozen, else null; <paramref name="frozen"/>: nothing of it will ever need freezing afterwards.</summary>
    /// <exception cref="StorageException">The row has xids that it cannot have.</exception>
    public HeapFreezePlan? Plan(in HeapTupleHeader row, ushort item, out bool frozen)
    {
        HeapInfoMask mask = row.InfoMask;
        HeapInfoMask2 mask2 = row.InfoMask2;
        Xid xmax = row.Xmax;
        byte flags = 0;
        bool xminFrozen = FreezeXmin(row, ref mask, out bool changed);

        // An xmax that a hint calls invalid counts: the hint is not logged, so the number may have to be looked up again.
        bool xmaxFrozen = !xmax.IsValid || (!row.XmaxIsMulti && !xmax.IsNormal && (mask & HeapInfoMask.XmaxInvalid) != 0);
        if (!xmaxFrozen)
        {
            Xmax found = row.XmaxIsMulti ? Multi(row) : Single(row);
            if (found.Replaced)
            {
                mask = (mask & ~HeapInfoMask.XmaxBits) | found.New.Mask;
                mask2 = (mask2 & ~found.Cleared) | found.New.Mask2;
                xmax = found.New.Xmax;
                xmaxFrozen = (found.New.Mask & HeapInfoMask.XmaxInvalid) != 0;
                changed = true;
            }
        }

        if ((mask & HeapInfoMask.Moved) != 0 && new Xid(row.RawCommandId).IsNormal)
        {
            // A row that a VACUUM FULL of before 9.0 moved and that is alive: it moved in, or did not move off.
            flags = (mask & HeapInfoMask.MovedOff) != 0 ? HeapFreezePlan.InvalidXvac : HeapFreezePlan.FreezeXvac;
            mask |= HeapInfoMask.XminCommitted;
            changed = true;
        }

        frozen = xminFrozen && xmaxFrozen;
        return changed ? new HeapFreezePlan(xmax, item, mask2, mask, flags) : null;
    }

    /// <summary>Keeps account of a row that is left as it is; tells whether it has something that should be frozen (heap_tuple_would_freeze).</summary>
    public bool NoteUntouched(in HeapTupleHeader row)
    {
        bool would = false;
        if (row.Xmin.IsNormal)
        {
            Keep(row.Xmin);
            would = row.Xmin.Precedes(limits.FreezeLimit);
        }

        if (row.XmaxIsMulti && row.RawXmax != 0)
        {
            var multi = new MultiXactId(row.RawXmax);
            OldestMulti = multi.Precedes(OldestMulti) ? multi : OldestMulti;
            would |= multi.Precedes(limits.MultiCutoff);
            if (!HeapVisibility.IsLockedUpgraded(row))
            {
                foreach (MultiXactMember m in transactions.MultiXacts.GetMembers(multi, row.XmaxIsLockedOnly))
                {
                    Keep(m.Xid);
                    would |= m.Xid.Precedes(limits.FreezeLimit);
                }
            }
        }
        else if (row.Xmax.IsNormal)
        {
            Keep(row.Xmax);
            would |= row.Xmax.Precedes(limits.FreezeLimit);
        }

        return would;
    }

    private readonly record struct Xmax(bool Replaced, RowXmax New, HeapInfoMask2 Cleared);

    private static readonly Xmax Kept = new(false, default, HeapInfoMask2.None);

    private static readonly Xmax Removed = new(
        true, new RowXmax(Xid.Invalid, HeapInfoMask.XmaxInvalid, HeapInfoMask2.None), HeapInfoMask2.HotUpdated | HeapInfoMask2.KeysUpdated);

    private bool FreezeXmin(in HeapTupleHeader row, ref HeapInfoMask mask, out bool changed)
    {
        changed = false;
        Xid xmin = row.Xmin;
        if (!xmin.IsNormal)
        {
            return true;
        }

        Check(!xmin.Precedes(limits.RelFrozenXid), $"found xmin {xmin} from before relfrozenxid {limits.RelFrozenXid}");
        if (!xmin.Precedes(limits.FreezeLimit))
        {
            Keep(xmin);
            return false;
        }

        Check(transactions.DidCommit(xmin), $"uncommitted xmin {xmin} from before xid cutoff {limits.FreezeLimit} needs to be frozen");
        mask |= HeapInfoMask.XminFrozen;
        changed = true;
        return true;
    }

    private Xmax Single(in HeapTupleHeader row)
    {
        Xid xmax = row.Xmax;
        Check(xmax.IsNormal, $"found xmax {xmax} (infomask 0x{(int)row.InfoMask:X4}) not frozen, not multi, not normal");
        Check(!xmax.Precedes(limits.RelFrozenXid), $"found xmax {xmax} from before relfrozenxid {limits.RelFrozenXid}");
        if (!xmax.Precedes(limits.FreezeLimit))
        {
            Keep(xmax);
            return Kept;
        }

        Check(row.XmaxIsLockedOnly || !transactions.DidCommit(xmax), $"cannot freeze committed xmax {xmax}");
        return Removed;
    }

    private Xmax Multi(in HeapTupleHeader row)
    {
        var multi = new MultiXactId(row.RawXmax);
        if (!multi.IsValid || HeapVisibility.IsLockedUpgraded(row))
        {
            return Removed;
        }

        Check(!multi.Precedes(limits.RelMinMxid), $"found multixact {multi} from before relminmxid {limits.RelMinMxid}");
        bool old = multi.Precedes(limits.MultiCutoff);
        MultiXactMember[] members = transactions.MultiXacts.GetMembers(multi, row.XmaxIsLockedOnly);
        Check(!old || !Array.Exists(members, m => transactions.IsInProgress(m.Xid)), $"multixact {multi} from before cutoff found to be still running");
        if (!old && !Array.Exists(members, m => m.Xid.Precedes(limits.FreezeLimit)))
        {
            foreach (MultiXactMember m in members)
            {
                Keep(m.Xid);
            }

            OldestMulti = multi.Precedes(OldestMulti) ? multi : OldestMulti;
            return members.Length == 0 ? Removed : Kept;
        }

        MultiXactMember[] kept = Array.FindAll(members, Counts);
        if (kept.Length == 0)
        {
            return Removed;
        }

        foreach (MultiXactMember m in kept)
        {
            Check(!m.IsUpdate || !m.Xid.Precedes(limits.FreezeLimit), $"found update xid {m.Xid} from before xid cutoff {limits.FreezeLimit}");
            Keep(m.Xid);
        }

        if (kept.Length == 1 && kept[0].IsUpdate)
        {
            HeapInfoMask committed = transactions.DidCommit(kept[0].Xid) ? HeapInfoMask.XmaxCommitted : HeapInfoMask.None;
            return new Xmax(true, new RowXmax(kept[0].Xid, committed, HeapInfoMask2.None), HeapInfoMask2.None);
        }

        MultiXactId replacement = transactions.MultiXacts.Create(kept);
        OldestMulti = replacement.Precedes(OldestMulti) ? replacement : OldestMulti;
        return new Xmax(true, masksOf(replacement), HeapInfoMask2.KeysUpdated);
    }

    /// <summary>A member that must stay: a changer that did not abort, a locker that runs.</summary>
    private bool Counts(MultiXactMember m) => transactions.IsInProgress(m.Xid) || (m.IsUpdate && transactions.DidCommit(m.Xid));

    private void Keep(Xid xid)
    {
        if (xid.IsNormal && xid.Precedes(OldestXid))
        {
            OldestXid = xid;
        }
    }

    private static void Check(bool holds, string message)
    {
        if (!holds)
        {
            throw new StorageException(message);
        }
    }
}
