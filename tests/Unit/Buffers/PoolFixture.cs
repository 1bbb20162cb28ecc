using System.Buffers.Binary;
using System.Collections.Concurrent;
using SharedStorage.Buffers;
using SharedStorage.Buffers.LogIndex;
using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Unit.Io;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;

namespace SharedStorage.Unit.Buffers;

/// <summary>A pool over real files, with a log that is a counter and records that append their position to the page.</summary>
internal sealed unsafe class PoolFixture : IDisposable
{
    public static readonly RelFileNode Rel = new(RelFileNode.DefaultTablespace, new Oid(5), new Oid(16384));

    private readonly TimeSpan _frameWait;
    private readonly SpillDirectory? _frozenSpill;
    private readonly int _spilledAtMost;

    public PoolFixture(int frames = 32, bool writing = true, ulong start = 1000, int frozen = 0, TimeSpan? frameWait = null, SpillDirectory? frozenSpill = null, int spilledAtMost = 1000)
    {
        _frozenSpill = frozenSpill;
        _spilledAtMost = spilledAtMost;
        Directory.CreateDirectory(Dir.File("base/5"));
        Files = new RelationFiles(Dir.Path, readOnly: false);
        Applied = new LsnCell(new Lsn(start));
        Consistent = new LsnCell(new Lsn(start));
        Log = new FakeLog { Now = start };
        _frameWait = frameWait ?? TimeSpan.FromMilliseconds(300);
        Pool = NewPool(frames, frozen);
        if (writing)
        {
            Pool.SwitchToWriting(Log, Gate);
        }
    }

    public TempDirectory Dir { get; } = new();
    public RelationFiles Files { get; }
    public LsnCell Applied { get; }
    public LsnCell Consistent { get; }
    public FakeLog Log { get; }
    public FakeGate Gate { get; } = new();
    public FakeRecords Records { get; } = new();
    public BufferPool Pool { get; }
    public Func<BufferTag, Lsn, IReadOnlyList<(Lsn Start, bool Initializes)>>? LogSinceRedo { get; set; }

    public static BufferTag Tag(uint block, ForkNumber fork = ForkNumber.Main) => new(Rel, fork, new BlockNumber(block));

    public BufferPool NewPool(int frames, int frozen = 0) => new(new BufferPoolOptions
    {
        Frames = frames,
        Files = Files,
        Applied = Applied,
        Consistent = Consistent,
        Redo = Records,
        Records = Records,
        FrozenCopies = frozen,
        FrozenSpillDirectory = _frozenSpill,
        FrozenSpillBytes = (long)_spilledAtMost * Page.Size,
        LogIndexBytes = 1 << 20,
        FrameWait = _frameWait,
        TornReadRetries = 2,
        LogSinceRedo = (tag, before) => LogSinceRedo?.Invoke(tag, before) ?? [],
    });

    /// <summary>Changes a page as access methods do: latch, mark, record, LSN.</summary>
    public Lsn Change(PinnedPage page, byte value)
    {
        using ExclusiveLatch latch = page.LatchExclusive();
        return ChangeLatched(page, value);
    }

    public Lsn ChangeLatched(PinnedPage page, byte value)
    {
        if (page.Page.IsNew)
        {
            page.Page.Initialize(0);
        }

        page.MarkDirty();
        page.Page.Bytes[4000..].Fill(value);
        Lsn end = Log.Insert();
        Page changed = page.Page;
        changed.Lsn = end;
        return end;
    }

    /// <summary>Makes pages of a fork on disk, each with the LSN and filled with its number.</summary>
    public void WriteOnDisk(uint count, Lsn lsn, ForkNumber fork = ForkNumber.Main, uint first = 0)
    {
        using var buffer = new AlignedBuffer(Page.Size);
        for (uint b = first; b < first + count; b++)
        {
            var page = new Page(buffer.Span);
            page.Initialize(0);
            page.Lsn = lsn;
            PageChecksum.Store(buffer.Span, b);
            Files.Write(Tag(b, fork), buffer.Span);
        }
    }

    /// <summary>The page on disk; null past the end.</summary>
    public byte[]? OnDisk(uint block, ForkNumber fork = ForkNumber.Main)
    {
        using var buffer = new AlignedBuffer(Page.Size);
        return Files.TryRead(Tag(block, fork), buffer.Span) ? buffer.Span.ToArray() : null;
    }

    public void Dispose()
    {
        Pool.Dispose();
        Files.Dispose();
        Dir.Dispose();
    }
}

internal sealed unsafe class FakeLog : IBufferLog
{
    private ulong _now;
    private ulong _flushed;

    public ulong Now
    {
        get => Volatile.Read(ref _now);
        set => Volatile.Write(ref _now, value);
    }

    public Lsn Inserted => new(Now);
    public Lsn Reserved => new(Now);
    public Lsn Flushed => new(Volatile.Read(ref _flushed));
    public Lsn RedoPointer { get; set; } = Lsn.Invalid;
    public int Images { get; private set; }

    public Lsn Insert() => new(Interlocked.Add(ref _now, 8));

    public void Flush(Lsn upTo)
    {
        ulong seen;
        while ((seen = Volatile.Read(ref _flushed)) < upTo.Value && Interlocked.CompareExchange(ref _flushed, upTo.Value, seen) != seen)
        {
        }
    }

    public Lsn InsertHintImage(in BufferTag tag, byte* copy, bool standardLayout)
    {
        Images++;
        return Insert();
    }
}

/// <summary>Holds back what is later than a position.</summary>
internal sealed class FakeGate : IFlushGate
{
    private ulong _lowest = ulong.MaxValue;

    public Func<Lsn>? Flushed { get; set; }
    public bool IsFenced { get; set; }

    public Lsn LowestApplied
    {
        get => new(Volatile.Read(ref _lowest));
        set => Volatile.Write(ref _lowest, value.Value);
    }

    /// <summary>How often it was asked.</summary>
    public int Asked { get; set; }

    public FlushVerdict Judge(Lsn pageLsn)
    {
        Asked++;
        return Decide(pageLsn);
    }

    private FlushVerdict Decide(Lsn pageLsn) =>
        IsFenced ? FlushVerdict.Fenced
        : Flushed is not null && pageLsn > Flushed() ? FlushVerdict.FlushLogFirst
        : pageLsn > LowestApplied ? FlushVerdict.AheadOfReader : FlushVerdict.Write;
}

/// <summary>A record is its position: redone, it is appended to the list that the page holds, and the page LSN set to its end, eight bytes on.</summary>
internal sealed class FakeRecords : IWalRecords, IPageRedo
{
    [ThreadStatic] private static ulong _last;

    public ConcurrentDictionary<ulong, bool> Initializing { get; } = new();

    /// <summary>Records before this are gone.</summary>
    public ulong OldestKept;

    public Action<Lsn>? OnRead { get; set; }

    public void Read(Lsn start, WalRecord into)
    {
        OnRead?.Invoke(start);
        if (start.Value < Volatile.Read(ref OldestKept))
        {
            throw new StorageException($"record {start} is gone");
        }

        _last = start.Value;
    }

    public void Apply(WalRecord record, in BufferTag tag, Page page)
    {
        if (Initializing.ContainsKey(_last) || page.IsNew)
        {
            page.Initialize(0);
        }

        Span<byte> list = page.Bytes[PageHeader.Size..];
        int n = BinaryPrimitives.ReadInt32LittleEndian(list);
        BinaryPrimitives.WriteUInt64LittleEndian(list[(8 + (n % 500 * 8))..], _last);
        BinaryPrimitives.WriteInt32LittleEndian(list, n + 1);
        if (tag.Fork != ForkNumber.VisibilityMap)
        {
            page.Lsn = new Lsn(_last + 8);
        }
    }

    public static ulong[] On(PinnedPage page) => On(page.Page.Bytes);

    public static ulong[] On(ReadOnlySpan<byte> page)
    {
        ReadOnlySpan<byte> list = page[PageHeader.Size..];
        var result = new ulong[BinaryPrimitives.ReadInt32LittleEndian(list)];
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = BinaryPrimitives.ReadUInt64LittleEndian(list[(8 + (i * 8))..]);
        }

        return result;
    }
}
