using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using SharedStorage.PgWire.Messages;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;
using SharedStorage.Transactions;

namespace SharedStorage.PgWire.Session;

/// <summary>
/// One client: startup, then the message loop on its own thread (postgres.c's PostgresMain). The SQL itself is <see cref="SqlSession"/>'s.
/// </summary>
internal sealed class PgConnection : IServedSession
{
    private readonly PgServer _server;
    private readonly Socket _socket;
    private readonly NetworkStream _stream;
    private readonly MessageReader _reader;
    private readonly MessageWriter _writer;
    private readonly Thread _thread;
    private SqlSession? _session;

    /// <summary>The transaction that reads the catalogs for the session that is being made.</summary>
    private Transaction? _opening;
    private WireSink _sink = null!;
    private volatile PgException? _terminate;
    private bool _skipToSync;
    private bool _holdsSlot;

    public PgConnection(PgServer server, Socket socket, int processId, int secret)
    {
        _server = server;
        _socket = socket;
        ProcessId = processId;
        Secret = secret;
        _stream = new NetworkStream(socket, ownsSocket: true);
        _reader = new MessageReader(_stream);
        _writer = new MessageWriter(_stream);
        _thread = new Thread(Run, server.Options.StackSize) { IsBackground = true, Name = "pg session" };
    }

    public int ProcessId { get; }
    public int Secret { get; }

    /// <summary>The oldest snapshot that its session reads from.</summary>
    public Lsn OldestSnapshot => Volatile.Read(ref _session)?.OldestSnapshot ?? Lsn.Max;

    /// <summary>Null before the client has been let in.</summary>
    public SqlSession? Session => Volatile.Read(ref _session);

    /// <summary>It has, or may have, a snapshot.</summary>
    public bool Reads => Session is not null || Volatile.Read(ref _opening) is not null;

    bool IServedSession.IsBeingLetIn => Session is null;
    bool IServedSession.IsRunning => Session is { IsRunning: true };
    Oid IServedSession.Database => Session?.DatabaseId ?? Oid.Invalid;
    Lsn IServedSession.OldestSnapshot => Session?.OldestSnapshot ?? Volatile.Read(ref _opening)?.OldestSnapshot ?? Lsn.Max;

    public int ThreadId => _thread.ManagedThreadId;

    public void Start() => _thread.Start();

    public void Join(TimeSpan patience) => _thread.Join(patience);

    public void Cancel() => _session?.Cancel();

    public void Cancel(PgException reason) => _session?.Cancel(reason);

    /// <summary>From any thread: the running query ends with the reason; a session that waits for its client is woken by the end of its input.</summary>
    public void Terminate(PgException reason) => End(reason, SocketShutdown.Receive);

    /// <summary>The same where the session may wait for its client to read: that wait ends too.</summary>
    public void Disconnect(PgException reason) => End(reason, SocketShutdown.Both);

    private void End(PgException reason, SocketShutdown how)
    {
        _terminate ??= reason;
        _session?.Terminate(reason);
        try
        {
            _socket.Shutdown(how);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The client is gone already, which is what was wanted.
            _server.Log.LogDebug("session {ProcessId} had ended: {Reason}", ProcessId, e.Message);
        }
    }

    private void Run()
    {
        try
        {
            _stream.ReadTimeout = (int)_server.Options.StartupTimeout.TotalMilliseconds;
            if (Startup())
            {
                _stream.ReadTimeout = Timeout.Infinite;
                Loop();
            }
        }
        catch (PgException e)
        {
            SendLast(e);
        }
        catch (IOException e) when (e is not StorageException)
        {
            _server.Log.LogDebug("session {ProcessId}: connection lost: {Reason}", ProcessId, e.Message);
        }
        catch (Exception e)
        {
            _server.Log.LogError(e, "session {ProcessId} failed", ProcessId);
            SendLast(ToClient(e));
        }
        finally
        {
            try
            {
                _session?.Dispose();
            }
            catch (Exception e)
            {
                _server.Log.LogError(e, "session {ProcessId} could not end cleanly", ProcessId);
            }

            if (_holdsSlot)
            {
                _server.GiveBackSlot();
            }

            _server.Remove(this);
            _stream.Dispose();
        }
    }

    private bool Startup()
    {
        StartupPacket? packet = StartupPacket.Negotiate(_reader, _writer, _server.CancelByKey);
        if (packet is null)
        {
            return false;
        }

        IPAddress peer = ((IPEndPoint)_socket.RemoteEndPoint!).Address;
        if (!IPAddress.IsLoopback(peer))
        {
            throw new PgException(
                SqlStates.InvalidAuthorizationSpecification,
                $"connections from \"{peer}\" are refused: without password authentication only loopback addresses are let in")
            { Fatal = true };
        }

        if (_server.Admit() is { } refused)
        {
            throw refused;
        }

        _holdsSlot = true;

        try
        {
            _session = Open(packet.ToStartup(ProcessId));
        }
        catch (PgException e)
        {
            throw AsFatal(e);
        }

        if (_server.AdmitRole(_session.IsSuperuser) is { } reserved)
        {
            throw reserved;
        }

        _sink = new WireSink(_session, _reader, _writer);
        _session.ParameterChanged = _writer.ParameterStatus;
        _session.Notice = _writer.Notice;
        _writer.Begin('R');
        _writer.Int32(0);
        _writer.End();
        foreach ((string name, string value) in _session.ReportedParameters)
        {
            _writer.ParameterStatus(name, value);
        }

        _writer.Begin('K');
        _writer.Int32(ProcessId);
        _writer.Int32(Secret);
        _writer.End();
        _writer.ReadyForQuery(_session.State);
        _writer.Flush();
        return true;
    }

    /// <summary>
    /// Where replay needs what the client's first snapshot holds, the client begins anew with a later one: it has been told nothing yet, so there is nothing to cancel.
    /// </summary>
    private SqlSession Open(SessionStartup startup)
    {
        startup = startup with { Begins = tx => Volatile.Write(ref _opening, tx) };
        Interrupts.Serve(() =>
        {
            if (_terminate is { } reason)
            {
                throw reason;
            }
        });
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while (true)
        {
            try
            {
                return new SqlSession(_server.Node, startup);
            }
            catch (PgException e) when (e.SqlState == SqlStates.SerializationFailure && _terminate is null && clock.Elapsed < _server.Options.StartupTimeout)
            {
                _server.Log.LogDebug("session {ProcessId} takes a later snapshot: {Reason}", ProcessId, e.Message);
            }
        }
    }

    private void Loop()
    {
        SqlSession session = _session!;
        Interrupts.Serve(session.CheckInterrupts);
        while (true)
        {
            if (!_reader.HasBuffered)
            {
                _writer.Flush();
            }

            if (!_reader.Read())
            {
                if (_terminate is { } reason)
                {
                    SendLast(reason);
                }

                return;
            }

            if (_reader.Type == FrontendMessage.Terminate)
            {
                return;
            }

            try
            {
                Handle(session);
            }
            catch (PgException e) when (e.Fatal)
            {
                throw;
            }
            catch (Exception e) when (e is PgException or StorageException or InvariantException || IsBug(e))
            {
                Report(e);
            }

            if (_terminate is { } ended)
            {
                SendLast(ended);
                return;
            }
        }
    }

    private void Handle(SqlSession session)
    {
        FrontendMessage type = _reader.Type;
        if (_skipToSync && type != FrontendMessage.Sync)
        {
            return;
        }

        switch (type)
        {
            case FrontendMessage.Query:
                HandleQuery(session);
                break;
            case FrontendMessage.Sync:
                HandleSync(session);
                break;
            case FrontendMessage.Flush:
                _writer.Flush();
                break;
            case FrontendMessage.CopyData or FrontendMessage.CopyDone or FrontendMessage.CopyFail:
                // The rest of a COPY that has failed: the client could not know yet.
                break;
            case FrontendMessage.FunctionCall:
                Report(PgException.NotSupported("the function call message (fastpath)"));
                _writer.ReadyForQuery(session.State);
                break;
            case FrontendMessage.Password:
                throw new PgException(SqlStates.ProtocolViolation, $"invalid frontend message type {(byte)type}") { Fatal = true };
            default:
                // Set before, so that it also holds when the message itself is malformed.
                _skipToSync = true;
                ExtendedQuery.Handle(session, _reader, _writer, _sink);
                _skipToSync = false;
                break;
        }
    }

    private void HandleQuery(SqlSession session)
    {
        try
        {
            string sql = _reader.CString();
            _reader.EndOfBody();
            session.ExecuteSimple(sql, _sink);
        }
        catch (Exception e) when (e is not PgException { Fatal: true } && (e is PgException or StorageException or InvariantException || IsBug(e)))
        {
            Report(e);
        }

        _writer.ReadyForQuery(session.State);
        _writer.Flush();
    }

    private void HandleSync(SqlSession session)
    {
        _skipToSync = false;
        try
        {
            _reader.EndOfBody();
            session.Sync();
        }
        catch (Exception e) when (e is not PgException { Fatal: true } && (e is PgException or StorageException or InvariantException || IsBug(e)))
        {
            Report(e);
        }

        _writer.ReadyForQuery(session.State);
        _writer.Flush();
    }

    private void Report(Exception e)
    {
        _writer.Abandon();
        PgException error = ToClient(e);
        if (e is not PgException)
        {
            _server.Log.LogError(e, "session {ProcessId}: {Message}", ProcessId, error.Message);
        }

        _writer.Error(error);
    }

    private static PgException ToClient(Exception e) => e switch
    {
        PgException p => p,
        StorageException s => new PgException(s.SqlState, s.Message) { Hint = s.IsNoSpace ? "Check free disk space." : null },
        InvariantException i => new PgException(SqlStates.InternalError, i.Message),
        _ => new PgException(SqlStates.InternalError, $"{e.GetType().Name}: {e.Message}"),
    };

    // A connection that breaks is not a bug of ours and ends the session; everything else is told to the client, and the session goes on.
    private static bool IsBug(Exception e) => e is not (IOException or OutOfMemoryException or ObjectDisposedException);

    private static PgException AsFatal(PgException e) =>
        e.Fatal ? e : new PgException(e.SqlState, e.Message) { Detail = e.Detail, Hint = e.Hint, Fatal = true };

    private void SendLast(PgException e)
    {
        try
        {
            _writer.Abandon();
            _writer.Error(AsFatal(e));
            _writer.Flush();
        }
        catch (IOException gone)
        {
            _server.Log.LogDebug("session {ProcessId}: client was gone: {Reason}", ProcessId, gone.Message);
        }
    }
}
