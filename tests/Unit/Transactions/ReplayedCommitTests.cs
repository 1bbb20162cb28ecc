using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Wal.Records;

namespace SharedStorage.Unit.Transactions;

/// <summary>I6 on a node that applies: sessions look transactions up while the tail makes their commits known.</summary>
public sealed class ReplayedCommitTests
{
    /// <summary>Their statuses fit one page of clog: there is no record that makes the next.</summary>
    private const int Commits = 30_000;
    private const uint FirstXid = 1000;

    [Fact]
    public void A_commit_that_is_being_replayed_is_never_seen_by_an_older_snapshot()
    {
        using var cluster = new TestCluster(FirstXid, writer: false);
        TransactionManager manager = cluster.Manager;
        int next = 0, wrong = 0;
        Thread[] sessions = [.. Enumerable.Range(0, 2).Select(_ => new Thread(() =>
        {
            while (Volatile.Read(ref next) is var n && n < Commits)
            {
                // The record of this one ends later than the snapshot, whether it is replayed by now or not.
                if (manager.CommittedAtOrBefore(new Xid(FirstXid + (uint)n), End(n - 1)))
                {
                    Interlocked.Increment(ref wrong);
                }
            }
        }))];
        Array.ForEach(sessions, t => t.Start());
        for (int i = 0; i < Commits; i++)
        {
            manager.ApplyCommit(new Xid(FirstXid + (uint)i), new XactEnd(), 0, End(i - 1), End(i));
            Volatile.Write(ref next, i + 1);
        }

        Array.ForEach(sessions, t => t.Join());
        Assert.Equal(0, wrong);
        Assert.True(manager.CommittedAtOrBefore(new Xid(FirstXid), End(0)));
    }

    private static Lsn End(int commit) => new(2_000_000 + ((ulong)(commit + 1) * 128));
}
