using System.Runtime.InteropServices;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Records;

/// <summary>The op codes of the hash resource manager (PostgreSQL's hash_xlog.h).</summary>
public static class HashOp
{
    public const byte InitMetaPage = 0x00;
    public const byte InitBitmapPage = 0x10;
    public const byte Insert = 0x20;
    public const byte AddOverflowPage = 0x30;
    public const byte SplitAllocatePage = 0x40;
    public const byte SplitPage = 0x50;
    public const byte SplitComplete = 0x60;
    public const byte MovePageContents = 0x70;
    public const byte SqueezePage = 0x80;
    public const byte Delete = 0x90;
    public const byte SplitCleanup = 0xA0;
    public const byte UpdateMetaPage = 0xB0;
    public const byte VacuumOnePage = 0xC0;
}

/// <summary>INIT_META_PAGE. Block 0 the metapage, made anew.</summary>
public readonly record struct HashInitMetaPage(double Tuples, uint HashFunction, ushort FillFactor)
{
    public static HashInitMetaPage Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new(b.Double(), b.UInt32(), b.UInt16());
    }
}

/// <summary>INIT_BITMAP_PAGE. Blocks: 0 the bitmap page, made anew; 1 the metapage.</summary>
public readonly record struct HashInitBitmapPage(ushort BitmapSize)
{
    public static HashInitBitmapPage Read(ReadOnlySpan<byte> body) => new(new BodyReader(body).UInt16());
}

/// <summary>INSERT. Blocks: 0 the page (data: the entry); 1 the metapage.</summary>
public readonly record struct HashInsert(ushort Offset)
{
    public static HashInsert Read(ReadOnlySpan<byte> body) => new(new BodyReader(body).UInt16());
}

/// <summary>
/// ADD_OVFL_PAGE. Blocks: 0 the new page, made anew (data: its bucket); 1 the page before it; 2 the bitmap page, if a page is used again (data: its bit); 3 a new bitmap
/// page, made anew, if one is needed; 4 the metapage (data: the first free overflow page).
/// </summary>
public readonly record struct HashAddOverflowPage(ushort BitmapSize, bool Reused)
{
    public static HashAddOverflowPage Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new(b.UInt16(), b.Bool());
    }
}

/// <summary>
/// SPLIT_ALLOCATE_PAGE. Blocks: 0 the old bucket's first page; 1 the new bucket's, made anew; 2 the metapage (data: low and high mask if they change, then split point and
/// its number of overflow pages if that changes).
/// </summary>
public readonly record struct HashSplitAllocatePage(uint NewBucket, ushort OldFlags, ushort NewFlags, bool MasksChange, bool SplitPointChanges)
{
    public static HashSplitAllocatePage Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        uint bucket = b.UInt32();
        ushort oldFlags = b.UInt16();
        ushort newFlags = b.UInt16();
        byte flags = b.Byte();
        return (flags & ~3) == 0
            ? new(bucket, oldFlags, newFlags, (flags & 1) != 0, (flags & 2) != 0)
            : throw new StorageException($"a hash split has unknown flags {flags:X2}");
    }
}

/// <summary>The data of SPLIT_ALLOCATE_PAGE's metapage.</summary>
public readonly record struct HashSplitMeta(uint LowMask, uint HighMask, uint SplitPoint, uint Spares)
{
    public static HashSplitMeta Read(in HashSplitAllocatePage body, ReadOnlySpan<byte> data)
    {
        var b = new BodyReader(data);
        uint low = body.MasksChange ? b.UInt32() : 0;
        uint high = body.MasksChange ? b.UInt32() : 0;
        return new(low, high, body.SplitPointChanges ? b.UInt32() : 0, body.SplitPointChanges ? b.UInt32() : 0);
    }
}

/// <summary>SPLIT_COMPLETE. Blocks: 0 the old bucket's first page; 1 the new bucket's.</summary>
public readonly record struct HashSplitComplete(ushort OldFlags, ushort NewFlags)
{
    public static HashSplitComplete Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new(b.UInt16(), b.UInt16());
    }
}

/// <summary>
/// MOVE_PAGE_CONTENTS. Blocks: 0 the bucket's first page, if it is not block 1: named to be locked, not changed; 1 the page that entries move to (data: their numbers there, then
/// the entries); 2 the page that they come from (data: their numbers there).
/// </summary>
public readonly record struct HashMovePageContents(ushort Count, bool ToFirstPage)
{
    public static HashMovePageContents Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new(b.UInt16(), b.Bool());
    }
}

/// <summary>
/// SQUEEZE_PAGE. Blocks: 0 and 1 as of MOVE_PAGE_CONTENTS; 2 the page that becomes free; 3 the one before it, if it is not block 1; 4 the one after it, if any; 5 the bitmap
/// page (data: its bit); 6 the metapage, if the page is the first free one now (data: that).
/// </summary>
public readonly record struct HashSqueezePage(uint Prev, uint Next, ushort Count, bool ToFirstPage, bool ToPrevious)
{
    public static HashSqueezePage Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new(b.UInt32(), b.UInt32(), b.UInt16(), b.Bool(), b.Bool());
    }
}

/// <summary>DELETE. Blocks: 0 the bucket's first page, if it is not block 1: named to be locked, not changed; 1 the page (data: the numbers of the entries).</summary>
public readonly record struct HashDelete(bool ClearsDeadMark, bool OnFirstPage)
{
    public static HashDelete Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new(b.Bool(), b.Bool());
    }
}

/// <summary>UPDATE_META_PAGE. Block 0 the metapage.</summary>
public readonly record struct HashUpdateMetaPage(double Tuples)
{
    public static HashUpdateMetaPage Read(ReadOnlySpan<byte> body) => new(new BodyReader(body).Double());
}

/// <summary>VACUUM_ONE_PAGE: entries known to be dead make room for one. Blocks: 0 the page; 1 the metapage. The numbers of the entries end the body.</summary>
public readonly ref struct HashVacuumOnePage
{
    public Xid LatestRemoved { get; private init; }
    public ReadOnlySpan<ushort> Offsets { get; private init; }

    public static HashVacuumOnePage Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        Xid removed = b.Xid();
        return new() { LatestRemoved = removed, Offsets = b.Array<ushort>(b.Int32()) };
    }
}

/// <summary>The data of a page that entries move to: numbers, then the entries, each padded to a multiple of 8.</summary>
public readonly ref struct HashMovedEntries
{
    public ReadOnlySpan<ushort> Offsets { get; private init; }
    public ReadOnlySpan<byte> Entries { get; private init; }

    public static HashMovedEntries Read(ReadOnlySpan<byte> data, int count)
    {
        var b = new BodyReader(data);
        return new() { Offsets = b.Array<ushort>(count), Entries = b.Take(b.Remaining) };
    }
}

/// <summary>Block data that is one number, or numbers of entries only.</summary>
public static class HashBlockData
{
    /// <summary>A bit, a bucket, an overflow page.</summary>
    public static uint Number(ReadOnlySpan<byte> data) => new BodyReader(data).UInt32();

    public static ReadOnlySpan<ushort> Offsets(ReadOnlySpan<byte> data) => (data.Length & 1) == 0
        ? MemoryMarshal.Cast<byte, ushort>(data)
        : throw new StorageException($"item numbers in {data.Length} bytes");
}
