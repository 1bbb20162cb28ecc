using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Walcheck;
using SharedStorage.Wal;
using SharedStorage.Wal.Describe;

namespace SharedStorage.Tools;

/// <summary><c>walcheck</c>: our redo against the page images of a log that stock PostgreSQL wrote, and against the files that it left. Ends with 1 when anything differs.</summary>
internal static class WalcheckCommand
{
    private static readonly Option<string> Base = new("--base") { Description = "copy of the data directory from before the log, cleanly stopped", Required = true };
    private static readonly Option<string> WalPath = new("--wal") { Description = "directory of log segments, from the copy's checkpoint on", Required = true };
    private static readonly Option<string?> From = new("--from") { Description = "compare images of records from this WAL location on" };
    private static readonly Option<string?> To = new("--to") { Description = "stop at this WAL location (default: the end of the log)" };
    private static readonly Option<string?> Against = new("--against") { Description = "data directory as PostgreSQL's clean stop at the end of the log left it" };
    private static readonly Option<string?> Output = new("--output") { Description = "directory for pages that differ (default: a new temporary one)" };
    private static readonly Option<bool> Json = new("--json") { Description = "print JSON" };

    private static readonly Rmgr[] All = Enum.GetValues<Rmgr>();

    public static Command Create()
    {
        var command = new Command("walcheck", "Replays a log of stock PostgreSQL and compares pages with its full-page images and files")
        {
            Base, WalPath, From, To, Against, Output, Json,
        };
        command.SetAction((parsed, cancel) => Task.Run(() => Run(parsed, cancel), CancellationToken.None));
        return command;
    }

    private static int Run(ParseResult parsed, CancellationToken cancel)
    {
        try
        {
            var options = new WalcheckOptions
            {
                Base = Folder(parsed.GetValue(Base)!),
                Wal = Folder(parsed.GetValue(WalPath)!),
                From = Location(parsed.GetValue(From)),
                To = Location(parsed.GetValue(To)),
                Against = parsed.GetValue(Against) is { } against ? Folder(against) : null,
                Output = parsed.GetValue(Output),
            };
            using var checker = new WalChecker(options, TimeProvider.System);
            WalcheckReport report = checker.Run(cancel);
            if (parsed.GetValue(Json))
            {
                PrintJson(report);
            }
            else
            {
                Console.Out.Write(Text(report));
            }

            return report.IsClean ? 0 : 1;
        }
        catch (Exception e) when (e is ToolException or StorageException or PgException)
        {
            Console.Error.WriteLine($"walcheck: error: {e.Message}");
            return 1;
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine("walcheck: cancelled");
            return 1;
        }
    }

    private static string Folder(string path) => Directory.Exists(path) ? path : throw new ToolException($"could not open directory \"{path}\": No such file or directory");

    private static Lsn Location(string? text) => text is null ? Lsn.Invalid
        : Lsn.TryParse(text, out Lsn lsn) ? lsn : throw new ToolException($"invalid WAL location: \"{text}\"");

    private static string Text(WalcheckReport report)
    {
        var text = new StringBuilder();
        var culture = CultureInfo.InvariantCulture;
        text.Append(culture, $"{"Resource manager",-18}{"Op",-4}{"Operation",-26}{"Records",12}{"Compared",12}{"Mismatches",12}\n");
        foreach (OpCodeCount row in report.Rows())
        {
            text.Append(culture, $"{WalDescription.NameOf(row.Rmgr),-18}{row.Op,-4:X2}{row.Operation,-26}{row.Records,12}{row.Compared,12}{row.Mismatches,12}\n");
        }

        text.Append(culture, $"{"total",-48}{report.Records,12}{report.Compared,12}{report.Mismatches,12}\n\n");
        foreach (Rmgr rmgr in All)
        {
            string[] missing = [.. report.NeverMet(rmgr)];
            if (missing.Length > 0)
            {
                text.Append(culture, $"never met: {WalDescription.NameOf(rmgr)}: {string.Join(", ", missing)}\n");
            }
        }

        double seconds = Math.Max(report.Elapsed.TotalSeconds, 0.001);
        double megabytes = (report.End.Value - report.Start.Value) / 1e6;
        text.Append(culture, $"\nlog {report.Start} to {report.End}: {megabytes:F1} MB in {seconds:F1} s, ");
        text.Append(culture, $"{megabytes / seconds:F1} MB/s, {report.Records / seconds:F0} records/s, {report.Redone} changes of pages redone\n");
        if (report.EndReason is not null)
        {
            text.Append(culture, $"end of the log: {report.EndReason}\n");
        }

        foreach (PageMismatch page in report.Details)
        {
            text.Append(culture, $"mismatch: {(page.Lsn.IsValid ? $"record at {page.Lsn}, " : "")}{page.Where}, offset {page.Offset}: {page.Message}\n");
            if (page.Ours is not null)
            {
                text.Append(culture, $"  ours: {page.Ours}\n  theirs: {page.Theirs}\n");
            }
        }

        text.Append(culture, $"{report.Compared} pages compared with images, {report.Mismatches} mismatches");
        text.Append(culture, $"{(report.Skipped > 0 ? $" ({report.Skipped} further images of pages that differ were passed over)" : "")}\n");
        if (report.Files is { } files)
        {
            files.Problems.ForEach(p => text.Append(culture, $"file: {p}\n"));
            text.Append(culture, $"files: {files.Relations} forks, {files.Pages} pages, {files.DifferingPages} differing pages, {files.Problems.Count} differing sizes; ");
            text.Append(culture, $"{files.SlruPages} SLRU pages, {files.DifferingSlruPages} differing; {files.Maps} relation maps, {files.DifferingMaps} differing\n");
            if (files.MapPagesShort > 0)
            {
                text.Append(culture, $"{files.MapPagesShort} pages of visibility maps of copied databases lack bits: CREATE DATABASE does not log them (no difference)\n");
            }
        }

        if (report.Failure is not null)
        {
            text.Append(culture, $"stopped: {report.Failure}\n");
        }

        return text.ToString();
    }

    private static void PrintJson(WalcheckReport report)
    {
        using Stream output = Console.OpenStandardOutput();
        JsonSerializer.Serialize(output, new
        {
            clean = report.IsClean,
            start = report.Start.ToString(),
            end = report.End.ToString(),
            seconds = report.Elapsed.TotalSeconds,
            bytes = report.End - report.Start,
            redone = report.Redone,
            records = report.Records,
            compared = report.Compared,
            mismatches = report.Mismatches,
            skipped = report.Skipped,
            operations = report.Rows().Select(r => new { rmgr = WalDescription.NameOf(r.Rmgr), op = r.Op, operation = r.Operation, records = r.Records, compared = r.Compared, mismatches = r.Mismatches }),
            neverMet = All.ToDictionary(WalDescription.NameOf, r => report.NeverMet(r).ToArray()),
            details = report.Details.Select(d => new { lsn = d.Lsn.IsValid ? d.Lsn.ToString() : null, where = d.Where, offset = d.Offset, message = d.Message, ours = d.Ours, theirs = d.Theirs }),
            files = report.Files,
            endOfLog = report.EndReason,
            failure = report.Failure,
        });
        output.Write("\n"u8);
    }
}
