using SharedStorage.Primitives;

namespace SharedStorage.Control.Leases;

public enum MemberState
{
    /// <summary>Known, tails the log; the gate does not count it.</summary>
    Joined,

    /// <summary>Counted by the gate: its lease runs.</summary>
    Leased,

    /// <summary>Its lease ran out, or was not renewed because it lagged. It must join anew.</summary>
    Evicted,
}

/// <summary>What the writer knows of one reader.</summary>
public sealed class Member
{
    internal Member(string name) => Name = name;

    public string Name { get; }
    public MemberState State { get; internal set; }

    /// <summary>Given by the last Join: messages of another one are of a former life of the reader, or of its link.</summary>
    public ulong Session { get; internal set; }

    public Lsn Applied { get; internal set; }

    /// <summary>The oldest snapshot LSN it last reported (I7).</summary>
    public Lsn OldestSnapshot { get; internal set; }
    public Lsn OldestWal { get; internal set; } = Lsn.Max;

    /// <summary>The moment on the writer's monotonic clock after which the reader is no longer counted.</summary>
    public TimeSpan LeaseEnd { get; internal set; }

    /// <summary>Lagging: no further grant; eviction follows when the lease has run out.</summary>
    public bool Condemned { get; internal set; }

    /// <summary>Where it was activated; invalid before.</summary>
    internal Lsn Floor { get; set; }

    internal Lsn LagMark { get; set; }
    internal TimeSpan LagMarkTime { get; set; }

    /// <summary>A reader that only tails keeps its log for as long as it is heard from.</summary>
    internal TimeSpan HeardUntil { get; set; }

    /// <summary>What a superseded session stood for, until its lease has run out: its holder may not know yet.</summary>
    internal Lsn FormerApplied { get; set; } = Lsn.Max;
    internal Lsn FormerSnapshot { get; set; } = Lsn.Max;
    internal TimeSpan FormerUntil { get; set; }

    /// <summary>Begins a session. What the one before was granted goes on counting until it has run out.</summary>
    internal void Begin(ulong session, TimeSpan now)
    {
        if (State == MemberState.Leased && Floor.IsValid && now < LeaseEnd)
        {
            bool running = now < FormerUntil;
            FormerApplied = running ? Lsn.Min(FormerApplied, Applied) : Applied;
            FormerSnapshot = running ? Lsn.Min(FormerSnapshot, OldestSnapshot) : OldestSnapshot;
            FormerUntil = running && FormerUntil > LeaseEnd ? FormerUntil : LeaseEnd;
        }

        Session = session;
        State = MemberState.Joined;
        Condemned = false;
        Floor = Lsn.Invalid;
    }
}

/// <summary>The answer to an acknowledgement.</summary>
/// <param name="Given">The lease goes on for the duration, from when the acknowledgement was sent.</param>
/// <param name="Evicted">The session no longer counts: the reader must join anew.</param>
public readonly record struct Grant(bool Given, bool Evicted, TimeSpan Duration);

public enum ActivationVerdict
{
    /// <summary>The reader counts at zero: read the floor now, then <see cref="ReaderTable.SetFloor"/>.</summary>
    Begun,

    /// <summary>The request was carried out before: answer with <see cref="ReaderTable.FloorOf"/>.</summary>
    Repeated,

    /// <summary>The session is over, or its activation is under way: the reader joins anew.</summary>
    Refused,
}
