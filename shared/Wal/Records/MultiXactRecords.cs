using System.Buffers.Binary;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Records;

/// <summary>A multixact and its members (xl_multixact_create, op 0x20): eight bytes a member, its xid and its status.</summary>
public readonly ref struct MultiXactCreation
{
    public const int HeaderSize = 12;
    public const int MemberSize = 8;

    public MultiXactId Multi { get; private init; }

    /// <summary>The number of its first member.</summary>
    public uint Offset { get; private init; }

    public ReadOnlySpan<byte> Members { get; private init; }

    /// <exception cref="StorageException">The body is shorter than its count says (I10).</exception>
    public static MultiXactCreation Read(ReadOnlySpan<byte> body)
    {
        long count = body.Length < HeaderSize ? -1 : BinaryPrimitives.ReadInt32LittleEndian(body[8..]);
        if (count < 0 || count * MemberSize > body.Length - HeaderSize)
        {
            throw new StorageException("a multixact record is shorter than it says");
        }

        return new MultiXactCreation
        {
            Multi = new MultiXactId(BinaryPrimitives.ReadUInt32LittleEndian(body)),
            Offset = BinaryPrimitives.ReadUInt32LittleEndian(body[4..]),
            Members = body.Slice(HeaderSize, (int)count * MemberSize),
        };
    }

    /// <summary>The highest xid among the members, as transactions are ordered.</summary>
    public Xid LatestMember
    {
        get
        {
            Xid latest = Xid.Invalid;
            for (int i = 0; i < Members.Length; i += MemberSize)
            {
                var xid = new Xid(BinaryPrimitives.ReadUInt32LittleEndian(Members[i..]));
                latest = latest.Precedes(xid) ? xid : latest;
            }

            return latest;
        }
    }
}

/// <summary>Multixacts and members that go (xl_multixact_truncate, op 0x30): from the starts to before the ends.</summary>
public readonly record struct MultiXactTruncation(Oid Database, MultiXactId StartOffset, MultiXactId EndOffset, uint StartMember, uint EndMember)
{
    public const int Size = 20;

    /// <exception cref="StorageException">The body is too short (I10).</exception>
    public static MultiXactTruncation Read(ReadOnlySpan<byte> body)
    {
        if (body.Length < Size)
        {
            throw new StorageException("a multixact truncation record is too short");
        }

        return new MultiXactTruncation(
            new Oid(BinaryPrimitives.ReadUInt32LittleEndian(body)),
            new MultiXactId(BinaryPrimitives.ReadUInt32LittleEndian(body[4..])),
            new MultiXactId(BinaryPrimitives.ReadUInt32LittleEndian(body[8..])),
            BinaryPrimitives.ReadUInt32LittleEndian(body[12..]),
            BinaryPrimitives.ReadUInt32LittleEndian(body[16..]));
    }

    public byte[] ToBytes()
    {
        byte[] body = new byte[Size];
        BinaryPrimitives.WriteUInt32LittleEndian(body, Database.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(4), StartOffset.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(8), EndOffset.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(12), StartMember);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(16), EndMember);
        return body;
    }
}

/// <summary>Statuses that go (xl_clog_truncate, op 0x10 of the clog resource manager).</summary>
public readonly record struct ClogTruncation(uint Page, Xid OldestXid, Oid Database)
{
    public const int Size = 12;

    /// <exception cref="StorageException">The body is too short (I10).</exception>
    public static ClogTruncation Read(ReadOnlySpan<byte> body)
    {
        if (body.Length < Size)
        {
            throw new StorageException("a clog truncation record is too short");
        }

        return new ClogTruncation(
            BinaryPrimitives.ReadUInt32LittleEndian(body),
            new Xid(BinaryPrimitives.ReadUInt32LittleEndian(body[4..])),
            new Oid(BinaryPrimitives.ReadUInt32LittleEndian(body[8..])));
    }

    public byte[] ToBytes()
    {
        byte[] body = new byte[Size];
        BinaryPrimitives.WriteUInt32LittleEndian(body, Page);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(4), OldestXid.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(8), Database.Value);
        return body;
    }
}
