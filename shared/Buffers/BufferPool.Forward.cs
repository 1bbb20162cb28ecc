using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using SharedStorage.Buffers.LogIndex;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;

namespace SharedStorage.Buffers;

/// <summary>
/// Many pages brought forward at once. One page after the other would read the log at random, a record at a time; here a batch of pages is made ready, and the log is read through once for
/// all of them, in stretches that are whole in memory: within one, each page gets all that the stretch has for it. Several threads have batches of their own and go through the log
/// together. The pages are in no table meanwhile, so sessions that want one do not wait: who comes first puts it in, and the other copy goes.
/// </summary>
public sealed unsafe partial class BufferPool
{
    /// <summary>A stretch with fewer entries is not read as a whole.</summary>
    private const int FewEntries = 64;

    /// <summary>A page with more entries than this is rarely made anew among the last of them.</summary>
    private const int ShortList = 64;

    /// <summary>So many entries ahead a record and its page are fetched into the processor's cache: the time of one access to memory at least.</summary>
    private const int FetchAhead = 4;

    private static readonly int ForwardThreads = Math.Clamp(Environment.ProcessorCount, 1, 8);

    /// <summary>Brings each page that has entries forward; gives their number. What a full replay costs.</summary>
    /// <exception cref="StorageException">A page or a record cannot be read, or redo failed.</exception>
    public long BringAllForward(CancellationToken cancel)
    {
        return BringForward([.. _index.Pages()], cancel);
    }

    /// <summary>Brings pages forward; gives their number.</summary>
    private long BringForward(List<PendingPage> pages, CancellationToken cancel)
    {
        pages = EachOnce(pages);
        if (_options.Records is not IWalStretches log)
        {
            pages.ForEach(p => Pin(p.Tag).Dispose());
            return pages.Count;
        }

        int threads = Math.Min(ForwardThreads, 1 + (pages.Count / 64));
        var queue = new ForwardQueue(pages, cancel);
        using IWalScan scan = log.OpenScan(threads);
        using var step = new Barrier(threads);
        var others = new Thread[threads - 1];
        for (int i = 0; i < others.Length; i++)
        {
            others[i] = new Thread(() => Forward(queue, scan, step)) { IsBackground = true, Name = "redo" };
            others[i].Start();
        }

        Forward(queue, scan, step);
        Array.ForEach(others, t => t.Join());
        queue.Failure?.Throw();
        cancel.ThrowIfCancellationRequested();
        return pages.Count;
    }

    /// <summary>
    /// The pages in the order of the first entries that they need, each once. What a page needs begins with the last record that makes it whatever it was: where there are many images, the
    /// batches then need a short part of the log each. Long lists are not looked through for that, which would cost more than it saves.
    /// </summary>
    private List<PendingPage> EachOnce(List<PendingPage> found)
    {
        found.Sort(static (a, b) => Order(a.Tag, b.Tag));
        var pages = new List<PendingPage>(found.Count);
        foreach (PendingPage page in found)
        {
            if (pages.Count > 0 && pages[^1] is var last && BufferTable.Same(page.Tag, last.Tag))
            {
                pages[^1] = last with { First = Lsn.Min(page.First, last.First), Entries = page.Entries + last.Entries };
            }
            else
            {
                pages.Add(page);
            }
        }

        EntryList entries = Entries;
        foreach (ref PendingPage page in CollectionsMarshal.AsSpan(pages))
        {
            // A cut that comes in between is found when the page is prepared.
            if (page.Entries <= ShortList && _index.TryCollect(page.Tag, page.Tag.GetHashCode(), _index.CutPoint, Lsn.Max, entries)
                && entries.LastInitializing() is > 0 and int first)
            {
                page = new PendingPage(page.Tag, entries.Start(first), entries.Count - first);
            }
        }

        pages.Sort(static (a, b) => a.First.Value.CompareTo(b.First.Value));
        return pages;
    }

    private void Forward(ForwardQueue queue, IWalScan scan, Barrier step)
    {
        try
        {
            using IWalStretchReader log = scan.NewReader();

            // No more than half of the pool is in batches; the rest is for sessions.
            var batch = new ForwardBatch(Math.Max(1, _frames.Length / (2 * ForwardThreads)));
            while (true)
            {
                queue.Take(batch.Tags, batch.Pages.Length, ForwardBatch.MaxEntries);
                if (batch.Tags.Count == 0)
                {
                    return;
                }

                ForwardOne(batch, log, step);
            }
        }
        catch (Exception e) when (e is StorageException or PgException or InvariantException)
        {
            queue.Fail(e);
        }
        finally
        {
            step.RemoveParticipant();
        }
    }

    private void ForwardOne(ForwardBatch batch, IWalStretchReader log, Barrier step)
    {
        batch.Begin(_index.CutPoint);

        // By file and block: neighbours lie together on storage.
        batch.Tags.Sort(static (a, b) => Order(a, b));
        bool done = false;
        try
        {
            batch.Tags.ForEach(t => PrepareForward(t, batch));
            batch.Sort();

            // All begin to read the log at about the same time, so that each stretch is read once.
            step.SignalAndWait();
            done = TryRedo(batch, log);
            for (int slot = 0; done && slot < batch.Count; slot++)
            {
                Install(ref batch.Pages[slot], batch);
            }
        }
        finally
        {
            log.Leave();
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
                PinAlone(tag).Dispose();
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
                batch.Add(new ForwardPage { Tag = tag, Bytes = frame.Pointer, Frame = frame, To = to, FirstEntry = entries.Start(0), Changes = first < entries.Count, Writing = writing }, entries, first);
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
    private bool TryRedo(ForwardBatch batch, IWalStretchReader log)
    {
        try
        {
            int next = NextLong(batch, 0);
            for (int stretch = 0; stretch < batch.StretchCount; stretch++)
            {
                if (stretch == next)
                {
                    next = NextLong(batch, stretch + 1);
                    log.Enter(batch.NumberOf(stretch), batch.NumberOf(next < batch.StretchCount ? next : stretch));
                    RedoTogether(batch, batch.EntriesOf(stretch), log);
                }
                else
                {
                    RedoSingly(batch, batch.EntriesOf(stretch));
                }
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

    /// <summary>The next stretch, from one on, whose reading as a whole pays.</summary>
    private static int NextLong(ForwardBatch batch, int from)
    {
        while (from < batch.StretchCount && batch.EntriesOf(from).Length < FewEntries)
        {
            from++;
        }

        return from;
    }

    private void RedoTogether(ForwardBatch batch, ReadOnlySpan<ulong> items, IWalStretchReader log)
    {
        WalRecord record = _record ??= new WalRecord();
        for (int i = 0; i < items.Length; i++)
        {
            if (i + FetchAhead < items.Length)
            {
                ulong ahead = items[i + FetchAhead];
                log.Fetch(batch.StartOf(ahead));
                FetchPage(batch.Pages[ForwardBatch.SlotOf(ahead)].Bytes);
            }

            ulong item = items[i];
            log.Read(batch.StartOf(item), record);
            ref ForwardPage page = ref batch.Pages[ForwardBatch.SlotOf(item)];
            _options.Redo!.Apply(record, page.Tag, new Page(new Span<byte>(page.Bytes, Page.Size)));
        }
    }

    private void RedoSingly(ForwardBatch batch, ReadOnlySpan<ulong> items)
    {
        WalRecord record = _record ??= new WalRecord();
        foreach (ulong item in items)
        {
            ref ForwardPage page = ref batch.Pages[ForwardBatch.SlotOf(item)];
            _options.Records!.Read(batch.StartOf(item), record);
            _options.Redo!.Apply(record, page.Tag, new Page(new Span<byte>(page.Bytes, Page.Size)));
        }
    }

    /// <summary>Where redo looks first: the header and the first items, and what an index keeps at the end.</summary>
    private static void FetchPage(byte* page)
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch0(page);
            Sse.Prefetch0(page + 64);
            Sse.Prefetch0(page + Page.Size - 64);
        }
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
