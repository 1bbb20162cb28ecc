using SharedStorage.Buffers.LogIndex;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Buffers;

public sealed class LogIndexTests : IDisposable
{
    private readonly LogIndex _index = new(1 << 20, new Lsn(8));
    private readonly EntryList _list = new();

    public void Dispose() => _index.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(10)]
    [InlineData(11)]
    [InlineData(100)]
    public void Entries_come_back_in_order_and_within_the_range(int count)
    {
        for (int i = 1; i <= count; i++)
        {
            _index.Add(PoolFixture.Tag(3), new Lsn((ulong)i * 8), i % 5 == 0);
            _index.Add(PoolFixture.Tag((uint)i + 10), new Lsn((ulong)i * 8), false);
        }

        for (int from = 1; from <= count + 1; from += 3)
        {
            for (int to = from; to <= count + 1; to += 2)
            {
                Assert.True(Collect(3, from, to));
                Assert.Equal(Math.Max(0, to - from), _list.Count);
                for (int i = 0; i < _list.Count; i++)
                {
                    Assert.Equal((ulong)(from + i) * 8, _list.Start(i).Value);
                    Assert.Equal((from + i) % 5 == 0, _list.Initializes(i));
                }
            }
        }
    }

    [Fact]
    public void Queued_entries_are_found_once_they_are_added_together()
    {
        var random = new Random(99);
        var model = new Dictionary<uint, List<ulong>>();
        ulong lsn = 8;
        for (int batch = 0; batch < 200; batch++)
        {
            // Few pages: the same one comes many times in a queue, as a new page too, and in one bucket with others.
            int length = random.Next(1, 65);
            for (int i = 1; i <= length; i++)
            {
                lsn += 8;
                uint block = (uint)random.Next(1 + (batch * 20));
                bool full = _index.Queue(PoolFixture.Tag(block), new Lsn(lsn), lsn % 24 == 0);
                Assert.Equal(i == 64, full);
                (model.TryGetValue(block, out List<ulong>? l) ? l : model[block] = []).Add(lsn);
            }

            _index.AddQueued();
        }

        Assert.Equal(model.Count, _index.PageCount);
        Assert.Equal(model.Values.Sum(l => l.Count), _index.EntryCount);
        foreach ((uint block, List<ulong> expected) in model)
        {
            Assert.True(_index.TryCollect(PoolFixture.Tag(block), PoolFixture.Tag(block).GetHashCode(), new Lsn(8), Lsn.Max, _list));
            Assert.Equal(expected, Enumerable.Range(0, _list.Count).Select(i => _list.Start(i).Value));
            Assert.All(Enumerable.Range(0, _list.Count), i => Assert.Equal(_list.Start(i).Value % 24 == 0, _list.Initializes(i)));
            Assert.False(_index.NothingSince(PoolFixture.Tag(block).GetHashCode(), expected[^1]));
        }
    }

    [Fact]
    public void Random_adds_and_cuts_agree_with_a_plain_list()
    {
        var random = new Random(4711);
        var model = new Dictionary<uint, List<ulong>>();
        ulong lsn = 8;
        ulong cut = 8;
        for (int step = 0; step < 30_000; step++)
        {
            lsn += 8;
            uint block = (uint)(random.Next(10) == 0 ? random.Next(500) : random.Next(5));
            _index.Add(PoolFixture.Tag(block), new Lsn(lsn), false);
            (model.TryGetValue(block, out List<ulong>? l) ? l : model[block] = []).Add(lsn);
            if (random.Next(400) == 0)
            {
                cut += (ulong)random.NextInt64((long)(lsn - cut)) & ~7UL;
                _index.Cut(new Lsn(cut));
                foreach (List<ulong> entries in model.Values)
                {
                    entries.RemoveAll(e => e < cut);
                }
            }

            if (random.Next(10) == 0)
            {
                uint asked = (uint)random.Next(20);
                ulong from = cut + ((ulong)random.NextInt64((long)(lsn - cut + 8)) & ~7UL);
                Assert.True(_index.TryCollect(PoolFixture.Tag(asked), PoolFixture.Tag(asked).GetHashCode(), new Lsn(from), Lsn.Max, _list));
                IEnumerable<ulong> expected = model.TryGetValue(asked, out List<ulong>? e) ? e.Where(x => x >= from) : [];
                Assert.Equal(expected, Enumerable.Range(0, _list.Count).Select(i => _list.Start(i).Value));
            }
        }

        Assert.Equal(model.Values.Sum(l => l.Count), (int)_index.EntryCount);
        Assert.Equal(model.Values.Count(l => l.Count > 0), _index.PageCount);
        _index.Cut(new Lsn(lsn + 8));
        Assert.Equal(0, _index.EntryCount);
        Assert.Equal(0, _index.PageCount);
        Assert.Equal(0, _index.Bytes);
    }

    [Fact]
    public void What_was_cut_is_known_to_be_incomplete()
    {
        _index.Add(PoolFixture.Tag(1), new Lsn(16), false);
        _index.Cut(new Lsn(24));
        Assert.False(Collect(1, 2, 9));
        Assert.True(Collect(1, 3, 9));
    }

    [Fact]
    public void Lookups_beside_adds_and_cuts_see_no_gap()
    {
        // One hot page and many cold ones; each lookup must see every multiple of 8 of the hot page between its bounds.
        const ulong Last = 400_000;
        ulong applied = 8;
        ulong cut = 8;
        bool stop = false;
        Exception? failed = null;
        var readers = new Thread[3];
        for (int t = 0; t < readers.Length; t++)
        {
            readers[t] = new Thread(() =>
            {
                var list = new EntryList();
                try
                {
                    while (!Volatile.Read(ref stop))
                    {
                        ulong from = Math.Max(Volatile.Read(ref cut), Volatile.Read(ref applied) > 2000 ? Volatile.Read(ref applied) - 2000 : 8);
                        ulong to = Volatile.Read(ref applied);
                        if (from < to && _index.TryCollect(PoolFixture.Tag(0), PoolFixture.Tag(0).GetHashCode(), new Lsn(from), new Lsn(to), list))
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
            _index.Add(PoolFixture.Tag(0), new Lsn(lsn), false);
            _index.Add(PoolFixture.Tag((uint)(lsn % 977) + 1), new Lsn(lsn), false);
            Volatile.Write(ref applied, lsn + 8);
            if (lsn % 4000 == 0 && lsn > 10_000)
            {
                _index.Cut(new Lsn(lsn - 8000));
                Volatile.Write(ref cut, lsn - 8000);
            }
        }

        Volatile.Write(ref stop, true);
        Array.ForEach(readers, r => r.Join());
        Assert.Null(failed);
    }

    private bool Collect(uint block, int from, int to) =>
        _index.TryCollect(PoolFixture.Tag(block), PoolFixture.Tag(block).GetHashCode(), new Lsn((ulong)from * 8), new Lsn((ulong)to * 8), _list);
}
