using Microsoft.Extensions.Logging;
using SharedStorage.Buffers;
using SharedStorage.Hosting.Engine;
using SharedStorage.Hosting.Node;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Reader.Attach;

/// <summary>
/// Finds how far the log of a stock writer goes, which announces nothing: a thread of its own reads and verifies records, and the end of the last good one is the limit for
/// the tail. So the tail, and what it keeps in memory for redo, sees no byte that was not verified as log, however a page was filled meanwhile.
/// </summary>
/// <remarks>While log comes, the end is looked at each millisecond; then ever more seldom. Where the kernel tells of changes in the folder, an idle reader sleeps for a second at a time.</remarks>
internal sealed class AttachedLog : IDisposable
{
    private const ulong SmallWindow = 2 * WalLayout.PageSize;
    private const ulong LargeWindow = 4 << 20;
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(1);

    private readonly NodeEnvironment _environment;
    private readonly WalDirectory _directory;
    private readonly LsnCell _applied;
    private readonly Action _moved;
    private readonly ManualResetEventSlim _wake = new();
    private readonly Lock _lock = new();
    private readonly FileSystemWatcher? _watcher;
    private readonly Thread _thread;
    private WalReader _reader;
    private WalReader? _next;
    private volatile bool _stopping;
    private ulong _verified;
    private long _requested;
    private long _passed;
    private ulong _passedEnd;

    /// <param name="environment">The node's.</param>
    /// <param name="engine">Where reading begins, and along which history.</param>
    /// <param name="moved">Called when the end has moved, from the thread of this class.</param>
    public AttachedLog(NodeEnvironment environment, NodeEngine engine, Action moved)
    {
        _environment = environment;
        _directory = engine.LogDirectory;
        _applied = engine.Applied;
        _moved = moved;
        _verified = engine.Applied.Value.Value;
        _reader = WalReader.Open(_directory, engine.History, engine.Applied.Value);
        _watcher = TryWatch(environment.Logs.CreateLogger("attach"));
        _thread = new Thread(Run) { IsBackground = true, Name = "attached log" };
    }

    /// <summary>The end of the last verified record.</summary>
    public Lsn Verified => new(Volatile.Read(ref _verified));

    /// <summary>What the log does to files beyond what is applied.</summary>
    public ComingChanges Coming { get; } = new();

    public void Begin() => _thread.Start();

    /// <summary>Asks for a look at the end of the log that begins after this call.</summary>
    public long RequestPass()
    {
        long pass = Interlocked.Increment(ref _requested);
        _wake.Set();
        return pass;
    }

    /// <summary>Whether that look is done, and where the log ended then.</summary>
    public bool HasPassed(long pass, out Lsn end)
    {
        lock (_lock)
        {
            end = new Lsn(_passedEnd);
            return _passed >= pass;
        }
    }

    /// <summary>Goes on along another history, from a position that both have.</summary>
    public void Follow(TimelineHistory history, Lsn from)
    {
        lock (_lock)
        {
            _next?.Dispose();
            _next = WalReader.Open(_directory, history, from);
        }

        _wake.Set();
    }

    public void Dispose()
    {
        _stopping = true;
        _wake.Set();
        if (_thread.IsAlive)
        {
            _thread.Join();
        }

        _watcher?.Dispose();
        _reader.Dispose();
        _wake.Dispose();
    }

    private void Run()
    {
        try
        {
            var record = new WalRecord();
            TimeSpan pause = Shortest;
            while (!_stopping)
            {
                _wake.Reset();
                pause = Pass(record) ? Shortest : pause * 2;
                Sleep(ref pause);
            }
        }
        catch (Exception e)
        {
            _environment.Fail(e is StorageException ? e.Message : e.ToString());
        }
    }

    /// <summary>Reads on to the end as it is now. True: there was something.</summary>
    private bool Pass(WalRecord record)
    {
        long requested = Volatile.Read(ref _requested);
        lock (_lock)
        {
            if (_next is { } next)
            {
                _reader.Dispose();
                _reader = next;
                _next = null;
                Volatile.Write(ref _verified, next.Position.Value);
            }
        }

        Lsn before = Verified;
        _reader.Refresh();
        ReadToEnd(record);
        lock (_lock)
        {
            _passedEnd = Verified.Value;
            _passed = requested;
        }

        Coming.Forget(_applied.Value);
        bool grown = Verified > before;
        if (grown)
        {
            _moved();
        }

        return grown;
    }

    /// <summary>
    /// At the end there is mostly little new, so a small stretch is read first, since each look passes the kernel's cache by; when there is more, ever longer ones.
    /// </summary>
    private void ReadToEnd(WalRecord record)
    {
        ulong window = SmallWindow;
        while (!_stopping)
        {
            Lsn position = _reader.Position;
            _reader.Limit = WalLayout.PageStart(position) + window;
            WalRead read;
            while ((read = _reader.Read(record)) == WalRead.Record && !_stopping)
            {
                Coming.Note(record);
                Volatile.Write(ref _verified, _reader.Position.Value);
            }

            if (read == WalRead.End)
            {
                return;
            }

            bool progress = _reader.Position > position;
            window = window < LargeWindow || !progress ? window * 4 : window;
            if (progress)
            {
                _moved();
            }
        }
    }

    private void Sleep(ref TimeSpan pause)
    {
        if (pause < Longest || _watcher is null)
        {
            pause = pause < Longest ? pause : Longest;
            Watch(false);
            _wake.Wait(pause);
            return;
        }

        // Watched from here on, so what comes after the next look is told of.
        bool watched = _watcher.EnableRaisingEvents;
        Watch(true);
        _wake.Wait(watched ? Idle : Longest);
        pause = Longest;
    }

    private void Watch(bool on)
    {
        if (_watcher is not null && _watcher.EnableRaisingEvents != on)
        {
            _watcher.EnableRaisingEvents = on;
        }
    }

    private FileSystemWatcher? TryWatch(ILogger log)
    {
        try
        {
            var watcher = new FileSystemWatcher(_directory.Path) { NotifyFilter = NotifyFilters.LastWrite | NotifyFilters.FileName };
            watcher.Changed += (_, _) => _wake.Set();
            watcher.Created += (_, _) => _wake.Set();
            watcher.Renamed += (_, _) => _wake.Set();
            return watcher;
        }
        catch (Exception e) when (e is IOException or ArgumentException or PlatformNotSupportedException)
        {
            log.LogInformation("changes of the log are looked for, since the kernel does not tell of them: {Reason}", e.Message);
            return null;
        }
    }
}
