using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

public enum PinMode
{
    /// <summary>The page must exist within the relation's virtual size and be sound.</summary>
    Normal,

    /// <summary>A page past the end or with a damaged header or checksum reads as zero (FSM, VM; R15).</summary>
    ZeroOnError,

    /// <summary>The caller overwrites the whole page: it is not read.</summary>
    NoRead,
}

/// <summary>
/// The pages in memory. On a writer a page is a frame with a latch; on a node that applies (reader) a pin gives an immutable version of the page,
/// brought forward from the LogIndex to the applied LSN at the time of the pin, and latches do nothing (R9).
/// </summary>
public sealed class BufferPool
{
    /// <summary>False on a reader: pages never change under a pin, hint bits and pruning are not allowed.</summary>
    public bool CanWrite => throw new NotImplementedException();

    public PinnedPage Pin(in BufferTag tag, PinMode mode = PinMode.Normal) => throw new NotImplementedException();

    /// <summary>Adds a zero page at the end of the fork (writer only); pinned and latched exclusively.</summary>
    public PinnedPage PinNew(RelFileNode rel, ForkNumber fork) => throw new NotImplementedException();

    /// <summary>The virtual size: files and log together.</summary>
    public uint BlockCount(RelFileNode rel, ForkNumber fork) => throw new NotImplementedException();

    /// <summary>Whether the fork exists at the applied LSN.</summary>
    public bool ForkExists(RelFileNode rel, ForkNumber fork) => throw new NotImplementedException();

    /// <summary>Forgets the pages at and after <paramref name="firstBlock"/> without writing them (truncate, drop).</summary>
    public void Discard(RelFileNode rel, ForkNumber fork, uint firstBlock) => throw new NotImplementedException();

    /// <summary>Writes and syncs all pages of a relation now (bulk builds that skip the log do so before commit); passes the flush gate.</summary>
    public void FlushRelation(RelFileNode rel) => throw new NotImplementedException();
}

/// <summary>
/// A pin on a page. It may be kept across calls (a scan's current page) but belongs to one thread; disposing it twice is a bug that is checked.
/// Latches on it are taken with <see cref="Latch"/> and the guards below.
/// </summary>
public readonly unsafe struct PinnedPage : IDisposable
{
    public bool IsValid => throw new NotImplementedException();
    public ref readonly BufferTag Tag => throw new NotImplementedException();
    public BlockNumber Block => Tag.Block;
    public byte* Pointer => throw new NotImplementedException();
    public Page Page => new(new Span<byte>(Pointer, Page.Size));

    /// <summary>Explicit latching, for code that holds several pages at once (btree); else use the guards.</summary>
    public void Latch(LatchMode mode) => throw new NotImplementedException();

    public bool TryLatch(LatchMode mode) => throw new NotImplementedException();
    public void Unlatch() => throw new NotImplementedException();

    public SharedLatch LatchShared()
    {
        Latch(LatchMode.Shared);
        return new SharedLatch(this);
    }

    public ExclusiveLatch LatchExclusive()
    {
        Latch(LatchMode.Exclusive);
        return new ExclusiveLatch(this);
    }

    /// <summary>Waits until this is the only pin, and latches exclusively (LockBufferForCleanup).</summary>
    public void LatchForCleanup() => throw new NotImplementedException();

    /// <summary>Latches exclusively if that is free at once and this is the only pin.</summary>
    public bool TryLatchForCleanup() => throw new NotImplementedException();

    /// <summary>
    /// Writer, under the exclusive latch, BEFORE the log record is inserted and the page LSN set: notes where the page's oldest unflushed change begins.
    /// </summary>
    public void MarkDirty() => throw new NotImplementedException();

    /// <summary>Writer, under any latch: a hint changed that may be lost. Logs a full-page image when checksums need one (MarkBufferDirtyHint). No-op on a reader.</summary>
    public void MarkDirtyHint(bool standardLayout) => throw new NotImplementedException();

    public PinnedPage PinAgain() => throw new NotImplementedException();
    public void Dispose() => throw new NotImplementedException();
}

public enum LatchMode
{
    Shared,
    Exclusive,
}

public readonly ref struct SharedLatch(PinnedPage page)
{
    public void Dispose() => page.Unlatch();
}

public readonly ref struct ExclusiveLatch(PinnedPage page)
{
    public void Dispose() => page.Unlatch();
}
