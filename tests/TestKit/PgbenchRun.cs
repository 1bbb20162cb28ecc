using System.Diagnostics;
using System.Net.NetworkInformation;

namespace SharedStorage.TestKit;

/// <summary>A load of pgbench on a node that goes on until the test ends it, so that it takes as long as the test needs it and no longer.</summary>
public sealed class PgbenchRun : IDisposable
{
    private readonly ClusterNode _node;
    private readonly int _before;
    private readonly Process _process;
    private readonly Task<string> _output;
    private readonly Task<string> _error;

    private PgbenchRun(ClusterNode node, string[] arguments)
    {
        _node = node;
        _before = Sessions();
        ProcessStartInfo info = StockPostgres.AsPostgres(Path.Combine(StockPostgres.BinDirectory, "pgbench"), node.PgbenchArguments(["-T", "3600", .. arguments]));
        info.RedirectStandardOutput = true;
        info.RedirectStandardError = true;
        _process = Process.Start(info)!;
        _output = _process.StandardOutput.ReadToEndAsync();
        _error = _process.StandardError.ReadToEndAsync();
    }

    public static PgbenchRun Begin(ClusterNode node, params string[] arguments) => new(node, arguments);

    /// <summary>Ends the load and waits until its last sessions have; fails when one of them met an error.</summary>
    public void End()
    {
        bool hadEnded = _process.HasExited;
        Dispose();
        string error = _error.GetAwaiter().GetResult();
        if (hadEnded || error.Contains("error", StringComparison.OrdinalIgnoreCase))
        {
            throw new InvalidOperationException($"pgbench: {error}{_output.GetAwaiter().GetResult()}");
        }

        ClusterNode.Await("pgbench's sessions to end", () => Sessions() <= _before);
    }

    /// <summary>A node keeps its end of a connection until the session has ended.</summary>
    private int Sessions() => IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpConnections()
        .Count(c => c.LocalEndPoint.Port == _node.Port && c.State is TcpState.Established or TcpState.CloseWait);

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.WaitForExit();
    }
}
