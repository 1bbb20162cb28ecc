using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers.LogIndex;

/// <summary>
/// The entries of a stretch of log in a local file, which never changes. Pages lie in the order of their hash buckets, so what is in memory is where each group of buckets begins, and a
/// filter that says of most pages that they are not there. A look-up reads one group. On a writer a bit for each page says that it is done.
/// </summary>
internal sealed unsafe class SpillRun : IDisposable
{
    /// <summary>Buckets in a group: it is what one read takes, about a kilobyte.</summary>
    public const int BucketsPerGroup = 16;

    private const int WriteSize = 1 << 20;

    [ThreadStatic] private static byte[]? _scratch;

    private readonly ISpillFile _file;
    private readonly int _mask;
    private readonly long[] _groups;
    private readonly ulong[] _filter;
    private long[]? _done;
    private int _pages;

    private SpillRun(ISpillFile file, int mask, ulong low, ulong high, long[] groups, ulong[] filter, int pages, long entries)
    {
        (_file, _mask, Low, High, _groups, _filter, _pages, Entries) = (file, mask, low, high, groups, filter, pages, entries);
    }

    /// <summary>Entries with Low &lt;= start &lt; High are here, and no others.</summary>
    public ulong Low { get; }

    public ulong High { get; }
    public long Length => _groups[^1];
    public long Entries { get; }

    /// <summary>Pages that are not done.</summary>
    public int Pages => Volatile.Read(ref _pages);

    /// <summary>Bytes that the run takes in memory.</summary>
    public long Bytes => (_groups.Length + _filter.Length) * (long)sizeof(ulong);

    /// <summary>Adds the page's entries with from &lt;= start &lt; to, in log order.</summary>
    public void Collect(in BufferTag tag, int hash, ulong from, ulong to, EntryList into)
    {
        if (to <= Low || from >= High || !MayContain(hash))
        {
            return;
        }

        Span<byte> group = GroupOf(hash, out long start);
        _file.Read(start, group);
        for (int at = 0; at < group.Length;)
        {
            ref readonly RunPage page = ref MemoryMarshal.AsRef<RunPage>(group[at..]);
            if (BufferTable.Same(page.Tag, tag) && !IsDone(start + at))
            {
                foreach (ulong entry in MemoryMarshal.Cast<byte, ulong>(group.Slice(at + RunPage.Size, page.Count * sizeof(ulong))))
                {
                    if (entry >= from && entry < to)
                    {
                        into.Add(entry);
                    }
                }
            }

            at += page.Bytes;
        }
    }

    /// <summary>Whether the page has an entry at or after the cut.</summary>
    public bool Contains(in BufferTag tag, int hash, ulong cut) => Visit(tag, hash, cut, mark: false);

    /// <summary>The page's entries count no more. By whoever holds the page's load.</summary>
    public void MarkDone(in BufferTag tag, int hash) => Visit(tag, hash, 0, mark: true);

    /// <summary>The pages that are not done, some of them more than once. Those whose entries the cut has passed are done from now on.</summary>
    public IEnumerable<PendingPage> PendingPages(ulong cut)
    {
        byte[] group = [];
        for (int g = 0; g + 1 < _groups.Length; g++)
        {
            int length = (int)(_groups[g + 1] - _groups[g]);
            if (group.Length < length)
            {
                group = new byte[length];
            }

            if (!TryRead(_groups[g], group.AsSpan(0, length)))
            {
                yield break;
            }

            for (int at = 0; at < length;)
            {
                RunPage page = MemoryMarshal.Read<RunPage>(group.AsSpan(at));
                if (page.LastEntry(group.AsSpan(at)) < cut)
                {
                    SetDone(_groups[g] + at);
                }
                else if (!IsDone(_groups[g] + at))
                {
                    ulong first = MemoryMarshal.Read<ulong>(group.AsSpan(at + RunPage.Size)) & ~LogIndex.InitializesBit;
                    yield return new PendingPage(page.Tag, new Lsn(first), page.Count);
                }

                at += page.Bytes;
            }
        }
    }

    public void Dispose() => _file.Dispose();

    private bool Visit(in BufferTag tag, int hash, ulong cut, bool mark)
    {
        if (!MayContain(hash))
        {
            return false;
        }

        Span<byte> group = GroupOf(hash, out long start);
        if (!TryRead(start, group))
        {
            return false;
        }

        bool found = false;
        for (int at = 0; at < group.Length;)
        {
            ref readonly RunPage page = ref MemoryMarshal.AsRef<RunPage>(group[at..]);
            if (BufferTable.Same(page.Tag, tag) && !IsDone(start + at) && page.LastEntry(group[at..]) >= cut)
            {
                found = true;
                if (mark)
                {
                    SetDone(start + at);
                }
            }

            at += page.Bytes;
        }

        return found;
    }

    /// <summary>False: the run was dropped meanwhile, since every page in it is done.</summary>
    private bool TryRead(long offset, Span<byte> bytes)
    {
        try
        {
            _file.Read(offset, bytes);
            return true;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>This thread's memory for the group of a page, and where the group begins.</summary>
    private Span<byte> GroupOf(int hash, out long start)
    {
        int group = (hash & _mask) / BucketsPerGroup;
        start = _groups[group];
        int length = (int)(_groups[group + 1] - start);
        if (_scratch is null || _scratch.Length < length)
        {
            _scratch = new byte[Math.Max(length, 4096)];
        }

        return _scratch.AsSpan(0, length);
    }

    /// <summary>A page takes at least 32 bytes, so its place by 32 is its own.</summary>
    private bool IsDone(long at) => Volatile.Read(ref _done) is { } done && (Volatile.Read(ref done[at >> 11]) >> (int)(at >> 5) & 1) != 0;

    private void SetDone(long at)
    {
        if (_done is null)
        {
            Interlocked.CompareExchange(ref _done, new long[(Length >> 11) + 1], null);
        }

        long bit = 1L << (int)(at >> 5);
        if ((Interlocked.Or(ref _done[at >> 11], bit) & bit) == 0)
        {
            Interlocked.Decrement(ref _pages);
        }
    }

    private bool MayContain(int hash) => Volatile.Read(ref _pages) > 0 && Probe(_filter, hash, 0) && Probe(_filter, hash, 1);

    private static bool Probe(ulong[] filter, int hash, int which) => (filter[Word(filter, hash, which, out ulong bit)] & bit) != 0;

    private static void Note(ulong[] filter, int hash)
    {
        for (int which = 0; which < 2; which++)
        {
            filter[Word(filter, hash, which, out ulong bit)] |= bit;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Word(ulong[] filter, int hash, int which, out ulong bit)
    {
        ulong mixed = (uint)hash * (which == 0 ? 0x9E3779B97F4A7C15UL : 0xC2B2AE3D27D4EB4FUL) >> 20;
        bit = 1UL << (int)(mixed & 63);
        return (int)((mixed >> 6) & (ulong)(filter.Length - 1));
    }

    /// <summary>One run in the place of several that follow one another: each group is theirs, from old to new.</summary>
    public static SpillRun Merge(ReadOnlySpan<SpillRun> runs, SpillDirectory directory)
    {
        using var writer = new Writer(directory, runs[0]._mask);
        byte[] bytes = [];
        for (int g = 0; g + 1 < runs[0]._groups.Length; g++)
        {
            foreach (SpillRun run in runs)
            {
                int length = (int)(run._groups[g + 1] - run._groups[g]);
                if (bytes.Length < length)
                {
                    bytes = new byte[length * 2];
                }

                run._file.Read(run._groups[g], bytes.AsSpan(0, length));
                writer.Put(bytes.AsSpan(0, length));
            }

            writer.EndGroup();
        }

        return writer.FinishMerged(runs);
    }

    /// <summary>A page in the file; its entries follow.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private readonly struct RunPage(in BufferTag tag, int count)
    {
        public const int Size = 24;

        public readonly BufferTag Tag = tag;
        public readonly int Count = count;

        public int Bytes => Size + (Count * sizeof(ulong));

        /// <param name="bytes">The page in the file.</param>
        public ulong LastEntry(ReadOnlySpan<byte> bytes) => MemoryMarshal.Read<ulong>(bytes[(Bytes - sizeof(ulong))..]);
    }

    /// <summary>Writes a run, bucket after bucket. Disposed of before it is finished, it leaves nothing.</summary>
    internal sealed class Writer : IDisposable
    {
        private readonly int _mask;
        private readonly byte[] _buffer = new byte[WriteSize];
        private readonly long[] _groups;
        private readonly ulong[] _filter;
        private ISpillFile? _file;
        private int _filled;
        private long _written;
        private int _group;
        private int _pages;
        private long _entries;

        public Writer(SpillDirectory directory, int mask)
        {
            _mask = mask;
            _groups = new long[((mask + 1) / BucketsPerGroup) + 1];
            _filter = new ulong[(mask + 1) / 4];
            _file = directory.Create();
        }

        public long Entries => _entries;

        public void Add(in BufferTag tag, int hash, ReadOnlySpan<ulong> entries)
        {
            var page = new RunPage(tag, entries.Length);
            Put(MemoryMarshal.AsBytes(new ReadOnlySpan<RunPage>(in page)));
            Put(MemoryMarshal.AsBytes(entries));
            Note(_filter, hash);
            _pages++;
            _entries += entries.Length;
        }

        public void Put(ReadOnlySpan<byte> bytes)
        {
            while (bytes.Length > 0)
            {
                if (_filled == _buffer.Length)
                {
                    Flush();
                }

                int n = Math.Min(bytes.Length, _buffer.Length - _filled);
                bytes[..n].CopyTo(_buffer.AsSpan(_filled));
                _filled += n;
                bytes = bytes[n..];
            }
        }

        public void EndGroup() => _groups[++_group] = _written + _filled;

        public SpillRun Finish(ulong low, ulong high)
        {
            Flush();
            var run = new SpillRun(_file!, _mask, low, high, _groups, _filter, _pages, _entries);
            _file = null;
            return run;
        }

        public SpillRun FinishMerged(ReadOnlySpan<SpillRun> runs)
        {
            foreach (SpillRun run in runs)
            {
                _pages += run._pages;
                _entries += run.Entries;
                for (int i = 0; i < _filter.Length; i++)
                {
                    _filter[i] |= run._filter[i];
                }
            }

            return Finish(runs[0].Low, runs[^1].High);
        }

        public void Dispose() => _file?.Dispose();

        private void Flush()
        {
            _file!.Write(_written, _buffer.AsSpan(0, _filled));
            _written += _filled;
            _filled = 0;
        }
    }
}
