using System.Collections.Concurrent;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Unit.Transactions;

public sealed class CommitTests
{
    [Fact]
    public void A_commit_is_visible_from_its_record_on_and_not_before()
    {
        using var cluster = new TestCluster();
        Lsn before = cluster.Manager.Visible;
        Transaction tx = cluster.Manager.Begin();
        Xid xid = tx.Xid;
        Assert.True(cluster.Manager.IsInProgress(xid));
        Lsn end = tx.Commit();
        Assert.False(cluster.Manager.IsInProgress(xid));
        Assert.Equal(end, cluster.Manager.Visible);
        Assert.False(cluster.Manager.CommittedAtOrBefore(xid, before));
        Assert.True(cluster.Manager.CommittedAtOrBefore(xid, end));
        Assert.Equal(XidStatus.Committed, cluster.Manager.Clog.Get(xid));
    }

    [Fact]
    public void A_commit_that_is_not_flushed_is_not_visible()
    {
        using var cluster = new TestCluster();
        cluster.Log.Held = true;
        Transaction tx = cluster.Manager.Begin();
        Xid xid = tx.Xid;
        Lsn before = cluster.Manager.Visible;
        var thread = new Thread(() => tx.Commit());
        thread.Start();
        cluster.Log.WaitForFlushers(1);
        Assert.Equal(before, cluster.Manager.Visible);
        Assert.True(cluster.Manager.IsInProgress(xid));
        Assert.True(cluster.Manager.OldestUnflushed() < cluster.Log.Reserved);
        cluster.Log.Release(cluster.Log.Reserved);
        thread.Join();
        Assert.True(cluster.Manager.Visible > before);
    }

    [Fact]
    public void An_asynchronous_commit_waits_for_a_synchronous_one_before_it()
    {
        using var cluster = new TestCluster();
        cluster.Log.Held = true;
        Transaction first = cluster.Manager.Begin();
        _ = first.Xid;
        var one = new Thread(() => first.Commit());
        one.Start();
        cluster.Log.WaitForFlushers(1);
        Transaction second = cluster.Manager.Begin();
        second.SynchronousCommit = SynchronousCommit.Off;
        Xid late = second.Xid;
        var two = new Thread(() => second.Commit());
        two.Start();
        cluster.Log.WaitForFlushers(2);
        Assert.False(cluster.Manager.DidCommit(late));
        cluster.Log.Release(cluster.Log.Reserved);
        one.Join();
        two.Join();
        Assert.Equal(second.CommitEnd, cluster.Manager.Visible);
    }

    [Fact]
    public void An_asynchronous_commit_alone_is_visible_before_it_is_flushed()
    {
        using var cluster = new TestCluster();
        cluster.Log.Held = true;
        Transaction tx = cluster.Manager.Begin();
        tx.SynchronousCommit = SynchronousCommit.Off;
        _ = tx.Xid;
        Lsn end = tx.Commit();
        Assert.Equal(end, cluster.Manager.Visible);
        Assert.True(cluster.Log.Flushed < end);
    }

    [Fact]
    public void Commits_of_many_threads_become_visible_in_the_order_of_the_log()
    {
        using var cluster = new TestCluster();
        var done = new ConcurrentBag<(Xid Xid, Lsn End)>();
        using Snapshot keepsTheMapWhole = cluster.Manager.TakeSnapshot();
        var torn = 0;
        Thread[] threads = [.. Enumerable.Range(0, 6).Select(_ => new Thread(() =>
        {
            for (int i = 0; i < 500; i++)
            {
                Transaction tx = cluster.Manager.Begin();
                Xid xid = tx.Xid;
                tx.BeginSub("s");
                Xid sub = tx.Xid;
                tx.ReleaseSub();
                tx.SynchronousCommit = i % 3 == 0 ? SynchronousCommit.Off : SynchronousCommit.On;
                Lsn end = tx.Commit();
                using Snapshot s = cluster.Manager.TakeSnapshot();
                if (s.Lsn < end || !cluster.Manager.CommittedAtOrBefore(xid, s.Lsn) || !cluster.Manager.CommittedAtOrBefore(sub, s.Lsn))
                {
                    Interlocked.Increment(ref torn);
                }

                done.Add((xid, end));
            }
        }))];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());
        Assert.Equal(0, torn);
        Assert.Equal(done.Max(d => d.End), cluster.Manager.Visible);
        Assert.All(done, d => Assert.Equal(d.End, cluster.Manager.CommitLsnOf(d.Xid)));
        Assert.Equal(cluster.Manager.NextXid, cluster.Manager.OldestRunningXid);
    }

    [Fact]
    public void A_transaction_that_changed_nothing_writes_nothing()
    {
        using var cluster = new TestCluster();
        Transaction tx = cluster.Manager.Begin();
        using (tx.TakeSnapshot())
        {
            Assert.False(tx.Commit().IsValid);
        }

        Assert.Empty(cluster.Log.Records);
    }

    [Fact]
    public void The_commit_record_has_children_files_and_invalidations()
    {
        using var cluster = new TestCluster();
        Transaction tx = cluster.Manager.Begin();
        tx.Database = new Oid(5);
        tx.DatabaseTablespace = RelFileNode.DefaultTablespace;
        Xid top = tx.Xid;
        tx.BeginSub("a");
        Xid kept = tx.Xid;
        var rel = new RelFileNode(RelFileNode.DefaultTablespace, new Oid(5), new Oid(16400));
        tx.DropFilesAtCommit(rel);
        byte[] message = [.. Enumerable.Range(1, 16).Select(i => (byte)i)];
        tx.AddInvalidation(message);
        tx.ReleaseSub();
        tx.BeginSub("b");
        Xid lost = tx.Xid;
        tx.DropFilesAtCommit(new RelFileNode(RelFileNode.DefaultTablespace, new Oid(5), new Oid(16401)));
        tx.AddInvalidation(new byte[16]);
        tx.AbortSub();
        tx.Commit();

        (_, _, Xid xid, Rmgr rmgr, byte info, byte[] body) = cluster.Log.Records[^1];
        XactEnd end = XactEnd.Read(info, body);
        Assert.Equal((top, Rmgr.Transaction), (xid, rmgr));
        Assert.Equal(XactEnd.HasInfo | XactEnd.SpecialRelUpdate, info);
        Assert.Equal([kept], end.Children.ToArray());
        Assert.Equal([rel], end.Files.ToArray());
        Assert.Equal(message, end.Invalidations.ToArray());
        Assert.Equal((new Oid(5), RelFileNode.DefaultTablespace), (end.Database, end.DatabaseTablespace));
        Assert.Equal(XidStatus.Aborted, cluster.Manager.StatusOf(lost));
        Assert.Equal(XidStatus.Committed, cluster.Manager.StatusOf(kept));
    }

    [Fact]
    public void A_released_savepoint_belongs_to_its_transaction_and_an_aborted_one_does_not()
    {
        using var cluster = new TestCluster();
        Transaction tx = cluster.Manager.Begin();
        tx.BeginSub("outer");
        tx.BeginSub("inner");
        Xid inner = tx.Xid;
        Xid top = tx.TopXidOrInvalid;
        Assert.True(top.Precedes(inner));
        tx.ReleaseSub();
        Xid outer = tx.XidOrInvalid;
        Assert.True(tx.IsOwn(inner) && tx.IsOwn(outer) && tx.IsOwn(top));
        tx.AbortSub();
        Assert.False(tx.IsOwn(inner));
        Assert.False(tx.IsOwn(outer));
        Assert.True(tx.IsOwn(top));
        Assert.Equal(XidStatus.Aborted, cluster.Manager.StatusOf(inner));
        tx.Commit();
        Assert.Equal(XidStatus.Committed, cluster.Manager.StatusOf(top));
    }

    [Fact]
    public void Every_64_subtransactions_an_assignment_is_logged()
    {
        using var cluster = new TestCluster();
        Transaction tx = cluster.Manager.Begin();
        for (int i = 0; i < 130; i++)
        {
            tx.BeginSub(null);
            _ = tx.Xid;
            tx.ReleaseSub();
        }

        Assert.Equal(2, cluster.Log.Records.Count(r => r.Rmgr == Rmgr.Transaction && r.Info == XactEnd.OpAssignment));
        tx.Abort();
    }
}
