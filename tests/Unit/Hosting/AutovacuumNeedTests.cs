using SharedStorage.Catalog.Rows;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Statistics;
using SharedStorage.Writer.Vacuum;

namespace SharedStorage.Unit.Hosting;

/// <summary>When autovacuum takes a table: PostgreSQL's thresholds, and ages whatever the settings say.</summary>
public sealed class AutovacuumNeedTests
{
    private static readonly Xid Next = new(1_000_000_000);
    private static readonly MultiXactId NextMulti = new(1_000_000_000);

    [Theory]
    [InlineData(250, 0, 0, false, false)]
    [InlineData(251, 0, 0, true, false)]
    [InlineData(0, 1200, 0, false, false)]
    [InlineData(0, 1201, 0, true, false)]
    [InlineData(0, 0, 150, false, false)]
    [InlineData(0, 0, 151, false, true)]
    [InlineData(251, 0, 151, true, true)]
    public void Thresholds_are_a_base_and_a_share_of_the_rows(int dead, int inserted, int changed, bool vacuum, bool analyze)
    {
        var counters = new TableCounters();
        counters.Vacuumed(0, dead, 1, auto: true);
        AutovacuumNeed need = AutovacuumNeed.Of(Table(), new AutovacuumSettings(), With(counters, inserted, changed), Next, NextMulti);
        Assert.Equal(new AutovacuumNeed(vacuum, analyze, false), need);
    }

    [Fact]
    public void Without_counters_or_when_it_is_off_only_age_counts()
    {
        var counters = new TableCounters();
        counters.Vacuumed(0, 1_000_000, 1, auto: true);
        Assert.Equal(default, AutovacuumNeed.Of(Table(), new AutovacuumSettings(), null, Next, NextMulti));
        Assert.Equal(default, AutovacuumNeed.Of(Table(), new AutovacuumSettings { Enabled = false }, counters, Next, NextMulti));
        Assert.Equal(default, AutovacuumNeed.Of(Table(), new AutovacuumSettings().With(["autovacuum_enabled=false"]), counters, Next, NextMulti));
        PgClass old = Table() with { RelFrozenXid = new Xid(799_999_999) };
        Assert.Equal(new AutovacuumNeed(true, false, true), AutovacuumNeed.Of(old, new AutovacuumSettings { Enabled = false }, null, Next, NextMulti));
        Assert.False(AutovacuumNeed.Of(old with { RelFrozenXid = new Xid(800_000_000) }, new AutovacuumSettings(), null, Next, NextMulti).TooOld);
        PgClass oldMulti = Table() with { RelMinMxid = new Xid(599_999_999) };
        Assert.True(AutovacuumNeed.Of(oldMulti, new AutovacuumSettings(), null, Next, NextMulti).TooOld);
    }

    [Fact]
    public void Storage_parameters_win_but_cannot_put_off_freezing()
    {
        AutovacuumSettings own = new AutovacuumSettings().With(["autovacuum_vacuum_threshold=10", "autovacuum_vacuum_scale_factor=0", "autovacuum_freeze_max_age=900000000", "fillfactor=70"]);
        Assert.Equal((10, 0, 200_000_000u), (own.VacuumThreshold, own.VacuumScale, own.FreezeMaxAge));
    }

    [Fact]
    public void Rows_of_what_rolled_back_are_dead_and_a_released_savepoint_counts_with_its_parent()
    {
        var set = new TableCounterSet();
        Oid database = new(5), table = new(100);
        var changes = new TransactionChanges();
        changes.Insert(database, table, 0, 10);
        changes.Insert(database, table, 1, 5);
        changes.ReleaseSub(1);
        changes.Update(database, table, 1, hot: true);
        changes.Delete(database, table, 1);
        changes.AbortSub(1);
        changes.Update(database, table, 0, hot: false);
        changes.End(set, committed: true);
        TableCounters c = set.Find(database, table)!;
        Assert.Equal((15, 2, 15 + 1, 15, 2, 1), (c.Live, c.Dead, c.ChangedSinceAnalyze, c.Inserted, c.Updated, c.HotUpdated));
        changes.Insert(database, table, 0, 3);
        changes.End(set, committed: false);
        Assert.Equal((15, 5, 16, 18), (c.Live, c.Dead, c.ChangedSinceAnalyze, c.InsertedSinceVacuum));
        changes.Truncate(database, table, 0);
        changes.Insert(database, table, 0, 1);
        changes.End(set, committed: true);
        Assert.Equal((1, 0), (c.Live, c.Dead));
    }

    private static PgClass Table() => new() { Oid = new Oid(20_000), RelKind = 'r', RelTuples = 1000, RelFrozenXid = new Xid(900_000_000), RelMinMxid = new Xid(900_000_000) };

    private static TableCounters With(TableCounters counters, int inserted, int changed)
    {
        Assert.True(inserted == 0 || changed == 0);
        var set = new TableCounterSet();
        TableCounters own = set.Of(new Oid(5), new Oid(20_000));
        var changes = new TransactionChanges();
        if (inserted > 0)
        {
            changes.Insert(new Oid(5), new Oid(20_000), 0, inserted);
            changes.End(set, committed: true);
            own.Analyzed(0, 0, allColumns: true, 1, auto: false);
        }

        for (int i = 0; i < changed; i++)
        {
            changes.Update(new Oid(5), new Oid(20_000), 0, hot: true);
        }

        changes.End(set, committed: true);
        own.Pruned(changed - counters.Dead);
        return own;
    }
}
