namespace SharedStorage.Buffers.LogIndex;

/// <summary>Taking entries out of memory: those that a cut has passed, and those that were spilled.</summary>
public sealed unsafe partial class LogIndex
{
    /// <summary>From one step to the next, what is before a position is not looked for in memory any more; what takes its place is set in the same step.</summary>
    private void RaiseMemoryLow(ulong to, SpillRun[] runs)
    {
        BeginChange();
        Volatile.Write(ref _runs, runs);
        Volatile.Write(ref _memoryLow, to);
        EndChange();
    }

    /// <summary>Takes the entries before <c>_memoryLow</c> out of memory. Look-ups beside it see some of them or none, and ignore them.</summary>
    private void DropFromMemory()
    {
        for (int bucket = 0; bucket < _bucketCount;)
        {
            int end = Math.Min(bucket + CutBatch, _bucketCount);
            BeginChange();
            for (; bucket < end; bucket++)
            {
                CutBucket(bucket, _memoryLow);
            }

            EndChange();
        }
    }

    private void CutBucket(int bucket, ulong before)
    {
        ref int link = ref _buckets[bucket].Head;
        while (link != 0)
        {
            ref PageCell page = ref _cells.Page(link);
            CutPage(ref page, before);
            if (page.Skip < page.Count)
            {
                link = ref page.Next;
                continue;
            }

            int gone = link;
            for (int run = page.FirstRun; run != 0;)
            {
                int next = _cells.Run(run).Next;
                _cells.Give(run);
                run = next;
            }

            link = page.Next;
            _cells.Give(gone);
            _pages--;
        }
    }

    private void CutPage(ref PageCell page, ulong before)
    {
        while (page.Skip < page.Count)
        {
            bool inline = page.Skip < InlineEntries;
            ulong entry = inline ? page.Inline[page.Skip] : _cells.Run(page.FirstRun).Entries[(page.Skip - InlineEntries) % RunEntries];
            if (entry >= before)
            {
                return;
            }

            page.Skip++;
            _entries--;

            // A run whose entries all went is given back; the positions behind it move down.
            if (page.Skip == InlineEntries + RunEntries && page.FirstRun != page.LastRun)
            {
                int gone = page.FirstRun;
                page.FirstRun = _cells.Run(gone).Next;
                _cells.Run(page.FirstRun).Previous = 0;
                page.Skip -= RunEntries;
                page.Tail = PageCell.Pack(page.Count - RunEntries, page.LastRun);
                _cells.Give(gone);
            }
        }
    }
}
