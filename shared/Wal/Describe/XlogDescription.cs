using System.Text;
using SharedStorage.Format.Control;
using SharedStorage.Wal.Records;

namespace SharedStorage.Wal.Describe;

internal static class XlogDescription
{
    public static string? Identify(byte info) => (info & 0xF0) switch
    {
        XlogOp.CheckpointShutdown => "CHECKPOINT_SHUTDOWN",
        XlogOp.CheckpointOnline => "CHECKPOINT_ONLINE",
        XlogOp.Noop => "NOOP",
        XlogOp.NextOid => "NEXTOID",
        XlogOp.Switch => "SWITCH",
        XlogOp.BackupEnd => "BACKUP_END",
        XlogOp.ParameterChange => "PARAMETER_CHANGE",
        XlogOp.RestorePoint => "RESTORE_POINT",
        XlogOp.FullPageWrites => "FPW_CHANGE",
        XlogOp.EndOfRecovery => "END_OF_RECOVERY",
        XlogOp.OverwriteContinuation => "OVERWRITE_CONTRECORD",
        XlogOp.Image => "FPI",
        XlogOp.ImageForHint => "FPI_FOR_HINT",
        _ => null,
    };

    public static void Describe(WalRecord record, StringBuilder into)
    {
        ReadOnlySpan<byte> body = record.MainData;
        switch (record.OpCode)
        {
            case XlogOp.CheckpointShutdown:
            case XlogOp.CheckpointOnline:
                Checkpoint(CheckpointRecord.Read(body), record.OpCode == XlogOp.CheckpointShutdown, into);
                break;
            case XlogOp.NextOid:
                into.Append(NextOidRecord.Read(body).Next);
                break;
            case XlogOp.RestorePoint:
                into.Append(RestorePointRecord.Read(body).Name);
                break;
            case XlogOp.BackupEnd:
                into.Append(BackupEndRecord.Read(body).Start);
                break;
            case XlogOp.ParameterChange:
                Parameters(ParameterChangeRecord.Read(body), into);
                break;
            case XlogOp.FullPageWrites:
                into.Append(FullPageWritesRecord.Read(body).On ? "true" : "false");
                break;
            case XlogOp.EndOfRecovery:
                EndOfRecoveryRecord end = EndOfRecoveryRecord.Read(body);
                into.Append($"tli {end.Timeline}; prev tli {end.PreviousTimeline}; time {LocalClock.TimestampToString(end.Time)}");
                break;
            case XlogOp.OverwriteContinuation:
                OverwriteContinuationRecord overwrite = OverwriteContinuationRecord.Read(body);
                into.Append($"lsn {overwrite.Overwritten}; time {LocalClock.TimestampToString(overwrite.Time)}");
                break;
        }
    }

    private static void Checkpoint(in CheckPoint c, bool shutdown, StringBuilder into)
    {
        into.Append($"redo {c.Redo}; tli {c.Timeline}; prev tli {c.PreviousTimeline}; fpw {(c.FullPageWrites ? "true" : "false")}; ");
        into.Append($"xid {c.NextXid}; oid {c.NextOid}; multi {c.NextMulti}; offset {c.NextMultiOffset}; ");
        into.Append($"oldest xid {c.OldestXid} in DB {c.OldestXidDatabase}; oldest multi {c.OldestMulti} in DB {c.OldestMultiDatabase}; ");
        into.Append($"oldest/newest commit timestamp xid: {c.OldestCommitTsXid}/{c.NewestCommitTsXid}; ");
        into.Append($"oldest running xid {c.OldestActiveXid}; {(shutdown ? "shutdown" : "online")}");
    }

    private static void Parameters(in ParameterChangeRecord p, StringBuilder into)
    {
        string level = p.WalLevel switch { WalLevel.Minimal => "minimal", WalLevel.Replica => "replica", WalLevel.Logical => "logical", _ => "?" };
        into.Append($"max_connections={p.MaxConnections} max_worker_processes={p.MaxWorkerProcesses} max_wal_senders={p.MaxWalSenders} ");
        into.Append($"max_prepared_xacts={p.MaxPreparedTransactions} max_locks_per_xact={p.MaxLocksPerTransaction} wal_level={level} ");
        into.Append($"wal_log_hints={OnOff(p.WalLogHints)} track_commit_timestamp={OnOff(p.TrackCommitTimestamp)}");
    }

    private static string OnOff(bool on) => on ? "on" : "off";
}
