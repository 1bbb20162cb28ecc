using Microsoft.AspNetCore.Routing;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.V1;

namespace SharedStorage.Control;

/// <summary>
/// The service of protos/cluster.proto, in the shape that Grpc.AspNetCore's generator gives: a node overrides what it serves, the rest answers UNIMPLEMENTED.
/// </summary>
public abstract class ClusterBase
{
    public const string ServiceName = "sharedstorage.v1.Cluster";

    public virtual Task<JoinReply> Join(JoinRequest request, ServerCall call) => Refuse<JoinReply>(nameof(Join));
    public virtual Task<ActivateReply> Activate(ActivateRequest request, ServerCall call) => Refuse<ActivateReply>(nameof(Activate));
    public virtual Task<LeaveReply> Leave(LeaveRequest request, ServerCall call) => Refuse<LeaveReply>(nameof(Leave));
    public virtual Task<PromoteReply> Promote(PromoteRequest request, ServerCall call) => Refuse<PromoteReply>(nameof(Promote));
    public virtual Task<ConfirmFencedReply> ConfirmFenced(ConfirmFencedRequest request, ServerCall call) => Refuse<ConfirmFencedReply>(nameof(ConfirmFenced));
    public virtual Task<StatusReply> Status(StatusRequest request, ServerCall call) => Refuse<StatusReply>(nameof(Status));
    public virtual Task<WaitReply> Wait(WaitRequest request, ServerCall call) => Refuse<WaitReply>(nameof(Wait));

    public virtual Task Follow(IMessageReader<ReaderState> acknowledgements, IMessageWriter<WriterState> states, ServerCall call) =>
        Refuse<WriterState>(nameof(Follow));

    /// <summary>Adds the service's routes; <paramref name="current"/> is asked at each call, since a promoted node serves other things than before.</summary>
    public static void Map(IEndpointRouteBuilder app, Func<ClusterBase> current)
    {
        app.MapUnary(ServiceName, nameof(Join), JoinRequest.Parser, (r, c) => current().Join(r, c));
        app.MapUnary(ServiceName, nameof(Activate), ActivateRequest.Parser, (r, c) => current().Activate(r, c));
        app.MapUnary(ServiceName, nameof(Leave), LeaveRequest.Parser, (r, c) => current().Leave(r, c));
        app.MapUnary(ServiceName, nameof(Promote), PromoteRequest.Parser, (r, c) => current().Promote(r, c));
        app.MapUnary(ServiceName, nameof(ConfirmFenced), ConfirmFencedRequest.Parser, (r, c) => current().ConfirmFenced(r, c));
        app.MapUnary(ServiceName, nameof(Status), StatusRequest.Parser, (r, c) => current().Status(r, c));
        app.MapUnary(ServiceName, nameof(Wait), WaitRequest.Parser, (r, c) => current().Wait(r, c));
        app.MapDuplex<ReaderState, WriterState>(ServiceName, nameof(Follow), ReaderState.Parser, (r, w, c) => current().Follow(r, w, c));
    }

    private static Task<T> Refuse<T>(string method) =>
        Task.FromException<T>(new RpcException(RpcStatus.Unimplemented, $"this node does not serve {method}"));
}

/// <summary>The calling side of protos/cluster.proto.</summary>
public sealed class ClusterClient(GrpcChannel channel) : IDisposable
{
    public GrpcChannel Channel { get; } = channel;

    public Task<JoinReply> JoinAsync(JoinRequest request, TimeSpan timeout, CancellationToken cancel) =>
        Channel.CallAsync(ClusterBase.ServiceName, "Join", request, JoinReply.Parser, timeout, cancel);

    public Task<ActivateReply> ActivateAsync(ActivateRequest request, TimeSpan timeout, CancellationToken cancel) =>
        Channel.CallAsync(ClusterBase.ServiceName, "Activate", request, ActivateReply.Parser, timeout, cancel);

    public Task<LeaveReply> LeaveAsync(LeaveRequest request, TimeSpan timeout, CancellationToken cancel) =>
        Channel.CallAsync(ClusterBase.ServiceName, "Leave", request, LeaveReply.Parser, timeout, cancel);

    public Task<PromoteReply> PromoteAsync(PromoteRequest request, TimeSpan timeout, CancellationToken cancel) =>
        Channel.CallAsync(ClusterBase.ServiceName, "Promote", request, PromoteReply.Parser, timeout, cancel);

    public Task<ConfirmFencedReply> ConfirmFencedAsync(ConfirmFencedRequest request, TimeSpan timeout, CancellationToken cancel) =>
        Channel.CallAsync(ClusterBase.ServiceName, "ConfirmFenced", request, ConfirmFencedReply.Parser, timeout, cancel);

    public Task<StatusReply> StatusAsync(TimeSpan timeout, CancellationToken cancel) =>
        Channel.CallAsync(ClusterBase.ServiceName, "Status", new StatusRequest(), StatusReply.Parser, timeout, cancel);

    public Task<WaitReply> WaitAsync(WaitRequest request, TimeSpan timeout, CancellationToken cancel) =>
        Channel.CallAsync(ClusterBase.ServiceName, "Wait", request, WaitReply.Parser, timeout, cancel);

    public Task<DuplexCall<ReaderState, WriterState>> FollowAsync(CancellationToken cancel) =>
        Channel.OpenDuplexAsync<ReaderState, WriterState>(ClusterBase.ServiceName, "Follow", WriterState.Parser, cancel);

    public void Dispose() => Channel.Dispose();
}
