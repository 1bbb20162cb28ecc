using Microsoft.Extensions.Logging;
using SharedStorage.Hosting.Engine;
using SharedStorage.Primitives;
using SharedStorage.Wal.Inserting;

namespace SharedStorage.Writer.Checkpoint;

/// <summary>
/// The thread that makes checkpoints: by time, by log written, and on request (checkpointer.c). Requests that come while one runs are served by the next.
/// </summary>
public sealed class CheckpointLoop : IDisposable
{
    private static readonly TimeSpan Poll = TimeSpan.FromSeconds(1);

    private readonly Checkpointer _checkpointer;
    private readonly WalInserter _log;
    private readonly TimeProvider _time;
    private readonly TimeSpan _interval;
    private readonly double _target;
    private readonly Action<Exception> _failed;
    private readonly SpaceJournal _space;
    private readonly CancellationTokenSource _stop = new();
    private readonly Thread _thread;
    private readonly object _signal = new();
    private long _requested;
    private long _started;
    private long _completed;
    private long _lastFailed;
    private bool _ended;

    public CheckpointLoop(Checkpointer checkpointer, WalInserter log, TimeProvider time, TimeSpan interval, double completionTarget, Action<Exception> failed, SpaceJournal space)
    {
        _checkpointer = checkpointer;
        _log = log;
        _time = time;
        _interval = interval;
        _target = completionTarget;
        _failed = failed;
        _space = space;
        _thread = new Thread(Run) { IsBackground = true, Name = "checkpointer" };
        _thread.Start();
    }

    /// <summary>Asks for a checkpoint at once and waits until one that began after the call is complete (CHECKPOINT).</summary>
    /// <exception cref="PgException">57P01: the node stops.</exception>
    public void RequestAndWait()
    {
        lock (_signal)
        {
            long mine = ++_requested;
            Monitor.PulseAll(_signal);
            while (_completed < mine)
            {
                if (_ended)
                {
                    throw new PgException(SqlStates.AdminShutdown, "the checkpoint was not completed: the node is stopping");
                }

                Monitor.Wait(_signal);
            }

            if (_lastFailed >= mine)
            {
                throw new PgException(SqlStates.InternalError, "checkpoint request failed") { Hint = "Consult recent messages in the server log for details." };
            }
        }
    }

    /// <summary>Asks for a checkpoint soon, without waiting: after recovery and promotion (R3).</summary>
    public void Request()
    {
        lock (_signal)
        {
            _requested++;
            Monitor.PulseAll(_signal);
        }
    }

    public void Dispose()
    {
        _stop.Cancel();
        lock (_signal)
        {
            Monitor.PulseAll(_signal);
        }

        _thread.Join();
        _stop.Dispose();
    }

    private void Run()
    {
        long last = _time.GetTimestamp();
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                bool due = false;
                bool immediate;
                lock (_signal)
                {
                    immediate = _requested > _completed;
                    if (!immediate)
                    {
                        Monitor.Wait(_signal, Poll);
                        immediate = _requested > _completed;
                    }

                    due = immediate || _log.CheckpointNeeded(_checkpointer.Redo)
                        || (_time.GetElapsedTime(last) >= _interval && _log.LastImportant > _checkpointer.Redo);
                    _started = due ? _requested : _started;
                }

                if (due && !_stop.IsCancellationRequested)
                {
                    last = _time.GetTimestamp();
                    RunOnce(immediate ? null : Pace(last));
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // A stop: the shutdown checkpoint follows.
        }
        catch (Exception e)
        {
            _failed(e);
        }
        finally
        {
            lock (_signal)
            {
                _ended = true;
                Monitor.PulseAll(_signal);
            }
        }
    }

    /// <summary>One checkpoint. One that finds no room is told to who asked for it, and is tried again: the one before counts until then (checkpointer.c).</summary>
    private void RunOnce(Action<int, int>? pace)
    {
        try
        {
            _checkpointer.Run(pace, _stop.Token);
            _space.Done("the checkpoint");
            End(failed: false);
        }
        catch (StorageException e) when (e.IsNoSpace)
        {
            _space.Missing("the checkpoint", e);
            End(failed: true);
            Request();
            _stop.Token.WaitHandle.WaitOne(Poll);
        }
    }

    private void End(bool failed)
    {
        lock (_signal)
        {
            _lastFailed = failed ? _started : _lastFailed;
            _completed = _started;
            Monitor.PulseAll(_signal);
        }
    }

    /// <summary>Spreads the writes over a share of the interval, unless the log fills faster than time passes or somebody asks for a checkpoint now.</summary>
    private Action<int, int> Pace(long began) => (done, total) =>
    {
        double share = (double)done / total;
        while (share > _time.GetElapsedTime(began) / (_interval * _target) && !_stop.IsCancellationRequested)
        {
            lock (_signal)
            {
                if (_requested > _started || _log.CheckpointNeeded(_checkpointer.Redo))
                {
                    return;
                }

                Monitor.Wait(_signal, TimeSpan.FromMilliseconds(100));
            }
        }
    };
}
