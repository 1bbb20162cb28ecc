using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Visibility;

/// <summary>
/// Whether a snapshot sees a row version (PostgreSQL's heapam_visibility.c, HeapTupleSatisfiesMVCC, with LSN snapshots: I6). Hint bits say that a
/// transaction ended; when it ended is asked of the map with the bit set too, except below the map's horizon (R8).
/// </summary>
public static partial class HeapVisibility
{
    /// <summary>Whether the snapshot sees the version. The page is latched, shared at least (on a reader: pinned).</summary>
    public static bool IsVisible(ref VisibilityContext context, ref HeapTupleHeader header, Snapshot snapshot)
    {
        if (!InsertIsVisible(ref context, ref header, snapshot, out bool own))
        {
            return false;
        }

        HeapInfoMask mask = header.InfoMask;
        if ((mask & HeapInfoMask.XmaxInvalid) != 0 || header.XmaxIsLockedOnly)
        {
            return true;
        }

        return own ? !OwnDeleteIsVisible(ref context, ref header, snapshot) : !DeleteIsVisible(ref context, ref header, snapshot);
    }

    private static bool InsertIsVisible(ref VisibilityContext context, ref HeapTupleHeader header, Snapshot snapshot, out bool own)
    {
        own = false;
        HeapInfoMask mask = header.InfoMask;
        if ((mask & HeapInfoMask.XminCommitted) != 0)
        {
            if ((mask & HeapInfoMask.XminInvalid) != 0)
            {
                return true;
            }

            var xmin = new Xid(header.RawXmin);
            return xmin.Precedes(context.Manager.Map.Horizon) ? snapshot.Lsn >= context.Manager.Map.Start : context.EndedBy(context.EndOf(xmin), snapshot.Lsn);
        }

        if ((mask & HeapInfoMask.XminInvalid) != 0)
        {
            return false;
        }

        if ((mask & HeapInfoMask.Moved) != 0)
        {
            return MovedIsLive(ref context, ref header, snapshot.Own);
        }

        var inserter = new Xid(header.RawXmin);
        if (snapshot.Own is { } tx && tx.IsOwn(inserter))
        {
            own = true;
            return tx.ResolveCmin(new CommandId(header.RawCommandId), IsCombo(header)).Value < snapshot.Command.Value;
        }

        ulong end = context.EndOf(inserter);
        if (end == CommitLsnMap.Running)
        {
            return false;
        }

        if (end == CommitLsnMap.Aborted)
        {
            context.Hint(ref header, HeapInfoMask.XminInvalid);
            return false;
        }

        context.Hint(ref header, HeapInfoMask.XminCommitted, end);
        return context.EndedBy(end, snapshot.Lsn);
    }

    /// <summary>A row of the own transaction: deleted by it before the snapshot's command?</summary>
    private static bool OwnDeleteIsVisible(ref VisibilityContext context, ref HeapTupleHeader header, Snapshot snapshot)
    {
        Transaction tx = snapshot.Own!;
        if (tx.IsOwn(context.UpdaterOf(header)))
        {
            return tx.ResolveCmax(new CommandId(header.RawCommandId), IsCombo(header)).Value < snapshot.Command.Value;
        }

        // The subtransaction that deleted it aborted; the lockers of a multixact may live on.
        if (!header.XmaxIsMulti)
        {
            context.Hint(ref header, HeapInfoMask.XmaxInvalid);
        }

        return false;
    }

    private static bool DeleteIsVisible(ref VisibilityContext context, ref HeapTupleHeader header, Snapshot snapshot)
    {
        Xid deleter = context.UpdaterOf(header);
        if ((header.InfoMask & HeapInfoMask.XmaxCommitted) == 0)
        {
            if (snapshot.Own is { } tx && tx.IsOwn(deleter))
            {
                return tx.ResolveCmax(new CommandId(header.RawCommandId), IsCombo(header)).Value < snapshot.Command.Value;
            }
        }
        else if (deleter.Precedes(context.Manager.Map.Horizon))
        {
            return snapshot.Lsn >= context.Manager.Map.Start;
        }

        ulong end = context.Manager.EndOf(deleter);
        if (end == CommitLsnMap.Running)
        {
            return false;
        }

        if (end == CommitLsnMap.Aborted)
        {
            if (!header.XmaxIsMulti)
            {
                context.Hint(ref header, HeapInfoMask.XmaxInvalid);
            }

            return false;
        }

        if (!header.XmaxIsMulti && (header.InfoMask & HeapInfoMask.XmaxCommitted) == 0)
        {
            context.Hint(ref header, HeapInfoMask.XmaxCommitted, end);
        }

        return context.EndedBy(end, snapshot.Lsn);
    }

    /// <summary>
    /// A row that a VACUUM FULL of before PostgreSQL 9.0 moved, in a directory upgraded since: the vacuum's xid is in the command's place.
    /// False: the version does not count; true: it is as if its inserter had committed long ago.
    /// </summary>
    private static bool MovedIsLive(ref VisibilityContext context, ref HeapTupleHeader header, Transaction? own)
    {
        bool off = (header.InfoMask & HeapInfoMask.MovedOff) != 0;
        var vacuum = new Xid(header.RawCommandId);
        if (own is not null && own.IsOwn(vacuum))
        {
            return !off;
        }

        if (context.IsInProgress(vacuum))
        {
            return off;
        }

        bool live = context.Manager.DidCommit(vacuum) != off;
        context.Hint(ref header, live ? HeapInfoMask.XminCommitted : HeapInfoMask.XminInvalid);
        return live;
    }

    private static bool IsCombo(in HeapTupleHeader header) => (header.InfoMask & HeapInfoMask.ComboCid) != 0;
}
