using System.Net;
using Microsoft.Extensions.Logging;
using SharedStorage.Control;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.Leases;
using SharedStorage.Control.V1;
using SharedStorage.Hosting.Directory;
using SharedStorage.Hosting.Engine;
using SharedStorage.Hosting.Node;
using SharedStorage.PgWire.Session;
using SharedStorage.Primitives;
using SharedStorage.Reader.Follow;
using SharedStorage.Reader.Promotion;
using SharedStorage.Reader.Serve;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions;
using SharedStorage.Writer.Fencing;

namespace SharedStorage.Reader;

/// <summary>The reader's program: tails, joins, activates, serves; is promoted in place. It writes nothing in the shared directory before that (I4).</summary>
public sealed class ReaderNode(NodeEnvironment environment) : INode
{
    private readonly ILogger _log = environment.Logs.CreateLogger("reader");
    private readonly FrozenReadCheck _readCheck = new();
    private NodeEngine? _engine;
    private ControlServer? _control;
    private WriterLink? _link;
    private TailLoop? _tail;
    private SizeSurvey? _sizes;
    private PgServer? _server;
    private SqlNode? _sql;
    private PromotedRole? _promoted;
    private SnapshotAge? _snapshotAge;
    private volatile ClusterBase _service = new StartingService();
    private int _promoting;

    /// <summary>What statements that run when the writer is met again get to end; far less than a lease.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(5);

    private sealed class StartingService : ClusterBase;

    public void Start()
    {
        string data = environment.DataDirectory;
        DataDirectoryCheck.Check(data, environment.Settings.Bool("sharedstorage.allow_tmpfs"));
        _engine = NodeEngine.Open(environment, _readCheck);
        _readCheck.Applied = () => _engine.Applied.Value;
        int port = (int)environment.Settings.Number("port");
        _control = new ControlServer(IPAddress.Loopback, (int)environment.Settings.Number("sharedstorage.control_port"), () => _service, environment.Logs);
        _link = new WriterLink(environment, _engine, () => $"127.0.0.1:{_control.Port}", () => $"127.0.0.1:{port}")
        {
            Promotable = !MountIsReadOnly(data),
            FollowTimeline = FollowTimeline,
        };
        _readCheck.Link = _link;
        _engine.Transactions.Admission = new LeaseAdmission(this);
        _tail = new TailLoop(environment, _engine, _link, EndSnapshotsBelow);
        _sql = NodeSql.Create(environment, _engine, () => _server, CheckMayAnswer);
        _sql.AwaitConsistency = new ReadConsistency(_engine, _link, environment.Time, environment.Settings.Lease.Lease).Await;
        _server = new PgServer(_sql, NodeSql.ServerOptions(environment), Admit, environment.Logs.CreateLogger("sessions"));
        _engine.Effects.DatabaseDropped = LeaveDatabase;
        _snapshotAge = new SnapshotAge(
            () => _engine.Transactions.Visible, () => _server.Sessions, environment.Settings.Time("sharedstorage.max_snapshot_age"), environment.Time, environment.Logs.CreateLogger("sessions"));
        _snapshotAge.Begin();
        _service = new ReaderService(Self, PromoteAsync, _engine.Transactions.WaitForVisible, () => _engine.Transactions.Visible);
        _link.Begin();
        _sizes = new SizeSurvey(_engine, _link, _log);
        _log.LogInformation("{Node} is a reader: port {Port}, control port {ControlPort}", environment.NodeName, _server.Port, _control.Port);
    }

    public void Stop()
    {
        _promoted?.BeginStop();
        _server?.Stop(new PgException(SqlStates.AdminShutdown, "terminating connection due to administrator command") { Fatal = true }, TimeSpan.FromSeconds(30));
        if (_promoted is not null)
        {
            _promoted.Stop();
            return;
        }

        _link?.LeaveAsync().Wait(TimeSpan.FromSeconds(3));
    }

    public void Dispose()
    {
        _sizes?.Dispose();
        _snapshotAge?.Dispose();
        _link?.Dispose();
        _tail?.Dispose();
        _control?.Dispose();
        _server?.Dispose();
        _promoted?.Dispose();
        _engine?.Dispose();
    }

    private PgException? Admit() =>
        _promoted is not null || _link!.MayServe ? null
        : new PgException(SqlStates.CannotConnectNow, "the database system is not yet accepting connections")
        {
            Detail = "The reader has not been activated by a writer.",
            Fatal = true,
        };

    /// <summary>I8, R4: asked before each snapshot. Coming back to a writer takes the time to apply up to the floor: a query waits for that, for one lease at most.</summary>
    private void CheckMayAnswer()
    {
        if (_promoted is { } writer)
        {
            writer.CheckMayAnswer();
            return;
        }

        long began = environment.Time.GetTimestamp();
        while (_promoting == 0 && !_link!.MayServe)
        {
            bool returning = _link.State is not (LeaseState.Detached or LeaseState.Expired);
            if (!returning || environment.Time.GetElapsedTime(began) > environment.Settings.Lease.Lease)
            {
                throw new PgException(SqlStates.CannotConnectNow, "the reader does not answer queries now: it has no lease")
                {
                    Detail = $"It is {_link.State.ToString().ToLowerInvariant()} at {_engine!.Applied.Value}.",
                };
            }

            _engine!.Transactions.WaitForVisible(Lsn.Max, Step);
        }
    }

    /// <summary>
    /// R4: the snapshots that no lease covers end before anything is applied again; the tail waits here. New ones wait meanwhile, so those that run are given a moment to end by themselves.
    /// </summary>
    private void EndSnapshotsBelow(Lsn position, Func<bool> goOn)
    {
        long began = environment.Time.GetTimestamp();
        while (_engine!.Transactions.OldestSnapshot < position && goOn())
        {
            if (environment.Time.GetElapsedTime(began) > Grace)
            {
                // Those below only: the others read what the writer still keeps for them.
                _server?.TerminateSnapshotsBelow(
                    position, new PgException(SqlStates.SerializationFailure, "the snapshot of this session ended when the reader came back to its writer") { Fatal = true });
            }

            _engine.Transactions.WaitForVisible(Lsn.Max, Step);
        }
    }

    /// <summary>The lease as the transactions see it: asked again once a snapshot is published.</summary>
    private sealed class LeaseAdmission(ReaderNode node) : ISnapshotAdmission
    {
        public bool MayOpen(Lsn snapshot) => node._promoting != 0 || node._link!.MayOpen(snapshot);

        public void Await() => node.CheckMayAnswer();
    }

    /// <summary>Sessions of a dropped database that do nothing end; others do with their next snapshot, which has the database no more (I5: its files stay for those they have).</summary>
    private void LeaveDatabase(Oid database)
    {
        foreach (IServedSession session in _server!.Sessions)
        {
            if (session.Database == database && !session.IsRunning && session.OldestSnapshot == Lsn.Max)
            {
                session.Terminate(new PgException(SqlStates.DatabaseDropped, "terminating connection due to conflict with recovery")
                {
                    Detail = "User was connected to a database that must be dropped.",
                    Fatal = true,
                });
            }
        }
    }

    private bool FollowTimeline(TimelineId timeline)
    {
        bool followed = false;
        _tail!.Do(() => followed = _engine!.TryFollow(timeline));
        return followed;
    }

    private async Task<PromoteReply> PromoteAsync(PromoteRequest request)
    {
        if (!_link!.Promotable)
        {
            throw new RpcException(RpcStatus.FailedPrecondition, "this reader runs on a read-only mount and cannot be promoted");
        }

        if (!request.Fenced && !request.OverrideFence)
        {
            throw new RpcException(
                RpcStatus.FailedPrecondition,
                "the former writer is not confirmed to be fenced: two writers would destroy the data; fence it, or override knowing that");
        }

        // I9: the claim that follows is for the epoch after this one. A node that has claimed since was not fenced by whoever asks.
        ulong highest = new Epochs(environment.DataDirectory).Highest();
        if (request.ExpectedEpoch != 0 && highest > request.ExpectedEpoch)
        {
            throw new RpcException(RpcStatus.FailedPrecondition, $"epoch {highest} has been claimed: another node was made the writer after epoch {request.ExpectedEpoch}");
        }

        if (Interlocked.Exchange(ref _promoting, 1) != 0)
        {
            throw new RpcException(RpcStatus.FailedPrecondition, "a promotion is under way or done");
        }

        return await Task.Run(() => Promote(request, highest)).ConfigureAwait(false);
    }

    private PromoteReply Promote(PromoteRequest request, ulong after)
    {
        try
        {
            _sizes!.Dispose();
            _snapshotAge!.Dispose();
            _link!.Dispose();
            _tail!.Dispose();
            _readCheck.Link = null;
            _engine!.Transactions.Admission = null;
            _promoted = PromotedRole.Open(environment, _engine!, _sql!, _control!.Port, _server!.Port, after, request.Fenced, s => _service = s);
            return _promoted.Reply;
        }
        catch (Exception e)
        {
            // Half a promotion is no reader any more and not yet a writer: recovery starts from storage.
            environment.Fail($"the promotion failed: {e.Message}");
            throw new RpcException(RpcStatus.Internal, e.Message);
        }
    }

    private NodeStatus Self()
    {
        if (_promoted is { } promoted)
        {
            return promoted.Status();
        }

        Lsn flushed = _link!.WriterFlushed;
        Lsn applied = _engine!.Applied.Value;
        return new NodeStatus
        {
            Name = environment.NodeName,
            Role = "reader",
            State = _promoting != 0 ? "promoting" : _link.State.ToString().ToLowerInvariant(),
            Pid = Environment.ProcessId,
            PgPort = (uint)_server!.Port,
            ControlPort = (uint)_control!.Port,
            Epoch = _link.Epoch,
            Timeline = _engine.History.Timeline.Value,
            Flushed = flushed.Value,
            Visible = _engine.Transactions.Visible.Value,
            Applied = applied.Value,
            Consistent = _link.WriterConsistent.Value,
            Leased = _link.State is LeaseState.Active or LeaseState.Activated,
            Promotable = _link.Promotable,
            LagBytes = flushed > applied ? flushed - applied : 0,
            LagMs = _link.LagMilliseconds,
            SystemIdentifier = _engine.Control.SystemIdentifier,
        };
    }

    private static bool MountIsReadOnly(string path) =>
        Mono.Unix.Native.Syscall.statvfs(path, out Mono.Unix.Native.Statvfs info) != 0 || (info.f_flag & Mono.Unix.Native.MountFlags.ST_RDONLY) != 0;
}
