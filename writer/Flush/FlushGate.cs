using SharedStorage.Buffers;
using SharedStorage.Primitives;

namespace SharedStorage.Writer.Flush;

/// <summary>
/// The one place that decides whether a page may go to shared storage: its log is durable (I1), every leased reader has applied it (I2), and this writer holds its
/// lease (I8). Nothing writes a data page without its verdict.
/// </summary>
/// <param name="flushed">How far the log is durable.</param>
/// <param name="mayWrite">Whether the writer's lease is held now.</param>
public sealed class FlushGate(Func<Lsn> flushed, Func<bool> mayWrite) : IFlushGate
{
    private ulong _lowestApplied;

    /// <summary>The minimum over all leased readers; zero until the readers' table has spoken: a new writer honours leases that it did not grant.</summary>
    public Lsn LowestApplied
    {
        get => new(Volatile.Read(ref _lowestApplied));
        set => Volatile.Write(ref _lowestApplied, value.Value);
    }

    public FlushVerdict Judge(Lsn pageLsn) => Decide(pageLsn, flushed(), LowestApplied, mayWrite());

    /// <summary>The decision itself. Fencing first: a writer without its lease has no business with what readers have applied.</summary>
    internal static FlushVerdict Decide(Lsn pageLsn, Lsn flushed, Lsn lowestApplied, bool mayWrite) =>
        !mayWrite ? FlushVerdict.Fenced
        : pageLsn > lowestApplied ? FlushVerdict.AheadOfReader
        : pageLsn > flushed ? FlushVerdict.FlushLogFirst
        : FlushVerdict.Write;
}
