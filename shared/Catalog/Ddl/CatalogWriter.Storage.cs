using System.Buffers.Binary;
using SharedStorage.Access;
using SharedStorage.Catalog.Rows;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Locks;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;

namespace SharedStorage.Catalog.Ddl;

/// <summary>Files of relations: numbers, creation with its log record, removal at the transaction's end (PostgreSQL's storage.c).</summary>
public sealed partial class CatalogWriter
{
    private const byte SmgrCreate = 0x10;

    /// <summary>A number that neither a row of pg_class nor a file has (GetNewRelFileNode); also used as the new relation's own number.</summary>
    private Oid NewFileNumber(Oid tablespace)
    {
        while (true)
        {
            Oid id = NewOid(SystemCatalogs.Class);
            if (!_engine.Files.Exists(NodeOf(tablespace, id), ForkNumber.Main))
            {
                return id;
            }
        }
    }

    private RelFileNode NodeOf(Oid tablespace, Oid number) =>
        new(tablespace.IsValid ? tablespace : _database.Tablespace, _database.Id, number);

    /// <summary>
    /// Makes an empty main fork. The record comes after the file, as redo of an existing file is harmless; an abort removes it (I5 lets it go).
    /// </summary>
    private RelFileNode CreateFile(Oid tablespace, Oid number, char persistence)
    {
        RelFileNode node = NodeOf(tablespace, number);

        // An xid first: only the transaction's end record can remove the file again.
        Xid xid = _tx.Xid;
        ForkNumber logged = ForkNumber.Main;
        if (persistence == 'u')
        {
            // R16: the fork that the relation is reset to comes first: what has a main fork and none of these would not be reset. Of the two it alone is in the log.
            _engine.Unlogged.Add(node);
            logged = ForkNumber.Init;
            _engine.Files.Create(node, ForkNumber.Init, mayExist: false);
        }

        _engine.Files.Create(node, ForkNumber.Main, mayExist: false);
        _tx.DropFilesAtAbort(node);
        Span<byte> body = stackalloc byte[RelFileNode.Size + sizeof(int)];
        BinaryPrimitives.WriteUInt32LittleEndian(body, node.Tablespace.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(body[4..], node.Database.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(body[8..], node.Relation.Value);
        BinaryPrimitives.WriteInt32LittleEndian(body[12..], (int)logged);
        WalInserter wal = _engine.WritableWal;
        wal.Insert(wal.Begin(xid).AddData(body), Rmgr.Storage, SmgrCreate);
        return node;
    }

    /// <summary>Nobody else can see the new relation yet; the lock keeps the order of locks the same everywhere.</summary>
    private void LockNew(Oid relation) => Lock(relation, LockMode.AccessExclusive);

    private void Lock(Oid relation, LockMode mode) =>
        _engine.Locks.Acquire(_tx, LockTag.Relation(_database.Id, relation), mode);

    /// <summary>
    /// TRUNCATE: the table, its TOAST table and all their indexes get new, empty files; the old ones go at commit. The caller holds ACCESS EXCLUSIVE locks.
    /// </summary>
    public void Truncate(Oid table)
    {
        SetNewFile(table);
        Oid toast = View.ClassById(table)!.RelToastRelId;
        var indexes = View.GetIndexes(table).Select(i => i.Relation.Id).ToList();
        if (toast.IsValid)
        {
            SetNewFile(toast);
            indexes.AddRange(View.GetIndexes(toast).Select(i => i.Relation.Id));
        }

        foreach (Oid index in indexes)
        {
            SetNewFile(index);
        }

        NextCommand();
        foreach (Oid index in indexes)
        {
            BuildEmptyIndex(View.GetIndex(index));
        }

        NextCommand();
    }

    /// <summary>A new empty file for a relation, in a new row version (RelationSetNewRelfilenode).</summary>
    private void SetNewFile(Oid relation)
    {
        (PgClass row, Tid tid) = Get(SystemCatalogs.Class, relation);
        if (!row.RelFileNode.IsValid)
        {
            throw PgException.NotSupported($"a new file for the mapped catalog \"{row.RelName}\"");
        }

        Oid number = NewFileNumber(row.RelTablespace);
        CreateFile(row.RelTablespace, number, row.RelPersistence);
        _tx.DropFilesAtCommit(RelationBuilder.NodeOf(View, row));
        bool hasXids = row.RelKind is 'r' or 't' or 'm';
        Update(SystemCatalogs.Class, tid, row, row with
        {
            RelFileNode = number,
            RelPages = 0,
            RelTuples = -1,
            RelAllVisible = 0,
            RelFrozenXid = hasXids ? _engine.Transactions.XidHorizon : row.RelFrozenXid,
            RelMinMxid = hasXids ? View.DatabaseById(_database.Id)!.DatMinMxid : row.RelMinMxid,
        });
    }
}
