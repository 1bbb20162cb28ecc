using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Describe;

namespace SharedStorage.Tools;

/// <summary>The arguments of <c>waldump</c>, in the order and with the messages of <c>pg_waldump</c> (pg_waldump.c).</summary>
internal sealed class WaldumpArguments
{
    private static readonly OptionSpec[] Specs =
    [
        new("bkp-details", 'b', OptionValue.None), new("block", 'B', OptionValue.Required), new("end", 'e', OptionValue.Required), new("follow", 'f', OptionValue.None),
        new("fork", 'F', OptionValue.Required), new("fullpage", 'w', OptionValue.None), new("help", '?', OptionValue.None), new("limit", 'n', OptionValue.Required),
        new("path", 'p', OptionValue.Required), new("quiet", 'q', OptionValue.None), new("relation", 'R', OptionValue.Required), new("rmgr", 'r', OptionValue.Required),
        new("start", 's', OptionValue.Required), new("timeline", 't', OptionValue.Required), new("xid", 'x', OptionValue.Required), new("version", VersionLetter, OptionValue.None),
        new("stats", 'z', OptionValue.Optional),
    ];

    /// <summary>pg_waldump knows -V and --version only as its first argument; later they are an error without a message of getopt.</summary>
    private const char VersionLetter = '\u0001';

    private readonly WaldumpOptions _options = new();
    private readonly HashSet<Rmgr> _rmgrs = [];
    private string? _path;
    private bool _listed;

    /// <summary>Null: the list of resource managers was asked for and is printed.</summary>
    /// <exception cref="GetoptException">An option is not known.</exception>
    /// <exception cref="ToolException">A value is wrong, or the log is not where it should be.</exception>
    public static WaldumpOptions? Read(string[] arguments)
    {
        if (arguments.Length == 0)
        {
            throw Wrong("no arguments specified");
        }

        return new WaldumpArguments().Parse(arguments);
    }

    private WaldumpOptions? Parse(string[] arguments)
    {
        List<string> segments = new Getopt(WaldumpCommand.Name, Specs).Parse(arguments, Take);
        if (_listed)
        {
            return null;
        }

        if (_options.Block is not null && _options.Relation is null)
        {
            throw Wrong("option -B/--block requires option -R/--relation to be specified");
        }

        if (segments.Count > 2)
        {
            throw Wrong($"too many command-line arguments (first is \"{segments[2]}\")");
        }

        _options.Rmgrs = _rmgrs.Count == 0 ? null : _rmgrs;
        WaldumpLocation.Resolve(_options, _path, segments);
        return _options;
    }

    private void Take(char letter, string? value)
    {
        if (_listed)
        {
            return;
        }

        switch (letter)
        {
            case 'b':
                _options.Details = true;
                break;
            case 'f':
                _options.Follow = true;
                break;
            case 'q':
                _options.Quiet = true;
                break;
            case 'w':
                _options.FullPageOnly = true;
                break;
            case 'z':
                _options.Stats = true;
                _options.StatsPerRecord = value switch
                {
                    null or "rmgr" => false,
                    "record" => true,
                    _ => throw Wrong($"unrecognized value for option --stats: {value}"),
                };
                break;
            case '?' or VersionLetter:
                throw new ToolException("--help and --version must be the first argument") { IsUsage = true };
            default:
                TakeValue(letter, value!);
                break;
        }
    }

    private void TakeValue(char letter, string value)
    {
        var scan = new Scanf(value);
        switch (letter)
        {
            case 'B':
                _options.Block = scan.TryUnsigned(out uint block) && block != uint.MaxValue ? block : throw Wrong($"invalid block number: \"{value}\"");
                break;
            case 'e':
                _options.End = Location(value);
                break;
            case 's':
                _options.Start = Location(value);
                break;
            case 'F':
                _options.Fork = Fork(value);
                break;
            case 'n':
                _options.Limit = !scan.TrySigned(out int limit) ? throw Wrong($"invalid value \"{value}\" for option -n/--limit") : limit > 0 ? limit : int.MaxValue;
                break;
            case 'p':
                _path = value;
                break;
            case 'r':
                TakeRmgr(value);
                break;
            case 'R':
                _options.Relation = Relation(value);
                break;
            case 't':
                _options.Timeline = scan.TryUnsigned(out uint timeline) ? timeline : throw Wrong($"invalid timeline specification: \"{value}\"");
                break;
            default:
                _options.Xid = scan.TryUnsigned(out uint xid) ? xid : throw Wrong($"invalid transaction ID specification: \"{value}\"");
                break;
        }
    }

    private void TakeRmgr(string name)
    {
        if (name.Equals("list", StringComparison.OrdinalIgnoreCase))
        {
            Console.Out.Write(string.Concat(WalDescription.Names.Select(n => n + "\n")));
            _listed = true;
            return;
        }

        // Modules that bring resource managers of their own are not loaded here, so those have numbers for names.
        const string Custom = "custom";
        if (name.StartsWith(Custom, StringComparison.Ordinal) && new Scanf(name.AsSpan(Custom.Length, Math.Min(3, name.Length - Custom.Length))) is var scan
            && scan.TryUnsigned(out uint number))
        {
            _rmgrs.Add(number is >= (uint)WalDescription.FirstCustom and <= byte.MaxValue
                ? (Rmgr)number
                : throw Wrong($"custom resource manager \"{name}\" does not exist"));
            return;
        }

        int index = WalDescription.Names.ToList().FindIndex(n => n.Equals(name, StringComparison.OrdinalIgnoreCase));
        _rmgrs.Add(index >= 0 ? (Rmgr)index : throw Wrong($"resource manager \"{name}\" does not exist"));
    }

    private static Lsn Location(string text)
    {
        var scan = new Scanf(text);
        return scan.TryHex(out uint high) && scan.TryChar('/') && scan.TryHex(out uint low)
            ? new Lsn(((ulong)high << 32) | low)
            : throw Wrong($"invalid WAL location: \"{text}\"");
    }

    private static RelFileNode Relation(string text)
    {
        var scan = new Scanf(text);
        return scan.TryUnsigned(out uint tablespace) && scan.TryChar('/') && scan.TryUnsigned(out uint database) && scan.TryChar('/') && scan.TryUnsigned(out uint relation)
            && tablespace != 0 && relation != 0
            ? new RelFileNode(new Oid(tablespace), new Oid(database), new Oid(relation))
            : throw new ToolException($"invalid relation specification: \"{text}\"")
            {
                Detail = "Expecting \"tablespace OID/database OID/relation filenode\".",
                IsUsage = true,
            };
    }

    private static ForkNumber Fork(string name)
    {
        foreach (ForkNumber fork in Enum.GetValues<ForkNumber>())
        {
            if (WalDescription.ForkName(fork) == name)
            {
                return fork;
            }
        }

        throw Wrong($"invalid fork name: \"{name}\"");
    }

    internal static ToolException Wrong(string message) => new(message) { IsUsage = true };
}

/// <summary>What <c>waldump</c> is to do, resolved.</summary>
internal sealed class WaldumpOptions
{
    public bool Details { get; set; }
    public bool Quiet { get; set; }
    public bool Follow { get; set; }
    public bool Stats { get; set; }
    public bool StatsPerRecord { get; set; }
    public int Limit { get; set; } = int.MaxValue;

    /// <summary>Null means all.</summary>
    public HashSet<Rmgr>? Rmgrs { get; set; }

    public uint? Xid { get; set; }
    public RelFileNode? Relation { get; set; }
    public uint? Block { get; set; }
    public ForkNumber? Fork { get; set; }
    public bool FullPageOnly { get; set; }
    public Lsn Start { get; set; }
    public Lsn End { get; set; }
    public uint Timeline { get; set; } = 1;
    public string Directory { get; set; } = ".";
    public int SegmentSize { get; set; }
}
