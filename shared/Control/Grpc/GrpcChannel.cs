using System.Net;
using System.Net.Http.Headers;
using System.Threading.Channels;
using Google.Protobuf;

namespace SharedStorage.Control.Grpc;

/// <summary>The calling side: one HTTP/2 connection to a node (prior knowledge, no upgrade), calls multiplexed on it.</summary>
public sealed class GrpcChannel : IDisposable
{
    private readonly HttpClient _client;

    /// <param name="address">"http://host:port".</param>
    public GrpcChannel(Uri address)
    {
        Address = address;
        _client = new HttpClient(new SocketsHttpHandler
        {
            // A pulled cable is noticed by pings, not by TCP's own time-outs of minutes.
            KeepAlivePingDelay = TimeSpan.FromSeconds(2),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(3),
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            ConnectTimeout = TimeSpan.FromSeconds(3),
            UseProxy = false,
        })
        {
            BaseAddress = address,
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    public Uri Address { get; }

    /// <exception cref="RpcException">The call failed; <see cref="RpcStatus.Unavailable"/> when the node cannot be reached.</exception>
    public async Task<TReply> CallAsync<TRequest, TReply>(
        string service, string method, TRequest request, MessageParser<TReply> parser, TimeSpan timeout, CancellationToken cancel)
        where TRequest : IMessage<TRequest>
        where TReply : class, IMessage<TReply>
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        deadline.CancelAfter(timeout);
        try
        {
            using HttpRequestMessage message = NewRequest(service, method, new MessageContent(request));
            message.Headers.Add("grpc-timeout", GrpcTimeout.Format(timeout));
            using HttpResponseMessage response = await _client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, deadline.Token).ConfigureAwait(false);
            CheckHeaders(response);
            Stream body = await response.Content.ReadAsStreamAsync(deadline.Token).ConfigureAwait(false);
            TReply? reply = await GrpcFraming.ReadAsync(body, parser, deadline.Token).ConfigureAwait(false);

            // The trailers come only after the end of the body.
            while (await GrpcFraming.ReadAsync(body, parser, deadline.Token).ConfigureAwait(false) is not null)
            {
            }

            CheckStatus(response.TrailingHeaders);
            return reply ?? throw new RpcException(RpcStatus.Internal, "the reply carries no message");
        }
        catch (HttpRequestException e)
        {
            throw new RpcException(RpcStatus.Unavailable, $"{Address}: {e.Message}");
        }
        catch (IOException e)
        {
            throw new RpcException(RpcStatus.Unavailable, $"{Address}: {e.Message}");
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new RpcException(RpcStatus.DeadlineExceeded, $"{Address}: no answer within {timeout.TotalMilliseconds} ms");
        }
    }

    public async Task<DuplexCall<TRequest, TReply>> OpenDuplexAsync<TRequest, TReply>(
        string service, string method, MessageParser<TReply> parser, CancellationToken cancel)
        where TRequest : class, IMessage<TRequest>
        where TReply : class, IMessage<TReply>
    {
        var outgoing = new PushContent();
        HttpRequestMessage message = NewRequest(service, method, outgoing);
        try
        {
            HttpResponseMessage response = await _client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancel).ConfigureAwait(false);
            CheckHeaders(response);
            Stream body = await response.Content.ReadAsStreamAsync(cancel).ConfigureAwait(false);
            return new DuplexCall<TRequest, TReply>(message, response, outgoing, body, parser);
        }
        catch (HttpRequestException e)
        {
            message.Dispose();
            throw new RpcException(RpcStatus.Unavailable, $"{Address}: {e.Message}");
        }
        catch
        {
            message.Dispose();
            throw;
        }
    }

    public void Dispose() => _client.Dispose();

    internal static void CheckStatus(HttpResponseHeaders headers)
    {
        if (!headers.TryGetValues("grpc-status", out IEnumerable<string>? values))
        {
            throw new RpcException(RpcStatus.Unavailable, "the stream ended without a status");
        }

        if (values.First() is var code && code != "0")
        {
            string text = headers.TryGetValues("grpc-message", out IEnumerable<string>? m) ? Uri.UnescapeDataString(m.First()) : "";
            throw new RpcException(int.TryParse(code, out int n) ? (RpcStatus)n : RpcStatus.Unknown, text);
        }
    }

    private static HttpRequestMessage NewRequest(string service, string method, HttpContent content)
    {
        content.Headers.ContentType = new MediaTypeHeaderValue(GrpcFraming.ContentType);
        var message = new HttpRequestMessage(HttpMethod.Post, $"/{service}/{method}")
        {
            Content = content,
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        message.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        return message;
    }

    private static void CheckHeaders(HttpResponseMessage response)
    {
        if (response.StatusCode != HttpStatusCode.OK)
        {
            throw new RpcException(response.StatusCode == HttpStatusCode.NotFound ? RpcStatus.Unimplemented : RpcStatus.Unknown, $"HTTP status {(int)response.StatusCode}");
        }

        // A call that fails at once sends its status with the headers.
        if (response.Headers.Contains("grpc-status"))
        {
            CheckStatus(response.Headers);
        }
    }

    private sealed class MessageContent(IMessage message) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            GrpcFraming.WriteAsync(stream, message, CancellationToken.None).AsTask();

        protected override bool TryComputeLength(out long length)
        {
            length = GrpcFraming.PrefixSize + message.CalculateSize();
            return true;
        }
    }
}

/// <summary>The body of a streaming request: what is pushed is sent at once.</summary>
internal sealed class PushContent : HttpContent
{
    // One slot: the sender of states coalesces, so a slow connection does not pile up old ones.
    private readonly Channel<IMessage> _messages = Channel.CreateBounded<IMessage>(1);

    public ValueTask PushAsync(IMessage message, CancellationToken cancel) => _messages.Writer.WriteAsync(message, cancel);

    public void Complete() => _messages.Writer.TryComplete();

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
    {
        // The headers go out before the first message.
        await stream.FlushAsync().ConfigureAwait(false);
        await foreach (IMessage message in _messages.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            await GrpcFraming.WriteAsync(stream, message, CancellationToken.None).ConfigureAwait(false);
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override void Dispose(bool disposing)
    {
        Complete();
        base.Dispose(disposing);
    }
}

/// <summary>An open call with streams both ways. Dispose ends it.</summary>
public sealed class DuplexCall<TRequest, TReply> : IDisposable
    where TRequest : class, IMessage<TRequest>
    where TReply : class, IMessage<TReply>
{
    private readonly HttpRequestMessage _request;
    private readonly HttpResponseMessage _response;
    private readonly PushContent _outgoing;
    private readonly Stream _incoming;
    private readonly MessageParser<TReply> _parser;

    internal DuplexCall(HttpRequestMessage request, HttpResponseMessage response, PushContent outgoing, Stream incoming, MessageParser<TReply> parser)
    {
        _request = request;
        _response = response;
        _outgoing = outgoing;
        _incoming = incoming;
        _parser = parser;
    }

    public ValueTask SendAsync(TRequest message, CancellationToken cancel) => _outgoing.PushAsync(message, cancel);

    /// <summary>The next message; null after the other side has ended the call without an error.</summary>
    /// <exception cref="RpcException">The call ended with an error.</exception>
    public async ValueTask<TReply?> ReceiveAsync(CancellationToken cancel)
    {
        try
        {
            TReply? reply = await GrpcFraming.ReadAsync(_incoming, _parser, cancel).ConfigureAwait(false);
            if (reply is null)
            {
                GrpcChannel.CheckStatus(_response.TrailingHeaders);
            }

            return reply;
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            throw new RpcException(RpcStatus.Unavailable, e.Message);
        }
    }

    public void FinishSending() => _outgoing.Complete();

    public void Dispose()
    {
        _outgoing.Complete();
        _response.Dispose();
        _request.Dispose();
    }
}
