using SharedStorage.Buffers;
using SharedStorage.Format.Slru;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Multi;
using SharedStorage.Wal;

namespace SharedStorage.Unit.Transactions;

public sealed class SlruTests
{
    [Fact]
    public void Statuses_are_on_disk_as_PostgreSQL_keeps_them()
    {
        using var cluster = new TestCluster(nextXid: 1000);
        for (int i = 0; i < 8; i++)
        {
            _ = i % 3 == 2 ? cluster.Abort() : cluster.Commit();
        }

        Assert.True(cluster.Manager.FlushAreas(new OpenGate(), Lsn.Max));
        byte[] page = File.ReadAllBytes(Path.Combine(cluster.Directory, "pg_xact/0000"));

        // From xid 1000 on, the lowest bits first: committed, committed, aborted, committed; committed, aborted, committed, committed.
        Assert.Equal(new byte[] { 0b01_10_01_01, 0b01_01_10_01, 0 }, page[250..253]);
    }

    [Fact]
    public void The_first_xid_of_a_page_makes_the_page_with_a_record()
    {
        using var cluster = new TestCluster(nextXid: 32767);
        Xid last = cluster.Commit();
        Xid first = cluster.Commit();
        Assert.Equal((32767u, 32768u), (last.Value, first.Value));
        (Lsn Start, Lsn End, Xid Xid, Rmgr Rmgr, byte Info, byte[] Body) zero = Assert.Single(cluster.Log.Records, r => r.Rmgr == Rmgr.Clog);
        Assert.Equal((Clog.OpZeroPage, 1u), (zero.Info, BitConverter.ToUInt32(zero.Body)));
        Assert.Equal(XidStatus.Committed, cluster.Manager.Clog.Get(first));
    }

    [Fact]
    public void A_page_ahead_of_a_reader_is_not_written_and_its_copy_is_when_the_reader_has_passed()
    {
        using var cluster = new TestCluster();
        string file = Path.Combine(cluster.Directory, "pg_xact/0000");
        Lsn applied = cluster.Manager.Visible;
        Xid early = cluster.Commit();
        Lsn first = cluster.Manager.Visible;
        var gate = new OpenGate { LowestApplied = applied };
        Assert.False(cluster.Manager.FlushAreas(gate, Lsn.Max));
        Assert.DoesNotContain(File.ReadAllBytes(file), b => b != 0);
        Assert.True(cluster.Manager.OldestUnflushed() < first);

        Xid late = cluster.Commit();
        gate.LowestApplied = first;
        Assert.False(cluster.Manager.FlushAreas(gate, Lsn.Max));
        byte[] page = File.ReadAllBytes(file);
        Assert.Equal((byte)XidStatus.Committed, ClogLayout.Get(page, early));
        Assert.Equal((byte)XidStatus.InProgress, ClogLayout.Get(page, late));
        Assert.True(cluster.Manager.OldestUnflushed() >= first);

        gate.LowestApplied = Lsn.Max;
        Assert.True(cluster.Manager.FlushAreas(gate, Lsn.Max));
        Assert.Equal((byte)XidStatus.Committed, ClogLayout.Get(File.ReadAllBytes(file), late));
        Assert.Equal(Lsn.Max, cluster.Manager.OldestUnflushed());
        Assert.Equal(cluster.Manager.Visible, cluster.Manager.Written);
    }

    [Fact]
    public void A_page_that_never_stops_changing_does_not_hold_what_lies_before_a_position()
    {
        using var cluster = new TestCluster();
        var gate = new OpenGate { LowestApplied = cluster.Manager.Visible };
        cluster.Commit();
        Lsn redo = cluster.Log.Reserved;
        bool done = false;
        for (int i = 0; i < 3 && !done; i++)
        {
            // The readers are always one commit behind.
            Lsn applied = cluster.Manager.Visible;
            cluster.Commit();
            gate.LowestApplied = applied;
            done = cluster.Manager.FlushAreas(gate, redo);
        }

        Assert.True(done);
        Assert.True(cluster.Manager.OldestUnflushed() >= redo);
        Assert.NotEqual(Lsn.Max, cluster.Manager.OldestUnflushed());
    }

    [Fact]
    public void The_log_is_flushed_before_a_page()
    {
        using var cluster = new TestCluster();
        cluster.Abort();
        Lsn end = cluster.Log.Reserved;
        Assert.True(cluster.Log.Flushed < end);
        Assert.True(cluster.Manager.FlushAreas(new WalFirstGate(cluster.Log), Lsn.Max));
        Assert.True(cluster.Log.Flushed >= end);
    }

    [Fact]
    public void What_a_crashed_writer_left_beyond_the_next_xid_is_cleared()
    {
        using var cluster = new TestCluster(writer: false);
        byte[] page = new byte[8192];
        Array.Fill(page, (byte)0x55);
        File.WriteAllBytes(Path.Combine(cluster.Directory, "pg_xact/0000"), page);
        TransactionManager manager = TestCluster.Open(cluster.Directory, nextXid: 1002, readOnly: false);
        manager.OpenForWrites(cluster.Log);
        Assert.Equal(XidStatus.Committed, manager.Clog.Get(new Xid(1001)));
        Assert.Equal(XidStatus.InProgress, manager.Clog.Get(new Xid(1002)));
        Assert.Equal(XidStatus.InProgress, manager.Clog.Get(new Xid(32767)));
    }

    [Fact]
    public void A_reader_writes_nothing()
    {
        using var cluster = new TestCluster(writer: false);
        Assert.Throws<InvariantException>(() => cluster.Manager.Clog.Cache.Files.OpenForWrite(0));
        Assert.Throws<InvariantException>(() => cluster.Manager.Clog.Cache.Files.Delete(0));
        Assert.Equal(SqlStates.ReadOnlySqlTransaction, Assert.Throws<PgException>(() => cluster.Manager.Begin().Xid).SqlState);
    }

    [Fact]
    public void A_multixact_is_read_back_from_its_pages()
    {
        using var cluster = new TestCluster();
        Transaction one = cluster.Manager.Begin();
        Transaction two = cluster.Manager.Begin();
        MultiXacts multis = cluster.Manager.MultiXacts;
        MultiXactId multi = multis.Create(one.Xid, MultiXactStatus.ForKeyShare, two.Xid, MultiXactStatus.NoKeyUpdate);
        MultiXactId third = multis.Create([new MultiXactMember(one.Xid, MultiXactStatus.ForShare)]);
        Assert.Equal(two.Xid, multis.GetUpdater(multi));
        Assert.Equal(Xid.Invalid, multis.GetUpdater(third));
        Assert.True(multis.IsRunning(multi, onlyLockers: false));
        Assert.Equal(multi, multis.OldestRunning);
        two.Commit();
        one.Abort();
        Assert.False(multis.IsRunning(multi, onlyLockers: false));
        Assert.Equal(multis.Next, multis.OldestRunning);
        Assert.True(cluster.Manager.FlushAreas(new OpenGate(), Lsn.Max));

        var limits = new TransactionStart
        {
            NextXid = cluster.Manager.NextFullXid,
            OldestXid = Xid.FirstNormal,
            OldestXidDatabase = new Oid(1),
            MultiXacts = multis.Limits,
            Begin = new Lsn(1_000_000),
        };
        TransactionManager again = TestCluster.Open(cluster.Directory, 1, readOnly: true);
        again.Start(limits);
        Assert.Equal(
            [new MultiXactMember(one.TopXidOrInvalid, MultiXactStatus.ForKeyShare), new MultiXactMember(two.TopXidOrInvalid, MultiXactStatus.NoKeyUpdate)],
            again.MultiXacts.GetMembers(multi, onlyLockers: false));
        Assert.Single(again.MultiXacts.GetMembers(third, onlyLockers: false));
        Assert.Throws<StorageException>(() => again.MultiXacts.GetMembers(third.Next(), onlyLockers: false));
    }

    [Fact]
    public void Expanding_drops_members_that_ended_without_a_change()
    {
        using var cluster = new TestCluster();
        Transaction locker = cluster.Manager.Begin();
        Transaction updater = cluster.Manager.Begin();
        MultiXacts multis = cluster.Manager.MultiXacts;
        MultiXactId multi = multis.Create(locker.Xid, MultiXactStatus.ForKeyShare, updater.Xid, MultiXactStatus.NoKeyUpdate);
        Assert.Equal(multi, multis.Expand(multi, locker.Xid, MultiXactStatus.ForKeyShare));
        locker.Commit();
        updater.Commit();
        Transaction late = cluster.Manager.Begin();
        MultiXactId wider = multis.Expand(multi, late.Xid, MultiXactStatus.ForKeyShare);
        Assert.Equal([updater.TopXidOrInvalid, late.Xid], multis.GetMembers(wider, onlyLockers: false).Select(m => m.Xid));
        late.Abort();
    }

    [Fact]
    public void Multixacts_over_many_pages_zero_each_page_first()
    {
        using var cluster = new TestCluster();
        Transaction tx = cluster.Manager.Begin();
        MultiXacts multis = cluster.Manager.MultiXacts;
        for (int i = 0; i < 2100; i++)
        {
            multis.Create([new MultiXactMember(tx.Xid, MultiXactStatus.ForShare), new MultiXactMember(new Xid(500), MultiXactStatus.ForKeyShare)]);
        }

        uint[] Pages(byte op) => [.. cluster.Log.Records.Where(r => r.Rmgr == Rmgr.MultiXact && r.Info == op).Select(r => BitConverter.ToUInt32(r.Body))];
        Assert.Equal([1u], Pages(MultiXacts.OpZeroOffsetsPage));
        Assert.Equal([0u, 1u, 2u], Pages(MultiXacts.OpZeroMembersPage));
        tx.Commit();
    }

    [Theory]
    [InlineData("0000", true, 0u)]
    [InlineData("0A1F", true, 0xA1Fu)]
    [InlineData("14078", true, 0x14078u)]
    [InlineData("0a1f", false, 0u)]
    [InlineData("000", false, 0u)]
    [InlineData("0000.tmp", false, 0u)]
    public void Segment_names_are_read(string name, bool valid, uint segment)
    {
        Assert.Equal(valid, SlruLayout.TryParseSegmentName(name, out uint found));
        Assert.Equal(segment, valid ? found : 0);
    }

    private sealed class WalFirstGate(ITransactionLog log) : IFlushGate
    {
        public Lsn LowestApplied => Lsn.Max;

        public FlushVerdict Judge(Lsn pageLsn) => pageLsn <= log.Flushed ? FlushVerdict.Write : FlushVerdict.FlushLogFirst;
    }
}
