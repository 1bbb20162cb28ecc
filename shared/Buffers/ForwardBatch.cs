using System.Numerics;
using System.Runtime.ExceptionServices;
using SharedStorage.Buffers.LogIndex;
using SharedStorage.Primitives;
using SharedStorage.Wal.Reading;

namespace SharedStorage.Buffers;

/// <summary>The pages that are still to be brought forward, for all threads that do it.</summary>
/// <param name="pages">In the order of their first entries, so that a batch needs a short stretch of the log.</param>
internal sealed class ForwardQueue(List<PendingPage> pages, CancellationToken cancel)
{
    private readonly Lock _lock = new();
    private int _next;
    private ExceptionDispatchInfo? _failure;

    /// <summary>The first failure of any thread; then the others stop.</summary>
    public ExceptionDispatchInfo? Failure => Volatile.Read(ref _failure);

    /// <summary>Takes the next pages, one at least; none when there is nothing left to do.</summary>
    public void Take(List<BufferTag> into, int maxPages, int maxEntries)
    {
        into.Clear();
        if (Failure is not null || cancel.IsCancellationRequested)
        {
            return;
        }

        lock (_lock)
        {
            for (long entries = 0; _next < pages.Count && into.Count < maxPages && entries < maxEntries; _next++)
            {
                into.Add(pages[_next].Tag);
                entries += pages[_next].Entries;
            }
        }
    }

    public void Fail(Exception e) => Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(e), null);
}

/// <summary>A page that is being brought forward outside the table. The frame is null once it is in the table.</summary>
internal unsafe struct ForwardPage
{
    public BufferTag Tag;
    public byte* Bytes;
    public Frame? Frame;
    public Lsn To;
    public Lsn FirstEntry;

    /// <summary>It has entries that storage does not have.</summary>
    public bool Changes;

    public bool Writing;
}

/// <summary>
/// One thread's pages with their entries: a number of the page in the low bits, the position above them. Sorted by stretch of the log, and within one by page: what a page gets from
/// a stretch it gets while it is in the processor's cache.
/// </summary>
internal sealed class ForwardBatch(int maxPages)
{
    private const int SlotBits = 16;

    /// <summary>32 MB of positions, and as much to sort them. Fewer would make more passes over the log.</summary>
    public const int MaxEntries = 1 << 22;

    private static readonly int StretchShift = SlotBits + BitOperations.Log2(IWalScan.StretchSize / 8);

    private ulong[] _items = new ulong[4096];
    private ulong[] _sorted = [];
    private int[] _ends = new int[64];

    /// <summary>No entry before this is in the batch: the start of a stretch.</summary>
    public Lsn Reference { get; private set; }

    public ForwardPage[] Pages { get; } = new ForwardPage[Math.Min(maxPages, 1 << SlotBits)];
    public int Count { get; private set; }
    public int EntryCount { get; private set; }

    /// <summary>Stretches from <see cref="Reference"/> to the last that has entries.</summary>
    public int StretchCount { get; private set; }

    /// <summary>The names of the pages, before they are prepared.</summary>
    public List<BufferTag> Tags { get; } = [];

    /// <summary>Pages for the ordinary way, one after the other.</summary>
    public List<BufferTag> Behind { get; } = [];

    public static int SlotOf(ulong item) => (int)(item & ((1 << SlotBits) - 1));

    public Lsn StartOf(ulong item) => Reference + (item >> SlotBits << 3);

    public ulong NumberOf(int stretch) => (Reference.Value / IWalScan.StretchSize) + (uint)stretch;

    /// <summary>The entries of a stretch, page by page, each page's in log order. After <see cref="Sort"/>.</summary>
    public ReadOnlySpan<ulong> EntriesOf(int stretch)
    {
        int begin = stretch == 0 ? 0 : _ends[stretch - 1];
        return _sorted.AsSpan(begin, _ends[stretch] - begin);
    }

    public void Begin(Lsn reference)
    {
        Array.Clear(Pages);
        Array.Clear(_ends);
        Behind.Clear();
        Reference = new Lsn(reference.Value & ~(IWalScan.StretchSize - 1UL));
        Count = EntryCount = StretchCount = 0;
    }

    public void Add(in ForwardPage page, EntryList entries, int first)
    {
        int count = EntryCount + entries.Count - first;
        if (count > _items.Length)
        {
            Array.Resize(ref _items, Math.Max(count, _items.Length * 2));
        }

        for (int i = first; i < entries.Count; i++)
        {
            ulong item = ((entries.Start(i) - Reference) >> 3 << SlotBits) | (uint)Count;
            int stretch = (int)(item >> StretchShift);
            if (stretch >= StretchCount)
            {
                StretchCount = stretch + 1;
                if (stretch >= _ends.Length)
                {
                    Array.Resize(ref _ends, stretch * 2);
                }
            }

            _ends[stretch]++;
            _items[EntryCount++] = item;
        }

        Pages[Count++] = page;
    }

    /// <summary>A counting sort by stretch: pages and their entries come in order, and keep it.</summary>
    public void Sort()
    {
        if (_sorted.Length < EntryCount)
        {
            _sorted = new ulong[_items.Length];
        }

        int sum = 0;
        foreach (ref int end in _ends.AsSpan(0, StretchCount))
        {
            (end, sum) = (sum, sum + end);
        }

        foreach (ulong item in _items.AsSpan(0, EntryCount))
        {
            _sorted[_ends[(int)(item >> StretchShift)]++] = item;
        }
    }
}
