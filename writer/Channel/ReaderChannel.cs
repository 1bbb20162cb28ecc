using Microsoft.Extensions.Logging;
using SharedStorage.Control;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.Leases;
using SharedStorage.Control.V1;
using SharedStorage.Primitives;
using SharedStorage.Writer.Fencing;

namespace SharedStorage.Writer.Channel;

/// <summary>What the channel asks of the writer and tells it.</summary>
public sealed record ReaderChannelParts
{
    public required ulong SystemIdentifier { get; init; }
    public required ulong Epoch { get; init; }
    public required string Node { get; init; }
    public required Func<TimelineId> Timeline { get; init; }
    public required Func<Lsn> Inserted { get; init; }
    public required Func<Lsn> Flushed { get; init; }
    public required Func<Lsn> Visible { get; init; }
    public required Func<Lsn> Redo { get; init; }

    /// <summary>Makes the log durable to a position.</summary>
    public required Action<Lsn> FlushLog { get; init; }

    /// <summary>What is left of the writer's own lease: readers are granted nothing beyond it (I8).</summary>
    public required Func<TimeSpan> OwnLease { get; init; }

    /// <summary>R13: the former writer is neither fenced nor proven dead.</summary>
    public required bool FormerMayWrite { get; init; }

    /// <summary>The readers' table has changed: gate, horizon and removals follow.</summary>
    public required Action<ReaderTable> Changed { get; init; }
    public required ReaderRegistry Registry { get; init; }
    public required LeaseSettings Settings { get; init; }
    public required TimeProvider Time { get; init; }
    public required ILogger Log { get; init; }
}

/// <summary>
/// The writer's end of the control channel: joins, activations, acknowledgements, grants, evictions. The decisions are <see cref="ReaderTable"/>'s; this class serializes them,
/// gives them the time, and carries the messages.
/// </summary>
public sealed class ReaderChannel : IDisposable
{
    private static readonly TimeSpan TickEvery = TimeSpan.FromMilliseconds(100);

    private readonly ReaderChannelParts _parts;
    private readonly Lock _lock = new();
    private readonly object _applied = new();
    private readonly ReaderTable _table;
    private readonly long _origin;
    private readonly ITimer _timer;
    private readonly Followers _followers = new();
    private readonly Dictionary<string, NodeAddress> _addresses = new(StringComparer.Ordinal);
    private ulong _consistent;
    private int _awaited;
    private volatile bool _stopping;

    public ReaderChannel(ReaderChannelParts parts)
    {
        _parts = parts;
        _origin = parts.Time.GetTimestamp();
        _table = new ReaderTable(parts.Settings, parts.Registry.Names.Where(n => n != parts.Node), Now, parts.Epoch, parts.FormerMayWrite);
        parts.Changed(_table);
        _timer = parts.Time.CreateTimer(_ => Tick(), null, TickEvery, TickEvery);
    }

    /// <summary>What readers are told: all changes before it are durable in data files.</summary>
    public Lsn Consistent
    {
        get => new(Volatile.Read(ref _consistent));
        set
        {
            Volatile.Write(ref _consistent, value.Value);
            WakeFollowers();
        }
    }

    /// <summary>No log from here on may be recycled (I3).</summary>
    public Lsn OldestWal
    {
        get
        {
            lock (_lock)
            {
                return _table.LowestWal;
            }
        }
    }

    private TimeSpan Now => _parts.Time.GetElapsedTime(_origin);

    /// <summary>The log is durable further than before: readers are told at once.</summary>
    public void WakeFollowers() => _followers.Wake();

    /// <summary>Tells readers that no more log will come; their connections are ended.</summary>
    public void AnnounceStop()
    {
        _stopping = true;
        _followers.WakeNow();
    }

    public JoinReply Join(JoinRequest request)
    {
        string name = CheckEnvelope(request.Envelope, mayBeNew: true);
        if (request.ProtocolVersion != 1)
        {
            throw new RpcException(RpcStatus.FailedPrecondition, $"protocol version {request.ProtocolVersion} is not spoken here");
        }

        ulong session;
        lock (_lock)
        {
            session = _table.Join(name, request.Session, new Lsn(request.OldestWal), Now);
            _addresses[name] = new NodeAddress(request.ControlAddress, request.PgAddress, request.Promotable);
            _parts.Changed(_table);
        }

        _parts.Log.LogInformation("reader {Reader} has joined", name);
        return new JoinReply
        {
            Envelope = Envelope,
            Timeline = _parts.Timeline().Value,
            Inserted = _parts.Inserted().Value,
            Flushed = _parts.Flushed().Value,
            Consistent = Consistent.Value,
            Redo = _parts.Redo().Value,
            LeaseMs = (uint)_parts.Settings.Lease.TotalMilliseconds,
            Session = session,
        };
    }

    public ActivateReply Activate(ActivateRequest request)
    {
        string name = CheckEnvelope(request.Envelope, mayBeNew: false);

        TimeSpan granted = _table.Grantable(_parts.OwnLease());
        if (granted <= TimeSpan.Zero)
        {
            throw new RpcException(RpcStatus.Unavailable, "this writer cannot prove its own lease");
        }

        ActivationVerdict verdict;
        lock (_parts.Registry)
        {
            // I8: durable before the reader counts, so that the next writer honours the lease. Under one lock with Leave, which takes the name out again.
            _parts.Registry.Add(name);
            lock (_lock)
            {
                verdict = _table.BeginActivation(name, request.Session, Now);
                _parts.Changed(_table);
            }
        }

        Lsn floor = verdict switch
        {
            ActivationVerdict.Begun => SetFloor(name, request.Session),
            ActivationVerdict.Repeated => FloorOf(name, request.Session),
            _ => Lsn.Invalid,
        };
        if (!floor.IsValid)
        {
            throw new RpcException(RpcStatus.Aborted, "the session has ended: join anew");
        }

        _parts.FlushLog(floor);
        _parts.Log.LogInformation("reader {Reader} is active from {Floor} on", name, floor);
        return new ActivateReply { Envelope = Envelope, Floor = floor.Value, Consistent = Consistent.Value, LeaseMs = (uint)granted.TotalMilliseconds };
    }

    /// <summary>R4: read after the reader counts at zero. Whatever the gate let through before has its LSN at or below this, and so has every horizon in use.</summary>
    private Lsn SetFloor(string name, ulong session)
    {
        FaultPoint.Hit("activation.before-floor");
        Lsn floor = ReaderTable.Floor(_parts.Inserted(), _parts.Visible());
        lock (_lock)
        {
            bool set = _table.SetFloor(name, session, floor, Now);
            _parts.Changed(_table);
            return set ? floor : Lsn.Invalid;
        }
    }

    private Lsn FloorOf(string name, ulong session)
    {
        lock (_lock)
        {
            return _table.FloorOf(name, session);
        }
    }

    public void Leave(LeaveRequest request)
    {
        string name = CheckEnvelope(request.Envelope, mayBeNew: false);
        lock (_parts.Registry)
        {
            lock (_lock)
            {
                if (!_table.Leave(name, request.Session, Now))
                {
                    return;
                }

                _addresses.Remove(name);
                _parts.Changed(_table);
            }

            _parts.Registry.Remove(name);
        }

        _parts.Log.LogInformation("reader {Reader} has left", name);
    }

    /// <summary>Serves one reader's stream until it ends.</summary>
    public async Task FollowAsync(IMessageReader<ReaderState> acknowledgements, IMessageWriter<WriterState> states, CancellationToken cancel)
    {
        ReaderState first = await acknowledgements.ReadAsync(cancel).ConfigureAwait(false)
            ?? throw new RpcException(RpcStatus.InvalidArgument, "the stream carries no state");
        string name = CheckEnvelope(first.Envelope, mayBeNew: false);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancel);

        // Half a renewal: a grant that is due does not wait for log, and one that is not goes with it.
        var follower = new Follower(_parts.Settings.Renewal / 2);
        _followers.Add(name, follower);
        try
        {
            Acknowledge(name, follower, first);
            Task sending = SendAsync(follower, states, ending.Token);
            while (await acknowledgements.ReadAsync(ending.Token).ConfigureAwait(false) is { } state)
            {
                CheckEnvelope(state.Envelope, mayBeNew: false);
                Acknowledge(name, follower, state);
                if (sending.IsCompleted)
                {
                    break;
                }
            }

            await ending.CancelAsync().ConfigureAwait(false);
            await sending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        finally
        {
            await ending.CancelAsync().ConfigureAwait(false);
            _followers.Remove(name, follower);
        }
    }

    /// <summary>The readers as this writer sees them.</summary>
    public IEnumerable<NodeStatus> Status()
    {
        lock (_lock)
        {
            return [.. _table.Members.Select(m => new NodeStatus
            {
                Name = m.Name,
                Role = "reader",
                State = m.State.ToString().ToLowerInvariant(),
                Applied = m.Applied.Value,
                Leased = m.State == MemberState.Leased,
                Promotable = _addresses.TryGetValue(m.Name, out NodeAddress a) && a.Promotable,
            })];
        }
    }

    /// <summary>Returns once every leased reader has applied the position (synchronous_commit = remote_apply).</summary>
    public void WaitApplied(Lsn position)
    {
        Interlocked.Increment(ref _awaited);
        try
        {
            _followers.WakeNow();
            lock (_applied)
            {
                while (LowestApplied() < position && !_stopping)
                {
                    Monitor.Wait(_applied, TickEvery);
                }
            }
        }
        finally
        {
            Interlocked.Decrement(ref _awaited);
        }
    }

    private Lsn LowestApplied()
    {
        lock (_lock)
        {
            // Zero while inherited leases may run: their readers answer queries, and whether they have applied this is not known.
            return _table.LowestApplied;
        }
    }

    public void Dispose() => _timer.Dispose();

    /// <summary>What every message of this writer carries (I9).</summary>
    public Envelope Envelope => new() { SystemIdentifier = _parts.SystemIdentifier, Epoch = _parts.Epoch, Node = _parts.Node };

    private string CheckEnvelope(Envelope? envelope, bool mayBeNew)
    {
        if (envelope is null || envelope.Node.Length == 0)
        {
            throw new RpcException(RpcStatus.InvalidArgument, "the message carries no envelope");
        }

        if (envelope.SystemIdentifier != _parts.SystemIdentifier)
        {
            throw new RpcException(
                RpcStatus.FailedPrecondition,
                $"node \"{envelope.Node}\" belongs to another cluster: its system identifier is {envelope.SystemIdentifier}, here it is {_parts.SystemIdentifier}");
        }

        if (!ReaderTable.AcceptsEpoch(envelope.Epoch, _parts.Epoch, mayBeNew))
        {
            throw new RpcException(RpcStatus.Aborted, $"the message has epoch {envelope.Epoch}, this writer has epoch {_parts.Epoch}");
        }

        return envelope.Node;
    }

    private void Acknowledge(string name, Follower follower, ReaderState state)
    {
        Grant grant;
        lock (_lock)
        {
            var report = new ReaderReport(new Lsn(state.Applied), new Lsn(state.OldestSnapshot), new Lsn(state.OldestWal));
            grant = _table.Acknowledge(name, state.Session, report, _parts.Flushed(), _parts.OwnLease(), Now);
            _parts.Changed(_table);
        }

        follower.Answer(state.Sequence, grant, state.Read, Now);
        lock (_applied)
        {
            Monitor.PulseAll(_applied);
        }
    }

    private void Tick()
    {
        IReadOnlyList<string> evicted;
        lock (_lock)
        {
            evicted = _table.Tick(_parts.Flushed(), Now);
            _parts.Changed(_table);
        }

        foreach (string name in evicted)
        {
            _parts.Log.LogWarning("reader {Reader} is evicted: its lease has run out", name);
        }
    }

    private async Task SendAsync(Follower follower, IMessageWriter<WriterState> states, CancellationToken cancel)
    {
        while (!cancel.IsCancellationRequested)
        {
            TimeSpan began = Now;
            (ulong sequence, Grant grant) = follower.TakeAnswer(began);
            bool last = _stopping;
            var state = new WriterState
            {
                Envelope = Envelope,
                Timeline = _parts.Timeline().Value,
                Inserted = _parts.Inserted().Value,
                Flushed = _parts.Flushed().Value,
                Visible = _parts.Visible().Value,
                Consistent = Consistent.Value,
                Redo = _parts.Redo().Value,
                Evicted = grant.Evicted,
                Stopping = last,
                Hurry = Volatile.Read(ref _awaited) > 0,
            };
            if (grant.Given)
            {
                state.Lease = new LeaseGrant { Sequence = sequence, DurationMs = (uint)grant.Duration.TotalMilliseconds };
            }

            await states.WriteAsync(state, cancel).ConfigureAwait(false);
            await follower.WaitAsync(_parts.Settings.Renewal, began, () => Now, cancel).ConfigureAwait(false);
        }
    }

    private readonly record struct NodeAddress(string Control, string Pg, bool Promotable);
}
