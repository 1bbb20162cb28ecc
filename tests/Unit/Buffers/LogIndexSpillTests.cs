using SharedStorage.Buffers.LogIndex;
using SharedStorage.Primitives;
using SharedStorage.Unit.Io;

namespace SharedStorage.Unit.Buffers;

/// <summary>The index of the log with so little memory that it goes to disk all the time, against a plain list.</summary>
public sealed class LogIndexSpillTests : IDisposable
{
    private const long Limit = 16 << 10;

    private readonly TempDirectory _dir = new();
    private readonly EntryList _list = new();

    public void Dispose() => _dir.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Random_adds_cuts_and_lookups_agree_with_a_plain_list(int seed)
    {
        var random = new Random(seed);
        using var index = new LogIndex(Limit, new Lsn(8), _dir.Path);
        var model = new Dictionary<uint, List<ulong>>();
        ulong lsn = 8;
        ulong cut = 8;
        int most = 0;
        for (int step = 0; step < 60_000; step++)
        {
            // Few records touch several pages; many touch one of a few hot ones.
            lsn += (ulong)random.Next(1, 20) * 8;
            for (int i = random.Next(1, 4); i > 0; i--)
            {
                uint block = (uint)(random.Next(3) == 0 ? random.Next(3000) : random.Next(5));
                bool initializes = random.Next(7) == 0;
                index.Add(PoolFixture.Tag(block), new Lsn(lsn), initializes);
                (model.TryGetValue(block, out List<ulong>? l) ? l : model[block] = []).Add(lsn | (initializes ? 1UL : 0));
            }

            most = Math.Max(most, index.SpilledRuns);
            Assert.True(index.Bytes <= Limit + 4096, $"{index.Bytes} bytes in memory");
            if (random.Next(step < 30_000 ? 20_000 : 3_000) == 0)
            {
                cut += (ulong)random.NextInt64((long)(lsn - cut)) & ~7UL;
                index.Cut(new Lsn(cut));
                foreach (List<ulong> entries in model.Values)
                {
                    entries.RemoveAll(e => e < cut);
                }
            }

            if (random.Next(20) == 0)
            {
                uint asked = (uint)(random.Next(2) == 0 ? random.Next(3000) : random.Next(6));
                ulong from = cut + ((ulong)random.NextInt64((long)(lsn - cut + 8)) & ~7UL);
                ulong to = random.Next(2) == 0 ? ulong.MaxValue & ~7UL : from + ((ulong)random.NextInt64((long)(lsn - from + 16)) & ~7UL);
                Assert.True(index.TryCollect(PoolFixture.Tag(asked), PoolFixture.Tag(asked).GetHashCode(), new Lsn(from), new Lsn(to), _list));
                IEnumerable<ulong> expected = model.TryGetValue(asked, out List<ulong>? e) ? e.Where(x => x >= from && x < to) : [];
                Assert.Equal(expected, _list.Items.ToArray());
            }
        }

        Assert.True(index.Spills > 50, $"{index.Spills} spills");
        Assert.InRange(most, 4, 17);
        Assert.Empty(Directory.GetFiles(_dir.Path));
        foreach ((uint block, List<ulong> entries) in model)
        {
            Assert.Equal(entries.Count > 0, index.Contains(PoolFixture.Tag(block), PoolFixture.Tag(block).GetHashCode()));
        }

        Assert.Equal(model.Where(m => m.Value.Count > 0).Select(m => m.Key).Order(), index.Pages().Select(p => p.Tag.Block.Value).Distinct().Order());
        index.Cut(new Lsn(lsn + 8));
        Assert.Equal((0L, 0, 0L, 0, 0L), (index.EntryCount, index.PageCount, index.Bytes, index.SpilledRuns, index.SpilledBytes));
    }

    [Fact]
    public void Lookups_beside_adds_spills_merges_and_cuts_see_no_gap()
    {
        // One hot page and many cold ones; each lookup must see every multiple of 8 of the hot page between its bounds.
        const ulong Last = 400_000;
        using var index = new LogIndex(Limit, new Lsn(8), _dir.Path);
        ulong applied = 8;
        ulong cut = 8;
        bool stop = false;
        Exception? failed = null;
        var readers = new Thread[3];
        for (int t = 0; t < readers.Length; t++)
        {
            int back = 4000 << (3 * t);
            readers[t] = new Thread(() =>
            {
                var list = new EntryList();
                try
                {
                    while (!Volatile.Read(ref stop))
                    {
                        ulong to = Volatile.Read(ref applied);
                        ulong from = Math.Max(Volatile.Read(ref cut), to > (ulong)back ? to - (ulong)back : 8);
                        if (from < to && index.TryCollect(PoolFixture.Tag(0), PoolFixture.Tag(0).GetHashCode(), new Lsn(from), new Lsn(to), list))
                        {
                            Assert.Equal((int)((to - from) / 8), list.Count);
                            Assert.Equal(from, list.Start(0).Value);
                            Assert.Equal(to - 8, list.Start(list.Count - 1).Value);
                        }
                    }
                }
                catch (Exception e)
                {
                    failed = e;
                }
            });
            readers[t].Start();
        }

        for (ulong lsn = 8; lsn < Last && failed is null; lsn += 8)
        {
            index.Add(PoolFixture.Tag(0), new Lsn(lsn), false);
            index.Add(PoolFixture.Tag((uint)(lsn % 977) + 1), new Lsn(lsn), false);
            Volatile.Write(ref applied, lsn + 8);
            if (lsn % 100_000 == 0)
            {
                index.Cut(new Lsn(lsn - 60_000));
                Volatile.Write(ref cut, lsn - 60_000);
            }
        }

        Volatile.Write(ref stop, true);
        Array.ForEach(readers, r => r.Join());
        Assert.Null(failed);
        Assert.True(index.Spills > 20, $"{index.Spills} spills");
    }

    [Fact]
    public void What_is_done_on_a_writer_is_gone_from_memory_and_disk()
    {
        using var index = new LogIndex(Limit, new Lsn(8), _dir.Path);
        for (uint i = 1; i <= 20_000; i++)
        {
            index.Add(PoolFixture.Tag(i == 3900 ? 5000 : i % 700), new Lsn(i * 8), false);
        }

        // The cut goes through the middle of a run: the entries before it, and the page that has no others, count no more.
        index.Cut(new Lsn(4000 * 8));
        Assert.True(index.SpilledRuns > 1);
        Assert.False(index.Contains(PoolFixture.Tag(5000), PoolFixture.Tag(5000).GetHashCode()));
        List<BufferTag> pages = [.. index.Pages().Select(p => p.Tag).Distinct()];
        Assert.Equal(700, pages.Count);
        Parallel.ForEach(pages, tag =>
        {
            var list = new EntryList();
            int hash = tag.GetHashCode();
            Assert.True(index.Contains(tag, hash));
            Assert.True(index.TryCollect(tag, hash, new Lsn(4000 * 8), Lsn.Max, list));
            Assert.True(list.Count is 22 or 23, $"{list.Count} entries");
            index.MarkDone(tag, hash);
            Assert.False(index.Contains(tag, hash));
            Assert.True(index.TryCollect(tag, hash, new Lsn(4000 * 8), Lsn.Max, list));
            Assert.Equal(0, list.Count);
            index.DropDoneRuns();
        });
        Assert.Equal(0, index.PageCount);
        Assert.Empty(index.Pages());
        Assert.Equal(0, index.SpilledRuns);
    }

    [Fact]
    public void A_full_disk_is_waited_for_and_then_an_error_that_says_so()
    {
        var disk = new FullDisk(_dir.Path);
        using var index = new LogIndex(Limit, new Lsn(8), disk);
        ulong lsn = 8;
        void AddSome(int count)
        {
            for (int i = 0; i < count; i++, lsn += 8)
            {
                index.Add(PoolFixture.Tag((uint)(lsn % 1000)), new Lsn(lsn), false);
            }
        }

        AddSome(5000);
        Assert.True(index.SpilledRuns > 0);
        disk.IsFull = true;
        while (disk.Refused == 0)
        {
            AddSome(1);
        }

        // There is room again before memory has twice its limit: nothing is lost.
        disk.IsFull = false;
        AddSome(2000);
        Assert.True(index.Bytes <= Limit + 4096);
        for (uint block = 0; block < 1000; block += 8)
        {
            Assert.True(index.TryCollect(PoolFixture.Tag(block), PoolFixture.Tag(block).GetHashCode(), new Lsn(8), Lsn.Max, _list));
            Assert.Equal(Enumerable.Range(1, (int)(lsn / 8) - 1).Select(i => (ulong)i * 8).Where(l => l % 1000 == block), _list.Items.ToArray());
        }

        disk.IsFull = true;
        StorageException error = Assert.Throws<StorageException>(() => AddSome(100_000));
        Assert.Equal(SqlStates.DiskFull, error.SqlState);
        Assert.Contains("sharedstorage.log_index_size", error.Message, StringComparison.Ordinal);
        Assert.InRange(index.Bytes, 2 * Limit, (2 * Limit) + 4096);
        Assert.True(index.TryCollect(PoolFixture.Tag(0), PoolFixture.Tag(0).GetHashCode(), new Lsn(8), Lsn.Max, _list));
        Assert.Equal(lsn / 1000, (ulong)_list.Count);
    }

    [Fact]
    public void What_a_crash_left_is_deleted_at_the_start()
    {
        File.WriteAllText(_dir.File("run-1-1"), "left");
        using var index = new LogIndex(Limit, new Lsn(8), _dir.Path);
        Assert.Empty(Directory.GetFiles(_dir.Path));
    }

    [Fact]
    public void Adding_allocates_nothing()
    {
        using var index = new LogIndex(8 << 20, new Lsn(8));
        for (uint i = 1; i < 1000; i++)
        {
            index.Add(PoolFixture.Tag(i), new Lsn(i * 8), false);
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (uint i = 1000; i < 101_000; i++)
        {
            index.Add(PoolFixture.Tag(i % 500), new Lsn(i * 8), false);
        }

        // Less than a byte an entry: a small object for each megabyte of cells, and what collections that other tests cause count as this thread's.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 80_000);
    }

    private sealed class FullDisk(string path) : SpillDirectory(path)
    {
        public bool IsFull { get; set; }
        public int Refused { get; private set; }

        public override ISpillFile Create() => new File(this, base.Create());

        private sealed class File(FullDisk disk, ISpillFile file) : ISpillFile
        {
            public void Write(long offset, ReadOnlySpan<byte> bytes)
            {
                if (disk.IsFull)
                {
                    disk.Refused++;
                    throw new StorageException("no space left on device") { SqlState = SqlStates.DiskFull };
                }

                file.Write(offset, bytes);
            }

            public void Read(long offset, Span<byte> buffer) => file.Read(offset, buffer);

            public void Dispose() => file.Dispose();
        }
    }
}
