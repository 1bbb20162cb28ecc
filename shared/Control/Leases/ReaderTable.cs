using SharedStorage.Primitives;

namespace SharedStorage.Control.Leases;

public enum MemberState
{
    /// <summary>Known, tails the log; the gate does not count it.</summary>
    Joined,

    /// <summary>Counted by the gate: its lease runs.</summary>
    Leased,

    /// <summary>Its lease ran out, or was not renewed because it lagged. It must activate anew.</summary>
    Evicted,
}

/// <summary>What the writer knows of one reader.</summary>
public sealed class Member
{
    internal Member(string name) => Name = name;

    public string Name { get; }
    public MemberState State { get; internal set; }
    public Lsn Applied { get; internal set; }

    /// <summary>The oldest snapshot LSN it last reported (I7).</summary>
    public Lsn OldestSnapshot { get; internal set; }
    public Lsn OldestWal { get; internal set; } = Lsn.Max;

    /// <summary>The moment on the writer's monotonic clock after which the reader is no longer counted.</summary>
    public TimeSpan LeaseEnd { get; internal set; }

    /// <summary>Lagging: no further grant; eviction follows when the lease has run out.</summary>
    public bool Condemned { get; internal set; }

    internal Lsn LagMark { get; set; }
    internal TimeSpan LagMarkTime { get; set; }
}

public readonly record struct Grant(bool Given, bool Evicted, TimeSpan Duration);

/// <summary>
/// The writer's side of the leases, as a pure state machine: events with their time in, verdicts out; no clock, no network, no locks (the owner serializes).
/// Keeps I2's minimum, I7's minimum and I8's leases. Driven by real time and gRPC in the writer, by a seeded simulation in tests.
/// </summary>
/// <remarks>
/// The order that makes a lease safe: the reader measures from when it SENT an acknowledgement, the writer from when it ANSWERS it, which is later; so the
/// reader's lease has ended whenever the writer's has.
/// </remarks>
public sealed class ReaderTable
{
    private readonly LeaseSettings _settings;
    private readonly Dictionary<string, Member> _members = new(StringComparer.Ordinal);
    private readonly HashSet<string> _inherited;
    private readonly TimeSpan _honourUntil;

    /// <param name="settings">Times and limits.</param>
    /// <param name="registered">The readers that the registry on shared storage names: an earlier writer may have granted them leases.</param>
    /// <param name="now">The start, on the writer's monotonic clock.</param>
    public ReaderTable(LeaseSettings settings, IEnumerable<string> registered, TimeSpan now)
    {
        _settings = settings.Validated();
        _inherited = new HashSet<string>(registered, StringComparer.Ordinal);
        _honourUntil = now + settings.Lease;
        Recompute(now);
    }

    /// <summary>The minimum over all leased readers; <see cref="Lsn.Max"/> without any; zero while inherited leases may run (I8).</summary>
    public Lsn LowestApplied { get; private set; }

    /// <summary>The minimum of what leased readers reported (I7); as <see cref="LowestApplied"/> otherwise.</summary>
    public Lsn LowestSnapshot { get; private set; }

    /// <summary>No log from here on may be recycled: a leased reader may need it (I3).</summary>
    public Lsn LowestWal { get; private set; }

    /// <summary>Leases granted by an earlier writer may still run.</summary>
    public bool HonoursInherited { get; private set; }

    public IReadOnlyCollection<Member> Members => _members.Values;

    public void Join(string name, TimeSpan now)
    {
        if (!_members.TryGetValue(name, out Member? member))
        {
            member = new Member(name);
            _members.Add(name, member);
        }

        // A leased reader that joins again has lost its memory (it restarted): what it was counted for no longer exists.
        // It stays counted until its old lease has run out all the same, for its old process may still answer.
        if (member.State != MemberState.Leased)
        {
            member.State = MemberState.Joined;
            member.Condemned = false;
        }

        Recompute(now);
    }

    /// <summary>
    /// Counts the reader from now on, at LSN zero: nothing can be flushed past it until <see cref="SetFloor"/> tells its floor (R4: counted from the request on).
    /// </summary>
    public void BeginActivation(string name, TimeSpan now)
    {
        Member member = Find(name);
        member.State = MemberState.Leased;
        member.Condemned = false;
        member.Applied = Lsn.Invalid;
        member.OldestSnapshot = Lsn.Invalid;
        member.LeaseEnd = now + _settings.Lease;
        _inherited.Remove(name);
        Recompute(now);
    }

    /// <summary>Ends the activation: the reader counts at its floor, below which it opens no snapshot.</summary>
    public void SetFloor(string name, Lsn floor, TimeSpan now)
    {
        Member member = Find(name);
        member.Applied = floor;
        member.OldestSnapshot = floor;
        member.LagMark = floor;
        member.LagMarkTime = now;
        Recompute(now);
    }

    /// <summary>An acknowledgement has arrived. The answer says whether a grant may be sent with it; its time counts from this moment.</summary>
    public Grant Acknowledge(string name, Lsn applied, Lsn oldestSnapshot, Lsn oldestWal, Lsn flushed, TimeSpan now)
    {
        if (!_members.TryGetValue(name, out Member? member) || member.State == MemberState.Joined)
        {
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
        member.Applied = Lsn.MaxOf(member.Applied, applied);
        member.OldestSnapshot = Lsn.MaxOf(member.OldestSnapshot, oldestSnapshot);
        member.OldestWal = oldestWal;
        JudgeLag(member, flushed, now);
        if (!member.Condemned)
        {
            member.LeaseEnd = now + _settings.Lease;
        }

        Recompute(now);
        return new Grant(!member.Condemned, Evicted: false, _settings.Lease);
    }

    /// <summary>The reader says good-bye: it answers nothing more.</summary>
    public void Leave(string name, TimeSpan now)
    {
        _members.Remove(name);
        _inherited.Remove(name);
        Recompute(now);
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
        HonoursInherited = _inherited.Count > 0 && now < _honourUntil;
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

            if (member.State != MemberState.Evicted)
            {
                LowestWal = Lsn.Min(LowestWal, member.OldestWal);
            }
        }
    }

    private Member Find(string name) =>
        _members.TryGetValue(name, out Member? member) ? member : throw new InvariantException("I8", $"reader \"{name}\" has not joined");
}
