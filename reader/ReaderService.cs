using SharedStorage.Control;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.V1;
using SharedStorage.Primitives;

namespace SharedStorage.Reader;

/// <summary>The cluster service as a reader serves it.</summary>
public sealed class ReaderService(Func<NodeStatus> self, Func<PromoteRequest, Task<PromoteReply>> promote, Func<Lsn, TimeSpan, bool> waitVisible, Func<Lsn> visible) : ClusterBase
{
    public override Task<StatusReply> Status(StatusRequest request, ServerCall call) => Task.FromResult(new StatusReply { Self = self() });

    public override Task<PromoteReply> Promote(PromoteRequest request, ServerCall call) => promote(request);

    public override Task<WaitReply> Wait(WaitRequest request, ServerCall call) => Task.Run(() => new WaitReply
    {
        Reached = waitVisible(new Lsn(request.Lsn), TimeSpan.FromMilliseconds(request.TimeoutMs)),
        Visible = visible().Value,
    });
}
