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

/// <summary>What "MultiXact" logs (multixact.h).</summary>
public static class MultiXactOp
{
    public const byte ZeroOffsetsPage = 0x00;
    public const byte ZeroMembersPage = 0x10;
    public const byte Create = 0x20;
    public const byte Truncate = 0x30;
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
