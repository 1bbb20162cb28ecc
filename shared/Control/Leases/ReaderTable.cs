using SharedStorage.Primitives;

namespace SharedStorage.Control.Leases;

/// <summary>
/// The writer's side of the leases, as a pure state machine: events with their time in, verdicts out; no clock, no network, no locks (the owner serializes).
/// Keeps I2's minimum, I7's minimum and I8's leases. Driven by real time and gRPC in the writer, by a seeded simulation in tests.
/// </summary>
/// <remarks>
/// The order that makes a lease safe: the reader measures from when it SENT an acknowledgement, the writer from when it ANSWERS it, which is later, and waits a little longer than it
/// granted, since clocks run apart; so the reader's lease has ended whenever the writer's has. Each Join begins a session with one activation, so that a request that was held up
/// somewhere cannot move what a later one stands for.
/// </remarks>
public sealed class ReaderTable
{
    private readonly LeaseSettings _settings;
    private readonly Dictionary<string, Member> _members = new(StringComparer.Ordinal);
    private readonly HashSet<string> _inherited;
    private readonly bool _formerMayWrite;
    private readonly TimeSpan _honourUntil;
    private ulong _lastSession;

    /// <param name="settings">Times and limits.</param>
    /// <param name="registered">The readers that the registry on shared storage names: an earlier writer may have granted them leases.</param>
    /// <param name="now">The start, on the writer's monotonic clock.</param>
    /// <param name="epoch">This writer's epoch: no session of one writer has the number of another's.</param>
    /// <param name="formerMayWrite">
    /// R13: the former writer is neither fenced nor proven dead, so writes that it started while it held its lease may still land. They have one lease to do so, before anything is written.
    /// </param>
    public ReaderTable(LeaseSettings settings, IEnumerable<string> registered, TimeSpan now, ulong epoch = 0, bool formerMayWrite = false)
    {
        _settings = settings.Validated();
        _inherited = new HashSet<string>(registered, StringComparer.Ordinal);
        _formerMayWrite = formerMayWrite;
        _honourUntil = now + settings.Outwaited;
        _lastSession = epoch << 32;
        Recompute(now);
    }

    /// <summary>The minimum over all leased readers; <see cref="Lsn.Max"/> without any; zero while inherited leases may run (I8).</summary>
    public Lsn LowestApplied { get; private set; }

    /// <summary>The minimum of what leased readers reported (I7); as <see cref="LowestApplied"/> otherwise.</summary>
    public Lsn LowestSnapshot { get; private set; }

    /// <summary>No log from here on may be recycled: a reader may need it (I3).</summary>
    public Lsn LowestWal { get; private set; }

    /// <summary>Leases granted by an earlier writer may still run, or its writes may still land.</summary>
    public bool HonoursInherited { get; private set; }

    public IReadOnlyCollection<Member> Members => _members.Values;

    /// <summary>I9: a joining reader may still know an older epoch; all later messages carry this writer's own.</summary>
    public static bool AcceptsEpoch(ulong message, ulong own, bool joins) => joins ? message <= own : message == own;

    /// <summary>R4: the floor of an activation, from positions that are read after the reader counts. An asynchronous commit may be visible, and so in the horizon, beyond what is inserted without gaps.</summary>
    public static Lsn Floor(Lsn inserted, Lsn visible) => Lsn.MaxOf(inserted, visible);

    /// <summary>A reader joins and gets its session.</summary>
    /// <param name="name">The reader's name.</param>
    /// <param name="resume">The session whose lease it still holds, 0 for none: it goes on with it if that still counts.</param>
    /// <param name="oldestWal">The oldest position in the log that it needs.</param>
    /// <param name="now">The time.</param>
    public ulong Join(string name, ulong resume, Lsn oldestWal, TimeSpan now)
    {
        if (!_members.TryGetValue(name, out Member? member))
        {
            member = new Member(name);
            _members.Add(name, member);
        }

        if (resume == 0 || member.Session != resume || member.State != MemberState.Leased || !member.Floor.IsValid || now >= member.LeaseEnd)
        {
            member.Begin(++_lastSession, now);
        }

        member.OldestWal = oldestWal;
        member.HeardUntil = now + _settings.Outwaited;
        Recompute(now);
        return member.Session;
    }

    /// <summary>
    /// Counts the reader from now on, at LSN zero: nothing can be flushed past it until <see cref="SetFloor"/> tells its floor (R4: counted from the request on).
    /// </summary>
    public ActivationVerdict BeginActivation(string name, ulong session, TimeSpan now)
    {
        if (!_members.TryGetValue(name, out Member? member) || member.Session != session)
        {
            return ActivationVerdict.Refused;
        }

        if (member.State != MemberState.Joined)
        {
            return member.State == MemberState.Leased && member.Floor.IsValid ? ActivationVerdict.Repeated : ActivationVerdict.Refused;
        }

        member.State = MemberState.Leased;
        member.Applied = Lsn.Invalid;
        member.OldestSnapshot = Lsn.Invalid;
        member.LeaseEnd = now + _settings.Outwaited;
        _inherited.Remove(name);
        Recompute(now);
        return ActivationVerdict.Begun;
    }

    /// <summary>Ends the activation: the reader counts at its floor, below which it opens no snapshot. False: another session has begun meanwhile.</summary>
    public bool SetFloor(string name, ulong session, Lsn floor, TimeSpan now)
    {
        if (!_members.TryGetValue(name, out Member? member) || member.Session != session || member.State != MemberState.Leased)
        {
            return false;
        }

        member.Floor = floor;
        member.Applied = floor;
        member.OldestSnapshot = floor;
        member.LagMark = floor;
        member.LagMarkTime = now;
        Recompute(now);
        return true;
    }

    /// <summary>Where a session was activated.</summary>
    public Lsn FloorOf(string name, ulong session) =>
        _members.TryGetValue(name, out Member? member) && member.Session == session ? member.Floor : Lsn.Invalid;

    /// <summary>What may be granted now. A lease never outlives the writer's own: so whoever waits one lease after this writer's last sign of life, or cut it off, waits for its readers too.</summary>
    public TimeSpan Grantable(TimeSpan ownLease) => ownLease < _settings.Lease ? ownLease : _settings.Lease;

    /// <summary>An acknowledgement has arrived. The answer says whether a grant may be sent with it; its time counts from this moment.</summary>
    /// <param name="name">The reader's name.</param>
    /// <param name="session">The session of the message.</param>
    /// <param name="report">What it says.</param>
    /// <param name="flushed">How far the log is durable.</param>
    /// <param name="ownLease">What is left of the writer's own lease on storage; nothing is granted beyond it.</param>
    /// <param name="now">The time.</param>
    public Grant Acknowledge(string name, ulong session, in ReaderReport report, Lsn flushed, TimeSpan ownLease, TimeSpan now)
    {
        if (!_members.TryGetValue(name, out Member? member) || member.Session != session)
        {
            return new Grant(Given: false, Evicted: true, TimeSpan.Zero);
        }

        if (member.State == MemberState.Joined)
        {
            member.OldestWal = report.OldestWal;
            member.HeardUntil = now + _settings.Outwaited;
            Recompute(now);
            return default;
        }

        if (member.State == MemberState.Leased && now >= member.LeaseEnd)
        {
            member.State = MemberState.Evicted;
            Recompute(now);
        }

        if (member.State == MemberState.Evicted)
        {
            return new Grant(Given: false, Evicted: true, TimeSpan.Zero);
        }

        // Acknowledgements may arrive late or twice: none of these positions ever goes back.
        member.Applied = Lsn.MaxOf(member.Applied, report.Applied);
        member.OldestSnapshot = Lsn.MaxOf(member.OldestSnapshot, report.OldestSnapshot);
        member.OldestWal = report.OldestWal;
        JudgeLag(member, flushed, now);
        TimeSpan duration = Grantable(ownLease);
        bool given = !member.Condemned && member.Floor.IsValid && duration > TimeSpan.Zero;
        if (given)
        {
            member.LeaseEnd = now + _settings.Outwaited;
        }

        Recompute(now);
        return given ? new Grant(Given: true, Evicted: false, duration) : default;
    }

    /// <summary>The reader says good-bye: it answers nothing more. False: that was said in a session that is over, and changes nothing.</summary>
    public bool Leave(string name, ulong session, TimeSpan now)
    {
        if (!_members.TryGetValue(name, out Member? member) || member.Session != session)
        {
            return false;
        }

        if (now < member.FormerUntil)
        {
            member.State = MemberState.Evicted;
            Recompute(now);
            return false;
        }

        _members.Remove(name);
        _inherited.Remove(name);
        Recompute(now);
        return true;
    }

    /// <summary>Time has passed: lapsed leases end. Gives the readers evicted by this call.</summary>
    public IReadOnlyList<string> Tick(Lsn flushed, TimeSpan now)
    {
        List<string>? evicted = null;
        foreach (Member member in _members.Values)
        {
            if (member.State != MemberState.Leased)
            {
                continue;
            }

            JudgeLag(member, flushed, now);
            if (now >= member.LeaseEnd)
            {
                member.State = MemberState.Evicted;
                (evicted ??= []).Add(member.Name);
            }
        }

        Recompute(now);
        return evicted ?? (IReadOnlyList<string>)[];
    }

    private void JudgeLag(Member member, Lsn flushed, TimeSpan now)
    {
        if (member.Applied >= member.LagMark)
        {
            member.LagMark = flushed;
            member.LagMarkTime = now;
        }

        bool far = flushed > member.Applied && flushed - member.Applied > _settings.EvictionBytes;
        bool late = member.Applied < member.LagMark && now - member.LagMarkTime > _settings.EvictionTime;
        member.Condemned |= far || late;
    }

    private void Recompute(TimeSpan now)
    {
        HonoursInherited = (_inherited.Count > 0 || _formerMayWrite) && now < _honourUntil;
        if (HonoursInherited)
        {
            (LowestApplied, LowestSnapshot, LowestWal) = (Lsn.Invalid, Lsn.Invalid, Lsn.Invalid);
            return;
        }

        (LowestApplied, LowestSnapshot, LowestWal) = (Lsn.Max, Lsn.Max, Lsn.Max);
        foreach (Member member in _members.Values)
        {
            if (member.State == MemberState.Leased)
            {
                LowestApplied = Lsn.Min(LowestApplied, member.Applied);
                LowestSnapshot = Lsn.Min(LowestSnapshot, member.OldestSnapshot);
            }

            if (now < member.FormerUntil)
            {
                LowestApplied = Lsn.Min(LowestApplied, member.FormerApplied);
                LowestSnapshot = Lsn.Min(LowestSnapshot, member.FormerSnapshot);
            }

            if (member.State == MemberState.Leased || (member.State == MemberState.Joined && now < member.HeardUntil))
            {
                LowestWal = Lsn.Min(LowestWal, member.OldestWal);
            }
        }
    }
}

/// <summary>What a reader tells with each acknowledgement.</summary>
/// <param name="Applied">Everything before it is applied.</param>
/// <param name="OldestSnapshot">No snapshot on the reader is older, now or later (I7).</param>
/// <param name="OldestWal">The oldest position in the log that it may still read (I3).</param>
public readonly record struct ReaderReport(Lsn Applied, Lsn OldestSnapshot, Lsn OldestWal);
