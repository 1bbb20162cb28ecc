using System.Buffers.Binary;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Records;

/// <summary>The op codes of the btree resource manager (PostgreSQL's nbtxlog.h).</summary>
public static class BtreeOp
{
    public const byte InsertLeaf = 0x00;
    public const byte InsertUpper = 0x10;
    public const byte InsertMeta = 0x20;
    public const byte SplitLeft = 0x30;
    public const byte SplitRight = 0x40;
    public const byte InsertPost = 0x50;
    public const byte Dedup = 0x60;
    public const byte Delete = 0x70;
    public const byte UnlinkPage = 0x80;
    public const byte UnlinkPageMeta = 0x90;
    public const byte NewRoot = 0xA0;
    public const byte MarkPageHalfDead = 0xB0;
    public const byte Vacuum = 0xC0;
    public const byte ReusePage = 0xD0;
    public const byte MetaCleanup = 0xE0;
}

/// <summary>The metapage's fields as block data (INSERT_META block 2, NEWROOT block 2, UNLINK_PAGE_META block 4, META_CLEANUP block 0).</summary>
public readonly record struct BtreeMetaData(
    uint Version, uint Root, uint Level, uint FastRoot, uint FastLevel, uint LastCleanupDeletedPages, bool AllEqualImage)
{
    public const int Size = 28;

    public static BtreeMetaData Read(ReadOnlySpan<byte> b)
    {
        RecordBody.Need(b, Size, "btree metadata");
        return new(
            RecordBody.U32(b, 0), RecordBody.U32(b, 4), RecordBody.U32(b, 8), RecordBody.U32(b, 12), RecordBody.U32(b, 16), RecordBody.U32(b, 20), b[24] != 0);
    }

    public void Write(Span<byte> b)
    {
        b[..Size].Clear();
        RecordBody.Set(b, 0, Version);
        RecordBody.Set(b, 4, Root);
        RecordBody.Set(b, 8, Level);
        RecordBody.Set(b, 12, FastRoot);
        RecordBody.Set(b, 16, FastLevel);
        RecordBody.Set(b, 20, LastCleanupDeletedPages);
        b[24] = AllEqualImage ? (byte)1 : (byte)0;
    }
}

/// <summary>
/// INSERT_LEAF, INSERT_UPPER, INSERT_META, INSERT_POST: an entry without a split. Blocks: 0 the page (data: the entry; for POST a 16-bit position in the
/// posting list before it); 1 the child whose split is finished (UPPER, META); 2 the metapage (META).
/// </summary>
public readonly record struct BtreeInsert(ushort Offset)
{
    public const int Size = 2;

    public static BtreeInsert Read(ReadOnlySpan<byte> b)
    {
        RecordBody.Need(b, Size, "btree insert");
        return new(RecordBody.U16(b, 0));
    }

    public void Write(Span<byte> b) => RecordBody.Set(b, 0, Offset);
}

/// <summary>
/// SPLIT_L (the new entry goes left), SPLIT_R. Blocks: 0 the left page (data: the new entry when it goes left or splits a posting list, then the new high
/// key); 1 the new right page (data: its entries, last first, as they lie); 2 the page right of both, if any; 3 the child whose split is finished (inner pages).
/// </summary>
public readonly record struct BtreeSplit(uint Level, ushort FirstRight, ushort NewItemOffset, ushort PostingOffset)
{
    public const int Size = 10;

    public static BtreeSplit Read(ReadOnlySpan<byte> b)
    {
        RecordBody.Need(b, Size, "btree split");
        return new(RecordBody.U32(b, 0), RecordBody.U16(b, 4), RecordBody.U16(b, 6), RecordBody.U16(b, 8));
    }

    public void Write(Span<byte> b)
    {
        RecordBody.Set(b, 0, Level);
        RecordBody.Set(b, 4, FirstRight);
        RecordBody.Set(b, 6, NewItemOffset);
        RecordBody.Set(b, 8, PostingOffset);
    }
}

/// <summary>DEDUP. Block 0 has the intervals as data: 16-bit pairs of first item and number of items merged.</summary>
public readonly record struct BtreeDedup(ushort IntervalCount)
{
    public const int Size = 2;
    public const int IntervalSize = 4;

    public static BtreeDedup Read(ReadOnlySpan<byte> b)
    {
        RecordBody.Need(b, Size, "btree dedup");
        return new(RecordBody.U16(b, 0));
    }

    public void Write(Span<byte> b) => RecordBody.Set(b, 0, IntervalCount);
}

/// <summary>
/// VACUUM and the tail of DELETE. Block 0's data: the numbers of deleted items, the numbers of updated posting entries, and for each of those a count and so
/// many positions in its list that go; all 16 bits.
/// </summary>
public readonly record struct BtreeVacuum(ushort DeletedCount, ushort UpdatedCount)
{
    public const int Size = 4;

    public static BtreeVacuum Read(ReadOnlySpan<byte> b)
    {
        RecordBody.Need(b, Size, "btree vacuum");
        return new(RecordBody.U16(b, 0), RecordBody.U16(b, 2));
    }

    public void Write(Span<byte> b)
    {
        RecordBody.Set(b, 0, DeletedCount);
        RecordBody.Set(b, 2, UpdatedCount);
    }
}

/// <summary>DELETE: as VACUUM, by a session, with the youngest xid whose removal it shows (a conflict point for standbys).</summary>
public readonly record struct BtreeDelete(Xid LatestRemoved, ushort DeletedCount, ushort UpdatedCount)
{
    public const int Size = 8;

    public static BtreeDelete Read(ReadOnlySpan<byte> b)
    {
        RecordBody.Need(b, Size, "btree delete");
        return new(new Xid(RecordBody.U32(b, 0)), RecordBody.U16(b, 4), RecordBody.U16(b, 6));
    }

    public void Write(Span<byte> b)
    {
        RecordBody.Set(b, 0, LatestRemoved.Value);
        RecordBody.Set(b, 4, DeletedCount);
        RecordBody.Set(b, 6, UpdatedCount);
    }
}

/// <summary>
/// MARK_PAGE_HALFDEAD: an empty leaf leaves its parent. Blocks: 0 the leaf, made anew; 1 the parent of the topmost page that goes, where the item at
/// <see cref="ParentOffset"/> takes over the next one's child and the next goes.
/// </summary>
public readonly record struct BtreeMarkPageHalfDead(ushort ParentOffset, uint Leaf, uint Left, uint Right, uint TopParent)
{
    public const int Size = 20;

    public static BtreeMarkPageHalfDead Read(ReadOnlySpan<byte> b)
    {
        RecordBody.Need(b, Size, "btree mark page half-dead");
        return new(RecordBody.U16(b, 0), RecordBody.U32(b, 4), RecordBody.U32(b, 8), RecordBody.U32(b, 12), RecordBody.U32(b, 16));
    }

    public void Write(Span<byte> b)
    {
        b[..Size].Clear();
        RecordBody.Set(b, 0, ParentOffset);
        RecordBody.Set(b, 4, Leaf);
        RecordBody.Set(b, 8, Left);
        RecordBody.Set(b, 12, Right);
        RecordBody.Set(b, 16, TopParent);
    }
}

/// <summary>
/// UNLINK_PAGE, UNLINK_PAGE_META. Blocks: 0 the page, made anew as deleted; 1 its left sibling, if any; 2 its right sibling; 3 the half-dead leaf of the
/// branch when the page is not that, made anew; 4 the metapage (META).
/// </summary>
public readonly record struct BtreeUnlinkPage(
    uint Left, uint Right, uint Level, FullXid SafeXid, uint LeafLeft, uint LeafRight, uint LeafTopParent)
{
    public const int Size = 36;

    public static BtreeUnlinkPage Read(ReadOnlySpan<byte> b)
    {
        RecordBody.Need(b, Size, "btree unlink page");
        return new(
            RecordBody.U32(b, 0), RecordBody.U32(b, 4), RecordBody.U32(b, 8), new FullXid(BinaryPrimitives.ReadUInt64LittleEndian(b[16..])),
            RecordBody.U32(b, 24), RecordBody.U32(b, 28), RecordBody.U32(b, 32));
    }

    public void Write(Span<byte> b)
    {
        b[..Size].Clear();
        RecordBody.Set(b, 0, Left);
        RecordBody.Set(b, 4, Right);
        RecordBody.Set(b, 8, Level);
        BinaryPrimitives.WriteUInt64LittleEndian(b[16..], SafeXid.Value);
        RecordBody.Set(b, 24, LeafLeft);
        RecordBody.Set(b, 28, LeafRight);
        RecordBody.Set(b, 32, LeafTopParent);
    }
}

/// <summary>NEWROOT. Blocks: 0 the new root (data: its two entries when an old root was split); 1 the left child, if any; 2 the metapage.</summary>
public readonly record struct BtreeNewRoot(uint Root, uint Level)
{
    public const int Size = 8;

    public static BtreeNewRoot Read(ReadOnlySpan<byte> b)
    {
        RecordBody.Need(b, Size, "btree new root");
        return new(RecordBody.U32(b, 0), RecordBody.U32(b, 4));
    }

    public void Write(Span<byte> b)
    {
        RecordBody.Set(b, 0, Root);
        RecordBody.Set(b, 4, Level);
    }
}

/// <summary>REUSE_PAGE: a deleted page is taken for new use; carries no block, it is a conflict point for standbys only.</summary>
public readonly record struct BtreeReusePage(RelFileNode Node, uint Block, FullXid LatestRemoved)
{
    public const int Size = 24;

    public static BtreeReusePage Read(ReadOnlySpan<byte> b)
    {
        RecordBody.Need(b, Size, "btree reuse page");
        return new(
            new RelFileNode(new Oid(RecordBody.U32(b, 0)), new Oid(RecordBody.U32(b, 4)), new Oid(RecordBody.U32(b, 8))),
            RecordBody.U32(b, 12), new FullXid(BinaryPrimitives.ReadUInt64LittleEndian(b[16..])));
    }

    public void Write(Span<byte> b)
    {
        RecordBody.Set(b, 0, Node.Tablespace.Value);
        RecordBody.Set(b, 4, Node.Database.Value);
        RecordBody.Set(b, 8, Node.Relation.Value);
        RecordBody.Set(b, 12, Block);
        BinaryPrimitives.WriteUInt64LittleEndian(b[16..], LatestRemoved.Value);
    }
}

/// <summary>Fields of a record body, little-endian at their offsets.</summary>
file static class RecordBody
{
    public static void Need(ReadOnlySpan<byte> b, int size, string what)
    {
        if (b.Length < size)
        {
            throw new StorageException($"malformed {what} record: {b.Length} bytes, needs {size}");
        }
    }

    public static uint U32(ReadOnlySpan<byte> b, int at) => BinaryPrimitives.ReadUInt32LittleEndian(b[at..]);
    public static ushort U16(ReadOnlySpan<byte> b, int at) => BinaryPrimitives.ReadUInt16LittleEndian(b[at..]);
    public static void Set(Span<byte> b, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(b[at..], value);
    public static void Set(Span<byte> b, int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(b[at..], value);
}
