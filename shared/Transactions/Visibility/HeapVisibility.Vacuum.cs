using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Visibility;

/// <summary>What becomes of a version (PostgreSQL's HTSV_Result).</summary>
public enum TupleVacuumState
{
    /// <summary>Nobody sees it, now or ever.</summary>
    Dead,
    Live,

    /// <summary>Deleted by a commit that a snapshot may not see yet.</summary>
    RecentlyDead,
    InsertInProgress,
    DeleteInProgress,
}

/// <summary>What pruning, vacuum and index builds ask (HeapTupleSatisfiesVacuum), by the horizon H as an LSN (I7).</summary>
public static partial class HeapVisibility
{
    /// <param name="context">The page's.</param>
    /// <param name="header">The version's.</param>
    /// <param name="horizon">H, taken from <see cref="TransactionManager.Horizon"/>; for the page, or for the whole of a VACUUM.</param>
    /// <param name="own">The asking transaction, to tell its own deletions; null where that does not matter.</param>
    public static TupleVacuumState SatisfiesVacuum(ref VisibilityContext context, ref HeapTupleHeader header, Lsn horizon, Transaction? own = null)
    {
        TupleVacuumState state = SatisfiesVacuum(ref context, ref header, own, out Xid deadAfter);
        return state == TupleVacuumState.RecentlyDead && context.Manager.IsCommittedForAll(deadAfter, horizon) ? TupleVacuumState.Dead : state;
    }

    /// <summary>
    /// The same before the horizon is asked; a version that is <see cref="TupleVacuumState.RecentlyDead"/> goes once <paramref name="deadAfter"/>, its deleter,
    /// committed at or before H.
    /// </summary>
    public static TupleVacuumState SatisfiesVacuum(ref VisibilityContext context, ref HeapTupleHeader header, Transaction? own, out Xid deadAfter)
    {
        deadAfter = Xid.Invalid;
        if (!header.XminCommitted)
        {
            if (header.XminInvalid)
            {
                return TupleVacuumState.Dead;
            }

            if ((header.InfoMask & HeapInfoMask.Moved) != 0)
            {
                if (!MovedIsLive(ref context, ref header, own: null))
                {
                    return TupleVacuumState.Dead;
                }
            }
            else
            {
                var inserter = new Xid(header.RawXmin);
                ulong end = context.EndOf(inserter);
                if (end == CommitLsnMap.Running)
                {
                    return own is not null && own.IsOwn(inserter) && OwnDeleted(ref context, ref header, own)
                        ? TupleVacuumState.DeleteInProgress
                        : TupleVacuumState.InsertInProgress;
                }

                context.Hint(ref header, end == CommitLsnMap.Aborted ? HeapInfoMask.XminInvalid : HeapInfoMask.XminCommitted, end);
                if (end == CommitLsnMap.Aborted)
                {
                    return TupleVacuumState.Dead;
                }
            }
        }

        return DeletionState(ref context, ref header, out deadAfter);
    }

    /// <summary>
    /// Whether every snapshot that is or will be sees the version as inserted: its inserter committed at or before H. With the rest of a page this makes
    /// it all-visible (R5).
    /// </summary>
    public static bool InsertIsVisibleToAll(ref VisibilityContext context, in HeapTupleHeader header, Lsn horizon)
    {
        if (header.XminFrozen)
        {
            return true;
        }

        return context.Manager.IsCommittedForAll(context.EndOf(new Xid(header.RawXmin)), horizon);
    }

    private static TupleVacuumState DeletionState(ref VisibilityContext context, ref HeapTupleHeader header, out Xid deadAfter)
    {
        deadAfter = Xid.Invalid;
        if ((header.InfoMask & HeapInfoMask.XmaxInvalid) != 0)
        {
            return TupleVacuumState.Live;
        }

        bool committed = (header.InfoMask & HeapInfoMask.XmaxCommitted) != 0;
        if (header.XmaxIsLockedOnly)
        {
            bool locked = header.XmaxIsMulti
                ? !IsLockedUpgraded(header) && context.MultiIsRunning(header, onlyLockers: true)
                : context.IsInProgress(header.Xmax);
            if (!committed && !locked)
            {
                context.Hint(ref header, HeapInfoMask.XmaxInvalid);
            }

            return TupleVacuumState.Live;
        }

        Xid deleter = context.UpdaterOf(header);
        ulong end = committed && !header.XmaxIsMulti ? TupleCommitted : context.Manager.EndOf(deleter);
        switch (end)
        {
            case CommitLsnMap.Running:
                return TupleVacuumState.DeleteInProgress;
            case CommitLsnMap.Aborted:
                if (!header.XmaxIsMulti || !context.MultiIsRunning(header, onlyLockers: false))
                {
                    context.Hint(ref header, HeapInfoMask.XmaxInvalid);
                }

                return TupleVacuumState.Live;
            default:
                if (!header.XmaxIsMulti && !committed)
                {
                    context.Hint(ref header, HeapInfoMask.XmaxCommitted, end);
                }

                deadAfter = deleter;
                return TupleVacuumState.RecentlyDead;
        }
    }

    /// <summary>Stands for an end that a hint tells of, whenever it was.</summary>
    private const ulong TupleCommitted = TransactionManager.CommittedBeforeStart;
}
