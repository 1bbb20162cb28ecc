using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Unit.Transactions;

/// <summary>R4 and I7 where a snapshot is opened on a node that applies: what is decided between the look at visible and the registration counts.</summary>
public sealed class SnapshotAdmissionTests
{
    private sealed class Admission(TestCluster cluster) : ISnapshotAdmission
    {
        public Lsn Floor { get; set; }
        public bool Refuses { get; set; }
        public List<Lsn> Asked { get; } = [];

        public bool MayOpen(Lsn snapshot)
        {
            // Whoever ends snapshots looks at this: the one that is asked about is there.
            Assert.Equal(snapshot, cluster.Manager.OldestSnapshot);
            Asked.Add(snapshot);
            return snapshot >= Floor;
        }

        public void Await()
        {
            Assert.Equal(Lsn.Max, cluster.Manager.OldestSnapshot);
            if (Refuses)
            {
                throw new PgException(SqlStates.CannotConnectNow, "no lease");
            }

            cluster.Commit();
        }
    }

    [Fact]
    public void A_snapshot_below_the_floor_is_taken_again()
    {
        using var cluster = new TestCluster();
        cluster.Commit();
        var admission = new Admission(cluster) { Floor = new Lsn(cluster.Manager.Visible.Value + 1) };
        cluster.Manager.Admission = admission;
        using Snapshot snapshot = cluster.Manager.TakeSnapshot();
        Assert.True(snapshot.Lsn >= admission.Floor);
        Assert.Equal(2, admission.Asked.Count);
    }

    [Fact]
    public void A_refused_snapshot_leaves_nothing_open()
    {
        using var cluster = new TestCluster();
        cluster.Commit();
        cluster.Manager.Admission = new Admission(cluster) { Floor = Lsn.Max, Refuses = true };
        Assert.Throws<PgException>(() => cluster.Manager.TakeSnapshot());
        Transaction tx = cluster.Manager.Begin();
        Assert.Throws<PgException>(() => tx.TakeSnapshot());
        tx.Abort();
        Assert.Equal(Lsn.Max, cluster.Manager.OldestSnapshot);
    }
}
