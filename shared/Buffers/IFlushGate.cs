using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

public enum FlushVerdict
{
    /// <summary>The page may be written now.</summary>
    Write,

    /// <summary>I1: flush the log to the page's LSN first, then ask again.</summary>
    FlushLogFirst,

    /// <summary>I2: a leased reader has not applied the page's LSN yet; keep a frozen copy.</summary>
    AheadOfReader,

    /// <summary>The writer cannot prove its own lease (I8): nothing may be written.</summary>
    Fenced,
}

/// <summary>The one place that decides whether a page with this LSN may go to shared storage (I1, I2, I8). Implemented by writer/Flush/FlushGate.</summary>
public interface IFlushGate
{
    FlushVerdict Judge(Lsn pageLsn);

    /// <summary>The lowest applied LSN over all leased readers; <see cref="Lsn.Max"/> without readers.</summary>
    Lsn LowestApplied { get; }
}
