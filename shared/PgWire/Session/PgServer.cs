using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;

namespace SharedStorage.PgWire.Session;

/// <summary>
/// Accepts clients of PostgreSQL's protocol 3.0 and gives each its thread (postmaster.c's part). Sessions are told apart by process number and cancel key.
/// </summary>
public sealed class PgServer : IDisposable
{
    private readonly SqlNode _node;
    private readonly PgServerOptions _options;
    private readonly Func<PgException?> _admit;
    private readonly ILogger _log;
    private readonly Socket _listener;
    private readonly ConcurrentDictionary<int, PgConnection> _connections = new();
    private readonly Thread _accepting;
    private int _lastProcessId = 1000;

    // Sessions that were let in, of max_connections.
    private int _slots;
    private volatile bool _stopping;

    /// <param name="node">What sessions share.</param>
    /// <param name="options">Address, port, limits.</param>
    /// <param name="admit">Gives the error for a client that may not come in now (the node is starting, recovering, not active), or null.</param>
    /// <param name="log">One line per failure that is not a client's.</param>
    public PgServer(SqlNode node, PgServerOptions options, Func<PgException?> admit, ILogger log)
    {
        _node = node;
        _options = options;
        _admit = admit;
        _log = log;
        _listener = new Socket(options.Address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        _listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        try
        {
            _listener.Bind(new IPEndPoint(options.Address, options.Port));
        }
        catch (SocketException e)
        {
            _listener.Dispose();
            throw new StorageException($"could not bind {options.Address}:{options.Port}: {e.Message}") { SqlState = SqlStates.SystemError };
        }

        _listener.Listen(512);
        Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        _accepting = new Thread(Accept) { IsBackground = true, Name = "pg accept" };
        _accepting.Start();
    }

    public int Port { get; }

    public int ConnectionCount => _connections.Count;

    /// <summary>Cancels the query of the session with this process number; false when there is none.</summary>
    public bool CancelSession(int processId)
    {
        bool found = _connections.TryGetValue(processId, out PgConnection? connection);
        connection?.Cancel();
        return found;
    }

    /// <summary>Ends the session with this process number with a FATAL error; false when there is none.</summary>
    public bool TerminateSession(int processId, PgException reason)
    {
        bool found = _connections.TryGetValue(processId, out PgConnection? connection);
        connection?.Terminate(reason);
        return found;
    }

    /// <summary>The sessions that there are, and clients whose session is being made, for who has to make room for replay.</summary>
    public IEnumerable<IServedSession> Sessions => _connections.Values.Where(static c => c.Reads);

    /// <summary>Ends all sessions with this FATAL error; new ones still come in as the admission lets them.</summary>
    public void TerminateAll(PgException reason)
    {
        foreach (PgConnection connection in _connections.Values)
        {
            connection.Terminate(reason);
        }
    }

    /// <summary>Ends the sessions that read from a snapshot below a position (R4); the others go on.</summary>
    public void TerminateSnapshotsBelow(Lsn position, PgException reason)
    {
        foreach (PgConnection connection in _connections.Values)
        {
            if (connection.OldestSnapshot < position)
            {
                connection.Terminate(reason);
            }
        }
    }

    /// <summary>Accepts nobody more, ends all sessions and waits for their threads.</summary>
    public void Stop(PgException reason, TimeSpan patience)
    {
        _stopping = true;
        _listener.Dispose();
        var deadline = System.Diagnostics.Stopwatch.StartNew();
        do
        {
            TerminateAll(reason);
            foreach (PgConnection connection in _connections.Values)
            {
                connection.Join(TimeSpan.FromMilliseconds(100));
            }
        }
        while (!_connections.IsEmpty && deadline.Elapsed < patience);
    }

    public void Dispose()
    {
        if (!_stopping)
        {
            Stop(new PgException(SqlStates.AdminShutdown, "terminating connection due to administrator command") { Fatal = true }, TimeSpan.FromSeconds(5));
        }
    }

    internal SqlNode Node => _node;
    internal PgServerOptions Options => _options;
    internal ILogger Log => _log;

    /// <summary>The error that a client gets instead of a session; null lets it in, and it holds one of max_connections until <see cref="GiveBackSlot"/>.</summary>
    internal PgException? Admit()
    {
        if (_stopping)
        {
            return new PgException(SqlStates.CannotConnectNow, "the database system is shutting down") { Fatal = true };
        }

        if (_admit() is { } refused)
        {
            return refused;
        }

        // Connections that are not let in yet do not count: a crowd that is refused must not keep out who has a place.
        if (Interlocked.Increment(ref _slots) > _options.MaxConnections)
        {
            GiveBackSlot();
            return new PgException(SqlStates.TooManyConnections, "sorry, too many clients already") { Fatal = true };
        }

        return null;
    }

    /// <summary>Once the role is known: the last places are for superusers.</summary>
    internal PgException? AdmitRole(bool isSuperuser) =>
        isSuperuser || Volatile.Read(ref _slots) <= _options.MaxConnections - _options.ReservedConnections ? null
        : new PgException(SqlStates.TooManyConnections, "remaining connection slots are reserved for non-replication superuser connections") { Fatal = true };

    internal void GiveBackSlot() => Interlocked.Decrement(ref _slots);

    internal void CancelByKey(int processId, int secret)
    {
        if (_connections.TryGetValue(processId, out PgConnection? connection) && connection.Secret == secret)
        {
            connection.Cancel();
        }
    }

    internal void Remove(PgConnection connection) => _connections.TryRemove(connection.ProcessId, out _);

    private void Accept()
    {
        while (!_stopping)
        {
            Socket socket;
            try
            {
                socket = _listener.Accept();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                if (_stopping)
                {
                    return;
                }

                // Out of descriptors, or the client was gone before it was accepted: the listener itself is sound.
                _log.LogWarning("could not accept a connection: {Reason}", e.Message);
                Thread.Sleep(10);
                continue;
            }

            socket.NoDelay = true;
            int processId = Interlocked.Increment(ref _lastProcessId);
            var connection = new PgConnection(this, socket, processId, RandomNumberGenerator.GetInt32(int.MinValue, int.MaxValue));
            _connections[processId] = connection;
            connection.Start();
        }
    }
}
