using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Mono.Unix.Native;
using SharedStorage.Hosting.Cluster;
using SharedStorage.Hosting.Settings;
using SharedStorage.Primitives;

namespace SharedStorage.Hosting.Node;

/// <summary>What a node's program runs: the writer or the reader.</summary>
public interface INode : IDisposable
{
    /// <summary>Returns when the node serves; a failure before that ends the program.</summary>
    void Start();

    /// <summary>A clean stop: sessions end, what must be durable is made so.</summary>
    void Stop();
}

/// <summary>The frame of both programs: arguments, settings, log, identity file, signals, exit code.</summary>
public static class NodeProgram
{
    private const int Failed = 1;
    private const int Stopped = 0;

    /// <summary>Runs a node until SIGTERM, SIGINT or its own failure. The result is the exit code.</summary>
    public static int Run(string[] args, Func<NodeEnvironment, INode> create)
    {
        NodeArguments arguments;
        NodeSettings settings;
        try
        {
            arguments = NodeArguments.Parse(args);
            settings = NodeSettings.Load(arguments.DataDirectory, arguments.LocalDirectory, Environment.GetEnvironmentVariables(), arguments.Settings);
        }
        catch (PgException e)
        {
            Console.Error.WriteLine($"FATAL:  {e.Message}{(e.Hint is null ? "" : $"\nHINT:  {e.Hint}")}");
            return Failed;
        }

        using ILoggerFactory logs = CreateLog(settings["log_level"]);
        ILogger log = logs.CreateLogger("node");
        if (Syscall.geteuid() == 0)
        {
            log.LogCritical("a node does not run as root: start it as the unprivileged user that owns the data directory");
            return Failed;
        }

        using var stop = new ManualResetEventSlim();
        string? failure = null;
        bool anew = false;
        var environment = new NodeEnvironment(arguments, settings, logs, TimeProvider.System, reason =>
        {
            // The first reason is the cause; what fails after it follows from it.
            if (Interlocked.CompareExchange(ref failure, reason, null) is null)
            {
                log.LogCritical("the node stops: {Reason}", reason);
                stop.Set();
            }
        })
        {
            BeginAnew = reason =>
            {
                if (Interlocked.CompareExchange(ref failure, reason, null) is null)
                {
                    log.LogWarning("the node begins anew: {Reason}", reason);
                    anew = true;
                    stop.Set();
                }
            },
        };
        using PosixSignalRegistration term = PosixSignalRegistration.Create(PosixSignal.SIGTERM, c => { c.Cancel = true; stop.Set(); });
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, c => { c.Cancel = true; stop.Set(); });
        return Serve(environment, create, log, stop, () => failure, () =>
        {
            if (anew)
            {
                Replace(args);
            }
        });
    }

    private static int Serve(NodeEnvironment environment, Func<NodeEnvironment, INode> create, ILogger log, ManualResetEventSlim stop, Func<string?> failure, Action replace)
    {
        try
        {
            FaultPoint.Arm(environment.Settings["sharedstorage.fault_points"]);
            WriteIdentity(environment.Arguments.LocalDirectory);
            using INode node = create(environment);
            node.Start();
            stop.Wait();
            if (failure() is not null)
            {
                // I11: what is in memory may not be trusted any more; nothing is written on the way out but the log's queue, which has the reason.
                environment.Logs.Dispose();
                replace();
                Environment.Exit(Failed);
            }

            log.LogInformation("stopping");
            node.Stop();
            log.LogInformation("stopped");
            return Stopped;
        }
        catch (PgException e)
        {
            log.LogCritical("{Message}{Detail}{Hint}", e.Message, e.Detail is null ? "" : " - " + e.Detail, e.Hint is null ? "" : " - " + e.Hint);
        }
        catch (Exception e) when (e is StorageException or InvariantException or ArgumentException)
        {
            log.LogCritical("{Message}", e.Message);
        }
        catch (Exception e)
        {
            log.LogCritical(e, "the node failed");
        }

        return Failed;
    }

    /// <summary>
    /// The same program with the same arguments in this process: nothing of what was in memory stays, the process number does. Returns only when it cannot be done; then the node has failed.
    /// </summary>
    private static void Replace(string[] args)
    {
        string program = Environment.ProcessPath!;
        bool byHost = Path.GetFileName(program) == "dotnet";
        Syscall.execv(program, byHost ? [program, Environment.GetCommandLineArgs()[0], .. args, null!] : [program, .. args, null!]);
    }

    /// <summary>Process number, start time and boot: what a fencing hook needs to prove a death.</summary>
    private static void WriteIdentity(string localDirectory)
    {
        ProcessIdentity me = ProcessIdentity.Current;
        File.WriteAllText(
            Path.Combine(localDirectory, "process"),
            string.Create(CultureInfo.InvariantCulture, $"{me.ProcessId} {me.StartTime} {me.BootId}\n"));
    }

    private static ILoggerFactory CreateLog(string level) => LoggerFactory.Create(b => b
        .SetMinimumLevel(level.ToLowerInvariant() switch { "debug" => LogLevel.Debug, "warning" => LogLevel.Warning, "error" => LogLevel.Error, _ => LogLevel.Information })
        .AddFilter("Microsoft", LogLevel.Warning)
        .AddSimpleConsole(o =>
        {
            o.SingleLine = true;
            o.UseUtcTimestamp = true;
            o.TimestampFormat = "yyyy-MM-dd HH:mm:ss.fff 'UTC' ";
        }));
}

/// <summary>What comes into a node from outside.</summary>
/// <param name="Fail">Stops the node at once, with a reason; from any thread, any number of times (I11).</param>
public sealed record NodeEnvironment(NodeArguments Arguments, NodeSettings Settings, ILoggerFactory Logs, TimeProvider Time, Action<string> Fail)
{
    /// <summary>
    /// Ends all that the node is at once, and starts the program anew from storage, with a reason: for a reader whose state leads nowhere any more (R10). Where nothing is set up for it, the node stops.
    /// </summary>
    public Action<string> BeginAnew { get => field ?? Fail; init; }

    public string DataDirectory => Arguments.DataDirectory;
    public string LocalDirectory => Arguments.LocalDirectory;

    public string NodeName => Settings["sharedstorage.node_name"] is { Length: > 0 } name ? name : Path.GetFileName(LocalDirectory);

    public IReadOnlyList<Uri> Peers =>
        [.. Settings["sharedstorage.peers"].Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(p => new Uri("http://" + p))];
}
