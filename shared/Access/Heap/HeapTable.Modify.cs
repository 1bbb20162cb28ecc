using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Visibility;

namespace SharedStorage.Access.Heap;

/// <summary>Deleting rows (heap_delete), and what deleting and updating share: waiting for those who hold the row.</summary>
public sealed partial class HeapTable
{
    /// <summary>Deletes the row at the place; waits for concurrent writers of it. <paramref name="snapshot"/> gives the command.</summary>
    public ModifyResult Delete(Transaction tx, Tid tid, Snapshot snapshot, LockWait wait = LockWait.Wait) => Delete(tx, tid, snapshot.Command, wait);

    /// <summary>Deletes a chunk of a value that this transaction's row had; an index entry of an insertion that failed is passed over.</summary>
    internal void DeleteChunk(Transaction tx, Tid tid)
    {
        HeapTupleHeader header = ReadHeader(tid);
        if (header.HeaderLength == 0 || header.XminInvalid || (!header.XminFrozen && !tx.IsOwn(header.Xmin) && _locks.DidAbort(header.Xmin)))
        {
            return;
        }

        ModifyOutcome outcome = Delete(tx, tid, tx.Command, LockWait.Wait).Outcome;
        Invariant.Check(outcome == ModifyOutcome.Ok, "TOAST", $"chunk {tid} of \"{Relation.Name}\" was changed by others: {outcome}");
    }

    private ModifyResult Delete(Transaction tx, Tid tid, CommandId command, LockWait wait)
    {
        CheckWritable();
        Xid xid = tx.Xid;
        bool queued = false;
        var row = new LatchedRow(Engine, _placement, Relation.Node, tid);
        try
        {
            if (!row.IsRow)
            {
                return new ModifyResult(ModifyOutcome.Deleted, tid, Xid.Invalid, CommandId.Invalid);
            }

            TupleUpdateState state;
            do
            {
                state = row.UpdateState(tx, command);
                if (state == TupleUpdateState.Invisible)
                {
                    throw new PgException(SqlStates.ObjectNotInPrerequisiteState, "attempted to delete invisible tuple");
                }
            }
            while (state == TupleUpdateState.BeingModified && !TryPassForDelete(tx, ref row, wait, ref queued, out state));

            if (state != TupleUpdateState.Ok)
            {
                return Failure(tx, row, state);
            }

            (CommandId cmax, bool isCombo) = CommandFor(tx, row.Header, command);
            tx.MayJoinMultiXact();
            RowXmax xmax = _locks.NewXmax(row.Header, xid, RowLockMode.Exclusive, isUpdate: true);
            DeleteAndLog(xid, row, xmax, cmax, isCombo);
            tx.Session.Changes.Delete(Relation.LockDatabase, Relation.Id, tx.Depth);
            byte[]? external = CanToast && (row.Header.InfoMask & HeapInfoMask.HasExternal) != 0 ? row.Bytes.ToArray() : null;
            row.Unlatch();
            if (external is not null)
            {
                new Toaster(Engine, Relation).Delete(tx, external);
            }

            return new ModifyResult(ModifyOutcome.Ok, tid, Xid.Invalid, CommandId.Invalid);
        }
        finally
        {
            row.Dispose();
            _locks.LeaveQueue(tid, RowLockMode.Exclusive, tx, queued);
        }
    }

    /// <summary>
    /// Waits until nobody else holds the row and says what became of it; the latch is held again. False: xmax changed meanwhile, look anew.
    /// </summary>
    private bool TryPassForDelete(Transaction tx, ref LatchedRow row, LockWait wait, ref bool queued, out TupleUpdateState state)
    {
        state = TupleUpdateState.BeingModified;
        HeapTupleHeader before = row.Header;
        bool mustWait;
        bool isMember = false;
        if (before.XmaxIsMulti)
        {
            // A multixact may live on with own members or with those that do not conflict: deleting is allowed all the same.
            mustWait = _locks.MultiConflicts(before, RowLockMode.Exclusive, tx, out isMember);
        }
        else
        {
            mustWait = !tx.IsOwn(before.Xmax);
        }

        if (mustWait)
        {
            row.Unlatch();
            bool passed = (isMember || _locks.TryQueue(row.Tid, RowLockMode.Exclusive, tx, wait, ref queued))
                && (before.XmaxIsMulti
                    ? _locks.WaitForMembers(_locks.Members(before), RowLockMode.Exclusive, tx, wait, out _)
                    : _locks.WaitFor(before.Xmax, tx, wait));
            row.Latch();
            if (!passed)
            {
                return true;
            }

            if (RowLocks.MaskChanged(row.Header.InfoMask, before.InfoMask) || row.Header.RawXmax != before.RawXmax)
            {
                return false;
            }
        }

        state = AfterWait(tx, row);
        return true;
    }

    /// <summary>What the row is once those who held it are gone: free, updated or deleted.</summary>
    private TupleUpdateState AfterWait(Transaction tx, in LatchedRow row)
    {
        ref HeapTupleHeader header = ref row.Header;
        bool free = (header.InfoMask & HeapInfoMask.XmaxInvalid) != 0 || header.XmaxIsLockedOnly
            || (header.XmaxIsMulti ? _locks.IsOnlyLocked(header, tx) : !tx.IsOwn(header.Xmax) && _locks.DidAbort(header.Xmax));
        if (free)
        {
            return TupleUpdateState.Ok;
        }

        return header.Ctid == row.Tid ? TupleUpdateState.Deleted : TupleUpdateState.Updated;
    }

    private void DeleteAndLog(Xid xid, in LatchedRow row, in RowXmax xmax, CommandId command, bool isCombo)
    {
        try
        {
            using (Invariant.EnterCritical())
            {
                row.Page.MarkDirty();
                HeapPage.SetPrunable(row.Page.Page, xid);
                bool cleared = row.ClearAllVisible();
                row.SetXmax(xmax);
                ref HeapTupleHeader header = ref row.Header;
                HeapRow.SetHotUpdated(ref header, false);
                HeapRow.SetCmax(ref header, command, isCombo);
                header.Ctid = row.Tid;
                HeapLog.Delete(Engine, xid, row.Page, row.Tid.Offset, cleared);
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
    }

    /// <summary>The command that a row gets as cmax; a combined one when the same transaction inserted it (HeapTupleHeaderAdjustCmax).</summary>
    private static (CommandId Command, bool IsCombo) CommandFor(Transaction tx, in HeapTupleHeader row, CommandId command)
    {
        if (row.XminCommitted || !tx.IsOwn(new Xid(row.RawXmin)))
        {
            return (command, false);
        }

        CommandId cmin = tx.ResolveCmin(new CommandId(row.RawCommandId), (row.InfoMask & HeapInfoMask.ComboCid) != 0);
        return (tx.ComboCommand(cmin, command), true);
    }

    private ModifyResult Failure(Transaction tx, in LatchedRow row, TupleUpdateState state)
    {
        ref HeapTupleHeader header = ref row.Header;
        ModifyOutcome outcome = state switch
        {
            TupleUpdateState.SelfModified => ModifyOutcome.SelfModified,
            TupleUpdateState.Updated => ModifyOutcome.Updated,
            TupleUpdateState.Deleted => ModifyOutcome.Deleted,
            TupleUpdateState.Invisible => ModifyOutcome.Invisible,
            _ => ModifyOutcome.WouldBlock,
        };
        CommandId cmax = outcome == ModifyOutcome.SelfModified
            ? tx.ResolveCmax(new CommandId(header.RawCommandId), (header.InfoMask & HeapInfoMask.ComboCid) != 0)
            : CommandId.Invalid;
        return new ModifyResult(outcome, header.Ctid, _locks.Updater(header), cmax);
    }
}
