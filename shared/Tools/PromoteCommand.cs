using System.CommandLine;
using SharedStorage.Control;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.V1;
using SharedStorage.Primitives;

namespace SharedStorage.Tools;

/// <summary>Makes a reader the writer. Whoever calls it has fenced the former writer, or says that it takes the risk.</summary>
internal static class PromoteCommand
{
    /// <summary>Reading the log to its end after a long lag may take a while.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    public static Command Create()
    {
        var control = new Option<string>("--control") { Description = "the reader's control address, host:port", Required = true };
        var fenced = new Option<bool>("--fenced") { Description = "the fencing hook has confirmed that the former writer cannot write" };
        var force = new Option<bool>("--override-fence")
        {
            Description = "promote without a confirmed fence: if the former writer still runs, two writers may destroy the data",
        };
        var command = new Command("promote", "Make a reader the writer, after the former writer was fenced") { control, fenced, force };
        command.SetAction(async (result, cancel) =>
        {
            using var client = new ClusterClient(new GrpcChannel(new Uri("http://" + result.GetValue(control))));
            try
            {
                PromoteReply reply = await client.PromoteAsync(
                    new PromoteRequest { Fenced = result.GetValue(fenced), OverrideFence = result.GetValue(force) }, Patience, cancel).ConfigureAwait(false);
                Console.WriteLine($"promoted: epoch {reply.Epoch}, timeline {reply.Timeline}, from {new Lsn(reply.SwitchLsn)}");
                return 0;
            }
            catch (RpcException e)
            {
                await Console.Error.WriteLineAsync($"error: {e.Message} ({e.Status})").ConfigureAwait(false);
                return 1;
            }
        });
        return command;
    }
}
