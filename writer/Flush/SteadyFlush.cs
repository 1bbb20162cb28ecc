using Microsoft.Extensions.Logging;
using SharedStorage.Buffers;
using SharedStorage.Hosting.Engine;
using SharedStorage.Primitives;
using SharedStorage.Wal.Inserting;
using SharedStorage.Writer.Checkpoint;
using SharedStorage.Writer.Files;

namespace SharedStorage.Writer.Flush;

/// <summary>
/// Writes pages some seconds after their first change and syncs them, so that <c>consistent</c> follows <c>flushed</c>: this bounds the readers' LogIndex and a reader's start.
/// Announces consistent. An idle writer rests.
/// </summary>
public sealed class SteadyFlush : IDisposable
{
    /// <summary>A page that changes all the time is written this often at most; a change is durable in its file after about twice as long.</summary>
    private const int AgeInRounds = 5;

    /// <summary>Per round: 160 MB/s at most, so that the flush never takes the whole disk.</summary>
    private const int PagesPerRound = 20_000;

    private static readonly TimeSpan Round = TimeSpan.FromSeconds(1);

    private readonly NodeEngine _engine;
    private readonly WalInserter _log;
    private readonly FlushGate _gate;
    private readonly GatedShortening _shortening;
    private readonly Func<Lsn> _heldAt;
    private readonly Action<Lsn> _announce;
    private readonly Action<Exception> _failed;
    private readonly ILogger _journal;
    private readonly SpaceJournal _space;
    private readonly ManualResetEventSlim _stop = new();
    private readonly Queue<Lsn> _samples = new();
    private readonly Thread _thread;
    private Lsn _consistent;
    private bool _saidSpilled;
    private long _saidSlowed;
    private string? _saidFailure;

    /// <param name="heldAt">Where consistent stays while a former writer may still write (R13).</param>
    public SteadyFlush(
        NodeEngine engine, WalInserter log, FlushGate gate, GatedShortening shortening, Func<Lsn> heldAt, Action<Lsn> announce, Action<Exception> failed, ILogger journal, SpaceJournal space)
    {
        _heldAt = heldAt;
        _journal = journal;
        _engine = engine;
        _log = log;
        _gate = gate;
        _shortening = shortening;
        _announce = announce;
        _failed = failed;
        _space = space;
        _thread = new Thread(Run) { IsBackground = true, Name = "steady flush" };
        _thread.Start();
    }

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _stop.Dispose();
    }

    private void Run()
    {
        try
        {
            while (!_stop.Wait(Round))
            {
                TryRunOnce();
            }
        }
        catch (Exception e)
        {
            _failed(e);
        }
    }

    private void TryRunOnce()
    {
        try
        {
            RunOnce();
            _space.Done("the steady flush");
        }
        catch (StorageException e) when (e.IsNoSpace)
        {
            // The page is as dirty as before, and comes again in the next round (shared/Io, rule 5).
            _space.Missing("the steady flush", e);
        }
    }

    private void RunOnce()
    {
        _samples.Enqueue(_log.Inserted);
        Lsn old = _samples.Count > AgeInRounds ? _samples.Dequeue() : Lsn.Invalid;
        if (old.IsValid && _engine.Pool.HasUnflushed)
        {
            _engine.Pool.FlushSome(old, PagesPerRound);
            _engine.Pool.SyncWritten();
        }

        if (old.IsValid && _engine.Transactions.OldestUnflushed() < old)
        {
            // What a reader holds back is tried again in the next round.
            _engine.Transactions.FlushAreas(_gate, old);
        }

        SayWhatIsHeldBack();
        Announce();
    }

    /// <summary>Once for each stretch of time in which a reader holds back more than memory has room for.</summary>
    private void SayWhatIsHeldBack()
    {
        BufferCounters counters = _engine.Pool.Counters;
        if (counters.FrozenCopiesSpilled == 0)
        {
            _saidSpilled = false;
        }
        else if (!_saidSpilled)
        {
            _saidSpilled = true;
            _journal.LogInformation("{Copies} pages wait for a reader, {Spilled} of them on local disk", counters.FrozenCopiesNow, counters.FrozenCopiesSpilled);
        }

        if (counters.ChangesSlowed > _saidSlowed)
        {
            _journal.LogWarning("{Changes} changes have waited for a reader: neither memory nor local disk has room for more pages", counters.ChangesSlowed - _saidSlowed);
            _saidSlowed = counters.ChangesSlowed;
        }

        if (_engine.Pool.FrozenSpillFailure is { } failure && failure != _saidFailure)
        {
            _saidFailure = failure;
            _journal.LogWarning("pages that wait for a reader stay in memory: {Reason}", failure);
        }
    }

    private void Announce()
    {
        // Read from left to right.
        Lsn consistent = new ConsistentPoint(
            _log.Inserted,
            _log.Flushed,
            _engine.Transactions.OldestUnflushed(),
            _engine.Pool.OldestChangeNotDurable(),
            _gate.LowestApplied,
            Lsn.Min(_shortening.OldestPending, _heldAt())).Value;
        if (consistent > _consistent)
        {
            _consistent = consistent;
            _announce(consistent);
        }
    }
}
