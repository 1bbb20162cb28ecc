using SharedStorage.Control;
using SharedStorage.Control.Leases;

namespace SharedStorage.Writer.Channel;

/// <summary>
/// One reader's stream: what it is to be told next, and when. A message tells everything, so what comes within a few milliseconds of the last one goes together: a message costs a reader and the
/// writer more than what it announces. Nothing is held back from one who waits.
/// </summary>
/// <param name="grantEvery">A grant is due this long after the last one; until then it goes with the next message.</param>
internal sealed class Follower(TimeSpan grantEvery)
{
    /// <summary>Between two messages while queries run on the reader: no more than a stock standby's delay.</summary>
    private static readonly TimeSpan PaceOfQueries = TimeSpan.FromMilliseconds(1);

    /// <summary>While none do: a query that comes meanwhile sees what was durable so long ago.</summary>
    private static readonly TimeSpan PaceOfNobody = TimeSpan.FromMilliseconds(20);

    private readonly SemaphoreSlim _signal = OneSignal.New();
    private readonly SemaphoreSlim _urgent = OneSignal.New();
    private readonly Lock _lock = new();
    private ulong _sequence;
    private Grant _grant;
    private TimeSpan _lastGrant = TimeSpan.MinValue;
    private volatile bool _read;

    /// <summary>There is something to tell.</summary>
    public void Wake() => OneSignal.Give(_signal);

    /// <summary>There is something to tell that somebody waits for.</summary>
    public void WakeNow()
    {
        OneSignal.Give(_urgent);
        OneSignal.Give(_signal);
    }

    /// <summary>Waits until there is something to tell, or the time is over; then for what comes soon after the last message, unless somebody waits.</summary>
    /// <param name="atMost">A message is due by then.</param>
    /// <param name="sent">When the last one was sent.</param>
    /// <param name="now">The time.</param>
    /// <param name="cancel">Ends the stream.</param>
    public async Task WaitAsync(TimeSpan atMost, TimeSpan sent, Func<TimeSpan> now, CancellationToken cancel)
    {
        await _signal.WaitAsync(atMost, cancel).ConfigureAwait(false);
        TimeSpan rest = (_read ? PaceOfQueries : PaceOfNobody) - (now() - sent);
        if (rest > TimeSpan.Zero)
        {
            await _urgent.WaitAsync(rest, cancel).ConfigureAwait(false);
        }
    }

    /// <summary>An acknowledgement has been judged.</summary>
    /// <param name="sequence">Its number.</param>
    /// <param name="grant">What it is answered with.</param>
    /// <param name="read">Queries run on the reader.</param>
    /// <param name="now">The time.</param>
    public void Answer(ulong sequence, Grant grant, bool read, TimeSpan now)
    {
        bool due;
        lock (_lock)
        {
            _sequence = sequence;
            _grant = grant;
            due = grant.Evicted || (grant.Given && (_lastGrant == TimeSpan.MinValue || now - _lastGrant >= grantEvery));
        }

        _read = read;
        if (due)
        {
            Wake();
        }
    }

    public (ulong Sequence, Grant Grant) TakeAnswer(TimeSpan now)
    {
        lock (_lock)
        {
            (ulong, Grant) answer = (_sequence, _grant);
            _lastGrant = _grant.Given ? now : _lastGrant;
            _grant = default;
            return answer;
        }
    }
}
