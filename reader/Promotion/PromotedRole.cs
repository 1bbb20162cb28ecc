using Microsoft.Extensions.Logging;
using SharedStorage.Control;
using SharedStorage.Control.V1;
using SharedStorage.Hosting.Cluster;
using SharedStorage.Hosting.Engine;
using SharedStorage.Hosting.Node;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;
using SharedStorage.Writer;
using SharedStorage.Writer.Channel;
using SharedStorage.Writer.Fencing;

namespace SharedStorage.Reader.Promotion;

/// <summary>
/// A reader that has become the writer, in place: the same engine, cache and sessions (DESIGN 1). The order is R10's: epoch, lease, the log to its last verified record, history file,
/// end-of-recovery record, control file; only then commits.
/// </summary>
public sealed class PromotedRole : IDisposable
{
    private readonly NodeEnvironment _environment;
    private readonly NodeEngine _engine;
    private readonly WriterLease _lease;
    private readonly WriterRole _role;
    private readonly PostmasterPid _pid;
    private readonly int _controlPort;
    private readonly int _pgPort;

    private PromotedRole(NodeEnvironment environment, NodeEngine engine, WriterLease lease, WriterRole role, PostmasterPid pid, int controlPort, int pgPort, PromoteReply reply)
    {
        _environment = environment;
        _engine = engine;
        _lease = lease;
        _role = role;
        _pid = pid;
        _controlPort = controlPort;
        _pgPort = pgPort;
        Reply = reply;
    }

    public PromoteReply Reply { get; }

    /// <summary>Promotes. The tail has stopped; the former writer is fenced, or the operator has taken the risk.</summary>
    /// <param name="after">The highest epoch when the former writer was found fenced: the claim is for the one after it.</param>
    /// <param name="fenced">The fencing hook has confirmed that the former writer cannot write; else its lease is waited out, and what it began to write is given another one to land (R13).</param>
    public static PromotedRole Open(NodeEnvironment environment, NodeEngine engine, SqlNode sql, int controlPort, int pgPort, ulong after, bool fenced, Action<ClusterBase> serve)
    {
        string data = environment.DataDirectory;
        WriterLeaseRecord? former = WriterLeaseRecord.TryRead(data);
        long claimed = environment.Time.GetTimestamp();
        ulong epoch = new Epochs(data).Claim(environment.NodeName, after);
        FaultPoint.Hit("promote-after-claim");
        WriterRole? role = null;
        WriterLease lease = WriterNode.NewLease(environment, engine, epoch, claimed, controlPort, () => role?.Log.Flushed ?? engine.Applied.Value);

        if (!fenced && former is not { Released: true } && former?.Process.IsDead() != true)
        {
            // I8: nobody has cut the former writer off, and it acknowledges commits while its lease runs. It renews none that begins after the claim; so once one lease is over, all that it acknowledged is in the log.
            new InheritedLeases(any: true, environment.Settings.Lease, environment.Time).Await();
        }

        FaultPoint.Hit("promote-before-log-end");

        // R10: the last writer's timeline, by its history files; the lease file may be a former writer's. Promoted from another one this node would drop what was acknowledged.
        TimelineId newest = engine.LogDirectory.NewestTimeline(engine.History.Timeline);
        if (newest != engine.History.Timeline && !engine.TryFollow(newest))
        {
            throw new StorageException($"the last writer was on timeline {newest}, which this reader cannot follow from {engine.Applied.Value} on timeline {engine.History.Timeline}");
        }

        // After fencing the announcement no longer bounds what is read: acknowledged commits may lie beyond it.
        Lsn applied = engine.Applied.Value;
        engine.Tail.Refresh();
        engine.Tail.Run(Lsn.Max, CancellationToken.None);
        LogEnd.Check(engine, former);
        Lsn switchPoint = engine.Tail.Position;
        environment.Logs.CreateLogger("promotion").LogInformation("the log was applied to {Applied}, and is read to its end at {End}: {Reason}", applied, switchPoint, engine.Tail.End?.Message);
        role = WriterRole.Open(environment, engine, lease, new OpeningMode(NewTimeline: true, CleanStart: false, Foreign: false, $"promotion of {environment.NodeName}", former, FormerMayWrite: !fenced && former?.Process.IsDead() != true));
        var pid = new PostmasterPid(data, pgPort);
        pid.Write("ready");
        NodeSql.OpenForWrites(sql, engine, role.Log, role.Oids, role.CheckpointNow, role.CutHistory, role.Removals.RemoveFolder);
        role.StartAutovacuum(sql);
        serve(new WriterService(role.Channel, () => WriterStatus.Of(environment, engine, role, pgPort, controlPort, open: true), engine.Transactions, lease, role.ConfirmFenced));
        var reply = new PromoteReply { Epoch = epoch, Timeline = role.Log.Timeline.Value, SwitchLsn = switchPoint.Value };
        return new PromotedRole(environment, engine, lease, role, pid, controlPort, pgPort, reply);
    }

    public NodeStatus Status() => WriterStatus.Of(_environment, _engine, _role, _pgPort, _controlPort, open: true);

    /// <summary>I8: asked before each snapshot.</summary>
    public void CheckMayAnswer() => _lease.CheckMayAnswer();

    /// <summary>A stop has begun.</summary>
    public void BeginStop() => _role.BeginStop();

    /// <summary>A clean stop, after the sessions have ended.</summary>
    public void Stop()
    {
        _role.Stop();
        _pid.Remove();
    }

    public void Dispose()
    {
        _role.Dispose();
        _lease.Dispose();
    }
}
