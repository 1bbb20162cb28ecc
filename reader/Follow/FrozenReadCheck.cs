using SharedStorage.Buffers;
using SharedStorage.Primitives;

namespace SharedStorage.Reader.Follow;

/// <summary>
/// R12: a frozen reader answers only from pages that are at or before its applied LSN. A page past the end, a missing file or an all-zero page counts as later, since a
/// live writer may have cut or made it anew. The lease is looked at before and after each read.
/// </summary>
public sealed class FrozenReadCheck : IStorageReadCheck
{
    /// <summary>The link, once the node has one; before that nothing is served.</summary>
    public WriterLink? Link { get; set; }

    public Func<Lsn>? Applied { get; set; }

    public void BeforeRead(in BufferTag tag)
    {
        // What matters is that the lease was looked at after the read: a page read while it held was gated for this reader.
    }

    public void AfterRead(in BufferTag tag, Lsn pageLsn, bool pastEnd)
    {
        if (Link is { IsFrozen: true } && (pastEnd || !pageLsn.IsValid || pageLsn > Applied!()))
        {
            throw new PgException(SqlStates.ObjectNotInPrerequisiteState, "the page may have changed since this reader lost its writer")
            {
                Detail = $"{tag}: the reader is frozen at {Applied!()}.",
                Hint = "Retry when the reader has reached a writer again, or query another node.",
            };
        }
    }
}
