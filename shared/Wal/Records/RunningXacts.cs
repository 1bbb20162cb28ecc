using System.Buffers.Binary;
using System.Runtime.InteropServices;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Records;

/// <summary>The transactions that ran at a moment (xl_running_xacts of the standby resource manager, op 0x10).</summary>
public ref struct RunningXacts
{
    public const byte OpLocks = 0x00;
    public const byte OpRunningXacts = 0x10;
    public const byte OpInvalidations = 0x20;

    /// <summary>Bytes before the xids.</summary>
    public const int HeaderSize = 24;

    public int TopCount;
    public int ChildCount;

    /// <summary>Not all subtransactions are listed.</summary>
    public bool ChildrenMissing;

    public Xid Next;
    public Xid OldestRunning;
    public Xid LatestCompleted;

    /// <summary>Top-level transactions first, then subtransactions.</summary>
    public ReadOnlySpan<Xid> Xids;

    /// <exception cref="StorageException">The body is shorter than its own counts say (I10).</exception>
    public static RunningXacts Read(ReadOnlySpan<byte> body)
    {
        if (body.Length < HeaderSize)
        {
            throw new StorageException("a running-transactions record is too short");
        }

        var r = new RunningXacts
        {
            TopCount = BinaryPrimitives.ReadInt32LittleEndian(body),
            ChildCount = BinaryPrimitives.ReadInt32LittleEndian(body[4..]),
            ChildrenMissing = body[8] != 0,
            Next = new Xid(BinaryPrimitives.ReadUInt32LittleEndian(body[12..])),
            OldestRunning = new Xid(BinaryPrimitives.ReadUInt32LittleEndian(body[16..])),
            LatestCompleted = new Xid(BinaryPrimitives.ReadUInt32LittleEndian(body[20..])),
        };
        long count = (long)r.TopCount + r.ChildCount;
        if (count < 0 || count * Xid.Size > body.Length - HeaderSize)
        {
            throw new StorageException("a running-transactions record is shorter than it says");
        }

        r.Xids = MemoryMarshal.Cast<byte, Xid>(body.Slice(HeaderSize, (int)count * Xid.Size));
        return r;
    }

    public readonly byte[] ToBytes()
    {
        byte[] body = new byte[HeaderSize + (Xids.Length * Xid.Size)];
        BinaryPrimitives.WriteInt32LittleEndian(body, TopCount);
        BinaryPrimitives.WriteInt32LittleEndian(body.AsSpan(4), ChildCount);
        body[8] = ChildrenMissing ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(12), Next.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(16), OldestRunning.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(20), LatestCompleted.Value);
        MemoryMarshal.AsBytes(Xids).CopyTo(body.AsSpan(HeaderSize));
        return body;
    }
}
