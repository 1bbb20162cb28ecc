using SharedStorage.Writer.Fencing;

namespace SharedStorage.Simulation;

/// <summary>A node: a process with its own clock, which starts, stops, is paused, and is a reader, a writer, or on its way to be one.</summary>
internal sealed class SimNode(World world, int id)
{
    private long _offset;
    private int _partsPerMillion;

    public int Id { get; } = id;

    /// <summary>Counts its processes.</summary>
    public int Life { get; private set; }

    public bool Alive { get; private set; }
    public long PausedUntil { get; set; }
    public long RestartAt { get; set; }

    /// <summary>The fencing hook has cut its way to storage.</summary>
    public bool StorageCut { get; set; }

    public SimReader? Reader { get; set; }
    public SimWriter? Writer { get; set; }
    public Opening? Opening { get; set; }
    public ClaimWatch? Watch { get; set; }

    /// <summary>Its own monotonic clock: it runs through pauses, and a little too fast or too slow.</summary>
    public TimeSpan Local => new((_offset + world.Now + (world.Now / 1_000_000 * _partsPerMillion)) * 10);

    public bool Runs => Alive && world.Now >= PausedUntil;

    public void Reset(ref Dice dice)
    {
        _offset = dice.Millis(0, 100_000);
        _partsPerMillion = dice.Below(10_000) - 5_000;
        (Life, PausedUntil, RestartAt, StorageCut) = (0, 0, 0, false);
        Clear();
    }

    public void Start()
    {
        Life++;
        (Alive, PausedUntil, StorageCut) = (true, 0, false);
    }

    public void Clear()
    {
        Alive = false;
        (Reader, Writer, Opening, Watch) = (null, null, null, null);
    }
}

/// <summary>A node on its way to be the writer: what it has done so far, in R10's order.</summary>
internal sealed class Opening
{
    public int Stage { get; set; }
    public ulong After { get; init; }
    public ulong Epoch { get; set; }
    public TimeSpan ClaimedAt { get; set; }
    public bool NewTimeline { get; init; }
    public bool FormerMayWrite { get; init; }
    public int Timeline { get; set; }
    public WriterTerm? Term { get; set; }
}

internal enum WriteKind : byte
{
    Page,
    Log,
    Truncate,
    Unlink,
}

/// <summary>A write that was started: it lands later, whatever has become of its node by then.</summary>
internal struct Write
{
    public WriteKind Kind;
    public bool Used;
    public bool OnStorage;
    public int Node;
    public int Life;
    public int Page;
    public int File;
    public int Count;
    public int Timeline;
    public long LandAt;
    public PageImage Image;
}
