using System.Runtime.InteropServices;
using SharedStorage.Format.Compression;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Wal;

/// <summary>
/// One decoded log record. The object and its buffer are used again for the next record, so nothing is allocated per record;
/// spans taken from it end with the next read. Layout: xlogrecord.h; the decoding is in WalRecord.Decode.cs.
/// </summary>
public sealed partial class WalRecord
{
    /// <summary>The highest block number a record can carry is 32 (XLR_MAX_BLOCK_ID).</summary>
    public const int MaxBlocks = 33;

    private readonly WalBlock[] _blocks = new WalBlock[MaxBlocks];
    private byte[] _bytes = new byte[2 * WalLayout.PageSize];
    private int _mainOffset;
    private int _mainLength;

    public Lsn Start { get; private set; }

    /// <summary>The position after the record, 8-byte aligned: what a page's LSN is set to (EndRecPtr).</summary>
    public Lsn End { get; private set; }

    public Lsn Previous => new(Header.Previous);
    public Rmgr Rmgr => (Rmgr)Header.Rmgr;

    /// <summary>The whole info byte; the resource manager's own bits are <c>Info &amp; 0xF0</c>.</summary>
    public byte Info => Header.Info;

    public byte OpCode => (byte)(Info & 0xF0);
    public Xid Xid => new(Header.Xid);

    /// <summary>The top-level transaction, in the first record of a subtransaction when wal_level is logical; else invalid.</summary>
    public Xid TopLevelXid { get; private set; }

    /// <summary>The replication origin; 0 when the record has none.</summary>
    public ushort Origin { get; private set; }

    /// <summary>Bytes of the record with its header, without padding and page headers.</summary>
    public uint TotalLength => Header.TotalLength;

    /// <summary>One more than the highest block id in the record; ids below it may be absent (<see cref="WalBlock.InUse"/>).</summary>
    public int BlockCount { get; private set; }

    internal ref readonly WalRecordHeader Header => ref MemoryMarshal.AsRef<WalRecordHeader>(_bytes);

    /// <exception cref="StorageException">The record has no block with this id.</exception>
    public ref readonly WalBlock Block(int id)
    {
        if ((uint)id >= (uint)BlockCount)
        {
            throw Malformed($"block {id} is not in the record");
        }

        return ref _blocks[id];
    }

    public bool HasBlock(int id) => (uint)id < (uint)BlockCount && _blocks[id].InUse;
    public ReadOnlySpan<byte> MainData => _bytes.AsSpan(_mainOffset, _mainLength);

    /// <summary>The resource manager's data for a block; empty when there is none.</summary>
    public ReadOnlySpan<byte> BlockData(int id)
    {
        ref readonly WalBlock block = ref Block(id);
        return _bytes.AsSpan(block.DataOffset, block.DataLength);
    }

    /// <summary>The block's image as it lies in the record, without its hole, maybe compressed.</summary>
    internal ReadOnlySpan<byte> StoredImage(int id)
    {
        ref readonly WalBlock block = ref Block(id);
        return _bytes.AsSpan(block.ImageOffset, block.ImageLength);
    }

    /// <summary>Writes the block's full-page image (hole and compression undone) over a page.</summary>
    /// <exception cref="StorageException">There is no image, or it cannot be decompressed.</exception>
    public void RestoreImage(int id, Span<byte> page)
    {
        ref readonly WalBlock block = ref Block(id);
        if (!block.HasImage)
        {
            throw Malformed($"block {id} has no full-page image");
        }

        ReadOnlySpan<byte> image = _bytes.AsSpan(block.ImageOffset, block.ImageLength);
        if ((block.ImageInfo & WalBlock.ImageCompressed) == 0)
        {
            Unfold(image, block.HoleOffset, block.HoleLength, page);
            return;
        }

        Span<byte> raw = stackalloc byte[Page.Size];
        raw = raw[..(Page.Size - block.HoleLength)];
        int length = (block.ImageInfo & WalBlock.ImageCompressed) switch
        {
            WalBlock.ImagePglz => Pglz.Decompress(image, raw),
            WalBlock.ImageLz4 => Lz4.Decompress(image, raw),
            WalBlock.ImageZstd => Zstd.Decompress(image, raw),
            _ => throw Malformed($"the image of block {id} is compressed by an unknown method (flags {block.ImageInfo:X2})"),
        };
        if (length != raw.Length)
        {
            throw Malformed($"the image of block {id} cannot be decompressed");
        }

        Unfold(raw, block.HoleOffset, block.HoleLength, page);
    }

    private static void Unfold(ReadOnlySpan<byte> image, int holeOffset, int holeLength, Span<byte> page)
    {
        image[..holeOffset].CopyTo(page);
        page.Slice(holeOffset, holeLength).Clear();
        image[holeOffset..].CopyTo(page[(holeOffset + holeLength)..]);
    }

    /// <summary>What a routine throws that meets something it cannot understand in this record (I10).</summary>
    public StorageException Malformed(string what) => new(
        $"malformed log record at {Start} (resource manager {Rmgr}, info {Info:X2}): {what}");

    /// <summary>
    /// Whether an exception says that a record cannot be right: an error with a name, or a bounds check that a length or offset in the record ran into. Spans make that check
    /// the last line of defence, so what it throws is turned into an error with a name where a record is applied or described, by <see cref="Rejected"/>, and nowhere else.
    /// </summary>
    public static bool IsRejection(Exception e) => e is StorageException or ArgumentException or IndexOutOfRangeException or OverflowException;

    /// <summary>The error to go on with (I10): it has this record's position, resource manager and info byte, and the reason.</summary>
    public StorageException Rejected(Exception reason) =>
        reason is StorageException named && named.Message.Contains(Start.ToString(), StringComparison.Ordinal)
            ? named
            : new StorageException($"log record at {Start} (resource manager {Rmgr}, info {Info:X2}): {reason.Message}", reason)
            {
                SqlState = (reason as StorageException)?.SqlState ?? SqlStates.DataCorrupted,
                Errno = (reason as StorageException)?.Errno ?? 0,
            };

    public override string ToString() => $"{Start} {Rmgr} info {Info:X2} xid {Xid} length {TotalLength}";
}

/// <summary>A block reference of a record.</summary>
public struct WalBlock
{
    internal const byte ForkMask = 0x0F;
    internal const byte HasImageFlag = 0x10;
    internal const byte HasDataFlag = 0x20;
    internal const byte WillInitFlag = 0x40;
    internal const byte SameRelationFlag = 0x80;
    internal const byte ImageHasHole = 0x01;
    internal const byte ImageApply = 0x02;
    internal const byte ImagePglz = 0x04;
    internal const byte ImageLz4 = 0x08;
    internal const byte ImageZstd = 0x10;
    internal const byte ImageCompressed = ImagePglz | ImageLz4 | ImageZstd;

    public bool InUse;
    public BufferTag Tag;

    /// <summary>The fork flags byte of the block header (BKPBLOCK_*).</summary>
    public byte Flags;

    public bool HasImage;

    /// <summary>The image is to be restored by redo; else it is there for checking only (wal_consistency_checking).</summary>
    public bool ApplyImage;

    public bool HasData;
    public readonly bool WillInit => (Flags & WillInitFlag) != 0;

    public ushort HoleOffset;
    public ushort HoleLength;
    public byte ImageInfo;
    internal int ImageOffset;
    internal int ImageLength;
    internal int DataOffset;
    internal int DataLength;

    /// <summary>Bytes of the image in the record, as compressed; 0 without an image.</summary>
    public readonly int StoredImageLength => ImageLength;
}
