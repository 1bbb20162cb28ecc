using SharedStorage.Buffers;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Multi;
using SharedStorage.Transactions.Visibility;

namespace SharedStorage.Access.Heap;

/// <summary>Following a row from version to version: to lock those that came later (heap_lock_updated_tuple), to find the latest (heapam_tuple_lock).</summary>
public sealed partial class HeapTable
{
    /// <summary>
    /// Locks the versions after one that was updated, so that the lock holds for whoever finds the row by a later version. No latch is held.
    /// </summary>
    private TupleUpdateState LockLaterVersions(Transaction tx, in HeapTupleHeader first, RowLockMode mode)
    {
        tx.MayJoinMultiXact();
        Xid prior = _locks.Updater(first);
        Tid tid = first.Ctid;
        while (tid.Offset != HeapRow.MovedPartitionsItem && tid.Block.Value < Engine.Buffers.BlockCount(Relation.Node, ForkNumber.Main))
        {
            var row = new LatchedRow(Engine, _placement, Relation.Node, tid);
            try
            {
                TupleUpdateState state = LockLaterVersion(tx, ref row, prior, mode, out bool isMember);
                if (state != TupleUpdateState.Ok || !isMember)
                {
                    return state;
                }

                ref HeapTupleHeader header = ref row.Header;
                if (header.Ctid == tid || _locks.IsOnlyLocked(header, tx))
                {
                    return TupleUpdateState.Ok;
                }

                prior = _locks.Updater(header);
                tid = header.Ctid;
            }
            finally
            {
                row.Dispose();
            }
        }

        return TupleUpdateState.Ok;
    }

    /// <summary>Locks one of them; <paramref name="isMember"/> is false where the chain ends, because the version is another row's or its updater aborted.</summary>
    private TupleUpdateState LockLaterVersion(Transaction tx, ref LatchedRow row, Xid prior, RowLockMode mode, out bool isMember)
    {
        while (true)
        {
            isMember = row.IsRow && (!prior.IsValid || row.Header.Xmin == prior) && (row.Header.XminFrozen || !_locks.DidAbort(row.Header.Xmin));
            if (!isMember)
            {
                return TupleUpdateState.Ok;
            }

            HeapTupleHeader before = row.Header;
            Xid waitFor = Xid.Invalid;
            foreach (MultiXactMember m in (before.InfoMask & HeapInfoMask.XmaxInvalid) != 0 ? [] : _locks.Holders(before))
            {
                if (tx.IsOwn(m.Xid))
                {
                    // It was locked by an earlier attempt.
                    return TupleUpdateState.Ok;
                }

                if (!RowLocks.Conflict(RowLocks.ModeOf(m.Status), mode))
                {
                    continue;
                }

                if (Engine.Transactions.IsInProgress(m.Xid))
                {
                    waitFor = m.Xid;
                    break;
                }

                if (m.IsUpdate && _locks.DidCommit(m.Xid))
                {
                    return before.Ctid == row.Tid ? TupleUpdateState.Deleted : TupleUpdateState.Updated;
                }
            }

            if (!waitFor.IsValid)
            {
                Xid xid = tx.Xid;
                LockAndLog(xid, row, _locks.NewXmax(row.Header, xid, mode, isUpdate: false), updatedVersion: true);
                return TupleUpdateState.Ok;
            }

            row.Unlatch();
            _locks.WaitFor(waitFor, tx, LockWait.Wait);
            row.Latch();
        }
    }

    /// <summary>
    /// From an updated version to the latest one that is there for this transaction; waits for those who change it just now. A result means that there is none.
    /// </summary>
    private ModifyResult? FindLatest(Transaction tx, ref Tid tid, in ModifyResult updated, CommandId command, LockWait wait)
    {
        Xid prior = updated.Xmax;
        tid = updated.NewTid;
        while (true)
        {
            if (tid.Offset == HeapRow.MovedPartitionsItem)
            {
                throw new PgException(
                    SqlStates.SerializationFailure, "tuple to be locked was already moved to another partition due to concurrent update");
            }

            bool live = Look(tx, tid, out HeapTupleHeader header, out DirtyConflict conflict);
            if (header.HeaderLength == 0 || header.Xmin != prior)
            {
                return updated with { Outcome = ModifyOutcome.Deleted };
            }

            if (!live)
            {
                if (header.Ctid == tid)
                {
                    return updated with { Outcome = ModifyOutcome.Deleted };
                }

                prior = _locks.Updater(header);
                tid = header.Ctid;
                continue;
            }

            if (conflict.Inserter.IsValid)
            {
                throw new StorageException($"t_xmin {conflict.Inserter} is uncommitted in tuple {tid} to be updated in table \"{Relation.Name}\"");
            }

            if (conflict.Deleter.IsValid)
            {
                if (!_locks.WaitFor(conflict.Deleter, tx, wait))
                {
                    return updated with { Outcome = ModifyOutcome.WouldBlock };
                }

                continue;
            }

            CommandId cmin = tx.IsOwn(prior)
                ? tx.ResolveCmin(new CommandId(header.RawCommandId), (header.InfoMask & HeapInfoMask.ComboCid) != 0) : CommandId.First;
            return tx.IsOwn(prior) && cmin.Value >= command.Value ? new ModifyResult(ModifyOutcome.SelfModified, tid, prior, cmin) : null;
        }
    }

    /// <summary>The header of a version (its length is 0 where there is none), and whether it counts now, changes under way included.</summary>
    private bool Look(Transaction tx, Tid tid, out HeapTupleHeader header, out DirtyConflict conflict)
    {
        header = default;
        conflict = default;
        if (tid.Block.Value >= Engine.Buffers.BlockCount(Relation.Node, ForkNumber.Main))
        {
            return false;
        }

        using PinnedPage page = Engine.Buffers.Pin(new BufferTag(Relation.Node, ForkNumber.Main, tid.Block));
        using SharedLatch latch = page.LatchShared();
        if (tid.Offset < 1 || tid.Offset > page.Page.ItemCount || !page.Page.Item(tid.Offset).IsNormal)
        {
            return false;
        }

        var context = new VisibilityContext(Engine, page);
        ref HeapTupleHeader row = ref HeapTupleCodec.Header(page.Page.ItemBytes(tid.Offset));
        bool live = HeapVisibility.SatisfiesDirty(ref context, ref row, tx, out conflict);
        header = row;
        return live;
    }
}
