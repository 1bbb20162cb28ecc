using System.Net;
using Microsoft.Extensions.Logging;
using SharedStorage.Control;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.V1;
using SharedStorage.Format.Control;
using SharedStorage.Hosting.Directory;
using SharedStorage.Hosting.Engine;
using SharedStorage.Hosting.Node;
using SharedStorage.Io;
using SharedStorage.PgWire.Session;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;

namespace SharedStorage.Reader.Attach;

/// <summary>
/// A reader on the directory of a running stock PostgreSQL 15, which never notices it (sharedstorage.attach): no channel, no gate, no lease, no registry, no file written. It
/// answers as a hot standby would at the same log position.
/// </summary>
internal sealed class AttachedNode(NodeEnvironment environment) : INode
{
    /// <summary>The server may complete a checkpoint between the look into the control file and the look into the log.</summary>
    private const int OpenTries = 5;

    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(5);

    private readonly ILogger _log = environment.Logs.CreateLogger("attach");
    private readonly AttachedStorage _storage = new();
    private NodeEngine? _engine;
    private AttachedTail? _tail;
    private ControlServer? _control;
    private PgServer? _server;
    private Thread? _opening;
    private volatile bool _serves;
    private volatile bool _stopping;

    public void Start()
    {
        string data = environment.DataDirectory;
        DataDirectoryCheck.Check(data, environment.Settings.Bool("sharedstorage.allow_tmpfs"));
        _engine = Open(data);

        // What has no LSN is read once, now: it may be ahead of what is applied, but not of the end of the log that is looked for afterwards.
        _engine.Catalogs.Maps.LoadAll();
        _engine.Transactions.PreloadClog();
        _tail = new AttachedTail(environment, _engine, () => _server?.Sessions ?? []);
        _storage.Begin(_engine, _tail.Log, _tail.Waits);
        var service = new ReaderService(Self, RefusePromotion, _engine.Transactions.WaitForVisible, () => _engine.Transactions.Visible);
        _control = new ControlServer(IPAddress.Loopback, (int)environment.Settings.Number("sharedstorage.control_port"), () => service, environment.Logs);
        SqlNode sql = NodeSql.Create(environment, _engine, () => _server, CheckMayAnswer);
        sql.Replay = _tail.Hold;
        _server = new PgServer(sql, NodeSql.ServerOptions(environment), () => _serves ? null : NotYet(), environment.Logs.CreateLogger("sessions"));
        _tail.Begin();
        _opening = new Thread(OpenForQueries) { IsBackground = true, Name = "attach" };
        _opening.Start();
        _log.LogInformation("{Node} is attached to {Data}: port {Port}, control port {ControlPort}", environment.NodeName, data, _server.Port, _control.Port);
    }

    public void Stop()
    {
        _stopping = true;
        _server?.Stop(new PgException(SqlStates.AdminShutdown, "terminating connection due to administrator command") { Fatal = true }, TimeSpan.FromSeconds(30));
    }

    public void Dispose()
    {
        _stopping = true;
        _opening?.Join();
        _tail?.Dispose();
        _control?.Dispose();
        _server?.Dispose();
        _engine?.Dispose();
    }

    private NodeEngine Open(string data)
    {
        for (int attempt = 1; ; attempt++)
        {
            ControlFile control = new ControlFileStore(data).Read();
            AttachedDirectory.Check(data, control);
            try
            {
                return NodeEngine.Open(environment, readCheck: null, _storage);
            }
            catch (StorageException e) when (attempt < OpenTries)
            {
                _log.LogInformation("the checkpoint is looked for again: {Reason}", e.Message);
                Thread.Sleep(Step * attempt);
            }
        }
    }

    /// <summary>All that was read at the start is covered once the node has applied the log up to its end as of now (WAL before data).</summary>
    private void OpenForQueries()
    {
        AttachedLog log = _tail!.Log;
        long pass = log.RequestPass();
        Lsn end = Lsn.Max;
        while (!_stopping && !(log.HasPassed(pass, out end) && _engine!.Applied.Value >= end))
        {
            _engine!.Transactions.WaitForVisible(end, Step);
        }

        if (!_stopping)
        {
            _serves = true;
            _log.LogInformation("open for queries at {Applied}", _engine!.Applied.Value);
        }
    }

    private void CheckMayAnswer()
    {
        if (!_serves)
        {
            throw NotYet();
        }
    }

    private PgException NotYet() => new(SqlStates.CannotConnectNow, "the database system is starting up")
    {
        Detail = $"The log has been applied up to {_engine!.Applied.Value}, and goes on to {_tail!.Log.Verified}.",
        Fatal = true,
    };

    private static Task<PromoteReply> RefusePromotion(PromoteRequest request) =>
        throw new RpcException(RpcStatus.FailedPrecondition, "an attached reader cannot be promoted: the directory is a stock server's");

    private NodeStatus Self()
    {
        Lsn applied = _engine!.Applied.Value;
        Lsn verified = _tail!.Log.Verified;
        return new NodeStatus
        {
            Name = environment.NodeName,
            Role = "reader",
            State = _serves ? "attached" : "starting",
            Pid = Environment.ProcessId,
            PgPort = (uint)_server!.Port,
            ControlPort = (uint)_control!.Port,
            Timeline = _engine.History.Timeline.Value,
            Flushed = verified.Value,
            Visible = _engine.Transactions.Visible.Value,
            Applied = applied.Value,
            Consistent = _engine.Consistent.Value.Value,
            Leased = false,
            Promotable = false,
            LagBytes = verified > applied ? verified - applied : 0,
            SystemIdentifier = _engine.Control.SystemIdentifier,
        };
    }
}
