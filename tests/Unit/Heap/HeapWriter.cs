using System.Diagnostics;
using System.Globalization;
using SharedStorage.Access;
using SharedStorage.Access.Heap;
using SharedStorage.Buffers;
using SharedStorage.Format.Control;
using SharedStorage.Format.Tuples;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Redo;
using SharedStorage.TestKit;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Heap;

/// <summary>
/// A writer's storage on a directory that stock PostgreSQL stopped cleanly, with the tables that it made there. <see cref="Crash"/> ends it as a kill does: the
/// log is durable, pages are not. Stock PostgreSQL then recovers from our records and shows what they made.
/// </summary>
internal sealed class HeapWriter : IDisposable, IFlushGate
{
    private readonly StockPostgres _server;
    private readonly WalInserter _wal;
    private readonly WalRecords _records;
    private readonly RecentWal _recent = new();
    private readonly Oid _database;
    private uint _nextOid = 900_000;
    private bool _disposed;

    public HeapWriter(StockPostgres server, Oid database, int frames = 2000)
    {
        _server = server;
        _database = database;
        ControlFile control = new ControlFileStore(server.DataDirectory).Read();
        var directory = new WalDirectory(Path.Combine(server.DataDirectory, "pg_wal"), (int)control.WalSegmentSize, control.SystemIdentifier);
        TimelineHistory history = directory.ReadHistory(control.CheckPoint.Timeline);
        Lsn end;
        using (WalReader reader = WalReader.Open(directory, history, control.CheckPointAt))
        {
            var record = new WalRecord();
            Assert.Equal(WalRead.Record, reader.Read(record));
            end = record.End;
        }

        Start = end;
        _wal = WalInserter.Start(
            new WalInserterOptions { Directory = directory, Timeline = control.CheckPoint.Timeline, ConsistencyChecking = static _ => true },
            new WalStart { InsertAt = end, PreviousRecord = control.CheckPointAt, RedoPointer = control.CheckPoint.Redo });
        _records = new WalRecords(directory, history, _recent);
        var files = new RelationFiles(server.DataDirectory, readOnly: false);
        var pool = new BufferPool(new BufferPoolOptions
        {
            Frames = frames,
            Files = files,
            Applied = new LsnCell(end),
            Consistent = new LsnCell(end),
            Redo = new RedoTable(),
            Records = _records,
        });
        pool.SwitchToWriting(new InserterLog(_wal), this);
        var locks = new LockManager();
        var transactions = new TransactionManager(server.DataDirectory, readOnly: false, locks, TimeProvider.System);
        transactions.Start(TransactionStart.From(control.CheckPoint, shutdown: true) with { Begin = end });
        transactions.OpenForWrites(new TransactionLog(_wal));
        Engine = new StorageEngine
        {
            Files = files,
            Buffers = pool,
            Transactions = transactions,
            Locks = locks,
            Wal = _wal,
            NewOid = () => new Oid(Interlocked.Increment(ref _nextOid)),
        };
    }

    public StorageEngine Engine { get; }

    /// <summary>Where our part of the log begins.</summary>
    public Lsn Start { get; }
    public Lsn LowestApplied => Lsn.Max;

    public FlushVerdict Judge(Lsn pageLsn) => pageLsn > _wal.Flushed ? FlushVerdict.FlushLogFirst : FlushVerdict.Write;

    public static Oid DatabaseOf(StockPostgres server) => new(Number(server, "SELECT oid FROM pg_database WHERE datname = current_database()"));

    public static uint FileOf(StockPostgres server, string relation) => Number(server, $"SELECT pg_relation_filenode('{relation}')");

    public HeapTable Table(uint file, TupleDesc desc, char kind = 'r', int fillFactor = 100, Relation? toast = null, IndexInfo? toastIndex = null) => new(Engine, new Relation
    {
        Id = new Oid(file),
        Name = "table" + file,
        Kind = kind,
        Desc = desc,
        FillFactor = fillFactor,
        Toast = toast,
        ToastIndex = toastIndex,
        Node = new RelFileNode(RelFileNode.DefaultTablespace, _database, new Oid(file)),
    });

    /// <summary>Ends as a crash does and starts stock PostgreSQL on the directory: its redo checks each page against the image in our record.</summary>
    public void Crash()
    {
        _wal.Flush(_wal.Inserted);
        Dispose();
        var store = new ControlFileStore(_server.DataDirectory);
        ControlFile control = store.Read();
        control.State = ClusterState.InProduction;
        store.Write(ref control);
        using Process chown = Process.Start("chown", ["-R", "--reference=" + _server.DataDirectory, _server.DataDirectory]);
        chown.WaitForExit();
        _server.Start();
    }

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            Engine.Buffers.Dispose();
            Engine.Files.Dispose();
            _wal.Dispose();
            _records.Dispose();
            _recent.Dispose();
        }
    }

    private static uint Number(StockPostgres server, string sql) => uint.Parse(server.Psql(sql), CultureInfo.InvariantCulture);
}
