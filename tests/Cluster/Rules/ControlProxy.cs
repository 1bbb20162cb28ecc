using System.Net;
using System.Net.Sockets;

namespace SharedStorage.Cluster.Rules;

/// <summary>
/// Stands between a reader and its writer's control port, and can be cut as a cable can: connections stay open and nothing passes, and new ones are taken and get no answer.
/// </summary>
internal sealed class ControlProxy : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ManualResetEventSlim _passes = new(initialState: true);
    private readonly List<Socket> _sockets = [];
    private readonly int _target;
    private volatile bool _ended;

    public ControlProxy(int target)
    {
        _target = target;
        _listener.Start();
        Start(Accept);
    }

    public string Address => _listener.LocalEndpoint.ToString()!;

    public void Cut() => _passes.Reset();

    public void Restore() => _passes.Set();

    public void Dispose()
    {
        _ended = true;
        _listener.Stop();
        _passes.Set();
        lock (_sockets)
        {
            _sockets.ForEach(s => s.Dispose());
        }
    }

    private static void Start(Action body)
    {
        void Run()
        {
            try
            {
                body();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // One end is gone: the other is told by the closed socket.
                return;
            }
        }

        new Thread(Run) { IsBackground = true }.Start();
    }

    private void Accept()
    {
        while (!_ended)
        {
            Socket reader = Keep(_listener.AcceptSocket());
            Start(() =>
            {
                _passes.Wait();
                Socket writer = Keep(new Socket(SocketType.Stream, ProtocolType.Tcp));
                try
                {
                    writer.Connect(IPAddress.Loopback, _target);
                }
                catch (SocketException)
                {
                    reader.Dispose();
                    return;
                }

                Start(() => Pump(reader, writer));
                Pump(writer, reader);
            });
        }
    }

    private Socket Keep(Socket socket)
    {
        lock (_sockets)
        {
            _sockets.Add(socket);
        }

        return socket;
    }

    private void Pump(Socket from, Socket to)
    {
        using (from)
        using (to)
        {
            byte[] buffer = new byte[64 << 10];
            int got;
            while ((got = from.Receive(buffer)) > 0)
            {
                _passes.Wait();
                to.Send(buffer.AsSpan(0, got));
            }
        }
    }
}
