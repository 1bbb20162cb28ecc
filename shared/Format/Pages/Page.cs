using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Pages;

/// <summary>The 24 bytes that begin each page of a relation (PostgreSQL's PageHeaderData, bufpage.h).</summary>
[StructLayout(LayoutKind.Explicit, Size = Size)]
public struct PageHeader
{
    public const int Size = 24;

    [FieldOffset(0)] public uint LsnHigh;
    [FieldOffset(4)] public uint LsnLow;
    [FieldOffset(8)] public ushort Checksum;
    [FieldOffset(10)] public PageFlags Flags;
    [FieldOffset(12)] public ushort Lower;
    [FieldOffset(14)] public ushort Upper;
    [FieldOffset(16)] public ushort Special;
    [FieldOffset(18)] public ushort SizeAndVersion;
    [FieldOffset(20)] public uint PruneXid;
}

[Flags]
public enum PageFlags : ushort
{
    None = 0,
    HasFreeLines = 1,
    PageFull = 2,
    AllVisible = 4,
}

public enum ItemState : byte
{
    Unused = 0,
    Normal = 1,
    Redirect = 2,
    Dead = 3,
}

/// <summary>A line pointer: 15 bits offset, 2 bits state, 15 bits length (PostgreSQL's ItemIdData). For a redirect the offset is the target's number.</summary>
public readonly record struct ItemId(uint Raw)
{
    public const int Size = 4;

    public ItemId(int offset, ItemState state, int length)
        : this((uint)offset | ((uint)state << 15) | ((uint)length << 17)) { }

    public int Offset => (int)(Raw & 0x7FFF);
    public ItemState State => (ItemState)((Raw >> 15) & 3);
    public int Length => (int)(Raw >> 17);
    public bool IsUsed => State != ItemState.Unused;
    public bool IsNormal => State == ItemState.Normal;
    public bool IsRedirected => State == ItemState.Redirect;
    public bool IsDead => State == ItemState.Dead;
    public bool HasStorage => Length != 0;
    public ushort RedirectTarget => (ushort)Offset;
}

/// <summary>An 8 KiB page seen over its bytes. Items are numbered from 1. Bounds are those of the span: damage throws, it never reads elsewhere.</summary>
public readonly ref struct Page
{
    public const int Size = 8192;
    public const int LayoutVersion = 4;
    public const int MaxAlign = 8;

    private readonly Span<byte> _bytes;

    /// <exception cref="ArgumentException">The span is not 8192 bytes long.</exception>
    public Page(Span<byte> bytes)
    {
        if (bytes.Length != Size)
        {
            throw new ArgumentException($"a page has {Size} bytes, not {bytes.Length}", nameof(bytes));
        }

        _bytes = bytes;
    }

    public Span<byte> Bytes => _bytes;

    public ref PageHeader Header => ref Unsafe.As<byte, PageHeader>(ref MemoryMarshal.GetReference(_bytes));

    public Lsn Lsn
    {
        get => new(((ulong)Header.LsnHigh << 32) | Header.LsnLow);
        set
        {
            Header.LsnHigh = (uint)(value.Value >> 32);
            Header.LsnLow = (uint)value.Value;
        }
    }

    /// <summary>A page that was never initialized: all its bytes are zero, so "upper" is.</summary>
    public bool IsNew => Header.Upper == 0;

    public bool IsAllVisible
    {
        get => (Header.Flags & PageFlags.AllVisible) != 0;
        set => Header.Flags = value ? Header.Flags | PageFlags.AllVisible : Header.Flags & ~PageFlags.AllVisible;
    }

    public bool IsEmpty => Header.Lower <= PageHeader.Size;

    public int ItemCount => Header.Lower <= PageHeader.Size ? 0 : (Header.Lower - PageHeader.Size) / ItemId.Size;

    public Span<byte> SpecialSpace => _bytes[Header.Special..];

    /// <summary>A line pointer, by reference so that it can be changed in place.</summary>
    public ref ItemId Item(int number)
    {
        if ((uint)(number - 1) >= (uint)((Size - PageHeader.Size) / ItemId.Size))
        {
            ThrowItemNumber(number);
        }

        return ref Unsafe.As<byte, ItemId>(ref _bytes[PageHeader.Size + ((number - 1) * ItemId.Size)]);
    }

    /// <summary>The bytes of an item that has storage.</summary>
    public Span<byte> ItemBytes(int number)
    {
        ItemId id = Item(number);
        return _bytes.Slice(id.Offset, id.Length);
    }

    /// <summary>The bytes between the line pointers and the first item, whatever for (PageGetExactFreeSpace).</summary>
    public int ExactFreeSpace => Math.Max(0, Header.Upper - Header.Lower);

    /// <summary>The room for one more item with its line pointer (PageGetFreeSpace).</summary>
    public int FreeSpace => Math.Max(0, ExactFreeSpace - ItemId.Size);

    public static int AlignUp(int n) => (n + (MaxAlign - 1)) & ~(MaxAlign - 1);

    /// <summary>Makes an empty page with a special space of the given size (PageInit).</summary>
    public void Initialize(int specialSize)
    {
        int special = Size - AlignUp(specialSize);
        _bytes.Clear();
        Header.Lower = PageHeader.Size;
        Header.Upper = (ushort)special;
        Header.Special = (ushort)special;
        Header.SizeAndVersion = Size | LayoutVersion;
    }

    /// <summary>
    /// PostgreSQL's check of a page just read (PageIsVerified without the checksum): zero, or a header whose offsets are in order.
    /// </summary>
    public bool HasSaneHeader =>
        (Header.Flags & ~(PageFlags)7) == 0
        && Header.Lower <= Header.Upper && Header.Upper <= Header.Special && Header.Special <= Size
        && Header.Special == AlignUp(Header.Special) && Header.Lower >= PageHeader.Size;

    private static void ThrowItemNumber(int number) =>
        throw new StorageException($"item number {number} is not on a page");
}
