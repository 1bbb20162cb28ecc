using System.Buffers.Binary;
using SharedStorage.Format.Slru;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Slru;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Transactions;

/// <summary>
/// pg_commit_ts: when each transaction committed and from which replication origin (PostgreSQL's commit_ts.c). Kept only while track_commit_timestamp is on, as the control file and
/// the log's parameter changes say; a writer goes on with what they say. Entries are two words, so readers take the area's lock.
/// </summary>
public sealed class CommitTimestamps(SlruFiles files)
{
    public SlruCache Cache { get; } = new(files);

    /// <summary>Whether commits are noted (commitTsActive).</summary>
    public bool IsActive { get; private set; }

    /// <summary>The oldest and the newest transaction that may have an entry; invalid for none. Checkpoints carry them.</summary>
    public Xid Oldest { get; private set; }

    public Xid Newest { get; private set; }

    /// <summary>Null: no entry, or the area is off.</summary>
    public (long Time, ushort Origin)? Find(Xid xid)
    {
        if (!IsActive || !xid.IsNormal || !Oldest.IsValid || xid.Precedes(Oldest) || Newest.Precedes(xid))
        {
            return null;
        }

        lock (Cache.Sync)
        {
            (long time, ushort origin) = CommitTimestampLayout.Get(Cache.GetForChange(CommitTimestampLayout.PageOf(xid), SlruMissing.ReadsAsZero).Bytes, xid);
            return time == 0 ? null : (time, origin);
        }
    }

    /// <summary>Begins from a checkpoint (SetCommitTsLimit, StartupCommitTs).</summary>
    internal void Start(bool active, Xid oldest, Xid newest, Xid next, Lsn at)
    {
        Oldest = oldest;
        Newest = newest;
        if (active)
        {
            Activate(next, at, at);
        }
    }

    /// <summary>track_commit_timestamp as a parameter change says (CommitTsParameterChange).</summary>
    internal void ParameterChange(bool on, Xid next, Lsn start, Lsn end)
    {
        if (on && !IsActive)
        {
            Activate(next, start, end);
        }
        else if (!on && IsActive)
        {
            IsActive = false;
            Oldest = Newest = Xid.Invalid;
            Cache.ForgetSegments(static _ => true);
            Cache.FilesAreVoid = true;
        }
    }

    /// <summary>Notes a commit; the record that says so lies between the two positions. Nothing when the area is off.</summary>
    internal void Set(Xid xid, ReadOnlySpan<Xid> children, long time, ushort origin, Lsn recLsn, Lsn end, SlruMissing missing)
    {
        if (!IsActive)
        {
            return;
        }

        lock (Cache.Sync)
        {
            SetOne(xid, time, origin, recLsn, end, missing);
            foreach (Xid child in children)
            {
                SetOne(child, time, origin, recLsn, end, missing);
            }

            Xid newest = children.IsEmpty ? xid : children[^1];
            if (Newest.Precedes(newest))
            {
                Newest = newest;
            }
        }
    }

    /// <summary>Makes the page that a new xid needs, when the xid is the first of it.</summary>
    internal void Extend(Xid xid, ITransactionLog log)
    {
        if (!IsActive || !CommitTimestampLayout.StartsPage(xid))
        {
            return;
        }

        uint number = CommitTimestampLayout.PageOf(xid);
        Span<byte> body = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteUInt32LittleEndian(body, number);
        lock (Cache.Sync)
        {
            SlruPage page = Cache.GetZeroed(number);
            SlruCache.WillChange(page, log.Reserved);
            SlruCache.Changed(page, log.Insert(Xid.Invalid, Rmgr.CommitTs, CommitTimestampOp.ZeroPage, body));
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

    /// <summary>Entries before the xid go (TruncateCommitTs); gives the segments whose files go once rule I5 lets them.</summary>
    internal List<uint> Truncate(Xid oldest, ITransactionLog log, out Lsn end)
    {
        uint cutoff = CommitTimestampLayout.PageOf(oldest);
        List<uint> segments = [.. Cache.Files.Segments().Where(s => SegmentPrecedes(s, cutoff))];
        end = Lsn.Invalid;
        if (segments.Count != 0)
        {
            Span<byte> body = stackalloc byte[2 * sizeof(uint)];
            BinaryPrimitives.WriteUInt32LittleEndian(body, cutoff);
            BinaryPrimitives.WriteUInt32LittleEndian(body[sizeof(uint)..], oldest.Value);
            end = log.Insert(Xid.Invalid, Rmgr.CommitTs, CommitTimestampOp.Truncate, body);
            Cache.ForgetSegments(s => SegmentPrecedes(s, cutoff));
        }

        AdvanceOldest(oldest);
        return segments;
    }

    internal List<uint> ApplyTruncate(in CommitTimestampTruncateRecord record)
    {
        uint cutoff = (uint)record.Page;
        AdvanceOldest(record.OldestXid);
        Cache.ForgetSegments(s => SegmentPrecedes(s, cutoff));
        return [.. Cache.Files.Segments().Where(s => SegmentPrecedes(s, cutoff))];
    }

    /// <summary>A node that becomes the writer: what the log switched off is gone at once, since new pages go to files of the same names.</summary>
    internal void OpenForWrites()
    {
        Cache.Files.AllowWrites();
        if (Cache.FilesAreVoid)
        {
            foreach (uint segment in Cache.Files.Segments())
            {
                Cache.Files.Delete(segment);
            }

            Cache.FilesAreVoid = false;
        }
    }

    internal static bool SegmentPrecedes(uint segment, uint cutoffPage)
    {
        uint cutoff = cutoffPage - (cutoffPage % SlruLayout.PagesPerSegment);
        uint first = segment * SlruLayout.PagesPerSegment;
        return CommitTimestampLayout.PagePrecedes(first, cutoff) && CommitTimestampLayout.PagePrecedes(first + SlruLayout.PagesPerSegment - 1, cutoff);
    }

    private void AdvanceOldest(Xid oldest)
    {
        if (Oldest.IsValid && Oldest.Precedes(oldest))
        {
            Oldest = oldest;
        }
    }

    private void Activate(Xid next, Lsn start, Lsn end)
    {
        if (!Oldest.IsValid)
        {
            Oldest = Newest = next;
        }

        // The page of the next xid is there without a record of its own.
        uint number = CommitTimestampLayout.PageOf(next);
        lock (Cache.Sync)
        {
            if (!Cache.Exists(number))
            {
                SlruPage page = Cache.GetZeroed(number);
                SlruCache.WillChange(page, start);
                SlruCache.Changed(page, end);
            }
        }

        IsActive = true;
    }

    private void SetOne(Xid xid, long time, ushort origin, Lsn recLsn, Lsn end, SlruMissing missing)
    {
        SlruPage page = Cache.GetForChange(CommitTimestampLayout.PageOf(xid), missing);
        SlruCache.WillChange(page, recLsn);
        CommitTimestampLayout.Set(page.Bytes, xid, time, origin);
        SlruCache.Changed(page, end);
    }
}
