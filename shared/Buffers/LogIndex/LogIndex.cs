using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers.LogIndex;

/// <summary>
/// Which records touch which page: page -> start positions of records, in log order. One thread adds and cuts, many look up; an entry costs no allocation and no lock.
/// </summary>
/// <remarks>
/// Positions are 8-byte aligned, so their lowest bit says that the record makes the page whatever it was before (full-page image, or init). The memory is cells of 64
/// bytes: a page with its first three entries, or a run of seven more. Looking up copies the entries out and checks afterwards that no cut went on (a sequence lock).
/// The last entry of each hash bucket is kept in it: a frame that is newer than that needs no look-up.
/// What exceeds the memory goes to local disk (LogIndex.Spill.cs).
/// </remarks>
public sealed unsafe partial class LogIndex : IDisposable
{
    /// <summary>The lowest bit of an entry: the record makes the page whatever it was.</summary>
    internal const ulong InitializesBit = 1;

    private const int InlineEntries = 3;
    private const int RunEntries = 7;
    private const int CutBatch = 64;

    private readonly CellArena _cells;
    private readonly AlignedBuffer _bucketMemory;
    private readonly Bucket* _buckets;
    private readonly int _bucketCount;
    private readonly int _mask;
    private ulong _cut;
    private int _version;
    private int _pages;
    private long _entries;

    /// <param name="memoryLimit">Bytes that count as full; buckets are sized by it.</param>
    /// <param name="start">Where the log is read from: entries from here on are complete.</param>
    /// <param name="spillPath">A local folder of this index alone for what exceeds the limit; null keeps all in memory, whatever the limit (see <see cref="IsFull"/>).</param>
    public LogIndex(long memoryLimit, Lsn start, string? spillPath = null)
        : this(memoryLimit, start, spillPath is null ? null : new SpillDirectory(spillPath))
    {
    }

    internal LogIndex(long memoryLimit, Lsn start, SpillDirectory? spill)
    {
        MemoryLimit = memoryLimit;
        _spill = spill;
        _spillAt = spill is null ? long.MaxValue : memoryLimit;
        _memoryLow = start.Value;
        _cells = new CellArena();
        int buckets = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(memoryLimit / 256, 1024, 1 << 22));
        _bucketCount = buckets;
        _bucketMemory = new AlignedBuffer((long)buckets * sizeof(Bucket));
        _buckets = (Bucket*)_bucketMemory.Pointer;
        NativeMemory.Clear(_buckets, (nuint)buckets * (nuint)sizeof(Bucket));
        _mask = buckets - 1;
        _cut = start.Value;
    }

    public long MemoryLimit { get; }

    /// <summary>Bytes of entries in memory; the buckets come on top.</summary>
    public long Bytes => _cells.BytesInUse;

    public bool IsFull => Bytes > MemoryLimit;

    /// <summary>Entries from here on are complete; older ones may be missing.</summary>
    public Lsn CutPoint => new(Volatile.Read(ref _cut));

    /// <summary>Entries in memory and on disk; runs that a cut has passed in part count whole.</summary>
    public long EntryCount => Volatile.Read(ref _entries) + SpilledEntries;

    /// <summary>Pages that have entries; one that has some in memory and some on disk counts more than once.</summary>
    public int PageCount => Volatile.Read(ref _pages) + SpilledPages;

    /// <summary>Notes that the record touches the page. In log order, by the one thread that tails.</summary>
    /// <param name="initializes">The record makes the page whatever it was before: it has an image to apply, or inits it.</param>
    public void Add(in BufferTag tag, Lsn recordStart, bool initializes)
    {
        Queue(tag, recordStart, initializes);
        AddQueued();
    }

    /// <summary>No record at or after <paramref name="mark"/> touches a page with this hash: a frame with that mark is current.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool NothingSince(int hash, ulong mark) => Volatile.Read(ref _buckets[hash & _mask].Last) < mark;

    /// <summary>
    /// The page's entries with <paramref name="from"/> &lt;= start &lt; <paramref name="to"/>, in log order. False: entries from there on are not complete any more (R6).
    /// </summary>
    /// <exception cref="StorageException">Spilled entries cannot be read.</exception>
    internal bool TryCollect(in BufferTag tag, int hash, Lsn from, Lsn to, EntryList into)
    {
        var spin = new SpinWait();
        while (true)
        {
            int version = Volatile.Read(ref _version);
            if ((version & 1) == 0)
            {
                into.Clear();
                bool complete = from.Value >= Volatile.Read(ref _cut);
                ulong low = Volatile.Read(ref _memoryLow);
                SpillRun[] runs = Volatile.Read(ref _runs);
                if (complete)
                {
                    Copy(hash & _mask, tag, Math.Max(from.Value, low), to.Value, version, into);
                }

                if (!Changed(version))
                {
                    into.Reverse();
                    if (!complete || from.Value >= low || TryCollectSpilled(runs, tag, hash, from.Value, Math.Min(to.Value, low), into))
                    {
                        return complete;
                    }
                }
            }

            spin.SpinOnce(sleep1Threshold: -1);
        }
    }

    /// <summary>
    /// Forgets the entries before a position, which must be at or before a <c>consistent</c> that was announced (I3). By the thread that adds. Who has copied entries
    /// before keeps them; who comes later with an older page is told to read it again.
    /// </summary>
    public void Cut(Lsn before)
    {
        if (before.Value <= _cut)
        {
            return;
        }

        Volatile.Write(ref _cut, before.Value);
        if (before.Value > _memoryLow)
        {
            RaiseMemoryLow(before.Value, _runs);
            DropFromMemory();
        }

        CutRuns(before.Value);
    }

    /// <summary>Forgets a page: its entries are in a dirty frame now. On a writer, by the one thread that holds the page's load; nothing is added any more.</summary>
    internal void MarkDone(in BufferTag tag, int hash)
    {
        int index = Find(hash & _mask, tag);
        if (index != 0 && (uint)Interlocked.Exchange(ref _cells.Page(index).Tail, 0) != 0)
        {
            Interlocked.Decrement(ref _pages);
        }

        foreach (SpillRun run in Volatile.Read(ref _runs))
        {
            run.MarkDone(tag, hash);
        }
    }

    internal bool Contains(in BufferTag tag, int hash) =>
        (Find(hash & _mask, tag) is var index && index != 0 && CountOf(index) > 0) || SpillContains(tag, hash);

    /// <summary>
    /// The pages that have entries, some of them more than once: one whose entries lie in several places comes with what it has in each. On a node where nothing is added meanwhile.
    /// </summary>
    internal IEnumerable<PendingPage> Pages()
    {
        for (int bucket = 0; bucket < _bucketCount; bucket++)
        {
            for (int index = HeadOf(bucket); index != 0; index = NextOf(index))
            {
                if (CountOf(index) > 0)
                {
                    yield return SummaryOf(index);
                }
            }
        }

        foreach (SpillRun run in Volatile.Read(ref _runs))
        {
            foreach (PendingPage page in run.PendingPages(Volatile.Read(ref _cut)))
            {
                yield return page;
            }
        }
    }

    public void Dispose()
    {
        _cells.Dispose();
        _bucketMemory.Dispose();
        DropRuns(Interlocked.Exchange(ref _runs, []));
    }

    private int HeadOf(int bucket) => Volatile.Read(ref _buckets[bucket].Head);
    private int NextOf(int index) => _cells.Page(index).Next;
    private int CountOf(int index) => (int)(uint)Volatile.Read(ref _cells.Page(index).Tail);

    private PendingPage SummaryOf(int index)
    {
        ref PageCell page = ref _cells.Page(index);
        int skip = page.Skip;
        ulong first = skip < InlineEntries || page.FirstRun == 0
            ? page.Inline[Math.Min(skip, InlineEntries - 1)] : _cells.Run(page.FirstRun).Entries[(skip - InlineEntries) % RunEntries];
        return new PendingPage(page.Tag, new Lsn(first & ~InitializesBit), page.Count - skip);
    }

    private int Find(int bucket, in BufferTag tag)
    {
        int index = HeadOf(bucket);
        while (index != 0)
        {
            ref PageCell page = ref _cells.Page(index);
            if (BufferTable.Same(page.Tag, tag))
            {
                return index;
            }

            index = page.Next;
        }

        return 0;
    }

    private int NewPage(int bucket, in BufferTag tag)
    {
        int index = _cells.Take();
        ref PageCell page = ref _cells.Page(index);
        page.Tag = tag;
        page.Next = _buckets[bucket].Head;
        page.Tail = 0;
        page.Skip = 0;
        page.FirstRun = 0;
        Volatile.Write(ref _buckets[bucket].Head, index);
        _pages++;
        return index;
    }

    private int AddRun(ref PageCell page, int last)
    {
        int index = _cells.Take();
        ref RunCell run = ref _cells.Run(index);
        run.Next = 0;
        run.Previous = last;
        if (last == 0)
        {
            page.FirstRun = index;
        }
        else
        {
            _cells.Run(last).Next = index;
        }

        return index;
    }

    /// <summary>Whether a cut began since the version was read: then a cell number read in between must not be followed.</summary>
    private bool Changed(int version)
    {
        Volatile.ReadBarrier();
        return Volatile.Read(ref _version) != version;
    }

    /// <summary>
    /// Copies from the newest entry backward, as far as no cut comes between. A cell number is followed only after the version was seen unchanged: then it names a cell
    /// that was live when the walk began, and cells that are live serve no other use before the next cut.
    /// </summary>
    private void Copy(int bucket, in BufferTag tag, ulong from, ulong to, int version, EntryList into)
    {
        int index = HeadOf(bucket);
        while (index != 0)
        {
            if (Changed(version))
            {
                return;
            }

            ref PageCell candidate = ref _cells.Page(index);
            if (BufferTable.Same(candidate.Tag, tag))
            {
                break;
            }

            index = candidate.Next;
        }

        if (index == 0)
        {
            return;
        }

        ref PageCell page = ref _cells.Page(index);
        ulong tail = Volatile.Read(ref page.Tail);
        (int position, int run) = ((int)(uint)tail - 1, (int)(tail >> 32));
        for (; position >= InlineEntries; position--)
        {
            if (Changed(version))
            {
                return;
            }

            ref RunCell cell = ref _cells.Run(run);
            int within = (position - InlineEntries) % RunEntries;
            if (!Take(cell.Entries[within], from, to, into))
            {
                return;
            }

            if (within == 0)
            {
                run = cell.Previous;
                if (run == 0)
                {
                    break;
                }
            }
        }

        // Where runs were given back, the positions below do not exist any more; they are skipped ones.
        for (position = Math.Min(position, InlineEntries - 1); position >= page.Skip && position >= 0; position--)
        {
            if (!Take(page.Inline[position], from, to, into))
            {
                return;
            }
        }
    }

    private static bool Take(ulong entry, ulong from, ulong to, EntryList into)
    {
        if (entry < from)
        {
            return false;
        }

        if (entry < to)
        {
            into.Add(entry);
        }

        return true;
    }

    private void BeginChange()
    {
        Volatile.Write(ref _version, _version + 1);
        Thread.MemoryBarrier();
    }

    private void EndChange()
    {
        Thread.MemoryBarrier();
        Volatile.Write(ref _version, _version + 1);
    }

    /// <summary>A chain of pages, and the last entry that any of them got.</summary>
    private struct Bucket
    {
        public ulong Last;
        public int Head;
    }
}

/// <summary>A page with entries: where the first of them begins, and how many they are.</summary>
internal readonly record struct PendingPage(BufferTag Tag, Lsn First, int Entries);
