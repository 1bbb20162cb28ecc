using System.Diagnostics.CodeAnalysis;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

public enum LatchMode
{
    Shared,
    Exclusive,
}

/// <summary>
/// A pin on a page. It may be kept across calls (a scan's current page) but belongs to one thread; disposing it twice is a bug that is checked.
/// Latches on it are taken with <see cref="Latch"/> and the guards below. On a version made by a node that applies, latches do nothing (R9).
/// </summary>
public readonly unsafe struct PinnedPage : IDisposable, IEquatable<PinnedPage>
{
    private readonly Frame _frame;

    internal PinnedPage(Frame frame) => _frame = frame;

    public bool IsValid => _frame is not null;
    public ref readonly BufferTag Tag => ref _frame.Tag;
    public BlockNumber Block => _frame.Tag.Block;
    public byte* Pointer => _frame.Pointer;
    public Page Page => new(new Span<byte>(_frame.Pointer, Page.Size));

    /// <summary>All records before this are in the page, if it is a version made by a node that applies (R9, R15); else invalid.</summary>
    public Lsn AppliedMark => _frame.IsImmutable ? new Lsn(Volatile.Read(ref _frame.Mark)) : Lsn.Invalid;

    internal Frame Frame => _frame;

    /// <summary>Explicit latching, for code that holds several pages at once (btree); else use the guards.</summary>
    public void Latch(LatchMode mode)
    {
        if (!_frame.IsImmutable)
        {
            _frame.Latch(mode);
        }
    }

    public bool TryLatch(LatchMode mode) => _frame.IsImmutable || _frame.TryLatch(mode);

    public void Unlatch()
    {
        if (!_frame.IsImmutable)
        {
            _frame.Unlatch();
        }
    }

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

    /// <summary>Waits until this is the only pin, and latches exclusively (LockBufferForCleanup). Two pins by the caller itself would wait for ever.</summary>
    public void LatchForCleanup()
    {
        Invariant.Check(!_frame.IsImmutable, "R9", "a version of a page on a node that applies cannot be cleaned up");
        _frame.LatchForCleanup();
    }

    /// <summary>Latches exclusively if that is free at once and this is the only pin. Never on a version made by a node that applies.</summary>
    public bool TryLatchForCleanup()
    {
        if (_frame.IsImmutable || !_frame.TryLatch(LatchMode.Exclusive))
        {
            return false;
        }

        if (_frame.Pins == 1)
        {
            return true;
        }

        _frame.Unlatch();
        return false;
    }

    /// <summary>
    /// Writer, under the exclusive latch, BEFORE the log record is inserted and the page LSN set: notes where the page's oldest unflushed change begins.
    /// </summary>
    public void MarkDirty() => _frame.Pool.MarkDirty(_frame);

    /// <summary>
    /// Writer, under any latch: a hint changed that may be lost. Logs a full-page image when checksums need one (MarkBufferDirtyHint), so the caller must not be
    /// between <c>Begin</c> and <c>Insert</c> of a record of its own. No-op on a reader.
    /// </summary>
    public void MarkDirtyHint(bool standardLayout) => _frame.Pool.MarkDirtyHint(_frame, standardLayout);

    public PinnedPage PinAgain()
    {
        _frame.PinAgain();
        return this;
    }

    public void Dispose() => _frame?.Unpin();

    public bool Equals(PinnedPage other) => ReferenceEquals(_frame, other._frame);
    public override bool Equals([NotNullWhen(true)] object? obj) => obj is PinnedPage other && Equals(other);
    public override int GetHashCode() => _frame?.Index ?? -1;
    public static bool operator ==(PinnedPage left, PinnedPage right) => left.Equals(right);
    public static bool operator !=(PinnedPage left, PinnedPage right) => !left.Equals(right);
}

public readonly ref struct SharedLatch(PinnedPage page)
{
    private readonly PinnedPage _page = page;

    public void Dispose() => _page.Unlatch();
}

public readonly ref struct ExclusiveLatch(PinnedPage page)
{
    private readonly PinnedPage _page = page;

    public void Dispose() => _page.Unlatch();
}
