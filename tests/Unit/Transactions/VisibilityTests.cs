using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Multi;
using SharedStorage.Transactions.Visibility;

namespace SharedStorage.Unit.Transactions;

public sealed class VisibilityTests : IDisposable
{
    private static readonly Tid Here = new(new BlockNumber(1), 1);
    private static readonly Tid There = new(new BlockNumber(1), 2);
    private readonly TestCluster _cluster = new();

    private TransactionManager Manager => _cluster.Manager;

    public void Dispose() => _cluster.Dispose();

    public enum Who
    {
        None, Running, Aborted, Before, After, Old, Crashed,
    }

    /// <summary>Inserter, deleter, only locked; seen by a snapshot between Before and After; by the present (self); update; vacuum with H at the snapshot.</summary>
    [Theory]
    [InlineData(Who.Running, Who.None, false, false, false, TupleUpdateState.Invisible, TupleVacuumState.InsertInProgress)]
    [InlineData(Who.Aborted, Who.None, false, false, false, TupleUpdateState.Invisible, TupleVacuumState.Dead)]
    [InlineData(Who.Crashed, Who.None, false, false, false, TupleUpdateState.Invisible, TupleVacuumState.Dead)]
    [InlineData(Who.Before, Who.None, false, true, true, TupleUpdateState.Ok, TupleVacuumState.Live)]
    [InlineData(Who.Old, Who.None, false, true, true, TupleUpdateState.Ok, TupleVacuumState.Live)]
    [InlineData(Who.After, Who.None, false, false, true, TupleUpdateState.Ok, TupleVacuumState.Live)]
    [InlineData(Who.Before, Who.Running, false, true, true, TupleUpdateState.BeingModified, TupleVacuumState.DeleteInProgress)]
    [InlineData(Who.Before, Who.Aborted, false, true, true, TupleUpdateState.Ok, TupleVacuumState.Live)]
    [InlineData(Who.Before, Who.Crashed, false, true, true, TupleUpdateState.Ok, TupleVacuumState.Live)]
    [InlineData(Who.Before, Who.Before, false, false, false, TupleUpdateState.Updated, TupleVacuumState.Dead)]
    [InlineData(Who.Before, Who.Old, false, false, false, TupleUpdateState.Updated, TupleVacuumState.Dead)]
    [InlineData(Who.Before, Who.After, false, true, false, TupleUpdateState.Updated, TupleVacuumState.RecentlyDead)]
    [InlineData(Who.After, Who.After, false, false, false, TupleUpdateState.Updated, TupleVacuumState.RecentlyDead)]
    [InlineData(Who.Before, Who.Running, true, true, true, TupleUpdateState.BeingModified, TupleVacuumState.Live)]
    [InlineData(Who.Before, Who.Before, true, true, true, TupleUpdateState.Ok, TupleVacuumState.Live)]
    [InlineData(Who.Before, Who.After, true, true, true, TupleUpdateState.Ok, TupleVacuumState.Live)]
    public void Versions_are_judged_by_who_ended_when(
        Who inserter, Who deleter, bool onlyLocked, bool seen, bool current, TupleUpdateState update, TupleVacuumState vacuum)
    {
        var xids = new Dictionary<Who, Xid> { [Who.None] = Xid.Invalid, [Who.Old] = new Xid(900), [Who.Crashed] = new Xid(901) };
        Manager.Clog.Set(new Xid(900), [], XidStatus.Committed, new Lsn(1), new Lsn(1));
        xids[Who.Before] = _cluster.Commit();
        xids[Who.Aborted] = _cluster.Abort();
        Transaction running = Manager.Begin();
        xids[Who.Running] = running.Xid;
        Transaction asking = Manager.Begin();
        Snapshot snapshot = asking.TakeSnapshot();
        xids[Who.After] = _cluster.Commit();

        // Twice: the second time with the hints of the first; and with the deleter alone and in a multixact.
        foreach (bool multi in new[] { false, true })
        {
            HeapTupleHeader row = Row(xids[inserter], xids[deleter], onlyLocked);
            if (multi && deleter != Who.None)
            {
                MultiXactId set = Manager.MultiXacts.Create(
                    xids[deleter], onlyLocked ? MultiXactStatus.ForUpdate : MultiXactStatus.Update, xids[Who.Aborted], MultiXactStatus.ForKeyShare);
                row.RawXmax = set.Value;
                row.InfoMask |= HeapInfoMask.XmaxIsMulti;
            }

            for (int round = 0; round < 2; round++)
            {
                VisibilityContext context = Context();
                Assert.Equal(seen, HeapVisibility.IsVisible(ref context, ref row, snapshot));
                Assert.Equal(current, HeapVisibility.SatisfiesSelf(ref context, ref row, asking));
                Assert.Equal(update, HeapVisibility.SatisfiesUpdate(ref context, ref row, Here, asking, CommandId.First));
                Assert.Equal(vacuum, HeapVisibility.SatisfiesVacuum(ref context, ref row, Manager.Horizon));
                bool dirty = HeapVisibility.SatisfiesDirty(ref context, ref row, asking, out DirtyConflict conflict);
                Assert.Equal(current || inserter == Who.Running, dirty);
                Assert.Equal(inserter == Who.Running ? xids[Who.Running] : Xid.Invalid, conflict.Inserter);
                Assert.Equal(inserter != Who.Running && deleter == Who.Running && !onlyLocked ? xids[Who.Running] : Xid.Invalid, conflict.Deleter);
            }
        }

        running.Abort();
        asking.Commit();
    }

    [Fact]
    public void A_deleted_row_whose_ctid_is_its_own_place_is_deleted_not_updated()
    {
        HeapTupleHeader row = Row(_cluster.Commit(), _cluster.Commit(), onlyLocked: false);
        row.Ctid = Here;
        VisibilityContext context = Context();
        Transaction tx = Manager.Begin();
        Assert.Equal(TupleUpdateState.Deleted, HeapVisibility.SatisfiesUpdate(ref context, ref row, Here, tx, CommandId.First));
        tx.Commit();
    }

    [Fact]
    public void A_transaction_sees_what_its_earlier_commands_did()
    {
        Transaction tx = Manager.Begin();
        HeapTupleHeader row = Row(tx.Xid, Xid.Invalid, onlyLocked: false);
        row.RawCommandId = tx.Command.Value;
        Assert.False(Visible(tx, ref row));
        tx.NextCommand();
        Assert.True(Visible(tx, ref row));
        Assert.Equal(TupleUpdateState.Ok, Update(tx, ref row));

        // Deleted by the next command: a combo number stands for both.
        CommandId combo = tx.ComboCommand(new CommandId(0), tx.Command);
        Assert.Equal(combo, tx.ComboCommand(new CommandId(0), tx.Command));
        row.RawXmax = tx.Xid.Value;
        row.RawCommandId = combo.Value;
        row.InfoMask = (row.InfoMask & ~HeapInfoMask.XmaxInvalid) | HeapInfoMask.ComboCid;
        Assert.True(Visible(tx, ref row));
        Assert.Equal(TupleUpdateState.SelfModified, Update(tx, ref row));
        tx.NextCommand();
        Assert.False(Visible(tx, ref row));
        Assert.Equal(TupleUpdateState.Invisible, Update(tx, ref row));
        VisibilityContext context = Context();
        Assert.Equal(TupleVacuumState.DeleteInProgress, HeapVisibility.SatisfiesVacuum(ref context, ref row, Manager.Horizon, tx));
        tx.Abort();
    }

    [Fact]
    public void A_deletion_by_a_savepoint_that_was_rolled_back_does_not_count()
    {
        Transaction tx = Manager.Begin();
        HeapTupleHeader row = Row(tx.Xid, Xid.Invalid, onlyLocked: false);
        tx.NextCommand();
        tx.BeginSub("a");
        row.RawXmax = tx.Xid.Value;
        row.InfoMask &= ~HeapInfoMask.XmaxInvalid;
        HeapTupleHeader inserted = Row(tx.Xid, Xid.Invalid, onlyLocked: false);
        tx.NextCommand();
        Assert.True(Visible(tx, ref inserted));
        tx.AbortSub();
        Assert.True(Visible(tx, ref row));
        Assert.NotEqual(HeapInfoMask.None, row.InfoMask & HeapInfoMask.XmaxInvalid);
        Assert.False(Visible(tx, ref inserted));
        tx.Commit();
    }

    [Fact]
    public void A_hint_waits_for_the_commit_to_be_durable()
    {
        _cluster.Log.Held = true;
        Transaction tx = Manager.Begin();
        tx.SynchronousCommit = SynchronousCommit.Off;
        Xid xid = tx.Xid;
        tx.Commit();
        HeapTupleHeader row = Row(xid, Xid.Invalid, onlyLocked: false);
        VisibilityContext context = Context();
        using Snapshot snapshot = Manager.TakeSnapshot();
        Assert.True(HeapVisibility.IsVisible(ref context, ref row, snapshot));
        Assert.False(row.XminCommitted);
        Assert.False(context.HintsSet);
        _cluster.Log.Release(_cluster.Log.Reserved);
        Assert.True(HeapVisibility.IsVisible(ref context, ref row, snapshot));
        Assert.True(row.XminCommitted);
        Assert.True(context.HintsSet);
    }

    [Fact]
    public void A_hint_does_not_say_that_a_commit_is_in_the_snapshot()
    {
        using Snapshot before = Manager.TakeSnapshot();
        HeapTupleHeader row = Row(_cluster.Commit(), Xid.Invalid, onlyLocked: false);
        row.InfoMask |= HeapInfoMask.XminCommitted;
        VisibilityContext context = Context();
        Assert.False(HeapVisibility.IsVisible(ref context, ref row, before));
        Assert.False(HeapVisibility.InsertIsVisibleToAll(ref context, row, Manager.Horizon));
        HeapTupleHeader gone = Row(new Xid(1), _cluster.Commit(), onlyLocked: false);
        gone.InfoMask |= HeapInfoMask.XminFrozen | HeapInfoMask.XmaxCommitted;
        Assert.True(HeapVisibility.IsVisible(ref context, ref gone, before));
    }

    [Fact]
    public void On_a_reader_nothing_is_written_on_rows()
    {
        using var reader = new TestCluster(writer: false);
        var row = Row(new Xid(900), Xid.Invalid, onlyLocked: false);
        var context = new VisibilityContext(reader.Manager, default, mayHint: false, Lsn.Invalid);
        using Snapshot snapshot = reader.Manager.TakeSnapshot();
        HeapInfoMask before = row.InfoMask;
        Assert.False(HeapVisibility.IsVisible(ref context, ref row, snapshot));
        Assert.Equal(before, row.InfoMask);
        Assert.False(reader.Manager.IsInProgress(new Xid(900)));
    }

    private VisibilityContext Context() => new(Manager, default, mayHint: true, Lsn.Invalid);

    private bool Visible(Transaction tx, ref HeapTupleHeader row)
    {
        VisibilityContext context = Context();
        using Snapshot snapshot = tx.TakeSnapshot();
        return HeapVisibility.IsVisible(ref context, ref row, snapshot);
    }

    private TupleUpdateState Update(Transaction tx, ref HeapTupleHeader row)
    {
        VisibilityContext context = Context();
        return HeapVisibility.SatisfiesUpdate(ref context, ref row, Here, tx, tx.Command);
    }

    private static HeapTupleHeader Row(Xid xmin, Xid xmax, bool onlyLocked) => new()
    {
        RawXmin = xmin.Value,
        RawXmax = xmax.Value,
        Ctid = There,
        InfoMask = xmax.IsValid
            ? onlyLocked ? HeapInfoMask.XmaxLockOnly | HeapInfoMask.XmaxExclusiveLock : HeapInfoMask.None
            : HeapInfoMask.XmaxInvalid,
    };
}
