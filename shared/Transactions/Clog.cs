using System.Buffers.Binary;
using SharedStorage.Format.Slru;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Slru;
using SharedStorage.Wal;

namespace SharedStorage.Transactions;

/// <summary>
/// pg_xact: whether each transaction committed or aborted (PostgreSQL's clog.c). The first xid of a page makes the page, with a record, under the lock that
/// hands out xids, so the page is in the log before any status that goes into it.
/// </summary>
public sealed class Clog(SlruFiles files)
{
    public const byte OpZeroPage = 0x00;
    public const byte OpTruncate = 0x10;

    public SlruCache Cache { get; } = new(files);

    /// <exception cref="StorageException">The status was truncated away or its page is missing.</exception>
    public XidStatus Get(Xid xid, SlruMissing missing = SlruMissing.IsAnError)
    {
        if (!xid.IsNormal)
        {
            return xid.IsValid ? XidStatus.Committed : XidStatus.Aborted;
        }

        SlruPage page = Cache.Get(ClogLayout.PageOf(xid), missing);
        return (XidStatus)((page.ReadByte(ClogLayout.ByteOf(xid)) >> ClogLayout.ShiftOf(xid)) & 3);
    }

    /// <summary>Sets the end of a transaction and of its subtransactions. The record that says so lies between the two positions.</summary>
    internal void Set(Xid xid, ReadOnlySpan<Xid> children, XidStatus status, Lsn recLsn, Lsn end, SlruMissing missing = SlruMissing.IsAnError)
    {
        lock (Cache.Sync)
        {
            foreach (Xid child in children)
            {
                SetOne(child, status, recLsn, end, missing);
            }

            SetOne(xid, status, recLsn, end, missing);
        }
    }

    /// <summary>Makes the page that a new xid needs, when the xid is the first of it.</summary>
    internal void Extend(Xid xid, ITransactionLog log)
    {
        if (!ClogLayout.StartsPage(xid))
        {
            return;
        }

        uint number = ClogLayout.PageOf(xid);
        Span<byte> body = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteUInt32LittleEndian(body, number);
        lock (Cache.Sync)
        {
            SlruPage page = Cache.GetZeroed(number);
            SlruCache.WillChange(page, log.Reserved);
            SlruCache.Changed(page, log.Insert(Xid.Invalid, Rmgr.Clog, OpZeroPage, body));
        }
    }

    internal void ApplyZeroPage(uint number, Lsn start, Lsn end)
    {
        lock (Cache.Sync)
        {
            SlruPage page = Cache.GetZeroed(number);
            SlruCache.WillChange(page, start);
            SlruCache.Changed(page, end);
        }
    }

    /// <summary>Forgets the pages before the one with the oldest xid; gives the segments whose files are to go (rule I5 says when).</summary>
    internal static bool SegmentPrecedes(uint segment, uint cutoffPage)
    {
        uint cutoff = cutoffPage - (cutoffPage % SlruLayout.PagesPerSegment);
        uint first = segment * SlruLayout.PagesPerSegment;
        return ClogLayout.PagePrecedes(first, cutoff) && ClogLayout.PagePrecedes(first + SlruLayout.PagesPerSegment - 1, cutoff);
    }

    /// <summary>
    /// Clears what lies beyond the next xid in its page (TrimCLOG): a status from before a crash must not be taken for that of a transaction to come.
    /// </summary>
    internal void Trim(Xid next, Lsn at)
    {
        if (next.Value % ClogLayout.XidsPerPage == 0)
        {
            return;
        }

        lock (Cache.Sync)
        {
            SlruPage page = Cache.GetForChange(ClogLayout.PageOf(next), SlruMissing.ReadsAsZero);
            int first = ClogLayout.ByteOf(next);
            byte kept = (byte)(page.Bytes[first] & ((1 << ClogLayout.ShiftOf(next)) - 1));
            if (kept == page.Bytes[first] && !page.Bytes.AsSpan(first + 1).ContainsAnyExcept((byte)0))
            {
                return;
            }

            SlruCache.WillChange(page, at);
            page.Bytes[first] = kept;
            page.Bytes.AsSpan(first + 1).Clear();
            SlruCache.Changed(page, at);
        }
    }

    private void SetOne(Xid xid, XidStatus status, Lsn recLsn, Lsn end, SlruMissing missing)
    {
        SlruPage page = Cache.GetForChange(ClogLayout.PageOf(xid), missing);
        SlruCache.WillChange(page, recLsn);
        ClogLayout.Set(page.Bytes, xid, (byte)status);
        SlruCache.Changed(page, end);
    }
}
