using Microsoft.Extensions.Logging;
using SharedStorage.Control;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.Leases;
using SharedStorage.Control.V1;
using SharedStorage.Primitives;

namespace SharedStorage.Reader.Follow;

/// <summary>One connection to a writer, from its join to its end: a session of <see cref="ReaderLease"/>, new or resumed.</summary>
public sealed partial class WriterLink
{
    /// <summary>The gate, the horizon and removals follow an acknowledgement; none of them is in such a hurry that each few records are worth a message.</summary>
    private static readonly TimeSpan AcknowledgeEvery = TimeSpan.FromMilliseconds(20);

    private readonly SemaphoreSlim _hurried = new(0, 1);
    private volatile bool _hurry;

    private async Task FollowAsync(Uri peer)
    {
        using var client = new ClusterClient(new GrpcChannel(peer));
        JoinReply joined = await client.JoinAsync(
            new JoinRequest
            {
                Envelope = Envelope(0),
                ProtocolVersion = 1,
                ControlAddress = _controlAddress(),
                PgAddress = _pgAddress(),
                Promotable = Promotable,
                Session = Resumable,
                OldestWal = OldestWal.Value,
            },
            CallTimeout, _stop.Token).ConfigureAwait(false);
        if (!Accept(joined.Envelope))
        {
            return;
        }

        if (joined.Timeline != _engine.History.Timeline.Value)
        {
            if (FollowTimeline?.Invoke(new TimelineId(joined.Timeline)) != true)
            {
                // R10: a reader past the switch point discards its state; the program is started again by its supervisor.
                _environment.Fail($"the writer is on timeline {joined.Timeline}, which this reader cannot follow from {_engine.Applied.Value} on timeline {_engine.History.Timeline}");
                return;
            }

            _log.LogInformation("following timeline {Timeline}", joined.Timeline);
        }

        lock (_lock)
        {
            _lease.Joined(joined.Session, Now);
        }

        _log.LogInformation("joined {Writer}, epoch {Epoch}, flushed {Flushed}", joined.Envelope.Node, joined.Envelope.Epoch, new Lsn(joined.Flushed));

        // All changes before a completed checkpoint's redo are in the files; log before it may be gone, so the index is not to need it.
        WriterConsistent = Lsn.MaxOf(new Lsn(joined.Consistent), new Lsn(joined.Redo));
        SetLimit(new Lsn(joined.Flushed));
        WakeTail();
        Volatile.Write(ref _client, client);
        try
        {
            await StreamAsync(client, joined.Envelope.Epoch, joined.Session).ConfigureAwait(false);
        }
        finally
        {
            Volatile.Write(ref _client, null);
        }
    }

    private async Task StreamAsync(ClusterClient client, ulong epoch, ulong session)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        using DuplexCall<ReaderState, WriterState> call = await client.FollowAsync(ending.Token).ConfigureAwait(false);
        Task sending = SendAsync(call, epoch, session, ending.Token);
        Task activating = ActivateAsync(client, epoch, session, ending.Token);
        try
        {
            while (true)
            {
                // A writer speaks at least once a renewal; two leases of silence are a dead one, whatever TCP thinks.
                using var silence = CancellationTokenSource.CreateLinkedTokenSource(ending.Token);
                silence.CancelAfter(_settings.Lease * 2);
                WriterState? state = await call.ReceiveAsync(silence.Token).ConfigureAwait(false);
                if (state is null || !Accept(state.Envelope))
                {
                    return;
                }

                Take(state, session);
                if (state.Stopping)
                {
                    _log.LogInformation("the writer stops");
                    return;
                }

                if (activating.IsFaulted || sending.IsFaulted || NeedsSession)
                {
                    return;
                }
            }
        }
        finally
        {
            await ending.CancelAsync().ConfigureAwait(false);
            await sending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await activating.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Asks to be counted once the tail is near, and serves from the floor on (R4).</summary>
    private async Task ActivateAsync(ClusterClient client, ulong epoch, ulong session, CancellationToken cancel)
    {
        if (!AwaitsActivation)
        {
            // The session goes on with the lease that it has.
            return;
        }

        while (_engine.Applied.Value < Limit && State is not LeaseState.Frozen && Limit - _engine.Applied.Value > 16 << 20)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), _environment.Time, cancel).ConfigureAwait(false);
        }

        FaultPoint.Hit("reader.before-activation");
        TimeSpan sent = Now;
        ActivateReply reply = await client.ActivateAsync(
            new ActivateRequest { Envelope = Envelope(epoch), Applied = _engine.Applied.Value.Value, Session = session }, CallTimeout, cancel).ConfigureAwait(false);
        if (!Accept(reply.Envelope))
        {
            return;
        }

        var floor = new Lsn(reply.Floor);
        lock (_lock)
        {
            if (!_lease.ActivationGranted(session, floor, TimeSpan.FromMilliseconds(reply.LeaseMs), sent))
            {
                return;
            }
        }

        _log.LogInformation("activated: floor {Floor}, applied {Applied}", floor, _engine.Applied.Value);
        SetLimit(Lsn.MaxOf(Limit, floor));
        WakeTail();
        Applied();
    }

    private async Task SendAsync(DuplexCall<ReaderState, WriterState> call, ulong epoch, ulong session, CancellationToken cancel)
    {
        while (!cancel.IsCancellationRequested)
        {
            ReaderState state;
            TimeSpan began = Now;
            lock (_lock)
            {
                _lease.Sent(++_sequence, began);

                // The horizon, not just a look at the open snapshots: one that is being opened meanwhile counts, or finds that it came too late (I7).
                Lsn oldest = _engine.Transactions.Horizon;
                Lsn applied = _engine.Applied.Value;
                state = new ReaderState
                {
                    Envelope = Envelope(epoch),
                    Sequence = _sequence,
                    Applied = applied.Value,
                    OldestSnapshot = Lsn.Min(oldest, applied).Value,
                    OldestWal = OldestWal.Value,
                    Session = session,
                    Read = _engine.Transactions.TakeReadMark(),
                };
            }

            await call.SendAsync(state, cancel).ConfigureAwait(false);
            await _acknowledge.WaitAsync(_settings.Renewal, cancel).ConfigureAwait(false);

            // What is applied within a few milliseconds is acknowledged together, unless a commit of the writer's waits for it.
            TimeSpan rest = AcknowledgeEvery - (Now - began);
            if (rest > TimeSpan.Zero && !_hurry)
            {
                await _hurried.WaitAsync(rest, cancel).ConfigureAwait(false);
            }
        }
    }

    /// <summary>
    /// What the log is kept for (I3). A page that is being brought forward may still have entries from before the cut: when their log is gone it begins anew from storage, which has them by now.
    /// </summary>
    private Lsn OldestWal => _engine.Pool.Index.CutPoint;

    private ulong Resumable
    {
        get
        {
            lock (_lock)
            {
                return _lease.Resumable;
            }
        }
    }

    private bool AwaitsActivation
    {
        get
        {
            lock (_lock)
            {
                return _lease.AwaitsActivation;
            }
        }
    }

    private bool NeedsSession
    {
        get
        {
            lock (_lock)
            {
                Tick();
                return _lease.NeedsSession;
            }
        }
    }

    private void Take(WriterState state, ulong session)
    {
        lock (_lock)
        {
            if (state.Lease is { } grant)
            {
                _lease.Granted(grant.Sequence, TimeSpan.FromMilliseconds(grant.DurationMs));
            }

            if (state.Evicted)
            {
                _log.LogWarning("evicted by the writer: catching up to come back");
                _lease.Evicted(session);
            }
        }

        _hurry = state.Hurry;
        if (state.Hurry)
        {
            OneSignal.Give(_hurried);
        }

        WriterConsistent = Lsn.MaxOf(new Lsn(state.Consistent), new Lsn(state.Redo));
        if (!SetLimit(new Lsn(state.Flushed)) && (state.Lease is not null || state.Evicted || _engine.Applied.Value < Limit))
        {
            // The tail may apply again, or has snapshots to end.
            WakeTail();
        }
    }
}
