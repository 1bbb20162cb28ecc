using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Visibility;

/// <summary>What a command that wants to change or lock a version finds (PostgreSQL's TM_Result).</summary>
public enum TupleUpdateState
{
    Ok,

    /// <summary>Not there for this command: inserted by a later one, deleted by an earlier one, or not committed.</summary>
    Invisible,

    /// <summary>Changed by the same transaction, by this command or a later one.</summary>
    SelfModified,

    /// <summary>Replaced by a committed update; ctid leads on.</summary>
    Updated,
    Deleted,

    /// <summary>Xmax is a running transaction, or a multixact with one; the own transaction's locks give this too.</summary>
    BeingModified,
}

/// <summary>Whether a version may be changed (HeapTupleSatisfiesUpdate). The page is latched exclusively.</summary>
public static partial class HeapVisibility
{
    /// <param name="context">The page's.</param>
    /// <param name="header">The version's.</param>
    /// <param name="self">Where the version is: a ctid that points elsewhere means an update.</param>
    /// <param name="own">The changing transaction.</param>
    /// <param name="command">The command: what it and later ones did is not to be changed again.</param>
    public static TupleUpdateState SatisfiesUpdate(ref VisibilityContext context, ref HeapTupleHeader header, Tid self, Transaction own, CommandId command)
    {
        if (!header.XminCommitted)
        {
            if (header.XminInvalid)
            {
                return TupleUpdateState.Invisible;
            }

            if ((header.InfoMask & HeapInfoMask.Moved) != 0)
            {
                if (!MovedIsLive(ref context, ref header, own))
                {
                    return TupleUpdateState.Invisible;
                }
            }
            else
            {
                var inserter = new Xid(header.RawXmin);
                if (own.IsOwn(inserter))
                {
                    return own.ResolveCmin(new CommandId(header.RawCommandId), IsCombo(header)).Value >= command.Value
                        ? TupleUpdateState.Invisible
                        : UpdateOfOwn(ref context, ref header, own, command);
                }

                ulong end = context.EndOf(inserter);
                if (end == CommitLsnMap.Running)
                {
                    return TupleUpdateState.Invisible;
                }

                context.Hint(ref header, end == CommitLsnMap.Aborted ? HeapInfoMask.XminInvalid : HeapInfoMask.XminCommitted, end);
                if (end == CommitLsnMap.Aborted)
                {
                    return TupleUpdateState.Invisible;
                }
            }
        }

        return UpdateOfCommitted(ref context, ref header, self, own, command);
    }

    /// <summary>Whether xmax is a multixact that only locks and comes from a server of before 9.3: nobody in it runs any more.</summary>
    public static bool IsLockedUpgraded(in HeapTupleHeader header) =>
        (header.InfoMask & (HeapInfoMask.XmaxIsMulti | HeapInfoMask.XmaxLockOnly | HeapInfoMask.LockMask)) == (HeapInfoMask.XmaxIsMulti | HeapInfoMask.XmaxLockOnly);

    /// <summary>A version that the own transaction inserted before the command. Others may have locked the one that it replaced, and so this one.</summary>
    private static TupleUpdateState UpdateOfOwn(ref VisibilityContext context, ref HeapTupleHeader header, Transaction own, CommandId command)
    {
        if ((header.InfoMask & HeapInfoMask.XmaxInvalid) != 0)
        {
            return TupleUpdateState.Ok;
        }

        if (header.XmaxIsLockedOnly)
        {
            bool locked = header.XmaxIsMulti ? context.MultiIsRunning(header, onlyLockers: true) : context.IsInProgress(header.Xmax);
            return locked ? TupleUpdateState.BeingModified : TupleUpdateState.Ok;
        }

        if (own.IsOwn(context.UpdaterOf(header)))
        {
            return UpdatedByOwn(header, own, command);
        }

        // The updating subtransaction aborted.
        if (header.XmaxIsMulti)
        {
            return context.MultiIsRunning(header, onlyLockers: false) ? TupleUpdateState.BeingModified : TupleUpdateState.Ok;
        }

        context.Hint(ref header, HeapInfoMask.XmaxInvalid);
        return TupleUpdateState.Ok;
    }

    private static TupleUpdateState UpdateOfCommitted(ref VisibilityContext context, ref HeapTupleHeader header, Tid self, Transaction own, CommandId command)
    {
        if ((header.InfoMask & HeapInfoMask.XmaxInvalid) != 0)
        {
            return TupleUpdateState.Ok;
        }

        bool lockedOnly = header.XmaxIsLockedOnly;
        if ((header.InfoMask & HeapInfoMask.XmaxCommitted) != 0)
        {
            return lockedOnly ? TupleUpdateState.Ok : Replaced(header, self);
        }

        if (header.XmaxIsMulti)
        {
            return UpdateOfMulti(ref context, ref header, self, own, command, lockedOnly);
        }

        Xid xmax = header.Xmax;
        if (own.IsOwn(xmax))
        {
            return lockedOnly ? TupleUpdateState.BeingModified : UpdatedByOwn(header, own, command);
        }

        ulong end = context.Manager.EndOf(xmax);
        if (end == CommitLsnMap.Running)
        {
            return TupleUpdateState.BeingModified;
        }

        if (end == CommitLsnMap.Aborted || lockedOnly)
        {
            context.Hint(ref header, HeapInfoMask.XmaxInvalid);
            return TupleUpdateState.Ok;
        }

        context.Hint(ref header, HeapInfoMask.XmaxCommitted, end);
        return Replaced(header, self);
    }

    private static TupleUpdateState UpdateOfMulti(
        ref VisibilityContext context, ref HeapTupleHeader header, Tid self, Transaction own, CommandId command, bool lockedOnly)
    {
        if (IsLockedUpgraded(header))
        {
            return TupleUpdateState.Ok;
        }

        Xid updater = lockedOnly ? Xid.Invalid : context.UpdaterOf(header);
        if (updater.IsValid && own.IsOwn(updater))
        {
            return UpdatedByOwn(header, own, command);
        }

        if (context.MultiIsRunning(header, lockedOnly))
        {
            return TupleUpdateState.BeingModified;
        }

        if (updater.IsValid && context.Manager.DidCommit(updater))
        {
            return Replaced(header, self);
        }

        context.Hint(ref header, HeapInfoMask.XmaxInvalid);
        return TupleUpdateState.Ok;
    }

    private static TupleUpdateState UpdatedByOwn(in HeapTupleHeader header, Transaction own, CommandId command) =>
        own.ResolveCmax(new CommandId(header.RawCommandId), IsCombo(header)).Value >= command.Value
            ? TupleUpdateState.SelfModified
            : TupleUpdateState.Invisible;

    private static TupleUpdateState Replaced(in HeapTupleHeader header, Tid self) =>
        header.Ctid == self ? TupleUpdateState.Deleted : TupleUpdateState.Updated;
}
