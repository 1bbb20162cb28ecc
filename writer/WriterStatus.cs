using SharedStorage.Control.V1;
using SharedStorage.Hosting.Engine;
using SharedStorage.Hosting.Node;

namespace SharedStorage.Writer;

/// <summary>What a writer says of itself.</summary>
public static class WriterStatus
{
    public static NodeStatus Of(NodeEnvironment environment, NodeEngine engine, WriterRole role, int pgPort, int controlPort, bool open) => new()
    {
        Name = environment.NodeName,
        Role = "writer",
        State = open ? "open" : "stopping",
        Pid = Environment.ProcessId,
        PgPort = (uint)pgPort,
        ControlPort = (uint)controlPort,
        Epoch = role.Epoch,
        Timeline = role.Log.Timeline.Value,
        Flushed = role.Log.Flushed.Value,
        Visible = engine.Transactions.Visible.Value,
        Applied = role.Log.Inserted.Value,
        Consistent = role.Channel.Consistent.Value,
        Leased = true,
        FormerUnfenced = role.FormerIsUnfenced,
        SystemIdentifier = engine.Control.SystemIdentifier,
    };
}
