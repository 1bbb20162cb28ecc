using System.Buffers.Binary;
using SharedStorage.Format.Slru;
using SharedStorage.Primitives;
using SharedStorage.Transactions.Multi;
using SharedStorage.Transactions.Origins;
using SharedStorage.Transactions.Slru;
using SharedStorage.Transactions.TwoPhase;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Transactions;

/// <summary>
/// What the log says of transactions, applied by the tail (on a reader, in recovery): one method for each kind of record. After a commit's call the commit is in
/// clog's page and in the commit-LSN map; the tail then moves visible with <see cref="TransactionManager.AdvanceVisible"/>, and then publishes <c>applied</c>.
/// One thread at a time; sessions read meanwhile.
/// </summary>
public sealed class TransactionReplay(TransactionManager manager)
{
    /// <summary>Applies any record of the resource managers transaction, clog, multixact, commit timestamps, replication origins and standby. False: it belongs to another.</summary>
    /// <exception cref="StorageException">I10: an unknown op code or a malformed body; the message has its LSN.</exception>
    public bool Apply(WalRecord record)
    {
        NoteXid(record.Xid);
        switch (record.Rmgr)
        {
            case Rmgr.Transaction:
                ApplyTransaction(record);
                return true;
            case Rmgr.Clog:
                ApplyClog(record);
                return true;
            case Rmgr.MultiXact:
                ApplyMultiXact(record);
                return true;
            case Rmgr.Standby:
                ApplyStandby(record);
                return true;
            case Rmgr.CommitTs:
                ApplyCommitTimestamps(record);
                return true;
            case Rmgr.ReplicationOrigin:
                ApplyOrigin(record);
                return true;
            default:
                return false;
        }
    }

    /// <summary>Every record's xid is below the next one: called for all records, whatever their resource manager.</summary>
    public void NoteXid(Xid xid)
    {
        if (xid.IsNormal)
        {
            manager.AdvanceNextXidPast(xid);
        }
    }

    public void ApplyCommit(Xid xid, in XactEnd record, Lsn start, Lsn end, ushort origin = 0) => manager.ApplyCommit(xid, record, origin, start, end);

    public void ApplyAbort(Xid xid, in XactEnd record, Lsn start, Lsn end, ushort origin = 0) => manager.ApplyAbort(xid, record, origin, start, end);

    /// <summary>track_commit_timestamp as a parameter change says.</summary>
    public void ApplyTrackCommitTimestamp(bool on, Lsn start, Lsn end) => manager.CommitTimestamps.ParameterChange(on, manager.NextXid, start, end);

    public void ApplyClogZeroPage(uint page, Lsn start, Lsn end) => manager.Clog.ApplyZeroPage(page, start, end);

    public void ApplyClogTruncate(in ClogTruncation record, Lsn end) => manager.ApplyClogTruncate(record, end);

    public void ApplyMultiXactZeroOffsets(uint page, Lsn start, Lsn end) => manager.MultiXacts.ApplyZeroOffsets(page, start, end);

    public void ApplyMultiXactZeroMembers(uint page, Lsn start, Lsn end) => manager.MultiXacts.ApplyZeroMembers(page, start, end);

    public void ApplyMultiXactCreate(in MultiXactCreation record, Lsn start, Lsn end)
    {
        manager.MultiXacts.ApplyCreate(record, start, end);
        NoteXid(record.LatestMember);
    }

    public void ApplyMultiXactTruncate(in MultiXactTruncation record, Lsn end) => manager.ApplyMultiXactTruncate(record, end);

    /// <summary>
    /// Who ran at a moment: all xids before the oldest have ended, though some left no record (a crash). That not all subtransactions are listed does not matter: none is asked for.
    /// </summary>
    public void ApplyRunningXacts(in RunningXacts record)
    {
        manager.AdvanceNextXidPast(record.Next.Previous());
        manager.NoteEndedBefore(record.OldestRunning);
        manager.NoteCompleted(record.LatestCompleted);
        manager.ReplayedLocks.ReleaseBefore(record.OldestRunning, manager.Prepared.Owns);
    }

    /// <summary>A checkpoint record met by the tail; after a shutdown or the end of a recovery nothing runs.</summary>
    public void ApplyCheckpoint(FullXid next, Xid oldestXid, Oid oldestXidDatabase, in MultiXactLimits multiXacts, bool nothingRuns)
    {
        if (next.Xid.IsNormal)
        {
            manager.AdvanceNextXidTo(next);
        }

        manager.MultiXacts.ApplyCheckpoint(multiXacts);
        if (manager.OldestXid.Precedes(oldestXid))
        {
            manager.SetOldestXid(oldestXid, oldestXidDatabase);
        }

        if (nothingRuns)
        {
            manager.NoteEndedBefore(next.Xid);
            manager.NoteCompleted(next.Xid.Previous());
            manager.ReplayedLocks.ReleaseBefore(next.Xid, manager.Prepared.Owns);
        }
    }

    private void ApplyTransaction(WalRecord record)
    {
        byte op = (byte)(record.Info & XactEnd.OpMask);
        switch (op)
        {
            case XactEnd.OpCommit:
            case XactEnd.OpCommitPrepared:
                {
                    XactEnd end = XactEnd.Read(record.Info, record.MainData);
                    ApplyCommit(end.TwoPhaseXid.IsValid ? end.TwoPhaseXid : record.Xid, end, record.Start, record.End, record.Origin);
                    break;
                }

            case XactEnd.OpAbort:
            case XactEnd.OpAbortPrepared:
                {
                    XactEnd end = XactEnd.Read(record.Info, record.MainData);
                    ApplyAbort(end.TwoPhaseXid.IsValid ? end.TwoPhaseXid : record.Xid, end, record.Start, record.End, record.Origin);
                    break;
                }

            case XactEnd.OpAssignment:
                // Which subtransactions belong to a running one: the commit record tells again.
                break;
            case XactEnd.OpInvalidations:
                // For logical decoding only: the commit record has them all.
                break;
            case XactEnd.OpPrepare:
                manager.ApplyPrepare(PreparedTransaction.FromRecord(record.MainData, record.Start, record.End), record.Origin);
                break;
            default:
                throw Unknown(record);
        }
    }

    private void ApplyClog(WalRecord record)
    {
        switch (record.OpCode)
        {
            case Clog.OpZeroPage:
                ApplyClogZeroPage(Page(record), record.Start, record.End);
                break;
            case Clog.OpTruncate:
                ApplyClogTruncate(ClogTruncation.Read(record.MainData), record.End);
                break;
            default:
                throw Unknown(record);
        }
    }

    private void ApplyMultiXact(WalRecord record)
    {
        switch (record.OpCode)
        {
            case MultiXacts.OpZeroOffsetsPage:
                ApplyMultiXactZeroOffsets(Page(record), record.Start, record.End);
                break;
            case MultiXacts.OpZeroMembersPage:
                ApplyMultiXactZeroMembers(Page(record), record.Start, record.End);
                break;
            case MultiXacts.OpCreate:
                ApplyMultiXactCreate(MultiXactCreation.Read(record.MainData), record.Start, record.End);
                break;
            case MultiXacts.OpTruncate:
                ApplyMultiXactTruncate(MultiXactTruncation.Read(record.MainData), record.End);
                break;
            default:
                throw Unknown(record);
        }
    }

    private void ApplyStandby(WalRecord record)
    {
        switch (record.OpCode)
        {
            case RunningXacts.OpRunningXacts:
                ApplyRunningXacts(RunningXacts.Read(record.MainData));
                break;
            case RunningXacts.OpLocks:
                // A query here reads catalogs and files as of its snapshot: the writer's locks are shown, and do not bind it.
                ApplyLocks(StandbyLocksRecord.Read(record.MainData));
                break;
            case RunningXacts.OpInvalidations:
                manager.ApplyInvalidations(record.MainData, record.End);
                break;
            default:
                throw Unknown(record);
        }
    }

    private void ApplyLocks(ReadOnlySpan<StandbyLock> locks)
    {
        foreach (StandbyLock held in locks)
        {
            // A list from a checkpoint may name one that has ended since.
            if (held.Xid.IsNormal && !manager.HasReplayedEnd(held.Xid))
            {
                manager.ReplayedLocks.Add(held.Xid, held.Database, held.Relation);
            }
        }
    }

    private void ApplyCommitTimestamps(WalRecord record)
    {
        switch (record.OpCode)
        {
            case CommitTimestampOp.ZeroPage:
                manager.CommitTimestamps.ApplyZeroPage(Page(record), record.Start, record.End);
                break;
            case CommitTimestampOp.Truncate:
                manager.ApplyCommitTimestampsTruncate(CommitTimestampTruncateRecord.Read(record.MainData));
                break;
            default:
                throw Unknown(record);
        }
    }

    private void ApplyOrigin(WalRecord record)
    {
        switch (record.OpCode)
        {
            case ReplicationOrigins.OpSet:
                OriginSetRecord set = OriginSetRecord.Read(record.MainData);
                manager.Origins.Advance(set.Origin, set.Remote, record.End, set.Force);
                break;
            case ReplicationOrigins.OpDrop:
                manager.Origins.Drop(OriginDropRecord.Read(record.MainData).Origin);
                break;
            default:
                throw Unknown(record);
        }
    }

    private static uint Page(WalRecord record) =>
        record.MainData.Length >= sizeof(uint) ? BinaryPrimitives.ReadUInt32LittleEndian(record.MainData) : throw Unknown(record);

    private static StorageException Unknown(WalRecord record) =>
        new($"log record at {record.Start}: {record.Rmgr} with info 0x{record.Info:X2} is unknown or malformed");
}
