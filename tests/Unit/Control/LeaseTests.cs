using SharedStorage.Control.Leases;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Control;

public sealed class LeaseTests
{
    private static readonly LeaseSettings Settings = new();
    private static readonly Lsn Flushed = new(10_000);

    private static TimeSpan At(double seconds) => TimeSpan.FromSeconds(seconds);

    private static ReaderTable NewTable(params string[] registered) => new(Settings, registered, At(0));

    private static ulong Activate(ReaderTable table, string name, ulong floor, double at)
    {
        ulong session = table.Join(name, 0, new Lsn(1), At(at));
        Assert.Equal(ActivationVerdict.Begun, table.BeginActivation(name, session, At(at)));
        Assert.True(table.SetFloor(name, session, new Lsn(floor), At(at)));
        return session;
    }

    private static Grant Acknowledge(ReaderTable table, string name, ulong session, ulong applied, double at, ulong flushed = 10_000, double ownLease = 5) =>
        table.Acknowledge(name, session, new ReaderReport(new Lsn(applied), new Lsn(applied), new Lsn(1)), new Lsn(flushed), At(ownLease), At(at));

    private static ReaderLease Active(ulong floor, double at)
    {
        var lease = new ReaderLease(Settings);
        lease.Joined(1, At(at));
        Assert.True(lease.ActivationGranted(1, new Lsn(floor), Settings.Lease, At(at)));
        lease.Tick(new Lsn(floor), Lsn.Max, At(at));
        Assert.Equal(LeaseState.Active, lease.State);
        return lease;
    }

    [Fact]
    public void Without_readers_nothing_holds_the_gate() => Assert.Equal(Lsn.Max, NewTable().LowestApplied);

    [Fact]
    public void A_reader_that_has_only_joined_is_not_counted()
    {
        ReaderTable table = NewTable();
        table.Join("a", 0, new Lsn(1), At(0));
        Assert.Equal(Lsn.Max, table.LowestApplied);
    }

    [Fact]
    public void Between_the_request_and_the_floor_nothing_may_be_flushed()
    {
        ReaderTable table = NewTable();
        ulong session = table.Join("a", 0, new Lsn(1), At(0));
        table.BeginActivation("a", session, At(0));
        Assert.Equal(Lsn.Invalid, table.LowestApplied);
        table.SetFloor("a", session, new Lsn(500), At(0));
        Assert.Equal(new Lsn(500), table.LowestApplied);
    }

    [Fact]
    public void The_floor_is_not_below_what_is_visible() => Assert.Equal(new Lsn(9), ReaderTable.Floor(new Lsn(7), new Lsn(9)));

    [Fact]
    public void The_slowest_reader_counts()
    {
        ReaderTable table = NewTable();
        ulong a = Activate(table, "a", 500, 0);
        Activate(table, "b", 700, 0);
        Acknowledge(table, "a", a, 900, 1);
        Assert.Equal(new Lsn(700), table.LowestApplied);
    }

    [Fact]
    public void A_late_acknowledgement_never_moves_a_position_back()
    {
        ReaderTable table = NewTable();
        ulong a = Activate(table, "a", 500, 0);
        Acknowledge(table, "a", a, 900, 1);
        Acknowledge(table, "a", a, 600, 1);
        Assert.Equal(new Lsn(900), table.LowestApplied);
    }

    [Fact]
    public void A_silent_reader_is_counted_for_one_lease_and_what_clocks_may_differ_by()
    {
        ReaderTable table = NewTable();
        Activate(table, "a", 500, 0);
        Assert.Empty(table.Tick(Flushed, At(5.099)));
        Assert.Equal(new Lsn(500), table.LowestApplied);
        Assert.Equal(["a"], table.Tick(Flushed, At(5.1)));
        Assert.Equal(Lsn.Max, table.LowestApplied);
    }

    [Fact]
    public void An_acknowledgement_after_the_lease_is_answered_with_eviction()
    {
        ReaderTable table = NewTable();
        ulong a = Activate(table, "a", 500, 0);
        Grant grant = Acknowledge(table, "a", a, 900, 5.1);
        Assert.True(grant.Evicted);
        Assert.False(grant.Given);
        Assert.Equal(Lsn.Max, table.LowestApplied);
    }

    [Fact]
    public void A_reader_that_acknowledges_but_does_not_move_is_not_renewed_past_the_limit()
    {
        ReaderTable table = NewTable();
        ulong a = Activate(table, "a", 500, 0);
        bool refused = false;
        for (double t = 1; t < 60 && !refused; t++)
        {
            refused = !Acknowledge(table, "a", a, 500, t).Given;
            Assert.True(refused || t <= 32);
        }

        Assert.True(refused);
        Assert.Equal(["a"], table.Tick(Flushed, At(70)));
    }

    [Fact]
    public void A_reader_too_many_bytes_behind_is_not_renewed()
    {
        ReaderTable table = NewTable();
        ulong a = Activate(table, "a", 500, 0);
        Assert.False(Acknowledge(table, "a", a, 600, 1, flushed: 3UL << 30).Given);
    }

    [Fact]
    public void A_request_that_was_held_up_does_not_move_what_a_reader_counts_for()
    {
        ReaderTable table = NewTable();
        ulong old = table.Join("a", 0, new Lsn(1), At(0));
        Activate(table, "a", 500, 1);
        Assert.Equal(ActivationVerdict.Refused, table.BeginActivation("a", old, At(2)));
        Assert.False(table.SetFloor("a", old, new Lsn(9000), At(2)));
        Assert.Equal(new Lsn(500), table.LowestApplied);
    }

    [Fact]
    public void A_doubled_request_gets_the_same_floor()
    {
        ReaderTable table = NewTable();
        ulong a = Activate(table, "a", 500, 0);
        Assert.Equal(ActivationVerdict.Repeated, table.BeginActivation("a", a, At(1)));
        Assert.Equal(new Lsn(500), table.FloorOf("a", a));
        Assert.Equal(new Lsn(500), table.LowestApplied);
    }

    [Fact]
    public void A_reader_that_joins_again_counts_where_it_was_until_its_old_lease_has_run_out()
    {
        ReaderTable table = NewTable();
        Activate(table, "a", 500, 0);
        Activate(table, "a", 9000, 1);
        Assert.Equal(new Lsn(500), table.LowestApplied);
        table.Tick(Flushed, At(5.1));
        Assert.Equal(new Lsn(9000), table.LowestApplied);
    }

    [Fact]
    public void A_reader_whose_link_broke_goes_on_with_its_lease()
    {
        ReaderTable table = NewTable();
        ulong a = Activate(table, "a", 500, 0);
        Assert.Equal(a, table.Join("a", a, new Lsn(1), At(3)));
        Assert.True(Acknowledge(table, "a", a, 600, 4).Given);
        Assert.NotEqual(a, table.Join("a", a, new Lsn(1), At(20)));
    }

    [Fact]
    public void A_farewell_of_a_former_life_changes_nothing()
    {
        ReaderTable table = NewTable();
        ulong old = table.Join("a", 0, new Lsn(1), At(0));
        ulong a = Activate(table, "a", 500, 1);
        Assert.False(table.Leave("a", old, At(2)));
        Assert.Equal(new Lsn(500), table.LowestApplied);
        Assert.True(table.Leave("a", a, At(2)));
        Assert.Equal(Lsn.Max, table.LowestApplied);
    }

    [Fact]
    public void A_reader_that_only_tails_keeps_its_log_for_as_long_as_it_is_heard_from()
    {
        ReaderTable table = NewTable();
        table.Join("a", 0, new Lsn(70), At(0));
        Assert.Equal(new Lsn(70), table.LowestWal);
        table.Tick(Flushed, At(6));
        Assert.Equal(Lsn.Max, table.LowestWal);
    }

    [Fact]
    public void Nothing_is_granted_beyond_the_writers_own_lease()
    {
        ReaderTable table = NewTable();
        ulong a = Activate(table, "a", 500, 0);
        Assert.Equal(At(2), Acknowledge(table, "a", a, 600, 1, ownLease: 2).Duration);
        Assert.False(Acknowledge(table, "a", a, 600, 2, ownLease: 0).Given);
    }

    [Fact]
    public void A_new_writer_honours_the_registered_readers_for_one_lease()
    {
        ReaderTable table = NewTable("a", "b");
        Assert.True(table.HonoursInherited);
        Assert.Equal(Lsn.Invalid, table.LowestApplied);
        table.Tick(Flushed, At(5));
        Assert.Equal(Lsn.Invalid, table.LowestApplied);
        table.Tick(Flushed, At(5.1));
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
    public void A_writer_that_follows_one_that_may_still_write_waits_without_readers_too()
    {
        var table = new ReaderTable(Settings, [], At(0), epoch: 3, formerMayWrite: true);
        Assert.Equal(Lsn.Invalid, table.LowestApplied);
        table.Tick(Flushed, At(5.1));
        Assert.Equal(Lsn.Max, table.LowestApplied);
    }

    [Fact]
    public void The_readers_lease_always_ends_before_the_writers()
    {
        // The reader sends at 1.0, the writer answers at 1.8, the grant arrives at 2.5.
        ReaderTable table = NewTable();
        ulong a = Activate(table, "a", 500, 0);
        ReaderLease lease = Active(500, 0);
        lease.Sent(1, At(1.0));
        Grant grant = Acknowledge(table, "a", a, 900, 1.8);
        lease.Granted(1, grant.Duration);
        Assert.Equal(At(6.0), lease.LeaseEnd);
        Assert.Empty(table.Tick(Flushed, At(6.89)));
        Assert.Equal(["a"], table.Tick(Flushed, At(6.9)));
    }

    [Fact]
    public void A_reader_serves_only_once_the_floor_is_applied()
    {
        var lease = new ReaderLease(Settings);
        lease.Joined(1, At(0));
        Assert.True(lease.MayApply(Lsn.Max, At(0)));
        Assert.False(lease.MayServe);
        lease.ActivationGranted(1, new Lsn(500), Settings.Lease, At(0));
        lease.Tick(new Lsn(499), Lsn.Max, At(1));
        Assert.False(lease.MayServe);
        lease.Tick(new Lsn(500), Lsn.Max, At(1));
        Assert.True(lease.MayServe);
        Assert.True(lease.MayOpen(new Lsn(500)));
        Assert.False(lease.MayOpen(new Lsn(499)));
    }

    [Fact]
    public void A_lapsed_reader_freezes_and_in_the_end_stops_answering()
    {
        ReaderLease lease = Active(500, 0);
        Assert.False(lease.MayApply(Lsn.Max, At(5)));
        lease.Tick(new Lsn(500), Lsn.Max, At(5));
        Assert.Equal(LeaseState.Frozen, lease.State);
        Assert.True(lease.MayServe);
        lease.Tick(new Lsn(500), Lsn.Max, At(605));
        Assert.False(lease.MayServe);
        Assert.Equal(ReadVerdict.Ended, lease.Judge(new Lsn(1), missing: false, new Lsn(500)));
    }

    [Fact]
    public void A_frozen_reader_takes_only_pages_that_show_nothing_later()
    {
        ReaderLease lease = Active(500, 0);
        Assert.Equal(ReadVerdict.Take, lease.Judge(Lsn.Invalid, missing: true, new Lsn(500)));
        lease.Tick(new Lsn(500), Lsn.Max, At(5));
        Assert.Equal(ReadVerdict.Take, lease.Judge(new Lsn(500), missing: false, new Lsn(500)));
        Assert.Equal(ReadVerdict.MayBeLater, lease.Judge(new Lsn(501), missing: false, new Lsn(500)));
        Assert.Equal(ReadVerdict.MayBeLater, lease.Judge(Lsn.Invalid, missing: false, new Lsn(500)));
        Assert.Equal(ReadVerdict.MayBeLater, lease.Judge(new Lsn(1), missing: true, new Lsn(500)));
    }

    [Fact]
    public void A_late_grant_shows_that_the_reader_was_counted_all_along()
    {
        ReaderLease lease = Active(500, 0);
        lease.Sent(1, At(4));
        lease.Tick(new Lsn(500), Lsn.Max, At(5));
        Assert.Equal(LeaseState.Frozen, lease.State);
        lease.Granted(1, Settings.Lease);
        lease.Tick(new Lsn(500), Lsn.Max, At(6));
        Assert.Equal(LeaseState.Active, lease.State);
    }

    [Fact]
    public void An_evicted_reader_applies_nothing_while_an_old_snapshot_is_open()
    {
        ReaderLease lease = Active(500, 0);
        lease.Evicted(1);
        Assert.False(lease.MayApply(new Lsn(500), At(1)));
        Assert.Equal(Lsn.Max, lease.MustEndBelow);
        Assert.Equal(ReadVerdict.MayBeLater, lease.Judge(new Lsn(501), missing: false, new Lsn(500)));
        Assert.True(lease.MayApply(Lsn.Max, At(1)));
    }

    [Fact]
    public void A_reader_that_comes_back_ends_just_the_snapshots_below_its_floor()
    {
        ReaderLease lease = Active(500, 0);
        lease.Joined(2, At(1));
        Assert.Equal(LeaseState.Frozen, lease.State);
        Assert.True(lease.ActivationGranted(2, new Lsn(800), Settings.Lease, At(1)));
        Assert.Equal(new Lsn(800), lease.MustEndBelow);
        Assert.False(lease.MayApply(new Lsn(799), At(2)));
        Assert.True(lease.MayApply(new Lsn(800), At(2)));
        lease.Tick(applied: new Lsn(800), oldestSnapshot: new Lsn(799), At(2));
        Assert.Equal(LeaseState.Activated, lease.State);
        lease.Tick(applied: new Lsn(800), oldestSnapshot: new Lsn(800), At(2));
        Assert.Equal(LeaseState.Active, lease.State);
    }

    [Fact]
    public void A_reader_relies_on_its_old_lease_no_more_once_another_session_begins()
    {
        ReaderLease lease = Active(500, 0);
        lease.Sent(1, At(1));
        lease.Joined(2, At(1));
        lease.Granted(1, Settings.Lease);
        lease.Tick(new Lsn(500), Lsn.Max, At(2));
        Assert.Equal(LeaseState.Frozen, lease.State);
        Assert.False(lease.MayApply(Lsn.Max, At(2)));
    }

    [Fact]
    public void A_grant_for_a_forgotten_or_unknown_message_is_ignored()
    {
        ReaderLease lease = Active(500, 0);
        lease.Granted(7, At(100));
        lease.Granted(0, At(100));
        Assert.Equal(At(5), lease.LeaseEnd);
    }

    [Fact]
    public void An_answer_to_a_join_that_was_overtaken_changes_nothing()
    {
        ReaderLease lease = Active(500, 0);
        lease.Joined(3, At(1));
        lease.Joined(2, At(1));
        Assert.Equal(3UL, lease.Session);
        Assert.True(lease.AwaitsActivation);
    }

    [Fact]
    public void An_activation_is_granted_once_a_session()
    {
        ReaderLease lease = Active(500, 0);
        Assert.False(lease.ActivationGranted(1, new Lsn(100), Settings.Lease, At(9)));
        Assert.False(lease.ActivationGranted(7, new Lsn(100), Settings.Lease, At(9)));
        Assert.Equal(new Lsn(500), lease.Floor);
    }

    [Fact]
    public void A_lower_epoch_is_refused()
    {
        var lease = new ReaderLease(Settings);
        Assert.True(lease.AcceptEpoch(3));
        Assert.True(lease.AcceptEpoch(3));
        Assert.False(lease.AcceptEpoch(2));
        Assert.True(lease.AcceptEpoch(4));
        Assert.True(ReaderTable.AcceptsEpoch(2, 3, joins: true));
        Assert.False(ReaderTable.AcceptsEpoch(2, 3, joins: false));
        Assert.False(ReaderTable.AcceptsEpoch(4, 3, joins: true));
    }

    [Fact]
    public void Contradicting_settings_are_refused()
    {
        Assert.Throws<ArgumentException>(() => (Settings with { Renewal = TimeSpan.FromSeconds(4) }).Validated());
        Assert.Throws<ArgumentException>(() => (Settings with { EvictionTime = TimeSpan.FromSeconds(1) }).Validated());
    }
}
