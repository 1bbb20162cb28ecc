using System.Net;

namespace SharedStorage.PgWire.Session;

public sealed record PgServerOptions
{
    /// <summary>Where to listen. Only loopback connections are let in: there is no password check yet.</summary>
    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>0 takes a free port.</summary>
    public int Port { get; init; } = 5432;

    /// <summary>PostgreSQL's default. Each session has a thread.</summary>
    public int MaxConnections { get; init; } = 100;

    /// <summary>Of these so many are kept for superusers (superuser_reserved_connections): somebody must be able to look when clients have taken all.</summary>
    public int ReservedConnections { get; init; } = 3;

    /// <summary>How long a client may take for its startup packet (authentication_timeout).</summary>
    public TimeSpan StartupTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Of a session thread: deep expressions recurse. Only what is used is committed by the system.</summary>
    public int StackSize { get; init; } = 8 << 20;
}
