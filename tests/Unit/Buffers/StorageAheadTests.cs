using System.Collections.Concurrent;
using SharedStorage.Buffers;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Buffers;

/// <summary>Beside a stock writer a page may be from the future: each session that wants it waits for itself, so that replay can end the wait of one that it waits for.</summary>
public sealed class StorageAheadTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly PoolFixture _f = new(writing: false);
    private readonly Ahead _ahead = new();
    private readonly BufferPool _pool;

    public StorageAheadTests() => _pool = new BufferPool(new BufferPoolOptions
    {
        Frames = 32,
        Files = _f.Files,
        Applied = _f.Applied,
        Consistent = _f.Consistent,
        LogIndexBytes = 1 << 20,
        TornReadRetries = 0,
        Ahead = _ahead,
    });

    public void Dispose()
    {
        _pool.Dispose();
        _f.Dispose();
    }

    private sealed class Ahead : IStorageAhead
    {
        private readonly ConcurrentDictionary<int, TaskCompletionSource> _waiting = new();

        public int Waiting => _waiting.Count;

        public bool Awaits(int thread) => _waiting.ContainsKey(thread);

        public void Let(int thread) => _waiting[thread].SetResult();

        public void Cancel(int thread) => _waiting[thread].SetException(new PgException(SqlStates.SerializationFailure, "conflict"));

        public void AwaitApplied(in BufferTag tag, Lsn pageLsn)
        {
            int thread = Environment.CurrentManagedThreadId;
            TaskCompletionSource wait = _waiting[thread] = new TaskCompletionSource();
            try
            {
                wait.Task.GetAwaiter().GetResult();
            }
            finally
            {
                _waiting.TryRemove(thread, out _);
            }
        }

        public bool IsGone(RelFileNode rel) => false;

        public bool AwaitCut(Func<bool> passed) => passed();

        public PgException Vanished(RelFileNode rel) => new(SqlStates.SerializationFailure, "vanished");
    }

    private sealed class Session
    {
        private readonly Thread _thread;

        public Session(BufferPool pool)
        {
            _thread = new Thread(() =>
            {
                try
                {
                    using PinnedPage page = pool.Pin(PoolFixture.Tag(0));
                    Read = page.Page.Lsn;
                }
                catch (PgException e)
                {
                    Failure = e.SqlState;
                }
            })
            { IsBackground = true };
            _thread.Start();
        }

        public int Thread => _thread.ManagedThreadId;
        public Lsn Read { get; private set; }
        public string? Failure { get; private set; }

        public void Join() => Assert.True(_thread.Join(Patience));
    }

    [Fact]
    public void A_session_does_not_wait_for_another_one_that_waits_for_replay()
    {
        _f.WriteOnDisk(1, new Lsn(5000));
        var first = new Session(_pool);
        Assert.True(SpinWait.SpinUntil(() => _ahead.Awaits(first.Thread), Patience));
        var second = new Session(_pool);
        Assert.True(SpinWait.SpinUntil(() => _ahead.Awaits(second.Thread), Patience), "the second session waits for the first one, and replay cannot know");
        Assert.Equal(2, _ahead.Waiting);

        _ahead.Cancel(second.Thread);
        second.Join();
        Assert.Equal(SqlStates.SerializationFailure, second.Failure);

        _f.Applied.Advance(new Lsn(5000));
        _ahead.Let(first.Thread);
        first.Join();
        Assert.Equal(new Lsn(5000), first.Read);
    }
}
