using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using SharedStorage.Primitives;

namespace SharedStorage.Format.RelMap;

/// <summary>
/// pg_filenode.map: where the files of the catalogs are that are needed before pg_class can be read (PostgreSQL's relmapper.c).
/// 512 bytes: magic, count, up to 62 pairs of catalog number and file number, CRC-32C of what comes before it, padding. Immutable.
/// </summary>
public sealed class RelationMapFile
{
    public const int Size = 512;
    public const string FileName = "pg_filenode.map";
    private const int Magic = 0x592717;
    private const int MaxMappings = 62;
    private const int PairsOffset = 8;
    private const int CrcOffset = PairsOffset + (MaxMappings * 8);

    private readonly (Oid Relation, Oid FileNode)[] _mappings;

    public RelationMapFile(IEnumerable<(Oid Relation, Oid FileNode)> mappings)
    {
        _mappings = [.. mappings];
        if (_mappings.Length > MaxMappings)
        {
            throw new ArgumentException("a relation map holds at most 62 mappings", nameof(mappings));
        }
    }

    public IReadOnlyList<(Oid Relation, Oid FileNode)> Mappings => _mappings;

    /// <summary>The file number of a mapped catalog; invalid when it is not in this map.</summary>
    public Oid Find(Oid relation)
    {
        foreach ((Oid id, Oid node) in _mappings)
        {
            if (id == relation)
            {
                return node;
            }
        }

        return Oid.Invalid;
    }

    /// <exception cref="StorageException">Wrong size, magic, count or CRC; the message names <paramref name="path"/>.</exception>
    public static RelationMapFile Read(ReadOnlySpan<byte> bytes, string path)
    {
        if (bytes.Length < Size)
        {
            throw new StorageException(string.Create(CultureInfo.InvariantCulture, $"could not read file \"{path}\": read {bytes.Length} of {Size}"));
        }

        int count = BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]);
        if (BinaryPrimitives.ReadInt32LittleEndian(bytes) != Magic || count is < 0 or > MaxMappings)
        {
            throw new StorageException($"relation mapping file \"{path}\" contains invalid data");
        }

        if (Crc(bytes[..CrcOffset]) != BinaryPrimitives.ReadUInt32LittleEndian(bytes[CrcOffset..]))
        {
            throw new StorageException($"relation mapping file \"{path}\" contains incorrect checksum");
        }

        var mappings = new (Oid, Oid)[count];
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> pair = bytes[(PairsOffset + (i * 8))..];
            mappings[i] = (new Oid(BinaryPrimitives.ReadUInt32LittleEndian(pair)), new Oid(BinaryPrimitives.ReadUInt32LittleEndian(pair[4..])));
        }

        return new RelationMapFile(mappings);
    }

    public byte[] ToBytes()
    {
        var bytes = new byte[Size];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), _mappings.Length);
        for (int i = 0; i < _mappings.Length; i++)
        {
            Span<byte> pair = bytes.AsSpan(PairsOffset + (i * 8));
            BinaryPrimitives.WriteUInt32LittleEndian(pair, _mappings[i].Relation.Value);
            BinaryPrimitives.WriteUInt32LittleEndian(pair[4..], _mappings[i].FileNode.Value);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(CrcOffset), Crc(bytes.AsSpan(0, CrcOffset)));
        return bytes;
    }

    private static uint Crc(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in bytes)
        {
            crc = BitOperations.Crc32C(crc, b);
        }

        return ~crc;
    }
}
