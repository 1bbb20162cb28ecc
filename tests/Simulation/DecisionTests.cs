using SharedStorage.Buffers;
using SharedStorage.Primitives;
using SharedStorage.Reader.Follow;
using SharedStorage.Writer.Fencing;
using SharedStorage.Writer.Files;
using SharedStorage.Writer.Flush;

namespace SharedStorage.Simulation;

/// <summary>The writer's and the reader's pure decisions, one by one.</summary>
public sealed class DecisionTests
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(5);

    private static TimeSpan At(double seconds) => TimeSpan.FromSeconds(seconds);

    private static WriterTerm Term(double renewedAt)
    {
        var term = new WriterTerm(3, Lease, At(renewedAt));
        Assert.True(term.MayRenew(At(renewedAt), highest: 3));
        Assert.True(term.Renewed(At(renewedAt), At(renewedAt)));
        return term;
    }

    [Theory]
    [InlineData(10UL, 20UL, 20UL, true, FlushVerdict.Write)]
    [InlineData(20UL, 20UL, 20UL, true, FlushVerdict.Write)]
    [InlineData(21UL, 20UL, 30UL, true, FlushVerdict.FlushLogFirst)]
    [InlineData(21UL, 30UL, 20UL, true, FlushVerdict.AheadOfReader)]
    [InlineData(21UL, 20UL, 20UL, true, FlushVerdict.AheadOfReader)]
    [InlineData(10UL, 20UL, 20UL, false, FlushVerdict.Fenced)]
    public void The_gate_judges_by_log_readers_and_lease(ulong page, ulong flushed, ulong applied, bool mayWrite, FlushVerdict verdict) =>
        Assert.Equal(verdict, FlushGate.Decide(new Lsn(page), new Lsn(flushed), new Lsn(applied), mayWrite));

    [Fact]
    public void A_term_is_held_for_one_lease_from_before_its_renewal()
    {
        WriterTerm term = Term(1);
        Assert.True(term.IsHeld(At(5.999)));
        Assert.Equal(At(2), term.Left(At(4)));
        Assert.False(term.IsHeld(At(6)));
    }

    [Fact]
    public void A_term_that_ran_out_is_never_renewed()
    {
        WriterTerm term = Term(1);
        Assert.False(term.MayRenew(At(6), highest: 3));
        Assert.NotNull(term.LostBecause);
        Assert.False(term.MayRenew(At(2), highest: 3));
        Assert.Equal(TimeSpan.Zero, term.Left(At(2)));
    }

    [Fact]
    public void A_renewal_that_reaches_storage_after_the_term_that_it_prolongs_does_not_count()
    {
        WriterTerm late = Term(1);
        Assert.True(late.MayRenew(At(5.5), highest: 3));
        Assert.False(late.Renewed(At(5.5), At(6)));
        Assert.False(late.IsHeld(At(6)));

        WriterTerm first = new(3, Lease, At(1));
        Assert.True(first.MayRenew(At(5), highest: 3));
        Assert.False(first.Renewed(At(5), At(6.5)));
        Assert.False(first.IsHeld(At(6.5)));

        WriterTerm inTime = Term(1);
        Assert.True(inTime.MayRenew(At(5.5), highest: 3));
        Assert.True(inTime.Renewed(At(5.5), At(5.9)));
        Assert.True(inTime.IsHeld(At(10.4)));
    }

    [Fact]
    public void A_higher_epoch_ends_a_term()
    {
        WriterTerm term = Term(1);
        Assert.False(term.MayRenew(At(2), highest: 4));
        Assert.False(term.IsHeld(At(2)));
    }

    [Fact]
    public void A_storage_that_no_writer_had_is_free() =>
        Assert.Equal(ClaimVerdict.FreeAndDead, new ClaimWatch(Lease).See(default, At(0)));

    [Fact]
    public void A_writer_that_let_go_or_died_here_is_not_waited_for()
    {
        Assert.Equal(ClaimVerdict.FreeAndDead, new ClaimWatch(Lease).See(new FormerSighting(4, 4, 9, Released: true, ProcessIsDead: false, Opened: true), At(0)));
        Assert.Equal(ClaimVerdict.FreeAndDead, new ClaimWatch(Lease).See(new FormerSighting(4, 4, 9, Released: false, ProcessIsDead: true, Opened: true), At(0)));
    }

    [Fact]
    public void A_writer_that_died_before_it_opened_does_not_speak_for_the_one_before()
    {
        var watch = new ClaimWatch(Lease);
        var died = new FormerSighting(4, 4, 9, Released: false, ProcessIsDead: true, Opened: false);
        Assert.Equal(ClaimVerdict.Wait, watch.See(died, At(0)));
        Assert.Equal(ClaimVerdict.FreeAfterSilence, watch.See(died, At(5)));
    }

    [Fact]
    public void Another_hosts_writer_is_given_a_lease_of_silence()
    {
        var watch = new ClaimWatch(Lease);
        var silent = new FormerSighting(4, 4, 9, Released: false, ProcessIsDead: false, Opened: true);
        Assert.Equal(ClaimVerdict.Wait, watch.See(silent, At(10)));
        Assert.Equal(ClaimVerdict.Wait, watch.See(silent, At(14.9)));
        Assert.Equal(ClaimVerdict.FreeAfterSilence, watch.See(silent, At(15)));
        Assert.Equal(4UL, watch.After);
    }

    [Fact]
    public void A_writer_that_renews_or_claims_meanwhile_holds_the_storage()
    {
        var first = new FormerSighting(4, 4, 9, Released: false, ProcessIsDead: false, Opened: true);
        var watch = new ClaimWatch(Lease);
        watch.See(first, At(0));
        Assert.Equal(ClaimVerdict.Held, watch.See(first with { Renewal = 10 }, At(1)));
        Assert.Equal(ClaimVerdict.Held, watch.See(first with { HighestEpoch = 5 }, At(1)));
    }

    [Fact]
    public void An_epoch_without_a_lease_file_is_a_writer_that_starts()
    {
        var watch = new ClaimWatch(Lease);
        var starting = new FormerSighting(5, 4, 9, Released: true, ProcessIsDead: true, Opened: true);
        Assert.Equal(ClaimVerdict.Wait, watch.See(starting, At(0)));
        Assert.Equal(ClaimVerdict.FreeAfterSilence, watch.See(starting, At(5)));
    }

    [Fact]
    public void An_epoch_is_claimed_once()
    {
        string folder = Directory.CreateTempSubdirectory("epochs").FullName;
        try
        {
            var epochs = new Epochs(folder);
            Assert.Equal(1UL, epochs.Claim("a", after: 0));
            Assert.Throws<PgException>(() => epochs.Claim("b", after: 0));
            Assert.Equal(2UL, epochs.Claim("b", after: 1));
            Assert.Equal(2UL, epochs.Highest());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void Consistent_is_the_lowest_of_its_marks()
    {
        var point = new ConsistentPoint(new Lsn(90), new Lsn(80), Lsn.Max, new Lsn(70), Lsn.Max, Lsn.Max);
        Assert.Equal(new Lsn(70), point.Value);
        Assert.Equal(new Lsn(60), (point with { LowestApplied = new Lsn(60) }).Value);
        Assert.Equal(new Lsn(50), (point with { OldestCut = new Lsn(50) }).Value);
        Assert.Equal(new Lsn(40), (point with { OldestUnflushed = new Lsn(40) }).Value);
    }

    [Fact]
    public void A_cut_holds_back_the_changes_that_it_gives_up()
    {
        var cuts = new PendingCuts();
        Lsn first = cuts.Begin(new Lsn(100), new Lsn(60));
        Lsn second = cuts.Begin(new Lsn(120), Lsn.Max);
        Assert.Equal(new Lsn(60), cuts.Oldest);
        cuts.End(first);
        Assert.Equal(new Lsn(120), cuts.Oldest);
        cuts.End(second);
        Assert.Equal(Lsn.Max, cuts.Oldest);
    }

    [Fact]
    public void What_everybody_has_passed_is_removed_and_no_more()
    {
        var removals = new PendingRemovals<string>();
        var passed = new List<string>();
        removals.Add(new Lsn(10), "a");
        removals.Add(new Lsn(30), "b");
        removals.Add(new Lsn(20), "c");
        removals.TakePassed(PendingRemovals<string>.PassedByAll(new Lsn(25), new Lsn(20)), passed);
        Assert.Equal(["a", "c"], passed);
        Assert.Equal([(new Lsn(30), "b")], removals.Entries);
    }

    [Fact]
    public void Entries_go_only_below_consistent_and_applied()
    {
        Assert.Equal(new Lsn(5), IndexCut.Limit(announced: new Lsn(5), applied: new Lsn(9)));
        Assert.Equal(new Lsn(5), IndexCut.Limit(announced: new Lsn(9), applied: new Lsn(5)));
    }
}
