using System.Runtime.InteropServices;
using SharedStorage.Primitives;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Wal.Reading;

/// <summary>Pages of the log: within the limit, and with a header that belongs there (xlogreader.c's checks of page headers).</summary>
public sealed partial class WalReader
{
    private WalRead TryPage(Lsn page, int need, out ReadOnlySpan<byte> bytes, out string? problem)
    {
        problem = null;
        if (page + (ulong)need > Limit)
        {
            bytes = default;
            return WalRead.AtLimit;
        }

        if (page == _verifiedPage || _source.IsChecked(page))
        {
            return _source.TryGet(page, need, Limit, out bytes, out problem) ? WalRead.Record : WalRead.End;
        }

        ulong segment = WalLayout.SegmentOf(page, _directory.SegmentSize);
        if (segment != _verifiedSegment)
        {
            // The long header of the segment's first page says whose log this is.
            Lsn first = WalLayout.SegmentStart(segment, _directory.SegmentSize);
            if (page != first)
            {
                if (!_source.TryGet(first, WalPageHeader.LongSize, Limit, out bytes, out problem)
                    || (problem = CheckPage(first, bytes)) is not null)
                {
                    bytes = default;
                    return WalRead.End;
                }

                _verifiedSegment = segment;
            }
        }

        if (!_source.TryGet(page, need, Limit, out bytes, out problem) || (problem = CheckPage(page, bytes)) is not null)
        {
            return WalRead.End;
        }

        _verifiedSegment = segment;
        _verifiedPage = page;
        _source.NoteChecked(page);
        return WalRead.Record;
    }

    private string? CheckPage(Lsn page, ReadOnlySpan<byte> bytes)
    {
        ref readonly WalPageHeader header = ref MemoryMarshal.AsRef<WalPageHeader>(bytes);
        if (header.Magic != WalPageHeader.ExpectedMagic)
        {
            return $"invalid magic number {header.Magic:X4} in {Where(page)}";
        }

        bool isLong = (header.Flags & WalPageFlags.LongHeader) != 0;
        bool isFirst = WalLayout.SegmentOffset(page, _directory.SegmentSize) == 0;
        if ((header.Flags & ~WalPageFlags.All) != 0 || isLong != isFirst)
        {
            return $"invalid info bits {(ushort)header.Flags:X4} in {Where(page)}";
        }

        if (isLong && CheckLongHeader(in header) is { } problem)
        {
            return problem;
        }

        if (header.PageAddress != page.Value)
        {
            return $"unexpected pageaddr {new Lsn(header.PageAddress)} in {Where(page)}";
        }

        // Pages are looked at again, and a segment's first one for the sake of a later one: these may be of an older timeline than what was read last.
        bool isLater = page > _latestPage;
        if ((isLater && header.Timeline < _pageTimeline) || !_history.Contains(new TimelineId(header.Timeline)))
        {
            return $"out-of-sequence timeline ID {header.Timeline} (after {_pageTimeline}) in {Where(page)}";
        }

        if (isLater)
        {
            _latestPage = page;
            _pageTimeline = header.Timeline;
        }

        return null;
    }

    private string? CheckLongHeader(in WalPageHeader header)
    {
        if (_directory.SystemIdentifier != 0 && header.SystemIdentifier != _directory.SystemIdentifier)
        {
            return $"WAL file is from different database system: WAL file database system identifier is {header.SystemIdentifier}, "
                + $"pg_control database system identifier is {_directory.SystemIdentifier}";
        }

        if (header.SegmentSize != _directory.SegmentSize)
        {
            return "WAL file is from different database system: incorrect segment size in page header";
        }

        return header.BlockSize != WalLayout.PageSize
            ? "WAL file is from different database system: incorrect XLOG_BLCKSZ in page header"
            : null;
    }

    private string Where(Lsn page)
    {
        ulong segment = WalLayout.SegmentOf(page, _directory.SegmentSize);
        string name = new WalSegmentName(_history.At(page), segment).ToFileName(_directory.SegmentSize);
        return $"log segment {name}, offset {WalLayout.SegmentOffset(page, _directory.SegmentSize)}";
    }
}
