using System.Runtime.InteropServices;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Inserting;

/// <summary>
/// Copying a record into the ring of pages. A page's slot is zero before it is used. The insertion whose space contains the page's first byte
/// writes its header; nobody else touches those bytes.
/// </summary>
public sealed unsafe partial class WalInserter
{
    private readonly AlignedBuffer _ring;
    private readonly Lsn _overwrite;

    // Pages before this have a free, zeroed slot in the ring. Only the flushing thread moves it.
    private ulong _ringEnd;

    private byte* RingAt(ulong position) => _ring.Pointer + (position % (ulong)_ring.Length);

    private void CopyIn(ReadOnlySpan<byte> record, Lsn start, long ticket)
    {
        ulong position = start.Value;
        int headerSize = HeaderSizeOf(WalLayout.PageStart(start).Value);
        EnsureRoom(WalLayout.PageStart(start).Value, ticket);
        if (WalLayout.PageOffset(start) == headerSize)
        {
            WriteHeader(WalLayout.PageStart(start).Value, remaining: 0);
        }

        while (true)
        {
            int room = WalLayout.PageSize - (int)(position % WalLayout.PageSize);
            int length = Math.Min(room, record.Length);
            record[..length].CopyTo(new Span<byte>(RingAt(position), length));
            record = record[length..];
            position += (ulong)length;
            if (record.IsEmpty)
            {
                return;
            }

            EnsureRoom(position, ticket);
            WriteHeader(position, (uint)record.Length);
            position += (ulong)HeaderSizeOf(position);
        }
    }

    /// <summary>Leaves the pages of a switched segment zero, but waits until the ring has passed them.</summary>
    private void SkipPages(Lsn from, Lsn to, long ticket)
    {
        for (ulong page = WalLayout.PageStart(from + (WalLayout.PageSize - 1)).Value; page < to.Value; page += WalLayout.PageSize)
        {
            EnsureRoom(page, ticket);
        }
    }

    private int HeaderSizeOf(ulong page) =>
        (page & ((ulong)_segmentSize - 1)) == 0 ? WalPageHeader.LongSize : WalPageHeader.ShortSize;

    private void WriteHeader(ulong page, uint remaining)
    {
        int size = HeaderSizeOf(page);
        WalPageHeader header = default;
        header.Magic = WalPageHeader.ExpectedMagic;
        header.Flags = Volatile.Read(ref _forcedPageWrites) > 0 ? WalPageFlags.None : WalPageFlags.BackupBlocksRemovable;
        header.Timeline = _options.Timeline.Value;
        header.PageAddress = page;
        if (remaining > 0)
        {
            header.Flags |= WalPageFlags.FirstIsContinuation;
            header.RemainingLength = remaining;
        }
        else if (page == _overwrite.Value && _overwrite.IsValid)
        {
            header.Flags |= WalPageFlags.FirstIsOverwriteContinuation;
        }

        if (size == WalPageHeader.LongSize)
        {
            header.Flags |= WalPageFlags.LongHeader;
            header.SystemIdentifier = _options.Directory.SystemIdentifier;
            header.SegmentSize = (uint)_segmentSize;
            header.BlockSize = WalLayout.PageSize;
        }

        MemoryMarshal.AsBytes(new ReadOnlySpan<WalPageHeader>(in header))[..size].CopyTo(new Span<byte>(RingAt(page), size));
    }

    /// <summary>
    /// Returns when the page's slot is free. Before it waits it says how far the record is copied, so that the flush can go on even within a record that
    /// is larger than the ring.
    /// </summary>
    private void EnsureRoom(ulong page, long ticket)
    {
        while (page + WalLayout.PageSize > Volatile.Read(ref _ringEnd))
        {
            Volatile.Write(ref _tickets[ticket % TicketCount].Progress, page);
            Flush(new Lsn(page + WalLayout.PageSize - (ulong)_ring.Length));
        }
    }

    /// <summary>Frees the slots of pages that are wholly written.</summary>
    private void Recycle(ulong writtenBefore, ulong written)
    {
        ulong page = writtenBefore & ~(ulong)(WalLayout.PageSize - 1);
        ulong end = written & ~(ulong)(WalLayout.PageSize - 1);
        for (; page < end; page += WalLayout.PageSize)
        {
            NativeMemory.Clear(RingAt(page), WalLayout.PageSize);
        }

        Volatile.Write(ref _ringEnd, end + (ulong)_ring.Length);
    }
}
