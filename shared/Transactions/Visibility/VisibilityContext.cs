using System.Runtime.CompilerServices;
using SharedStorage.Buffers;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Multi;

namespace SharedStorage.Transactions.Visibility;

/// <summary>
/// What the checks of one latched page share: where xids are looked up, and how hint bits get onto the page. Made anew for each time that the page is latched.
/// The end of the last inserter is remembered, since neighbours often have the same.
/// </summary>
public ref struct VisibilityContext
{
    private readonly TransactionManager _manager;
    private readonly PinnedPage _page;
    private readonly bool _mayHint;
    private readonly Lsn _pageLsn;
    private Xid _lastXid;
    private ulong _lastEnd;

    /// <summary>A context for a page that is pinned and latched; hints are set on a writer only (I4, R9).</summary>
    public VisibilityContext(StorageEngine engine, in PinnedPage page)
        : this(engine.Transactions, page, engine.Buffers.CanWrite, page.Page.Lsn)
    {
        HasPage = true;
    }

    internal VisibilityContext(TransactionManager manager, PinnedPage page, bool mayHint, Lsn pageLsn)
    {
        _manager = manager;
        _page = page;
        _mayHint = mayHint;
        _pageLsn = pageLsn;
    }

    private bool HasPage { get; }

    internal readonly TransactionManager Manager => _manager;

    /// <summary>Whether a hint was set since the context was made.</summary>
    public bool HintsSet { get; private set; }

    internal readonly bool IsInProgress(Xid xid) => _manager.IsInProgress(xid);

    /// <summary>Running, aborted, committed before B, or the commit's LSN (<see cref="TransactionManager.EndOf"/>).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal ulong EndOf(Xid xid)
    {
        if (xid == _lastXid)
        {
            return _lastEnd;
        }

        ulong end = _manager.EndOf(xid);
        if (end > CommitLsnMap.Running)
        {
            // An end is for ever; a running one may end at any time.
            _lastXid = xid;
            _lastEnd = end;
        }

        return end;
    }

    /// <summary>I6, for an end that was looked up: whether it lies at or before the position.</summary>
    internal readonly bool EndedBy(ulong end, Lsn at) =>
        end > TransactionManager.CommittedBeforeStart ? end <= at.Value : end == TransactionManager.CommittedBeforeStart && at >= _manager.Map.Start;

    public readonly Xid UpdaterOf(in HeapTupleHeader header) =>
        header.XmaxIsMulti ? _manager.MultiXacts.GetUpdater(new MultiXactId(header.RawXmax)) : header.Xmax;

    internal readonly bool MultiIsRunning(in HeapTupleHeader header, bool onlyLockers) =>
        _manager.MultiXacts.IsRunning(new MultiXactId(header.RawXmax), onlyLockers);

    /// <summary>
    /// Notes on the row what was found out. A commit is noted only once its record is durable, or the page cannot be written before it is (I1): a hint on
    /// disk must never speak of a commit that a crash forgets.
    /// </summary>
    internal void Hint(ref HeapTupleHeader header, HeapInfoMask bit, ulong committedEnd = 0)
    {
        if (!_mayHint)
        {
            return;
        }

        if (committedEnd > TransactionManager.CommittedBeforeStart && committedEnd > _pageLsn.Value && committedEnd > _manager.Log!.Flushed.Value)
        {
            return;
        }

        header.InfoMask |= bit;
        if (!HintsSet)
        {
            // Once for all hints of this visit: a later hint of it may be lost, no more.
            HintsSet = true;
            if (HasPage)
            {
                _page.MarkDirtyHint(standardLayout: true);
            }
        }
    }
}
