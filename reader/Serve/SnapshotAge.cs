using Microsoft.Extensions.Logging;
using SharedStorage.PgWire.Session;
using SharedStorage.Primitives;

namespace SharedStorage.Reader.Serve;

/// <summary>
/// Bounds what a live reader holds (I7): a snapshot that has held the cluster's horizon for longer than sharedstorage.max_snapshot_age ends, whether its session runs a statement, is idle in a
/// transaction, or waits for a client that does not read. A snapshot is an LSN, so its age needs no clock of its own: now and then the visible LSN is noted with the time, and a snapshot
/// below what was visible so long ago is too old. One that nothing was committed after holds nothing, and may stay. PostgreSQL's counterpart is old_snapshot_threshold.
/// </summary>
/// <param name="visible">The node's visible LSN.</param>
/// <param name="sessions">The sessions of the node.</param>
/// <param name="age">The setting.</param>
/// <param name="time">The clock.</param>
/// <param name="log">Where ended sessions are told of.</param>
public sealed class SnapshotAge(Func<Lsn> visible, Func<IEnumerable<IServedSession>> sessions, TimeSpan age, TimeProvider time, ILogger log) : IDisposable
{
    /// <summary>How exact the bound is: it is met within a twentieth of the age.</summary>
    private const int Samples = 20;
    private static readonly TimeSpan ShortestLook = TimeSpan.FromMilliseconds(100);

    private readonly Queue<(long At, Lsn Visible)> _seen = new();
    private readonly HashSet<int> _asked = [];
    private readonly HashSet<int> _stillThere = [];
    private readonly Lock _lock = new();
    private ITimer? _timer;
    private bool _stopped;

    public void Begin()
    {
        TimeSpan period = age / Samples > ShortestLook ? age / Samples : ShortestLook;
        _timer = time.CreateTimer(static s => ((SnapshotAge)s!).Look(), this, period, period);
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _stopped = true;
        }

        _timer?.Dispose();
    }

    /// <summary>One look; the timer's.</summary>
    internal void Look()
    {
        lock (_lock)
        {
            if (_stopped)
            {
                return;
            }

            long now = time.GetTimestamp();
            _seen.Enqueue((now, visible()));
            Lsn bound = Lsn.Invalid;
            while (_seen.TryPeek(out (long At, Lsn Visible) oldest) && time.GetElapsedTime(oldest.At, now) >= age)
            {
                bound = oldest.Visible;
                _seen.Dequeue();
            }

            if (bound.IsValid)
            {
                EndBelow(bound);
            }
        }
    }

    private void EndBelow(Lsn bound)
    {
        _stillThere.Clear();
        foreach (IServedSession session in sessions())
        {
            if (session.OldestSnapshot >= bound)
            {
                continue;
            }

            _stillThere.Add(session.ThreadId);
            if (_asked.Contains(session.ThreadId))
            {
                // It was asked at an earlier look: it waits for its client, who does not read what it is sent.
                session.Disconnect(TooOld(fatal: true));
                continue;
            }

            log.LogWarning("a session is ended: its snapshot {Snapshot} is older than sharedstorage.max_snapshot_age ({Age} s)", session.OldestSnapshot, age.TotalSeconds);
            if (session.IsRunning)
            {
                session.Cancel(TooOld(fatal: false));
            }
            else
            {
                session.Terminate(TooOld(fatal: true));
            }
        }

        _asked.Clear();
        _asked.UnionWith(_stillThere);
    }

    private PgException TooOld(bool fatal) => new(SqlStates.SnapshotTooOld, "snapshot too old")
    {
        Detail = $"It has held back the removal of row versions for longer than \"sharedstorage.max_snapshot_age\" ({age.TotalSeconds} s) allows.",
        Hint = "Use shorter queries and transactions on this reader, or raise the setting.",
        Fatal = fatal,
    };
}
