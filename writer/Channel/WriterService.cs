using SharedStorage.Control;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.V1;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Writer.Fencing;

namespace SharedStorage.Writer.Channel;

/// <summary>The cluster service as a writer serves it.</summary>
public sealed class WriterService(ReaderChannel channel, Func<NodeStatus> self, TransactionManager transactions, WriterLease lease, Action confirmFenced) : ClusterBase
{
    public override Task<JoinReply> Join(JoinRequest request, ServerCall call) => Task.FromResult(channel.Join(request));

    public override Task<ActivateReply> Activate(ActivateRequest request, ServerCall call) => Task.Run(() => channel.Activate(request));

    public override Task<LeaveReply> Leave(LeaveRequest request, ServerCall call)
    {
        channel.Leave(request);
        return Task.FromResult(new LeaveReply());
    }

    public override Task Follow(IMessageReader<ReaderState> acknowledgements, IMessageWriter<WriterState> states, ServerCall call) =>
        channel.FollowAsync(acknowledgements, states, call.Cancel);

    public override Task<PromoteReply> Promote(PromoteRequest request, ServerCall call) =>
        throw new RpcException(RpcStatus.FailedPrecondition, "this node is the writer");

    public override Task<ConfirmFencedReply> ConfirmFenced(ConfirmFencedRequest request, ServerCall call) => Task.Run(() =>
    {
        confirmFenced();
        return new ConfirmFencedReply { Envelope = channel.Envelope };
    });

    public override Task<StatusReply> Status(StatusRequest request, ServerCall call)
    {
        var reply = new StatusReply { Self = self() };
        reply.Readers.AddRange(channel.Status());
        return Task.FromResult(reply);
    }

    public override Task<WaitReply> Wait(WaitRequest request, ServerCall call) => Task.Run(() =>
    {
        var reply = new WaitReply
        {
            Reached = transactions.WaitForVisible(new Lsn(request.Lsn), TimeSpan.FromMilliseconds(request.TimeoutMs)),
            Visible = transactions.Visible.Value,
            Envelope = channel.Envelope,
        };

        // I8, I9: asked after visible was read. A writer that stood still until another one had begun must not say what was committed.
        return lease.IsHeldOnStorage ? reply : throw new RpcException(RpcStatus.Unavailable, "this writer has lost its lease");
    });
}
