namespace SharedStorage.Simulation;

internal enum MessageKind : byte
{
    Join,
    JoinReply,
    Activate,
    ActivateReply,
    Acknowledge,
    State,
    Leave,
}

internal struct Message
{
    public MessageKind Kind;
    public bool Used;
    public bool Given;
    public bool Evicted;
    public int From;
    public int To;

    /// <summary>The reader's connection: what comes on one that it has given up does not reach it.</summary>
    public int Connection;
    public int Timeline;
    public int Applied;
    public int Snapshot;
    public int OldestWal;
    public int Flushed;
    public int Consistent;
    public ulong Epoch;
    public ulong Session;
    public ulong Sequence;
    public TimeSpan Duration;
    public long DeliverAt;
}

/// <summary>Messages are lost, late, doubled and out of order; pairs of nodes are cut off for a time.</summary>
internal sealed class Network
{
    private readonly Message[] _messages = new Message[96];
    private readonly long[] _cutUntil = new long[World.Nodes * World.Nodes];

    public void Reset()
    {
        Array.Clear(_messages);
        Array.Clear(_cutUntil);
    }

    public void CutOff(int a, int b, long until)
    {
        _cutUntil[(a * World.Nodes) + b] = until;
        _cutUntil[(b * World.Nodes) + a] = until;
    }

    public void Send(ref Dice dice, in Message message, long now)
    {
        if (dice.Chance(60) || _cutUntil[(message.From * World.Nodes) + message.To] > now)
        {
            return;
        }

        Put(message, now + Delay(ref dice));
        if (dice.Chance(50))
        {
            Put(message, now + Delay(ref dice));
        }
    }

    /// <summary>The next message that is due for a node, in no order.</summary>
    public bool TryReceive(int to, long now, out Message message)
    {
        for (int i = 0; i < _messages.Length; i++)
        {
            ref Message m = ref _messages[i];
            if (m.Used && m.To == to && m.DeliverAt <= now)
            {
                message = m;
                m.Used = false;
                return true;
            }
        }

        message = default;
        return false;
    }

    private static long Delay(ref Dice dice) => dice.Below(100) switch
    {
        < 75 => dice.Millis(1, 30),
        < 95 => dice.Millis(10, 300),
        _ => dice.Millis(200, 2500),
    };

    private void Put(in Message message, long at)
    {
        for (int i = 0; i < _messages.Length; i++)
        {
            if (!_messages[i].Used)
            {
                _messages[i] = message;
                _messages[i].Used = true;
                _messages[i].DeliverAt = at;
                return;
            }
        }

        // Full: lost, as on a network.
    }
}
