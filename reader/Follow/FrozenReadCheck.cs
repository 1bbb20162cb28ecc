using SharedStorage.Buffers;
using SharedStorage.Control.Leases;
using SharedStorage.Primitives;

namespace SharedStorage.Reader.Follow;

/// <summary>
/// R12: a reader that no lease covers answers only from pages that are at or before its applied LSN, and from sizes that it knew while it was covered. The lease is looked at before
/// and after each read; the decision is <see cref="ReaderLease.Judge"/>'s.
/// </summary>
public sealed class FrozenReadCheck : IStorageReadCheck
{
    /// <summary>The link, once the node has one; before that nothing is served.</summary>
    public WriterLink? Link { get; set; }

    public Func<Lsn>? Applied { get; set; }

    public void BeforeRead(in BufferTag tag)
    {
        // What matters is how the lease stands after the read: a page read while it held was gated for this reader. A reader that has ended need not read at all.
        if (Link is { State: LeaseState.Expired })
        {
            throw Refuse($"{tag}", ReadVerdict.Ended);
        }
    }

    public void AfterRead(in BufferTag tag, Lsn pageLsn, bool pastEnd)
    {
        if (Link?.Judge(pageLsn, pastEnd) is { } verdict and not ReadVerdict.Take)
        {
            throw Refuse($"{tag}", verdict);
        }
    }

    public void AfterSize(RelFileNode rel, ForkNumber fork)
    {
        // A map that is missing or shorter says less, never something else: without its bits the heap is asked.
        if (fork is ForkNumber.Main or ForkNumber.Init && Link?.Judge(Lsn.Invalid, missing: true) is { } verdict and not ReadVerdict.Take)
        {
            throw Refuse($"the size of {rel}", verdict);
        }
    }

    private PgException Refuse(string what, ReadVerdict verdict) =>
        new(SqlStates.ObjectNotInPrerequisiteState, verdict == ReadVerdict.Ended
            ? "the reader has been without its writer for too long" : "the page may have changed since this reader lost its writer")
        {
            Detail = $"{what}: the reader stands at {Applied!()}.",
            Hint = "Retry when the reader has reached a writer again, or query another node.",
        };
}
