using System.Globalization;
using Xunit.Abstractions;

namespace SharedStorage.Simulation;

/// <summary>
/// The protocol under chance: I2, I3, I5, I7, I8, I9 and R1, R3, R4, R6, R8, R10, R13 after each step. A failing schedule names its seed: SIM_SEED=... runs it alone and tells its story.
/// SIM_SCHEDULES=... is how many (scripts/simulate.sh).
/// </summary>
public sealed class SimulationTests(ITestOutputHelper output)
{
    private const int FindWithin = 10_000;

    private static ulong? Setting(string name) =>
        ulong.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) ? value : null;

    [Fact]
    public void No_schedule_breaks_an_invariant()
    {
        if (Setting("SIM_SEED") is { } only && Setting("SIM_SCHEDULES") is null)
        {
            new World { Trace = output.WriteLine }.Run(only);
            return;
        }

        ulong first = Setting("SIM_SEED") ?? 1;
        ulong schedules = Setting("SIM_SCHEDULES") ?? 10_000;
        var world = new World();
        for (ulong seed = first; seed < first + schedules; seed++)
        {
            try
            {
                world.Run(seed);
            }
            catch (ViolationException e)
            {
                Assert.Fail($"SIM_SEED={seed}: {e.Message}");
            }
        }

        output.WriteLine($"{schedules} schedules from seed {first}: {world.Answers} answers compared with the log, {world.Terms} terms of writers, 0 violations");
        Assert.True(world.Answers > (long)schedules, "the readers answered nothing");
        Assert.True(world.Terms > (long)schedules, "no writer ever followed another");
    }

    [Fact]
    public void The_gate_that_ignores_one_reader_is_found() => Finds(new Planted.GateIgnoresOneReader(), "I2", "I3");

    [Fact]
    public void A_horizon_that_ignores_one_reader_is_found() => Finds(new Planted.HorizonIgnoresOneReader(), "I7", "R4");

    [Fact]
    public void A_lease_counted_from_the_wrong_end_is_found() => Finds(new Planted.LeaseCountedFromTheWrongEnd(), "I2", "I3", "I5", "I7", "R1");

    [Fact]
    public void Old_leases_that_a_new_writer_does_not_honour_are_found() => Finds(new Planted.OldLeasesNotHonoured(), "I2", "I3", "I5", "I7", "R1", "R13");

    [Fact]
    public void An_epoch_that_nobody_checks_is_found() => Finds(new Planted.EpochNotChecked(), "I9", "R13");

    [Fact]
    public void An_entry_dropped_above_consistent_is_found() => Finds(new Planted.EntryDroppedAboveConsistent(), "I3");

    [Fact]
    public void A_floor_read_before_the_reader_counts_is_found() => Finds(new Planted.FloorReadBeforeTheReaderCounts(), "I2", "I3", "I7", "R4", "I5", "R1");

    [Fact]
    public void A_removal_before_readers_have_applied_is_found() => Finds(new Planted.RemovalBeforeReadersHaveApplied(), "I5", "I3");

    [Fact]
    public void A_cut_before_readers_have_applied_is_found() => Finds(new Planted.CutBeforeReadersHaveApplied(), "R1", "I3");

    [Fact]
    public void Consistent_that_passes_what_a_cut_gives_up_is_found() => Finds(new Planted.CutHoldsBackItsRecordOnly(), "I3", "R3");

    [Fact]
    public void A_frozen_reader_that_believes_storage_is_found() => Finds(new Planted.FrozenReaderBelievesStorage(), "I3", "I5", "I7");

    [Fact]
    public void A_tail_that_goes_on_under_old_snapshots_is_found() => Finds(new Planted.TailGoesOnUnderOldSnapshots(), "I7", "I3", "I5");

    private void Finds(Rules planted, params string[] rules)
    {
        var world = new World(planted);
        for (ulong seed = 1; seed <= FindWithin; seed++)
        {
            try
            {
                world.Run(seed);
            }
            catch (ViolationException e)
            {
                output.WriteLine($"found by schedule {seed}: {e.Message}");
                Assert.True(rules.Contains(e.Rule), $"schedule {seed} breaks another rule than expected: {e.Message}");
                return;
            }
        }

        Assert.Fail($"{planted.GetType().Name} was not found within {FindWithin} schedules");
    }
}
