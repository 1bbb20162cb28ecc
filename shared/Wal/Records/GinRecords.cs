using SharedStorage.Primitives;

namespace SharedStorage.Wal.Records;

/// <summary>The op codes of the GIN resource manager (PostgreSQL's ginxlog.h). 0x00 made indexes before PostgreSQL 13.</summary>
public static class GinOp
{
    public const byte CreatePostingTree = 0x10;
    public const byte Insert = 0x20;
    public const byte Split = 0x30;
    public const byte VacuumPage = 0x40;
    public const byte DeletePage = 0x50;
    public const byte UpdateMetaPage = 0x60;
    public const byte InsertListPage = 0x70;
    public const byte DeleteListPages = 0x80;
    public const byte VacuumDataLeafPage = 0x90;
}

/// <summary>CREATE_PTREE. Block 0 the root of a posting tree, made anew; the body ends with its compressed lists.</summary>
public readonly ref struct GinCreatePostingTree
{
    public ReadOnlySpan<byte> Lists { get; private init; }

    public static GinCreatePostingTree Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new() { Lists = b.Array<byte>(b.Int32()) };
    }
}

/// <summary>
/// INSERT. Blocks: 0 the page (data: <see cref="GinInsertEntry"/> in the entry tree; in a posting tree <see cref="GinSegmentActions"/> for a leaf,
/// <see cref="GinInsertChild"/> else); 1 the child whose split is finished, if the page is not a leaf.
/// </summary>
public readonly record struct GinInsert(bool IsData, bool IsLeaf, uint LeftChild, uint RightChild)
{
    private const int DataFlag = 1;
    private const int LeafFlag = 2;

    public static GinInsert Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        int flags = b.UInt16();
        if ((flags & ~(DataFlag | LeafFlag)) != 0)
        {
            throw new StorageException($"a GIN insertion has unknown flags {flags:X2}");
        }

        bool leaf = (flags & LeafFlag) != 0;
        return new((flags & DataFlag) != 0, leaf, leaf ? uint.MaxValue : Block(ref b), leaf ? uint.MaxValue : Block(ref b));
    }

    private static uint Block(scoped ref BodyReader b) => ((uint)b.UInt16() << 16) | b.UInt16();
}

/// <summary>The data of an insertion into the entry tree: an entry, maybe in place of another.</summary>
public readonly ref struct GinInsertEntry
{
    public ushort Offset { get; private init; }
    public bool Replaces { get; private init; }
    public ReadOnlySpan<byte> Entry { get; private init; }

    public static GinInsertEntry Read(ReadOnlySpan<byte> data)
    {
        var b = new BodyReader(data);
        ushort offset = b.UInt16();
        bool replaces = b.Bool();
        b.Skip(1);
        return new() { Offset = offset, Replaces = replaces, Entry = b.Take(b.Remaining) };
    }
}

/// <summary>The data of an insertion into an inner page of a posting tree: the left one of the two children that a split left.</summary>
public readonly ref struct GinInsertChild
{
    private const int ItemSize = 10;

    public ushort Offset { get; private init; }
    public ReadOnlySpan<byte> Item { get; private init; }

    public static GinInsertChild Read(ReadOnlySpan<byte> data)
    {
        var b = new BodyReader(data);
        return new() { Offset = b.UInt16(), Item = b.Take(ItemSize) };
    }
}

/// <summary>What is done to a segment of a leaf of a posting tree.</summary>
public enum GinSegmentAction : byte
{
    Delete = 1,

    /// <summary>A new segment before this one.</summary>
    Insert = 2,

    Replace = 3,

    /// <summary>Places are merged into it.</summary>
    AddItems = 4,
}

/// <summary>Goes through the actions on the segments of a leaf of a posting tree: the data of INSERT and VACUUM_DATA_LEAF_PAGE.</summary>
public ref struct GinSegmentActions
{
    private BodyReader _reader;
    private int _left;

    public GinSegmentActions(ReadOnlySpan<byte> data)
    {
        _reader = new BodyReader(data);
        _left = _reader.UInt16();
    }

    /// <summary>The number of the segment, before the actions.</summary>
    public int Segment { get; private set; }

    public GinSegmentAction Action { get; private set; }

    /// <summary>The new segment (INSERT, REPLACE), or the places, 6 bytes each (ADDITEMS).</summary>
    public ReadOnlySpan<byte> Data { get; private set; }

    /// <exception cref="StorageException">The actions do not fill the data.</exception>
    public bool MoveNext()
    {
        if (_left == 0)
        {
            return _reader.Remaining == 0 ? false : throw new StorageException($"{_reader.Remaining} bytes after the last action on segments");
        }

        _left--;
        Segment = _reader.Byte();
        Action = (GinSegmentAction)_reader.Byte();
        switch (Action)
        {
            case GinSegmentAction.Delete:
                Data = default;
                break;
            case GinSegmentAction.Insert or GinSegmentAction.Replace:
                // The first place, the length of the rest, the rest padded to 16 bits.
                BodyReader ahead = _reader;
                ahead.Skip(Tid.Size);
                int length = ahead.UInt16();
                Data = _reader.Take(Tid.Size + sizeof(ushort) + ((length + 1) & ~1));
                break;
            case GinSegmentAction.AddItems:
                int count = _reader.UInt16();
                Data = _reader.Take(count * Tid.Size);
                break;
            default:
                throw new StorageException($"unknown action {(int)Action} on segment {Segment}");
        }

        return true;
    }
}

/// <summary>SPLIT. Blocks, all but the last with images: 0 the left page; 1 the right one; 2 the root, if it was split; 3 the child whose split is finished (inner pages).</summary>
public readonly record struct GinSplit(bool IsData, bool IsLeaf, bool IsRoot)
{
    private const int DataFlag = 1;
    private const int LeafFlag = 2;
    private const int RootFlag = 4;

    public static GinSplit Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        b.Rel();
        b.Skip(3 * BlockNumber.Size);
        int flags = b.UInt16();
        return (flags & ~(DataFlag | LeafFlag | RootFlag)) == 0
            ? new((flags & DataFlag) != 0, (flags & LeafFlag) != 0, (flags & RootFlag) != 0)
            : throw new StorageException($"a GIN split has unknown flags {flags:X2}");
    }
}

/// <summary>DELETE_PAGE, of a posting tree. Blocks: 0 the page; 1 its parent; 2 its left sibling.</summary>
public readonly record struct GinDeletePage(ushort ParentOffset, uint RightLink, Xid DeleteXid)
{
    public static GinDeletePage Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        ushort offset = b.UInt16();
        b.Align(4);
        return new(offset, b.UInt32(), b.Xid());
    }
}

/// <summary>
/// UPDATE_META_PAGE. Blocks: 0 the metapage, made anew; 1 the pending list's tail: entries of a row are added to it (data: these), or a sublist is linked to it.
/// </summary>
public readonly ref struct GinUpdateMetaPage
{
    public ReadOnlySpan<byte> Meta { get; private init; }
    public uint PreviousTail { get; private init; }
    public uint NewRightLink { get; private init; }
    public int EntryCount { get; private init; }

    public static GinUpdateMetaPage Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        b.Rel();
        b.Align(8);
        return new() { Meta = b.Take(GinDeleteListPages.MetaSize), PreviousTail = b.UInt32(), NewRightLink = b.UInt32(), EntryCount = b.Int32() };
    }
}

/// <summary>INSERT_LISTPAGE. Block 0 a page of the pending list, made anew (data: its entries).</summary>
public readonly record struct GinInsertListPage(uint RightLink, int EntryCount)
{
    public static GinInsertListPage Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new(b.UInt32(), b.Int32());
    }
}

/// <summary>DELETE_LISTPAGE. Blocks: 0 the metapage, made anew; from 1 on the deleted pages, made anew.</summary>
public readonly ref struct GinDeleteListPages
{
    internal const int MetaSize = 56;

    public ReadOnlySpan<byte> Meta { get; private init; }
    public int PageCount { get; private init; }

    public static GinDeleteListPages Read(ReadOnlySpan<byte> body)
    {
        var b = new BodyReader(body);
        return new() { Meta = b.Take(MetaSize), PageCount = b.Int32() };
    }
}
