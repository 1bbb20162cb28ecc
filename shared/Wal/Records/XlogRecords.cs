using System.Runtime.InteropServices;
using SharedStorage.Format.Control;
using SharedStorage.Primitives;
using SharedStorage.Wal.Inserting;

namespace SharedStorage.Wal.Records;

/// <summary>What the resource manager "XLOG" logs (pg_control.h).</summary>
public static class XlogOp
{
    public const byte CheckpointShutdown = 0x00;
    public const byte CheckpointOnline = 0x10;
    public const byte Noop = 0x20;
    public const byte NextOid = 0x30;
    public const byte Switch = 0x40;
    public const byte BackupEnd = 0x50;
    public const byte ParameterChange = 0x60;
    public const byte RestorePoint = 0x70;
    public const byte FullPageWrites = 0x80;
    public const byte EndOfRecovery = 0x90;
    public const byte ImageForHint = 0xA0;
    public const byte Image = 0xB0;
    public const byte OverwriteContinuation = 0xD0;
}

/// <summary>CHECKPOINT_SHUTDOWN, CHECKPOINT_ONLINE: the body is a <see cref="CheckPoint"/>.</summary>
public static class CheckpointRecord
{
    public static CheckPoint Read(ReadOnlySpan<byte> body) => CheckPoint.Read(body);

    public static void Write(WalRecordBuilder record, in CheckPoint checkpoint) => record.AddData(in checkpoint);
}

/// <summary>NEXTOID: object numbers below this are taken.</summary>
public readonly record struct NextOidRecord(Oid Next)
{
    public static NextOidRecord Read(ReadOnlySpan<byte> body) => new(new BodyReader(body).Oid());

    public void Write(WalRecordBuilder record) => record.AddData(in this);
}

/// <summary>BACKUP_END: where the backup's redo began.</summary>
public readonly record struct BackupEndRecord(Lsn Start)
{
    public static BackupEndRecord Read(ReadOnlySpan<byte> body) => new(new BodyReader(body).Lsn());

    public void Write(WalRecordBuilder record) => record.AddData(in this);
}

/// <summary>PARAMETER_CHANGE: the settings that the control file repeats (xl_parameter_change).</summary>
[StructLayout(LayoutKind.Explicit, Size = 28)]
public readonly record struct ParameterChangeRecord
{
    [field: FieldOffset(0)] public int MaxConnections { get; init; }
    [field: FieldOffset(4)] public int MaxWorkerProcesses { get; init; }
    [field: FieldOffset(8)] public int MaxWalSenders { get; init; }
    [field: FieldOffset(12)] public int MaxPreparedTransactions { get; init; }
    [field: FieldOffset(16)] public int MaxLocksPerTransaction { get; init; }
    [field: FieldOffset(20)] public WalLevel WalLevel { get; init; }
    [field: FieldOffset(24)] public bool WalLogHints { get; init; }
    [field: FieldOffset(25)] public bool TrackCommitTimestamp { get; init; }

    /// <summary>Puts the settings into a control file, as replay of the record does.</summary>
    public void ApplyTo(ref ControlFile control)
    {
        control.MaxConnections = MaxConnections;
        control.MaxWorkerProcesses = MaxWorkerProcesses;
        control.MaxWalSenders = MaxWalSenders;
        control.MaxPreparedTransactions = MaxPreparedTransactions;
        control.MaxLocksPerTransaction = MaxLocksPerTransaction;
        control.WalLevel = WalLevel;
        control.WalLogHints = WalLogHints;
        control.TrackCommitTimestamp = TrackCommitTimestamp;
    }

    public static ParameterChangeRecord Read(ReadOnlySpan<byte> body) => new BodyReader(body).Array<ParameterChangeRecord>(1)[0];

    public void Write(WalRecordBuilder record) => record.AddData(in this);
}

/// <summary>RESTORE_POINT: a named place; the name is at most 63 bytes.</summary>
public static class RestorePointRecord
{
    private const int NameSize = 64;

    public static (long Time, string Name) Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        long time = reader.Int64();
        return (time, System.Text.Encoding.UTF8.GetString(reader.Text()));
    }

    public static void Write(WalRecordBuilder record, long time, string name)
    {
        Span<byte> text = stackalloc byte[NameSize];
        text.Clear();
        System.Text.Encoding.UTF8.GetBytes(name, text[..^1]);
        record.AddData(in time).AddData(text);
    }
}

/// <summary>FPW_CHANGE: full_page_writes is now so.</summary>
public readonly record struct FullPageWritesRecord(bool On)
{
    public static FullPageWritesRecord Read(ReadOnlySpan<byte> body) => new(new BodyReader(body).Bool());

    public void Write(WalRecordBuilder record) => record.AddData([On ? (byte)1 : (byte)0]);
}

/// <summary>END_OF_RECOVERY (xl_end_of_recovery). The time is in PostgreSQL's microseconds since 2000.</summary>
public readonly record struct EndOfRecoveryRecord(long Time, TimelineId Timeline, TimelineId PreviousTimeline)
{
    public static EndOfRecoveryRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return new EndOfRecoveryRecord(reader.Int64(), new TimelineId(reader.UInt32()), new TimelineId(reader.UInt32()));
    }

    public void Write(WalRecordBuilder record) => record.AddData(in this);
}

/// <summary>OVERWRITE_CONTRECORD: the record that began there was given up (xl_overwrite_contrecord).</summary>
public readonly record struct OverwriteContinuationRecord(Lsn Overwritten, long Time)
{
    public static OverwriteContinuationRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return new OverwriteContinuationRecord(reader.Lsn(), reader.Int64());
    }

    public void Write(WalRecordBuilder record) => record.AddData(in this);
}
