using System.CommandLine;
using SharedStorage.Control;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.V1;

namespace SharedStorage.Tools;

/// <summary>Tells a writer that was promoted without a fence, or started after an unexplained silence, that its predecessor cannot reach the storage any more (R13).</summary>
internal static class FencedCommand
{
    /// <summary>The writer reads back what it has written since.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(30);

    public static Command Create()
    {
        var control = new Option<string>("--control") { Description = "the writer's control address, host:port", Required = true };
        var command = new Command("fenced", "Tell a writer that the former writer cannot reach the storage any more") { control };
        command.SetAction(async (result, cancel) =>
        {
            using var client = new ClusterClient(new GrpcChannel(new Uri("http://" + result.GetValue(control))));
            try
            {
                await client.ConfirmFencedAsync(new ConfirmFencedRequest(), Patience, cancel).ConfigureAwait(false);
                Console.WriteLine("fenced: checkpoints go on");
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
