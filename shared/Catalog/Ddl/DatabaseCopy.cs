using SharedStorage.Access;
using SharedStorage.Access.Heap;
using SharedStorage.Buffers;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Pages;
using SharedStorage.Format.RelMap;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Records;

namespace SharedStorage.Catalog.Ddl;

/// <summary>
/// Makes a database's files as a copy of another's, all of it by the log (CREATE DATABASE ... STRATEGY WAL_LOG; CreateDatabaseUsingWalLog of dbcommands.c): the folder, the relation map, and each
/// page of each relation. So readers and recovery need nothing but the log, and pages reach storage like any others, past the gate (I2).
/// </summary>
/// <remarks>The caller keeps everybody else out of the source. What a failed or crashed creation leaves is a folder that no row of pg_database names; <see cref="Discard"/> lets it go.</remarks>
public sealed class DatabaseCopy(StorageEngine engine, CatalogManager catalogs, Transaction tx, Action checkInterrupts)
{
    private const UnixFileMode FolderMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>The record changes files in a way that no block reference tells (XLR_SPECIAL_REL_UPDATE).</summary>
    private const byte SpecialRelUpdate = 0x01;

    private readonly byte[] _page = new byte[Page.Size];

    /// <summary>Whether the number has a folder, of a database that is there or of one that waits for its removal (I5).</summary>
    public static bool FolderExists(StorageEngine engine, Oid tablespace, Oid database) => Directory.Exists(FolderOf(engine, tablespace, database));

    /// <summary>Copies all relations. The new database has the source's tablespace.</summary>
    public void Run(PgDatabase source, Oid target, Snapshot snapshot)
    {
        Oid tablespace = source.DatTablespace;
        CatalogView view = catalogs.Database(source.Oid, snapshot).View(snapshot);
        List<PgClass> relations = [.. view.Scan(SystemCatalogs.Class).Where(c => !c.RelIsShared && c.RelPersistence != 't' && c.RelKind is 'r' or 'i' or 't' or 'm' or 'S')];
        foreach (PgClass row in relations)
        {
            if (row.RelTablespace.IsValid && row.RelTablespace != tablespace)
            {
                throw PgException.NotSupported($"CREATE DATABASE from a template with relations in another tablespace (\"{row.RelName}\")");
            }
        }

        MakeFolder(tablespace, target);
        CopyMap(source, target);
        foreach (PgClass row in relations)
        {
            RelFileNode from = RelationBuilder.NodeOf(view, row);
            if (from.Relation.IsValid)
            {
                CopyRelation(from, new RelFileNode(tablespace, target, from.Relation), row.RelPersistence == 'p');
            }
        }
    }

    /// <summary>Logs that a database's folder goes; gives the record's end, for who removes it (I5).</summary>
    public static Lsn LogDrop(StorageEngine engine, Transaction tx, Oid tablespace, Oid database)
    {
        WalInserter wal = engine.WritableWal;
        WalRecordBuilder record = wal.Begin(tx.XidOrInvalid);
        new DatabaseDropRecord { Database = database, Tablespaces = [tablespace] }.Write(record);
        return wal.Insert(record, Rmgr.Database, DatabaseOp.Drop | SpecialRelUpdate);
    }

    private static string FolderOf(StorageEngine engine, Oid tablespace, Oid database) =>
        Path.Combine(engine.Files.DataDirectory, RelationFiles.RelativeDirectory(new RelFileNode(tablespace, database, Oid.Invalid)));

    private void MakeFolder(Oid tablespace, Oid target)
    {
        string folder = FolderOf(engine, tablespace, target);
        Directory.CreateDirectory(folder, FolderMode);
        DurableFile.Write(Path.Combine(folder, "PG_VERSION"), "15\n"u8);
        DurableFile.SyncDirectory(Path.GetDirectoryName(folder)!);
        WalRecordBuilder record = engine.WritableWal.Begin(tx.Xid);
        new DatabaseCreateRecord(target, tablespace).Write(record);
        engine.WritableWal.Insert(record, Rmgr.Database, DatabaseOp.CreateWalLog);
    }

    private void CopyMap(PgDatabase source, Oid target)
    {
        string path = Path.Combine(FolderOf(engine, source.DatTablespace, source.Oid), RelationMapFile.FileName);
        byte[] map = File.ReadAllBytes(path);
        _ = RelationMapFile.Read(map, path);
        WalRecordBuilder record = engine.WritableWal.Begin(tx.Xid);
        new RelMapUpdateRecord { Database = target, Tablespace = source.DatTablespace, File = map }.Write(record);
        engine.WritableWal.Flush(engine.WritableWal.Insert(record, Rmgr.RelMap, RelMapOp.Update));
        DurableFile.Write(Path.Combine(FolderOf(engine, source.DatTablespace, target), RelationMapFile.FileName), map);
    }

    private void CopyRelation(RelFileNode from, RelFileNode to, bool permanent)
    {
        for (ForkNumber fork = ForkNumber.Main; fork <= ForkNumber.Init; fork++)
        {
            if (fork != ForkNumber.Main && !engine.Buffers.ForkExists(from, fork))
            {
                continue;
            }

            bool logged = permanent || fork == ForkNumber.Init;
            CreateFork(to, fork, logged);
            uint blocks = engine.Buffers.BlockCount(from, fork);
            for (uint block = 0; block < blocks; block++)
            {
                checkInterrupts();
                CopyPage(new BufferTag(from, fork, new BlockNumber(block)), to, logged);
            }
        }
    }

    /// <summary>Not registered with the transaction: on failure the folder goes as a whole.</summary>
    private void CreateFork(RelFileNode node, ForkNumber fork, bool logged)
    {
        engine.Files.Create(node, fork, mayExist: false);
        if (logged)
        {
            WalRecordBuilder record = engine.WritableWal.Begin(tx.Xid);
            new StorageCreateRecord(node, fork).Write(record);
            engine.WritableWal.Insert(record, Rmgr.Storage, StorageOp.Create | SpecialRelUpdate);
        }
    }

    private void CopyPage(in BufferTag from, RelFileNode to, bool logged)
    {
        bool isMap = from.Fork is ForkNumber.FreeSpaceMap or ForkNumber.VisibilityMap;
        using (PinnedPage source = engine.Buffers.Pin(from, isMap ? PinMode.ZeroOnError : PinMode.Normal))
        {
            using SharedLatch latch = source.LatchShared();
            source.Page.Bytes.CopyTo(_page);
        }

        PinnedPage pin = engine.Buffers.PinNew(to, from.Fork);
        try
        {
            using Invariant.CriticalSection critical = Invariant.EnterCritical();
            Page page = pin.Page;
            _page.CopyTo(page.Bytes);
            pin.MarkDirty();
            if (logged)
            {
                // Map pages keep their bits where the standard layout has its hole.
                Lsn end = PageImage.Log(engine, tx.Xid, pin, standardLayout: !isMap);
                if (!page.IsNew)
                {
                    page.Lsn = end;
                }
            }
        }
        catch (Exception e)
        {
            Invariant.Abandon(e);
        }
        finally
        {
            pin.Unlatch();
            pin.Dispose();
        }
    }
}
