using SharedStorage.Primitives;

namespace SharedStorage.Wal;

/// <summary>
/// One decoded log record. The object and its buffer are used again for the next record, so nothing is allocated per record;
/// spans taken from it end with the next read.
/// </summary>
public sealed class WalRecord
{
    /// <summary>The highest block number a record can carry is 32 (XLR_MAX_BLOCK_ID).</summary>
    public const int MaxBlocks = 33;

    public Lsn Start => throw new NotImplementedException();

    /// <summary>The position after the record, 8-byte aligned: what a page's LSN is set to (EndRecPtr).</summary>
    public Lsn End => throw new NotImplementedException();

    public Lsn Previous => throw new NotImplementedException();
    public Rmgr Rmgr => throw new NotImplementedException();

    /// <summary>The whole info byte; the resource manager's own bits are <c>Info &amp; 0xF0</c>.</summary>
    public byte Info => throw new NotImplementedException();

    public byte OpCode => (byte)(Info & 0xF0);
    public Xid Xid => throw new NotImplementedException();
    public Xid TopLevelXid => throw new NotImplementedException();
    public uint TotalLength => throw new NotImplementedException();

    /// <summary>One more than the highest block id in the record; ids below it may be absent (<see cref="WalBlock.InUse"/>).</summary>
    public int BlockCount => throw new NotImplementedException();

    public ref readonly WalBlock Block(int id) => throw new NotImplementedException();
    public bool HasBlock(int id) => id < BlockCount && Block(id).InUse;
    public ReadOnlySpan<byte> MainData => throw new NotImplementedException();

    /// <summary>The resource manager's data for a block; empty when there is none.</summary>
    public ReadOnlySpan<byte> BlockData(int id) => throw new NotImplementedException();

    /// <summary>Writes the block's full-page image (hole and compression undone) over a page.</summary>
    public void RestoreImage(int id, Span<byte> page) => throw new NotImplementedException();
}

/// <summary>A block reference of a record.</summary>
public struct WalBlock
{
    public bool InUse;
    public BufferTag Tag;

    /// <summary>The fork flags byte of the block header (BKPBLOCK_*).</summary>
    public byte Flags;

    public bool HasImage;

    /// <summary>The image is to be restored by redo; else it is there for checking only (wal_consistency_checking).</summary>
    public bool ApplyImage;

    public bool HasData;
    public bool WillInit => (Flags & 0x40) != 0;

    public ushort HoleOffset;
    public ushort HoleLength;
    public byte ImageInfo;
    internal int ImageOffset;
    internal int ImageLength;
    internal int DataOffset;
    internal int DataLength;
}
