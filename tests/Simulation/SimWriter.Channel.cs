using SharedStorage.Control.Leases;
using SharedStorage.Primitives;

namespace SharedStorage.Simulation;

/// <summary>The writer's end of the channel, as writer/Channel/ReaderChannel carries the table's decisions out.</summary>
internal sealed partial class SimWriter
{
    private readonly Follower[] _followers = new Follower[World.Nodes];

    private struct Follower
    {
        public int Connection;
        public ulong Session;
        public ulong Activating;
        public int Floor;
        public bool Counted;
        public TimeSpan TellAt;
        public TimeSpan Granted;
    }

    public void Receive(in Message message, ref Dice dice)
    {
        if (!ReaderTable.AcceptsEpoch(message.Epoch, _term.Epoch, message.Kind == MessageKind.Join))
        {
            return;
        }

        string name = World.Name(message.From);
        ref Follower follower = ref _followers[message.From];
        switch (message.Kind)
        {
            case MessageKind.Join:
                ulong session = _table.Join(name, message.Session, Model.L(message.OldestWal), _node.Local);
                OnReadersChanged();
                follower.Connection = message.Connection;
                follower.Session = session;
                Reply(message, MessageKind.JoinReply, session, ref dice);
                break;
            case MessageKind.Activate:
                Activate(message, ref follower, ref dice);
                break;
            case MessageKind.Acknowledge:
                var report = new ReaderReport(Model.L(message.Applied), Model.L(message.Snapshot), Model.L(message.OldestWal));
                Grant grant = _table.Acknowledge(name, message.Session, report, Model.L(_flushed), _term.Left(_node.Local), _node.Local);
                OnReadersChanged();
                Message state = StateTo(message.From, message.Connection, message.Session);
                (state.Given, state.Evicted, state.Duration, state.Sequence) = (grant.Given, grant.Evicted, grant.Duration, message.Sequence);
                _world.Network.Send(ref dice, state, _world.Now);
                break;
            case MessageKind.Leave:
                if (_table.Leave(name, message.Session, _node.Local))
                {
                    _world.Storage.Registry.Remove(name);
                }

                OnReadersChanged();
                break;
            default:
                break;
        }
    }

    private void Activate(in Message message, ref Follower follower, ref Dice dice)
    {
        string name = World.Name(message.From);
        TimeSpan granted = _table.Grantable(_term.Left(_node.Local));
        if (granted <= TimeSpan.Zero || _node.StorageCut)
        {
            return;
        }

        _world.Storage.Registry.Add(name);
        if (_world.Rules.FloorBeforeCounting)
        {
            follower = follower with { Activating = message.Session, Floor = Math.Max(_log.Count, _visible), Counted = false, Granted = granted };
            return;
        }

        switch (_table.BeginActivation(name, message.Session, _node.Local))
        {
            case ActivationVerdict.Begun:
                OnReadersChanged();
                follower = follower with { Activating = message.Session, Floor = -1, Counted = true, Granted = granted };
                break;
            case ActivationVerdict.Repeated when _table.FloorOf(name, message.Session) is { IsValid: true } floor && Model.Position(floor) <= _flushed:
                Reply(message, MessageKind.ActivateReply, message.Session, ref dice, Model.Position(floor), granted);
                break;
            default:
                break;
        }
    }

    /// <summary>The second half of an activation runs a moment later: what may happen in between does.</summary>
    private void FinishActivations(ref Dice dice)
    {
        for (int reader = 0; reader < _followers.Length; reader++)
        {
            ref Follower follower = ref _followers[reader];
            if (follower.Activating == 0 || dice.Chance(300))
            {
                continue;
            }

            string name = World.Name(reader);
            if (!follower.Counted)
            {
                follower.Counted = true;
                if (_table.BeginActivation(name, follower.Activating, _node.Local) != ActivationVerdict.Begun
                    || !_table.SetFloor(name, follower.Activating, Model.L(follower.Floor), _node.Local))
                {
                    follower.Activating = 0;
                }

                OnReadersChanged();
            }
            else if (follower.Floor < 0)
            {
                follower.Floor = Model.Position(_world.Rules.Floor(Model.L(_log.Count), Model.L(_visible)));
                if (!_table.SetFloor(name, follower.Activating, Model.L(follower.Floor), _node.Local))
                {
                    follower.Activating = 0;
                }

                OnReadersChanged();
            }
            else if (_flushed >= follower.Floor)
            {
                var to = new Message { From = reader, Connection = follower.Connection };
                Reply(to, MessageKind.ActivateReply, follower.Activating, ref dice, follower.Floor, follower.Granted);
                follower.Activating = 0;
            }
            else
            {
                FlushLog(ref dice);
            }
        }
    }

    private void Broadcast(ref Dice dice)
    {
        for (int reader = 0; reader < _followers.Length; reader++)
        {
            ref Follower follower = ref _followers[reader];
            if (follower.Connection != 0 && _node.Local >= follower.TellAt)
            {
                follower.TellAt = _node.Local + _world.Settings.Renewal;
                _world.Network.Send(ref dice, StateTo(reader, follower.Connection, follower.Session), _world.Now);
            }
        }
    }

    private void Reply(in Message to, MessageKind kind, ulong session, ref Dice dice, int applied = 0, TimeSpan duration = default)
    {
        Message reply = StateTo(to.From, to.Connection, session);
        (reply.Kind, reply.Applied, reply.Duration) = (kind, applied, duration);
        _world.Network.Send(ref dice, reply, _world.Now);
    }

    private Message StateTo(int reader, int connection, ulong session) => new()
    {
        Kind = MessageKind.State,
        From = _node.Id,
        To = reader,
        Connection = connection,
        Epoch = _term.Epoch,
        Session = session,
        Timeline = _timeline,
        Flushed = _flushed,
        Consistent = Math.Max(_consistent, _redo),
    };
}
