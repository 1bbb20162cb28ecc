using System.Diagnostics;
using SharedStorage.Access;
using SharedStorage.Buffers;
using SharedStorage.Format.Control;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Redo;
using SharedStorage.TestKit;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using SharedStorage.Transactions.Multi;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Btree;

/// <summary>
/// The storage of a writer on a directory that stock PostgreSQL stopped cleanly. <see cref="Crash"/> leaves it as a killed node would: the log is durable, pages
/// are not; stock PostgreSQL then recovers it and judges.
/// </summary>
internal sealed class WriterOnStock : IDisposable, IFlushGate
{
    private readonly StockPostgres _server;
    private readonly WalRecords _records;
    private readonly RecentWal _recent;
    private readonly WalInserter _wal;
    private readonly WalDirectory _directory;
    private readonly TimelineHistory _history;

    public WriterOnStock(StockPostgres server, int frames = 2000)
    {
        _server = server;
        ControlFile control = new ControlFileStore(server.DataDirectory).Read();
        WalDirectory directory = _directory = new WalDirectory(Path.Combine(server.DataDirectory, "pg_wal"), (int)control.WalSegmentSize, control.SystemIdentifier);
        TimelineHistory history = _history = directory.ReadHistory(control.CheckPoint.Timeline);
        Lsn end;
        using (WalReader reader = WalReader.Open(directory, history, control.CheckPointAt))
        {
            var record = new WalRecord();
            Assert.Equal(WalRead.Record, reader.Read(record));
            end = record.End;
        }

        _wal = WalInserter.Start(
            new WalInserterOptions { Directory = directory, Timeline = control.CheckPoint.Timeline },
            new WalStart { InsertAt = end, PreviousRecord = control.CheckPointAt, RedoPointer = control.CheckPoint.Redo });
        _recent = new RecentWal();
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
        CheckPoint c = control.CheckPoint;
        transactions.Start(new TransactionStart
        {
            NextXid = c.NextXid,
            OldestXid = c.OldestXid,
            OldestXidDatabase = c.OldestXidDatabase,
            MultiXacts = new MultiXactLimits(c.NextMulti, c.NextMultiOffset, c.OldestMulti, c.OldestMultiDatabase),
            Begin = end,
        });
        transactions.OpenForWrites(new TransactionLog(_wal));
        Engine = new StorageEngine { Files = files, Buffers = pool, Transactions = transactions, Locks = locks, Wal = _wal };
    }

    public StorageEngine Engine { get; }
    public Lsn LowestApplied => Lsn.Max;

    public FlushVerdict Judge(Lsn pageLsn) => pageLsn > _wal.Flushed ? FlushVerdict.FlushLogFirst : FlushVerdict.Write;

    /// <summary>The log from a position on, to be read by one thread.</summary>
    public WalReader Log(Lsn from) => WalReader.Open(_directory, _history, from);

    /// <summary>What the catalog knows of an index by its oid: where its file lies.</summary>
    public static RelFileNode NodeOf(StockPostgres server, string relation) => new(
        RelFileNode.DefaultTablespace, new Oid(uint.Parse(server.Psql("SELECT oid FROM pg_database WHERE datname = current_database()"), null)),
        new Oid(uint.Parse(server.Psql($"SELECT pg_relation_filenode('{relation}')"), null)));

    /// <summary>Ends as a crash does and starts stock PostgreSQL, which recovers from the log.</summary>
    public void Crash()
    {
        _wal.Flush(_wal.Inserted);
        DisposeAll();
        var store = new ControlFileStore(_server.DataDirectory);
        ControlFile control = store.Read();
        control.State = ClusterState.InProduction;
        store.Write(ref control);
        using Process chown = Process.Start("chown", ["-R", "--reference=" + _server.DataDirectory, _server.DataDirectory]);
        chown.WaitForExit();
        _server.Start();
    }

    public void Dispose() => DisposeAll();

    private bool _disposed;

    private void DisposeAll()
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
}
