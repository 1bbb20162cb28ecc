using System.Globalization;
using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Redo;
using SharedStorage.TestKit;
using SharedStorage.Unit.Io;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;
using Xunit.Abstractions;

namespace SharedStorage.Unit.Hostile;

/// <summary>
/// Wrong log: records that are wrong under a right checksum, and segments that are wrong in any way. Each is taken, or refused with position and reason (I10); nothing crashes, hangs, touches
/// bytes outside the page, or changes a page that is being served. SHAREDSTORAGE_HOSTILE_MUTATIONS and SHAREDSTORAGE_HOSTILE_SEED set how many and which.
/// </summary>
public sealed class HostileWalTests(HostileCorpus corpus, ITestOutputHelper output) : IClassFixture<HostileCorpus>
{
    private static readonly int Mutations = Setting("SHAREDSTORAGE_HOSTILE_MUTATIONS", 100_000);
    private static readonly int Seed = Setting("SHAREDSTORAGE_HOSTILE_SEED", Environment.TickCount & 0x7FFFFFFF);

    [SkippableFact]
    public void The_corpus_has_records_of_all_resource_managers_and_redo_takes_them_unchanged()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Assert.Empty(Enum.GetValues<Rmgr>().Except(corpus.Records.Select(r => r.Rmgr)));
        var table = new RedoTable();
        var record = new WalRecord();
        byte[] page = new byte[Page.Size];
        foreach (CorpusRecord source in corpus.Records)
        {
            byte[] bytes = source.Parts.Compose();
            RecordParts.Seal(bytes);
            Decode(record, bytes, source);
            Assert.Equal((source.Rmgr, source.Info, source.Pages.Length), (record.Rmgr, record.Info, record.BlockCount));
            for (int id = 0; id < record.BlockCount; id++)
            {
                if (record.HasBlock(id) && record.Block(id).Tag.Fork == ForkNumber.Main && source.Pages[id].AsSpan().ContainsAnyExcept((byte)0))
                {
                    source.Pages[id].CopyTo(page, 0);
                    Exception? refused = Record.Exception(() => table.Apply(record, record.Block(id).Tag, new Page(page)));
                    Assert.True(refused is null or StorageException { SqlState: SqlStates.FeatureNotSupported }, $"{record}: {refused}");
                }
            }
        }
    }

    [SkippableFact]
    public void Wrong_records_are_refused_by_position_and_touch_nothing_outside_their_page()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Announce("records");
        using var target = new HostileTarget(corpus.DataDirectory);
        var random = new Random(Seed);
        var mutator = new RecordMutator(random);
        Watched(Mutations, number =>
        {
            if (number % HostileTarget.RecordsEach == 0)
            {
                target.Renew();
            }

            CorpusRecord source = corpus.Records[random.Next(corpus.Records.Count)];
            byte[] bytes = mutator.Mutate(source.Parts);
            target.Try(bytes, source, random);
        });
        output.WriteLine($"{target.Decoded} of {Mutations} decoded; {target.Tailed} taken by the tail; {target.Redone} pages redone, {target.Refused} refused");
        Assert.True(target.Decoded > Mutations / 4 && target.Redone > Mutations / 20 && target.Refused > Mutations / 20, "mutations do not get far enough to prove anything");
    }

    [SkippableFact]
    public void Wrong_segments_end_the_log_or_are_refused()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Announce("segments");
        var random = new Random(Seed);
        var mutator = new SegmentMutator(random);
        long ended = 0;
        Watched(Math.Max(Mutations / 5, 1), _ =>
        {
            (Lsn start, byte[] bytes) = corpus.Segments[random.Next(corpus.Segments.Count)];
            ended += mutator.Try(corpus.Directory, start, bytes);
        });
        output.WriteLine($"{ended} ended the log");
        Assert.True(ended > 0);
    }

    [SkippableFact]
    public void A_page_that_is_served_stays_as_it_is_when_a_record_for_it_is_refused()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Announce("pages in the pool");
        var random = new Random(Seed);
        var mutator = new RecordMutator(random);
        CorpusRecord[] sources = [.. corpus.Records.Where(r => r.Pages.Length > 0 && new Page(r.Pages[0]) is { IsNew: false, HasSaneHeader: true })];
        using var dir = new TempDirectory();
        Directory.CreateDirectory(dir.File("base/5"));
        int refused = 0;
        Watched(Math.Clamp(Mutations / 100, 1, 20_000), number => refused += PoolRefuses(dir, sources[random.Next(sources.Length)], mutator) ? 1 : 0);
        output.WriteLine($"{refused} records were refused");
        Assert.True(refused > 0);
    }

    private static bool PoolRefuses(TempDirectory dir, CorpusRecord source, RecordMutator mutator)
    {
        var tag = new BufferTag(new RelFileNode(RelFileNode.DefaultTablespace, new Oid(5), new Oid(16384)), ForkNumber.Main, new BlockNumber(0));
        using var files = new RelationFiles(dir.Path, readOnly: false);
        using (var buffer = new AlignedBuffer(Page.Size))
        {
            source.Pages[0].CopyTo(buffer.Span);
            PageChecksum.Store(buffer.Span, 0);
            files.Write(tag, buffer.Span);
        }

        var record = new WalRecord();
        byte[] bytes = mutator.Mutate(Rename(source.Parts, tag));
        if (!TryDecode(record, bytes, source))
        {
            return false;
        }

        var applied = new LsnCell(source.Start);
        using var pool = new BufferPool(new BufferPoolOptions
        {
            Frames = 16,
            Files = files,
            Applied = applied,
            Consistent = new LsnCell(source.Start),
            Redo = new RedoTable(),
            Records = new OneRecord(bytes, source),
            LogIndexBytes = 1 << 20,
        });
        using PinnedPage served = pool.Pin(tag);
        byte[] before = served.Page.Bytes.ToArray();
        pool.NoteRecord(tag, source.Start, initializes: false);
        applied.Advance(source.End);
        bool refused = false;
        try
        {
            using PinnedPage next = pool.Pin(tag);
        }
        catch (StorageException e)
        {
            Assert.Contains(source.Start.ToString(), e.Message, StringComparison.Ordinal);
            refused = true;
        }

        Assert.True(served.Page.Bytes.SequenceEqual(before), $"the page that is served changed under {record}");
        return refused;
    }

    private static RecordParts Rename(RecordParts parts, BufferTag tag)
    {
        RecordParts copy = parts.Clone();
        byte[] relation = new byte[12];
        BitConverter.TryWriteBytes(relation, tag.Rel.Tablespace.Value);
        BitConverter.TryWriteBytes(relation.AsSpan(4), tag.Rel.Database.Value);
        BitConverter.TryWriteBytes(relation.AsSpan(8), tag.Rel.Relation.Value);
        copy.Blocks[0] = copy.Blocks[0] with { Relation = relation, Block = 0, Flags = (byte)(copy.Blocks[0].Flags & 0xF0) };
        return copy;
    }

    internal static bool TryDecode(WalRecord record, byte[] bytes, CorpusRecord source)
    {
        try
        {
            Decode(record, bytes, source);
            return true;
        }
        catch (StorageException e)
        {
            Assert.Contains(source.Start.ToString(), e.Message, StringComparison.Ordinal);
            return false;
        }
    }

    private static void Decode(WalRecord record, byte[] bytes, CorpusRecord source)
    {
        bytes.CopyTo(record.Buffer(bytes.Length));
        Assert.True(record.ChecksumHolds());
        record.Decode(source.Start, source.End);
    }

    /// <summary>Runs a step many times on a thread of its own. A step that does not come back is a failure like one that throws, with the number that repeats it.</summary>
    private static void Watched(int count, Action<int> step)
    {
        int number = 0;
        Exception? failure = null;
        var worker = new Thread(() =>
        {
            try
            {
                for (; number < count; number++)
                {
                    step(number);
                }
            }
            catch (Exception e)
            {
                failure = e;
            }
        })
        { IsBackground = true };
        worker.Start();
        int before;
        do
        {
            before = Volatile.Read(ref number);
        }
        while (!worker.Join(TimeSpan.FromSeconds(60)) && Volatile.Read(ref number) != before);
        Assert.False(worker.IsAlive, $"mutation {number} of seed {Seed} does not come to an end");
        if (failure is not null)
        {
            throw new InvalidOperationException($"mutation {number} of seed {Seed}: {failure.Message}", failure);
        }
    }

    private void Announce(string what)
    {
        output.WriteLine($"hostile {what}: seed {Seed}, {Mutations} mutations");
        Console.WriteLine($"hostile {what}: seed {Seed}, {Mutations} mutations");
    }

    private static int Setting(string name, int otherwise) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;

    /// <summary>A log of one record.</summary>
    private sealed class OneRecord(byte[] bytes, CorpusRecord source) : IWalRecords
    {
        public void Read(Lsn start, WalRecord into) => Decode(into, bytes, source);
    }
}
