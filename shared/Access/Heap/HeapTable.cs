using SharedStorage.Buffers;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Visibility;

namespace SharedStorage.Access.Heap;

public enum ModifyOutcome
{
    Ok,

    /// <summary>Changed by this transaction's current or a later command.</summary>
    SelfModified,

    /// <summary>Updated by another transaction that committed; follow <see cref="ModifyResult.NewTid"/>.</summary>
    Updated,
    Deleted,

    /// <summary>Not visible to the command at all.</summary>
    Invisible,

    /// <summary>Locked by another and the caller would not wait.</summary>
    WouldBlock,
}

public readonly record struct ModifyResult(ModifyOutcome Outcome, Tid NewTid, Xid Xmax, CommandId Cmax)
{
    /// <summary>After an update: the new version is not heap-only, so every index needs an entry.</summary>
    public bool NeedsIndexEntries { get; init; }
}

public enum RowLockMode
{
    KeyShare, Share, NoKeyExclusive, Exclusive,
}

public enum LockWait
{
    Wait, Skip, Error,
}

/// <summary>
/// Row operations on a heap: what PostgreSQL's heapam.c does, with its log records, HOT, row locks and TOAST. Cheap to make; one per statement and table.
/// </summary>
public sealed partial class HeapTable
{
    private readonly HeapPlacement _placement;
    private readonly VisibilityMap _visibility;
    private readonly RowLocks _locks;

    public HeapTable(StorageEngine engine, Relation relation)
    {
        Engine = engine;
        Relation = relation;
        _placement = new HeapPlacement(engine, relation);
        _visibility = new VisibilityMap(engine, relation.Node);
        _locks = new RowLocks(engine, relation);
    }

    public StorageEngine Engine { get; }
    public Relation Relation { get; }

    /// <summary>TOAST tables and indexes hold their values as they are.</summary>
    private bool CanToast => Relation.Kind is 'r' or 'm';

    /// <summary>A scan of all rows that the snapshot sees, page by page.</summary>
    public HeapScan Scan(Snapshot snapshot) => new(Engine, Relation, snapshot);

    /// <summary>
    /// Reads the version that the snapshot sees of the HOT chain that begins at <paramref name="tid"/>; sets it to that version's place.
    /// <paramref name="allDead"/>: the whole chain is dead to everyone, so the index entry may be killed.
    /// </summary>
    public bool TryFetch(ref Tid tid, Snapshot snapshot, Datum[] values, out bool allDead)
    {
        bool found = false;
        using (PinnedPage page = Engine.Buffers.Pin(new BufferTag(Relation.Node, ForkNumber.Main, tid.Block)))
        {
            HeapPruning.PruneIfWorthIt(Engine, Relation, page);
            using SharedLatch latch = page.LatchShared();
            found = HotChain.TryFind(Engine, page, ref tid, snapshot, out allDead);
            if (found)
            {
                HeapTupleCodec.Deform(Relation.Desc, page.Page.ItemBytes(tid.Offset), values);
            }
        }

        if (found)
        {
            Detoaster.Replace(Engine, Relation, values);
        }

        return found;
    }

    /// <summary>Whether the snapshot sees a version of the chain that begins here; the row itself is not read (index-only scans, counts).</summary>
    public bool IsVisible(ref Tid tid, Snapshot snapshot, out bool allDead)
    {
        using PinnedPage page = Engine.Buffers.Pin(new BufferTag(Relation.Node, ForkNumber.Main, tid.Block));
        HeapPruning.PruneIfWorthIt(Engine, Relation, page);
        using SharedLatch latch = page.LatchShared();
        return HotChain.TryFind(Engine, page, ref tid, snapshot, out allDead);
    }

    /// <summary>
    /// For a uniqueness check: whether a version of the chain that begins here counts now, changes under way included; the conflict says whom to wait for.
    /// Sets <paramref name="tid"/> to it.
    /// </summary>
    public bool TryFindDirty(ref Tid tid, Transaction? own, out DirtyConflict conflict, out bool allDead)
    {
        using PinnedPage page = Engine.Buffers.Pin(new BufferTag(Relation.Node, ForkNumber.Main, tid.Block));
        using SharedLatch latch = page.LatchShared();
        return HotChain.TryFindDirty(Engine, page, ref tid, own, out conflict, out allDead);
    }

    /// <summary>Reads the version at just this place whoever sees it (after a lock, EvalPlanQual).</summary>
    public bool TryFetchVersion(Tid tid, Datum[] values)
    {
        if (tid.Block.Value >= Engine.Buffers.BlockCount(Relation.Node, ForkNumber.Main))
        {
            return false;
        }

        using (PinnedPage page = Engine.Buffers.Pin(new BufferTag(Relation.Node, ForkNumber.Main, tid.Block)))
        {
            using SharedLatch latch = page.LatchShared();
            if (tid.Offset < 1 || tid.Offset > page.Page.ItemCount || !page.Page.Item(tid.Offset).IsNormal)
            {
                return false;
            }

            HeapTupleCodec.Deform(Relation.Desc, page.Page.ItemBytes(tid.Offset), values);
        }

        Detoaster.Replace(Engine, Relation, values);
        return true;
    }

    /// <summary>The header of the version at just this place; its length is 0 where there is none.</summary>
    public HeapTupleHeader ReadHeader(Tid tid)
    {
        using PinnedPage page = Engine.Buffers.Pin(new BufferTag(Relation.Node, ForkNumber.Main, tid.Block));
        using SharedLatch latch = page.LatchShared();
        return tid.Offset >= 1 && tid.Offset <= page.Page.ItemCount && page.Page.Item(tid.Offset).IsNormal
            ? HeapTupleCodec.ReadHeader(page.Page.ItemBytes(tid.Offset)) : default;
    }

    /// <summary>Overwrites a row in place, same size, not transactional (heap_inplace_update: pg_class counts, datfrozenxid).</summary>
    /// <exception cref="StorageException">The new row has another length.</exception>
    public void UpdateInPlace(Transaction tx, Tid tid, ReadOnlySpan<Datum> values)
    {
        CheckWritable();
        ReadOnlySpan<byte> formed = Form(values);
        using PinnedPage page = Engine.Buffers.Pin(new BufferTag(Relation.Node, ForkNumber.Main, tid.Block));
        using ExclusiveLatch latch = page.LatchExclusive();
        if (tid.Offset < 1 || tid.Offset > page.Page.ItemCount || !page.Page.Item(tid.Offset).IsNormal)
        {
            throw new StorageException($"row {tid} of \"{Relation.Name}\" is not there");
        }

        Span<byte> row = page.Page.ItemBytes(tid.Offset);
        int header = HeapTupleCodec.ReadHeader(row).HeaderLength;
        if (row.Length != formed.Length || header != HeapTupleCodec.ReadHeader(formed).HeaderLength)
        {
            throw new StorageException($"row {tid} of \"{Relation.Name}\" has {row.Length} bytes and cannot be overwritten by {formed.Length}");
        }

        try
        {
            using (Invariant.EnterCritical())
            {
                page.MarkDirty();
                formed[header..].CopyTo(row[header..]);
                HeapLog.InPlace(Engine, tx.XidOrInvalid, page, tid.Offset);
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
    }

    private void CheckWritable()
    {
        if (Relation.Persistence == 't')
        {
            throw PgException.NotSupported("a temporary table");
        }

        _ = Engine.WritableWal;
        if (!Relation.IsCatalog)
        {
            // Catalogs have the reserve: DDL goes on while a reader holds the writer's pages back.
            Engine.Buffers.AwaitRoomForChange();
        }
    }
}

[Flags]
public enum HeapInsertOptions
{
    None = 0,

    /// <summary>Rows are stored frozen, pages all-visible (COPY FREEZE into a table created or truncated in this transaction).</summary>
    Frozen = 1,
    SkipFsm = 2,
}
