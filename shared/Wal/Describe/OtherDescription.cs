using System.Text;
using SharedStorage.Wal.Records;

namespace SharedStorage.Wal.Describe;

/// <summary>ReplicationOrigin, Generic and LogicalMessage.</summary>
internal static class OtherDescription
{
    public static string? IdentifyOrigin(byte info) => info switch
    {
        0x00 => "SET",
        0x10 => "DROP",
        _ => null,
    };

    public static void DescribeOrigin(WalRecord record, StringBuilder into)
    {
        var b = new BodyReader(record.MainData);
        if (record.OpCode == 0x00)
        {
            string lsn = b.Lsn().ToString();
            into.Append($"set {b.UInt16()}; lsn {lsn}; force: {b.Byte()}");
        }
        else if (record.OpCode == 0x10)
        {
            into.Append($"drop {b.UInt16()}");
        }
    }

    public static string? IdentifyGeneric(byte info) => "Generic";

    public static void DescribeGeneric(WalRecord record, StringBuilder into)
    {
        var b = new BodyReader(record.MainData);
        while (b.Remaining > 0)
        {
            int offset = b.UInt16();
            int length = b.UInt16();
            b.Skip(length);
            into.Append($"offset {offset}, length {length}{(b.Remaining > 0 ? "; " : "")}");
        }
    }

    public static string? IdentifyMessage(byte info) => (info & 0xF0) == 0 ? "MESSAGE" : null;

    public static void DescribeMessage(WalRecord record, StringBuilder into)
    {
        if (record.OpCode != 0)
        {
            return;
        }

        var b = new BodyReader(record.MainData);
        b.Skip(4);
        bool transactional = b.Bool();
        b.Align(8);
        long prefixLength = b.Int64();
        long length = b.Int64();
        ReadOnlySpan<byte> prefix = b.Take(checked((int)prefixLength));
        into.Append(transactional ? "transactional" : "non-transactional");
        into.Append($", prefix \"{Encoding.UTF8.GetString(prefix.TrimEnd((byte)0))}\"; payload ({length} bytes): ");
        bool first = true;
        foreach (byte c in b.Take(checked((int)length)))
        {
            into.Append(first ? "" : " ").Append($"{c:X2}");
            first = false;
        }
    }
}
