using System.Buffers.Binary;
using System.Text;
using SharedStorage.Wal.Records;

namespace SharedStorage.Wal.Describe;

/// <summary>CLOG, MultiXact and CommitTs.</summary>
internal static class SlruDescription
{
    public static string? IdentifyClog(byte info) => (info & 0xF0) switch
    {
        ClogOp.ZeroPage => "ZEROPAGE",
        ClogOp.Truncate => "TRUNCATE",
        _ => null,
    };

    public static void DescribeClog(WalRecord record, StringBuilder into)
    {
        if (record.OpCode == ClogOp.ZeroPage)
        {
            into.Append($"page {SlruZeroPageRecord.Read(record.MainData).Page}");
        }
        else if (record.OpCode == ClogOp.Truncate)
        {
            ClogTruncation truncate = ClogTruncation.Read(record.MainData);
            into.Append($"page {(int)truncate.Page}; oldestXact {truncate.OldestXid}");
        }
    }

    public static string? IdentifyMultiXact(byte info) => (info & 0xF0) switch
    {
        MultiXactOp.ZeroOffsetsPage => "ZERO_OFF_PAGE",
        MultiXactOp.ZeroMembersPage => "ZERO_MEM_PAGE",
        MultiXactOp.Create => "CREATE_ID",
        MultiXactOp.Truncate => "TRUNCATE_ID",
        _ => null,
    };

    public static void DescribeMultiXact(WalRecord record, StringBuilder into)
    {
        switch (record.OpCode)
        {
            case MultiXactOp.ZeroOffsetsPage:
            case MultiXactOp.ZeroMembersPage:
                into.Append(SlruZeroPageRecord.Read(record.MainData).Page);
                break;
            case MultiXactOp.Create:
                MultiXactCreation create = MultiXactCreation.Read(record.MainData);
                into.Append($"{create.Multi} offset {create.Offset} nmembers {create.Members.Length / MultiXactCreation.MemberSize}: ");
                for (ReadOnlySpan<byte> m = create.Members; !m.IsEmpty; m = m[MultiXactCreation.MemberSize..])
                {
                    into.Append($"{BinaryPrimitives.ReadUInt32LittleEndian(m)} ({StatusName(BinaryPrimitives.ReadInt32LittleEndian(m[4..]))}) ");
                }

                break;
            case MultiXactOp.Truncate:
                MultiXactTruncation truncate = MultiXactTruncation.Read(record.MainData);
                into.Append($"offsets [{truncate.StartOffset}, {truncate.EndOffset}), members [{truncate.StartMember}, {truncate.EndMember})");
                break;
        }
    }

    private static string StatusName(int status) => status switch
    {
        0 => "keysh",
        1 => "sh",
        2 => "fornokeyupd",
        3 => "forupd",
        4 => "nokeyupd",
        5 => "upd",
        _ => "unk",
    };

    public static string? IdentifyCommitTs(byte info) => info switch
    {
        CommitTimestampOp.ZeroPage => "ZEROPAGE",
        CommitTimestampOp.Truncate => "TRUNCATE",
        _ => null,
    };

    public static void DescribeCommitTs(WalRecord record, StringBuilder into)
    {
        if (record.OpCode == CommitTimestampOp.ZeroPage)
        {
            into.Append(SlruZeroPageRecord.Read(record.MainData).Page);
        }
        else if (record.OpCode == CommitTimestampOp.Truncate)
        {
            CommitTimestampTruncateRecord truncate = CommitTimestampTruncateRecord.Read(record.MainData);
            into.Append($"pageno {truncate.Page}, oldestXid {truncate.OldestXid}");
        }
    }
}
