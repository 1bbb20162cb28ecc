using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Index;

/// <summary>What a hash page is (one of the first four, or none: free) and what is going on in its bucket (LH_*, hash.h).</summary>
[Flags]
public enum HashPageFlags : ushort
{
    Unused = 0,
    Overflow = 1,
    Bucket = 2,
    Bitmap = 4,
    Meta = 8,
    BeingPopulated = 16,
    BeingSplit = 32,
    NeedsSplitCleanup = 64,
    HasDeadTuples = 128,
    Type = Overflow | Bucket | Bitmap | Meta,
}

/// <summary>The special space of a hash page (PostgreSQL's HashPageOpaqueData, hash.h).</summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
public struct HashOpaque
{
    public const int Size = 16;
    public const ushort ExpectedPageId = 0xFF80;

    /// <summary>The page before in the bucket's chain; of a bucket's first page the highest bucket when it was last split.</summary>
    [FieldOffset(0)] public uint Prev;

    [FieldOffset(4)] public uint Next;
    [FieldOffset(8)] public uint Bucket;
    [FieldOffset(12)] public HashPageFlags Flags;
    [FieldOffset(14)] public ushort PageId;
}

/// <summary>The fixed part of a hash index's metapage, after the page header (HashMetaPageData); two arrays follow it.</summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
public struct HashMetaHeader
{
    public const int Size = 52;
    public const uint ExpectedMagic = 0x6440640;
    public const uint CurrentVersion = 4;

    [FieldOffset(0)] public uint Magic;
    [FieldOffset(4)] public uint Version;

    /// <summary>Entries in the index, as a double.</summary>
    [FieldOffset(8)] public double Tuples;

    /// <summary>Entries that a bucket is to have on average.</summary>
    [FieldOffset(16)] public ushort FillFactor;

    [FieldOffset(18)] public ushort PageRoom;
    [FieldOffset(20)] public ushort BitmapSize;
    [FieldOffset(22)] public ushort BitmapShift;
    [FieldOffset(24)] public uint MaxBucket;
    [FieldOffset(28)] public uint HighMask;
    [FieldOffset(32)] public uint LowMask;
    [FieldOffset(36)] public uint SplitPoint;
    [FieldOffset(40)] public uint FirstFree;
    [FieldOffset(44)] public uint MapCount;
    [FieldOffset(48)] public uint HashFunction;
}

/// <summary>A hash index's metapage: the header, the overflow pages before each split point, the blocks of the bitmaps.</summary>
public readonly ref struct HashMeta
{
    /// <summary>HASH_MAX_SPLITPOINTS.</summary>
    public const int MaxSplitPoints = 98;

    /// <summary>HASH_MAX_BITMAPS.</summary>
    public const int MaxMaps = 1024;

    private const int SparesOffset = PageHeader.Size + HashMetaHeader.Size;
    private const int MapsOffset = SparesOffset + (MaxSplitPoints * sizeof(uint));

    /// <summary>Where the data ends, padded as the C struct is.</summary>
    private const int EndOffset = (MapsOffset + (MaxMaps * sizeof(uint)) + (Page.MaxAlign - 1)) & ~(Page.MaxAlign - 1);

    /// <summary>The largest power of two that fits as a bitmap's bytes.</summary>
    private const ushort BitmapBytes = 4096;

    private const ushort BitmapBitsShift = 15;
    private const uint MostBuckets = 0x40000000;

    private readonly Page _page;

    /// <exception cref="StorageException">It is not the metapage of a hash index.</exception>
    public HashMeta(Page page)
    {
        _page = page;
        if (HashPage.Opaque(page).Flags != HashPageFlags.Meta || Header.Magic != HashMetaHeader.ExpectedMagic)
        {
            throw HashPage.Damaged("not the metapage of a hash index");
        }
    }

    public ref HashMetaHeader Header => ref Unsafe.As<byte, HashMetaHeader>(ref _page.Bytes[PageHeader.Size]);

    private Span<uint> Spares => MemoryMarshal.Cast<byte, uint>(_page.Bytes[SparesOffset..MapsOffset]);
    private Span<uint> Maps => MemoryMarshal.Cast<byte, uint>(_page.Bytes.Slice(MapsOffset, MaxMaps * sizeof(uint)));

    /// <summary>The overflow pages up to a split point.</summary>
    /// <exception cref="StorageException">There is no such split point.</exception>
    public ref uint Spare(uint splitPoint)
    {
        if (splitPoint >= MaxSplitPoints)
        {
            throw HashPage.Damaged($"split point {splitPoint} of at most {MaxSplitPoints}");
        }

        return ref Spares[(int)splitPoint];
    }

    public void AddMap(uint block)
    {
        ref HashMetaHeader header = ref Header;
        if (header.MapCount >= MaxMaps)
        {
            throw HashPage.Damaged($"{header.MapCount} bitmap pages of at most {MaxMaps}");
        }

        Maps[(int)header.MapCount++] = block;
    }

    /// <summary>Makes the metapage of an index of so many expected entries (_hash_init_metabuffer).</summary>
    public static void Initialize(Page page, double tuples, uint hashFunction, ushort fillFactor)
    {
        if (fillFactor == 0 || !double.IsFinite(tuples))
        {
            throw HashPage.Damaged($"a metapage for {tuples} entries, {fillFactor} a bucket");
        }

        HashPage.Initialize(page, HashPageFlags.Meta, uint.MaxValue, uint.MaxValue);
        double wanted = tuples / fillFactor;
        uint buckets = wanted <= 2 ? 2 : wanted >= MostBuckets ? MostBuckets : TotalBuckets(SplitPointOf((uint)wanted));
        uint splitPoint = SplitPointOf(buckets);
        uint highMask = BitOperations.RoundUpToPowerOf2(buckets + 1) - 1;
        Unsafe.As<byte, HashMetaHeader>(ref page.Bytes[PageHeader.Size]) = new HashMetaHeader
        {
            Magic = HashMetaHeader.ExpectedMagic,
            Version = HashMetaHeader.CurrentVersion,
            FillFactor = fillFactor,
            PageRoom = HashPage.MaxBitmapSize,
            BitmapSize = BitmapBytes,
            BitmapShift = BitmapBitsShift,
            MaxBucket = buckets - 1,
            HighMask = highMask,
            LowMask = highMask >> 1,
            SplitPoint = splitPoint,
            HashFunction = hashFunction,
        };
        new HashMeta(page).Spare(splitPoint) = 1;
        page.Header.Lower = EndOffset;
    }

    /// <summary>The split point at which there are so many buckets: one each for the first ten doublings, then four each (_hash_spareindex).</summary>
    private static uint SplitPointOf(uint buckets)
    {
        int group = buckets <= 1 ? 0 : 32 - BitOperations.LeadingZeroCount(buckets - 1);
        return group < 10 ? (uint)group : 10 + ((uint)(group - 10) << 2) + (((buckets - 1) >> (group - 3)) & 3);
    }

    /// <summary>The buckets that there are once a split point is reached (_hash_get_totalbuckets).</summary>
    private static uint TotalBuckets(uint splitPoint)
    {
        if (splitPoint < 10)
        {
            return 1u << (int)splitPoint;
        }

        uint before = 1u << (9 + (int)((splitPoint - 10) >> 2));
        return before + ((before >> 2) * (((splitPoint - 10) & 3) + 1));
    }
}

/// <summary>Views and constants of hash index pages (hash.h). Entries of buckets and overflow pages are in the order of their hash codes.</summary>
public static class HashPage
{
    /// <summary>Bytes between header and special space.</summary>
    public const int MaxBitmapSize = Page.Size - PageHeader.Size - HashOpaque.Size;

    private const int SpecialOffset = Page.Size - HashOpaque.Size;

    public static bool IsHash(Page page) =>
        page.Header.Special == SpecialOffset && Unsafe.As<byte, HashOpaque>(ref page.Bytes[SpecialOffset]).PageId == HashOpaque.ExpectedPageId;

    /// <exception cref="StorageException">The special space is not a hash index's.</exception>
    public static ref HashOpaque Opaque(Page page)
    {
        if (!IsHash(page))
        {
            throw Damaged($"not a hash page: its special space begins at {page.Header.Special}");
        }

        return ref Unsafe.As<byte, HashOpaque>(ref page.Bytes[SpecialOffset]);
    }

    /// <summary>Makes an empty page without a next one.</summary>
    public static void Initialize(Page page, HashPageFlags flags, uint prev, uint bucket)
    {
        page.Initialize(HashOpaque.Size);
        Unsafe.As<byte, HashOpaque>(ref page.Bytes[SpecialOffset]) = new HashOpaque
        {
            Prev = prev,
            Next = uint.MaxValue,
            Bucket = bucket,
            Flags = flags,
            PageId = HashOpaque.ExpectedPageId,
        };
    }

    /// <summary>Makes a bitmap page of so many bytes whose overflow pages are all in use, or not there yet (_hash_initbitmapbuffer).</summary>
    public static void InitializeBitmap(Page page, int bytes)
    {
        if (bytes > MaxBitmapSize)
        {
            throw Damaged($"a bitmap of {bytes} bytes");
        }

        Initialize(page, HashPageFlags.Bitmap, uint.MaxValue, uint.MaxValue);
        page.Bytes.Slice(PageHeader.Size, bytes).Fill(0xFF);
        page.Header.Lower = (ushort)(PageHeader.Size + bytes);
    }

    /// <summary>Marks an overflow page as used or free.</summary>
    /// <exception cref="StorageException">It is not a bitmap, or it has no such bit.</exception>
    public static void SetBit(Page page, uint bit, bool used)
    {
        if ((Opaque(page).Flags & HashPageFlags.Type) != HashPageFlags.Bitmap || !page.HasSaneHeader || bit / 8 >= page.Header.Lower - PageHeader.Size)
        {
            throw Damaged($"bit {bit} is not on this bitmap page");
        }

        // Bits are counted in 32-bit words, which on this byte order is the same as in bytes.
        ref byte b = ref page.Bytes[PageHeader.Size + (int)(bit / 8)];
        byte mask = (byte)(1 << (int)(bit % 8));
        b = used ? (byte)(b | mask) : (byte)(b & ~mask);
    }

    internal static StorageException Damaged(string what) => new($"damaged hash index page: {what}") { SqlState = SqlStates.IndexCorrupted };
}
