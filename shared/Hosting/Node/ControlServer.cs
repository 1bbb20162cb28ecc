using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using SharedStorage.Control;

namespace SharedStorage.Hosting.Node;

/// <summary>Serves the control channel of a node: HTTP/2 on one port, the service being asked for at each call, since a promotion changes it.</summary>
public sealed class ControlServer : IDisposable
{
    private readonly WebApplication _app;

    public ControlServer(IPAddress address, int port, Func<ClusterBase> service, ILoggerFactory logs)
    {
        // Nothing of the framework's own configuration: it would watch the current directory for changes, and take settings from files and environment that are not ours.
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddSingleton(logs);
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(k =>
        {
            k.Listen(address, port, o => o.Protocols = HttpProtocols.Http2);

            // A reader that has gone silent is noticed within a lease.
            k.Limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(2);
            k.Limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(3);
        });
        _app = builder.Build();
        ClusterBase.Map(_app, service);
        _app.StartAsync().GetAwaiter().GetResult();
        Port = new Uri(_app.Urls.First()).Port;
    }

    public int Port { get; }

    public void Dispose()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        try
        {
            _app.StopAsync(patience.Token).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
            // Streams that did not end in time are cut by the disposal below.
            _app.Logger.LogDebug("control channel streams were cut at the stop");
        }

        ((IDisposable)_app).Dispose();
    }
}
