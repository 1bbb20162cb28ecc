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

/// <summary>Which parts the end of a transaction has, and what else follows from it (XACT_XINFO_*, XACT_COMPLETION_*).</summary>
[Flags]
public enum XactInfo : uint
{
    None = 0,
    Database = 1 << 0,
    Subtransactions = 1 << 1,
    RelFileNodes = 1 << 2,
    Invalidations = 1 << 3,
    TwoPhase = 1 << 4,
    Origin = 1 << 5,
    AccessExclusiveLocks = 1 << 6,
    GlobalId = 1 << 7,
    DroppedStatistics = 1 << 8,
    ApplyFeedback = 1u << 29,
    UpdateRelcacheFile = 1u << 30,
    ForceSyncCommit = 1u << 31,
}

/// <summary>A statistics entry that goes with an object (xl_xact_stats_item).</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public readonly record struct DroppedStatistics(int Kind, Oid Database, Oid Object);

/// <summary>
/// COMMIT, ABORT and their forms for prepared transactions: a time, flags and the parts that they announce. Spans end with the record they were read from.
/// </summary>
public ref struct XactEndRecord
{
    /// <summary>Bytes of an invalidation message (SharedInvalidationMessage).</summary>
    public const int InvalidationSize = 16;

    /// <summary>Microseconds since 2000-01-01 UTC.</summary>
    public long Time;

    /// <summary>The flags that are not parts (completion, locks) are the caller's when it writes; those of the parts follow from the parts.</summary>
    public XactInfo Info;
    public Oid Database;
    public Oid Tablespace;
    public ReadOnlySpan<Xid> Subtransactions;

    /// <summary>Relation files that go: with a commit what was dropped, with an abort what was created.</summary>
    public ReadOnlySpan<RelFileNode> RelFileNodes;
    public ReadOnlySpan<DroppedStatistics> DroppedStatistics;

    /// <summary>Invalidation messages, 16 bytes each; none in an abort.</summary>
    public ReadOnlySpan<byte> Invalidations;

    /// <summary>The prepared transaction that ends here; else invalid.</summary>
    public Xid TwoPhaseXid;
    public ReadOnlySpan<byte> GlobalId;
    public Lsn OriginLsn;
    public long OriginTime;

    /// <param name="info">The record's whole info byte.</param>
    /// <param name="body">The record's main data.</param>
    /// <exception cref="StorageException">The body is too short.</exception>
    public static XactEndRecord Read(byte info, ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        XactEndRecord r = default;
        r.Time = reader.Int64();
        r.Info = (info & XactOp.HasInfo) != 0 ? (XactInfo)reader.UInt32() : XactInfo.None;
        if ((r.Info & XactInfo.Database) != 0)
        {
            r.Database = reader.Oid();
            r.Tablespace = reader.Oid();
        }

        if ((r.Info & XactInfo.Subtransactions) != 0)
        {
            r.Subtransactions = reader.Array<Xid>(reader.Int32());
        }

        if ((r.Info & XactInfo.RelFileNodes) != 0)
        {
            r.RelFileNodes = reader.Array<RelFileNode>(reader.Int32());
        }

        if ((r.Info & XactInfo.DroppedStatistics) != 0)
        {
            r.DroppedStatistics = reader.Array<DroppedStatistics>(reader.Int32());
        }

        if ((r.Info & XactInfo.Invalidations) != 0)
        {
            int count = reader.Int32();
            r.Invalidations = reader.Take(count is >= 0 and < int.MaxValue / InvalidationSize ? count * InvalidationSize : int.MaxValue);
        }

        if ((r.Info & XactInfo.TwoPhase) != 0)
        {
            r.TwoPhaseXid = reader.Xid();
            if ((r.Info & XactInfo.GlobalId) != 0)
            {
                r.GlobalId = reader.Text();
            }
        }

        if ((r.Info & XactInfo.Origin) != 0)
        {
            r.OriginLsn = reader.Lsn();
            r.OriginTime = reader.Int64();
        }

        return r;
    }

    public static XactEndRecord Read(WalRecord record) => Read(record.Info, record.MainData);

    /// <summary>Adds the body to a record under construction and gives the info byte to insert it with.</summary>
    public readonly byte Write(WalRecordBuilder record, byte op)
    {
        const XactInfo parts = XactInfo.Database | XactInfo.Subtransactions | XactInfo.RelFileNodes | XactInfo.Invalidations | XactInfo.TwoPhase
            | XactInfo.Origin | XactInfo.GlobalId | XactInfo.DroppedStatistics;
        XactInfo info = Info & ~parts;
        info |= Invalidations.IsEmpty ? 0 : XactInfo.Database;
        info |= Subtransactions.IsEmpty ? 0 : XactInfo.Subtransactions;
        info |= RelFileNodes.IsEmpty ? 0 : XactInfo.RelFileNodes;
        info |= DroppedStatistics.IsEmpty ? 0 : XactInfo.DroppedStatistics;
        info |= Invalidations.IsEmpty ? 0 : XactInfo.Invalidations;
        info |= TwoPhaseXid.IsValid ? XactInfo.TwoPhase : 0;
        info |= TwoPhaseXid.IsValid && !GlobalId.IsEmpty ? XactInfo.GlobalId : 0;
        info |= OriginLsn.IsValid || OriginTime != 0 ? XactInfo.Origin : 0;

        record.AddData(in Time);
        if (info != XactInfo.None)
        {
            record.AddData((uint)info);
        }

        if ((info & XactInfo.Database) != 0)
        {
            record.AddData(in Database).AddData(in Tablespace);
        }

        WriteArray(record, Subtransactions);
        WriteArray(record, RelFileNodes);
        WriteArray(record, DroppedStatistics);
        if (!Invalidations.IsEmpty)
        {
            record.AddData(Invalidations.Length / InvalidationSize).AddData(Invalidations);
        }

        if (TwoPhaseXid.IsValid)
        {
            record.AddData(in TwoPhaseXid);
            if (!GlobalId.IsEmpty)
            {
                record.AddData(GlobalId).AddData([0]);
            }
        }

        if ((info & XactInfo.Origin) != 0)
        {
            record.AddData(in OriginLsn).AddData(in OriginTime);
        }

        return (byte)(op | (info != XactInfo.None ? XactOp.HasInfo : 0) | (RelFileNodes.IsEmpty ? 0 : XactOp.SpecialRelationUpdate));
    }

    private static void WriteArray<T>(WalRecordBuilder record, ReadOnlySpan<T> items) where T : unmanaged
    {
        if (!items.IsEmpty)
        {
            record.AddData(items.Length).AddData(MemoryMarshal.AsBytes(items));
        }
    }
}

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
        return reader.Take(count is >= 0 and < int.MaxValue / XactEndRecord.InvalidationSize ? count * XactEndRecord.InvalidationSize : int.MaxValue);
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
        };
    }

    private static ReadOnlySpan<T> Aligned<T>(scoped ref BodyReader reader, int count) where T : unmanaged
    {
        ReadOnlySpan<T> items = reader.Array<T>(count);
        reader.Align(8);
        return items;
    }
}
