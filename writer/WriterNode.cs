using System.Net;
using Microsoft.Extensions.Logging;
using SharedStorage.Control;
using SharedStorage.Control.V1;
using SharedStorage.Hosting.Cluster;
using SharedStorage.Hosting.Directory;
using SharedStorage.Hosting.Engine;
using SharedStorage.Hosting.Node;
using SharedStorage.PgWire.Session;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;
using SharedStorage.Wal.Reading;
using SharedStorage.Writer.Channel;
using SharedStorage.Writer.Checkpoint;
using SharedStorage.Writer.Fencing;

namespace SharedStorage.Writer;

/// <summary>The writer's program: claims the storage, recovers, opens for writes, serves; at a clean stop makes the shutdown checkpoint.</summary>
public sealed class WriterNode(NodeEnvironment environment) : INode
{
    private readonly ILogger _log = environment.Logs.CreateLogger("writer");
    private NodeEngine? _engine;
    private WriterLease? _lease;
    private WriterRole? _role;
    private ControlServer? _control;
    private PgServer? _server;
    private PostmasterPid? _pid;
    private volatile ClusterBase _service = new StartingService();
    private volatile bool _open;

    private sealed class StartingService : ClusterBase;

    public void Start()
    {
        string data = environment.DataDirectory;
        DataDirectoryCheck.Check(data, environment.Settings.Bool("sharedstorage.allow_tmpfs"));
        WriterLeaseRecord? known = WriterLeaseRecord.TryRead(data);
        DataDirectoryCheck.CheckNoPostmaster(data, pid => known?.Process.ProcessId == pid);
        DataDirectoryCheck.CheckNoBackup(data);
        FormerWriter former = WriterClaim.Await(data, environment.Settings.Lease, environment.Time, CancellationToken.None);
        _engine = NodeEngine.Open(environment);
        _control = new ControlServer(IPAddress.Loopback, (int)environment.Settings.Number("sharedstorage.control_port"), () => _service, environment.Logs);
        long claimed = environment.Time.GetTimestamp();
        ulong epoch = new Epochs(data).Claim(environment.NodeName, former.Epoch);
        int port = (int)environment.Settings.Number("port");
        _lease = NewLease(environment, _engine, epoch, claimed, _control.Port, () => _role?.Log.Flushed ?? _engine.Applied.Value);
        _pid = new PostmasterPid(data, port);
        _pid.Write("starting");

        // Whoever recovers or checkpoints after us does so beyond our durable end. So a mark of ours beyond the checkpoint says that we ran last, also before our first one.
        bool oursIsLast = former.Former is { } last && last.SystemIdentifier == _engine.Control.SystemIdentifier && last.Flushed > _engine.Control.CheckPointAt;
        bool foreign = !oursIsLast && !OwnCheckpoints.IsOurs(data, _engine.Control.CheckPointAt);
        _engine.Tail.Run(Lsn.Max, CancellationToken.None);
        LogEnd.Check(_engine, foreign ? null : former.Former);
        bool clean = _engine.Control.State == Format.Control.ClusterState.ShutDown && _engine.Tail.Records <= 1;
        _log.LogInformation("replayed {Records} records to {Lsn}: {Reason}", _engine.Tail.Records, _engine.Tail.Position, _engine.Tail.End!.Message);
        _role = WriterRole.Open(environment, _engine, _lease, new OpeningMode(
            NewTimeline: !former.ProvenDead && !foreign, clean, foreign, "the former writer is not proven dead", former.Former, FormerMayWrite: !former.ProvenDead && !foreign));
        SqlNode node = NodeSql.Create(environment, _engine, () => _server, _lease.CheckMayAnswer);
        NodeSql.OpenForWrites(node, _engine, _role.Log, _role.Oids, _role.CheckpointNow, _role.CutHistory, _role.Removals.RemoveFolder);
        _server = new PgServer(node, NodeSql.ServerOptions(environment), Admit, environment.Logs.CreateLogger("sessions"));
        _service = new WriterService(_role.Channel, Self, _engine.Transactions, _lease, _role.ConfirmFenced);
        _open = true;
        _pid.Write("ready");
        _role.StartAutovacuum(node);
        _log.LogInformation("{Node} is the writer: port {Port}, control port {ControlPort}", environment.NodeName, _server.Port, _control.Port);
    }

    public void Stop()
    {
        _open = false;
        _role?.BeginStop();
        TellStopping();
        _server?.Stop(new PgException(SqlStates.AdminShutdown, "terminating connection due to administrator command") { Fatal = true }, TimeSpan.FromSeconds(30));
        _role?.Stop();
        _pid?.Remove();
    }

    /// <summary>For pg_ctl and a look at the file only: a full disk does not keep the node from a clean stop.</summary>
    private void TellStopping()
    {
        try
        {
            _pid?.Write("stopping");
        }
        catch (StorageException e) when (e.IsNoSpace)
        {
            _log.LogWarning("postmaster.pid does not tell of the stop: {Reason}", e.Message);
        }
    }

    public void Dispose()
    {
        _control?.Dispose();
        _server?.Dispose();
        _role?.Dispose();
        _lease?.Dispose();
        _engine?.Dispose();
    }

    /// <summary>The lease of a node that has just claimed its epoch; <paramref name="claimed"/> is the clock's reading from before that.</summary>
    public static WriterLease NewLease(NodeEnvironment environment, NodeEngine engine, ulong epoch, long claimed, int controlPort, Func<Lsn> flushed) => new(
        environment.DataDirectory,
        new WriterLeaseRecord
        {
            SystemIdentifier = engine.Control.SystemIdentifier,
            Epoch = epoch,
            Node = environment.NodeName,
            Process = ProcessIdentity.Current,
            Renewal = 0,
            Timeline = engine.History.Timeline,
            Flushed = engine.Start.Redo,
            ControlAddress = $"127.0.0.1:{controlPort}",
        },
        claimed,
        environment.Settings.Lease.Lease,
        environment.Settings.Lease.Renewal,
        environment.Time,
        flushed,
        reason => environment.Fail($"I9: {reason}"));

    private PgException? Admit() =>
        _open ? null : new PgException(SqlStates.CannotConnectNow, "the database system is starting up") { Fatal = true };

    private NodeStatus Self() => WriterStatus.Of(environment, _engine!, _role!, _server!.Port, _control!.Port, _open);
}
