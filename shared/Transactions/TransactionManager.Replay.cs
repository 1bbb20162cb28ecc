using System.Buffers.Binary;
using SharedStorage.Format.Slru;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Slru;
using SharedStorage.Transactions.TwoPhase;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Transactions;

/// <summary>The manager's side of <see cref="TransactionReplay"/>, and truncation of clog.</summary>
public sealed partial class TransactionManager
{
    /// <summary>Segments whose truncation was replayed: a node that becomes the writer removes their files, a reader never does (I4).</summary>
    private readonly List<(SlruFiles Files, List<uint> Segments)> _truncatedInReplay = [];

    /// <summary>
    /// Drops the statuses of xids before <paramref name="oldest"/>, which no row holds any more, when that frees a segment (TruncateCLOG).
    /// </summary>
    public void TruncateClog(Xid oldest, Oid database)
    {
        uint cutoff = ClogLayout.PageOf(oldest);
        List<uint> segments = [.. Clog.Cache.Files.Segments().Where(s => Clog.SegmentPrecedes(s, cutoff))];
        if (segments.Count == 0)
        {
            return;
        }

        ITransactionLog log = WritableLog;
        Lsn end = log.Insert(Xid.Invalid, Rmgr.Clog, Clog.OpTruncate, new ClogTruncation(cutoff, oldest, database).ToBytes());
        log.Flush(end);
        Clog.Cache.ForgetSegments(s => Clog.SegmentPrecedes(s, cutoff));
        Removal?.RemoveSegments(Clog.Cache.Files, segments, end);
    }

    /// <summary>Which segments of an area the log truncated away since this node began.</summary>
    public IReadOnlySet<uint> TruncatedInReplay(SlruFiles files) => _truncatedInReplay.Where(t => t.Files == files).SelectMany(t => t.Segments).ToHashSet();

    /// <summary>
    /// Takes into memory every page of clog that may change from here on, before anything is applied. Beside a stock writer a page that is read later may tell of
    /// commits that are not applied yet (R7); what these pages tell is covered once the node has applied all that the log held when they were read.
    /// </summary>
    public void PreloadClog()
    {
        const uint pages = (uint)((1UL << 32) / ClogLayout.XidsPerPage);
        for (uint page = ClogLayout.PageOf(Map.Horizon); Clog.Cache.TryLoad(page); page = (page + 1) % pages)
        {
        }
    }

    internal void ApplyCommit(Xid xid, in XactEnd record, ushort origin, Lsn start, Lsn end)
    {
        // The map before clog (rule 12): no session may find a commit in clog of which the map does not say when it was.
        NoteCommit(xid, record.Children, end);
        Clog.Set(xid, record.Children, XidStatus.Committed, start, end, SlruMissing.ReadsAsZero);
        bool fromOrigin = (record.Info & XactInfo.HasOrigin) != 0;
        CommitTimestamps.Set(xid, record.Children, fromOrigin ? record.OriginTime : record.Time, origin, start, end, SlruMissing.ReadsAsZero);
        NoteEnd(xid, record, origin, end);
        if (!record.Invalidations.IsEmpty)
        {
            Listener?.BeforeVisible(end, xid, record);
        }

        CutNowAndThen();
    }

    internal void ApplyAbort(Xid xid, in XactEnd record, ushort origin, Lsn start, Lsn end)
    {
        Clog.Set(xid, record.Children, XidStatus.Aborted, start, end, SlruMissing.ReadsAsZero);
        foreach (Xid child in record.Children)
        {
            Map.Set(child, CommitLsnMap.Aborted);
        }

        Map.Set(xid, CommitLsnMap.Aborted);
        NoteEnd(xid, record, origin, end);
        CutNowAndThen();
    }

    /// <summary>A transaction is prepared: it runs on, whoever began it has left it.</summary>
    internal void ApplyPrepare(PreparedTransaction prepared, ushort origin)
    {
        Prepared.Add(prepared);
        AdvanceNextXidPast(prepared.Children.Length == 0 ? prepared.Xid : prepared.Children[^1]);
        if (origin != 0)
        {
            Origins.Advance(origin, prepared.OriginLsn, prepared.End);
        }
    }

    internal void ApplyCommitTimestampsTruncate(in CommitTimestampTruncateRecord record) =>
        _truncatedInReplay.Add((CommitTimestamps.Cache.Files, CommitTimestamps.ApplyTruncate(record)));

    /// <summary>Drops the commit times of xids before one that no row holds any more.</summary>
    public void TruncateCommitTimestamps(Xid oldest)
    {
        ITransactionLog log = WritableLog;
        List<uint> segments = CommitTimestamps.Truncate(oldest, log, out Lsn end);
        if (segments.Count != 0)
        {
            log.Flush(end);
            Removal?.RemoveSegments(CommitTimestamps.Cache.Files, segments, end);
        }
    }

    /// <summary>What a commit and an abort do alike.</summary>
    private void NoteEnd(Xid xid, in XactEnd record, ushort origin, Lsn end)
    {
        Xid latest = record.Children.IsEmpty ? xid : record.Children[^1];
        AdvanceNextXidPast(latest);
        NoteCompleted(latest.Precedes(xid) ? xid : latest);
        if (record.TwoPhaseXid.IsValid)
        {
            Prepared.Remove(record.TwoPhaseXid);
        }

        if ((record.Info & XactInfo.HasAccessExclusiveLocks) != 0)
        {
            ReplayedLocks.Release(xid, record.Children);
        }

        if ((record.Info & XactInfo.HasOrigin) != 0)
        {
            Origins.Advance(origin, record.OriginLsn, end);
        }
    }

    internal void NoteCompleted(Xid latest)
    {
        if (new Xid(Volatile.Read(ref _latestCompleted)).Precedes(latest))
        {
            Volatile.Write(ref _latestCompleted, latest.Value);
        }
    }

    /// <summary>Invalidations of a transaction without an xid (xl_invalidations): database, tablespace, a flag, then the messages.</summary>
    internal void ApplyInvalidations(ReadOnlySpan<byte> body, Lsn end)
    {
        const int HeaderSize = 16;
        int count = body.Length < HeaderSize ? -1 : BinaryPrimitives.ReadInt32LittleEndian(body[12..]);
        if (count < 0 || (long)count * XactEnd.InvalidationSize > body.Length - HeaderSize)
        {
            throw new StorageException($"an invalidations record that ends at {end} is shorter than it says");
        }

        var record = new XactEnd
        {
            Database = new Oid(BinaryPrimitives.ReadUInt32LittleEndian(body)),
            DatabaseTablespace = new Oid(BinaryPrimitives.ReadUInt32LittleEndian(body[4..])),
            Info = body[8] != 0 ? XactInfo.RelcacheInitFile : XactInfo.None,
            Invalidations = body.Slice(HeaderSize, count * XactEnd.InvalidationSize),
        };
        Listener?.BeforeVisible(end, Xid.Invalid, record);
    }

    internal void ApplyClogTruncate(in ClogTruncation record, Lsn end)
    {
        _ = end;
        uint cutoff = record.Page;
        Clog.Cache.ForgetSegments(s => Clog.SegmentPrecedes(s, cutoff));
        _truncatedInReplay.Add((Clog.Cache.Files, [.. Clog.Cache.Files.Segments().Where(s => Clog.SegmentPrecedes(s, cutoff))]));
        if (OldestXid.Precedes(record.OldestXid))
        {
            SetOldestXid(record.OldestXid, record.Database);
        }
    }

    internal void ApplyMultiXactTruncate(in MultiXactTruncation record, Lsn end)
    {
        _ = end;
        MultiXacts.ApplyTruncate(record, out List<uint> offsets, out List<uint> members);
        _truncatedInReplay.Add((MultiXacts.Members.Files, members));
        _truncatedInReplay.Add((MultiXacts.Offsets.Files, offsets));
    }

    internal void AdvanceNextXidPast(Xid xid)
    {
        if (xid.Precedes(NextXid))
        {
            return;
        }

        FullXid next = NextFullXid;
        uint epoch = xid.Value < next.Xid.Value ? next.Epoch + 1 : next.Epoch;
        Volatile.Write(ref _nextXid, new FullXid(epoch, xid).Next().Value);
    }

    internal void AdvanceNextXidTo(FullXid next)
    {
        if (next.Value > NextFullXid.Value)
        {
            Volatile.Write(ref _nextXid, next.Value);
        }
    }

    private void CutNowAndThen()
    {
        if (++_sinceCut >= CommitsPerCut)
        {
            _sinceCut = 0;
            _ = XidHorizon;
        }
    }

    private void RemoveTruncatedInReplay(Lsn at)
    {
        foreach ((SlruFiles files, List<uint> segments) in _truncatedInReplay)
        {
            Removal?.RemoveSegments(files, segments, at);
        }

        _truncatedInReplay.Clear();
    }

    /// <summary>After the abort record: it runs no more.</summary>
    internal void EndAborted(Transaction tx)
    {
        ReadOnlySpan<Xid> children = tx.ChildXids;
        Forget(tx, children.IsEmpty ? tx.TopXidOrInvalid : children[^1]);
    }
}
