using System.Runtime.InteropServices;
using System.Text;
using SharedStorage.Primitives;
using SharedStorage.Wal.Inserting;

namespace SharedStorage.Wal.Records;

/// <summary>What the resource manager "Transaction" logs (xact.h).</summary>
public static class XactOp
{
    public const byte Commit = 0x00;
    public const byte Prepare = 0x10;
    public const byte Abort = 0x20;
    public const byte CommitPrepared = 0x30;
    public const byte AbortPrepared = 0x40;
    public const byte Assignment = 0x50;
    public const byte Invalidations = 0x60;
    public const byte Mask = 0x70;

    /// <summary>The body has <see cref="XactInfo"/>.</summary>
    public const byte HasInfo = 0x80;

    /// <summary>The record removes relation files (XLR_SPECIAL_REL_UPDATE).</summary>
    public const byte SpecialRelationUpdate = 0x01;
}

/// <summary>A statistics entry that goes with an object (xl_xact_stats_item).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public readonly record struct DroppedStatistics(int Kind, Oid Database, Oid Object);

/// <summary>ASSIGNMENT: these subtransactions belong to that top-level transaction (xl_xact_assignment).</summary>
public readonly ref struct XactAssignmentRecord
{
    public Xid Top { get; init; }
    public ReadOnlySpan<Xid> Subtransactions { get; init; }

    public static XactAssignmentRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return new XactAssignmentRecord { Top = reader.Xid(), Subtransactions = reader.Array<Xid>(reader.Int32()) };
    }

    public void Write(WalRecordBuilder record) =>
        record.AddData(Top).AddData(Subtransactions.Length).AddData(MemoryMarshal.AsBytes(Subtransactions));
}

/// <summary>INVALIDATIONS: messages of a command within a transaction, for logical decoding (xl_xact_invals).</summary>
public static class XactInvalidationsRecord
{
    public static ReadOnlySpan<byte> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        int count = reader.Int32();
        return reader.Take(count is >= 0 and < int.MaxValue / XactEnd.InvalidationSize ? count * XactEnd.InvalidationSize : int.MaxValue);
    }
}

/// <summary>PREPARE: the state file of a prepared transaction up to its resource managers' parts (xl_xact_prepare).</summary>
public readonly ref struct XactPrepareRecord
{
    public Xid Xid { get; init; }
    public Oid Database { get; init; }
    public long Time { get; init; }
    public Oid Owner { get; init; }
    public bool InvalidatesInitFile { get; init; }
    public Lsn OriginLsn { get; init; }
    public long OriginTime { get; init; }
    public ReadOnlySpan<byte> GlobalId { get; init; }
    public ReadOnlySpan<Xid> Subtransactions { get; init; }
    public ReadOnlySpan<RelFileNode> CommitRelFileNodes { get; init; }
    public ReadOnlySpan<RelFileNode> AbortRelFileNodes { get; init; }
    public ReadOnlySpan<DroppedStatistics> CommitStatistics { get; init; }
    public ReadOnlySpan<DroppedStatistics> AbortStatistics { get; init; }
    public ReadOnlySpan<byte> Invalidations { get; init; }

    /// <summary>The parts of resource managers that follow: locks and the like.</summary>
    public ReadOnlySpan<byte> Parts { get; init; }

    public static XactPrepareRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        reader.Skip(8);
        Xid xid = reader.Xid();
        Oid database = reader.Oid();
        long time = reader.Int64();
        Oid owner = reader.Oid();
        int subtransactions = reader.Int32();
        int commitFiles = reader.Int32();
        int abortFiles = reader.Int32();
        int commitStatistics = reader.Int32();
        int abortStatistics = reader.Int32();
        int invalidations = reader.Int32();
        bool initFile = reader.Bool();
        reader.Align(2);
        int idLength = reader.UInt16();
        reader.Align(8);
        Lsn originLsn = reader.Lsn();
        long originTime = reader.Int64();
        ReadOnlySpan<byte> id = Aligned<byte>(ref reader, idLength);
        return new XactPrepareRecord
        {
            Xid = xid,
            Database = database,
            Time = time,
            Owner = owner,
            InvalidatesInitFile = initFile,
            OriginLsn = originLsn,
            OriginTime = originTime,
            GlobalId = id.TrimEnd((byte)0),
            Subtransactions = Aligned<Xid>(ref reader, subtransactions),
            CommitRelFileNodes = Aligned<RelFileNode>(ref reader, commitFiles),
            AbortRelFileNodes = Aligned<RelFileNode>(ref reader, abortFiles),
            CommitStatistics = Aligned<DroppedStatistics>(ref reader, commitStatistics),
            AbortStatistics = Aligned<DroppedStatistics>(ref reader, abortStatistics),
            Invalidations = MemoryMarshal.AsBytes(Aligned<Guid>(ref reader, invalidations)),
            Parts = reader.Take(reader.Remaining),
        };
    }

    private static ReadOnlySpan<T> Aligned<T>(scoped ref BodyReader reader, int count) where T : unmanaged
    {
        ReadOnlySpan<T> items = reader.Array<T>(count);
        reader.Align(8);
        return items;
    }
}
