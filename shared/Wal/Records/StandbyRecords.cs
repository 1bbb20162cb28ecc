using System.Runtime.InteropServices;
using SharedStorage.Primitives;
using SharedStorage.Wal.Inserting;

namespace SharedStorage.Wal.Records;

/// <summary>What "Standby" logs (standbydefs.h): what a hot standby needs to take snapshots and to avoid conflicts.</summary>
public static class StandbyOp
{
    public const byte Lock = 0x00;
    public const byte RunningTransactions = 0x10;
    public const byte Invalidations = 0x20;
}

/// <summary>An AccessExclusiveLock (xl_standby_lock).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public readonly record struct StandbyLock(Xid Xid, Oid Database, Oid Relation);

/// <summary>LOCK: locks taken, or all held at a checkpoint (xl_standby_locks).</summary>
public static class StandbyLocksRecord
{
    public static ReadOnlySpan<StandbyLock> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return reader.Array<StandbyLock>(reader.Int32());
    }

    public static void Write(WalRecordBuilder record, ReadOnlySpan<StandbyLock> locks) =>
        record.AddData(locks.Length).AddData(MemoryMarshal.AsBytes(locks));
}

/// <summary>RUNNING_XACTS (xl_running_xacts): top-level transactions first, then subtransactions.</summary>
public readonly ref struct RunningTransactionsRecord
{
    public int TopCount { get; init; }
    public int SubCount { get; init; }

    /// <summary>There are more subtransactions than listed.</summary>
    public bool SubtransactionsOverflowed { get; init; }
    public Xid Next { get; init; }
    public Xid OldestRunning { get; init; }
    public Xid LatestCompleted { get; init; }
    public ReadOnlySpan<Xid> Xids { get; init; }

    public static RunningTransactionsRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        int top = reader.Int32();
        int sub = reader.Int32();
        bool overflowed = reader.Bool();
        reader.Align(4);
        return new RunningTransactionsRecord
        {
            TopCount = top,
            SubCount = sub,
            SubtransactionsOverflowed = overflowed,
            Next = reader.Xid(),
            OldestRunning = reader.Xid(),
            LatestCompleted = reader.Xid(),
            Xids = reader.Array<Xid>((int)Math.Clamp((long)top + sub, -1, int.MaxValue)),
        };
    }

    public void Write(WalRecordBuilder record)
    {
        record.AddData(TopCount).AddData(SubCount).AddData(SubtransactionsOverflowed ? 1 : 0)
            .AddData(Next).AddData(OldestRunning).AddData(LatestCompleted);
        record.AddData(MemoryMarshal.AsBytes(Xids));
    }
}

/// <summary>INVALIDATIONS of a transaction without xid (xl_invalidations).</summary>
public readonly ref struct StandbyInvalidationsRecord
{
    public Oid Database { get; init; }
    public Oid Tablespace { get; init; }
    public bool InvalidatesInitFile { get; init; }
    public ReadOnlySpan<byte> Messages { get; init; }

    public static StandbyInvalidationsRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        Oid database = reader.Oid();
        Oid tablespace = reader.Oid();
        bool initFile = reader.Bool();
        reader.Align(4);
        return new StandbyInvalidationsRecord
        {
            Database = database,
            Tablespace = tablespace,
            InvalidatesInitFile = initFile,
            Messages = MemoryMarshal.AsBytes(reader.Array<Guid>(reader.Int32())),
        };
    }

    public void Write(WalRecordBuilder record) =>
        record.AddData(Database).AddData(Tablespace).AddData(InvalidatesInitFile ? 1 : 0)
            .AddData(Messages.Length / XactEndRecord.InvalidationSize).AddData(Messages);
}
