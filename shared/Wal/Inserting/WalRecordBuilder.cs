using System.Buffers.Binary;
using System.Runtime.InteropServices;
using SharedStorage.Format.Compression;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Inserting;

[Flags]
public enum WalBlockFlags : byte
{
    None = 0,
    ForceImage = 1,
    NoImage = 2,

    /// <summary>The page is made anew by redo: no image, the record says all (REGBUF_WILL_INIT).</summary>
    WillInit = 4 | NoImage,

    /// <summary>The page has the standard layout, so the hole between lower and upper is left out of an image.</summary>
    Standard = 8,

    /// <summary>Keep the block's data even when an image is taken.</summary>
    KeepData = 16,
}

/// <summary>
/// A record under construction: main data, blocks and their data (PostgreSQL's XLogBeginInsert and XLogRegister*). One per thread, reused. What is added
/// is copied at once, except pages: those are read when the record is put together, and once more if a checkpoint begins meanwhile.
/// </summary>
public sealed unsafe class WalRecordBuilder
{
    private const int MaxBlockData = ushort.MaxValue;
    private const int MaxTotal = 0x3FFFFF00;
    private const int KeptBuffer = 1 << 20;

    private readonly BlockEntry[] _blocks = new BlockEntry[WalRecord.MaxBlocks];
    private byte[] _main = new byte[512];
    private byte[] _blockData = new byte[512];
    private Chunk[] _chunks = new Chunk[16];
    private byte[] _record = new byte[WalLayout.PageSize];
    private int _mainLength;
    private int _blockDataLength;
    private int _chunkCount;
    private int _blockCount;

    internal WalRecordBuilder()
    {
    }

    private struct BlockEntry
    {
        public bool InUse;
        public BufferTag Tag;
        public byte* Page;
        public WalBlockFlags Flags;
        public int DataLength;
    }

    private readonly record struct Chunk(int Block, int Offset, int Length);

    /// <summary>XLOG_MARK_UNIMPORTANT 0x02, XLOG_INCLUDE_ORIGIN 0x01.</summary>
    public byte RecordFlags { get; set; }

    internal bool Begun { get; set; }
    internal Xid Xid { get; private set; }
    internal bool Important => (RecordFlags & 0x02) == 0;

    /// <summary>The record as assembled, without previous pointer; its checksum field holds the state over all but the header.</summary>
    internal Span<byte> Bytes => _record.AsSpan(0, Length);
    internal int Length { get; private set; }

    /// <summary>The lowest LSN of a page that was left without an image; invalid when there is none.</summary>
    internal Lsn LowestWithoutImage { get; private set; }

    public WalRecordBuilder AddData(ReadOnlySpan<byte> data)
    {
        Append(ref _main, ref _mainLength, data);
        return this;
    }

    /// <summary>Adds a fixed-size structure to the main data.</summary>
    public WalRecordBuilder AddData<T>(in T value) where T : unmanaged =>
        AddData(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    /// <summary>Registers a block. <paramref name="page"/> points at its 8 KiB and stays latched exclusively until after the insertion.</summary>
    public WalRecordBuilder AddBlock(int id, in BufferTag tag, byte* page, WalBlockFlags flags)
    {
        Invariant.Check((uint)id < WalRecord.MaxBlocks, "WAL", "a log record has block numbers from 0 to 32");
        Invariant.Check(page != null || (flags & WalBlockFlags.NoImage) != 0, "WAL", "a block that may need an image has no page");
        while (_blockCount <= id)
        {
            _blocks[_blockCount++].InUse = false;
        }

        Invariant.Check(!_blocks[id].InUse, "WAL", "a block number is used twice in a log record");
        _blocks[id] = new BlockEntry { InUse = true, Tag = tag, Page = page, Flags = flags };
        return this;
    }

    public WalRecordBuilder AddBlockData(int id, ReadOnlySpan<byte> data)
    {
        Invariant.Check((uint)id < (uint)_blockCount && _blocks[id].InUse, "WAL", "data is added to a block that is not in the record");
        if (data.IsEmpty)
        {
            return this;
        }

        if (_blocks[id].DataLength + data.Length > MaxBlockData)
        {
            throw TooLong($"more than {MaxBlockData} bytes of data for block {id}");
        }

        if (_chunkCount == _chunks.Length)
        {
            Array.Resize(ref _chunks, 2 * _chunks.Length);
        }

        _chunks[_chunkCount++] = new Chunk(id, _blockDataLength, data.Length);
        _blocks[id].DataLength += data.Length;
        Append(ref _blockData, ref _blockDataLength, data);
        return this;
    }

    public WalRecordBuilder AddBlockData<T>(int id, in T value) where T : unmanaged =>
        AddBlockData(id, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    /// <summary>Whether a block belongs to what an unlogged relation loses in a crash: to any fork but the init fork.</summary>
    internal bool NamesAny(UnloggedRelations unlogged)
    {
        for (int i = 0; i < _blockCount; i++)
        {
            if (_blocks[i].InUse && _blocks[i].Tag.Fork != ForkNumber.Init && unlogged.Contains(_blocks[i].Tag.Rel))
            {
                return true;
            }
        }

        return false;
    }

    internal void Reset(Xid xid)
    {
        if (_record.Length > KeptBuffer)
        {
            // A huge record must not hold its memory for the rest of the thread's life.
            _record = new byte[WalLayout.PageSize];
            _main = new byte[512];
            _blockData = new byte[512];
        }

        Xid = xid;
        RecordFlags = 0;
        Begun = true;
        _mainLength = _blockDataLength = _chunkCount = _blockCount = 0;
    }

    /// <summary>
    /// Puts the record together under the assumption that pages up to <paramref name="redo"/> need an image; it may be done again when that
    /// has changed before the space was reserved (R11).
    /// </summary>
    internal void Assemble(Rmgr rmgr, byte info, bool fullPageWrites, Lsn redo, WalCompression compression, bool checkConsistency)
    {
        if (checkConsistency)
        {
            info |= 0x02;
        }

        LowestWithoutImage = Lsn.Invalid;
        EnsureRecord(MaxHeaderSize + _mainLength + _blockDataLength + (_blockCount * Page.Size));
        int header = WalRecordHeader.Size;

        // Headers come first and data after them, so data is laid out from a place that all headers fit before, then moved down.
        int data = MaxHeaderSize;
        RelFileNode? previous = null;
        for (int id = 0; id < _blockCount; id++)
        {
            if (_blocks[id].InUse)
            {
                AssembleBlock(id, ref header, ref data, ref previous, fullPageWrites, redo, compression, checkConsistency);
            }
        }

        if (_mainLength > 0)
        {
            AssembleMainHeader(ref header);
            _main.AsSpan(0, _mainLength).CopyTo(_record.AsSpan(data));
            data += _mainLength;
        }

        int payload = data - MaxHeaderSize;
        _record.AsSpan(MaxHeaderSize, payload).CopyTo(_record.AsSpan(header));
        Length = header + payload;
        if (Length > MaxTotal)
        {
            throw TooLong($"{Length} bytes");
        }

        ref WalRecordHeader head = ref MemoryMarshal.AsRef<WalRecordHeader>(_record.AsSpan());
        head = default;
        head.TotalLength = (uint)Length;
        head.Xid = Xid.Value;
        head.Info = info;
        head.Rmgr = (byte)rmgr;
        head.Crc = Crc32C.Append(Crc32C.Initial, _record.AsSpan(WalRecordHeader.Size, Length - WalRecordHeader.Size));
    }

    /// <summary>Sets the previous pointer and finishes the checksum.</summary>
    internal void Seal(Lsn previous)
    {
        ref WalRecordHeader head = ref MemoryMarshal.AsRef<WalRecordHeader>(_record.AsSpan());
        head.Previous = previous.Value;
        head.Crc = Crc32C.Finish(Crc32C.Append(head.Crc, _record.AsSpan(0, WalRecordHeader.CrcOffset)));
    }

    // Record header, all block headers with images and relations, main data header.
    private const int MaxHeaderSize = WalRecordHeader.Size + (WalRecord.MaxBlocks * (4 + 5 + 2 + RelFileNode.Size + 4)) + 5 + 8;

    private void AssembleBlock(
        int id, ref int header, ref int data, ref RelFileNode? previous, bool fullPageWrites, Lsn redo, WalCompression compression, bool check)
    {
        ref BlockEntry block = ref _blocks[id];
        bool needsImage = NeedsImage(in block, fullPageWrites, redo);
        bool needsData = block.DataLength > 0 && (!needsImage || (block.Flags & WalBlockFlags.KeepData) != 0);
        bool sameRelation = previous == block.Tag.Rel;
        previous = block.Tag.Rel;

        byte flags = (byte)block.Tag.Fork;
        flags |= (block.Flags & WalBlockFlags.WillInit) == WalBlockFlags.WillInit ? WalBlock.WillInitFlag : (byte)0;
        flags |= needsData ? WalBlock.HasDataFlag : (byte)0;
        flags |= sameRelation ? WalBlock.SameRelationFlag : (byte)0;
        Span<byte> head = _record.AsSpan(header);
        head[0] = (byte)id;
        BinaryPrimitives.WriteUInt16LittleEndian(head[2..], needsData ? (ushort)block.DataLength : (ushort)0);
        int size = 4;
        if ((needsImage || check) && block.Page != null)
        {
            flags |= WalBlock.HasImageFlag;
            size += AssembleImage(in block, needsImage, head[size..], ref data, compression);
        }

        head[1] = flags;
        if (needsData)
        {
            GatherData(id, ref data);
        }

        if (!sameRelation)
        {
            MemoryMarshal.Write(head[size..], block.Tag.Rel);
            size += RelFileNode.Size;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(head[size..], block.Tag.Block.Value);
        header += size + sizeof(uint);
    }

    private bool NeedsImage(in BlockEntry block, bool fullPageWrites, Lsn redo)
    {
        if ((block.Flags & WalBlockFlags.ForceImage) != 0)
        {
            return true;
        }

        if ((block.Flags & WalBlockFlags.NoImage) != 0 || !fullPageWrites)
        {
            return false;
        }

        Lsn lsn = new Page(new Span<byte>(block.Page, Page.Size)).Lsn;
        if (lsn <= redo)
        {
            return true;
        }

        if (!LowestWithoutImage.IsValid || lsn < LowestWithoutImage)
        {
            LowestWithoutImage = lsn;
        }

        return false;
    }

    private int AssembleImage(in BlockEntry block, bool apply, Span<byte> head, ref int data, WalCompression compression)
    {
        var page = new ReadOnlySpan<byte>(block.Page, Page.Size);
        int holeOffset = 0;
        int holeLength = 0;
        if ((block.Flags & WalBlockFlags.Standard) != 0)
        {
            ref readonly PageHeader pageHeader = ref MemoryMarshal.AsRef<PageHeader>(page);
            int lower = pageHeader.Lower;
            int upper = pageHeader.Upper;
            if (lower >= PageHeader.Size && upper > lower && upper <= Page.Size)
            {
                holeOffset = lower;
                holeLength = upper - lower;
            }
        }

        // Hint bits may change under a shared latch: the page is copied once, and checksum and log take the copy.
        Span<byte> image = _record.AsSpan(data, Page.Size - holeLength);
        page[..holeOffset].CopyTo(image);
        page[(holeOffset + holeLength)..].CopyTo(image[holeOffset..]);
        byte info = (byte)((holeLength > 0 ? WalBlock.ImageHasHole : 0) | (apply ? WalBlock.ImageApply : 0));
        int extra = holeLength > 0 ? 2 : 0;
        int length = image.Length;
        if (compression != WalCompression.None && Compress(compression, image, extra) is var compressed and > 0)
        {
            length = compressed;
            info |= compression switch
            {
                WalCompression.Pglz => WalBlock.ImagePglz,
                WalCompression.Lz4 => WalBlock.ImageLz4,
                _ => WalBlock.ImageZstd,
            };
        }
        else
        {
            extra = 0;
        }

        BinaryPrimitives.WriteUInt16LittleEndian(head, (ushort)length);
        BinaryPrimitives.WriteUInt16LittleEndian(head[2..], (ushort)holeOffset);
        head[4] = info;
        if (extra > 0)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(head[5..], (ushort)holeLength);
        }

        data += length;
        return 5 + extra;
    }

    /// <summary>Compresses in place; 0 when that saves nothing.</summary>
    private static int Compress(WalCompression method, Span<byte> image, int extra)
    {
        Span<byte> to = stackalloc byte[Page.Size + 512];
        int length = method switch
        {
            WalCompression.Pglz => Pglz.Compress(image, to),
            WalCompression.Lz4 => Lz4.Compress(image, to),
            _ => Zstd.Compress(image, to),
        };
        if (length <= 0 || length + extra >= image.Length)
        {
            return 0;
        }

        to[..length].CopyTo(image);
        return length;
    }

    private void GatherData(int id, ref int data)
    {
        foreach (ref readonly Chunk chunk in _chunks.AsSpan(0, _chunkCount))
        {
            if (chunk.Block == id)
            {
                _blockData.AsSpan(chunk.Offset, chunk.Length).CopyTo(_record.AsSpan(data));
                data += chunk.Length;
            }
        }
    }

    private void AssembleMainHeader(ref int header)
    {
        if (_mainLength > byte.MaxValue)
        {
            _record[header] = 254;
            BinaryPrimitives.WriteUInt32LittleEndian(_record.AsSpan(header + 1), (uint)_mainLength);
            header += 5;
        }
        else
        {
            _record[header] = 255;
            _record[header + 1] = (byte)_mainLength;
            header += 2;
        }
    }

    private void EnsureRecord(int length)
    {
        if (length < 0 || length > MaxTotal + MaxHeaderSize)
        {
            throw TooLong("more than a gigabyte");
        }

        if (_record.Length < length)
        {
            _record = new byte[Math.Max(length, 2 * _record.Length)];
        }
    }

    private static void Append(ref byte[] buffer, ref int length, ReadOnlySpan<byte> data)
    {
        if ((long)length + data.Length > MaxTotal)
        {
            throw TooLong("more than a gigabyte");
        }

        if (buffer.Length < length + data.Length)
        {
            Array.Resize(ref buffer, Math.Max(length + data.Length, (int)Math.Min(2L * buffer.Length, Array.MaxLength)));
        }

        data.CopyTo(buffer.AsSpan(length));
        length += data.Length;
    }

    private static PgException TooLong(string what) => new(SqlStates.ProgramLimitExceeded, $"a log record is too long: {what}");
}
