using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Recovery.Tail;

/// <summary>
/// Whether records that say where they stand stand there: checkpoints and ends of recovery name their timeline, an overwrite names the record whose rest it replaces
/// (xlog_redo and VerifyOverwriteContrecord of PostgreSQL's xlogrecovery.c). One that does not is of another history than the one that is followed.
/// </summary>
internal static class TimelineCheck
{
    /// <param name="record">Of the resource manager XLOG.</param>
    /// <param name="timeline">The timeline at the record's start, by the history that is followed.</param>
    /// <param name="overwritten">What the record takes the place of, as the reader found it; invalid for nothing.</param>
    /// <exception cref="StorageException">The record says otherwise.</exception>
    public static void Check(WalRecord record, TimelineId timeline, Lsn overwritten)
    {
        switch (record.OpCode)
        {
            case XlogOp.CheckpointShutdown or XlogOp.CheckpointOnline:
                Same(record, CheckpointRecord.Read(record.MainData).Timeline, timeline);
                break;
            case XlogOp.EndOfRecovery:
                Same(record, EndOfRecoveryRecord.Read(record.MainData).Timeline, timeline);
                break;
            case XlogOp.OverwriteContinuation:
                Lsn named = OverwriteContinuationRecord.Read(record.MainData).Overwritten;
                if (named != overwritten)
                {
                    throw record.Malformed($"it overwrites the record at {named}, but {(overwritten.IsValid ? $"the one at {overwritten}" : "none")} is unfinished before it");
                }

                break;
            default:
                break;
        }
    }

    private static void Same(WalRecord record, TimelineId named, TimelineId followed)
    {
        if (named != followed)
        {
            throw record.Malformed($"it is of timeline {named}, but the history that is followed has timeline {followed} there");
        }
    }
}
