using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Visibility;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Heap;

/// <summary>Updating rows (heap_update): lock strength by key columns, HOT when no indexed column changes and the page has room.</summary>
public sealed partial class HeapTable
{
    /// <summary>
    /// Updates the row; <paramref name="indexedColumns"/> (by column number) decide HOT, <paramref name="keyColumns"/> the lock strength.
    /// </summary>
    public ModifyResult Update(
        Transaction tx, Tid tid, ReadOnlySpan<Datum> values, Snapshot snapshot, IReadOnlySet<int> indexedColumns, IReadOnlySet<int> keyColumns, out Tid newTid)
    {
        CheckWritable();
        newTid = Tid.Invalid;
        Xid xid = tx.Xid;
        bool queued = false;
        RowLockMode mode = RowLockMode.Exclusive;
        var row = new LatchedRow(Engine, _placement, Relation.Node, tid);
        try
        {
            if (!row.IsRow)
            {
                return new ModifyResult(ModifyOutcome.Deleted, tid, Xid.Invalid, CommandId.Invalid);
            }

            ModifiedColumns.Find(Relation.Desc, row.Bytes, values, indexedColumns, keyColumns, out bool indexed, out bool keys);
            mode = keys ? RowLockMode.Exclusive : RowLockMode.NoKeyExclusive;
            tx.MayJoinMultiXact();
            Lockers lockers;
            TupleUpdateState state;
            do
            {
                lockers = default;
                state = row.UpdateState(tx, snapshot.Command);
                if (state == TupleUpdateState.Invisible)
                {
                    throw new PgException(SqlStates.ObjectNotInPrerequisiteState, "attempted to update invisible tuple");
                }
            }
            while (state == TupleUpdateState.BeingModified && !TryPassForUpdate(tx, ref row, mode, ref queued, ref lockers, out state));

            if (state != TupleUpdateState.Ok)
            {
                return Failure(tx, row, state);
            }

            newTid = Replace(tx, xid, ref row, values, snapshot.Command, mode, indexed, lockers, out bool hot);
            tx.Session.Changes.Update(Relation.LockDatabase, Relation.Id, tx.Depth, hot);
            return new ModifyResult(ModifyOutcome.Ok, newTid, Xid.Invalid, CommandId.Invalid) { NeedsIndexEntries = !hot };
        }
        finally
        {
            row.Dispose();
            _locks.LeaveQueue(tid, mode, tx, queued);
        }
    }

    /// <summary>What is known of those who hold the row that is to be updated: looked at, and whether one remains.</summary>
    private struct Lockers
    {
        public bool Checked;
        public bool Remain;
    }

    /// <summary>As <see cref="TryPassForDelete"/>, but those who only share the key need not go when no key column changes.</summary>
    private bool TryPassForUpdate(
        Transaction tx, ref LatchedRow row, RowLockMode mode, ref bool queued, ref Lockers lockers, out TupleUpdateState state)
    {
        state = TupleUpdateState.BeingModified;
        HeapTupleHeader before = row.Header;
        bool free;
        if (before.XmaxIsMulti)
        {
            if (_locks.MultiConflicts(before, mode, tx, out bool isMember))
            {
                row.Unlatch();
                _ = isMember || _locks.TryQueue(row.Tid, mode, tx, LockWait.Wait, ref queued);
                _locks.WaitForMembers(_locks.Members(before), mode, tx, LockWait.Wait, out int remain);
                lockers = new Lockers { Checked = true, Remain = remain != 0 };
                row.Latch();
                if (RowLocks.MaskChanged(row.Header.InfoMask, before.InfoMask) || row.Header.RawXmax != before.RawXmax)
                {
                    return false;
                }
            }

            Xid updater = row.Header.XmaxIsLockedOnly ? Xid.Invalid : _locks.Updater(row.Header);
            free = !updater.IsValid || (!tx.IsOwn(updater) && _locks.DidAbort(updater));
        }
        else if (tx.IsOwn(before.Xmax) || (mode == RowLockMode.NoKeyExclusive && (before.InfoMask & HeapInfoMask.LockMask) == HeapInfoMask.XmaxKeyShareLock))
        {
            // Its lock is kept: the new xmax holds both.
            lockers = new Lockers { Checked = true, Remain = true };
            free = true;
        }
        else
        {
            row.Unlatch();
            _locks.TryQueue(row.Tid, mode, tx, LockWait.Wait, ref queued);
            _locks.WaitFor(before.Xmax, tx, LockWait.Wait);
            lockers = new Lockers { Checked = true };
            row.Latch();
            if (RowLocks.MaskChanged(row.Header.InfoMask, before.InfoMask) || row.Header.RawXmax != before.RawXmax)
            {
                return false;
            }

            free = before.XmaxIsLockedOnly || _locks.DidAbort(before.Xmax);
        }

        if (free)
        {
            state = TupleUpdateState.Ok;
            return true;
        }

        state = row.Header.Ctid == row.Tid ? TupleUpdateState.Deleted : TupleUpdateState.Updated;
        return true;
    }

    /// <summary>Stores the new version and links the old one to it. The old row is latched and free for the taking.</summary>
    private Tid Replace(
        Transaction tx, Xid xid, ref LatchedRow row, ReadOnlySpan<Datum> values, CommandId command, RowLockMode mode, bool indexedChanged, Lockers lockers, out bool hot)
    {
        RowXmax oldXmax = _locks.NewXmax(row.Header, xid, mode, isUpdate: true);
        RowXmax newXmax = XmaxOfNewVersion(row.Header, lockers);
        (CommandId cmax, bool isCombo) = CommandFor(tx, row.Header, command);
        Span<byte> formed = Form(values);
        bool toast = CanToast
            && ((row.Header.InfoMask & HeapInfoMask.HasExternal) != 0 || Toaster.HasExternal(values) || formed.Length > Toaster.Threshold);
        PinnedPage newPage = row.Page;
        PinnedPage newMap = default;
        bool ownPage = true;
        try
        {
            if (toast || Page.AlignUp(formed.Length) > HeapPage.FreeSpace(row.Page.Page))
            {
                RowXmax lockXmax = LockForNow(xid, row, mode, cmax, isCombo);
                row.Unlatch();
                if (toast)
                {
                    var old = new Datum[Relation.Desc.Count];
                    HeapTupleCodec.Deform(Relation.Desc, row.Bytes, old);
                    formed = Form(new Toaster(Engine, Relation).Store(tx, values, old, HeapInsertOptions.None));
                }

                ownPage = TakeOwnPage(ref row, formed.Length);
                if (!ownPage)
                {
                    newPage = _placement.FindForUpdate(formed.Length, row.Page, ref newMap, ref row.Map);
                    row.NoteLatched();
                    ownPage = newPage.Block == row.Page.Block;
                }

                // Others may have shared the row's key meanwhile: they must not be lost.
                if (row.Header.RawXmax != lockXmax.Xmax.Value)
                {
                    oldXmax = _locks.NewXmax(row.Header, xid, mode, isUpdate: true);
                    newXmax = XmaxOfNewVersion(row.Header, default);
                }
            }

            hot = ownPage && !indexedChanged;
            SetUpdateHeader(formed, xid, command, newXmax, hot);
            return ReplaceAndLog(xid, row, ownPage, newPage, newMap, formed, oldXmax, cmax, isCombo, hot);
        }
        finally
        {
            if (!ownPage && newPage.Block != row.Page.Block)
            {
                newPage.Unlatch();
                newPage.Dispose();
            }

            Release(newMap);
        }
    }

    /// <summary>Latches the row's page again if the new version fits there after all.</summary>
    private static bool TakeOwnPage(ref LatchedRow row, int size)
    {
        row.Latch();
        if (Page.AlignUp(size) <= HeapPage.FreeSpace(row.Page.Page))
        {
            return true;
        }

        row.Unlatch();
        return false;
    }

    private Tid ReplaceAndLog(
        Xid xid, in LatchedRow row, bool ownPage, in PinnedPage newPage, in PinnedPage newMap, ReadOnlySpan<byte> formed, in RowXmax oldXmax, CommandId cmax, bool isCombo, bool hot)
    {
        try
        {
            using (Invariant.EnterCritical())
            {
                row.Page.MarkDirty();
                if (!ownPage)
                {
                    newPage.MarkDirty();
                    row.Page.Page.Header.Flags |= PageFlags.PageFull;
                }

                HeapPage.SetPrunable(row.Page.Page, xid);
                ushort item = Place(newPage, formed);
                var newTid = new Tid(newPage.Block, item);
                row.SetXmax(oldXmax);
                ref HeapTupleHeader old = ref row.Header;
                HeapRow.SetHotUpdated(ref old, hot);
                HeapRow.SetCmax(ref old, cmax, isCombo);
                old.Ctid = newTid;
                HeapUpdateFlags flags = row.ClearAllVisible() ? HeapUpdateFlags.OldAllVisibleCleared : HeapUpdateFlags.None;
                if (!ownPage && ClearAllVisible(newPage, newMap))
                {
                    flags |= HeapUpdateFlags.NewAllVisibleCleared;
                }

                HeapLog.Update(Engine, xid, row.Page, row.Tid.Offset, newPage, item, flags);
                return newTid;
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
            throw;
        }
    }

    /// <summary>
    /// Marks the row as locked by the updater while its page is not latched (TOAST, a search for room), so that nobody else updates it. Logged, since an xid that
    /// may reach the disk must be known to recovery.
    /// </summary>
    private RowXmax LockForNow(Xid xid, in LatchedRow row, RowLockMode mode, CommandId cmax, bool isCombo)
    {
        RowXmax xmax = _locks.NewXmax(row.Header, xid, mode, isUpdate: false);
        try
        {
            using (Invariant.EnterCritical())
            {
                row.Page.MarkDirty();
                row.SetXmax(xmax);
                ref HeapTupleHeader header = ref row.Header;
                HeapRow.SetHotUpdated(ref header, false);
                HeapRow.SetCmax(ref header, cmax, isCombo);
                header.Ctid = row.Tid;
                bool cleared = row.ClearAllFrozen();
                HeapLog.Lock(Engine, xid, row.Page, row.Tid.Offset, cleared, updatedVersion: false);
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }

        return xmax;
    }

    /// <summary>The new version carries the locks on the old one that live on: they can only be key-share ones.</summary>
    private RowXmax XmaxOfNewVersion(in HeapTupleHeader old, Lockers lockers)
    {
        if ((old.InfoMask & HeapInfoMask.XmaxInvalid) != 0 || HeapVisibility.IsLockedUpgraded(old) || (lockers.Checked && !lockers.Remain) || old.RawXmax == 0)
        {
            return new RowXmax(Xid.Invalid, HeapInfoMask.XmaxInvalid, HeapInfoMask2.None);
        }

        return old.XmaxIsMulti
            ? _locks.Of(new MultiXactId(old.RawXmax))
            : new RowXmax(old.Xmax, HeapInfoMask.XmaxKeyShareLock | HeapInfoMask.XmaxLockOnly, HeapInfoMask2.None);
    }

    private static void SetUpdateHeader(Span<byte> row, Xid xid, CommandId command, in RowXmax xmax, bool hot)
    {
        ref HeapTupleHeader header = ref HeapTupleCodec.Header(row);
        header.InfoMask |= HeapInfoMask.Updated | xmax.Mask;
        header.InfoMask2 |= xmax.Mask2 | (hot ? HeapInfoMask2.OnlyTuple : 0);
        header.RawXmin = xid.Value;
        header.RawXmax = xmax.Xmax.Value;
        HeapRow.SetCmin(ref header, command);
    }
}
