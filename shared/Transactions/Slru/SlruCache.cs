using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using SharedStorage.Buffers;
using SharedStorage.Format.Slru;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions.Slru;

public enum SlruMissing
{
    /// <summary>A page that is not in the files is damage.</summary>
    IsAnError,

    /// <summary>A page that is not in the files is all zeros: log records that follow fill it (replay).</summary>
    ReadsAsZero,
}

/// <summary>
/// The pages of one SLRU area in memory, each with the LSN of its last change (R7). On a writer dirty pages are flushed by the checkpointer through the
/// flush gate (I1, I2); on a reader nothing is written (I4) and the tail's changes stay in memory. Changes happen under <see cref="Sync"/>; reads need no lock.
/// A page ahead of a reader is set aside as a frozen copy, so that a page that never stops changing cannot hold a checkpoint.
/// </summary>
public sealed class SlruCache(SlruFiles files)
{
    private readonly ConcurrentDictionary<uint, SlruPage> _pages = new();
    private readonly Dictionary<uint, FrozenPage> _frozen = [];
    private readonly Lock _flushing = new();
    private Lsn _written;

    public SlruFiles Files { get; } = files;

    /// <summary>Held while pages change. Order: after the transaction manager's locks, before the log's reserve lock.</summary>
    public Lock Sync { get; } = new();

    /// <summary>The highest page LSN that was written to the files (R4: part of the floor).</summary>
    public Lsn Written
    {
        get
        {
            lock (Sync)
            {
                return _written;
            }
        }
    }

    /// <summary>What the files hold is void, though they are there: pages begin as if they were missing.</summary>
    public bool FilesAreVoid { get; internal set; }

    /// <summary>The pages in memory that a record has changed since this node began.</summary>
    public IReadOnlyList<uint> ChangedPages => [.. _pages.Values.Where(p => p.Lsn.IsValid).Select(p => p.Number).Order()];

    /// <summary>Whether the page is in memory or in the files; the caller holds <see cref="Sync"/>.</summary>
    internal bool Exists(uint page)
    {
        if (_pages.ContainsKey(page))
        {
            return true;
        }

        Span<byte> scratch = stackalloc byte[SlruLayout.PageSize];
        return !FilesAreVoid && Files.TryRead(page, scratch);
    }

    /// <summary>The page for reading.</summary>
    /// <exception cref="StorageException">The page is not in the files, or the read failed.</exception>
    public SlruPage Get(uint page, SlruMissing missing = SlruMissing.IsAnError)
    {
        if (_pages.TryGetValue(page, out SlruPage? found))
        {
            return found;
        }

        lock (Sync)
        {
            return Load(page, missing);
        }
    }

    /// <summary>Brings a page into memory if the files have it; it stays there.</summary>
    internal bool TryLoad(uint page)
    {
        lock (Sync)
        {
            if (_pages.ContainsKey(page))
            {
                return true;
            }

            var found = new SlruPage(page);
            if (!Files.TryRead(page, found.Bytes))
            {
                return false;
            }

            _pages[page] = found;
            return true;
        }
    }

    /// <summary>The page for a change; the caller holds <see cref="Sync"/> and ends with <see cref="Changed"/>.</summary>
    internal SlruPage GetForChange(uint page, SlruMissing missing) =>
        _pages.TryGetValue(page, out SlruPage? found) ? found : Load(page, missing);

    /// <summary>An all-zero page in place of whatever was there; the caller holds <see cref="Sync"/> and ends with <see cref="Changed"/>.</summary>
    internal SlruPage GetZeroed(uint page)
    {
        if (_pages.TryGetValue(page, out SlruPage? found))
        {
            Array.Clear(found.Bytes);
            return found;
        }

        found = new SlruPage(page);
        _pages[page] = found;
        return found;
    }

    /// <summary>
    /// Notes a change, BEFORE its record is inserted, with a position at or before the record (R3); the caller holds <see cref="Sync"/>.
    /// </summary>
    internal static void WillChange(SlruPage page, Lsn recLsn) => page.RecLsn = Lsn.Min(page.RecLsn, recLsn);

    /// <summary>Notes that the page has the changes of a record that ends at <paramref name="end"/>; the caller holds <see cref="Sync"/>.</summary>
    internal static void Changed(SlruPage page, Lsn end) => page.Lsn = Lsn.MaxOf(page.Lsn, end);

    /// <summary>The oldest position whose change may not be in the files: part of <c>consistent</c> (R3, R7). <see cref="Lsn.Max"/> when all is clean.</summary>
    public Lsn OldestUnflushed()
    {
        lock (Sync)
        {
            Lsn oldest = Lsn.Max;
            foreach (SlruPage p in _pages.Values)
            {
                oldest = Lsn.Min(oldest, p.RecLsn);
            }

            foreach (FrozenPage f in _frozen.Values)
            {
                oldest = Lsn.Min(oldest, f.RecLsn);
            }

            return oldest;
        }
    }

    /// <summary>
    /// Writes the dirty pages that the gate lets through and syncs them. What it holds back is in <see cref="OldestUnflushed"/>: the caller comes again when the readers have
    /// moved on.
    /// </summary>
    /// <exception cref="StorageException">A write or sync failed: the node must stop (I11).</exception>
    public void Flush(IFlushGate gate, Action<Lsn> flushLog)
    {
        lock (_flushing)
        {
            // A page whose older copy waited is dirty again behind it: when the copy is written, a second round takes the page.
            bool all = FlushRound(gate, flushLog, out bool behind);
            if (all && behind)
            {
                FlushRound(gate, flushLog, out _);
            }
        }
    }

    /// <summary>The pages that were changed since this node began are to be written once more: files may show them as they were before (R13).</summary>
    internal void MarkChangedAgain()
    {
        lock (Sync)
        {
            foreach (SlruPage p in _pages.Values)
            {
                if (p.Lsn.IsValid)
                {
                    p.RecLsn = Lsn.Min(p.RecLsn, p.Lsn);
                }
            }
        }
    }

    /// <summary>Forgets the pages of the segments that are truncated away. Files are left alone.</summary>
    internal void ForgetSegments(Predicate<uint> segmentGoes)
    {
        lock (_flushing)
        {
            lock (Sync)
            {
                foreach (uint page in _pages.Keys)
                {
                    if (segmentGoes(SlruLayout.SegmentOf(page)))
                    {
                        _pages.TryRemove(page, out _);
                        _frozen.Remove(page);
                    }
                }
            }
        }
    }

    private SlruPage Load(uint page, SlruMissing missing)
    {
        if (_pages.TryGetValue(page, out SlruPage? found))
        {
            return found;
        }

        found = new SlruPage(page);
        if (FilesAreVoid || !Files.TryRead(page, found.Bytes))
        {
            if (missing == SlruMissing.IsAnError)
            {
                ThrowMissing(page);
            }

            Array.Clear(found.Bytes);
        }

        _pages[page] = found;
        return found;
    }

    [DoesNotReturn]
    private void ThrowMissing(uint page) =>
        throw new StorageException($"{Files.Area}/{SlruLayout.SegmentName(SlruLayout.SegmentOf(page))} does not hold page {page}");

    /// <summary>
    /// Moves every dirty page that has no waiting copy into a copy, whose page is clean from then on; gives all waiting copies, and whether a page is dirty
    /// <paramref name="behind"/> one.
    /// </summary>
    private List<FrozenPage> SetAsideDirtyPages(out bool behind)
    {
        behind = false;
        lock (Sync)
        {
            foreach (SlruPage p in _pages.Values)
            {
                if (p.IsDirty && _frozen.ContainsKey(p.Number))
                {
                    behind = true;
                }
                else if (p.IsDirty)
                {
                    _frozen[p.Number] = new FrozenPage(p.Number, (byte[])p.Bytes.Clone(), p.Lsn, p.RecLsn);
                    p.RecLsn = Lsn.Max;
                }
            }

            return [.. _frozen.Values.OrderBy(f => f.Number)];
        }
    }

    private bool FlushRound(IFlushGate gate, Action<Lsn> flushLog, out bool behind)
    {
        List<FrozenPage> ready = [];
        List<FrozenPage> copies = SetAsideDirtyPages(out behind);
        foreach (FrozenPage copy in copies)
        {
            if (MayWrite(copy.Lsn, gate, flushLog))
            {
                ready.Add(copy);
            }
        }

        Write(ready);
        return ready.Count == copies.Count;
    }

    private static bool MayWrite(Lsn lsn, IFlushGate gate, Action<Lsn> flushLog)
    {
        FlushVerdict verdict = gate.Judge(lsn);
        if (verdict == FlushVerdict.FlushLogFirst)
        {
            flushLog(lsn);
            verdict = gate.Judge(lsn);
        }

        return verdict == FlushVerdict.Write;
    }

    private void Write(List<FrozenPage> ready)
    {
        foreach (IGrouping<uint, FrozenPage> segment in ready.GroupBy(f => SlruLayout.SegmentOf(f.Number)))
        {
            using SlruFiles.SegmentWriter writer = Files.OpenForWrite(segment.Key);
            foreach (FrozenPage copy in segment)
            {
                writer.Write(copy.Number, copy.Bytes);
            }

            writer.Sync();
            lock (Sync)
            {
                foreach (FrozenPage copy in segment)
                {
                    _frozen.Remove(copy.Number);
                    _written = Lsn.MaxOf(_written, copy.Lsn);
                }
            }
        }
    }

    private sealed record FrozenPage(uint Number, byte[] Bytes, Lsn Lsn, Lsn RecLsn);
}
