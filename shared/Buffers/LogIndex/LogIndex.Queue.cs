using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers.LogIndex;

/// <summary>
/// Entries added some at a time. An entry touches a bucket, the page's cell and its last run, each of them as a rule in no cache: one entry after the other would wait for memory
/// three times. Of a queue, all buckets are fetched side by side, then all pages, then all runs.
/// </summary>
public sealed unsafe partial class LogIndex
{
    /// <summary>What is fetched side by side: a few times what a core has under way, and a small part of its first cache.</summary>
    private const int QueueLength = 64;

    private readonly Queued[] _queue = new Queued[QueueLength];
    private int _queued;

    /// <summary>
    /// Notes that the record touches the page. Look-ups find it after <see cref="AddQueued"/>, which the caller calls before it publishes the record as applied, and when this gives true:
    /// then the queue is full. In log order, by the one thread that tails.
    /// </summary>
    internal bool Queue(in BufferTag tag, Lsn recordStart, bool initializes)
    {
        int hash = tag.GetHashCode();
        ref Queued next = ref _queue[_queued];
        next.Tag = tag;
        next.Bucket = hash & _mask;
        next.Entry = recordStart.Value | (initializes ? InitializesBit : 0);
        Fetch(_buckets + next.Bucket);
        return ++_queued == QueueLength;
    }

    /// <exception cref="StorageException">Entries cannot be spilled. The queue is kept.</exception>
    internal void AddQueued()
    {
        if (_queued == 0)
        {
            return;
        }

        if (_cells.BytesInUse > _spillAt)
        {
            Spill(_queue[0].Entry & ~InitializesBit);
        }

        Span<Queued> queue = _queue.AsSpan(0, _queued);
        foreach (ref Queued q in queue)
        {
            Fetch(_cells.AddressOf(_buckets[q.Bucket].Head));
        }

        foreach (ref Queued q in queue)
        {
            int index = Find(q.Bucket, q.Tag);
            q.Cell = index != 0 ? index : NewPage(q.Bucket, q.Tag);
            Fetch(_cells.AddressOf(_cells.Page(q.Cell).LastRun));
        }

        foreach (ref Queued q in queue)
        {
            Append(ref _cells.Page(q.Cell), q.Entry);
            Volatile.Write(ref _buckets[q.Bucket].Last, q.Entry & ~InitializesBit);
        }

        _entries += _queued;
        _queued = 0;
    }

    private void Append(ref PageCell page, ulong entry)
    {
        int count = page.Count;
        int run = page.LastRun;
        if (count < InlineEntries)
        {
            page.Inline[count] = entry;
        }
        else
        {
            int within = (count - InlineEntries) % RunEntries;
            if (within == 0)
            {
                run = AddRun(ref page, run);
            }

            _cells.Run(run).Entries[within] = entry;
        }

        Volatile.Write(ref page.Tail, PageCell.Pack(count + 1, run));
    }

    /// <summary>Asks for a line of memory that will be wanted soon. Only a hint: where the processor has none, nothing happens.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fetch(void* line)
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch0(line);
        }
    }

    private struct Queued
    {
        public BufferTag Tag;
        public int Bucket;
        public int Cell;
        public ulong Entry;
    }
}
