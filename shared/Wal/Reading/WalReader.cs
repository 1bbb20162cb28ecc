using System.Buffers.Binary;
using System.Runtime.InteropServices;
using SharedStorage.Primitives;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Wal.Reading;

/// <summary>
/// Reads records one after the other: puts them together from pages, verifies page headers, previous pointers and checksums (the state
/// machine of PostgreSQL's xlogreader.c). Belongs to one thread. A running reader sets <see cref="Limit"/> to the announced flushed position; recovery
/// reads without one, to the last record that can be verified.
/// </summary>
public sealed partial class WalReader : IDisposable
{
    /// <summary>A record is smaller than this (PostgreSQL's allocation limit): a longer one is no record.</summary>
    private const uint MaxRecordLength = 0x3FFFFFFF;

    private readonly IWalPageSource _source;
    private readonly WalDirectory _directory;
    private readonly TimelineHistory _history;
    private Lsn _previous;
    private ulong _verifiedSegment = ulong.MaxValue;

    // The page whose header was checked last, for the records that lie on it: a header does not change while its page fills.
    private Lsn _verifiedPage = Lsn.Max;
    private uint _pageTimeline;
    private Lsn _latestPage;
    private Lsn _aborted;
    private Lsn _missing;

    internal WalReader(WalDirectory directory, TimelineHistory history, IWalPageSource source)
    {
        _directory = directory;
        _history = history;
        _source = source;
    }

    /// <summary>A sequential reader over the files; what it reads is also put into <paramref name="recent"/>.</summary>
    public static WalReader Open(WalDirectory directory, TimelineHistory history, Lsn start, RecentWal? recent = null)
    {
        var reader = new WalReader(directory, history, new WalFileSource(directory, history, WalFileSource.SequentialChunk, recent));
        reader.Seek(start);
        return reader;
    }

    /// <summary>Nothing at or after this is trusted or read.</summary>
    public Lsn Limit { get; set; } = Lsn.Max;

    /// <summary>Where the next record begins: the end of the last one.</summary>
    public Lsn Position { get; private set; }

    /// <summary>Why the last <see cref="Read"/> gave <see cref="WalRead.End"/>.</summary>
    public WalEnd? End { get; private set; }

    /// <summary>The timeline that a position belongs to, by the history that is followed.</summary>
    public TimelineId TimelineAt(Lsn position) => _history.At(position);

    /// <summary>The timeline of the latest page that was read.</summary>
    public TimelineId PageTimeline => new(_pageTimeline);

    /// <summary>
    /// The record whose missing rest the last record read takes the place of (it is an XLOG_OVERWRITE_CONTRECORD); else invalid.
    /// </summary>
    public Lsn Overwritten { get; private set; }

    /// <summary>Goes to the start of a record (or of a page that no record continues on). The next record's previous pointer is not checked exactly.</summary>
    public void Seek(Lsn start)
    {
        Position = start;
        _previous = Lsn.Invalid;
        _pageTimeline = 0;
        _latestPage = Lsn.Invalid;
        _verifiedPage = Lsn.Max;
        End = null;
    }

    /// <summary>Reads the record at a position, whatever was read before: like <see cref="Seek"/> and <see cref="Read"/>, but pages that the source knows as checked are not checked again.</summary>
    internal WalRead ReadAt(Lsn start, WalRecord into)
    {
        Position = start;
        _previous = Lsn.Invalid;
        _pageTimeline = 0;
        _latestPage = Lsn.Invalid;
        End = null;
        Lsn page = WalLayout.PageStart(start);
        _verifiedPage = _source.IsChecked(page) ? page : Lsn.Max;
        return Read(into);
    }

    /// <summary>Forgets buffered pages, so that the next read sees what was written since (after <see cref="WalRead.End"/>).</summary>
    public void Refresh()
    {
        _source.Invalidate();
        _verifiedSegment = ulong.MaxValue;
        _verifiedPage = Lsn.Max;
        End = null;
    }

    /// <exception cref="StorageException">The bytes cannot be read, or a record with a sound checksum makes no sense (I10).</exception>
    public WalRead Read(WalRecord into)
    {
        _aborted = _missing = Overwritten = Lsn.Invalid;
        Lsn start = Position;
        WalRead result = Assemble(ref start, into, out Lsn end, out string? problem);
        if (result == WalRead.Record && !into.ChecksumHolds())
        {
            problem = $"incorrect resource manager data checksum in record at {start}";
            result = WalRead.End;
        }

        if (result == WalRead.Record)
        {
            if (into.Header.Rmgr == (byte)Rmgr.Xlog && (into.Header.Info & 0xF0) == Records.XlogOp.Switch)
            {
                // The rest of the segment is unused.
                end = new Lsn((end.Value + (uint)_directory.SegmentSize - 1) & ~(ulong)((uint)_directory.SegmentSize - 1));
            }

            into.Decode(start, end);
            _previous = start;
            Position = end;
        }
        else if (result == WalRead.End)
        {
            End = DescribeEnd(problem!);
        }

        return result;
    }

    /// <summary>Goes to the first record that begins at or after <paramref name="from"/>. False: there is none; <see cref="End"/> says why.</summary>
    public bool SeekFirst(Lsn from, WalRecord scratch)
    {
        Lsn page = WalLayout.PageStart(from);
        while (true)
        {
            WalRead state = TryPage(page, WalPageHeader.ShortSize, out ReadOnlySpan<byte> bytes, out string? problem);
            if (state != WalRead.Record)
            {
                Position = page;
                End = DescribeEnd(problem ?? "the limit is reached");
                return false;
            }

            ref readonly WalPageHeader header = ref MemoryMarshal.AsRef<WalPageHeader>(bytes);
            int skip = (header.Flags & WalPageFlags.FirstIsContinuation) != 0 ? WalLayout.AlignUp((int)header.RemainingLength) : 0;
            if (skip < WalLayout.PageSize - header.HeaderSize)
            {
                page += (ulong)(header.HeaderSize + skip);
                break;
            }

            page += WalLayout.PageSize;
        }

        Seek(page);
        while (Read(scratch) == WalRead.Record)
        {
            if (scratch.Start >= from)
            {
                Seek(scratch.Start);
                return true;
            }
        }

        return false;
    }

    public void Dispose() => _source.Dispose();

    private WalRead Assemble(ref Lsn start, WalRecord into, out Lsn end, out string? problem)
    {
        end = default;
        Lsn page = WalLayout.PageStart(start);
        int offset = WalLayout.PageOffset(start);
        if (page == _verifiedPage && TryWithinPage(page, offset, into))
        {
            problem = CheckHeader(into, start);
            end = start + (ulong)WalLayout.AlignUp((int)into.Header.TotalLength);
            return problem is null ? WalRead.Record : WalRead.End;
        }

        WalRead state = TryPage(page, Math.Max(offset, WalPageHeader.ShortSize), out ReadOnlySpan<byte> bytes, out problem);
        if (state != WalRead.Record)
        {
            return state;
        }

        ref readonly WalPageHeader header = ref MemoryMarshal.AsRef<WalPageHeader>(bytes);
        int first = header.HeaderSize;
        if (offset == 0)
        {
            offset = first;
            start = page + (ulong)first;
        }

        if (offset < first)
        {
            problem = $"invalid record offset at {start}";
            return WalRead.End;
        }

        if (offset == first && (header.Flags & WalPageFlags.FirstIsContinuation) != 0)
        {
            problem = $"contrecord is requested by {start}";
            return WalRead.End;
        }

        state = TryPage(page, Math.Min(offset + WalRecordHeader.Size, WalLayout.PageSize), out bytes, out problem);
        if (state != WalRead.Record)
        {
            return state;
        }

        uint total = BinaryPrimitives.ReadUInt32LittleEndian(bytes[offset..]);
        if (total is < WalRecordHeader.Size or > MaxRecordLength)
        {
            problem = $"invalid record length at {start}: wanted {WalRecordHeader.Size}, got {total}";
            return WalRead.End;
        }

        if (total > WalLayout.PageSize - offset)
        {
            return AssembleAcrossPages(ref start, (int)total, into, out end, out problem);
        }

        state = TryPage(page, offset + (int)total, out bytes, out problem);
        if (state != WalRead.Record)
        {
            return state;
        }

        bytes.Slice(offset, (int)total).CopyTo(into.Buffer((int)total));
        problem = CheckHeader(into, start);
        end = start + (ulong)WalLayout.AlignUp((int)total);
        return problem is null ? WalRead.Record : WalRead.End;
    }

    /// <summary>
    /// Most records: behind others on a page that is known, wholly on it, and the page wholly below the limit. False: the long way decides, step by step.
    /// </summary>
    private bool TryWithinPage(Lsn page, int offset, WalRecord into)
    {
        if (offset < WalPageHeader.LongSize || offset > WalLayout.PageSize - WalRecordHeader.Size || page + WalLayout.PageSize > Limit
            || !_source.TryGet(page, WalLayout.PageSize, Limit, out ReadOnlySpan<byte> bytes, out _))
        {
            return false;
        }

        uint total = BinaryPrimitives.ReadUInt32LittleEndian(bytes[offset..]);
        if (total < WalRecordHeader.Size || total > WalLayout.PageSize - offset)
        {
            return false;
        }

        bytes.Slice(offset, (int)total).CopyTo(into.Buffer((int)total));
        return true;
    }

    private WalRead AssembleAcrossPages(ref Lsn start, int total, WalRecord into, out Lsn end, out string? problem)
    {
        end = default;
        Lsn page = WalLayout.PageStart(start);
        int offset = WalLayout.PageOffset(start);
        int got = WalLayout.PageSize - offset;
        WalRead state = TryPage(page, WalLayout.PageSize, out ReadOnlySpan<byte> bytes, out problem);
        if (state != WalRead.Record)
        {
            return state;
        }

        bytes[offset..].CopyTo(into.Buffer(2 * WalLayout.PageSize));
        if (got >= WalRecordHeader.Size && (problem = CheckHeader(into, start)) is not null)
        {
            return WalRead.End;
        }

        while (got < total)
        {
            page += WalLayout.PageSize;
            int before = got;
            state = TakeContinuation(page, total, ref got, into, start, ref end, out problem);
            if (state == WalRead.End)
            {
                _aborted = start;
                _missing = page;
            }

            if (state != WalRead.Record)
            {
                return state;
            }

            if (got == before)
            {
                // The writer crashed within the record and wrote another one in place of its rest.
                Overwritten = start;
                start = page;
                return Assemble(ref start, into, out end, out problem);
            }

            if (before < WalRecordHeader.Size && (problem = CheckHeader(into, start)) is not null)
            {
                return WalRead.End;
            }
        }

        return WalRead.Record;
    }

    /// <summary>Appends a page's part of the record. What was got stays as it was when the page says that the rest was given up.</summary>
    private WalRead TakeContinuation(Lsn page, int total, ref int got, WalRecord into, Lsn start, ref Lsn end, out string? problem)
    {
        WalRead state = TryPage(page, WalPageHeader.ShortSize, out ReadOnlySpan<byte> bytes, out problem);
        if (state != WalRead.Record)
        {
            return state;
        }

        ref readonly WalPageHeader header = ref MemoryMarshal.AsRef<WalPageHeader>(bytes);
        if ((header.Flags & WalPageFlags.FirstIsOverwriteContinuation) != 0)
        {
            return WalRead.Record;
        }

        if ((header.Flags & WalPageFlags.FirstIsContinuation) == 0)
        {
            problem = $"there is no contrecord flag at {start}";
            return WalRead.End;
        }

        uint remaining = header.RemainingLength;
        if (remaining == 0 || (long)total != (long)remaining + got)
        {
            problem = $"invalid contrecord length {remaining} (expected {total - got}) at {start}";
            return WalRead.End;
        }

        int headerSize = header.HeaderSize;
        int length = Math.Min((int)remaining, WalLayout.PageSize - headerSize);
        state = TryPage(page, headerSize + length, out bytes, out problem);
        if (state != WalRead.Record)
        {
            return state;
        }

        bytes.Slice(headerSize, length).CopyTo(into.Buffer(got + length)[got..]);
        got += length;
        end = page + (ulong)(headerSize + WalLayout.AlignUp(length));
        return WalRead.Record;
    }

    private string? CheckHeader(WalRecord record, Lsn start)
    {
        ref readonly WalRecordHeader header = ref record.Header;
        if (header.TotalLength < WalRecordHeader.Size)
        {
            return $"invalid record length at {start}: wanted {WalRecordHeader.Size}, got {header.TotalLength}";
        }

        // Those of extensions are records like others: who redoes them must say that it cannot (I10).
        if (header.Rmgr is > (byte)Rmgr.LogicalMessage and < (byte)Describe.WalDescription.FirstCustom)
        {
            return $"invalid resource manager ID {header.Rmgr} at {start}";
        }

        bool sound = _previous.IsValid ? header.Previous == _previous.Value : header.Previous < start.Value;
        return sound ? null : $"record with incorrect prev-link {new Lsn(header.Previous)} at {start}";
    }

    private WalEnd DescribeEnd(string problem)
    {
        (TimelineId timeline, Lsn latest) = (new TimelineId(_pageTimeline), _latestPage);
        Lsn next = WalLayout.SegmentStart(WalLayout.SegmentOf(Position, _directory.SegmentSize) + 1, _directory.SegmentSize);
        bool written = next.Value + WalLayout.PageSize <= Limit.Value
            && _source.TryGet(next, WalPageHeader.LongSize, Limit, out ReadOnlySpan<byte> bytes, out _)
            && CheckPage(next, bytes) is null;
        (_pageTimeline, _latestPage) = (timeline.Value, latest);
        _verifiedSegment = ulong.MaxValue;
        _verifiedPage = Lsn.Max;
        return new WalEnd
        {
            Position = Position,
            LastRecord = _previous,
            Timeline = timeline,
            Message = problem,
            AbortedRecord = _aborted,
            MissingContinuation = _missing,
            NextSegmentWritten = written ? next : Lsn.Invalid,
        };
    }
}
