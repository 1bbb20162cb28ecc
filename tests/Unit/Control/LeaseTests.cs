using SharedStorage.Control.Leases;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Control;

public sealed class LeaseTests
{
    private static readonly LeaseSettings Settings = new();
    private static readonly Lsn Flushed = new(10_000);

    private static TimeSpan At(double seconds) => TimeSpan.FromSeconds(seconds);

    private static ReaderTable NewTable(params string[] registered) => new(Settings, registered, At(0));

    private static void Activate(ReaderTable table, string name, ulong floor, double at)
    {
        table.Join(name, At(at));
        table.BeginActivation(name, At(at));
        table.SetFloor(name, new Lsn(floor), At(at));
    }

    [Fact]
    public void Without_readers_nothing_holds_the_gate() => Assert.Equal(Lsn.Max, NewTable().LowestApplied);

    [Fact]
    public void A_reader_that_has_only_joined_is_not_counted()
    {
        ReaderTable table = NewTable();
        table.Join("a", At(0));
        Assert.Equal(Lsn.Max, table.LowestApplied);
    }

    [Fact]
    public void Between_the_request_and_the_floor_nothing_may_be_flushed()
    {
        ReaderTable table = NewTable();
        table.Join("a", At(0));
        table.BeginActivation("a", At(0));
        Assert.Equal(Lsn.Invalid, table.LowestApplied);
        table.SetFloor("a", new Lsn(500), At(0));
        Assert.Equal(new Lsn(500), table.LowestApplied);
    }

    [Fact]
    public void The_slowest_reader_counts()
    {
        ReaderTable table = NewTable();
        Activate(table, "a", 500, 0);
        Activate(table, "b", 700, 0);
        table.Acknowledge("a", new Lsn(900), new Lsn(900), new Lsn(1), Flushed, At(1));
        Assert.Equal(new Lsn(700), table.LowestApplied);
    }

    [Fact]
    public void A_late_acknowledgement_never_moves_a_position_back()
    {
        ReaderTable table = NewTable();
        Activate(table, "a", 500, 0);
        table.Acknowledge("a", new Lsn(900), new Lsn(900), new Lsn(1), Flushed, At(1));
        table.Acknowledge("a", new Lsn(600), new Lsn(600), new Lsn(1), Flushed, At(1));
        Assert.Equal(new Lsn(900), table.LowestApplied);
    }

    [Fact]
    public void A_silent_reader_is_counted_for_one_lease_and_no_longer()
    {
        ReaderTable table = NewTable();
        Activate(table, "a", 500, 0);
        Assert.Empty(table.Tick(Flushed, At(4.999)));
        Assert.Equal(new Lsn(500), table.LowestApplied);
        Assert.Equal(["a"], table.Tick(Flushed, At(5)));
        Assert.Equal(Lsn.Max, table.LowestApplied);
    }

    [Fact]
    public void An_acknowledgement_after_the_lease_is_answered_with_eviction()
    {
        ReaderTable table = NewTable();
        Activate(table, "a", 500, 0);
        Grant grant = table.Acknowledge("a", new Lsn(900), new Lsn(900), new Lsn(1), Flushed, At(5));
        Assert.True(grant.Evicted);
        Assert.False(grant.Given);
        Assert.Equal(Lsn.Max, table.LowestApplied);
    }

    [Fact]
    public void A_reader_that_acknowledges_but_does_not_move_is_not_renewed_past_the_limit()
    {
        ReaderTable table = NewTable();
        Activate(table, "a", 500, 0);
        bool refused = false;
        for (double t = 1; t < 60 && !refused; t++)
        {
            Grant grant = table.Acknowledge("a", new Lsn(500), new Lsn(500), new Lsn(1), Flushed, At(t));
            refused = !grant.Given;
            Assert.True(refused || t <= 32);
        }

        Assert.True(refused);
        Assert.Equal(["a"], table.Tick(Flushed, At(70)));
    }

    [Fact]
    public void A_reader_too_many_bytes_behind_is_not_renewed()
    {
        ReaderTable table = NewTable();
        Activate(table, "a", 500, 0);
        Assert.False(table.Acknowledge("a", new Lsn(600), new Lsn(600), new Lsn(1), new Lsn(3UL << 30), At(1)).Given);
    }

    [Fact]
    public void A_new_writer_honours_the_registered_readers_for_one_lease()
    {
        ReaderTable table = NewTable("a", "b");
        Assert.True(table.HonoursInherited);
        Assert.Equal(Lsn.Invalid, table.LowestApplied);
        table.Tick(Flushed, At(4.9));
        Assert.Equal(Lsn.Invalid, table.LowestApplied);
        table.Tick(Flushed, At(5));
        Assert.Equal(Lsn.Max, table.LowestApplied);
    }

    [Fact]
    public void A_new_writer_goes_on_when_all_registered_readers_are_back()
    {
        ReaderTable table = NewTable("a", "b");
        Activate(table, "a", 500, 1);
        Assert.True(table.HonoursInherited);
        Activate(table, "b", 600, 1);
        Assert.False(table.HonoursInherited);
        Assert.Equal(new Lsn(500), table.LowestApplied);
    }

    [Fact]
    public void The_readers_lease_always_ends_before_the_writers()
    {
        // The reader sends at 1.0, the writer answers at 1.8, the grant arrives at 2.5.
        ReaderTable table = NewTable();
        var lease = new ReaderLease(Settings);
        table.Join("a", At(0));
        table.BeginActivation("a", At(0));
        table.SetFloor("a", new Lsn(500), At(0));
        lease.Joined();
        lease.ActivationGranted(new Lsn(500), At(0));
        lease.Sent(1, At(1.0));
        Grant grant = table.Acknowledge("a", new Lsn(900), new Lsn(900), new Lsn(1), Flushed, At(1.8));
        lease.Granted(1, grant.Duration);
        Assert.Equal(At(6.0), lease.LeaseEnd);
        Assert.Empty(table.Tick(Flushed, At(6.5)));
        Assert.Equal(["a"], table.Tick(Flushed, At(6.8)));
    }

    [Fact]
    public void A_reader_serves_only_once_the_floor_is_applied()
    {
        var lease = new ReaderLease(Settings);
        lease.Joined();
        Assert.True(lease.MayApply(At(0)));
        Assert.False(lease.MayServe);
        lease.ActivationGranted(new Lsn(500), At(0));
        lease.Tick(new Lsn(499), At(1));
        Assert.False(lease.MayServe);
        lease.Tick(new Lsn(500), At(1));
        Assert.True(lease.MayServe);
    }

    [Fact]
    public void A_lapsed_reader_freezes_and_in_the_end_stops_answering()
    {
        var lease = new ReaderLease(Settings);
        lease.Joined();
        lease.ActivationGranted(new Lsn(500), At(0));
        lease.Tick(new Lsn(500), At(1));
        Assert.False(lease.MayApply(At(5)));
        lease.Tick(new Lsn(500), At(5));
        Assert.Equal(LeaseState.Frozen, lease.State);
        Assert.True(lease.MayServe);
        lease.Tick(new Lsn(500), At(605));
        Assert.False(lease.MayServe);
    }

    [Fact]
    public void A_grant_for_a_forgotten_or_unknown_message_is_ignored()
    {
        var lease = new ReaderLease(Settings);
        lease.Joined();
        lease.ActivationGranted(new Lsn(500), At(0));
        lease.Granted(7, At(100));
        lease.Granted(0, At(100));
        Assert.Equal(At(5), lease.LeaseEnd);
    }

    [Fact]
    public void A_lower_epoch_is_refused()
    {
        var lease = new ReaderLease(Settings);
        Assert.True(lease.AcceptEpoch(3));
        Assert.True(lease.AcceptEpoch(3));
        Assert.False(lease.AcceptEpoch(2));
        Assert.True(lease.AcceptEpoch(4));
    }

    [Fact]
    public void Contradicting_settings_are_refused()
    {
        Assert.Throws<ArgumentException>(() => (Settings with { Renewal = TimeSpan.FromSeconds(4) }).Validated());
        Assert.Throws<ArgumentException>(() => (Settings with { EvictionTime = TimeSpan.FromSeconds(1) }).Validated());
    }
}
