using Microsoft.Extensions.Logging;
using SharedStorage.Control;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.Leases;
using SharedStorage.Control.V1;
using SharedStorage.Hosting.Engine;
using SharedStorage.Hosting.Node;
using SharedStorage.Primitives;

namespace SharedStorage.Reader.Follow;

/// <summary>
/// The reader's end of the control channel: finds the writer among its peers, joins, activates, acknowledges, and keeps <see cref="ReaderLease"/> informed. The tail asks it how far to go.
/// </summary>
public sealed partial class WriterLink : IDisposable
{
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(200);

    private readonly NodeEnvironment _environment;
    private readonly NodeEngine _engine;
    private readonly LeaseSettings _settings;
    private readonly ILogger _log;
    private readonly Lock _lock = new();
    private readonly ReaderLease _lease;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _acknowledge = OneSignal.New();

    // Log comes some milliseconds apart: the tail does not spin for it.
    private readonly ManualResetEventSlim _limitMoved = new(initialState: false, spinCount: 0);
    private readonly long _origin;
    private readonly Func<string> _controlAddress;
    private readonly Func<string> _pgAddress;
    private Task _running = Task.CompletedTask;
    private ClusterClient? _client;
    private long _behindSince;
    private ulong _limit;
    private ulong _sequence;

    public WriterLink(NodeEnvironment environment, NodeEngine engine, Func<string> controlAddress, Func<string> pgAddress)
    {
        _environment = environment;
        _engine = engine;
        _settings = environment.Settings.Lease;
        _lease = new ReaderLease(_settings);
        _log = environment.Logs.CreateLogger("link");
        _controlAddress = controlAddress;
        _pgAddress = pgAddress;
        _origin = environment.Time.GetTimestamp();
    }

    /// <summary>Begins to look for the writer; the node's own services stand.</summary>
    public void Begin() => _running = Task.Run(RunAsync);

    /// <summary>How long the reader has been behind what the writer announced; milliseconds.</summary>
    public ulong LagMilliseconds
    {
        get
        {
            long since = Volatile.Read(ref _behindSince);
            return since == 0 || _engine.Applied.Value >= Limit ? 0 : (ulong)_environment.Time.GetElapsedTime(since).TotalMilliseconds;
        }
    }

    /// <summary>Says good-bye to the writer, so that nothing waits for this reader's lease.</summary>
    public async Task LeaveAsync()
    {
        ClusterClient? client = Volatile.Read(ref _client);
        if (client is null || _engine.Transactions.OldestSnapshot != Lsn.Max)
        {
            // A session that is still at work may answer: its lease runs out by itself.
            return;
        }

        try
        {
            await client.LeaveAsync(new LeaveRequest { Envelope = Envelope(Epoch), Session = Session }, TimeSpan.FromSeconds(2), CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is RpcException or ObjectDisposedException)
        {
            // The lease runs out by itself.
            _log.LogDebug("could not leave: {Reason}", e.Message);
        }
    }

    /// <summary>Whether this node could become the writer: its mount allows writes.</summary>
    public bool Promotable { get; init; }

    /// <summary>Goes over to the writer's timeline; false when this reader has seen log that is not in it. Set by the node.</summary>
    public Func<TimelineId, bool>? FollowTimeline { get; set; }

    public ulong Epoch
    {
        get
        {
            lock (_lock)
            {
                return _lease.Epoch;
            }
        }
    }

    public LeaseState State
    {
        get
        {
            lock (_lock)
            {
                Tick();
                return _lease.State;
            }
        }
    }

    /// <summary>The writer that this reader follows, with its epoch; null while it follows none.</summary>
    public (ClusterClient? Client, ulong Epoch) Writer => (Volatile.Read(ref _client), Epoch);

    public bool MayServe => State is LeaseState.Active or LeaseState.Frozen;

    /// <summary>Snapshots below this end before anything is applied (R4).</summary>
    public Lsn MustEndBelow
    {
        get
        {
            lock (_lock)
            {
                return _lease.MustEndBelow;
            }
        }
    }

    private ulong Session
    {
        get
        {
            lock (_lock)
            {
                return _lease.Session;
            }
        }
    }

    /// <summary>Whether a snapshot that is published may be read from.</summary>
    public bool MayOpen(Lsn snapshot)
    {
        lock (_lock)
        {
            Tick();
            return _lease.MayOpen(snapshot);
        }
    }

    /// <summary>R12: judges a page that has been read.</summary>
    public ReadVerdict Judge(Lsn pageLsn, bool missing)
    {
        lock (_lock)
        {
            Lsn applied = _engine.Applied.Value;
            Tick();
            return _lease.Judge(pageLsn, missing, applied);
        }
    }

    /// <summary>What the writer says is durable: nothing at or after it is read.</summary>
    public Lsn Limit => new(Volatile.Read(ref _limit));

    /// <summary>The writer's flushed LSN as last heard.</summary>
    public Lsn WriterFlushed => Limit;

    public Lsn WriterConsistent { get; private set; }

    private TimeSpan Now => _environment.Time.GetElapsedTime(_origin);

    /// <summary>Waits until there is log to apply beyond a position and the lease allows it, or the time is over. Gives the limit.</summary>
    public Lsn WaitForLog(Lsn applied, TimeSpan atMost)
    {
        _limitMoved.Wait(atMost);
        _limitMoved.Reset();

        // The limit first: log that is announced after the lease has lapsed may prune what a snapshot here still needs.
        Lsn limit = Limit;
        return MayApply() ? limit : applied;
    }

    /// <summary>The applied LSN has moved: the writer is told.</summary>
    public void Applied() => OneSignal.Give(_acknowledge);

    /// <summary>Ends the link for a promotion or a stop.</summary>
    public void Dispose()
    {
        _stop.Cancel();
        try
        {
            _running.Wait(TimeSpan.FromSeconds(5));
        }
        catch (AggregateException e)
        {
            _log.LogDebug("the link ended: {Reason}", e.GetBaseException().Message);
        }
    }

    /// <summary>Ends a wait for log before its time.</summary>
    public void WakeTail() => _limitMoved.Set();

    public bool MayApplyNow => MayApply();

    /// <summary>Under the lock.</summary>
    private void Tick() =>
        _lease.Tick(_engine.Applied.Value, _lease.State == LeaseState.Activated ? _engine.Transactions.OldestSnapshot : Lsn.Max, Now);

    private bool MayApply()
    {
        lock (_lock)
        {
            Tick();
            return _lease.MayApply(_engine.Transactions.OldestSnapshot, Now);
        }
    }

    private async Task RunAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            foreach (Uri peer in _environment.Peers)
            {
                if (_stop.IsCancellationRequested || peer.Authority == _controlAddress())
                {
                    continue;
                }

                try
                {
                    await FollowAsync(peer).ConfigureAwait(false);
                }
                catch (RpcException e) when (e.Status == RpcStatus.FailedPrecondition && e.Message.Contains("another cluster", StringComparison.Ordinal))
                {
                    _environment.Fail(e.Message);
                    return;
                }
                catch (RpcException e)
                {
                    _log.LogDebug("{Peer}: {Status} {Reason}", peer, e.Status, e.Message);
                }
                catch (OperationCanceledException) when (_stop.IsCancellationRequested)
                {
                    return;
                }
                catch (Exception e) when (e is IOException or ObjectDisposedException or HttpRequestException or OperationCanceledException)
                {
                    _log.LogDebug("{Peer}: {Reason}", peer, e.Message);
                }
                catch (Exception e)
                {
                    _environment.Fail($"the link to the writer failed: {e}");
                    return;
                }
            }

            await Task.Delay(Retry, _environment.Time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private bool Accept(Envelope? envelope)
    {
        if (envelope is null || envelope.SystemIdentifier != _engine.Control.SystemIdentifier)
        {
            _environment.Fail("the node that answers as writer belongs to another cluster");
            return false;
        }

        lock (_lock)
        {
            return _lease.AcceptEpoch(envelope.Epoch);
        }
    }

    /// <summary>Notes how far the log is durable, and wakes the tail if that is further than before.</summary>
    private bool SetLimit(Lsn flushed)
    {
        bool moved = flushed > Limit;
        if (moved)
        {
            if (_engine.Applied.Value >= Limit || Volatile.Read(ref _behindSince) == 0)
            {
                Volatile.Write(ref _behindSince, _environment.Time.GetTimestamp());
            }

            Volatile.Write(ref _limit, flushed.Value);
            _limitMoved.Set();
        }

        return moved;
    }

    private Envelope Envelope(ulong epoch) => new()
    {
        SystemIdentifier = _engine.Control.SystemIdentifier,
        Epoch = epoch,
        Node = _environment.NodeName,
    };
}
