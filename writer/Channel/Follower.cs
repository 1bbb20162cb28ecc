using SharedStorage.Control.Leases;

namespace SharedStorage.Writer.Channel;

/// <summary>One reader's stream: what it is to be told next. A wake while a message is being sent leads to one more.</summary>
internal sealed class Follower
{
    private readonly SemaphoreSlim _signal = new(0, 1);
    private readonly Lock _lock = new();
    private ulong _sequence;
    private Grant _grant;

    public void Wake()
    {
        // At most one signal is kept: the next message tells everything anyway.
        if (_signal.CurrentCount == 0)
        {
            try
            {
                _signal.Release();
            }
            catch (SemaphoreFullException)
            {
                // Another thread was quicker: the signal is there.
                return;
            }
        }
    }

    public Task WaitAsync(TimeSpan atMost, CancellationToken cancel) => _signal.WaitAsync(atMost, cancel);

    public void Answer(ulong sequence, Grant grant)
    {
        lock (_lock)
        {
            _sequence = sequence;
            _grant = grant;
        }

        Wake();
    }

    public (ulong Sequence, Grant Grant) TakeAnswer()
    {
        lock (_lock)
        {
            (ulong, Grant) answer = (_sequence, _grant);
            _grant = default;
            return answer;
        }
    }
}
