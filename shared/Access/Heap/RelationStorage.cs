using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Heap;

/// <summary>Making and cutting the files of relations, with their log records (PostgreSQL's storage.c).</summary>
public static class RelationStorage
{
    /// <summary>The record changes files in a way that no block reference tells (XLR_SPECIAL_REL_UPDATE): for tools like pg_rewind.</summary>
    private const byte SpecialRelUpdate = 0x01;

    /// <summary>Makes an empty fork; an abort of the transaction removes the relation's files (I5). The caller knows that the number is free.</summary>
    public static void Create(StorageEngine engine, Transaction tx, RelFileNode node, ForkNumber fork = ForkNumber.Main)
    {
        // An xid first: only the record of the transaction's end can remove the file again after a crash.
        Xid xid = tx.Xid;
        engine.Files.Create(node, fork, mayExist: false);
        if (fork == ForkNumber.Main)
        {
            tx.DropFilesAtAbort(node);
        }

        WalRecordBuilder record = engine.WritableWal.Begin(xid);
        new StorageCreateRecord(node, fork).Write(record);
        engine.WritableWal.Insert(record, Rmgr.Storage, StorageOp.Create | SpecialRelUpdate);
    }

    /// <summary>
    /// Cuts a heap to so many blocks, and its maps with it (RelationTruncate). The caller holds the relation's exclusive lock and knows that the tail is empty.
    /// The files are cut by the node's <see cref="IFileShortening"/> (R1).
    /// </summary>
    public static void Truncate(StorageEngine engine, RelFileNode node, BlockNumber blocks)
    {
        var freeSpace = new FreeSpaceMap(engine, node);
        List<ForkCut> cuts = [new ForkCut(ForkNumber.Main, blocks.Value)];
        BlockNumber map = freeSpace.PrepareTruncate(blocks);
        if (map.IsValid)
        {
            cuts.Add(new ForkCut(ForkNumber.FreeSpaceMap, map.Value));
        }

        BlockNumber visibility = new VisibilityMap(engine, node).PrepareTruncate(blocks);
        if (visibility.IsValid)
        {
            cuts.Add(new ForkCut(ForkNumber.VisibilityMap, visibility.Value));
        }

        IFileShortening shortening = engine.Shortening ?? new ImmediateShortening(engine);
        shortening.Shorten(node, cuts, () => Log(engine, node, blocks));
        if (map.IsValid)
        {
            // Upper pages of the map would send inserters beyond the end.
            freeSpace.Vacuum(blocks.Value);
        }
    }

    private static Lsn Log(StorageEngine engine, RelFileNode node, BlockNumber blocks)
    {
        WalRecordBuilder record = engine.WritableWal.Begin(Xid.Invalid);
        if (engine.Unlogged.Contains(node))
        {
            // R16: the cut is not replayed, but readers' positions and the pages' LSNs go on.
            return engine.WritableWal.Insert(record, Rmgr.Xlog, XlogOp.Noop);
        }

        new StorageTruncateRecord(blocks.Value, node, StorageTruncateFlags.All).Write(record);
        return engine.WritableWal.Insert(record, Rmgr.Storage, StorageOp.Truncate | SpecialRelUpdate);
    }
}
