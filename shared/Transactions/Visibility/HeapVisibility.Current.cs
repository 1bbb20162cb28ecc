using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Visibility;

/// <summary>Who is still at work on a version that <see cref="HeapVisibility.SatisfiesDirty"/> accepts: wait for it to know more. Invalid for nobody.</summary>
public readonly record struct DirtyConflict(Xid Inserter, Xid Deleter)
{
    public bool None => !Inserter.IsValid && !Deleter.IsValid;
    public Xid WaitFor => Inserter.IsValid ? Inserter : Deleter;
}

/// <summary>Checks against the present rather than a snapshot: by what has committed up to now.</summary>
public static partial class HeapVisibility
{
    /// <summary>Whether the version is current by all that has committed, and by all that the own transaction did (SnapshotSelf).</summary>
    public static bool SatisfiesSelf(ref VisibilityContext context, ref HeapTupleHeader header, Transaction? own) =>
        Satisfies(ref context, ref header, own, dirty: false, out _);

    /// <summary>
    /// As <see cref="SatisfiesSelf"/>, and versions that others insert or delete just now count too (SnapshotDirty): the conflict says whose they are.
    /// </summary>
    public static bool SatisfiesDirty(ref VisibilityContext context, ref HeapTupleHeader header, Transaction? own, out DirtyConflict conflict) =>
        Satisfies(ref context, ref header, own, dirty: true, out conflict);

    /// <summary>TOAST chunks belong to a visible row: only those of an insertion that failed do not count (SnapshotToast).</summary>
    public static bool SatisfiesToast(ref VisibilityContext context, ref HeapTupleHeader header)
    {
        if (header.XminCommitted)
        {
            return true;
        }

        if (header.XminInvalid)
        {
            return false;
        }

        return (header.InfoMask & HeapInfoMask.Moved) != 0 ? MovedIsLive(ref context, ref header, own: null) : header.RawXmin != 0;
    }

    /// <summary>Every version (SnapshotAny).</summary>
    public static bool SatisfiesAny(in HeapTupleHeader header) => header.HeaderLength != 0;

    private static bool Satisfies(ref VisibilityContext context, ref HeapTupleHeader header, Transaction? own, bool dirty, out DirtyConflict conflict)
    {
        conflict = default;
        if (!header.XminCommitted)
        {
            if (header.XminInvalid)
            {
                return false;
            }

            if ((header.InfoMask & HeapInfoMask.Moved) != 0)
            {
                if (!MovedIsLive(ref context, ref header, own))
                {
                    return false;
                }
            }
            else
            {
                var inserter = new Xid(header.RawXmin);
                if (own is not null && own.IsOwn(inserter))
                {
                    return !OwnDeleted(ref context, ref header, own);
                }

                ulong end = context.EndOf(inserter);
                if (end == CommitLsnMap.Running)
                {
                    conflict = new DirtyConflict(inserter, Xid.Invalid);
                    return dirty;
                }

                context.Hint(ref header, end == CommitLsnMap.Aborted ? HeapInfoMask.XminInvalid : HeapInfoMask.XminCommitted, end);
                if (end == CommitLsnMap.Aborted)
                {
                    return false;
                }
            }
        }

        if (DeletedNow(ref context, ref header, own, out Xid deleting))
        {
            return false;
        }

        conflict = new DirtyConflict(Xid.Invalid, deleting);
        return true;
    }

    /// <summary>A version that the own transaction inserted: whether it has deleted it too.</summary>
    private static bool OwnDeleted(ref VisibilityContext context, ref HeapTupleHeader header, Transaction own)
    {
        if ((header.InfoMask & HeapInfoMask.XmaxInvalid) != 0 || header.XmaxIsLockedOnly)
        {
            return false;
        }

        if (own.IsOwn(context.UpdaterOf(header)))
        {
            return true;
        }

        if (!header.XmaxIsMulti)
        {
            context.Hint(ref header, HeapInfoMask.XmaxInvalid);
        }

        return false;
    }

    /// <summary>Whether a version of a committed inserter is deleted, by a commit or by the own transaction, or, when not, who is <paramref name="deleting"/> it.</summary>
    private static bool DeletedNow(ref VisibilityContext context, ref HeapTupleHeader header, Transaction? own, out Xid deleting)
    {
        deleting = Xid.Invalid;
        if ((header.InfoMask & HeapInfoMask.XmaxInvalid) != 0 || header.XmaxIsLockedOnly)
        {
            return false;
        }

        if ((header.InfoMask & HeapInfoMask.XmaxCommitted) != 0)
        {
            return true;
        }

        Xid deleter = context.UpdaterOf(header);
        if (own is not null && own.IsOwn(deleter))
        {
            return true;
        }

        ulong end = context.Manager.EndOf(deleter);
        if (end == CommitLsnMap.Running)
        {
            deleting = deleter;
            return false;
        }

        if (!header.XmaxIsMulti)
        {
            context.Hint(ref header, end == CommitLsnMap.Aborted ? HeapInfoMask.XmaxInvalid : HeapInfoMask.XmaxCommitted, end);
        }

        return end != CommitLsnMap.Aborted;
    }
}
