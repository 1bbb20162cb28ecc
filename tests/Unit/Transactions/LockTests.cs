using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Locks;
using SharedStorage.Wal;

namespace SharedStorage.Unit.Transactions;

public sealed class LockTests : IDisposable
{
    private static readonly LockTag A = LockTag.Relation(new Oid(5), new Oid(100));
    private static readonly LockTag B = LockTag.Relation(new Oid(5), new Oid(200));
    private static readonly LockTag C = LockTag.Relation(new Oid(5), new Oid(300));
    private readonly TestCluster _cluster = new();
    private int _process = 100;

    private LockManager Locks => _cluster.Manager.Locks;

    public void Dispose() => _cluster.Dispose();

    public static TheoryData<LockMode, LockMode, bool> Pairs()
    {
        string[] conflicts = ["8", "78", "5678", "45678", "34678", "345678", "2345678", "12345678"];
        var data = new TheoryData<LockMode, LockMode, bool>();
        for (int held = 1; held <= 8; held++)
        {
            for (int wanted = 1; wanted <= 8; wanted++)
            {
                data.Add((LockMode)held, (LockMode)wanted, conflicts[held - 1].Contains((char)('0' + wanted), StringComparison.Ordinal));
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Modes_exclude_each_other_as_in_PostgreSQL(LockMode held, LockMode wanted, bool conflict)
    {
        Transaction one = Begin();
        Transaction two = Begin();
        Locks.Acquire(one, A, held);
        Assert.Equal(!conflict, Locks.TryAcquire(two, A, wanted));
        one.Abort();
        Assert.True(conflict ? Locks.TryAcquire(two, A, wanted) : LockManager.IsHeld(two.Session, A, wanted));
        two.Abort();
        Assert.Empty(Locks.List());
    }

    [Fact]
    public async Task An_autovacuum_gives_way_to_who_has_waited_for_its_lock_and_one_against_wraparound_does_not()
    {
        Transaction vacuum = Begin();
        Transaction ddl = Begin();
        using var asked = new ManualResetEventSlim();
        Locks.Acquire(vacuum, A, LockMode.ShareUpdateExclusive);
        ddl.Session.DeadlockTimeout = TimeSpan.FromMilliseconds(1);
        ddl.Session.LockTimeout = TimeSpan.FromMilliseconds(50);
        Assert.Equal(SqlStates.LockNotAvailable, Assert.Throws<PgException>(() => Locks.Acquire(ddl, A, LockMode.AccessExclusive)).SqlState);
        vacuum.Session.GiveWay = asked.Set;
        ddl.Session.LockTimeout = TimeSpan.Zero;
        Task waiting = Task.Run(() => Locks.Acquire(ddl, A, LockMode.AccessExclusive));
        Assert.True(asked.Wait(TimeSpan.FromSeconds(60)));
        vacuum.Abort();
        await waiting;
        ddl.Abort();
    }

    [Fact]
    public void A_strong_lock_finds_weak_ones_in_the_fast_path()
    {
        Transaction weak = Begin();
        Locks.Acquire(weak, A, LockMode.RowExclusive);
        Assert.True(Assert.Single(Locks.List()).FastPath);
        Transaction strong = Begin();
        Assert.False(Locks.TryAcquire(strong, A, LockMode.Share));
        Thread waiting = Wait(strong, A, LockMode.Share);
        weak.Abort();
        waiting.Join();
        Assert.True(LockManager.IsHeld(strong.Session, A, LockMode.Share));
        Transaction other = Begin();
        Assert.False(Locks.TryAcquire(other, A, LockMode.RowExclusive));
        Locks.Acquire(other, A, LockMode.AccessShare);
        strong.Abort();
        Assert.True(Locks.TryAcquire(other, A, LockMode.RowExclusive));
        other.Abort();
    }

    [Fact]
    public void Many_weak_locks_overflow_into_the_table()
    {
        Transaction tx = Begin();
        for (uint i = 0; i < 40; i++)
        {
            Locks.Acquire(tx, LockTag.Relation(new Oid(5), new Oid(1000 + i)), LockMode.AccessShare);
        }

        Assert.Equal(16, Locks.List().Count(l => l.FastPath));
        Assert.Equal(40, Locks.List().Count);
        tx.Commit();
        Assert.Empty(Locks.List());
    }

    [Fact]
    public void A_waiter_is_served_before_those_who_come_later()
    {
        Transaction reader = Begin();
        Locks.Acquire(reader, A, LockMode.AccessShare);
        Transaction writer = Begin();
        Thread waiting = Wait(writer, A, LockMode.AccessExclusive);
        Transaction late = Begin();
        Assert.False(Locks.TryAcquire(late, A, LockMode.AccessShare));

        // The one who already holds the lock may have more of it: else both would wait.
        Assert.True(Locks.TryAcquire(reader, A, LockMode.RowShare));
        reader.Abort();
        waiting.Join();
        writer.Abort();
        Assert.True(Locks.TryAcquire(late, A, LockMode.AccessShare));
        late.Abort();
    }

    [Fact]
    public void Two_that_wait_for_each_other_are_a_deadlock()
    {
        Transaction one = Begin();
        Transaction two = Begin(deadlockAfterMs: 20);
        Locks.Acquire(one, A, LockMode.Exclusive);
        Locks.Acquire(two, B, LockMode.Exclusive);
        Thread waiting = Wait(one, B, LockMode.Exclusive);
        PgException e = Assert.Throws<PgException>(() => Locks.Acquire(two, A, LockMode.Exclusive));
        Assert.Equal(SqlStates.DeadlockDetected, e.SqlState);
        Assert.Equal("deadlock detected", e.Message);
        Assert.Equal(
            $"Process {two.Session.ProcessId} waits for ExclusiveLock on relation 100 of database 5; blocked by process {one.Session.ProcessId}.\n"
            + $"Process {one.Session.ProcessId} waits for ExclusiveLock on relation 200 of database 5; blocked by process {two.Session.ProcessId}.",
            e.Detail);
        two.Abort();
        waiting.Join();
        one.Abort();
    }

    [Fact]
    public void Three_in_a_circle_are_a_deadlock()
    {
        Transaction one = Begin();
        Transaction two = Begin();
        Transaction three = Begin(deadlockAfterMs: 20);
        Locks.Acquire(one, A, LockMode.Exclusive);
        Locks.Acquire(two, B, LockMode.Exclusive);
        Locks.Acquire(three, C, LockMode.Exclusive);
        Thread first = Wait(one, B, LockMode.Exclusive);
        Thread second = Wait(two, C, LockMode.Exclusive);
        PgException e = Assert.Throws<PgException>(() => Locks.Acquire(three, A, LockMode.Exclusive));
        Assert.Equal(3, e.Detail!.Split('\n').Length);
        three.Abort();
        second.Join();
        two.Abort();
        first.Join();
        one.Abort();
    }

    [Fact]
    public void Transactions_that_wait_for_each_others_xids_are_a_deadlock()
    {
        Transaction one = Begin();
        Transaction two = Begin(deadlockAfterMs: 20);
        Xid first = one.Xid;
        Xid second = two.Xid;
        var waiting = new Thread(() => Locks.WaitForTransaction(one, second));
        waiting.Start();
        Until(() => Locks.List().Any(l => !l.Granted));
        PgException e = Assert.Throws<PgException>(() => Locks.WaitForTransaction(two, first));
        Assert.Contains($"waits for ShareLock on transaction {first}; blocked by process", e.Detail, StringComparison.Ordinal);
        two.Abort();
        waiting.Join();
        one.Commit();
        Assert.Empty(Locks.List());
    }

    [Fact]
    public void A_circle_through_the_queue_alone_is_undone_by_changing_the_queue()
    {
        // One holds A shared and waits for B; two holds B; three waits for A exclusively; two wants A shared and stands behind three only.
        Transaction one = Begin();
        Transaction two = Begin(deadlockAfterMs: 20);
        Transaction three = Begin();
        Locks.Acquire(one, A, LockMode.Share);
        Locks.Acquire(two, B, LockMode.Exclusive);
        Thread third = Wait(three, A, LockMode.AccessExclusive);
        Thread first = Wait(one, B, LockMode.Exclusive);
        Locks.Acquire(two, A, LockMode.Share);
        two.Abort();
        first.Join();
        one.Abort();
        third.Join();
        three.Abort();
    }

    [Fact]
    public void Two_that_upgrade_the_same_lock_are_a_deadlock_at_once()
    {
        Transaction one = Begin();
        Transaction two = Begin();
        Locks.Acquire(one, A, LockMode.Share);
        Locks.Acquire(two, A, LockMode.Share);
        Thread waiting = Wait(one, A, LockMode.Exclusive);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        Assert.Equal(SqlStates.DeadlockDetected, Assert.Throws<PgException>(() => Locks.Acquire(two, A, LockMode.Exclusive)).SqlState);
        Assert.True(clock.Elapsed < two.Session.DeadlockTimeout);
        two.Abort();
        waiting.Join();
        one.Abort();
    }

    [Fact]
    public void A_wait_ends_with_the_time_out_and_with_a_cancel()
    {
        Transaction holder = Begin();
        Locks.Acquire(holder, A, LockMode.Exclusive);
        Transaction tx = Begin();
        tx.Session.LockTimeout = TimeSpan.FromMilliseconds(20);
        Assert.Equal(SqlStates.LockNotAvailable, Assert.Throws<PgException>(() => Locks.Acquire(tx, A, LockMode.Share)).SqlState);
        tx.Session.LockTimeout = TimeSpan.Zero;
        tx.Session.CheckInterrupts = () => throw new PgException(SqlStates.QueryCanceled, "canceling statement due to user request");
        Exception? thrown = null;
        var waiting = new Thread(() => thrown = Record.Exception(() => Locks.Acquire(tx, A, LockMode.Share)));
        waiting.Start();
        Until(() => Locks.HasWaiters(A));
        tx.Session.Interrupt();
        waiting.Join();
        Assert.Equal(SqlStates.QueryCanceled, Assert.IsType<PgException>(thrown).SqlState);
        Assert.False(Locks.HasWaiters(A));
        holder.Abort();
        tx.Abort();
    }

    [Fact]
    public void An_aborted_savepoint_gives_its_locks_back_and_a_released_one_keeps_them()
    {
        Transaction tx = Begin();
        Transaction other = Begin();
        tx.BeginSub("a");
        Locks.Acquire(tx, A, LockMode.Exclusive);
        tx.ReleaseSub();
        tx.BeginSub("b");
        Locks.Acquire(tx, A, LockMode.Exclusive);
        Locks.Acquire(tx, B, LockMode.Exclusive);
        tx.AbortSub();
        Assert.False(Locks.TryAcquire(other, A, LockMode.Share));
        Assert.True(Locks.TryAcquire(other, B, LockMode.Share));
        tx.Commit();
        Assert.True(Locks.TryAcquire(other, A, LockMode.Share));
        other.Commit();
    }

    [Fact]
    public void Who_waits_for_a_subtransaction_goes_on_when_it_aborts_or_its_parent_ends()
    {
        Transaction tx = Begin();
        tx.BeginSub("a");
        Xid aborted = tx.Xid;
        Transaction waiter = Begin();
        var waiting = new Thread(() => Locks.WaitForTransaction(waiter, aborted));
        waiting.Start();
        Until(() => Locks.HasWaiters(LockTag.Transaction(aborted)));
        tx.AbortSub();
        waiting.Join();
        tx.BeginSub("b");
        Xid released = tx.Xid;
        tx.ReleaseSub();
        waiting = new Thread(() => Locks.WaitForTransaction(waiter, released));
        waiting.Start();
        Until(() => Locks.HasWaiters(LockTag.Transaction(released)));
        tx.Commit();
        waiting.Join();
        Assert.True(_cluster.Manager.DidCommit(released));
        waiter.Commit();
    }

    [Fact]
    public void Session_locks_outlive_the_transaction()
    {
        var session = new LockSession { ProcessId = 7 };
        LockTag key = LockTag.Advisory(new Oid(5), 0, 42, 1);
        Transaction tx = _cluster.Manager.Begin(session);
        Locks.AcquireForSession(session, key, LockMode.Exclusive);
        Locks.Acquire(tx, key, LockMode.Exclusive);
        tx.Commit();
        Transaction other = Begin();
        Assert.False(Locks.TryAcquire(other, key, LockMode.Share));
        Assert.True(Locks.ReleaseForSession(session, key, LockMode.Exclusive));
        Assert.False(Locks.ReleaseForSession(session, key, LockMode.Exclusive));
        Assert.True(Locks.TryAcquire(other, key, LockMode.Share));
        other.Commit();
    }

    [Fact]
    public void An_access_exclusive_lock_is_logged_for_standbys()
    {
        Transaction tx = Begin();
        Locks.Acquire(tx, A, LockMode.AccessExclusive);
        Locks.Acquire(tx, A, LockMode.AccessExclusive);
        (Lsn _, Lsn _, Xid xid, Rmgr rmgr, byte info, byte[] body) = Assert.Single(_cluster.Log.Records);
        Assert.Equal((tx.Xid, Rmgr.Standby, (byte)0), (xid, rmgr, info));
        Assert.Equal([1u, tx.Xid.Value, 5u, 100u], System.Runtime.InteropServices.MemoryMarshal.Cast<byte, uint>(body).ToArray());
        tx.Commit();
    }

    [Fact]
    public void Locks_of_many_threads_exclude_each_other()
    {
        int inside = 0;
        int broken = 0;
        Thread[] threads = [.. Enumerable.Range(0, 4).Select(n => new Thread(() =>
        {
            for (int i = 0; i < 2000; i++)
            {
                Transaction tx = Begin();
                bool strong = (i + n) % 5 == 0;
                Locks.Acquire(tx, A, strong ? LockMode.ShareRowExclusive : LockMode.RowExclusive);
                int now = Interlocked.Add(ref inside, strong ? 1000 : 1);
                if (now > 1000 || (strong && now != 1000))
                {
                    Interlocked.Increment(ref broken);
                }

                Interlocked.Add(ref inside, strong ? -1000 : -1);
                tx.Commit();
            }
        }))];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());
        Assert.Equal(0, broken);
        Assert.Empty(Locks.List());
    }

    private Transaction Begin(int deadlockAfterMs = 1_000_000) =>
        _cluster.Manager.Begin(new LockSession
        {
            ProcessId = Interlocked.Increment(ref _process),
            DeadlockTimeout = TimeSpan.FromMilliseconds(deadlockAfterMs),
        });

    private Thread Wait(Transaction tx, LockTag tag, params LockMode[] modes)
    {
        var thread = new Thread(() =>
        {
            foreach (LockMode mode in modes)
            {
                Locks.Acquire(tx, tag, mode);
            }
        });
        thread.Start();
        Until(() => Locks.List().Any(l => !l.Granted && l.Tag == tag && l.ProcessId == tx.Session.ProcessId));
        return thread;
    }

    private static void Until(Func<bool> condition) => Assert.True(SpinWait.SpinUntil(condition, TimeSpan.FromSeconds(20)));
}
