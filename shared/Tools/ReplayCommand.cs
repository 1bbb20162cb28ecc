using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using SharedStorage.Buffers;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Replay;

namespace SharedStorage.Tools;

/// <summary><c>replay</c>: how fast a node follows a log, and brings every page that it touches forward. Compares nothing; <c>walcheck</c> does.</summary>
internal static class ReplayCommand
{
    private static readonly Option<string> Base = new("--base") { Description = "copy of the data directory from before the log, cleanly stopped", Required = true };
    private static readonly Option<string> WalPath = new("--wal") { Description = "directory of log segments, from the copy's checkpoint on", Required = true };
    private static readonly Option<string?> To = new("--to") { Description = "stop at this WAL location (default: the end of the log)" };
    private static readonly Option<bool> BringForward = new("--bring-forward") { Description = "at the end, bring every page that the log touches forward" };
    private static readonly Option<int> Frames = new("--frames") { Description = "pages in memory", DefaultValueFactory = _ => 65536 };
    private static readonly Option<int> IndexSize = new("--log-index-mb") { Description = "memory for the index of the log, in MB", DefaultValueFactory = _ => 128 };
    private static readonly Option<string?> Spill = new("--spill") { Description = "directory that the index of the log spills to (default: it stays in memory)" };
    private static readonly Option<bool> Json = new("--json") { Description = "print JSON" };

    public static Command Create()
    {
        var command = new Command("replay", "Follows a log over a base copy as a node does, and says how fast") { Base, WalPath, To, BringForward, Frames, IndexSize, Spill, Json };
        command.SetAction((parsed, cancel) => Task.Run(() => Run(parsed, cancel), CancellationToken.None));
        return command;
    }

    private static int Run(ParseResult parsed, CancellationToken cancel)
    {
        try
        {
            string? to = parsed.GetValue(To);
            var options = new ReplayOptions
            {
                Base = Folder(parsed.GetValue(Base)!),
                Wal = Folder(parsed.GetValue(WalPath)!),
                To = to is null ? Lsn.Invalid : Lsn.TryParse(to, out Lsn lsn) ? lsn : throw new ToolException($"invalid WAL location: \"{to}\""),
                Frames = parsed.GetValue(Frames),
                LogIndexBytes = (long)parsed.GetValue(IndexSize) << 20,
                SpillDirectory = parsed.GetValue(Spill),
            };
            using var replay = new OfflineReplay(options, TimeProvider.System);
            Measured tail = Measure(() => replay.Follow(cancel));
            long before = replay.Pool.Counters.RecordsRedone;
            long pages = 0;
            Measured? forward = parsed.GetValue(BringForward) ? Measure(() => pages = replay.Pool.BringAllForward(cancel)) : null;
            Print(parsed.GetValue(Json), replay, tail, forward, pages, replay.Pool.Counters.RecordsRedone - before);
            return 0;
        }
        catch (Exception e) when (e is ToolException or StorageException or PgException)
        {
            Console.Error.WriteLine($"replay: error: {e.Message}");
            return 1;
        }
        catch (OperationCanceledException)
        {
            Console.Error.WriteLine("replay: cancelled");
            return 1;
        }
    }

    private static void Print(bool json, OfflineReplay replay, Measured tail, Measured? forward, long pages, long redone)
    {
        double megabytes = (replay.Tail.Position.Value - replay.Start.Value) / 1e6;
        BufferCounters counters = replay.Pool.Counters;
        if (json)
        {
            using Stream output = Console.OpenStandardOutput();
            JsonSerializer.Serialize(output, new
            {
                start = replay.Start.ToString(),
                end = replay.Tail.Position.ToString(),
                megabytes = Math.Round(megabytes, 1),
                records = replay.Tail.Records,
                tail = new { seconds = tail.Seconds, cpuSeconds = Math.Round(tail.CpuSeconds, 2), allocatedBytes = tail.Allocated },
                index = new { bytes = replay.Pool.Index.Bytes, entries = replay.Pool.Index.EntryCount, pages = replay.Pool.Index.PageCount },
                forward = forward is { } f ? new { seconds = f.Seconds, cpuSeconds = Math.Round(f.CpuSeconds, 2), pages, recordsRedone = redone, pagesRead = counters.Reads } : null,
                totalSeconds = tail.Seconds + (forward?.Seconds ?? 0),
                totalCpuSeconds = Math.Round(tail.CpuSeconds + (forward?.CpuSeconds ?? 0), 2),
                peakMegabytes = PeakMegabytes(),
            });
            output.Write("\n"u8);
            return;
        }

        var culture = CultureInfo.InvariantCulture;
        Console.Out.WriteLine(string.Create(culture, $"log {replay.Start} to {replay.Tail.Position}: {megabytes:F1} MB, {replay.Tail.Records} records"));
        Console.Out.WriteLine(string.Create(culture,
            $"tail: {tail.Seconds:F2} s, {tail.CpuSeconds:F2} s of CPU, {megabytes / tail.Seconds:F0} MB/s, {replay.Tail.Records / tail.Seconds:F0} records/s, {tail.Allocated} bytes allocated"));
        if (forward is { } brought)
        {
            Console.Out.WriteLine(string.Create(culture, $"brought forward: {brought.Seconds:F2} s, {brought.CpuSeconds:F2} s of CPU, {pages} pages, {redone} changes redone"));
        }

        Console.Out.WriteLine(string.Create(culture, $"index of the log: {replay.Pool.Index.Bytes >> 20} MB, {replay.Pool.Index.EntryCount} entries; peak memory {PeakMegabytes()} MB"));
    }

    private static Measured Measure(Action action)
    {
        long began = TimeProvider.System.GetTimestamp();
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        action();
        return new Measured(
            TimeProvider.System.GetElapsedTime(began).TotalSeconds, (Environment.CpuUsage.TotalTime - cpu).TotalSeconds, GC.GetAllocatedBytesForCurrentThread() - allocated);
    }

    private static long PeakMegabytes()
    {
        string line = File.ReadLines("/proc/self/status").First(l => l.StartsWith("VmHWM:", StringComparison.Ordinal));
        return long.Parse(line.AsSpan(6).TrimEnd("kB ").Trim(), CultureInfo.InvariantCulture) >> 10;
    }

    private static string Folder(string path) => Directory.Exists(path) ? path : throw new ToolException($"could not open directory \"{path}\": No such file or directory");

    private readonly record struct Measured(double Seconds, double CpuSeconds, long Allocated);
}
