using SharedStorage.Buffers.LogIndex;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;

namespace SharedStorage.Buffers;

/// <summary>
/// Many pages brought forward at once. One page after the other would read the log at random, a record at a time; here a batch of pages is made ready, their entries are sorted by position,
/// and the log is read through once for all of them. Several threads have batches of their own. The pages are in no table meanwhile, so sessions that want one do not wait: who comes first
/// puts it in, and the other copy goes.
/// </summary>
public sealed unsafe partial class BufferPool
{
    private static readonly int ForwardThreads = Math.Clamp(Environment.ProcessorCount, 1, 8);

    /// <summary>Brings each page that has entries forward; gives their number. What a full replay costs.</summary>
    /// <exception cref="StorageException">A page or a record cannot be read, or redo failed.</exception>
    public long BringAllForward(CancellationToken cancel)
    {
        List<BufferTag> tags = [.. _index.Pages()];
        return BringForward(tags, cancel);
    }

    /// <summary>Brings pages forward; gives their number.</summary>
    private long BringForward(List<BufferTag> tags, CancellationToken cancel)
    {
        List<PendingPage> pages = Pending(tags);
        if (_options.Records is not IWalScans)
        {
            pages.ForEach(p => Pin(p.Tag).Dispose());
            return pages.Count;
        }

        int threads = Math.Min(ForwardThreads, 1 + (pages.Count / 64));
        var queue = new ForwardQueue(pages, cancel);
        var others = new Thread[threads - 1];
        for (int i = 0; i < others.Length; i++)
        {
            others[i] = new Thread(() => Forward(queue)) { IsBackground = true, Name = "redo" };
            others[i].Start();
        }

        Forward(queue);
        Array.ForEach(others, t => t.Join());
        queue.Failure?.Throw();
        cancel.ThrowIfCancellationRequested();
        return pages.Count;
    }

    /// <summary>The pages in the order of the first entries that they need, each once.</summary>
    private List<PendingPage> Pending(List<BufferTag> tags)
    {
        tags.Sort(static (a, b) => Order(a, b));
        var pages = new List<PendingPage>(tags.Count);
        EntryList entries = Entries;
        for (int i = 0; i < tags.Count; i++)
        {
            BufferTag tag = tags[i];
            if (i > 0 && BufferTable.Same(tag, tags[i - 1]))
            {
                continue;
            }

            // A cut that comes in between is found when the page is prepared.
            _index.TryCollect(tag, tag.GetHashCode(), _index.CutPoint, Lsn.Max, entries);
            int first = Math.Max(0, entries.LastInitializing());
            pages.Add(entries.Count == 0 ? new PendingPage(tag, Lsn.Invalid, 0) : new PendingPage(tag, entries.Start(first), entries.Count - first));
        }

        pages.Sort(static (a, b) => a.First.Value.CompareTo(b.First.Value));
        return pages;
    }

    private void Forward(ForwardQueue queue)
    {
        try
        {
            using IWalScan scan = ((IWalScans)_options.Records!).OpenScan();

            // No more than half of the pool is in batches; the rest is for sessions.
            var batch = new ForwardBatch(Math.Max(1, _frames.Length / (2 * ForwardThreads)));
            while (true)
            {
                queue.Take(batch.Tags, batch.Pages.Length, ForwardBatch.MaxEntries);
                if (batch.Tags.Count == 0)
                {
                    return;
                }

                ForwardOne(batch, scan);
                scan.Restart();
            }
        }
        catch (Exception e) when (e is StorageException or PgException or InvariantException)
        {
            queue.Fail(e);
        }
    }

    private void ForwardOne(ForwardBatch batch, IWalScan scan)
    {
        batch.Begin(_index.CutPoint);

        // By file and block: neighbours lie together on storage.
        batch.Tags.Sort(static (a, b) => Order(a, b));
        bool done = false;
        try
        {
            batch.Tags.ForEach(t => PrepareForward(t, batch));

            done = TryRedo(batch, scan);
            for (int slot = 0; done && slot < batch.Count; slot++)
            {
                Install(ref batch.Pages[slot], batch);
            }
        }
        finally
        {
            for (int slot = 0; slot < batch.Count; slot++)
            {
                if (batch.Pages[slot].Frame is { } left)
                {
                    Free(left);
                }
            }
        }

        if (!done)
        {
            batch.Behind.AddRange(batch.Pages.AsSpan(0, batch.Count).ToArray().Select(p => p.Tag));
        }

        // The way of a session: it waits where another loads the page, and says what is wrong.
        foreach (BufferTag tag in batch.Behind)
        {
            if (tag.Block.Value < BlockCount(tag.Rel, tag.Fork))
            {
                Pin(tag).Dispose();
            }
        }
    }

    /// <summary>A page as storage has it in a frame of its own, and its entries in the batch; what is in the pool or needs care is left for later.</summary>
    private void PrepareForward(in BufferTag tag, ForwardBatch batch)
    {
        int hash = tag.GetHashCode();
        if (_table.TryPin(tag, hash) is { } there)
        {
            there.Unpin();
            batch.Behind.Add(tag);
            return;
        }

        bool writing = _writing;
        if (tag.Block.Value >= BlockCount(tag.Rel, tag.Fork))
        {
            // Cut off by the log; who pins it gets an empty page, or is told.
            return;
        }

        EntryList entries = Entries;
        Lsn to = writing ? Lsn.Max : _options.Applied.Value;
        Lsn from = writing ? _index.CutPoint : Lsn.Min(_options.Consistent.Value, to);
        if (!_index.TryCollect(tag, hash, from, to, entries))
        {
            batch.Behind.Add(tag);
            return;
        }

        if (entries.Count == 0)
        {
            return;
        }

        Frame frame = TakeFrame();
        bool kept = false;
        try
        {
            int first = PrepareBase(frame.Page, tag, PinMode.Normal, from, to, entries, out Lsn future);
            if (!future.IsValid && (first >= entries.Count || entries.Start(first) >= batch.Reference))
            {
                batch.Add(new ForwardPage { Tag = tag, Frame = frame, To = to, FirstEntry = entries.Start(0), Changes = first < entries.Count, Writing = writing }, entries, first);
                kept = true;
            }
        }
        catch (StorageException)
        {
            // Read or rebuilt once more by the pin that follows, which fails with the reason.
            kept = false;
        }
        finally
        {
            if (!kept)
            {
                batch.Behind.Add(tag);
                Free(frame);
            }
        }
    }

    /// <summary>Reads the log through once. False: a record could not be read or redone; then the pages are of no use.</summary>
    private bool TryRedo(ForwardBatch batch, IWalScan scan)
    {
        WalRecord record = _record ??= new WalRecord();
        Lsn last = Lsn.Invalid;
        try
        {
            foreach (ulong item in batch.Sorted())
            {
                Lsn start = batch.StartOf(item);
                if (start != last)
                {
                    scan.Read(start, record);
                    last = start;
                }

                ref ForwardPage page = ref batch.Pages[ForwardBatch.SlotOf(item)];
                _options.Redo!.Apply(record, page.Tag, page.Frame!.Page);
            }
        }
        catch (StorageException)
        {
            // A cut may have passed, and the log be gone: each page's own pin tells (and fails again, with the reason, if that was not it).
            return false;
        }

        Interlocked.Add(ref _redone, batch.EntryCount);
        return true;
    }

    private void Install(ref ForwardPage page, ForwardBatch batch)
    {
        Frame frame = page.Frame!;
        int hash = page.Tag.GetHashCode();
        ForkInfo info = _forks.Get(page.Tag.Rel, page.Tag.Fork);
        bool valid = true;

        // Under the extension lock: the fork cannot be cut, nor the block be made anew, between the look at its size and the entry in the table.
        lock (info.Extension)
        {
            if (page.Writing != _writing || page.Tag.Block.Value >= info.Blocks
                || !_table.TryInsert(frame, page.Tag, hash, page.Writing ? FrameFlags.None : FrameFlags.Immutable))
            {
                // A session was first, and may be loading it still.
                batch.Behind.Add(page.Tag);
                return;
            }

            page.Frame = null;
            if (!page.Writing)
            {
                Volatile.Write(ref frame.Mark, page.To.Value);
            }
            else if (!_index.Contains(page.Tag, hash))
            {
                // A session had it, may have changed it, and it has left the pool again.
                _table.Remove(frame, hash);
                valid = false;
            }
            else
            {
                if (page.Changes)
                {
                    frame.NoteDirty(page.FirstEntry);
                }

                // Dirty first, done second (FinishLoad).
                _index.MarkDone(page.Tag, hash);
            }

            frame.EndLoad(valid);
        }

        if (!valid)
        {
            frame.Set(FrameFlags.Detached);
        }

        frame.Unpin();
    }
}
