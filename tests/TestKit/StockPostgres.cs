using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace SharedStorage.TestKit;

/// <summary>
/// A stock PostgreSQL 15 server in a directory of its own, as the judge of our bytes and as the source of real ones. Runs as user postgres when the tests
/// run as root. Everything that it starts it stops by process id; the directory goes with <see cref="Dispose"/>.
/// </summary>
public sealed class StockPostgres : IDisposable
{
    public const string BinDirectory = "/usr/lib/postgresql/15/bin";

    private static readonly Lock TemplateLock = new();
    private static readonly Dictionary<string, string> Templates = new(StringComparer.Ordinal);

    private readonly string _root;
    private Process? _server;

    private StockPostgres(string root)
    {
        _root = root;
        DataDirectory = Path.Combine(root, "data");
        Port = FreePort();
    }

    /// <summary>False where Debian's packages are not installed: tests then skip.</summary>
    public static bool IsInstalled => File.Exists(Path.Combine(BinDirectory, "initdb"));

    public string DataDirectory { get; }
    public int Port { get; }
    public bool IsRunning => _server is { HasExited: false };
    public string LogPath => Path.Combine(_root, "server.log");
    public string ConnectionString => $"Host=127.0.0.1;Port={Port};Username=postgres;Database=postgres";

    /// <summary>
    /// A fresh directory with data checksums, not started. <c>initdb</c> runs once per set of arguments and process; others get a copy
    /// of its result, so they share one system identifier.
    /// </summary>
    /// <param name="settings">Lines for postgresql.conf ("wal_level = replica").</param>
    /// <param name="initdbArguments">Beyond what every directory gets ("--wal-segsize=1").</param>
    public static StockPostgres Create(string[]? settings = null, params string[] initdbArguments)
    {
        var server = new StockPostgres(NewRoot());
        Run("cp", ["-a", Template(initdbArguments), server.DataDirectory]);
        var conf = new StringBuilder();
        conf.Append(CultureInfo.InvariantCulture, $"\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nport = {server.Port}\n");
        conf.Append("logging_collector = off\n");
        foreach (string line in settings ?? [])
        {
            conf.Append(line).Append('\n');
        }

        File.AppendAllText(Path.Combine(server.DataDirectory, "postgresql.conf"), conf.ToString());
        return server;
    }

    /// <summary>Takes over a directory that something else made (ours, a copy); <see cref="Dispose"/> leaves it in place.</summary>
    public static StockPostgres Adopt(string dataDirectory) => new(NewRoot()) { AdoptedDirectory = dataDirectory };

    private string? AdoptedDirectory { get; init; }
    private string Data => AdoptedDirectory ?? DataDirectory;

    /// <summary>A copy of the (stopped) directory as a server of its own.</summary>
    public StockPostgres Clone()
    {
        var copy = new StockPostgres(NewRoot());
        Run("cp", ["-a", Data, copy.DataDirectory]);
        File.AppendAllText(
            Path.Combine(copy.DataDirectory, "postgresql.conf"), string.Create(CultureInfo.InvariantCulture, $"\nport = {copy.Port}\n"));
        return copy;
    }

    /// <summary>Starts the server and waits until it answers; settings on the command line win over the file.</summary>
    public StockPostgres Start(params string[] commandLineSettings)
    {
        List<string> arguments = [Path.Combine(BinDirectory, "postgres"), "-D", Data, "-p", Port.ToString(CultureInfo.InvariantCulture)];
        arguments.AddRange(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        foreach (string setting in commandLineSettings)
        {
            arguments.AddRange(["-c", setting]);
        }

        // The log goes to a file by way of a shell, so that no pipe has to be drained; exec keeps the process id.
        ProcessStartInfo info = AsPostgres("/bin/sh", ["-c", "log=$1; shift; exec \"$@\" >>\"$log\" 2>&1", "sh", LogPath, .. arguments]);
        _server = Process.Start(info)!;
        var deadline = Stopwatch.StartNew();
        while (TryRun(Path.Combine(BinDirectory, "pg_isready"), ["-q", "-h", "127.0.0.1", "-p", Port.ToString(CultureInfo.InvariantCulture)]).ExitCode != 0)
        {
            if (_server.HasExited || deadline.Elapsed > TimeSpan.FromSeconds(60))
            {
                throw new InvalidOperationException($"PostgreSQL did not start on {Data}:\n{ReadLog()}");
            }

            Thread.Sleep(20);
        }

        return this;
    }

    /// <summary>A fast, clean stop: checkpoint included.</summary>
    public void Stop() => End("INT");

    /// <summary>Stops at once, without a checkpoint: the next start recovers ("immediate").</summary>
    public void StopImmediately() => End("QUIT");

    /// <summary>SIGKILL to the postmaster; its children notice and leave.</summary>
    public void Kill()
    {
        int[] children = ChildrenOf(PostmasterPid());
        End("KILL");
        var deadline = Stopwatch.StartNew();
        while (children.Any(pid => Directory.Exists($"/proc/{pid}")) && deadline.Elapsed < TimeSpan.FromSeconds(30))
        {
            Thread.Sleep(10);
        }
    }

    public int PostmasterPid() =>
        int.Parse(File.ReadLines(Path.Combine(Data, "postmaster.pid")).First(), CultureInfo.InvariantCulture);

    /// <summary>Runs SQL through psql and gives its output, unaligned and without headers. Fails on the first error.</summary>
    public string Psql(string sql, string database = "postgres") =>
        Run(Path.Combine(BinDirectory, "psql"), ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", .. Connection(), "-d", database, "-c", sql]).TrimEnd('\n');

    public string PsqlFile(string script, string database = "postgres")
    {
        string file = Path.Combine(_root, "script.sql");
        File.WriteAllText(file, script);
        return Run(Path.Combine(BinDirectory, "psql"), ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", .. Connection(), "-d", database, "-f", file]);
    }

    public string Pgbench(params string[] arguments) =>
        Run(Path.Combine(BinDirectory, "pgbench"), [.. Connection(), .. arguments, "postgres"]);

    /// <summary>Runs one of PostgreSQL's programs ("pg_waldump", "pg_amcheck") and gives what it printed; throws when it fails.</summary>
    public static string Tool(string program, params string[] arguments) => Run(Path.Combine(BinDirectory, program), arguments);

    /// <summary>The same, for programs whose failure is an answer.</summary>
    public static (int ExitCode, string Output, string Error) TryTool(string program, params string[] arguments) =>
        TryRun(Path.Combine(BinDirectory, program), arguments);

    /// <summary>The same as the user who runs the tests: for files that only that user may read.</summary>
    public static (int ExitCode, string Output, string Error) TryToolAsCaller(string program, params string[] arguments) =>
        TryRun(Path.Combine(BinDirectory, program), arguments, asCaller: true);

    public string ReadLog() => File.Exists(LogPath) ? File.ReadAllText(LogPath) : "";

    public void Dispose()
    {
        if (IsRunning)
        {
            Kill();
        }

        _server?.Dispose();
        if (Directory.Exists(_root))
        {
            Directory.Delete(_root, recursive: true);
        }
    }

    /// <summary>A new folder that user postgres owns, for tests that make a data directory by other means.</summary>
    public static string NewRoot()
    {
        string root = Directory.CreateTempSubdirectory("sharedstorage-test-").FullName;
        if (IsRoot)
        {
            Run("/bin/chown", ["postgres:postgres", root], asCaller: true);
        }

        return root;
    }

    public static bool IsRoot => geteuid() == 0;

    private string[] Connection() => ["-h", "127.0.0.1", "-p", Port.ToString(CultureInfo.InvariantCulture), "-U", "postgres"];

    private static string Template(string[] initdbArguments)
    {
        string key = string.Join(' ', initdbArguments);
        lock (TemplateLock)
        {
            if (!Templates.TryGetValue(key, out string? data))
            {
                string root = NewRoot();
                AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(root, recursive: true);
                data = Path.Combine(root, "template");
                Run(
                    Path.Combine(BinDirectory, "initdb"),
                    ["-D", data, "--data-checksums", "-A", "trust", "-U", "postgres", "-N", "-E", "UTF8", "--locale=C.UTF-8", .. initdbArguments]);
                Templates[key] = data;
            }

            return data;
        }
    }

    private void End(string signal)
    {
        if (_server is null || _server.HasExited)
        {
            return;
        }

        Run("/bin/kill", ["-" + signal, PostmasterPid().ToString(CultureInfo.InvariantCulture)], asCaller: true);
        if (!_server.WaitForExit(TimeSpan.FromSeconds(60)))
        {
            throw new InvalidOperationException($"PostgreSQL does not stop on {Data}:\n{ReadLog()}");
        }
    }

    private static int[] ChildrenOf(int pid)
    {
        string path = $"/proc/{pid}/task/{pid}/children";
        return File.Exists(path)
            ? [.. File.ReadAllText(path).Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(s => int.Parse(s, CultureInfo.InvariantCulture))]
            : [];
    }

    internal static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public static string Run(string program, string[] arguments, bool asCaller = false)
    {
        (int code, string output, string error) = TryRun(program, arguments, asCaller);
        return code == 0
            ? output
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {code}:\n{error}{output}");
    }

    internal static (int ExitCode, string Output, string Error) TryRun(string program, string[] arguments, bool asCaller = false)
    {
        ProcessStartInfo info = asCaller ? new ProcessStartInfo(program, arguments) : AsPostgres(program, arguments);
        info.RedirectStandardOutput = true;
        info.RedirectStandardError = true;
        using Process process = Process.Start(info)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.GetAwaiter().GetResult());
    }

    internal static ProcessStartInfo AsPostgres(string program, string[] arguments)
    {
        // setpriv replaces itself by the program, so signals and process ids need no detour.
        ProcessStartInfo info = IsRoot
            ? new ProcessStartInfo("setpriv", ["--reuid=postgres", "--regid=postgres", "--init-groups", program, .. arguments])
            : new ProcessStartInfo(program, arguments);
        info.WorkingDirectory = "/";
        info.Environment["LC_ALL"] = "C.UTF-8";
        info.Environment["TZ"] = "UTC";
        return info;
    }

    [DllImport("libc")]
    private static extern uint geteuid();
}
