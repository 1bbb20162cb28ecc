using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Unit.Transactions;

public sealed class HorizonTests
{
    [Fact]
    public void The_horizon_is_the_oldest_snapshot()
    {
        using var cluster = new TestCluster();
        cluster.Commit();
        Transaction reader = cluster.Manager.Begin();
        Snapshot first = reader.TakeSnapshot();
        cluster.Commit();
        Snapshot second = reader.TakeSnapshot();
        cluster.Commit();
        Assert.Equal(first.Lsn, cluster.Manager.Horizon);
        first.Dispose();
        Assert.Equal(second.Lsn, cluster.Manager.Horizon);
        second.Dispose();
        Assert.Equal(cluster.Manager.Visible, cluster.Manager.Horizon);
        reader.Commit();
    }

    [Fact]
    public void The_xid_horizon_stops_at_who_ran_at_the_horizon()
    {
        using var cluster = new TestCluster();
        Transaction running = cluster.Manager.Begin();
        Xid xid = running.Xid;
        cluster.Commit();
        cluster.Abort();
        Assert.Equal(xid, cluster.Manager.XidHorizon);
        Transaction reader = cluster.Manager.Begin();
        Snapshot before = reader.TakeSnapshot();
        running.Commit();
        Assert.Equal(xid, cluster.Manager.XidHorizon);
        before.Dispose();
        Assert.Equal(cluster.Manager.NextXid, cluster.Manager.XidHorizon);
    }

    [Fact]
    public void A_remote_reader_holds_the_horizon()
    {
        using var cluster = new TestCluster();
        cluster.Commit();
        Lsn held = cluster.Manager.Visible;
        cluster.Manager.RemoteHorizon = held;
        Xid later = cluster.Commit();
        Assert.Equal(held, cluster.Manager.Horizon);
        Assert.Equal(later, cluster.Manager.XidHorizon);
        cluster.Manager.RemoteHorizon = Lsn.Max;
        Assert.Equal(cluster.Manager.Visible, cluster.Manager.Horizon);
    }

    [Fact]
    public void While_the_horizon_lies_before_B_the_xid_horizon_is_the_oldest_of_the_cluster()
    {
        using var cluster = new TestCluster();
        cluster.Manager.RemoteHorizon = new Lsn(10);
        Assert.Equal(Xid.FirstNormal, cluster.Manager.XidHorizon);
        Assert.False(cluster.Manager.CommittedAtOrBefore(cluster.Commit(), cluster.Manager.Horizon));
    }

    [Fact]
    public void Cutting_the_map_changes_no_answer()
    {
        using var cluster = new TestCluster();
        var committed = new List<Xid>();
        var aborted = new List<Xid>();
        for (int i = 0; i < 9000; i++)
        {
            (i % 7 == 0 ? aborted : committed).Add(i % 7 == 0 ? cluster.Abort() : cluster.Commit());
        }

        long before = cluster.Manager.Map.Bytes;
        Assert.Equal(cluster.Manager.NextXid, cluster.Manager.XidHorizon);
        Assert.True(cluster.Manager.Map.Bytes <= before);
        Assert.Equal(1, cluster.Manager.Map.Bytes / (4096 * 8));
        Lsn now = cluster.Manager.Visible;
        Assert.All(committed, x => Assert.True(cluster.Manager.CommittedAtOrBefore(x, now)));
        Assert.All(aborted, x => Assert.False(cluster.Manager.CommittedAtOrBefore(x, now)));
    }

    /// <summary>A VACUUM freezes by the xid horizon of its beginning; what ended before that must be dead to it, also when others have cut the map since.</summary>
    [Fact]
    public void What_ended_before_a_horizon_is_committed_for_all_by_it_after_a_later_cut_too()
    {
        using var cluster = new TestCluster();
        Xid early = cluster.Commit();
        Xid limit = cluster.Manager.XidHorizon;
        Lsn horizon = cluster.Manager.Horizon;
        Assert.True(early.Precedes(limit));
        Assert.True(cluster.Manager.IsCommittedForAll(early, horizon));
        Xid late = cluster.Commit();
        Assert.False(cluster.Manager.IsCommittedForAll(late, horizon));
        for (int i = 0; i < 9000; i++)
        {
            cluster.Commit();
        }

        _ = cluster.Manager.XidHorizon;
        Assert.True(cluster.Manager.Map.Start > horizon);
        Assert.False(cluster.Manager.CommittedAtOrBefore(early, horizon), "the map still told when it ended: there was nothing to see");
        Assert.True(cluster.Manager.IsCommittedForAll(early, horizon));
        Assert.False(cluster.Manager.IsCommittedForAll(cluster.Abort(), horizon));
    }

    [Fact]
    public void No_snapshot_is_below_a_horizon_that_was_given()
    {
        using var cluster = new TestCluster();
        bool stop = false;
        int below = 0;
        Thread[] readers = [.. Enumerable.Range(0, 3).Select(_ => new Thread(() =>
        {
            while (!Volatile.Read(ref stop))
            {
                Lsn horizon = cluster.Manager.Horizon;
                using Snapshot s = cluster.Manager.TakeSnapshot();
                if (s.Lsn < horizon || cluster.Manager.Horizon > s.Lsn)
                {
                    Interlocked.Increment(ref below);
                }
            }
        }))];
        Array.ForEach(readers, t => t.Start());
        for (int i = 0; i < 5000; i++)
        {
            cluster.Commit();
        }

        Volatile.Write(ref stop, true);
        Array.ForEach(readers, t => t.Join());
        Assert.Equal(0, below);
    }
}
