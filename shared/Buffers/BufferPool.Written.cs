using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

/// <summary>
/// While a former writer is not known to be fenced (R13): each write is remembered, and a block read back as another one is made anew from the log, which is kept for that. Once it is
/// fenced, every block written meanwhile is looked at.
/// </summary>
public sealed unsafe partial class BufferPool
{
    private volatile WrittenPages? _written;

    /// <summary>After the switch to writing, before the first write.</summary>
    /// <param name="since">Where this writer's log begins.</param>
    public void BeginWatchingWrites(Lsn since)
    {
        Invariant.Check(_writing, "R13", "a node that applies has no writes to watch");
        _written = new WrittenPages(since);
    }

    /// <summary>
    /// The former writer can write no more. Reads back what was written since the watch began, and writes again what is not as it was written. When this returns, all of that is durable, and
    /// the watch is over.
    /// </summary>
    /// <returns>How many blocks were found overwritten.</returns>
    /// <exception cref="StorageException">A block was overwritten and the log has no image of it; or a write failed.</exception>
    public int EndWatchingWrites(CancellationToken cancel)
    {
        WrittenPages written = _written ?? throw new InvariantException("R13", "no writes are watched");
        int overwritten = 0;
        foreach (BufferTag tag in written.Tags)
        {
            cancel.ThrowIfCancellationRequested();
            if (IsAsWritten(written, tag))
            {
                continue;
            }

            // From the pool, or from the log by a read that finds the same; never as an empty page in place of one that cannot be made anew. A change that old is written below.
            overwritten++;
            using PinnedPage page = Pin(tag);
            page.Frame.NoteDirty(written.Since);
        }

        FlushAllBefore(Lsn.MaxOf(Log.Inserted, new Lsn(written.Since.Value + 1)), pace: null, cancel);
        _written = null;
        return overwritten;
    }

    private bool IsAsWritten(WrittenPages written, in BufferTag tag)
    {
        using var copy = new AlignedBuffer(Page.Size);
        lock (TokenOf(tag))
        {
            // A relation that was dropped, or cut, meanwhile has nothing to be looked at.
            return tag.Block.Value >= BlockCount(tag.Rel, tag.Fork) || !_files.TryRead(tag, copy.Span) || (IsSound(copy.Span, tag.Block.Value) && written.IsOwn(tag, new Page(copy.Span)));
        }
    }

    /// <summary>Whether a sound page from storage is what this writer left there, or was there before.</summary>
    private bool MayBeOwn(in BufferTag tag, Span<byte> page) => _written is not { } written || written.IsOwn(tag, new Page(page));
}
