using SharedStorage.Control.Leases;
using SharedStorage.Primitives;

namespace SharedStorage.Simulation;

/// <summary>A reader around the production decisions: lease, verdicts on pages, cut of the index. Reads are in <c>SimReader.Queries.cs</c>.</summary>
internal sealed partial class SimReader
{
    private const int FreshLag = 40;

    private readonly World _world;
    private readonly SimNode _node;
    private readonly ReaderLease _lease;
    private readonly int _start;
    private int _timeline;
    private int _applied;
    private int _limit;
    private int _announced;
    private int _consistent;
    private int _horizon;
    private int _connection;
    private int _writer = -1;
    private bool _following;
    private bool _asked;
    private long _activatedAt;
    private TimeSpan _askedAt;
    private TimeSpan _joinedAt;
    private TimeSpan _heardAt;
    private TimeSpan _tellAt;
    private ulong _sequence;

    public SimReader(World world, SimNode node)
    {
        (_world, _node) = (world, node);
        _lease = new ReaderLease(world.Settings);
        _timeline = world.Storage.ControlTimeline;
        _start = _applied = _consistent = world.Storage.ControlRedo;
    }

    public int Applied => _applied;
    public int TimelineNumber => _timeline;

    /// <summary>The reader takes itself for counted: what it reads is gated for it.</summary>
    public bool IsCovered => _lease.State == LeaseState.Active && _node.Local < _lease.LeaseEnd;

    public ulong Epoch => _lease.Epoch;

    /// <summary>Follows its timeline to another one; false when it has applied what is not in it.</summary>
    public bool TryFollow(int timeline)
    {
        if (timeline != _timeline && (!_world.IsAncestor(_timeline, timeline) || _applied > _world.Common(_timeline, timeline)))
        {
            return false;
        }

        _timeline = timeline;
        return true;
    }

    public void Step(ref Dice dice)
    {
        Tick();
        EndUncovered(ref dice);
        Follow(ref dice);
        for (int i = 0; i < 2; i++)
        {
            switch (dice.Below(8))
            {
                case 0 or 1:
                    Apply(ref dice);
                    break;
                case 2:
                    Cut();
                    break;
                case 3:
                    OpenSnapshot(ref dice);
                    break;
                case 4 when dice.Chance(150):
                    CloseSnapshot(dice.Below(_snapshots.Length));
                    break;
                default:
                    Query(ref dice);
                    break;
            }
        }
    }

    public void Leave(ref Dice dice)
    {
        for (int i = 0; i < _snapshots.Length; i++)
        {
            CloseSnapshot(i);
        }

        if (_following)
        {
            _world.Network.Send(ref dice, To(MessageKind.Leave), _world.Now);
        }
    }

    public void Receive(in Message message, ref Dice dice)
    {
        if (message.Connection != _connection || !_world.Rules.AcceptsEpoch(_lease, message.Epoch))
        {
            return;
        }

        _heardAt = _node.Local;
        switch (message.Kind)
        {
            case MessageKind.JoinReply:
                if (!TryFollow(message.Timeline))
                {
                    // R10: it has applied what never came to be.
                    _world.RestartReader(_node);
                    return;
                }

                _asked &= message.Session <= _lease.Session;
                _lease.Joined(message.Session, _node.Local);
                _world.Trace?.Invoke(_world.Line(_node, $"joins {World.Name(message.From)}, session {message.Session & 0xFFFF} of epoch {message.Epoch}, {_lease.State} at {_applied}, timeline {_timeline}"));
                _following = true;
                _limit = Math.Max(_limit, message.Flushed);
                _announced = Math.Max(_announced, message.Consistent);
                break;
            case MessageKind.ActivateReply:
                if (_lease.ActivationGranted(message.Session, Model.L(message.Applied), message.Duration, _askedAt))
                {
                    _activatedAt = _world.Now;
                    _world.Trace?.Invoke(_world.Line(_node, $"is activated, floor {message.Applied}, applied {_applied}, lease until {_lease.LeaseEnd - _node.Local} from now"));
                }

                _limit = Math.Max(_limit, message.Applied);
                Cut();
                break;
            case MessageKind.State when _following:
                if (message.Given)
                {
                    _world.Rules.Granted(_lease, message.Sequence, message.Duration, _node.Local);
                }

                if (message.Evicted)
                {
                    _lease.Evicted(message.Session);
                    _world.Trace?.Invoke(_world.Line(_node, $"is evicted, {_lease.State} at {_applied}"));
                }

                _limit = Math.Max(_limit, message.Flushed);
                _announced = Math.Max(_announced, message.Consistent);
                break;
            default:
                break;
        }
    }

    private void Follow(ref Dice dice)
    {
        TimeSpan now = _node.Local;
        bool silent = now - _heardAt > _world.Settings.Lease;
        bool unanswered = _asked && _lease.AwaitsActivation && now - _askedAt > _world.Settings.Lease;
        if (_connection != 0 && (_lease.NeedsSession || silent || unanswered || dice.Chance(4)))
        {
            // A connection ends for no reason, too.
            (_connection, _following, _asked) = (0, false, false);
        }

        if (_connection == 0)
        {
            if (now < _joinedAt + (_world.Settings.Renewal / 2))
            {
                return;
            }

            _writer = _world.SomeWriter(_node.Id, ref dice);
            if (_writer < 0)
            {
                return;
            }

            (_joinedAt, _heardAt) = (now, now);
            _connection = _world.NextConnection();
            Message join = To(MessageKind.Join);
            join.Epoch = 0;
            join.Session = _lease.Resumable;
            _world.Network.Send(ref dice, join, _world.Now);
            return;
        }

        if (!_following)
        {
            return;
        }

        if (_lease.AwaitsActivation && !_asked && (_limit - _applied < FreshLag || _lease.State == LeaseState.Frozen))
        {
            _asked = true;
            _askedAt = now;
            _world.Network.Send(ref dice, To(MessageKind.Activate), _world.Now);
        }

        if (now >= _tellAt || dice.Chance(50))
        {
            _tellAt = now + _world.Settings.Renewal;
            _lease.Sent(++_sequence, now);
            _horizon = Math.Max(_horizon, Math.Min(OldestSnapshot, _applied));
            Message state = To(MessageKind.Acknowledge);
            (state.Applied, state.Snapshot, state.Sequence) = (_applied, Math.Min(_horizon, _applied), _sequence);
            _world.Network.Send(ref dice, state, _world.Now);
        }
    }

    private Lsn Oldest => OldestSnapshot == int.MaxValue ? Lsn.Max : Model.L(OldestSnapshot);

    private void Tick() => _lease.Tick(Model.L(_applied), Oldest, _node.Local);

    private void Apply(ref Dice dice)
    {
        int limit = Math.Min(_limit, _world.Timelines[_timeline].Durable);
        if (limit > _applied && _world.Rules.MayApply(_lease, Oldest, _node.Local))
        {
            _applied = Math.Min(limit, _applied + 1 + dice.Below(12));
        }
    }

    private void Cut()
    {
        if (_world.Rules.MayCutIndex(_lease, Oldest, _node.Local))
        {
            int limit = Model.Position(_world.Rules.CutLimit(Model.L(_announced), Model.L(_applied)));
            _consistent = Math.Max(_consistent, limit);
        }
    }

    private Message To(MessageKind kind) => new()
    {
        Kind = kind,
        From = _node.Id,
        To = _writer,
        Connection = _connection,
        Epoch = _lease.Epoch,
        Session = _lease.Session,
        OldestWal = _consistent,
    };
}
