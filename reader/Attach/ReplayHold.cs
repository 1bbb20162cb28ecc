using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Reader.Attach;

/// <summary>How far replay may go: paused by pg_wal_replay_pause, or bound by sharedstorage.replay_until; else as far as the log does.</summary>
internal sealed class ReplayHold(Func<Lsn> received, Action changed) : IReplayControl
{
    private readonly Lock _lock = new();
    private bool _requested;
    private bool _paused;
    private Lsn _until = Lsn.Max;

    public bool IsPauseRequested
    {
        get
        {
            lock (_lock)
            {
                return _requested;
            }
        }
    }

    public string PauseState
    {
        get
        {
            lock (_lock)
            {
                return !_requested ? "not paused" : _paused ? "paused" : "pause requested";
            }
        }
    }

    public Lsn Received => received();

    public void Pause() => Change(() => _requested = true);

    public void Resume() => Change(() => _requested = _paused = false);

    public void HoldAt(Lsn position) => Change(() => _until = position);

    /// <summary>Asked by the tail between two stretches: how far it may go now. A requested pause has begun when it asks.</summary>
    public Lsn Ceiling(Lsn applied, Lsn verified)
    {
        lock (_lock)
        {
            _paused = _requested;
            return _paused ? applied : Lsn.Min(_until, verified);
        }
    }

    private void Change(Action change)
    {
        lock (_lock)
        {
            change();
        }

        changed();
    }
}
