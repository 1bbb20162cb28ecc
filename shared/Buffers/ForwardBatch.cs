using System.Runtime.ExceptionServices;
using SharedStorage.Buffers.LogIndex;
using SharedStorage.Primitives;

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

/// <summary>A page with entries: where those begin that have to be redone, and how many they are.</summary>
internal readonly record struct PendingPage(BufferTag Tag, Lsn First, int Entries);

/// <summary>A page that is being brought forward outside the table. The frame is null once it is in the table.</summary>
internal struct ForwardPage
{
    public BufferTag Tag;
    public Frame? Frame;
    public Lsn To;
    public Lsn FirstEntry;

    /// <summary>It has entries that storage does not have.</summary>
    public bool Changes;

    public bool Writing;
}

/// <summary>One thread's pages with their entries, which are sorted by position: a number of the page in the low bits, the position above them.</summary>
internal sealed class ForwardBatch(int maxPages)
{
    private const int SlotBits = 16;
    /// <summary>16 MB of positions. More would save passes over the log, and take memory that nothing else has a use for.</summary>
    public const int MaxEntries = 1 << 21;
    private const int DigitBits = 11;

    private ulong[] _items = new ulong[4096];
    private ulong[] _other = [];

    /// <summary>No entry before this is in the batch.</summary>
    public Lsn Reference { get; private set; }

    public ForwardPage[] Pages { get; } = new ForwardPage[Math.Min(maxPages, 1 << SlotBits)];
    public int Count { get; private set; }
    public int EntryCount { get; private set; }

    /// <summary>The names of the pages, before they are prepared.</summary>
    public List<BufferTag> Tags { get; } = [];

    /// <summary>Pages for the ordinary way, one after the other.</summary>
    public List<BufferTag> Behind { get; } = [];

    public static int SlotOf(ulong item) => (int)(item & ((1 << SlotBits) - 1));

    public Lsn StartOf(ulong item) => Reference + (item >> SlotBits << 3);

    public void Begin(Lsn reference)
    {
        Array.Clear(Pages);
        Behind.Clear();
        Reference = reference;
        Count = EntryCount = 0;
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
            _items[EntryCount++] = ((entries.Start(i) - Reference) >> 3 << SlotBits) | (uint)Count;
        }

        Pages[Count++] = page;
    }

    /// <summary>The entries by position: a radix sort, since there are millions and their positions are dense.</summary>
    public ReadOnlySpan<ulong> Sorted()
    {
        if (_other.Length < EntryCount)
        {
            _other = new ulong[_items.Length];
        }

        ulong max = 0;
        foreach (ulong item in _items.AsSpan(0, EntryCount))
        {
            max |= item;
        }

        Span<int> counts = stackalloc int[1 << DigitBits];
        for (int shift = SlotBits; shift < 64 && max >> shift != 0; shift += DigitBits)
        {
            counts.Clear();
            foreach (ulong item in _items.AsSpan(0, EntryCount))
            {
                counts[(int)(item >> shift) & ((1 << DigitBits) - 1)]++;
            }

            int sum = 0;
            for (int digit = 0; digit < counts.Length; digit++)
            {
                (counts[digit], sum) = (sum, sum + counts[digit]);
            }

            foreach (ulong item in _items.AsSpan(0, EntryCount))
            {
                _other[counts[(int)(item >> shift) & ((1 << DigitBits) - 1)]++] = item;
            }

            (_items, _other) = (_other, _items);
        }

        return _items.AsSpan(0, EntryCount);
    }
}
