using System.CommandLine;
using SharedStorage.Primitives;
using SharedStorage.Wal.Describe;

namespace SharedStorage.Tools;

/// <summary>
/// <c>waldump</c>: the log as text. Options and output are those of PostgreSQL's <c>pg_waldump</c>, to which it can be compared line by line. Unlike that, it
/// follows the timeline's history into older segments.
/// </summary>
internal static class WaldumpCommand
{
    private static readonly Option<bool> Details = new("--bkp-details", "-b") { Description = "output detailed information about backup blocks" };
    private static readonly Option<uint?> Block = new("--block", "-B") { Description = "with --relation, only show records that modify block N" };
    private static readonly Option<string?> End = new("--end", "-e") { Description = "stop reading at WAL location RECPTR" };
    private static readonly Option<bool> Follow = new("--follow", "-f") { Description = "keep retrying after reaching end of WAL" };
    private static readonly Option<string?> Fork = new("--fork", "-F") { Description = "only show records that modify blocks in fork main, fsm, vm or init" };
    private static readonly Option<int?> Limit = new("--limit", "-n") { Description = "number of records to display" };
    private static readonly Option<string?> PathOption = new("--path", "-p") { Description = "directory of log segments, or one with a pg_wal (default: ., ./pg_wal, $PGDATA/pg_wal)" };
    private static readonly Option<bool> Quiet = new("--quiet", "-q") { Description = "do not print any output, except for errors" };
    private static readonly Option<string[]> RmgrOption = new("--rmgr", "-r") { Description = "only show records of this resource manager; \"list\" lists them" };
    private static readonly Option<string?> Relation = new("--relation", "-R") { Description = "only show records that modify blocks in relation T/D/R" };
    private static readonly Option<string?> Start = new("--start", "-s") { Description = "start reading at WAL location RECPTR" };
    private static readonly Option<uint?> Timeline = new("--timeline", "-t") { Description = "timeline to read (default: 1 or that of STARTSEG)" };
    private static readonly Option<bool> FullPage = new("--fullpage", "-w") { Description = "only show records with a full page write" };
    private static readonly Option<uint?> XidOption = new("--xid", "-x") { Description = "only show records with transaction ID XID" };
    private static readonly Option<string?> Stats = new("--stats", "-z")
    {
        Description = "show statistics instead of records; with \"record\", per record",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Argument<string[]> Segments = new("STARTSEG ENDSEG") { Arity = new ArgumentArity(0, 2) };

    public static Command Create()
    {
        var command = new Command("waldump", "Decodes and displays write-ahead logs (options as pg_waldump)")
        {
            Details, Block, End, Follow, Fork, Limit, PathOption, Quiet, RmgrOption, Relation, Start, Timeline, FullPage, XidOption, Stats, Segments,
        };
        command.SetAction((parsed, cancel) => Task.Run(() => Run(parsed, cancel), CancellationToken.None));
        return command;
    }

    private static int Run(ParseResult parsed, CancellationToken cancel)
    {
        try
        {
            if (parsed.GetValue(RmgrOption) is { } names && names.Contains("list", StringComparer.OrdinalIgnoreCase))
            {
                Console.Out.Write(string.Concat(WalDescription.Names.Select(n => n + "\n")));
                return 0;
            }

            using Stream output = Console.OpenStandardOutput();
            return new Waldump(Read(parsed), output, cancel).Run();
        }
        catch (Exception e) when (e is ToolException or StorageException)
        {
            Console.Error.WriteLine($"waldump: error: {e.Message}");
            return 1;
        }
        catch (IOException)
        {
            // Whoever read the output has gone (head, less).
            return 1;
        }
    }

    private static WaldumpOptions Read(ParseResult parsed)
    {
        string? stats = parsed.GetResult(Stats) is null ? null : parsed.GetValue(Stats) ?? "rmgr";
        if (stats is not (null or "rmgr" or "record"))
        {
            throw new ToolException($"unrecognized value for option --stats: {stats}");
        }

        if (parsed.GetValue(Block) is not null && parsed.GetValue(Relation) is null)
        {
            throw new ToolException("option -B/--block requires option -R/--relation to be specified");
        }

        var options = new WaldumpOptions
        {
            Details = parsed.GetValue(Details),
            Quiet = parsed.GetValue(Quiet),
            Follow = parsed.GetValue(Follow),
            Stats = stats is not null,
            StatsPerRecord = stats == "record",
            Limit = parsed.GetValue(Limit) is > 0 and int limit ? limit : int.MaxValue,
            Rmgrs = [.. (parsed.GetValue(RmgrOption) ?? []).Select(ParseRmgr)],
            Xid = parsed.GetValue(XidOption),
            Relation = parsed.GetValue(Relation) is { } relation ? ParseRelation(relation) : null,
            Block = parsed.GetValue(Block),
            Fork = parsed.GetValue(Fork) is { } fork ? ParseFork(fork) : null,
            FullPageOnly = parsed.GetValue(FullPage),
            Start = ParseLocation(parsed.GetValue(Start)),
            End = ParseLocation(parsed.GetValue(End)),
            Timeline = parsed.GetValue(Timeline) ?? 1,
        };
        WaldumpLocation.Resolve(options, parsed.GetValue(PathOption), parsed.GetValue(Segments) ?? []);
        return options;
    }

    private static Lsn ParseLocation(string? text) => text is null ? Lsn.Invalid
        : Lsn.TryParse(text, out Lsn lsn) ? lsn : throw new ToolException($"invalid WAL location: \"{text}\"");

    private static Wal.Rmgr ParseRmgr(string name)
    {
        int index = WalDescription.Names.ToList().FindIndex(n => n.Equals(name, StringComparison.OrdinalIgnoreCase));
        return index >= 0 ? (Wal.Rmgr)index : throw new ToolException($"resource manager \"{name}\" does not exist");
    }

    private static RelFileNode ParseRelation(string text)
    {
        string[] parts = text.Split('/');
        if (parts.Length == 3 && uint.TryParse(parts[0], out uint tablespace) && uint.TryParse(parts[1], out uint database)
            && uint.TryParse(parts[2], out uint relation) && tablespace != 0 && relation != 0)
        {
            return new RelFileNode(new Oid(tablespace), new Oid(database), new Oid(relation));
        }

        throw new ToolException($"invalid relation specification: \"{text}\"\nExpecting \"tablespace OID/database OID/relation filenode\".");
    }

    private static ForkNumber ParseFork(string name)
    {
        foreach (ForkNumber fork in Enum.GetValues<ForkNumber>())
        {
            if (WalDescription.ForkName(fork) == name)
            {
                return fork;
            }
        }

        throw new ToolException($"invalid fork name: \"{name}\"");
    }
}

/// <summary>What <c>waldump</c> is to do, resolved.</summary>
internal sealed class WaldumpOptions
{
    public bool Details { get; init; }
    public bool Quiet { get; init; }
    public bool Follow { get; init; }
    public bool Stats { get; init; }
    public bool StatsPerRecord { get; init; }
    public int Limit { get; init; }
    public Wal.Rmgr[] Rmgrs { get; init; } = [];
    public uint? Xid { get; init; }
    public RelFileNode? Relation { get; init; }
    public uint? Block { get; init; }
    public ForkNumber? Fork { get; init; }
    public bool FullPageOnly { get; init; }
    public Lsn Start { get; set; }
    public Lsn End { get; set; }
    public uint Timeline { get; set; }
    public string Directory { get; set; } = ".";
    public int SegmentSize { get; set; }
}
