using SharedStorage.Buffers;
using SharedStorage.Catalog;
using SharedStorage.Catalog.Ddl;
using SharedStorage.Format.Control;
using SharedStorage.Format.Tuples;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Catalog;

/// <summary>
/// The storage layers of a writer on a directory that stock PostgreSQL left cleanly: enough to run DDL. <see cref="Crash"/> leaves only the log, so that
/// stock PostgreSQL's recovery replays what was done.
/// </summary>
internal sealed class WriterEngine : IDisposable
{
    private readonly string _dataDirectory;
    private ControlFile _control;

    public WriterEngine(string dataDirectory, IComparatorProvider? comparators = null)
    {
        _dataDirectory = dataDirectory;
        _control = new ControlFileStore(dataDirectory).Read();
        var log = new WalDirectory(Path.Combine(dataDirectory, "pg_wal"), (int)_control.WalSegmentSize, _control.SystemIdentifier);
        TimelineHistory history = log.ReadHistory(_control.CheckPoint.Timeline);
        Lsn end;
        using (WalReader reader = WalReader.Open(log, history, _control.CheckPointAt))
        {
            var record = new WalRecord();
            Assert.Equal(WalRead.Record, reader.Read(record));
            end = record.End;
        }

        _control.State = ClusterState.InProduction;
        new ControlFileStore(dataDirectory).Write(ref _control);
        Wal = WalInserter.Start(
            new WalInserterOptions { Directory = log, Timeline = history.Timeline },
            new WalStart { InsertAt = end, PreviousRecord = _control.CheckPointAt, RedoPointer = _control.CheckPoint.Redo });
        var files = new RelationFiles(dataDirectory, readOnly: false);
        var pool = new BufferPool(new BufferPoolOptions { Frames = 2048, Files = files, Applied = new LsnCell(Lsn.Max), Consistent = new LsnCell(end) });
        pool.SwitchToWriting(new InserterLog(Wal), new OpenGate());
        var locks = new LockManager();
        var transactions = new TransactionManager(dataDirectory, readOnly: false, locks, TimeProvider.System);
        transactions.Start(TransactionStart.From(_control.CheckPoint, shutdown: true) with { Begin = end });
        transactions.OpenForWrites(new TransactionLog(Wal));
        Engine = new StorageEngine { Files = files, Buffers = pool, Transactions = transactions, Locks = locks, Wal = Wal };
        Manager = new CatalogManager(new EngineCatalogReader(Engine), new RelationMaps(dataDirectory), comparators ?? new NoComparators(), end);
        transactions.Listener = Manager;
        Oids = new OidCounter(_control.CheckPoint.NextOid);
        Engine.NewOid = () => Oids.Next(Wal);
    }

    public WalInserter Wal { get; }
    public StorageEngine Engine { get; }
    public CatalogManager Manager { get; }
    public OidCounter Oids { get; }

    public DatabaseCatalog Database
    {
        get
        {
            Transaction tx = Engine.Transactions.Begin(readOnly: true);
            using Snapshot snapshot = tx.TakeSnapshot();
            DatabaseCatalog database = Manager.Database(new Oid(5), snapshot);
            snapshot.Dispose();
            tx.Abort();
            return database;
        }
    }

    /// <summary>Runs statements in a transaction of their own.</summary>
    public void Run(Action<CatalogWriter> statements)
    {
        DatabaseCatalog database = Database;
        Transaction tx = Engine.Transactions.Begin();
        using (var writer = new CatalogWriter(database, Engine, tx, Oids, new Oid(PgOids.BootstrapSuperuser)))
        {
            statements(writer);
        }

        tx.Commit();
    }

    /// <summary>Looks at the catalogs as they are now.</summary>
    public T Look<T>(Func<CatalogView, T> what)
    {
        DatabaseCatalog database = Database;
        Transaction tx = Engine.Transactions.Begin(readOnly: true);
        using Snapshot snapshot = tx.TakeSnapshot();
        T result = what(database.View(snapshot));
        snapshot.Dispose();
        tx.Abort();
        return result;
    }

    /// <summary>Everything in memory is lost; the log up to now is durable.</summary>
    public void Crash()
    {
        Wal.Flush(Wal.Inserted);
        Dispose();
        if (Environment.UserName == "root")
        {
            // What was made here as root must be stock PostgreSQL's, which does not run as root.
            using var chown = System.Diagnostics.Process.Start("/bin/chown", ["-R", "postgres:postgres", _dataDirectory]);
            chown.WaitForExit();
        }
    }

    public void Dispose()
    {
        Wal.Dispose();
        Engine.Buffers.Dispose();
        Engine.Files.Dispose();
    }

    private sealed class OpenGate : IFlushGate
    {
        public Lsn LowestApplied => Lsn.Max;
        public FlushVerdict Judge(Lsn pageLsn) => FlushVerdict.Write;
    }

    private sealed class NoComparators : IComparatorProvider
    {
        public Comparison<Datum>? Find(string supportFunction, PgCollationInfo? collation) =>
            supportFunction == "bttextcmp" ? (a, b) => a.Bytes.AsSpan().SequenceCompareTo(b.Bytes) : null;
    }
}
