using Microsoft.Extensions.Logging.Abstractions;
using SharedStorage.PgWire.Session;
using SharedStorage.Primitives;
using SharedStorage.Reader.Attach;
using SharedStorage.Transactions;
using SharedStorage.Unit.Transactions;

namespace SharedStorage.Unit.Attach;

/// <summary>What happens to sessions that are in the way of replay, and to those that are not.</summary>
public sealed class ReplayConflictTests : IDisposable
{
    private static readonly Lsn Horizon = new(5000);
    private readonly TestCluster _cluster = new();
    private readonly TailWaits _waits = new(TimeProvider.System, TimeSpan.FromMinutes(5));

    public void Dispose() => _cluster.Dispose();

    private sealed class Session : IServedSession
    {
        public int ProcessId => 1;
        public int ThreadId { get; set; }
        public Oid Database => Oid.Invalid;
        public Func<Lsn> Snapshot { get; set; } = () => Horizon;
        public Lsn OldestSnapshot => Snapshot();
        public bool IsBeingLetIn { get; set; }
        public bool IsRunning { get; set; }
        public PgException? Cancelled { get; private set; }
        public PgException? Ended { get; private set; }

        public Action? OnEnd { get; set; }

        public void Cancel(PgException reason)
        {
            Cancelled = reason;
            OnEnd?.Invoke();
        }

        public void Terminate(PgException reason)
        {
            Ended = reason;
            OnEnd?.Invoke();
        }

        public void Disconnect(PgException reason) => Terminate(reason);
    }

    private ReplayConflicts Conflicts(TimeSpan? delay, params Session[] sessions) =>
        new(_cluster.Manager, () => sessions, _waits, TimeProvider.System, delay, NullLogger.Instance);

    [Theory]
    [InlineData(false, false, true, ConflictMeasure.None)]
    [InlineData(false, true, true, ConflictMeasure.Cancel)]
    [InlineData(false, true, false, ConflictMeasure.Terminate)]
    [InlineData(true, false, true, ConflictMeasure.EndWait)]
    [InlineData(true, true, true, ConflictMeasure.EndWait)]
    public void A_session_at_the_horizon_is_cancelled_when_overdue_and_at_once_when_it_waits_for_the_tail(bool awaitsTail, bool overdue, bool running, object measure) =>
        Assert.Equal(measure, ReplayConflicts.Judge(new Session { IsRunning = running }, Horizon, awaitsTail, overdue));

    [Fact]
    public void A_statement_that_was_cancelled_in_vain_loses_its_client() =>
        Assert.Equal(ConflictMeasure.Disconnect, ReplayConflicts.Judge(new Session { IsRunning = true }, Horizon, awaitsTail: false, overdue: true, inVain: true));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_session_with_a_later_snapshot_is_let_alone(bool awaitsTail) =>
        Assert.Equal(ConflictMeasure.None, ReplayConflicts.Judge(new Session { Snapshot = () => new Lsn(5001), IsRunning = true }, Horizon, awaitsTail, overdue: true));

    [Fact]
    public void A_client_that_is_being_let_in_is_never_ended_for_replay()
    {
        var client = new Session { IsBeingLetIn = true };
        Assert.Equal(ConflictMeasure.None, ReplayConflicts.Judge(client, Horizon, awaitsTail: false, overdue: true));
        Assert.Equal(ConflictMeasure.EndWait, ReplayConflicts.Judge(client, Horizon, awaitsTail: true, overdue: true));
    }

    [Fact]
    public void A_session_whose_statement_ended_meanwhile_is_not_ended()
    {
        var answers = new Queue<Lsn>([Horizon, Lsn.Max]);
        Assert.Equal(ConflictMeasure.None, ReplayConflicts.Judge(new Session { Snapshot = answers.Dequeue }, Horizon, awaitsTail: false, overdue: true));
    }

    [Fact]
    public async Task Replay_goes_on_when_the_snapshot_that_needs_the_rows_goes()
    {
        Snapshot snapshot = _cluster.Manager.TakeSnapshot();
        Xid removed = _cluster.Commit();
        var session = new Session { Snapshot = () => snapshot.Lsn, IsRunning = true };
        ReplayConflicts conflicts = Conflicts(delay: null, session);
        Task replay = Task.Run(() => conflicts.AwaitSnapshots(removed, new Lsn(1), CancellationToken.None));
        Assert.True(SpinWait.SpinUntil(() => _waits.TailIsHeld, TimeSpan.FromSeconds(60)));
        Assert.False(replay.IsCompleted);
        snapshot.Dispose();
        await replay.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.False(_waits.TailIsHeld);
        Assert.Null(session.Cancelled ?? session.Ended);
    }

    [Fact]
    public void An_overdue_snapshot_is_cancelled()
    {
        Snapshot snapshot = _cluster.Manager.TakeSnapshot();
        Xid removed = _cluster.Commit();
        var session = new Session { Snapshot = () => snapshot.Lsn, IsRunning = true, OnEnd = snapshot.Dispose };
        Conflicts(TimeSpan.Zero, session).AwaitSnapshots(removed, new Lsn(1), CancellationToken.None);
        Assert.Equal(("40001", false), (session.Cancelled!.SqlState, session.Cancelled.Fatal));
        Assert.Null(session.Ended);
    }

    [Fact]
    public void A_cancelled_statement_does_not_wait_for_replay_any_longer()
    {
        int looks = 0;
        Interrupts.Serve(() =>
        {
            if (++looks > 3)
            {
                throw new PgException(SqlStates.QueryCanceled, "canceling statement due to user request");
            }
        });
        try
        {
            Assert.Equal(SqlStates.QueryCanceled, Assert.Throws<PgException>(() => _waits.Wait(() => false)).SqlState);
            Assert.False(_waits.Awaits(Environment.CurrentManagedThreadId));
        }
        finally
        {
            Interrupts.Serve(null);
        }
    }

    [Fact]
    public void A_snapshot_that_sees_the_removal_is_not_waited_for()
    {
        Xid removed = _cluster.Commit();
        using Snapshot snapshot = _cluster.Manager.TakeSnapshot();
        _cluster.Commit();
        Conflicts(delay: null).AwaitSnapshots(removed, new Lsn(1), CancellationToken.None);
    }

    /// <summary>The wait is the client's own: it ends with an error that the server takes for "begin anew", and replay goes on once the snapshot is gone.</summary>
    [Fact]
    public async Task A_client_that_waits_for_replay_while_it_is_let_in_gives_its_snapshot_up_and_replay_goes_on()
    {
        Snapshot snapshot = _cluster.Manager.TakeSnapshot();
        Xid removed = _cluster.Commit();
        var client = new Session { Snapshot = () => snapshot.Lsn, IsBeingLetIn = true };
        using var replayed = new ManualResetEventSlim();
        Task<PgException> letIn = Task.Run(() =>
        {
            client.ThreadId = Environment.CurrentManagedThreadId;
            try
            {
                return Assert.Throws<PgException>(() => _waits.Wait(() => replayed.IsSet));
            }
            finally
            {
                snapshot.Dispose();
            }
        });
        Assert.True(SpinWait.SpinUntil(() => client.ThreadId != 0 && _waits.Awaits(client.ThreadId), TimeSpan.FromSeconds(60)));
        await Task.Run(() => Conflicts(TimeSpan.Zero, client).AwaitSnapshots(removed, new Lsn(1), CancellationToken.None)).WaitAsync(TimeSpan.FromSeconds(60));
        PgException error = await letIn;
        Assert.Equal(("40001", false), (error.SqlState, error.Fatal));
        Assert.Null(client.Cancelled ?? client.Ended);
    }
}
