using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace SharedStorage.Control.Grpc;

/// <summary>The serving side of a call's streams.</summary>
public sealed class ServerCall(CancellationToken cancel, string peer)
{
    /// <summary>Cancelled when the caller goes away or its deadline is over.</summary>
    public CancellationToken Cancel { get; } = cancel;

    /// <summary>The caller's address and port, for messages.</summary>
    public string Peer { get; } = peer;
}

/// <summary>Reads the messages of a stream in order.</summary>
public interface IMessageReader<T>
{
    /// <summary>The next message; null when the other side has finished.</summary>
    ValueTask<T?> ReadAsync(CancellationToken cancel);
}

/// <summary>Writes the messages of a stream in order; one write at a time.</summary>
public interface IMessageWriter<T>
{
    ValueTask WriteAsync(T message, CancellationToken cancel);
}

/// <summary>gRPC over Kestrel's HTTP/2: maps methods to routes, frames messages, writes the status into the trailers.</summary>
public static class GrpcServer
{
    public static void MapUnary<TRequest, TReply>(
        this IEndpointRouteBuilder app, string service, string method, MessageParser<TRequest> parser, Func<TRequest, ServerCall, Task<TReply>> handler)
        where TRequest : class, IMessage<TRequest>
        where TReply : class, IMessage<TReply> =>
        app.MapPost($"/{service}/{method}", context => RunAsync(context, async call =>
        {
            TRequest request = await GrpcFraming.ReadAsync(context.Request.Body, parser, call.Cancel).ConfigureAwait(false)
                ?? throw new RpcException(RpcStatus.InvalidArgument, "the call carries no message");
            TReply reply = await handler(request, call).ConfigureAwait(false);
            await GrpcFraming.WriteAsync(context.Response.Body, reply, call.Cancel).ConfigureAwait(false);
        }));

    public static void MapDuplex<TRequest, TReply>(
        this IEndpointRouteBuilder app, string service, string method, MessageParser<TRequest> parser,
        Func<IMessageReader<TRequest>, IMessageWriter<TReply>, ServerCall, Task> handler)
        where TRequest : class, IMessage<TRequest>
        where TReply : class, IMessage<TReply> =>
        app.MapPost($"/{service}/{method}", context => RunAsync(context, async call =>
        {
            // The caller waits for the headers before it reads; send them before the first message.
            await context.Response.StartAsync(call.Cancel).ConfigureAwait(false);
            await context.Response.Body.FlushAsync(call.Cancel).ConfigureAwait(false);
            await handler(
                new StreamMessageReader<TRequest>(context.Request.Body, parser),
                new StreamMessageWriter<TReply>(context.Response.Body), call).ConfigureAwait(false);
        }));

    private static async Task RunAsync(HttpContext context, Func<ServerCall, Task> body)
    {
        if (context.Request.ContentType?.StartsWith(GrpcFraming.ContentType, StringComparison.Ordinal) != true)
        {
            context.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return;
        }

        // A stream lives as long as its reader: Kestrel's minimum data rate would end an idle one.
        if (context.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
        {
            rate.MinDataRate = null;
        }

        context.Response.ContentType = GrpcFraming.ContentType;
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        if (GrpcTimeout.TryParse(context.Request.Headers["grpc-timeout"], out TimeSpan timeout))
        {
            deadline.CancelAfter(timeout);
        }

        (RpcStatus status, string message) = (RpcStatus.Ok, "");
        try
        {
            await body(new ServerCall(deadline.Token, $"{context.Connection.RemoteIpAddress}:{context.Connection.RemotePort}")).ConfigureAwait(false);
        }
        catch (RpcException e)
        {
            (status, message) = (e.Status, e.Message);
        }
        catch (OperationCanceledException)
        {
            (status, message) = (context.RequestAborted.IsCancellationRequested ? RpcStatus.Cancelled : RpcStatus.DeadlineExceeded, "the call was cancelled");
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            (status, message) = (RpcStatus.Internal, $"{e.GetType().Name}: {e.Message}");
        }

        if (!context.RequestAborted.IsCancellationRequested)
        {
            context.Response.AppendTrailer("grpc-status", ((int)status).ToString(System.Globalization.CultureInfo.InvariantCulture));
            if (message.Length > 0)
            {
                context.Response.AppendTrailer("grpc-message", Uri.EscapeDataString(message));
            }
        }
    }
}

internal sealed class StreamMessageReader<T>(Stream stream, MessageParser<T> parser) : IMessageReader<T>
    where T : class, IMessage<T>
{
    public ValueTask<T?> ReadAsync(CancellationToken cancel) => GrpcFraming.ReadAsync(stream, parser, cancel);
}

internal sealed class StreamMessageWriter<T>(Stream stream) : IMessageWriter<T>
    where T : class, IMessage<T>
{
    public ValueTask WriteAsync(T message, CancellationToken cancel) => GrpcFraming.WriteAsync(stream, message, cancel);
}
