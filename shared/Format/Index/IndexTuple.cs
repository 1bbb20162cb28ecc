using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Index;

/// <summary>
/// An entry of an index page, seen over its bytes: 8 bytes of header, a null bitmap of 4 bytes when any column is null, then the columns from the next
/// multiple of 8 (PostgreSQL's IndexTupleData, itup.h). A btree gives the place three meanings (nbtree.h): the row of a plain entry; number and position
/// of the list in a posting entry, which stands for many rows with one key; the child and the number of kept columns in a pivot, which only separates.
/// </summary>
public readonly ref struct IndexTuple
{
    public const int HeaderSize = 8;
    public const int NullBitmapSize = 4;

    /// <summary>The most columns an index has (INDEX_MAX_KEYS).</summary>
    public const int MaxColumns = 32;

    public const ushort SizeMask = 0x1FFF;
    private const ushort AltTid = 0x2000;
    private const ushort VarWidths = 0x4000;
    private const ushort Nulls = 0x8000;
    private const ushort OffsetMask = 0x0FFF;
    private const ushort PivotHeapTid = 0x1000;
    private const ushort IsPostingBit = 0x2000;

    private readonly Span<byte> _bytes;

    /// <summary>The entry that begins here; what lies behind its stored size is cut off.</summary>
    /// <exception cref="StorageException">The stored size does not fit the bytes.</exception>
    public IndexTuple(Span<byte> bytes)
    {
        if (bytes.Length < HeaderSize)
        {
            ThrowSize(bytes.Length, HeaderSize);
        }

        int size = BinaryPrimitives.ReadUInt16LittleEndian(bytes[6..]) & SizeMask;
        if (size < HeaderSize || size > bytes.Length)
        {
            ThrowSize(bytes.Length, size);
        }

        _bytes = bytes[..size];
    }

    public Span<byte> Bytes => _bytes;
    public int Size => _bytes.Length;

    public ushort Info
    {
        get => BinaryPrimitives.ReadUInt16LittleEndian(_bytes[6..]);
        private set => BinaryPrimitives.WriteUInt16LittleEndian(_bytes[6..], value);
    }

    public bool HasNulls => (Info & Nulls) != 0;
    public bool HasVarWidths => (Info & VarWidths) != 0;

    /// <summary>Where the columns begin.</summary>
    public int DataOffset => HasNulls ? 16 : HeaderSize;

    public Span<byte> Data => _bytes[DataOffset..];

    /// <summary>The six bytes of the place as they are, whatever they mean.</summary>
    public Tid RawTid
    {
        get => ReadTid(_bytes);
        set => WriteTid(_bytes, value);
    }

    public bool IsNull(int column) => HasNulls && (_bytes[HeaderSize + (column >> 3)] & (1 << (column & 7))) == 0;

    private ushort RawOffset => BinaryPrimitives.ReadUInt16LittleEndian(_bytes[4..]);

    public bool IsPivot => (Info & AltTid) != 0 && (RawOffset & IsPostingBit) == 0;
    public bool IsPosting => (Info & AltTid) != 0 && (RawOffset & IsPostingBit) != 0;

    /// <summary>The number of rows of a posting entry.</summary>
    public int PostingCount => RawOffset & OffsetMask;

    /// <summary>Where the list of a posting entry begins; also the size of the entry without its list.</summary>
    public int PostingOffset => (int)RawTid.Block.Value;

    /// <summary>The list of a posting entry, 6 bytes a row.</summary>
    /// <exception cref="StorageException">The list does not lie within the entry.</exception>
    public Span<byte> Posting
    {
        get
        {
            int offset = PostingOffset;
            int length = PostingCount * Tid.Size;
            if ((uint)offset > (uint)Size || length > Size - offset)
            {
                ThrowSize(Size, offset + length);
            }

            return _bytes.Slice(offset, length);
        }
    }

    public Tid PostingTid(int n) => ReadTid(Posting[(n * Tid.Size)..]);

    /// <summary>The rows that this leaf entry stands for.</summary>
    public int RowCount => IsPosting ? PostingCount : 1;

    public Tid RowTid(int n) => IsPosting ? PostingTid(n) : RawTid;

    /// <summary>The size of the entry's header and key, without a posting list.</summary>
    public int KeySize => IsPosting ? PostingOffset : Size;

    /// <summary>The child page of a pivot; of a half-dead leaf's high key the top parent.</summary>
    public BlockNumber DownLink
    {
        get => RawTid.Block;
        set => RawTid = RawTid with { Block = value };
    }

    /// <summary>The columns that a pivot keeps; those after them are minus infinity.</summary>
    public int PivotColumns => RawOffset & OffsetMask;

    /// <summary>Whether a pivot ends with a row's place as its last key part.</summary>
    public bool PivotHasHeapTid => (RawOffset & PivotHeapTid) != 0;

    /// <summary>The number of columns in the entry; <paramref name="indexColumns"/> is the index's own.</summary>
    public int ColumnCount(int indexColumns) => IsPivot ? PivotColumns : indexColumns;

    /// <summary>The lowest place as a key part. False: a pivot from which it was cut (minus infinity).</summary>
    public bool TryGetHeapTid(out Tid tid)
    {
        if (IsPivot)
        {
            bool has = PivotHasHeapTid;
            tid = has ? ReadTid(_bytes[(Size - Tid.Size)..]) : Tid.Invalid;
            return has;
        }

        tid = IsPosting ? PostingTid(0) : RawTid;
        return true;
    }

    /// <summary>The highest place of a leaf entry.</summary>
    public Tid MaxHeapTid => IsPosting ? PostingTid(PostingCount - 1) : RawTid;

    /// <summary>Makes this a pivot of so many columns, with or without a place at its end.</summary>
    public void SetPivot(int columns, bool heapTid)
    {
        Info |= AltTid;
        BinaryPrimitives.WriteUInt16LittleEndian(_bytes[4..], (ushort)(columns | (heapTid ? PivotHeapTid : 0)));
    }

    public void SetPosting(int count, int offset)
    {
        Info |= AltTid;
        RawTid = new Tid(new BlockNumber((uint)offset), (ushort)(count | IsPostingBit));
    }

    /// <summary>Makes this a plain entry for one row.</summary>
    public void SetPlain(Tid tid)
    {
        Info = (ushort)(Info & ~AltTid);
        RawTid = tid;
    }

    /// <summary>Writes the header of a new entry over zeroed bytes.</summary>
    public static void WriteHeader(Span<byte> bytes, Tid tid, int size, bool hasNulls, bool hasVarWidths)
    {
        WriteTid(bytes, tid);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[6..], (ushort)(size | (hasNulls ? Nulls : 0) | (hasVarWidths ? VarWidths : 0)));
    }

    /// <summary>Changes the stored size of the entry that begins here; its other bits stay.</summary>
    public static void WriteSize(Span<byte> bytes, int size)
    {
        int info = BinaryPrimitives.ReadUInt16LittleEndian(bytes[6..]);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[6..], (ushort)((info & ~SizeMask) | size));
    }

    /// <summary>The size of the entry that begins here, as stored.</summary>
    public static int StoredSize(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[6..]) & SizeMask;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Tid ReadTid(ReadOnlySpan<byte> bytes) =>
        new(
            new BlockNumber(((uint)BinaryPrimitives.ReadUInt16LittleEndian(bytes) << 16) | BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..])),
            BinaryPrimitives.ReadUInt16LittleEndian(bytes[4..]));

    public static void WriteTid(Span<byte> bytes, Tid tid)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)(tid.Block.Value >> 16));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[2..], (ushort)tid.Block.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[4..], tid.Offset);
    }

    private static void ThrowSize(int have, int need) =>
        throw new StorageException($"an index entry of {need} bytes does not fit the {have} bytes it lies in") { SqlState = SqlStates.IndexCorrupted };
}
