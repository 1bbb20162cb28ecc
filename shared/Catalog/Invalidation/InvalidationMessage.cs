using System.Buffers.Binary;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog.Invalidation;

public enum InvalidationKind
{
    /// <summary>One key of a catalog cache, by the hash of its key.</summary>
    CatalogCache,

    /// <summary>All caches of a catalog.</summary>
    Catalog,

    /// <summary>A relation; 0 means all.</summary>
    Relation,

    /// <summary>The files of a relation (PostgreSQL's smgr); nothing of it is cached here.</summary>
    Files,
    RelationMap,

    /// <summary>A catalog without a cache: snapshots on it are stale.</summary>
    Snapshot,

    /// <summary>Of a later minor version: everything is taken for changed.</summary>
    Unknown,
}

/// <summary>
/// A message that catalogs changed, as commit records carry it: 16 bytes (PostgreSQL's SharedInvalidationMessage, sinval.h): kind or cache number in the
/// first byte, database (0 for shared catalogs), then the hash or the object.
/// </summary>
public readonly record struct InvalidationMessage(InvalidationKind Kind, int Cache, Oid Database, uint Value)
{
    public const int Size = 16;

    public static InvalidationMessage Read(ReadOnlySpan<byte> bytes)
    {
        sbyte id = (sbyte)bytes[0];
        var database = new Oid(BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]));
        uint value = BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]);
        return id switch
        {
            >= 0 => new InvalidationMessage(InvalidationKind.CatalogCache, id, database, value),
            -1 => new InvalidationMessage(InvalidationKind.Catalog, 0, database, value),
            -2 => new InvalidationMessage(InvalidationKind.Relation, 0, database, value),
            -3 => new InvalidationMessage(InvalidationKind.Files, 0, database, value),
            -4 => new InvalidationMessage(InvalidationKind.RelationMap, 0, database, 0),
            -5 => new InvalidationMessage(InvalidationKind.Snapshot, 0, database, value),
            _ => new InvalidationMessage(InvalidationKind.Unknown, 0, Oid.Invalid, 0),
        };
    }

    public void Write(Span<byte> bytes)
    {
        bytes[..Size].Clear();
        bytes[0] = (byte)(sbyte)(Kind switch
        {
            InvalidationKind.CatalogCache => Cache,
            InvalidationKind.Catalog => -1,
            InvalidationKind.Relation => -2,
            InvalidationKind.RelationMap => -4,
            InvalidationKind.Snapshot => -5,
            _ => throw new ArgumentException($"messages of kind {Kind} are not written here"),
        });
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], Database.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[8..], Value);
    }
}
