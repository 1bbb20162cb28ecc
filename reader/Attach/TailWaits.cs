using System.Collections.Concurrent;
using SharedStorage.Primitives;

namespace SharedStorage.Reader.Attach;

/// <summary>
/// Sessions that wait for the tail: for a page from the future, for the record that explains a missing file. The tail may be waiting for the same session's snapshot: then
/// the session gives up at once, since neither could go on (a hot standby cancels in such a deadlock, too).
/// </summary>
internal sealed class TailWaits(TimeProvider time, TimeSpan patience)
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(1);
    private readonly ConcurrentDictionary<int, Waiter> _waiting = new();
    private volatile bool _tailIsHeld;

    /// <summary>The tail waits for snapshots of sessions; meanwhile nobody's patience runs out.</summary>
    public bool TailIsHeld
    {
        get => _tailIsHeld;
        set => _tailIsHeld = value;
    }

    private sealed class Waiter
    {
        public volatile PgException? GiveUp;
    }

    /// <summary>Waits until a condition holds that the tail brings about. False: patience has run out.</summary>
    /// <exception cref="PgException">The tail waits for this very thread, or its statement was cancelled.</exception>
    public bool Wait(Func<bool> done)
    {
        if (done())
        {
            return true;
        }

        var me = new Waiter();
        _waiting[Environment.CurrentManagedThreadId] = me;
        try
        {
            TimeSpan waited = TimeSpan.Zero;
            long last = time.GetTimestamp();
            while (!done())
            {
                if (me.GiveUp is { } reason)
                {
                    throw reason;
                }

                Interrupts.Check();
                Thread.Sleep(Look);
                long now = time.GetTimestamp();
                waited += TailIsHeld ? TimeSpan.Zero : time.GetElapsedTime(last, now);
                last = now;
                if (waited > patience)
                {
                    return done();
                }
            }

            return true;
        }
        finally
        {
            _waiting.TryRemove(Environment.CurrentManagedThreadId, out _);
        }
    }

    public bool Awaits(int threadId) => _waiting.ContainsKey(threadId);

    /// <summary>If the thread waits for the tail, its wait ends with the error.</summary>
    public void End(int threadId, PgException reason)
    {
        if (_waiting.TryGetValue(threadId, out Waiter? waiter))
        {
            waiter.GiveUp = reason;
        }
    }
}
