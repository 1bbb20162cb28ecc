using SharedStorage.Primitives;

namespace SharedStorage.Buffers.LogIndex;

/// <summary>
/// The part of the index that lies on local disk: when memory is full, the older half of the log's entries goes into a file that never changes (a run). Look-ups take what is in memory and
/// then what the runs have of the range that is asked for.
/// </summary>
public sealed unsafe partial class LogIndex
{
    /// <summary>So many runs are looked through at most; then some that follow one another become one.</summary>
    private const int MaxRuns = 16;

    private const int MergedRuns = 8;

    [ThreadStatic] private static EntryList? _spilledEntries;

    private readonly SpillDirectory? _spill;
    private SpillRun[] _runs = [];

    /// <summary>Entries from here on are in memory; those before, down to the cut, are in runs.</summary>
    private ulong _memoryLow;

    private long _spillAt;

    /// <summary>Files on local disk.</summary>
    public int SpilledRuns => Volatile.Read(ref _runs).Length;

    public long SpilledBytes => Volatile.Read(ref _runs).Sum(r => r.Length);

    /// <summary>How often memory was full and entries went to disk.</summary>
    public long Spills { get; private set; }

    private long SpilledEntries
    {
        get
        {
            long sum = 0;
            foreach (SpillRun run in Volatile.Read(ref _runs))
            {
                sum += run.Entries;
            }

            return sum;
        }
    }

    private int SpilledPages
    {
        get
        {
            int sum = 0;
            foreach (SpillRun run in Volatile.Read(ref _runs))
            {
                sum += run.Pages;
            }

            return sum;
        }
    }

    /// <summary>
    /// Makes room in memory: the entries of the older half of the log go to disk, and of half of the rest, until a quarter of the memory is free. Where the log is touched unevenly, all
    /// before <paramref name="before"/>, the record that is being added.
    /// </summary>
    /// <exception cref="StorageException">The disk has been failing until memory held twice its limit.</exception>
    private void Spill(ulong before)
    {
        long enough = MemoryLimit / 4 * 3;
        for (int attempt = 0; attempt < 6 && _cells.BytesInUse > enough && _memoryLow < before; attempt++)
        {
            ulong split = attempt == 5 ? before : Math.Max((_memoryLow + ((before - _memoryLow) / 2)) & ~7UL, _memoryLow + 8);
            try
            {
                SpillRun? run = WriteRun(split);
                RaiseMemoryLow(split, run is null ? _runs : [.. _runs, run]);
                Spills += run is null ? 0 : 1;
            }
            catch (StorageException e)
            {
                NoteFailure(e);
                return;
            }

            DropFromMemory();
        }

        _spillAt = MemoryLimit;
        MergeRuns();
    }

    /// <summary>A full disk may have room again soon, or a cut may come: memory takes more until then, up to twice its limit.</summary>
    private void NoteFailure(StorageException e)
    {
        long inUse = _cells.BytesInUse;
        if (inUse >= 2 * MemoryLimit)
        {
            throw new StorageException($"the index of the log has {inUse} bytes in memory, twice its limit (sharedstorage.log_index_size), and cannot be spilled: {e.Message}", e)
            {
                SqlState = e.SqlState,
                Errno = e.Errno,
            };
        }

        _spillAt = inUse + (MemoryLimit / 8);
    }

    private SpillRun? WriteRun(ulong before)
    {
        using var writer = new SpillRun.Writer(_spill!, _mask);
        EntryList entries = _spilledEntries ??= new EntryList();
        for (int bucket = 0; bucket < _bucketCount; bucket++)
        {
            for (int index = HeadOf(bucket); index != 0; index = NextOf(index))
            {
                ref PageCell page = ref _cells.Page(index);
                entries.Clear();
                CopyBefore(ref page, before, entries);
                if (entries.Count > 0)
                {
                    writer.Add(page.Tag, page.Tag.GetHashCode(), entries.Items);
                }
            }

            if ((bucket + 1) % SpillRun.BucketsPerGroup == 0)
            {
                writer.EndGroup();
            }
        }

        return writer.Entries > 0 ? writer.Finish(_memoryLow, before) : null;
    }

    private void CopyBefore(ref PageCell page, ulong before, EntryList into)
    {
        int run = page.FirstRun;
        int count = page.Count;
        for (int position = 0; position < count; position++)
        {
            int within = (position - InlineEntries) % RunEntries;
            if (position > InlineEntries && within == 0)
            {
                run = _cells.Run(run).Next;
            }

            if (position < page.Skip)
            {
                continue;
            }

            ulong entry = position < InlineEntries ? page.Inline[position] : _cells.Run(run).Entries[within];
            if (entry >= before)
            {
                return;
            }

            into.Add(entry);
        }
    }

    private void MergeRuns()
    {
        SpillRun[] runs = _runs;
        if (runs.Length < MaxRuns)
        {
            return;
        }

        int first = 0;
        for (int i = 1; i + MergedRuns <= runs.Length; i++)
        {
            if (runs.AsSpan(i, MergedRuns).ToArray().Sum(r => r.Length) < runs.AsSpan(first, MergedRuns).ToArray().Sum(r => r.Length))
            {
                first = i;
            }
        }

        SpillRun merged;
        try
        {
            merged = SpillRun.Merge(runs.AsSpan(first, MergedRuns), _spill!);
        }
        catch (StorageException e) when (e.SqlState == SqlStates.DiskFull)
        {
            // There is no room for both: more runs than usual are looked through until a cut comes.
            return;
        }

        RaiseMemoryLow(_memoryLow, [.. runs[..first], merged, .. runs[(first + MergedRuns)..]]);
        DropRuns(runs.AsSpan(first, MergedRuns));
    }

    /// <summary>On a writer: runs whose pages are all done go.</summary>
    internal void DropDoneRuns()
    {
        SpillRun[] runs = Volatile.Read(ref _runs);
        if (runs.Length > 0 && Array.TrueForAll(runs, r => r.Pages == 0) && ReferenceEquals(Interlocked.CompareExchange(ref _runs, [], runs), runs))
        {
            DropRuns(runs);
        }
    }

    /// <summary>Runs wholly before the cut go.</summary>
    private void CutRuns(ulong before)
    {
        SpillRun[] runs = _runs;
        int gone = 0;
        while (gone < runs.Length && runs[gone].High <= before)
        {
            gone++;
        }

        if (gone > 0)
        {
            RaiseMemoryLow(_memoryLow, runs[gone..]);
            DropRuns(runs.AsSpan(0, gone));
        }
    }

    /// <summary>Who reads one of them now ends its read, or looks again.</summary>
    private static void DropRuns(ReadOnlySpan<SpillRun> runs)
    {
        foreach (SpillRun run in runs)
        {
            run.Dispose();
        }
    }

    /// <summary>Puts what the runs have before what memory had. False: a run has gone meanwhile, by a cut or a merge.</summary>
    private static bool TryCollectSpilled(SpillRun[] runs, in BufferTag tag, int hash, ulong from, ulong to, EntryList into)
    {
        EntryList spilled = _spilledEntries ??= new EntryList();
        spilled.Clear();
        try
        {
            foreach (SpillRun run in runs)
            {
                run.Collect(tag, hash, from, to, spilled);
            }
        }
        catch (ObjectDisposedException)
        {
            return false;
        }

        into.Prepend(spilled);
        return true;
    }

    private bool SpillContains(in BufferTag tag, int hash)
    {
        foreach (SpillRun run in Volatile.Read(ref _runs))
        {
            if (run.Contains(tag, hash, Volatile.Read(ref _cut)))
            {
                return true;
            }
        }

        return false;
    }
}
