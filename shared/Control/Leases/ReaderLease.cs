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

/// <summary>Whether a page from storage may be used.</summary>
public enum ReadVerdict
{
    Take,

    /// <summary>No writer waits for this reader, and the page may show something later than what it has applied.</summary>
    MayBeLater,

    /// <summary>The reader answers nothing more.</summary>
    Ended,
}

/// <summary>
/// The reader's side of its lease (I8, R4, R12), as a pure state machine like <see cref="ReaderTable"/>.
/// Times are readings of the reader's own monotonic clock; the lease is measured from when the acknowledgement was sent.
/// </summary>
/// <remarks>
/// What keeps a query right is one rule: the tail applies nothing while a snapshot is open that no lease covers (<see cref="MustEndBelow"/>). A writer that no longer counts this
/// reader may have pruned, cut and unlinked; as long as applied stands still, that shows in what is read from storage, and is refused.
/// </remarks>
public sealed class ReaderLease(LeaseSettings settings)
{
    private const int SentMemory = 64;
    private readonly (ulong Sequence, TimeSpan Sent)[] _sent = new (ulong, TimeSpan)[SentMemory];
    private TimeSpan _frozenSince;
    private bool _granted;
    private bool _lost;

    public LeaseState State { get; private set; }

    /// <summary>The highest epoch met: messages of a lower one are refused (I9).</summary>
    public ulong Epoch { get; private set; }

    /// <summary>The session with the writer; 0 before the first.</summary>
    public ulong Session { get; private set; }

    public Lsn Floor { get; private set; }
    public TimeSpan LeaseEnd { get; private set; }

    /// <summary>The session's one activation has been used up: only a new session brings the reader back.</summary>
    public bool NeedsSession => _lost;

    /// <summary>What may be resumed, if the writer still counts it; 0 for nothing.</summary>
    public ulong Resumable => MayServe && _granted ? Session : 0;

    /// <summary>The session waits for its activation.</summary>
    public bool AwaitsActivation => !_granted && !_lost && Session != 0;

    /// <summary>Whether queries may be answered; when frozen, each page taken from storage is checked besides (R12).</summary>
    public bool MayServe => State is LeaseState.Active or LeaseState.Frozen;

    /// <summary>Snapshots below this are covered by no lease: they end before anything is applied (R4). Invalid: none.</summary>
    public Lsn MustEndBelow => State switch
    {
        LeaseState.CatchingUp => Lsn.Max,
        LeaseState.Activated => Floor,
        _ => Lsn.Invalid,
    };

    /// <summary>Whether the tail may go on.</summary>
    /// <param name="oldestSnapshot">The oldest snapshot that is open on this node; <see cref="Lsn.Max"/> for none.</param>
    /// <param name="now">The time.</param>
    public bool MayApply(Lsn oldestSnapshot, TimeSpan now) => State switch
    {
        LeaseState.CatchingUp => oldestSnapshot == Lsn.Max,
        LeaseState.Activated => now < LeaseEnd && oldestSnapshot >= Floor,
        LeaseState.Active => now < LeaseEnd,
        _ => false,
    };

    /// <summary>Whether a snapshot may be read from: asked once it is published, so that whoever ends snapshots sees it, or this sees why it may not be (R4).</summary>
    public bool MayOpen(Lsn snapshot) => MayServe && snapshot >= Floor;

    /// <summary>
    /// Judges a page after it was read (R12). One that is past the end, all zero or in no file counts as later: a live writer may have cut the file or made it anew.
    /// </summary>
    public ReadVerdict Judge(Lsn pageLsn, bool missing, Lsn applied) => State switch
    {
        LeaseState.Active => ReadVerdict.Take,
        LeaseState.Expired => ReadVerdict.Ended,
        _ => missing || !pageLsn.IsValid || pageLsn > applied ? ReadVerdict.MayBeLater : ReadVerdict.Take,
    };

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

    /// <summary>
    /// The writer has answered Join. With another session than before, the former one's lease is relied on no more, since the writer will count this reader at a new floor: a reader
    /// that serves is frozen and goes on serving from where it stands until it is activated anew.
    /// </summary>
    public void Joined(ulong session, TimeSpan now)
    {
        if (session <= Session)
        {
            // The same one goes on; a lower one is an answer that was overtaken: sessions count up, across writers too.
            return;
        }

        Session = session;
        _granted = false;
        _lost = false;
        Array.Clear(_sent);
        switch (State)
        {
            case LeaseState.Active:
                Freeze(now);
                break;
            case LeaseState.Frozen:
                break;
            default:
                State = LeaseState.CatchingUp;
                break;
        }
    }

    /// <summary>The answer to Activate. Ignored when it belongs to another session, or has come before.</summary>
    /// <param name="session">The session in which the request was sent.</param>
    /// <param name="floor">No snapshot is opened below it (R4).</param>
    /// <param name="length">The lease that the writer grants.</param>
    /// <param name="requestSent">When the request was sent: the lease counts from there.</param>
    public bool ActivationGranted(ulong session, Lsn floor, TimeSpan length, TimeSpan requestSent)
    {
        if (session != Session || _granted || _lost)
        {
            return false;
        }

        _granted = true;
        Floor = floor;
        LeaseEnd = requestSent + length;
        State = LeaseState.Activated;
        return true;
    }

    public void Sent(ulong sequence, TimeSpan now) => _sent[sequence % SentMemory] = (sequence, now);

    /// <summary>
    /// A grant names the acknowledgement it answers; one that is no longer remembered is too old to be of use. One that comes late shows that the writer counted this
    /// reader all along.
    /// </summary>
    public void Granted(ulong sequence, TimeSpan duration)
    {
        (ulong remembered, TimeSpan sent) = _sent[sequence % SentMemory];
        if (remembered == sequence && sequence != 0 && _granted && sent + duration > LeaseEnd)
        {
            LeaseEnd = sent + duration;
        }
    }

    /// <summary>The writer no longer counts this reader, and says so.</summary>
    public void Evicted(ulong session)
    {
        if (session != Session)
        {
            return;
        }

        Lose();
        if (State is LeaseState.Activated or LeaseState.Active or LeaseState.Frozen)
        {
            State = LeaseState.CatchingUp;
        }
    }

    /// <summary>Time has passed or the tail has moved.</summary>
    /// <param name="applied">Everything before it is applied.</param>
    /// <param name="oldestSnapshot">The oldest snapshot that is open; looked at while <see cref="LeaseState.Activated"/> only, where one below the floor keeps the reader from serving.</param>
    /// <param name="now">The time.</param>
    public void Tick(Lsn applied, Lsn oldestSnapshot, TimeSpan now)
    {
        switch (State)
        {
            case LeaseState.Activated when now >= LeaseEnd:
                // It has never served from this floor: there is nothing to freeze.
                Lose();
                State = LeaseState.CatchingUp;
                break;
            case LeaseState.Activated when applied >= Floor && oldestSnapshot >= Floor:
                State = LeaseState.Active;
                break;
            case LeaseState.Active when now >= LeaseEnd:
                Freeze(now);
                break;
            case LeaseState.Frozen when _granted && now < LeaseEnd:
                State = LeaseState.Active;
                break;
            case LeaseState.Frozen when now - _frozenSince >= settings.FrozenAnswers:
                Lose();
                State = LeaseState.Expired;
                break;
            default:
                break;
        }
    }

    private void Freeze(TimeSpan now)
    {
        State = LeaseState.Frozen;
        _frozenSince = now;
    }

    private void Lose()
    {
        _lost = true;
        _granted = false;
    }
}
