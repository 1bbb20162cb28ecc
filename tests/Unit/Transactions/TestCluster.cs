using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using SharedStorage.Transactions.Multi;
using SharedStorage.Wal;

namespace SharedStorage.Unit.Transactions;

/// <summary>A transaction manager over an empty directory, with a model of the log.</summary>
internal sealed class TestCluster : IDisposable
{
    public TestCluster(uint nextXid = 1000, bool writer = true)
    {
        Directory = System.IO.Directory.CreateTempSubdirectory("transactions").FullName;
        foreach (string area in new[] { "pg_xact", "pg_multixact/offsets", "pg_multixact/members" })
        {
            System.IO.Directory.CreateDirectory(Path.Combine(Directory, area));
            File.WriteAllBytes(Path.Combine(Directory, area, "0000"), new byte[8192]);
        }

        Manager = Open(Directory, nextXid, readOnly: !writer);
        if (writer)
        {
            Manager.OpenForWrites(Log);
        }
    }

    public string Directory { get; }
    public ModelLog Log { get; } = new();
    public TransactionManager Manager { get; }

    public static TransactionManager Open(string directory, uint nextXid, bool readOnly, ulong begin = 1_000_000)
    {
        var manager = new TransactionManager(directory, readOnly, new LockManager(), TimeProvider.System);
        manager.Start(new TransactionStart
        {
            NextXid = new FullXid(0, new Xid(nextXid)),
            OldestXid = Xid.FirstNormal,
            OldestXidDatabase = new Oid(1),
            MultiXacts = new MultiXactLimits(MultiXactId.First, 0, MultiXactId.First, new Oid(1)),
            Begin = new Lsn(begin),
        });
        return manager;
    }

    /// <summary>Commits a transaction that does nothing else, and gives its xid.</summary>
    public Xid Commit()
    {
        Transaction tx = Manager.Begin();
        Xid xid = tx.Xid;
        tx.Commit();
        return xid;
    }

    public Xid Abort()
    {
        Transaction tx = Manager.Begin();
        Xid xid = tx.Xid;
        tx.Abort();
        return xid;
    }

    public void Dispose() => System.IO.Directory.Delete(Directory, recursive: true);
}

/// <summary>A log that holds records and flushes when told, or at once.</summary>
internal sealed class ModelLog : ITransactionLog
{
    private readonly object _sync = new();
    private ulong _end = 1_000_000;
    private ulong _flushed = 1_000_000;

    public List<(Lsn Start, Lsn End, Xid Xid, Rmgr Rmgr, byte Info, byte[] Body)> Records { get; } = [];

    /// <summary>While set, a flush waits until <see cref="Release"/> is called.</summary>
    public bool Held { get; set; }

    public Lsn Reserved => new(Volatile.Read(ref _end));
    public Lsn Flushed => new(Volatile.Read(ref _flushed));
    public int WaitingFlushes { get; private set; }

    public Lsn Insert(Xid xid, Rmgr rmgr, byte info, ReadOnlySpan<byte> data, byte recordFlags = 0)
    {
        lock (_sync)
        {
            ulong start = _end;
            ulong end = start + (ulong)((24 + data.Length + 7) & ~7);
            Records.Add((new Lsn(start), new Lsn(end), xid, rmgr, info, data.ToArray()));
            Volatile.Write(ref _end, end);
            return new Lsn(end);
        }
    }

    public void Flush(Lsn upTo)
    {
        lock (_sync)
        {
            WaitingFlushes++;
            Monitor.PulseAll(_sync);
            while (Held && _flushed < upTo.Value)
            {
                Monitor.Wait(_sync);
            }

            WaitingFlushes--;
            if (_flushed < upTo.Value)
            {
                // Group commit: all that was inserted goes with it.
                Volatile.Write(ref _flushed, _end);
            }
        }
    }

    /// <summary>Makes the log durable to a position and wakes who waits for it.</summary>
    public void Release(Lsn upTo)
    {
        lock (_sync)
        {
            Volatile.Write(ref _flushed, Math.Max(_flushed, upTo.Value));
            Monitor.PulseAll(_sync);
        }
    }

    public void WaitForFlushers(int count)
    {
        lock (_sync)
        {
            while (WaitingFlushes < count)
            {
                Monitor.Wait(_sync);
            }
        }
    }
}
