using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using SharedStorage.Control;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.V1;
using SharedStorage.Primitives;

namespace SharedStorage.Tools;

/// <summary>Asks the nodes of a cluster what they know of themselves, and prints it as a table or as JSON.</summary>
internal static class StatusCommand
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static Command Create()
    {
        var peers = new Option<string>("--peers") { Description = "control addresses, host:port with commas", Required = true };
        var json = new Option<bool>("--json") { Description = "a list with one object for each node that answers" };
        var command = new Command("status", "Show role, positions and lag of each node") { peers, json };
        command.SetAction(result =>
        {
            List<NodeStatus> nodes = Ask(result.GetValue(peers)!);
            if (result.GetValue(json))
            {
                Console.WriteLine(JsonSerializer.Serialize(nodes.Select(Fields), Indented));
            }
            else
            {
                Print(nodes);
            }

            return nodes.Count > 0 ? 0 : 1;
        });
        return command;
    }

    private static List<NodeStatus> Ask(string peers)
    {
        IEnumerable<Task<NodeStatus?>> asked = peers
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(AskOneAsync);
        return [.. Task.WhenAll(asked).GetAwaiter().GetResult().OfType<NodeStatus>().OrderByDescending(n => n.Role, StringComparer.Ordinal).ThenBy(n => n.Name, StringComparer.Ordinal)];
    }

    private static async Task<NodeStatus?> AskOneAsync(string address)
    {
        using var client = new ClusterClient(new GrpcChannel(new Uri("http://" + address)));
        try
        {
            return (await client.StatusAsync(Patience, CancellationToken.None).ConfigureAwait(false)).Self;
        }
        catch (RpcException e) when (e.Status is RpcStatus.Unavailable or RpcStatus.DeadlineExceeded or RpcStatus.Unimplemented)
        {
            // A node that does not answer is missing from the list: that is the finding.
            return null;
        }
    }

    private static Dictionary<string, object> Fields(NodeStatus n) => new()
    {
        ["name"] = n.Name,
        ["role"] = n.Role,
        ["state"] = n.State,
        ["pid"] = n.Pid,
        ["pgport"] = n.PgPort,
        ["controlport"] = n.ControlPort,
        ["epoch"] = n.Epoch,
        ["timeline"] = n.Timeline,
        ["flushed"] = new Lsn(n.Flushed).ToString(),
        ["visible"] = new Lsn(n.Visible).ToString(),
        ["applied"] = new Lsn(n.Applied).ToString(),
        ["consistent"] = new Lsn(n.Consistent).ToString(),
        ["leased"] = n.Leased,
        ["promotable"] = n.Promotable,
        ["former_unfenced"] = n.FormerUnfenced,
        ["lag_bytes"] = n.LagBytes,
        ["lag_ms"] = n.LagMs,
        ["system_identifier"] = n.SystemIdentifier.ToString(CultureInfo.InvariantCulture),
    };

    private static void Print(List<NodeStatus> nodes)
    {
        Console.WriteLine($"{"node",-12} {"role",-7} {"state",-11} {"pid",8} {"port",6} {"epoch",5} {"tli",3} {"flushed",14} {"visible",14} {"applied",14} {"consistent",14} {"lag",10}");
        foreach (NodeStatus n in nodes)
        {
            Console.WriteLine(
                $"{n.Name,-12} {n.Role,-7} {n.State,-11} {n.Pid,8} {n.PgPort,6} {n.Epoch,5} {n.Timeline,3} {new Lsn(n.Flushed),14} {new Lsn(n.Visible),14} {new Lsn(n.Applied),14} {new Lsn(n.Consistent),14} {n.LagBytes,7} B {n.LagMs} ms");
            if (n.FormerUnfenced)
            {
                Console.WriteLine($"{"",-12} the former writer is not known to be fenced: checkpoints wait (sharedstorage fenced)");
            }
        }
    }
}
