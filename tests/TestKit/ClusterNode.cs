using System.Diagnostics;
using System.Globalization;
using SharedStorage.Control;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.V1;

namespace SharedStorage.TestKit;

/// <summary>One node of a <see cref="ClusterFixture"/>: a process of the built programs, with a local directory and a log of its own. Stopped and killed by process id only.</summary>
public sealed class ClusterNode(string name, string dataDirectory, string localDirectory, int port, int controlPort)
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private Process? _process;

    public string Name => name;
    public string LocalDirectory => localDirectory;
    public int Port => port;
    public int ControlPort => controlPort;
    public string LogPath => Path.Combine(localDirectory, "log");
    public string Log => File.Exists(LogPath) ? File.ReadAllText(LogPath) : "";

    /// <summary>What the node is given as its data directory: the shared one, or another mount of it.</summary>
    public string DataDirectory { get; set; } = dataDirectory;

    /// <summary>The program's arguments before the node's own: a tracer, a mount namespace.</summary>
    public string[] Wrapper { get; set; } = [];

    /// <summary>Of the node itself, from the file that it writes; a wrapper has another.</summary>
    public int ProcessId => int.Parse(File.ReadAllText(Path.Combine(localDirectory, "process")).Split(' ')[0], CultureInfo.InvariantCulture);

    /// <summary>Starts the program and does not wait.</summary>
    public ClusterNode Launch(string role, params string[] settings)
    {
        File.Delete(Path.Combine(localDirectory, "process"));
        string[] command = [.. Wrapper, ClusterPrograms.Path($"sharedstorage-{role}"), "--data", DataDirectory, "--local", localDirectory, .. settings];

        // The log goes to a file by way of a shell, so that no pipe has to be drained; exec keeps the process id.
        string[] shell = ["-c", "log=$1; shift; exec \"$@\" >>\"$log\" 2>&1 </dev/null", "sh", LogPath, .. command];
        ProcessStartInfo info = Wrapper.Length > 0 ? new ProcessStartInfo("/bin/sh", shell) : StockPostgres.AsPostgres("/bin/sh", shell);
        _process = Process.Start(info)!;
        return this;
    }

    /// <summary>Starts the program and waits until it answers queries.</summary>
    public ClusterNode Start(string role, params string[] settings)
    {
        Launch(role, settings);
        WaitUntilReady();
        return this;
    }

    public void WaitUntilReady() => Await($"{name} to answer", () =>
    {
        if (_process is { HasExited: true })
        {
            throw new InvalidOperationException($"{name} ended with {_process.ExitCode}:\n{Log}");
        }

        return StockPostgres.TryTool("pg_isready", "-q", "-h", "127.0.0.1", "-p", Text(port)).ExitCode == 0;
    });

    /// <summary>Waits until a program that must not come up has ended; its exit code and log.</summary>
    public (int ExitCode, string Log) WaitForEnd()
    {
        if (!_process!.WaitForExit(Patience))
        {
            throw new InvalidOperationException($"{name} does not end:\n{Log}");
        }

        return (_process.ExitCode, Log);
    }

    public void Kill()
    {
        Signal("KILL");
        _process?.WaitForExit(Patience);
    }

    /// <summary>A clean stop; fails unless the program ends with 0.</summary>
    public void Stop()
    {
        Signal("TERM");
        (int code, string log) = WaitForEnd();
        if (code != 0)
        {
            throw new InvalidOperationException($"{name} ended with {code}:\n{log}");
        }
    }

    public void Signal(string signal) => StockPostgres.Run("/bin/kill", ["-" + signal, Text(ProcessId)], asCaller: true);

    public bool IsRunning => _process is { HasExited: false };

    /// <summary>Runs SQL through psql and gives its output, unaligned and without headers. Fails on the first error.</summary>
    public string Psql(string sql)
    {
        (int code, string output, string error) = TryPsql(sql);
        return code == 0 ? output.TrimEnd('\n') : throw new InvalidOperationException($"{name}: {sql}\n{error}");
    }

    /// <summary>The same, for statements whose failure is an answer; errors come with their SQLSTATE.</summary>
    public (int ExitCode, string Output, string Error) TryPsql(string sql) => TryPsqlIn("postgres", sql);

    /// <summary>Runs SQL in another database.</summary>
    public string PsqlIn(string database, string sql)
    {
        (int code, string output, string error) = TryPsqlIn(database, sql);
        return code == 0 ? output.TrimEnd('\n') : throw new InvalidOperationException($"{name}, {database}: {sql}\n{error}");
    }

    public (int ExitCode, string Output, string Error) TryPsqlIn(string database, string sql) => StockPostgres.TryTool(
        "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-h", "127.0.0.1", "-p", Text(port), "-U", "postgres", "-d", database, "-c", sql);

    /// <summary>Runs pgbench without its own vacuum; its exit code and what it printed.</summary>
    public (int ExitCode, string Output) Pgbench(params string[] arguments)
    {
        (int code, string output, string error) = StockPostgres.TryTool("pgbench", PgbenchArguments(arguments));
        return (code, output + error);
    }

    internal string[] PgbenchArguments(string[] arguments) => ["-n", "-h", "127.0.0.1", "-p", Text(port), "-U", "postgres", .. arguments, "postgres"];

    public NodeStatus Status() => Call(c => c.StatusAsync(TimeSpan.FromSeconds(5), CancellationToken.None)).Self;

    /// <summary>On the writer: what it knows about one of its readers.</summary>
    public NodeStatus ReaderStatus(string reader) => Call(c => c.StatusAsync(TimeSpan.FromSeconds(5), CancellationToken.None)).Readers.Single(r => r.Name == reader);

    public void ConfirmFenced() => Call(c => c.ConfirmFencedAsync(new ConfirmFencedRequest(), TimeSpan.FromSeconds(60), CancellationToken.None));

    /// <param name="fenced">Whether the former writer is confirmed to be fenced; if not, the risk is taken.</param>
    public PromoteReply Promote(bool fenced = true) =>
        Call(c => c.PromoteAsync(new PromoteRequest { Fenced = fenced, OverrideFence = !fenced }, TimeSpan.FromSeconds(60), CancellationToken.None));

    /// <summary>On the writer: all that it knows of its readers.</summary>
    public IReadOnlyList<NodeStatus> Readers() => Call(c => c.StatusAsync(TimeSpan.FromSeconds(5), CancellationToken.None)).Readers;

    /// <summary>Waits until everything that is visible on another node is visible here.</summary>
    public void CatchUpWith(ClusterNode other)
    {
        ulong target = other.Status().Visible;
        Await($"{name} to reach {other.Name}", () => Status().Visible >= target);
    }

    /// <summary>Waits for a condition, and says which one when it does not come true.</summary>
    public static void Await(string what, Func<bool> condition)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            if (clock.Elapsed > Patience)
            {
                throw new InvalidOperationException($"waited {Patience.TotalSeconds} s for {what}");
            }

            Thread.Sleep(20);
        }
    }

    internal void End()
    {
        if (_process is { HasExited: false })
        {
            // The node first: a wrapper ends with it.
            if (File.Exists(Path.Combine(localDirectory, "process")))
            {
                StockPostgres.TryRun("/bin/kill", ["-KILL", Text(ProcessId)], asCaller: true);
            }

            if (!_process.WaitForExit(2000))
            {
                _process.Kill();
                _process.WaitForExit();
            }
        }

        _process?.Dispose();
    }

    private TReply Call<TReply>(Func<ClusterClient, Task<TReply>> call)
    {
        using var client = new ClusterClient(new GrpcChannel(new Uri($"http://127.0.0.1:{Text(controlPort)}")));
        return call(client).GetAwaiter().GetResult();
    }

    private static string Text(int n) => n.ToString(CultureInfo.InvariantCulture);
}
