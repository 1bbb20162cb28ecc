using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using SharedStorage.Control;
using SharedStorage.Control.Grpc;
using SharedStorage.Control.V1;

namespace SharedStorage.Unit.Control;

public sealed class GrpcTests : IAsyncLifetime
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);
    private WebApplication _app = null!;
    private ClusterClient _client = null!;

    private sealed class EchoService : ClusterBase
    {
        public override Task<WaitReply> Wait(WaitRequest request, ServerCall call) => request.TimeoutMs switch
        {
            0 => Task.FromResult(new WaitReply { Visible = request.Lsn, Reached = true }),
            1 => throw new RpcException(RpcStatus.FailedPrecondition, "geht nicht: ü % \n"),
            2 => throw new InvalidOperationException("bug"),
            _ => Hang(call),
        };

        public override async Task Follow(IMessageReader<ReaderState> acknowledgements, IMessageWriter<WriterState> states, ServerCall call)
        {
            while (await acknowledgements.ReadAsync(call.Cancel) is { } ack)
            {
                if (ack.Applied == 13)
                {
                    throw new RpcException(RpcStatus.Aborted, "lower epoch");
                }

                await states.WriteAsync(new WriterState { Flushed = ack.Applied * 2 }, call.Cancel);
            }
        }

        private static async Task<WaitReply> Hang(ServerCall call)
        {
            await Task.Delay(Timeout.Infinite, call.Cancel);
            return new WaitReply();
        }
    }

    public async Task InitializeAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, o => o.Protocols = HttpProtocols.Http2));
        _app = builder.Build();
        var service = new EchoService();
        ClusterBase.Map(_app, () => service);
        await _app.StartAsync();
        _client = new ClusterClient(new GrpcChannel(new Uri(_app.Urls.First())));
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    [Fact]
    public async Task A_unary_call_brings_its_reply()
    {
        WaitReply reply = await _client.WaitAsync(new WaitRequest { Lsn = 42 }, Soon, CancellationToken.None);
        Assert.Equal(42UL, reply.Visible);
    }

    [Fact]
    public async Task An_error_arrives_with_status_and_message()
    {
        RpcException e = await Assert.ThrowsAsync<RpcException>(() => _client.WaitAsync(new WaitRequest { TimeoutMs = 1 }, Soon, CancellationToken.None));
        Assert.Equal(RpcStatus.FailedPrecondition, e.Status);
        Assert.Equal("geht nicht: ü % \n", e.Message);
    }

    [Fact]
    public async Task A_handlers_bug_is_an_internal_error_and_the_channel_lives_on()
    {
        RpcException e = await Assert.ThrowsAsync<RpcException>(() => _client.WaitAsync(new WaitRequest { TimeoutMs = 2 }, Soon, CancellationToken.None));
        Assert.Equal(RpcStatus.Internal, e.Status);
        Assert.True((await _client.WaitAsync(new WaitRequest(), Soon, CancellationToken.None)).Reached);
    }

    [Fact]
    public async Task What_a_node_does_not_serve_is_unimplemented()
    {
        RpcException e = await Assert.ThrowsAsync<RpcException>(() => _client.PromoteAsync(new PromoteRequest(), Soon, CancellationToken.None));
        Assert.Equal(RpcStatus.Unimplemented, e.Status);
    }

    [Fact]
    public async Task A_deadline_ends_the_call_on_both_sides()
    {
        RpcException e = await Assert.ThrowsAsync<RpcException>(() => _client.WaitAsync(new WaitRequest { TimeoutMs = 9 }, TimeSpan.FromMilliseconds(50), CancellationToken.None));
        Assert.Equal(RpcStatus.DeadlineExceeded, e.Status);
    }

    [Fact]
    public async Task A_node_that_is_not_there_is_unavailable()
    {
        using var nobody = new ClusterClient(new GrpcChannel(new Uri("http://127.0.0.1:1")));
        RpcException e = await Assert.ThrowsAsync<RpcException>(() => nobody.StatusAsync(Soon, CancellationToken.None));
        Assert.Equal(RpcStatus.Unavailable, e.Status);
    }

    [Fact]
    public async Task A_stream_carries_messages_both_ways_and_ends_cleanly()
    {
        using DuplexCall<ReaderState, WriterState> call = await _client.FollowAsync(CancellationToken.None);
        for (ulong i = 20; i < 120; i++)
        {
            await call.SendAsync(new ReaderState { Applied = i }, CancellationToken.None);
            Assert.Equal(i * 2, (await call.ReceiveAsync(CancellationToken.None))!.Flushed);
        }

        call.FinishSending();
        Assert.Null(await call.ReceiveAsync(CancellationToken.None));
    }

    [Fact]
    public async Task A_stream_that_fails_says_why()
    {
        using DuplexCall<ReaderState, WriterState> call = await _client.FollowAsync(CancellationToken.None);
        await call.SendAsync(new ReaderState { Applied = 13 }, CancellationToken.None);
        RpcException e = await Assert.ThrowsAsync<RpcException>(async () => await call.ReceiveAsync(CancellationToken.None));
        Assert.Equal(RpcStatus.Aborted, e.Status);
    }
}
