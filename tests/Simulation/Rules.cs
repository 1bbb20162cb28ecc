using SharedStorage.Control.Leases;
using SharedStorage.Primitives;
using SharedStorage.Reader.Follow;
using SharedStorage.Writer.Fencing;
using SharedStorage.Writer.Files;

namespace SharedStorage.Simulation;

/// <summary>The decisions as production makes them. A planted bug overrides one of them; nothing else differs.</summary>
internal class Rules
{
    public virtual bool FloorBeforeCounting => false;

    public virtual ReaderTable NewTable(LeaseSettings settings, IEnumerable<string> registered, TimeSpan now, ulong epoch, bool formerMayWrite) =>
        new(settings, registered, now, epoch, formerMayWrite);

    public virtual Lsn GateMinimum(ReaderTable table) => table.LowestApplied;

    public virtual Lsn HorizonMinimum(ReaderTable table) => table.LowestSnapshot;

    public virtual Lsn Floor(Lsn inserted, Lsn visible) => ReaderTable.Floor(inserted, visible);

    public virtual Lsn RemovalLimit(Lsn lowestApplied, Lsn horizon) => PendingRemovals<int>.PassedByAll(lowestApplied, horizon);

    public virtual bool MayCut(Lsn end, Lsn lowestApplied) => PendingCuts.MayCut(end, lowestApplied);

    public virtual Lsn HoldOfCut(Lsn oldestChange) => oldestChange;

    public virtual void Granted(ReaderLease lease, ulong sequence, TimeSpan duration, TimeSpan now) => lease.Granted(sequence, duration);

    public virtual Lsn CutLimit(Lsn announced, Lsn applied) => IndexCut.Limit(announced, applied);

    public virtual bool MayCutIndex(ReaderLease lease, Lsn oldestSnapshot, TimeSpan now) => lease.MayApply(oldestSnapshot, now);

    public virtual bool AcceptsEpoch(ReaderLease lease, ulong epoch) => lease.AcceptEpoch(epoch);

    public virtual bool MayRenew(WriterTerm term, TimeSpan began, ulong highest) => term.MayRenew(began, highest);

    /// <summary>The epoch that a claim makes; 0 when it fails.</summary>
    public virtual ulong Claim(ulong highest, ulong after) => highest > after ? 0 : after + 1;

    public virtual ReadVerdict Judge(ReaderLease lease, Lsn page, bool missing, Lsn applied) => lease.Judge(page, missing, applied);

    public virtual bool MayApply(ReaderLease lease, Lsn oldestSnapshot, TimeSpan now) => lease.MayApply(oldestSnapshot, now);
}

/// <summary>One wrong decision each.</summary>
internal static class Planted
{
    public sealed class GateIgnoresOneReader : Rules
    {
        public override Lsn GateMinimum(ReaderTable table) => Without(table, m => m.Applied);
    }

    public sealed class HorizonIgnoresOneReader : Rules
    {
        public override Lsn HorizonMinimum(ReaderTable table) => Without(table, m => m.OldestSnapshot);
    }

    /// <summary>The reader counts from when the grant arrives.</summary>
    public sealed class LeaseCountedFromTheWrongEnd : Rules
    {
        public override void Granted(ReaderLease lease, ulong sequence, TimeSpan duration, TimeSpan now)
        {
            lease.Sent(sequence, now);
            lease.Granted(sequence, duration);
        }
    }

    public sealed class OldLeasesNotHonoured : Rules
    {
        public override ReaderTable NewTable(LeaseSettings settings, IEnumerable<string> registered, TimeSpan now, ulong epoch, bool formerMayWrite) =>
            new(settings, [], now, epoch, formerMayWrite: false);
    }

    /// <summary>A node claims whatever comes next, and a writer does not look whether somebody has claimed since.</summary>
    public sealed class EpochNotChecked : Rules
    {
        public override ulong Claim(ulong highest, ulong after) => highest + 1;

        public override bool MayRenew(WriterTerm term, TimeSpan began, ulong highest) => term.MayRenew(began, term.Epoch);
    }

    public sealed class EntryDroppedAboveConsistent : Rules
    {
        public override Lsn CutLimit(Lsn announced, Lsn applied) => applied;
    }

    public sealed class FloorReadBeforeTheReaderCounts : Rules
    {
        public override bool FloorBeforeCounting => true;
    }

    public sealed class RemovalBeforeReadersHaveApplied : Rules
    {
        public override Lsn RemovalLimit(Lsn lowestApplied, Lsn horizon) => Lsn.Max;
    }

    public sealed class CutBeforeReadersHaveApplied : Rules
    {
        public override bool MayCut(Lsn end, Lsn lowestApplied) => true;
    }

    /// <summary>Consistent passes changes of the pages that a cut gives up.</summary>
    public sealed class CutHoldsBackItsRecordOnly : Rules
    {
        public override Lsn HoldOfCut(Lsn oldestChange) => Lsn.Max;
    }

    public sealed class FrozenReaderBelievesStorage : Rules
    {
        public override ReadVerdict Judge(ReaderLease lease, Lsn page, bool missing, Lsn applied) => ReadVerdict.Take;
    }

    public sealed class TailGoesOnUnderOldSnapshots : Rules
    {
        public override bool MayApply(ReaderLease lease, Lsn oldestSnapshot, TimeSpan now) => lease.MayApply(Lsn.Max, now);
    }

    private static Lsn Without(ReaderTable table, Func<Member, Lsn> of)
    {
        if (table.HonoursInherited)
        {
            return Lsn.Invalid;
        }

        Lsn lowest = Lsn.Max;
        foreach (Member member in table.Members)
        {
            if (member.State == MemberState.Leased && member.Name != World.Name(1))
            {
                lowest = Lsn.Min(lowest, of(member));
            }
        }

        return lowest;
    }
}
