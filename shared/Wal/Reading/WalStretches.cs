using System.Runtime.Intrinsics.X86;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Wal.Reading;

/// <summary>
/// Stretches of the log in memory, shared by threads that go through it in step: each stretch is read once, by threads of its own while the one before is worked on. A stretch is read in
/// pieces, several at once, and who waits for it reads some himself. A thread that is ahead waits until those behind it have left the oldest.
/// </summary>
internal sealed class WalStretches : IWalScan
{
    /// <summary>One is read ahead, and one is room for threads that are not quite in step.</summary>
    private const int More = 2;

    private readonly WalDirectory _directory;
    private readonly TimelineHistory _history;
    private readonly IWalRecords _single;
    private readonly object _lock = new();
    private readonly Stretch[] _stretches;
    private readonly List<Reader> _readers = [];
    private Thread[]? _threads;
    private bool _stop;

    /// <param name="single">For records that are not in the stretch as it was read.</param>
    public WalStretches(WalDirectory directory, TimelineHistory history, IWalRecords single, int readers)
    {
        _directory = directory;
        _history = history;
        _single = single;
        _stretches = new Stretch[readers + More];
        for (int i = 0; i < _stretches.Length; i++)
        {
            _stretches[i] = new Stretch();
        }
    }

    public IWalStretchReader NewReader()
    {
        var reader = new Reader(this);
        lock (_lock)
        {
            _readers.Add(reader);
        }

        return reader;
    }

    /// <summary>After all readers.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _stop = true;
            Monitor.PulseAll(_lock);
        }

        Array.ForEach(_threads ?? [], t => t.Join());
        Array.ForEach(_stretches, s => s.Dispose());
    }

    private Stretch Enter(Reader reader, ulong number, ulong next)
    {
        using var cursor = new WalSegmentCursor(_directory, _history);
        lock (_lock)
        {
            LeaveLocked(reader);
            reader.At = number;
            reader.Next = next;
            _threads ??= WalReadAhead.StartThreads(ReadAhead);
            Monitor.PulseAll(_lock);
            while (true)
            {
                Stretch? found = Find(number) ?? Claim(number);
                if (found is { State: StretchState.Read })
                {
                    found.Users++;
                    return reader.Stretch = found;
                }

                if (found is null || !TryReadPiece(found, cursor))
                {
                    Monitor.Wait(_lock);
                }
            }
        }
    }

    private void Leave(Reader reader)
    {
        lock (_lock)
        {
            LeaveLocked(reader);
            Monitor.PulseAll(_lock);
        }
    }

    private static void LeaveLocked(Reader reader)
    {
        reader.At = reader.Next = ulong.MaxValue;
        if (reader.Stretch is { } left)
        {
            left.Users--;
            reader.Stretch = null;
        }
    }

    private void ReadAhead()
    {
        using var cursor = new WalSegmentCursor(_directory, _history);
        lock (_lock)
        {
            while (!_stop)
            {
                if (!Array.Exists(_stretches, s => TryReadPiece(s, cursor)) && ClaimNext() is null)
                {
                    Monitor.Wait(_lock);
                }
            }
        }
    }

    private Stretch? Find(ulong number) => Array.Find(_stretches, s => s.State != StretchState.Empty && s.Number == number);

    private Stretch? ClaimNext()
    {
        foreach (Reader reader in _readers)
        {
            if (reader.Next != reader.At && Find(reader.Next) is null && Claim(reader.Next) is { } claimed)
            {
                return claimed;
            }
        }

        return null;
    }

    /// <summary>Takes a stretch's memory that nobody uses or will come to: all are past it. Who is behind all others may take any that is not in use. Its pieces are for all to read then.</summary>
    private Stretch? Claim(ulong number)
    {
        ulong last = ulong.MaxValue;
        foreach (Reader reader in _readers)
        {
            last = Math.Min(last, reader.At);
        }

        Stretch? best = null;
        foreach (Stretch s in _stretches)
        {
            bool free = s.State == StretchState.Empty || (s.State == StretchState.Read && s.Users == 0 && (s.Number < last || number <= last));
            if (free && (best is null || (best.State != StretchState.Empty && (s.State == StretchState.Empty || s.Number < best.Number))))
            {
                best = s;
            }
        }

        if (best is not null)
        {
            best.Number = number;
            best.State = StretchState.Reading;
            best.Begin();
            Monitor.PulseAll(_lock);
        }

        return best;
    }

    /// <summary>Reads a piece of a stretch that nobody has begun, without the lock. False: there is none.</summary>
    private bool TryReadPiece(Stretch stretch, WalSegmentCursor cursor)
    {
        if (stretch.State != StretchState.Reading || !stretch.TryBeginPiece(out int piece))
        {
            return false;
        }

        Monitor.Exit(_lock);
        int length = 0;
        try
        {
            length = stretch.ReadPiece(piece, cursor);
        }
        finally
        {
            Monitor.Enter(_lock);
            if (stretch.EndPiece(piece, length))
            {
                stretch.State = StretchState.Read;
                Monitor.PulseAll(_lock);
            }
        }

        return true;
    }

    private enum StretchState
    {
        Empty,
        Reading,
        Read,
    }

    private sealed class Stretch : IDisposable
    {
        /// <summary>A piece lies within a segment, of whatever size.</summary>
        private const int PieceSize = 1 << 20;

        private const int Pieces = IWalScan.StretchSize / PieceSize;

        /// <summary>By page: its header was found to be right. Whoever looks sets it; that two do is no harm.</summary>
        private readonly bool[] _checked = new bool[IWalScan.StretchSize / WalLayout.PageSize];

        private readonly int[] _lengths = new int[Pieces];

        private AlignedBuffer? _memory;
        private int _length;
        private int _begun;
        private int _ended;

        public ulong Number;
        public StretchState State;
        public int Users;

        private Lsn Start => new(Number * IWalScan.StretchSize);

        public bool TryGet(Lsn page, out ReadOnlySpan<byte> bytes)
        {
            ulong offset = page.Value - Start.Value;
            if (page < Start || offset + WalLayout.PageSize > (ulong)_length)
            {
                bytes = default;
                return false;
            }

            bytes = _memory!.Slice((long)offset, WalLayout.PageSize);
            return true;
        }

        public ref bool Checked(Lsn page) => ref _checked[(page.Value % IWalScan.StretchSize) / WalLayout.PageSize];

        public bool Has(Lsn page) => page >= Start && page.Value - Start.Value < (ulong)_length;

        public unsafe void Fetch(Lsn start)
        {
            if (Sse.IsSupported)
            {
                byte* at = _memory!.Pointer + (start.Value % IWalScan.StretchSize);
                Sse.Prefetch0(at);
                Sse.Prefetch0(at + 64);
            }
        }

        public void Begin()
        {
            _memory ??= new AlignedBuffer(IWalScan.StretchSize);
            Array.Clear(_checked);
            _begun = _ended = 0;
        }

        public bool TryBeginPiece(out int piece)
        {
            piece = _begun;
            _begun = Math.Min(_begun + 1, Pieces);
            return piece < Pieces;
        }

        /// <summary>As far as the file goes, and can be read: what is not there is looked for once more when a record is asked for, and is an error then.</summary>
        public int ReadPiece(int piece, WalSegmentCursor cursor)
        {
            try
            {
                return Math.Max(0, cursor.Read(Start + ((ulong)piece * PieceSize), _memory!.Slice(piece * PieceSize, PieceSize)));
            }
            catch (StorageException)
            {
                cursor.Dispose();
                return 0;
            }
        }

        /// <summary>True after the last: the stretch then is as long as its pieces are without a gap.</summary>
        public bool EndPiece(int piece, int length)
        {
            _lengths[piece] = length;
            if (++_ended < Pieces)
            {
                return false;
            }

            int whole = Array.FindIndex(_lengths, l => l < PieceSize);
            _length = whole < 0 ? IWalScan.StretchSize : (whole * PieceSize) + (_lengths[whole] & ~(WalLayout.PageSize - 1));
            return true;
        }

        public void Dispose() => _memory?.Dispose();
    }

    /// <summary>Pages come from the stretch that was entered; those after it, for a record that goes on there, from files.</summary>
    private sealed class Reader : IWalStretchReader, IWalPageSource
    {
        private readonly WalStretches _all;
        private readonly WalFileSource _files;
        private readonly WalReader _reader;

        public Reader(WalStretches all)
        {
            _all = all;
            _files = new WalFileSource(all._directory, all._history, WalFileSource.PositionalChunk);
            _reader = new WalReader(all._directory, all._history, this);
        }

        public ulong At { get; set; } = ulong.MaxValue;
        public ulong Next { get; set; } = ulong.MaxValue;
        public Stretch? Stretch { get; set; }

        public void Enter(ulong stretch, ulong next) => _all.Enter(this, stretch, next);

        public void Leave() => _all.Leave(this);

        public void Read(Lsn start, WalRecord into)
        {
            if (_reader.ReadAt(start, into) != WalRead.Record || into.Start != start)
            {
                // The page may have been filled, or the file renamed, since the stretch was read.
                _all._single.Read(start, into);
            }
        }

        public void Fetch(Lsn start) => Stretch!.Fetch(start);

        public bool TryGet(Lsn page, int need, Lsn limit, out ReadOnlySpan<byte> bytes, out string? problem)
        {
            problem = null;
            return Stretch!.TryGet(page, out bytes) || _files.TryGet(page, need, limit, out bytes, out problem);
        }

        public bool IsChecked(Lsn page) => Stretch!.Has(page) && Stretch.Checked(page);

        public void NoteChecked(Lsn page)
        {
            if (Stretch!.Has(page))
            {
                Stretch.Checked(page) = true;
            }
        }

        public void Invalidate() => _files.Invalidate();

        public void Dispose()
        {
            Leave();
            lock (_all._lock)
            {
                _all._readers.Remove(this);
            }

            _files.Dispose();
        }
    }
}
