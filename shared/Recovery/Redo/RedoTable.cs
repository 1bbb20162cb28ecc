using System.Diagnostics.CodeAnalysis;
using SharedStorage.Access.Brin.Redo;
using SharedStorage.Access.Btree.Redo;
using SharedStorage.Access.Generic.Redo;
using SharedStorage.Access.Gin.Redo;
using SharedStorage.Access.Gist.Redo;
using SharedStorage.Access.Hash.Redo;
using SharedStorage.Access.Heap.Redo;
using SharedStorage.Access.Sequence.Redo;
using SharedStorage.Access.Spgist.Redo;
using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Recovery.Redo;

/// <summary>Brings one page forward over one record of a resource manager; <paramref name="blockId"/> is -1 for a page that the record names only by implication.</summary>
public delegate void PageRoutine(WalRecord record, int blockId, in BufferTag tag, Page page);

/// <summary>Names the pages that a record changes without a reference to them (visibility-map bits that it clears). Gives their number.</summary>
public delegate int ImpliedPagesRoutine(WalRecord record, Span<BufferTag> into);

/// <summary>What the table knows of a resource manager. A null page routine means that its records touch no page of a relation.</summary>
public readonly record struct ResourceManager(Rmgr Id, PageRoutine? Redo, ImpliedPagesRoutine? Implied)
{
    /// <summary>What is done in place of a record's effects beside pages; null on a node: the tail's own.</summary>
    public Action<WalRecord>? Effects { get; init; }

    /// <summary>All that its records do, they do to pages.</summary>
    public bool OnlyPages { get; init; }
}

/// <summary>
/// The one list of resource managers. Whoever asks where a record is redone starts here (PostgreSQL's rmgrlist.h). A resource manager that is not listed
/// stops the node by name (I10).
/// </summary>
public sealed class RedoTable : IPageRedo
{
    /// <summary>The most pages that any record implies.</summary>
    public const int MaxImpliedPages = HeapRedo.MaxImpliedPages;

    private readonly ResourceManager[] _managers = new ResourceManager[256];
    private readonly bool[] _known = new bool[256];

    public RedoTable()
    {
        Add(new(Rmgr.Xlog, RedoXlog, null));
        Add(new(Rmgr.Transaction, null, null));
        Add(new(Rmgr.Storage, null, null));
        Add(new(Rmgr.Clog, null, null));
        Add(new(Rmgr.Database, null, null));
        Add(new(Rmgr.Tablespace, null, null));
        Add(new(Rmgr.MultiXact, null, null));
        Add(new(Rmgr.RelMap, null, null));
        Add(new(Rmgr.Standby, null, null));
        Add(new(Rmgr.Heap2, Heap2Redo.Apply, Heap2Redo.ImpliedPages) { OnlyPages = true });
        Add(new(Rmgr.Heap, HeapRedo.Apply, HeapRedo.ImpliedPages) { OnlyPages = true });
        Add(new(Rmgr.Btree, BtreeRedo.Apply, null) { OnlyPages = true });
        Add(new(Rmgr.Hash, HashRedo.Apply, null) { OnlyPages = true });
        Add(new(Rmgr.Gin, GinRedo.Apply, null) { OnlyPages = true });
        Add(new(Rmgr.Gist, GistRedo.Apply, null) { OnlyPages = true });
        Add(new(Rmgr.Sequence, (WalRecord r, int _, in BufferTag _, Page p) => SequenceRedo.Apply(r, p), null) { OnlyPages = true });
        Add(new(Rmgr.Spgist, SpgistRedo.Apply, null) { OnlyPages = true });
        Add(new(Rmgr.Brin, BrinRedo.Apply, null) { OnlyPages = true });
        Add(new(Rmgr.Generic, GenericRedo.Apply, null) { OnlyPages = true });
        Add(new(Rmgr.CommitTs, null, null));
        Add(new(Rmgr.ReplicationOrigin, null, null));
        Add(new(Rmgr.LogicalMessage, null, null) { OnlyPages = true });
    }

    /// <summary>Puts a routine in another's place: planted faults in tests of the oracle.</summary>
    public void Replace(Rmgr id, PageRoutine redo) => Add(Find(id, null) with { Redo = redo });

    /// <summary>Puts something in the place of what a resource manager's records do beside pages: planted faults in tests of the oracle.</summary>
    public void ReplaceEffects(Rmgr id, Action<WalRecord> effects) => Add(Find(id, null) with { Effects = effects, OnlyPages = false });

    /// <exception cref="StorageException">I10: the record's resource manager is not known.</exception>
    public ref readonly ResourceManager ManagerOf(WalRecord record) => ref Find(record.Rmgr, record);

    /// <inheritdoc/>
    public void Apply(WalRecord record, in BufferTag tag, Page page)
    {
        ref readonly ResourceManager manager = ref ManagerOf(record);
        int blockId = BlockIdOf(record, tag);
        if (manager.Redo is null)
        {
            throw record.Malformed($"it touches {tag}, but its resource manager touches no pages");
        }

        try
        {
            if (blockId >= 0 && record.Block(blockId) is { HasImage: true, ApplyImage: true })
            {
                record.RestoreImage(blockId, page.Bytes);

                // An all-zero image stays all-zero: a page that was never initialized carries no LSN.
                if (!page.IsNew)
                {
                    page.Lsn = record.End;
                }
            }

            // R15: the record's own routine runs after its image as well; what the image does not cover is its to do.
            manager.Redo(record, blockId, tag, page);
        }
        catch (Exception e) when (WalRecord.IsRejection(e))
        {
            throw record.Rejected(e);
        }
    }

    private static int BlockIdOf(WalRecord record, in BufferTag tag)
    {
        for (int id = 0; id < record.BlockCount; id++)
        {
            if (record.HasBlock(id) && record.Block(id).Tag == tag)
            {
                return id;
            }
        }

        return HeapRedo.Implied;
    }

    private static void RedoXlog(WalRecord record, int blockId, in BufferTag tag, Page page)
    {
        // Before a hint is set a page is logged, but without its image where full_page_writes is off: then there is nothing to do.
        bool sound = record.OpCode switch
        {
            XlogOp.Image => record.Block(blockId).HasImage,
            XlogOp.ImageForHint => record.HasBlock(blockId),
            _ => false,
        };
        if (!sound)
        {
            throw record.Malformed("it references a page without an image");
        }
    }

    private void Add(ResourceManager manager)
    {
        _managers[(int)manager.Id] = manager;
        _known[(int)manager.Id] = true;
    }

    private ref readonly ResourceManager Find(Rmgr id, WalRecord? record)
    {
        if (!_known[(int)id])
        {
            ThrowUnknown(id, record);
        }

        return ref _managers[(int)id];
    }

    [DoesNotReturn]
    private static void ThrowUnknown(Rmgr id, WalRecord? record) =>
        throw new StorageException(
            record is null
                ? $"redo for resource manager {id} is not supported yet"
                : $"redo for resource manager {id} is not supported yet (record at {record.Start}, info 0x{record.Info:X2})")
        {
            SqlState = SqlStates.FeatureNotSupported,
        };
}
