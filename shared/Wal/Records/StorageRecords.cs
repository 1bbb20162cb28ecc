using System.Buffers.Binary;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Records;

/// <summary>The storage resource manager's operations (storage_xlog.h). Their info byte has <see cref="SpecialRelUpdate"/> set.</summary>
public static class StorageOp
{
    public const byte Create = 0x10;
    public const byte Truncate = 0x20;

    /// <summary>The record changes files in a way that its block references do not tell (XLR_SPECIAL_REL_UPDATE).</summary>
    public const byte SpecialRelUpdate = 0x01;
}

/// <summary>A fork's file is made (xl_smgr_create).</summary>
public readonly record struct StorageCreateRecord(RelFileNode Node, ForkNumber Fork)
{
    public const int Size = 16;

    public static StorageCreateRecord Read(ReadOnlySpan<byte> b) =>
        new(StorageTruncateRecord.ReadNode(b), (ForkNumber)BinaryPrimitives.ReadInt32LittleEndian(b[12..]));

    public void Write(Span<byte> b)
    {
        StorageTruncateRecord.WriteNode(b, Node);
        BinaryPrimitives.WriteInt32LittleEndian(b[12..], (int)Fork);
    }
}

[Flags]
public enum StorageTruncateFlags
{
    None = 0,
    Heap = 1,
    VisibilityMap = 2,
    FreeSpaceMap = 4,
    All = Heap | VisibilityMap | FreeSpaceMap,
}

/// <summary>A relation is cut to so many blocks, its maps to what these need (xl_smgr_truncate).</summary>
public readonly record struct StorageTruncateRecord(BlockNumber Blocks, RelFileNode Node, StorageTruncateFlags Flags)
{
    public const int Size = 20;

    public static StorageTruncateRecord Read(ReadOnlySpan<byte> b) => new(
        new BlockNumber(BinaryPrimitives.ReadUInt32LittleEndian(b)), ReadNode(b[4..]), (StorageTruncateFlags)BinaryPrimitives.ReadInt32LittleEndian(b[16..]));

    public void Write(Span<byte> b)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(b, Blocks.Value);
        WriteNode(b[4..], Node);
        BinaryPrimitives.WriteInt32LittleEndian(b[16..], (int)Flags);
    }

    internal static RelFileNode ReadNode(ReadOnlySpan<byte> b) => new(
        new Oid(BinaryPrimitives.ReadUInt32LittleEndian(b)), new Oid(BinaryPrimitives.ReadUInt32LittleEndian(b[4..])),
        new Oid(BinaryPrimitives.ReadUInt32LittleEndian(b[8..])));

    internal static void WriteNode(Span<byte> b, RelFileNode node)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(b, node.Tablespace.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(b[4..], node.Database.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(b[8..], node.Relation.Value);
    }
}
