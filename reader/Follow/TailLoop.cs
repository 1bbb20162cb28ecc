using Microsoft.Extensions.Logging;
using SharedStorage.Hosting.Engine;
using SharedStorage.Hosting.Node;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Reader.Follow;

/// <summary>The reader's tail: applies the log as far as the writer says it is durable and the lease allows, acknowledges, and cuts the LogIndex behind consistent.</summary>
public sealed class TailLoop : IDisposable
{
    /// <summary>Acknowledged at least this often while a backlog is worked off, so that the writer sees progress.</summary>
    private const ulong SliceBytes = 4 << 20;

    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(1);

    /// <summary>How long announced log may be missing on storage: a cluster filesystem shows it late, not never.</summary>
    private static readonly TimeSpan LateLog = TimeSpan.FromSeconds(10);

    private readonly NodeEnvironment _environment;
    private readonly NodeEngine _engine;
    private readonly WriterLink _link;
    private readonly CancellationTokenSource _stop = new();
    private readonly Thread _thread;
    private readonly Action<Lsn, Func<bool>> _endSnapshotsBelow;
    private Action? _betweenRecords;
    private readonly ILogger _log;
    private Lsn _cut;
    private long _spillsSaid;
    private int _disposed;

    /// <param name="endSnapshotsBelow">Ends the snapshots below a position, for as long as the other argument says so (R4).</param>
    public TailLoop(NodeEnvironment environment, NodeEngine engine, WriterLink link, Action<Lsn, Func<bool>> endSnapshotsBelow)
    {
        _endSnapshotsBelow = endSnapshotsBelow;
        _environment = environment;
        _engine = engine;
        _link = link;
        _log = environment.Logs.CreateLogger("tail");
        _thread = new Thread(Run) { IsBackground = true, Name = "tail" };
        _thread.Start();
    }

    /// <summary>Has something done by the thread that tails, between two records, and waits for it.</summary>
    public void Do(Action action)
    {
        using var done = new ManualResetEventSlim();
        Volatile.Write(ref _betweenRecords, () =>
        {
            try
            {
                action();
            }
            finally
            {
                done.Set();
            }
        });
        while (!done.Wait(TimeSpan.FromMilliseconds(20)))
        {
            _link.WakeTail();
            if (!_thread.IsAlive)
            {
                return;
            }
        }
    }

    /// <summary>Ends the thread. A promotion does so before the node is disposed of.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _stop.Cancel();
        _link.WakeTail();
        _thread.Join();
        _stop.Dispose();
    }

    private void Run()
    {
        long missingSince = 0;
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                if (Interlocked.Exchange(ref _betweenRecords, null) is { } action)
                {
                    action();
                }

                Lsn bound = _link.MustEndBelow;
                if (_engine.Transactions.OldestSnapshot < bound)
                {
                    _endSnapshotsBelow(bound, () => _link.MustEndBelow == bound && !_stop.IsCancellationRequested && Volatile.Read(ref _betweenRecords) is null);
                }

                Lsn applied = _engine.Applied.Value;
                Lsn limit = _link.WaitForLog(applied, Idle);
                missingSince = limit > applied ? ApplyTo(limit, missingSince) : 0;
                Cut();
            }
        }
        catch (Exception e)
        {
            _environment.Fail(e is StorageException ? e.Message : e.ToString());
        }
    }

    private long ApplyTo(Lsn limit, long missingSince)
    {
        while (_engine.Applied.Value < limit && !_stop.IsCancellationRequested && Volatile.Read(ref _betweenRecords) is null)
        {
            Lsn before = _engine.Applied.Value;
            FaultPoint.Hit("reader.before-apply");
            WalRead read = _engine.Tail.Run(limit, _stop.Token, SliceBytes);
            if (_engine.Applied.Value > before)
            {
                missingSince = 0;
                _link.Applied();
                if (!_link.MayApplyNow)
                {
                    return 0;
                }
            }
            else if (read == WalRead.End)
            {
                return AwaitLateLog(missingSince);
            }
            else
            {
                // The rest up to the limit is less than a record: page headers, or a record that is not durable yet.
                return 0;
            }
        }

        return missingSince;
    }

    private long AwaitLateLog(long missingSince)
    {
        if (IsRecycled(out Lsn redo))
        {
            _environment.BeginAnew($"the log after {_engine.Applied.Value} is needed and gone: no lease kept it for this reader; the checkpoint on storage begins at {redo}");
            return 0;
        }

        long now = _environment.Time.GetTimestamp();
        missingSince = missingSince == 0 ? now : missingSince;
        if (_environment.Time.GetElapsedTime(missingSince) > LateLog)
        {
            // A reader that finds the end of the log before what was announced stops: that storage has lost acknowledged data.
            throw _engine.Tail.End!.AsDamage("the writer's announcement", _link.WriterFlushed);
        }

        _stop.Token.WaitHandle.WaitOne(TimeSpan.FromMilliseconds(20));
        _engine.Tail.Refresh();
        _link.WakeTail();
        return missingSince;
    }

    /// <summary>
    /// Whether the log that comes next was recycled: its segment is gone, and storage's last checkpoint begins behind it. That happens to a reader that the writer does not count, and is no damage.
    /// </summary>
    private bool IsRecycled(out Lsn redo)
    {
        redo = new ControlFileStore(_environment.DataDirectory).Read().CheckPoint.Redo;
        WalDirectory directory = _engine.LogDirectory;
        Lsn next = _engine.Tail.Position;
        return redo > next && !File.Exists(directory.SegmentPath(_engine.History.At(next), WalLayout.SegmentOf(next, directory.SegmentSize)));
    }

    private void Cut()
    {
        Lsn announced = _link.WriterConsistent;
        if (!_link.MayApplyNow)
        {
            // Consistent holds for whom the writer waits: for others it may have given up the pages of a dropped file that is there still (I3, R2). The announcement is read first, so it was made while the lease ran.
            return;
        }

        Lsn consistent = IndexCut.Limit(announced, _engine.Applied.Value);
        if (consistent > _cut)
        {
            _cut = consistent;
            _engine.Consistent.Advance(consistent);
            _engine.Pool.CutIndex(consistent);
        }

        SaySpills();
    }

    /// <summary>Each time their number has doubled, so that a node that lives with it does not fill its log.</summary>
    private void SaySpills()
    {
        Buffers.LogIndex.LogIndex index = _engine.Pool.Index;
        if (index.Spills >= Math.Max(1, 2 * _spillsSaid))
        {
            _spillsSaid = index.Spills;
            _log.LogInformation(
                "the index of the log has gone to local disk {Spills} times; there are {Runs} files with {Bytes} bytes now", index.Spills, index.SpilledRuns, index.SpilledBytes);
        }
    }
}
