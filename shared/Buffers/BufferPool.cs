using System.Runtime.CompilerServices;
using SharedStorage.Buffers.LogIndex;
using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Buffers;

public enum PinMode
{
    /// <summary>The page must exist within the relation's virtual size and be sound.</summary>
    Normal,

    /// <summary>A page past the end or with a damaged header or checksum reads as zero (FSM, VM; R15).</summary>
    ZeroOnError,

    /// <summary>The caller overwrites the whole page: it is not read.</summary>
    NoRead,
}

/// <summary>
/// The pages in memory. On a writer a page is a frame with a latch; on a node that applies (reader) a pin gives an immutable version of the page,
/// brought forward from the LogIndex to the applied LSN at the time of the pin, and latches do nothing (R9).
/// </summary>
public sealed unsafe partial class BufferPool : IDisposable
{
    private readonly BufferPoolOptions _options;
    private readonly RelationFiles _files;
    private readonly AlignedBuffer _memory;
    private readonly Frame[] _frames;
    private readonly BufferTable _table;
    private readonly ForkTable _forks;
    private readonly FrozenCopies _frozen;
    private readonly LogIndex.LogIndex _index;
    private volatile bool _writing;
    private IBufferLog? _log;
    private volatile IFlushGate? _gate;
    private long _reads, _writes, _redone, _versions, _evictions, _frozenTaken, _torn, _rebuilt, _hintImages;

    /// <summary>A pool of a node that applies, from the log position in <see cref="BufferPoolOptions.Consistent"/> on.</summary>
    public BufferPool(BufferPoolOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Frames, 16);
        _options = options;
        _files = options.Files;
        _memory = new AlignedBuffer((long)options.Frames * Page.Size);
        _frames = new Frame[options.Frames];
        for (int i = 0; i < _frames.Length; i++)
        {
            _frames[i] = new Frame(this, i, _memory.Pointer + ((long)i * Page.Size));
        }

        _table = new BufferTable(_frames);
        _forks = new ForkTable(_files, options.ReadCheck, options.Ahead);
        SpillDirectory? spill = options.FrozenSpillDirectory ?? (options.FrozenSpill is { } path ? new SpillDirectory(path) : null);
        _frozen = new FrozenCopies(options.FrozenCopies > 0 ? options.FrozenCopies : Math.Max(64, options.Frames / 4), options.FrozenSpillBytes, spill, options.Time);
        _index = new LogIndex.LogIndex(options.LogIndexBytes, options.Consistent.Value, options.LogIndexSpill);
        _freeFrames = new Stack<int>(_frames.Length);
        for (int i = _frames.Length - 1; i >= 0; i--)
        {
            _freeFrames.Push(i);
        }
    }

    /// <summary>False on a reader: pages never change under a pin, hint bits and pruning are not allowed.</summary>
    public bool CanWrite => _writing;

    public int FrameCount => _frames.Length;

    /// <summary>The LogIndex: its memory and cut point; entries are added with <see cref="NoteRecord"/>.</summary>
    public LogIndex.LogIndex Index => _index;

    public BufferCounters Counters
    {
        get
        {
            long hits = 0;
            int dirty = 0;
            foreach (Frame frame in _frames)
            {
                hits += Volatile.Read(ref frame.Hits);
                dirty += frame.IsDirty ? 1 : 0;
            }

            return new BufferCounters
            {
                Hits = hits,
                Reads = Volatile.Read(ref _reads),
                Writes = Volatile.Read(ref _writes),
                RecordsRedone = Volatile.Read(ref _redone),
                VersionsBuilt = Volatile.Read(ref _versions),
                Evictions = Volatile.Read(ref _evictions),
                FrozenCopiesTaken = Volatile.Read(ref _frozenTaken),
                FrozenCopiesNow = _frozen.Count,
                FrozenCopiesSpilled = _frozen.Spilled,
                ChangesSlowed = Volatile.Read(ref _slowed),
                TornReads = Volatile.Read(ref _torn),
                PagesRebuilt = Volatile.Read(ref _rebuilt),
                HintImages = Volatile.Read(ref _hintImages),
                DirtyFrames = dirty,
            };
        }
    }

    /// <summary>A pin on the page; on a node that applies, on its version as of the applied LSN.</summary>
    /// <exception cref="StorageException">The page does not exist, cannot be read, or is damaged for good (I12); the message names file and block.</exception>
    public PinnedPage Pin(in BufferTag tag, PinMode mode = PinMode.Normal) => Pin(tag, mode, mayWaitForOthers: mode != PinMode.NoRead);

    /// <summary>A pin that brings forward no page but its own: for who brings pages forward, or holds what that takes.</summary>
    private PinnedPage PinAlone(in BufferTag tag) => Pin(tag, PinMode.Normal, mayWaitForOthers: false);

    private PinnedPage Pin(in BufferTag tag, PinMode mode, bool mayWaitForOthers)
    {
        int hash = tag.GetHashCode();
        while (true)
        {
            Frame? frame = _table.TryPin(tag, hash);
            if (frame is null)
            {
                if (mayWaitForOthers && BroughtTogether(tag, hash))
                {
                    continue;
                }

                frame = Load(tag, hash, mode);
                if (frame is not null)
                {
                    return new PinnedPage(frame);
                }

                continue;
            }

            if (!frame.WaitLoaded())
            {
                frame.Unpin();
                continue;
            }

            Frame? current = IsCurrent(frame, hash) ? frame : Renew(frame, hash);
            if (current is not null)
            {
                current.Hits++;
                return new PinnedPage(current);
            }
        }
    }

    /// <summary>The virtual size: files and log together.</summary>
    public uint BlockCount(RelFileNode rel, ForkNumber fork) => _forks.BlockCount(rel, fork);

    /// <summary>Whether the fork exists at the applied LSN.</summary>
    public bool ForkExists(RelFileNode rel, ForkNumber fork) => _forks.Get(rel, fork).Blocks > 0 || _files.Exists(rel, fork);

    /// <summary>Moves the pool from applying to writing, in place (recovery has ended, or promotion): frames and sessions stay.</summary>
    /// <remarks>
    /// Nothing is added to the LogIndex afterwards. Frames that are there are immutable versions; the first pin of each page takes or copies it, redoes its remaining
    /// entries, and marks it dirty from its first entry on.
    /// </remarks>
    public void SwitchToWriting(IBufferLog log, IFlushGate gate)
    {
        Invariant.Check(!_writing, "R9", "the pool writes already");
        _log = log;
        _gate = gate;
        _writing = true;
    }

    public void Dispose()
    {
        _memory.Dispose();
        _frozen.Dispose();
        _index.Dispose();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsCurrent(Frame frame, int hash)
    {
        if (_writing)
        {
            return !frame.IsImmutable;
        }

        ulong mark = Volatile.Read(ref frame.Mark);
        return mark >= Volatile.Read(ref _lastEmptying) && _index.NothingSince(hash, mark);
    }

    private string FileOf(in BufferTag tag) => RelationFiles.RelativePath(tag.Rel, tag.Fork);
}
