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
            .AddData(Messages.Length / XactEnd.InvalidationSize).AddData(Messages);
}
