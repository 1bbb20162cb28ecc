using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Describe;

namespace SharedStorage.Recovery.Walcheck;

/// <summary>What a walcheck found.</summary>
public sealed class WalcheckReport
{
    private const int InfoCount = 256;
    private readonly long[] _records = new long[((int)Rmgr.LogicalMessage + 1) * InfoCount];
    private readonly long[] _compared = new long[((int)Rmgr.LogicalMessage + 1) * InfoCount];
    private readonly long[] _mismatches = new long[((int)Rmgr.LogicalMessage + 1) * InfoCount];

    /// <summary>Where replay began: the base's checkpoint.</summary>
    public Lsn Start { get; internal set; }

    /// <summary>Everything before this was replayed.</summary>
    public Lsn End { get; internal set; }

    public long Records { get; internal set; }

    /// <summary>Pages that were compared with images of the log.</summary>
    public long Compared { get; private set; }

    public long Mismatches { get; private set; }

    /// <summary>Images that were not looked at since their page had differed before: nothing new can be learnt from it.</summary>
    public long Skipped { get; internal set; }

    /// <summary>Records applied to pages, more than once where a page was evicted in between.</summary>
    public long Redone { get; internal set; }

    public TimeSpan Elapsed { get; internal set; }

    /// <summary>Why the log ended; null when it was read to a limit.</summary>
    public string? EndReason { get; internal set; }

    /// <summary>Why replay stopped before its time; null when it did not.</summary>
    public string? Failure { get; internal set; }

    /// <summary>The comparison with files; null when there was none.</summary>
    public FileReport? Files { get; internal set; }

    /// <summary>The first mismatches, those in files last.</summary>
    public List<PageMismatch> Details { get; } = [];

    public bool IsClean => Failure is null && Mismatches == 0 && (Files is null || Files.IsClean);

    /// <summary>One row for each operation that was met, in the order of resource managers.</summary>
    public IEnumerable<OpCodeCount> Rows()
    {
        foreach (Rmgr rmgr in Enum.GetValues<Rmgr>())
        {
            var rows = new List<OpCodeCount>();
            for (int info = 0; info < InfoCount; info++)
            {
                int at = ((int)rmgr * InfoCount) + info;
                if (_records[at] == 0)
                {
                    continue;
                }

                // Several info bytes may carry one operation: flags of a transaction's end are among them.
                string name = NameOf(rmgr, info);
                int row = rows.FindIndex(r => r.Operation == name);
                OpCodeCount before = row >= 0 ? rows[row] : new OpCodeCount(rmgr, (byte)(info & 0xF0), name, 0, 0, 0);
                OpCodeCount sum = before with
                {
                    Records = before.Records + _records[at],
                    Compared = before.Compared + _compared[at],
                    Mismatches = before.Mismatches + _mismatches[at],
                };
                if (row >= 0)
                {
                    rows[row] = sum;
                }
                else
                {
                    rows.Add(sum);
                }
            }

            foreach (OpCodeCount row in rows)
            {
                yield return row;
            }
        }
    }

    /// <summary>Operations of a resource manager that were not met in the log.</summary>
    public IEnumerable<string> NeverMet(Rmgr rmgr)
    {
        HashSet<string> met = [.. Rows().Where(r => r.Rmgr == rmgr).Select(r => r.Operation)];
        for (int info = 0; info < InfoCount; info += 16)
        {
            if (WalDescription.Identify(rmgr, (byte)info) is { } name && met.Add(name))
            {
                yield return name;
            }
        }
    }

    internal void CountRecord(WalRecord record) => _records[Index(record)]++;

    internal void CountCompared(WalRecord record)
    {
        _compared[Index(record)]++;
        Compared++;
    }

    internal void CountMismatch(WalRecord record)
    {
        _mismatches[Index(record)]++;
        Mismatches++;
    }

    private static int Index(WalRecord record) => ((int)record.Rmgr * InfoCount) + record.Info;

    private static string NameOf(Rmgr rmgr, int info) => WalDescription.Identify(rmgr, (byte)info) ?? $"UNKNOWN (0x{info:X2})";
}

/// <summary>An operation of a resource manager, with its op code in the info byte: how often it was met, how many of its pages were compared with images, how many of those differ.</summary>
public readonly record struct OpCodeCount(Rmgr Rmgr, byte Op, string Operation, long Records, long Compared, long Mismatches);

/// <summary>The files of a clean stop against what the log makes of the base.</summary>
public sealed class FileReport
{
    public int Relations { get; internal set; }
    public long Pages { get; internal set; }
    public long DifferingPages { get; internal set; }

    /// <summary>Map pages of databases copied in the log that lack bits since PostgreSQL does not log them; they do not count as differing.</summary>
    public int MapPagesShort { get; internal set; }

    public int SlruPages { get; internal set; }
    public int DifferingSlruPages { get; internal set; }
    public int Maps { get; internal set; }
    public int DifferingMaps { get; internal set; }

    /// <summary>Transactions that are prepared at the end of the log.</summary>
    public int PreparedTransactions { get; internal set; }

    /// <summary>Files that are there though they should not be, the other way round, or of another size.</summary>
    public List<string> Problems { get; } = [];

    public bool IsClean => DifferingPages == 0 && DifferingSlruPages == 0 && DifferingMaps == 0 && Problems.Count == 0;
}

/// <summary>A page that differs.</summary>
/// <param name="Lsn">The start of the record whose image it is; invalid for a page of a file.</param>
/// <param name="Offset">The first byte that differs under the mask; -1 when redo failed.</param>
/// <param name="Ours">Where our page was written; null when redo failed, or no folder could be made.</param>
public sealed record PageMismatch(Lsn Lsn, string Where, int Offset, string Message, string? Ours, string? Theirs);
