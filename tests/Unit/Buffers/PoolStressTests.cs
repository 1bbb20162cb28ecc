using System.Buffers.Binary;
using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Buffers;

/// <summary>Many threads on few frames, with real files. What each checks would fail on a lost change, a stale page, or one that changes in use.</summary>
public sealed class PoolStressTests
{
    [Fact]
    public void Counters_on_pages_lose_no_increment_beside_eviction_flush_and_a_moving_gate()
    {
        using var f = new PoolFixture(frames: 24, frozen: 16, frameWait: TimeSpan.FromSeconds(60));
        const int Pages = 80, Threads = 6, Rounds = 3000;
        for (int i = 0; i < Pages; i++)
        {
            using PinnedPage page = f.Pool.PinNew(PoolFixture.Rel, ForkNumber.Main);
            f.ChangeLatched(page, 0);
            page.Unlatch();
        }

        Exception? failed = null;
        bool stop = false;
        long expected = 0;
        var gate = new Thread(() =>
        {
            while (!Volatile.Read(ref stop))
            {
                // A reader that is a little behind.
                f.Gate.LowestApplied = new Lsn(f.Log.Now - 200);
                f.Pool.NoteGateMoved();
                Guard(() =>
                {
                    f.Pool.FlushSome(new Lsn(f.Log.Now - 400), 16);
                    f.Pool.SyncWritten();
                    Lsn durable = f.Pool.OldestChangeNotDurable();
                    Assert.True(durable <= f.Log.Inserted);
                });
            }
        });
        var threads = new Thread[Threads];
        for (int t = 0; t < Threads; t++)
        {
            int seed = t;
            threads[t] = new Thread(() => Guard(() =>
            {
                var random = new Random(seed);
                for (int i = 0; i < Rounds && failed is null; i++)
                {
                    using PinnedPage page = f.Pool.Pin(PoolFixture.Tag((uint)random.Next(Pages)));
                    if (random.Next(3) == 0)
                    {
                        using SharedLatch latch = page.LatchShared();
                        Assert.Equal(Read(page, 100), Read(page, 7000));
                    }
                    else
                    {
                        using ExclusiveLatch latch = page.LatchExclusive();
                        page.MarkDirty();
                        Write(page, 100, Read(page, 100) + 1);
                        Write(page, 7000, Read(page, 7000) + 1);
                        Page p = page.Page;
                        p.Lsn = f.Log.Insert();
                        Interlocked.Increment(ref expected);
                    }
                }
            }));
        }

        gate.Start();
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());
        Volatile.Write(ref stop, true);
        gate.Join();
        Assert.Null(failed);
        f.Gate.LowestApplied = Lsn.Max;
        f.Pool.FlushAllBefore(f.Log.Inserted);
        long sum = 0;
        for (uint b = 0; b < Pages; b++)
        {
            byte[] page = f.OnDisk(b)!;
            Assert.Equal(PageChecksum.Compute(page, b), PageChecksum.Stored(page));
            sum += BinaryPrimitives.ReadInt64LittleEndian(page.AsSpan(7000));
        }

        Assert.Equal(expected, sum);

        void Guard(Action action)
        {
            try
            {
                action();
            }
            catch (Exception e)
            {
                failed ??= e;
            }
        }

        static long Read(PinnedPage page, int at) => BinaryPrimitives.ReadInt64LittleEndian(page.Page.Bytes[at..]);
        static void Write(PinnedPage page, int at, long value) => BinaryPrimitives.WriteInt64LittleEndian(page.Page.Bytes[at..], value);
    }

    [Fact]
    public void Readers_see_whole_prefixes_of_the_log_beside_tail_cut_and_writer()
    {
        using var f = new PoolFixture(frames: 24, writing: false, start: 1000);
        const int Pages = 60;
        f.WriteOnDisk(Pages, new Lsn(500));
        var log = new List<ulong>[Pages];
        for (int i = 0; i < Pages; i++)
        {
            log[i] = [];
        }

        Exception? failed = null;
        bool stop = false;
        long reads = 0;
        var readers = new Thread[5];
        for (int t = 0; t < readers.Length; t++)
        {
            int seed = t;
            readers[t] = new Thread(() =>
            {
                var random = new Random(seed);
                try
                {
                    while (!Volatile.Read(ref stop))
                    {
                        int block = random.Next(4) == 0 ? 0 : random.Next(Pages);
                        ulong before = f.Applied.Value.Value;
                        using PinnedPage page = f.Pool.Pin(PoolFixture.Tag((uint)block));
                        ulong after = f.Applied.Value.Value;
                        ulong[] seen = FakeRecords.On(page);
                        Check(log[block], seen, before, after);
                        Thread.Yield();
                        Assert.Equal(seen, FakeRecords.On(page));
                        Interlocked.Increment(ref reads);
                    }
                }
                catch (Exception e)
                {
                    failed ??= e;
                }
            });
            readers[t].Start();
        }

        var writer = new Random(99);
        ulong lsn = 1000;
        for (int step = 0; step < 12_000 && failed is null; step++)
        {
            if (step % 40 == 0)
            {
                // On a busy machine the log would be at its end before the readers have begun.
                long seen = Volatile.Read(ref reads);
                SpinWait.SpinUntil(() => Volatile.Read(ref reads) > seen + 2 || failed is not null);
            }

            int block = writer.Next(5) == 0 ? 0 : writer.Next(Pages);
            if (log[block].Count >= 480)
            {
                continue;
            }

            lock (log[block])
            {
                log[block].Add(lsn);
            }

            f.Pool.NoteRecord(PoolFixture.Tag((uint)block), new Lsn(lsn), false);
            lsn += 8;
            f.Applied.Advance(new Lsn(lsn));
            if (step % 100 == 99)
            {
                // On a busy machine the readers may not have run yet: there is nothing to see without them.
                long wanted = step / 100;
                SpinWait.SpinUntil(() => failed is not null || f.Pool.Counters.VersionsBuilt >= wanted, TimeSpan.FromSeconds(10));
            }

            if (step % 500 == 499)
            {
                // The writer flushes all pages up to what is applied, announces it, and the tail cuts.
                FlushLikeTheWriter(f, log);
                f.Consistent.Advance(new Lsn(lsn));
                f.Pool.CutIndex(new Lsn(lsn));
                f.Records.OldestKept = lsn;
            }
        }

        Volatile.Write(ref stop, true);
        Array.ForEach(readers, r => r.Join());
        Assert.Null(failed);
        Assert.True(f.Pool.Counters.VersionsBuilt > 100);
    }

    private static void Check(List<ulong> log, ulong[] seen, ulong before, ulong after)
    {
        ulong[] all;
        lock (log)
        {
            all = [.. log];
        }

        Assert.True(seen.Length <= all.Length);
        Assert.Equal(all[..seen.Length], seen);
        Assert.True(seen.Length >= all.Count(x => x < before), "a record that was applied before the pin is missing");
        Assert.True(seen.Length <= all.Count(x => x < after), "a record that was not applied is in the page");
    }

    private static void FlushLikeTheWriter(PoolFixture f, List<ulong>[] log)
    {
        using var buffer = new SharedStorage.Io.AlignedBuffer(Page.Size);
        for (uint b = 0; b < log.Length; b++)
        {
            var page = new Page(buffer.Span);
            page.Initialize(0);
            Span<byte> list = page.Bytes[PageHeader.Size..];
            int n = 0;
            foreach (ulong entry in log[b])
            {
                BinaryPrimitives.WriteUInt64LittleEndian(list[(8 + (n++ * 8))..], entry);
                page.Lsn = new Lsn(entry + 8);
            }

            BinaryPrimitives.WriteInt32LittleEndian(list, n);
            PageChecksum.Store(buffer.Span, b);
            f.Files.Write(PoolFixture.Tag(b), buffer.Span);
        }
    }
}
