using SharedStorage.Primitives;

namespace SharedStorage.Control.Leases;

public enum LeaseState
{
    /// <summary>No writer is known; nothing is served.</summary>
    Detached,

    /// <summary>Joined, tails the log towards the writer's flushed LSN; not counted, serves nothing yet.</summary>
    CatchingUp,

    /// <summary>Counted at the floor; serves once the floor is applied.</summary>
    Activated,

    /// <summary>Leased and at or past the floor: applies and serves.</summary>
    Active,

    /// <summary>The lease has lapsed and the writer cannot be reached: applies nothing, serves from where it stands, for a bounded time.</summary>
    Frozen,

    /// <summary>Frozen for too long: serves nothing more.</summary>
    Expired,
}

/// <summary>
/// The reader's side of its lease (I8, R4, R12), as a pure state machine like <see cref="ReaderTable"/>.
/// Times are readings of the reader's own monotonic clock; the lease is measured from when the acknowledgement was sent.
/// </summary>
public sealed class ReaderLease(LeaseSettings settings)
{
    private const int SentMemory = 64;
    private readonly (ulong Sequence, TimeSpan Sent)[] _sent = new (ulong, TimeSpan)[SentMemory];
    private TimeSpan _frozenSince;

    public LeaseState State { get; private set; }

    /// <summary>The highest epoch met: messages of a lower one are refused (I9).</summary>
    public ulong Epoch { get; private set; }

    public Lsn Floor { get; private set; }
    public TimeSpan LeaseEnd { get; private set; }

    /// <summary>Whether the tail may go on: not counted yet, or leased.</summary>
    public bool MayApply(TimeSpan now) =>
        State is LeaseState.CatchingUp || (State is LeaseState.Activated or LeaseState.Active && now < LeaseEnd);

    /// <summary>Whether queries may be answered; when frozen, each page taken from storage is checked besides (R12).</summary>
    public bool MayServe => State is LeaseState.Active or LeaseState.Frozen;

    /// <summary>False refuses the message: its sender is a former writer.</summary>
    public bool AcceptEpoch(ulong epoch)
    {
        if (epoch < Epoch)
        {
            return false;
        }

        Epoch = epoch;
        return true;
    }

    /// <summary>The writer has answered Join: catch up. A reader that serves from a frozen LSN goes on serving until it is activated anew.</summary>
    public void Joined()
    {
        if (State is LeaseState.Detached or LeaseState.Expired)
        {
            State = LeaseState.CatchingUp;
        }
    }

    /// <param name="floor">No snapshot is opened below it (R4).</param>
    /// <param name="requestSent">When the request was sent: the lease counts from there.</param>
    public void ActivationGranted(Lsn floor, TimeSpan requestSent)
    {
        Floor = floor;
        LeaseEnd = requestSent + settings.Lease;
        State = LeaseState.Activated;
    }

    public void Sent(ulong sequence, TimeSpan now) => _sent[sequence % SentMemory] = (sequence, now);

    /// <summary>A grant names the acknowledgement it answers; one that is no longer remembered is too old to be of use.</summary>
    public void Granted(ulong sequence, TimeSpan duration)
    {
        (ulong remembered, TimeSpan sent) = _sent[sequence % SentMemory];
        if (remembered == sequence && sequence != 0 && State is LeaseState.Activated or LeaseState.Active && sent + duration > LeaseEnd)
        {
            LeaseEnd = sent + duration;
        }
    }

    /// <summary>The writer no longer counts this reader, and says so.</summary>
    public void Evicted()
    {
        if (State is LeaseState.Activated or LeaseState.Active or LeaseState.Frozen)
        {
            State = LeaseState.CatchingUp;
        }
    }

    /// <summary>Time has passed or the tail has moved.</summary>
    public void Tick(Lsn applied, TimeSpan now)
    {
        switch (State)
        {
            case LeaseState.Activated when now >= LeaseEnd:
                // It has never served: there is nothing to freeze.
                State = LeaseState.CatchingUp;
                break;
            case LeaseState.Activated when applied >= Floor:
                State = LeaseState.Active;
                break;
            case LeaseState.Active when now >= LeaseEnd:
                State = LeaseState.Frozen;
                _frozenSince = now;
                break;
            case LeaseState.Frozen when now - _frozenSince >= settings.FrozenAnswers:
                State = LeaseState.Expired;
                break;
            default:
                break;
        }
    }
}
