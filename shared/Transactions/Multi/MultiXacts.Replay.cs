using SharedStorage.Format.Slru;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Slru;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Transactions.Multi;

/// <summary>What records do to multixacts, and their truncation.</summary>
public sealed partial class MultiXacts
{
    /// <summary>
    /// The page of offsets that a creation by an older minor version of PostgreSQL made implicitly: the record that zeroes it comes later and must be passed over.
    /// </summary>
    private uint? _preInitialized;

    /// <summary>
    /// Drops the multixacts before <paramref name="oldest"/>, which no row holds any more, with a record that is flushed first (TruncateMultiXact).
    /// </summary>
    public void Truncate(MultiXactId oldest, Oid database)
    {
        ITransactionLog log = _manager.WritableLog;
        MultiXactLimits limits = Limits;
        if (oldest.PrecedesOrEquals(limits.Oldest))
        {
            return;
        }

        uint startMember = StartOf(limits.Oldest, limits);
        uint endMember = StartOf(oldest, limits);
        if (endMember == 0 || (startMember == 0 && limits.Oldest != limits.Next))
        {
            // One that was never written, left behind by a crash or by pg_resetwal: nothing is cut now, but the limits of new numbers follow all the same.
            SetOldest(oldest, database);
            return;
        }

        var record = new MultiXactTruncation(database, limits.Oldest, oldest, startMember, endMember);
        Lsn end = log.Insert(Xid.Invalid, Rmgr.MultiXact, OpTruncate, record.ToBytes());
        log.Flush(end);
        Forget(record, out List<uint> offsets, out List<uint> members);
        _manager.Removal?.RemoveSegments(Members.Files, members, end);
        _manager.Removal?.RemoveSegments(Offsets.Files, offsets, end);
    }

    internal void ApplyZeroOffsets(uint page, Lsn start, Lsn end)
    {
        if (_preInitialized == page)
        {
            _preInitialized = null;
            return;
        }

        lock (Offsets.Sync)
        {
            MultiXactStore.Zero(Offsets, page, start, end);
        }
    }

    internal void ApplyZeroMembers(uint page, Lsn start, Lsn end)
    {
        lock (Members.Sync)
        {
            MultiXactStore.Zero(Members, page, start, end);
        }
    }

    internal void ApplyCreate(in MultiXactCreation record, Lsn start, Lsn end)
    {
        MultiXactId next = record.Multi.Next();
        if (MultiXactOffsetLayout.StartsPage(next) && next != MultiXactId.First)
        {
            PreInitialize(MultiXactOffsetLayout.PageOf(next), start, end);
        }

        MultiXactMember[] members = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, MultiXactMember>(record.Members).ToArray();
        lock (Offsets.Sync)
        {
            lock (Members.Sync)
            {
                _store.WillWrite(record.Multi, record.Offset, members.Length, start, SlruMissing.ReadsAsZero);
                _store.Write(record.Multi, record.Offset, members, end, SlruMissing.ReadsAsZero);
            }
        }

        lock (_generating)
        {
            if (_next.Precedes(next))
            {
                _next = next;
            }

            uint nextOffset = record.Offset + (uint)members.Length;
            if ((int)(_nextOffset - nextOffset) < 0)
            {
                _nextOffset = nextOffset;
            }
        }

        Remember(record.Multi, members);
    }

    /// <summary>Forgets what a record truncates; gives the segments whose files go once rule I5 lets them.</summary>
    internal void ApplyTruncate(in MultiXactTruncation record, out List<uint> offsets, out List<uint> members) =>
        Forget(record, out offsets, out members);

    /// <summary>A checkpoint's counters, met in the log: they may be ahead of what the creations before it say.</summary>
    internal void ApplyCheckpoint(in MultiXactLimits limits)
    {
        lock (_generating)
        {
            if (_next.Precedes(limits.Next))
            {
                _next = limits.Next;
            }

            if ((int)(_nextOffset - limits.NextOffset) < 0)
            {
                _nextOffset = limits.NextOffset;
            }

            if (_oldest.Precedes(limits.Oldest))
            {
                _oldest = limits.Oldest;
                _oldestDatabase = limits.OldestDatabase;
            }
        }
    }

    /// <summary>
    /// The successor's offset goes into a page that this version zeroes, with a record, before the creation; older ones do so after it.
    /// </summary>
    private void PreInitialize(uint page, Lsn start, Lsn end)
    {
        lock (Offsets.Sync)
        {
            SlruPage there = Offsets.GetForChange(page, SlruMissing.ReadsAsZero);
            if (there.Lsn.IsValid)
            {
                // Zeroed, or changed, by a record since this node began.
                return;
            }

            if (!there.Bytes.AsSpan().ContainsAnyExcept((byte)0))
            {
                MultiXactStore.Zero(Offsets, page, start, end);
                _preInitialized = page;
            }
        }
    }

    private uint StartOf(MultiXactId multi, in MultiXactLimits limits) =>
        multi == limits.Next ? limits.NextOffset : _store.OffsetOf(multi, SlruMissing.ReadsAsZero);

    private void SetOldest(MultiXactId oldest, Oid database)
    {
        lock (_generating)
        {
            if (_oldest.Precedes(oldest))
            {
                _oldest = oldest;
                _oldestDatabase = database;
            }
        }
    }

    private void Forget(in MultiXactTruncation record, out List<uint> offsets, out List<uint> members)
    {
        SetOldest(record.EndOffset, record.Database);
        uint from = MultiXactMemberLayout.SegmentOf(record.StartMember);
        uint to = MultiXactMemberLayout.SegmentOf(record.EndMember);
        var gone = new List<uint>();
        for (uint s = from; s != to; s = s == MultiXactMemberLayout.LastSegment ? 0 : s + 1)
        {
            gone.Add(s);
        }

        members = gone;
        var goneSet = gone.ToHashSet();
        Members.ForgetSegments(goneSet.Contains);

        // One back: the cut-off may be the first of a page that is not there yet.
        var last = new MultiXactId(record.EndOffset == MultiXactId.First ? uint.MaxValue : record.EndOffset.Value - 1);
        uint cutoffPage = MultiXactOffsetLayout.PageOf(last);
        offsets = [.. Offsets.Files.Segments().Where(s => OffsetsSegmentPrecedes(s, cutoffPage))];
        Offsets.ForgetSegments(s => OffsetsSegmentPrecedes(s, cutoffPage));
        _cache.Clear();
    }

    private static bool OffsetsSegmentPrecedes(uint segment, uint cutoffPage)
    {
        uint cutoff = cutoffPage - (cutoffPage % SlruLayout.PagesPerSegment);
        uint first = segment * SlruLayout.PagesPerSegment;
        return MultiXactOffsetLayout.PagePrecedes(first, cutoff) && MultiXactOffsetLayout.PagePrecedes(first + SlruLayout.PagesPerSegment - 1, cutoff);
    }
}
