using System.Buffers.Binary;
using System.Collections.Concurrent;
using SharedStorage.Format.Slru;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Slru;
using SharedStorage.Wal;

namespace SharedStorage.Transactions.Multi;

/// <summary>
/// Sets of transactions that share a row (PostgreSQL's multixact.c): created with a record, never changed, read through a cache. A multixact has at most one
/// member that changed the row.
/// </summary>
public sealed partial class MultiXacts
{
    public const byte OpZeroOffsetsPage = 0x00;
    public const byte OpZeroMembersPage = 0x10;
    public const byte OpCreate = 0x20;
    public const byte OpTruncate = 0x30;

    /// <summary>A set that is in memory saves two page look-ups and an array; 8192 of them are about a megabyte.</summary>
    private const int MaxCached = 8192;

    private readonly TransactionManager _manager;
    private readonly MultiXactStore _store;
    private readonly Lock _generating = new();
    private readonly ConcurrentDictionary<uint, MultiXactMember[]> _cache = new();
    private MultiXactId _next = MultiXactId.First;
    private uint _nextOffset;
    private MultiXactId _oldest = MultiXactId.First;
    private Oid _oldestDatabase = new(1);

    internal MultiXacts(TransactionManager manager, SlruFiles offsets, SlruFiles members)
    {
        _manager = manager;
        _store = new MultiXactStore(offsets, members);
    }

    public SlruCache Offsets => _store.Offsets;
    public SlruCache Members => _store.Members;

    /// <summary>What a checkpoint records.</summary>
    public MultiXactLimits Limits
    {
        get
        {
            lock (_generating)
            {
                return new MultiXactLimits(_next, _nextOffset, _oldest, _oldestDatabase);
            }
        }
    }

    public MultiXactId Next => Limits.Next;

    /// <summary>A multixact of two members.</summary>
    public MultiXactId Create(Xid first, MultiXactStatus firstStatus, Xid second, MultiXactStatus secondStatus) =>
        Create([new MultiXactMember(first, firstStatus), new MultiXactMember(second, secondStatus)]);

    /// <summary>
    /// A multixact with the members of an older one that still count (running, or committed changers) and one more (MultiXactIdExpand).
    /// </summary>
    public MultiXactId Expand(MultiXactId multi, Xid xid, MultiXactStatus status)
    {
        MultiXactMember[] old = GetMembers(multi, onlyLockers: false);
        var added = new MultiXactMember(xid, status);
        if (old.AsSpan().Contains(added))
        {
            return multi;
        }

        var kept = new List<MultiXactMember>(old.Length + 1);
        foreach (MultiXactMember m in old)
        {
            if (_manager.IsInProgress(m.Xid) || (m.IsUpdate && _manager.StatusOf(m.Xid) == XidStatus.Committed))
            {
                kept.Add(m);
            }
        }

        kept.Add(added);
        return Create([.. kept]);
    }

    /// <summary>Makes a multixact (MultiXactIdCreateFromMembers).</summary>
    /// <exception cref="PgException">The numbers are about to wrap (54000).</exception>
    public MultiXactId Create(ReadOnlySpan<MultiXactMember> members)
    {
        MultiXactMember[] own = members.ToArray();
        Invariant.Check(own.Count(m => m.IsUpdate) <= 1, "multixact", "more than one member changes the row");
        ITransactionLog log = _manager.WritableLog;
        CheckLimits(own);
        MultiXactId multi;
        lock (_generating)
        {
            multi = _next;
            uint first = _nextOffset == 0 ? 1 : _nextOffset;
            uint used = (uint)own.Length + (first - _nextOffset);
            Extend(multi, used, log);
            using (Invariant.EnterCritical())
            {
                Record(multi, first, own, log);
            }

            _next = multi.Next();
            _nextOffset += used;
        }

        Remember(multi, own);
        return multi;
    }

    /// <summary>
    /// The members; none for an invalid multixact, and none for one that only locked and is older than any that a running transaction can be in.
    /// </summary>
    /// <exception cref="StorageException">The multixact was truncated away, or was never made.</exception>
    public MultiXactMember[] GetMembers(MultiXactId multi, bool onlyLockers)
    {
        if (!multi.IsValid)
        {
            return [];
        }

        if (_cache.TryGetValue(multi.Value, out MultiXactMember[]? cached))
        {
            return cached;
        }

        if (onlyLockers && _manager.Log is not null && multi.Precedes(OldestRunning))
        {
            return [];
        }

        MultiXactLimits limits = Limits;
        if (multi.Precedes(limits.Oldest))
        {
            throw new StorageException($"MultiXactId {multi} does no longer exist -- apparent wraparound") { SqlState = SqlStates.InternalError };
        }

        if (!multi.Precedes(limits.Next))
        {
            throw new StorageException($"MultiXactId {multi} has not been created yet -- apparent wraparound") { SqlState = SqlStates.InternalError };
        }

        uint first = _store.OffsetOf(multi);
        uint end = multi.Next() == limits.Next ? limits.NextOffset : _store.OffsetOf(multi.Next());
        if (first == 0 || (end == 0 && multi.Next() != limits.Next))
        {
            throw new StorageException($"MultiXact {multi} has invalid {(first == 0 ? "" : "next ")}offset");
        }

        MultiXactMember[] members = _store.ReadMembers(first, end);
        Remember(multi, members);
        return members;
    }

    /// <summary>The member that changed the row, whether it committed or not; invalid when all only lock (HeapTupleGetUpdateXid).</summary>
    public Xid GetUpdater(MultiXactId multi)
    {
        foreach (MultiXactMember m in GetMembers(multi, onlyLockers: false))
        {
            if (m.IsUpdate)
            {
                return m.Xid;
            }
        }

        return Xid.Invalid;
    }

    /// <summary>Whether a member runs, be it the asking transaction itself (MultiXactIdIsRunning).</summary>
    public bool IsRunning(MultiXactId multi, bool onlyLockers)
    {
        foreach (MultiXactMember m in GetMembers(multi, onlyLockers))
        {
            if (_manager.IsInProgress(m.Xid))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The oldest multixact that a running transaction can be a member of (GetOldestMultiXactId): what freezing multixacts follows.</summary>
    public MultiXactId OldestRunning => _manager.OldestMultiXactOfRunning(Next);

    /// <summary>At or before every change that is not in the files (R7).</summary>
    internal Lsn OldestUnflushed() => Lsn.Min(Offsets.OldestUnflushed(), Members.OldestUnflushed());

    internal void Start(in MultiXactLimits limits)
    {
        lock (_generating)
        {
            _next = limits.Next.IsValid ? limits.Next : MultiXactId.First;
            _nextOffset = limits.NextOffset;
            _oldest = limits.Oldest;
            _oldestDatabase = limits.OldestDatabase;
        }
    }

    /// <summary>Before the first multixact of a writer.</summary>
    internal void OpenForWrites(Lsn at) => _store.Trim(_next, _nextOffset, at);

    private void Remember(MultiXactId multi, MultiXactMember[] members)
    {
        if (_cache.Count >= MaxCached)
        {
            _cache.Clear();
        }

        _cache[multi.Value] = members;
    }

    private void Record(MultiXactId multi, uint first, MultiXactMember[] members, ITransactionLog log)
    {
        byte[] body = new byte[12 + (members.Length * MultiXactMember.Size)];
        BinaryPrimitives.WriteUInt32LittleEndian(body, multi.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(4), first);
        BinaryPrimitives.WriteInt32LittleEndian(body.AsSpan(8), members.Length);
        for (int i = 0; i < members.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(12 + (i * 8)), members[i].Xid.Value);
            BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(16 + (i * 8)), (uint)members[i].Status);
        }

        lock (Offsets.Sync)
        {
            lock (Members.Sync)
            {
                _store.WillWrite(multi, first, members.Length, log.Reserved, SlruMissing.IsAnError);
                Lsn end = log.Insert(Xid.Invalid, Rmgr.MultiXact, OpCreate, body);
                _store.Write(multi, first, members, end, SlruMissing.IsAnError);
            }
        }
    }

    /// <summary>Makes the pages that the new multixact needs: its successor's offset is written with it, so that page too.</summary>
    private void Extend(MultiXactId multi, uint used, ITransactionLog log)
    {
        MultiXactId next = multi.Next();
        if (MultiXactOffsetLayout.StartsPage(next))
        {
            ZeroPage(Offsets, OpZeroOffsetsPage, MultiXactOffsetLayout.PageOf(next), log);
        }

        uint member = _nextOffset;
        for (uint left = used; left > 0;)
        {
            if (MultiXactMemberLayout.StartsPage(member))
            {
                ZeroPage(Members, OpZeroMembersPage, MultiXactMemberLayout.PageOf(member), log);
            }

            uint step = Math.Min(left, MultiXactMemberLayout.LeftInPage(member));
            left -= step;
            member += step;
        }
    }

    private static void ZeroPage(SlruCache area, byte op, uint page, ITransactionLog log)
    {
        Span<byte> body = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(body, page);
        lock (area.Sync)
        {
            Lsn before = log.Reserved;
            MultiXactStore.Zero(area, page, before, log.Insert(Xid.Invalid, Rmgr.MultiXact, op, body));
        }
    }
}
