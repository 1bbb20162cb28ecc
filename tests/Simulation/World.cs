using SharedStorage.Control.Leases;

namespace SharedStorage.Simulation;

/// <summary>
/// One schedule after the other: nodes with clocks of their own, a network, shared storage, and chance. After every step the invariants hold, or the schedule fails with its seed.
/// </summary>
/// <remarks>
/// What may go wrong: messages are lost, late, doubled, out of order; nodes are cut off, paused, killed, started again; clocks run apart; a reader is promoted with the former writer fenced, or
/// a node starts as writer after a lease of silence; writes that were started land up to a lease later, unless their node was cut off from storage. What may not: a write that lands later than
/// that, storage that forgets what is synced, a fencing hook that lies.
/// </remarks>
internal sealed partial class World
{
    public const int Nodes = 4;
    private const int Steps = 700;
    private static readonly string[] Names = ["n0", "n1", "n2", "n3"];

    private readonly SimNode[] _nodes = new SimNode[Nodes];
    private readonly Write[] _writes = new Write[24];
    private Dice _dice;
    private int _timelines;
    private int _incarnations;
    private int _connections;
    private bool _oneHost;

    public World(Rules? rules = null)
    {
        Rules = rules ?? new Rules();
        for (int i = 0; i < Nodes; i++)
        {
            _nodes[i] = new SimNode(this, i);
        }

        for (int i = 0; i < Timelines.Length; i++)
        {
            Timelines[i] = new Timeline();
        }
    }

    public Rules Rules { get; }
    public LeaseSettings Settings { get; } = new()
    {
        Lease = TimeSpan.FromSeconds(2),
        Renewal = TimeSpan.FromMilliseconds(400),
        EvictionBytes = 60 * 8,
        EvictionTime = TimeSpan.FromSeconds(4),
        FrozenAnswers = TimeSpan.FromSeconds(5),
    };

    public Timeline[] Timelines { get; } = new Timeline[24];
    public Storage Storage { get; } = new();
    public Network Network { get; } = new();

    /// <summary>Microseconds that no node can see.</summary>
    public long Now { get; private set; }

    /// <summary>What a replay shows.</summary>
    public Action<string>? Trace { get; init; }

    /// <summary>Reads compared with the log, and terms of writers, since the start.</summary>
    public long Answers { get; set; }
    public long Terms { get; private set; }

    public static string Name(int node) => Names[node];

    /// <summary>A line of the story: milliseconds and node first.</summary>
    public string Line(SimNode node, string text) => $"{(Now - 1_000_000) / 1000,6} {Names[node.Id]} {text}";

    /// <exception cref="ViolationException">An invariant is broken.</exception>
    public void Run(ulong seed)
    {
        Begin(seed);
        for (int i = 0; i < Steps; i++)
        {
            Now += _dice.Millis(1, 60);
            Land();
            Disturb();
            foreach (SimNode node in _nodes)
            {
                Step(node);
            }
        }
    }

    public IEnumerable<string> RegisteredBut(int node) => Storage.Registry.Where(n => n != Names[node]);

    public int NextIncarnation() => ++_incarnations;

    public int NextConnection() => ++_connections;

    public SimWriter? WriterOf(ulong epoch)
    {
        foreach (SimNode node in _nodes)
        {
            if (node.Writer is { } writer && writer.Epoch == epoch)
            {
                return writer;
            }
        }

        return null;
    }

    /// <summary>A node that is a writer, as far as anybody can tell from outside; -1 without any.</summary>
    public int SomeWriter(int but, ref Dice dice)
    {
        int first = dice.Below(Nodes);
        for (int i = 0; i < Nodes; i++)
        {
            int id = (first + i) % Nodes;
            if (id != but && _nodes[id].Writer is not null)
            {
                return id;
            }
        }

        return -1;
    }

    /// <summary>How much of the log two timelines have in common.</summary>
    public int Common(int a, int b)
    {
        int common = int.MaxValue;
        while (a != b)
        {
            int younger = Math.Max(a, b);
            common = Math.Min(common, Timelines[younger].ForkAt);
            (a, b) = a == younger ? (Timelines[a].Parent, b) : (a, Timelines[b].Parent);
        }

        return common;
    }

    public bool IsAncestor(int older, int timeline)
    {
        while (timeline > older)
        {
            timeline = Timelines[timeline].Parent;
        }

        return timeline == older;
    }

    public void CheckPrune(Timeline log, int page, int pruned)
    {
        foreach (SimNode node in _nodes)
        {
            if (node.Reader is { IsCovered: true } reader)
            {
                reader.CheckPrune(log, page, pruned);
            }
        }
    }

    private void Begin(ulong seed)
    {
        _dice = new Dice(seed);
        Now = 1_000_000;
        for (int i = 0; i < _timelines; i++)
        {
            // A replay in a new world must see the same.
            Array.Clear(Timelines[i].Records);
        }

        _timelines = 1;
        (_incarnations, _connections) = (Model.Files, 0);
        _oneHost = _dice.Chance(400);
        Array.Clear(_writes);
        Storage.Reset();
        Network.Reset();
        Timeline first = Timelines[0];
        for (int file = 0; file < Model.Files; file++)
        {
            first.Records[file] = new LogRecord
            {
                Kind = RecordKind.Create,
                File = (sbyte)file,
                Page = -1,
                Initializes = true,
                After = new PageImage { Incarnation = file + 1, Lsn = file + 1 },
            };
            Storage.Incarnation[file] = file + 1;
        }

        (first.Count, first.Durable, first.Acknowledged, first.Parent, first.ForkAt) = (Model.Files, Model.Files, Model.Files, 0, 0);
        foreach (SimNode node in _nodes)
        {
            node.Reset(ref _dice);
        }

        StartWriter(_nodes[0]);
        for (int i = 1; i < Nodes; i++)
        {
            RestartReader(_nodes[i]);
        }
    }

    private void Step(SimNode node)
    {
        if (!node.Alive)
        {
            if (Now >= node.RestartAt)
            {
                RestartReader(node);
            }

            return;
        }

        if (!node.Runs)
        {
            return;
        }

        TellLanded(node);
        for (int i = 0; i < 4 && node.Alive && Network.TryReceive(node.Id, Now, out Message message); i++)
        {
            node.Writer?.Receive(message, ref _dice);
            if (node.Opening is null)
            {
                node.Reader?.Receive(message, ref _dice);
            }
        }

        if (node.Alive)
        {
            StepToWriter(node);
            node.Writer?.Step(ref _dice);
            if (node.Opening is null)
            {
                // A node that is being promoted has given up its link and its tail.
                node.Reader?.Step(ref _dice);
            }
        }

        if (node is { Alive: true, StorageCut: true, Writer.HoldsLease: false })
        {
            Stop(node, "cut off from storage");
        }
    }

    private void Disturb()
    {
        SimNode node = _nodes[_dice.Below(Nodes)];
        switch (_dice.Below(1000))
        {
            case < 8 when node.Runs:
                node.PausedUntil = Now + _dice.Millis(10, 5000);
                Trace?.Invoke(Line(node, $"is paused until {node.PausedUntil / 1000}"));
                break;
            case < 13 when node.Alive:
                Stop(node, "killed");
                break;
            case < 20:
                Network.CutOff(node.Id, _dice.Below(Nodes), Now + _dice.Millis(50, 4000));
                break;
            case < 22 when node.Runs && node.Reader is { } reader:
                reader.Leave(ref _dice);
                Stop(node, "stopped");
                break;
            case < 26 when node.Reader is not null && node.Runs && Unserved:
                Promote(node);
                break;
            case < 27 when node.Reader is not null && node.Runs:
                Promote(node);
                break;
            case < 40 when node.Reader is not null && node.Runs && Unserved:
                StartWriter(node);
                break;
            case < 41 when node.Reader is not null && node.Runs:
                StartWriter(node);
                break;
            default:
                break;
        }
    }

    /// <summary>No writer is at work.</summary>
    private bool Unserved => !_nodes.Any(n => n.Runs && (n.Writer is { HoldsLease: true } || n.Opening is not null));
}
