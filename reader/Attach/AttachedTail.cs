using Microsoft.Extensions.Logging;
using SharedStorage.Format.Control;
using SharedStorage.Hosting.Engine;
using SharedStorage.Hosting.Node;
using SharedStorage.Io;
using SharedStorage.PgWire.Session;
using SharedStorage.Primitives;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Reader.Attach;

/// <summary>
/// The tail of an attached reader: applies what <see cref="AttachedLog"/> has verified, as far as <see cref="ReplayHold"/> lets it; makes room before records that remove what
/// sessions need; takes <c>consistent</c> from the checkpoints that it meets, and looks into the control file for what has become of the log.
/// </summary>
internal sealed class AttachedTail : IDisposable
{
    /// <summary>A pause begins after so much log at most.</summary>
    private const ulong SliceBytes = 1 << 20;

    /// <summary>A page from the future is in the log already: a reader that is not far behind has it in much less.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(20);

    private readonly NodeEnvironment _environment;
    private readonly NodeEngine _engine;
    private readonly ILogger _log;
    private readonly ControlFileStore _control;
    private readonly ReplayConflicts _conflicts;
    private readonly CancellationTokenSource _stop = new();
    private readonly AutoResetEvent _wake = new(false);
    private readonly Thread _thread;
    private Lsn _cut;
    private long _controlRead;

    public AttachedTail(NodeEnvironment environment, NodeEngine engine, Func<IEnumerable<IServedSession>> sessions)
    {
        _environment = environment;
        _engine = engine;
        _log = environment.Logs.CreateLogger("attach");
        _control = new ControlFileStore(environment.DataDirectory);
        Waits = new TailWaits(environment.Time, Patience);
        Log = new AttachedLog(environment, engine, () => _wake.Set());
        Hold = new ReplayHold(() => Log.Verified, () => _wake.Set());
        TimeSpan delay = environment.Settings.Time("max_standby_streaming_delay");
        _conflicts = new ReplayConflicts(engine.Transactions, sessions, Waits, environment.Time, delay < TimeSpan.Zero ? null : delay, _log);
        engine.Tail.BeforeRecord = record => _conflicts.Meet(record, _stop.Token);
        _thread = new Thread(Run) { IsBackground = true, Name = "tail" };
    }

    public AttachedLog Log { get; }
    public ReplayHold Hold { get; }
    public TailWaits Waits { get; }

    public void Begin()
    {
        Log.Begin();
        _thread.Start();
    }

    public void Dispose()
    {
        _stop.Cancel();
        _wake.Set();
        if (_thread.IsAlive)
        {
            _thread.Join();
        }

        Log.Dispose();
        _stop.Dispose();
        _wake.Dispose();
    }

    private void Run()
    {
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                Lsn applied = _engine.Applied.Value;
                Lsn verified = Log.Verified;
                Lsn ceiling = Hold.Ceiling(applied, verified);
                if (applied >= verified)
                {
                    _conflicts.CaughtUpAt = _environment.Time.GetTimestamp();
                }

                if (ceiling <= applied || !Advance(applied, ceiling))
                {
                    LookIntoControlFile(applied >= verified);
                    _wake.WaitOne(Idle);
                }

                Cut();
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The wait for sessions ends with the node.
            _log.LogDebug("the tail was stopped at a conflict");
        }
        catch (PgException e)
        {
            _environment.Fail(e.Detail is null ? e.Message : $"{e.Message} - {e.Detail}");
        }
        catch (Exception e)
        {
            _environment.Fail(e is StorageException ? e.Message : e.ToString());
        }
    }

    /// <summary>False: nothing could be applied before the ceiling.</summary>
    private bool Advance(Lsn applied, Lsn ceiling)
    {
        WalRead read = _engine.Tail.Run(Lsn.Min(ceiling, applied + SliceBytes), _stop.Token);
        if (_engine.Applied.Value > applied)
        {
            return true;
        }

        if (read == WalRead.End)
        {
            AwaitLog();
            return true;
        }

        if (ceiling - applied <= SliceBytes)
        {
            return false;
        }

        // A record longer than a slice.
        _engine.Tail.Run(ceiling, _stop.Token);
        return _engine.Applied.Value > applied;
    }

    /// <summary>Log that was verified a moment ago cannot be read: it was recycled, or a buffer is old.</summary>
    private void AwaitLog()
    {
        ControlFile control = _control.Read();
        if (control.CheckPoint.Redo > _engine.Applied.Value)
        {
            throw Recycled(control);
        }

        _stop.Token.WaitHandle.WaitOne(Retry);
        _engine.Tail.Refresh();
    }

    /// <summary>All before the redo of a checkpoint that was completed is in the data files; its record comes after they were synced.</summary>
    private void Cut()
    {
        if (_engine.Effects.LastCheckPoint is { } last && Lsn.Min(last.CheckPoint.Redo, _engine.Applied.Value) is var consistent && consistent > _cut)
        {
            _cut = consistent;
            _engine.Consistent.Advance(consistent);
            _engine.Pool.CutIndex(consistent);
        }
    }

    /// <summary>Once a second at the end of the log: is it still the log that goes on here?</summary>
    private void LookIntoControlFile(bool atEnd)
    {
        if (!atEnd || _environment.Time.GetElapsedTime(_controlRead) < Idle)
        {
            return;
        }

        _controlRead = _environment.Time.GetTimestamp();
        ControlFile control = _control.Read();
        AttachedDirectory.Check(_environment.DataDirectory, control);
        if (control.CheckPoint.Timeline.Value > _engine.History.Timeline.Value)
        {
            Follow(_engine.LogDirectory.NewestTimeline(control.CheckPoint.Timeline));
            return;
        }

        if (control.CheckPoint.Redo > _engine.Applied.Value)
        {
            // The log is written before the control file: a look at the log that begins now finds what the checkpoint needs, if it is there.
            long pass = Log.RequestPass();
            if (!Waits.Wait(() => Log.HasPassed(pass, out _) || _stop.IsCancellationRequested) || Log.Verified < control.CheckPoint.Redo)
            {
                _stop.Token.ThrowIfCancellationRequested();
                throw Recycled(control);
            }
        }
    }

    private void Follow(TimelineId timeline)
    {
        if (!_engine.TryFollow(timeline))
        {
            throw new StorageException($"the server is on timeline {timeline}, which this reader cannot follow from {_engine.Applied.Value} on timeline {_engine.History.Timeline}");
        }

        Log.Follow(_engine.History, _engine.Applied.Value);
        _log.LogInformation("following timeline {Timeline}", timeline);
    }

    private StorageException Recycled(in ControlFile control) => new(
        $"the log after {_engine.Applied.Value} is needed and gone: the server's last checkpoint begins at {control.CheckPoint.Redo}; start the reader anew, and set wal_keep_size on the server");
}
