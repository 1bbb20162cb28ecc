using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal.Inserting;
using SharedStorage.Writer.Flush;

namespace SharedStorage.Writer.Files;

/// <summary>
/// Rule R1: a file is cut under the relation's exclusive lock, which the caller holds, once every leased reader has applied the record. Until then neither a checkpoint's redo nor consistent
/// passes the record: a crash in between leaves a file that replay cuts again.
/// </summary>
public sealed class GatedShortening(StorageEngine engine, WalInserter wal, FlushGate gate, Func<bool> mayWrite) : IFileShortening, IDisposable
{
    /// <summary>A reader passes the record within milliseconds, or is evicted within its lease.</summary>
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(2);

    private readonly ReaderWriterLockSlim _redo = new();
    private readonly Lock _lock = new();
    private readonly PendingCuts _cuts = new();

    /// <summary>At or before the record of the oldest cut under way, and the changes whose pages it gives up; <see cref="Lsn.Max"/> when there is none.</summary>
    public Lsn OldestPending
    {
        get
        {
            lock (_lock)
            {
                return _cuts.Oldest;
            }
        }
    }

    /// <summary>Chooses a checkpoint's redo while no cut is under way.</summary>
    public Lsn ChooseRedo(Func<Lsn> choose)
    {
        _redo.EnterWriteLock();
        try
        {
            return choose();
        }
        finally
        {
            _redo.ExitWriteLock();
        }
    }

    public void Shorten(RelFileNode node, IReadOnlyList<ForkCut> cuts, Func<Lsn> log)
    {
        _redo.EnterReadLock();
        Lsn hold;
        Lsn reserved = wal.Reserved;
        Lsn oldestChange = engine.Buffers.OldestChangeNotDurable();
        lock (_lock)
        {
            hold = _cuts.Begin(reserved, oldestChange);
        }

        try
        {
            Lsn end = log();
            wal.Flush(end);
            foreach (ForkCut cut in cuts)
            {
                engine.Buffers.Discard(node, cut.Fork, cut.Blocks);
            }

            FaultPoint.Hit("shorten-after-record");
            while (!PendingCuts.MayCut(end, gate.LowestApplied))
            {
                CheckMayWrite();
                Thread.Sleep(Poll);
            }

            foreach (ForkCut cut in cuts)
            {
                CheckMayWrite();
                FaultPoint.Hit("files.before-truncate");
                engine.Files.Truncate(node, cut.Fork, cut.Blocks);
                engine.Files.Sync(node, cut.Fork);
            }
        }
        finally
        {
            lock (_lock)
            {
                _cuts.End(hold);
            }

            _redo.ExitReadLock();
        }
    }

    public void Dispose() => _redo.Dispose();

    private void CheckMayWrite()
    {
        if (!mayWrite())
        {
            throw new StorageException("a file may not be cut: the writer's lease is not held") { SqlState = SqlStates.IoError };
        }
    }
}
