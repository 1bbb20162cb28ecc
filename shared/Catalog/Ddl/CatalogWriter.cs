using System.Collections.Frozen;
using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Access.Heap;
using SharedStorage.Catalog.Invalidation;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Catalog.Ddl;

/// <summary>
/// Changes catalogs within a transaction: rows with their index entries and invalidation messages (this part), and on top of them what DDL statements do to
/// tables, indexes, constraints, schemas (the other parts). One object per statement; it belongs to the session's thread.
/// </summary>
/// <remarks>
/// The caller holds the locks on existing objects that PostgreSQL's statement takes. What a statement wrote is seen after <see cref="NextCommand"/>, which the
/// methods here call where PostgreSQL does and once more at their end.
/// </remarks>
public sealed partial class CatalogWriter : IDisposable
{
    private readonly DatabaseCatalog _database;
    private readonly StorageEngine _engine;
    private readonly Transaction _tx;
    private readonly OidCounter _oids;
    private readonly HashSet<InvalidationMessage> _sent = [];
    private Snapshot _snapshot;

    /// <param name="currentUser">Owns what is created.</param>
    public CatalogWriter(DatabaseCatalog database, StorageEngine engine, Transaction tx, OidCounter oids, Oid currentUser)
    {
        _database = database;
        _engine = engine;
        _tx = tx;
        _oids = oids;
        CurrentUser = currentUser;
        _snapshot = tx.TakeSnapshot();
        View = database.View(_snapshot);
    }

    public Oid CurrentUser { get; }

    /// <summary>The catalogs with all that was done before the last <see cref="NextCommand"/>.</summary>
    public CatalogView View { get; private set; }

    public Transaction Transaction => _tx;

    /// <summary>Makes what was written visible to what follows (CommandCounterIncrement).</summary>
    public void NextCommand()
    {
        _tx.NextCommand();
        _snapshot.Dispose();
        _snapshot = _tx.TakeSnapshot();
        View = _database.View(_snapshot);
        _sent.Clear();
    }

    public void Dispose() => _snapshot.Dispose();

    /// <summary>A number that is free in the catalog's index on "oid" (GetNewOidWithIndex).</summary>
    public Oid NewOid<TRow>(CatalogTable<TRow> table)
        where TRow : class, ICatalogRow<TRow>
    {
        CatalogIndex index = table.IndexOn("oid");
        while (true)
        {
            Oid oid = _oids.Next(_engine.WritableWal);
            if (View.Search(table, index, Datum.FromOid(oid)).Count == 0)
            {
                return oid;
            }
        }
    }

    /// <summary>Stores a row with its index entries; a duplicate key is an error (23505).</summary>
    public Tid Insert<TRow>(CatalogTable<TRow> table, TRow row)
        where TRow : class, ICatalogRow<TRow>
    {
        CatalogRelation files = View.Files(table);
        Datum[] values = table.Write(row);
        var heap = new HeapTable(_engine, files.Relation);
        Tid tid = heap.Insert(_tx, values);
        InsertEntries(files, heap, values, tid);
        NoteChange(table, values);
        return tid;
    }

    /// <summary>Replaces a row that <see cref="View"/> sees at the place.</summary>
    /// <exception cref="PgException">XX000: another transaction changed it meanwhile.</exception>
    public void Update<TRow>(CatalogTable<TRow> table, Tid tid, TRow before, TRow after)
        where TRow : class, ICatalogRow<TRow>
    {
        CatalogRelation files = View.Files(table);
        Datum[] values = table.Write(after);
        var heap = new HeapTable(_engine, files.Relation);
        ModifyResult result = heap.Update(_tx, tid, values, _snapshot, IndexedColumns(table, false), IndexedColumns(table, true), out Tid newTid);
        CheckOutcome(result, "updated");
        if (result.NeedsIndexEntries)
        {
            InsertEntries(files, heap, values, newTid);
        }

        NoteChange(table, table.Write(before));
        NoteChange(table, values);
    }

    public void Delete<TRow>(CatalogTable<TRow> table, Tid tid, TRow row)
        where TRow : class, ICatalogRow<TRow>
    {
        ModifyResult result = new HeapTable(_engine, View.Files(table).Relation).Delete(_tx, tid, _snapshot);
        CheckOutcome(result, "deleted");
        NoteChange(table, table.Write(row));
    }

    /// <summary>Overwrites fixed-width columns of a row in place, at once and for all (heap_inplace_update).</summary>
    public void UpdateInPlace<TRow>(CatalogTable<TRow> table, Tid tid, TRow row)
        where TRow : class, ICatalogRow<TRow>
    {
        Datum[] values = table.Write(row);
        new HeapTable(_engine, View.Files(table).Relation).UpdateInPlace(_tx, tid, values);
        NoteChange(table, values);
    }

    /// <summary>The only row with this number in the catalog's index on "oid".</summary>
    internal (TRow Row, Tid Tid) Get<TRow>(CatalogTable<TRow> table, Oid oid)
        where TRow : class, ICatalogRow<TRow>
    {
        IReadOnlyList<(TRow Row, Tid Tid)> rows = View.Search(table, table.IndexOn("oid"), Datum.FromOid(oid));
        return rows.Count == 1 ? rows[0] : throw new PgException(SqlStates.InternalError, $"cache lookup failed for {table.Name} {oid}");
    }

    /// <summary>Every node forgets what it keeps of the relation (CacheInvalidateRelcache).</summary>
    public void InvalidateRelation(Oid relation, bool shared = false) =>
        Send(new InvalidationMessage(InvalidationKind.Relation, 0, shared ? Oid.Invalid : _database.Id, relation.Value));

    private static FrozenSet<int> IndexedColumns(CatalogTable table, bool uniqueOnly) =>
        table.Indexes.Where(i => i.IsUnique || !uniqueOnly).SelectMany(i => i.Columns).Select(c => (int)c).ToFrozenSet();

    private static void CheckOutcome(in ModifyResult result, string what)
    {
        switch (result.Outcome)
        {
            case ModifyOutcome.Ok:
                return;
            case ModifyOutcome.SelfModified:
                throw new PgException(SqlStates.InternalError, "tuple already updated by self");
            default:
                throw new PgException(SqlStates.InternalError, $"tuple concurrently {what}");
        }
    }

    private void InsertEntries(CatalogRelation files, HeapTable heap, Datum[] values, Tid tid)
    {
        foreach (IndexInfo index in files.Indexes)
        {
            var key = new Datum[index.Columns.Count];
            for (int i = 0; i < key.Length; i++)
            {
                key[i] = values[index.Columns[i].HeapAttribute - 1];
            }

            new BtreeIndex(_engine, index).Insert(_tx, key, tid, index.IsUnique ? UniqueCheck.Yes : UniqueCheck.No, heap);
        }
    }

    private void NoteChange(CatalogTable table, ReadOnlySpan<Datum> values)
    {
        var messages = new List<InvalidationMessage>();
        RowMessages.Add(messages, table, values, _database.Id);
        foreach (InvalidationMessage message in messages)
        {
            Send(message);
        }
    }

    private void Send(InvalidationMessage message)
    {
        if (!_sent.Add(message))
        {
            return;
        }

        Span<byte> bytes = stackalloc byte[InvalidationMessage.Size];
        message.Write(bytes);
        _tx.AddInvalidation(bytes);
        _database.ChangesOf(_tx).NoteChange(_tx.Command);
    }
}
