using System.Runtime.InteropServices;
using SharedStorage.Primitives;
using SharedStorage.Wal.Inserting;

namespace SharedStorage.Wal.Records;

/// <summary>What "CLOG" logs (clog.h).</summary>
public static class ClogOp
{
    public const byte ZeroPage = 0x00;
    public const byte Truncate = 0x10;
}

/// <summary>ZEROPAGE of clog, multixact offsets and members, commit timestamps: a page begins.</summary>
public readonly record struct SlruZeroPageRecord(int Page)
{
    public static SlruZeroPageRecord Read(ReadOnlySpan<byte> body) => new(new BodyReader(body).Int32());

    public void Write(WalRecordBuilder record) => record.AddData(in this);
}

/// <summary>TRUNCATE of clog (xl_clog_truncate): pages before this one go.</summary>
public readonly record struct ClogTruncateRecord(int Page, Xid OldestXid, Oid OldestXidDatabase)
{
    public static ClogTruncateRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return new ClogTruncateRecord(reader.Int32(), reader.Xid(), reader.Oid());
    }

    public void Write(WalRecordBuilder record) => record.AddData(in this);
}

/// <summary>What "MultiXact" logs (multixact.h).</summary>
public static class MultiXactOp
{
    public const byte ZeroOffsetsPage = 0x00;
    public const byte ZeroMembersPage = 0x10;
    public const byte Create = 0x20;
    public const byte Truncate = 0x30;
}

/// <summary>How a member holds the row (MultiXactStatus).</summary>
public enum MultiXactStatus
{
    ForKeyShare = 0,
    ForShare = 1,
    ForNoKeyUpdate = 2,
    ForUpdate = 3,
    NoKeyUpdate = 4,
    Update = 5,
}

[StructLayout(LayoutKind.Sequential, Pack = 4)]
public readonly record struct MultiXactMember(Xid Xid, MultiXactStatus Status);

/// <summary>CREATE_ID (xl_multixact_create).</summary>
public readonly ref struct MultiXactCreateRecord
{
    public MultiXactId Id { get; init; }

    /// <summary>The first member's place in the members' area.</summary>
    public uint Offset { get; init; }
    public ReadOnlySpan<MultiXactMember> Members { get; init; }

    public static MultiXactCreateRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return new MultiXactCreateRecord
        {
            Id = new MultiXactId(reader.UInt32()),
            Offset = reader.UInt32(),
            Members = reader.Array<MultiXactMember>(reader.Int32()),
        };
    }

    public void Write(WalRecordBuilder record) =>
        record.AddData(Id).AddData(Offset).AddData(Members.Length).AddData(MemoryMarshal.AsBytes(Members));
}

/// <summary>TRUNCATE_ID (xl_multixact_truncate): what lies in the half-open ranges goes.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public readonly record struct MultiXactTruncateRecord(
    Oid OldestDatabase, MultiXactId FirstId, MultiXactId EndId, uint FirstMember, uint EndMember)
{
    public static MultiXactTruncateRecord Read(ReadOnlySpan<byte> body) => new BodyReader(body).Array<MultiXactTruncateRecord>(1)[0];

    public void Write(WalRecordBuilder record) => record.AddData(in this);
}

/// <summary>What "CommitTs" logs (commit_ts.h).</summary>
public static class CommitTimestampOp
{
    public const byte ZeroPage = 0x00;
    public const byte Truncate = 0x10;
}

/// <summary>TRUNCATE of commit timestamps (xl_commit_ts_truncate).</summary>
public readonly record struct CommitTimestampTruncateRecord(int Page, Xid OldestXid)
{
    public static CommitTimestampTruncateRecord Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body);
        return new CommitTimestampTruncateRecord(reader.Int32(), reader.Xid());
    }

    public void Write(WalRecordBuilder record) => record.AddData(in this);
}
