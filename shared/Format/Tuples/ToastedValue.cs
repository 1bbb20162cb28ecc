using System.Buffers.Binary;
using System.Runtime.InteropServices;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Tuples;

/// <summary>
/// A varlena as it is stored when it is not plain: compressed in line, or a pointer to a TOAST table (varatt.h, postgres.h). It travels in a datum
/// (<see cref="Datum.FromObject"/>): reading a row gives it, a detoaster replaces it, forming a row stores it as it is.
/// </summary>
public sealed class ToastedValue(byte[] raw)
{
    /// <summary>The value with its header, as stored.</summary>
    public byte[] Raw { get; } = raw;

    public bool IsExternal => Varlena.IsExternal(Raw);
    public bool IsCompressedInline => Varlena.IsCompressed(Raw);

    /// <summary>The pointer's fields; only when <see cref="IsExternal"/>.</summary>
    /// <exception cref="StorageException">The pointer is not one to a TOAST table on disk.</exception>
    public ToastPointer Pointer => ToastPointer.Read(Raw);

    /// <summary>The payload's bytes once it is fetched and decompressed.</summary>
    public int RawSize => IsExternal ? Pointer.RawSize - Varlena.HeaderSize : Varlena.CompressedRawSize(Raw);

    public Datum ToDatum() => Datum.FromObject(this);
}

/// <summary>How bytes of a TOASTed value are compressed (ToastCompressionId, toast_compression.h).</summary>
public enum ToastCompression : byte
{
    Pglz = 0, Lz4 = 1, None = 2,
}

/// <summary>A pointer to a value in a TOAST table (varatt_external, 16 bytes after the two bytes of header and tag).</summary>
/// <param name="RawSize">Bytes of the value before compression, with a 4-byte header.</param>
/// <param name="ExternalInfo">Bytes stored in the TOAST table (30 bits) and the compression method (2 bits).</param>
public readonly record struct ToastPointer(int RawSize, uint ExternalInfo, Oid ValueId, Oid ToastRelation)
{
    /// <summary>Bytes of the pointer with its header and tag.</summary>
    public const int Size = 18;
    private const byte OnDiskTag = 18;

    /// <summary>The bytes in the TOAST table.</summary>
    public int StoredSize => (int)(ExternalInfo & 0x3FFFFFFF);
    public bool IsCompressed => StoredSize < RawSize - Varlena.HeaderSize;

    public static ToastPointer Read(ReadOnlySpan<byte> raw)
    {
        if (raw.Length < Size || raw[0] != 1 || raw[1] != OnDiskTag)
        {
            throw new StorageException("a TOAST pointer is not one of those that are stored on disk");
        }

        return new ToastPointer(
            BinaryPrimitives.ReadInt32LittleEndian(raw[2..]), BinaryPrimitives.ReadUInt32LittleEndian(raw[6..]),
            new Oid(BinaryPrimitives.ReadUInt32LittleEndian(raw[10..])), new Oid(BinaryPrimitives.ReadUInt32LittleEndian(raw[14..])));
    }

    public byte[] ToBytes()
    {
        byte[] raw = new byte[Size];
        raw[0] = 1;
        raw[1] = OnDiskTag;
        BinaryPrimitives.WriteInt32LittleEndian(raw.AsSpan(2), RawSize);
        BinaryPrimitives.WriteUInt32LittleEndian(raw.AsSpan(6), ExternalInfo);
        BinaryPrimitives.WriteUInt32LittleEndian(raw.AsSpan(10), ValueId.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(raw.AsSpan(14), ToastRelation.Value);
        return raw;
    }
}

/// <summary>The header of a value of variable length: 1 byte (odd), 4 bytes plain (low bits 00) or compressed (10), or a pointer (0x01 and a tag).</summary>
public static class Varlena
{
    public const int HeaderSize = 4;
    public const int ShortHeaderSize = 1;

    /// <summary>The longest value with a short header, the header included.</summary>
    public const int ShortMax = 0x7F;

    /// <summary>Bytes before the compressed data: the header, and a word with raw size and method.</summary>
    public const int CompressedHeaderSize = 8;

    public static bool IsExternal(ReadOnlySpan<byte> v) => v[0] == 1;
    public static bool IsShort(ReadOnlySpan<byte> v) => (v[0] & 1) != 0 && v[0] != 1;
    public static bool IsCompressed(ReadOnlySpan<byte> v) => (v[0] & 3) == 2;

    /// <summary>Bytes of the value as stored, header included (VARSIZE_ANY).</summary>
    /// <exception cref="StorageException">The header is none.</exception>
    public static int StoredSize(ReadOnlySpan<byte> v)
    {
        byte first = v[0];
        int size;
        if (first == 1)
        {
            // Tags 1, 2 and 3 are pointers into memory and never stored.
            size = v[1] == 18 ? ToastPointer.Size : 0;
        }
        else
        {
            size = (first & 1) != 0 ? first >> 1 : (int)(BinaryPrimitives.ReadUInt32LittleEndian(v) >> 2);
        }

        return size < 1 || ((first & 1) == 0 && size < HeaderSize) ? throw new StorageException("a value of variable length has an impossible header") : size;
    }

    /// <summary>The payload's length after decompression, of a value compressed in line.</summary>
    public static int CompressedRawSize(ReadOnlySpan<byte> v) => (int)(BinaryPrimitives.ReadUInt32LittleEndian(v[HeaderSize..]) & 0x3FFFFFFF);

    public static ToastCompression CompressedMethod(ReadOnlySpan<byte> v) =>
        (ToastCompression)(BinaryPrimitives.ReadUInt32LittleEndian(v[HeaderSize..]) >> 30);

    /// <summary>A value compressed in line: header, raw size with method, data.</summary>
    public static byte[] MakeCompressed(int rawSize, ToastCompression method, ReadOnlySpan<byte> data)
    {
        byte[] raw = new byte[CompressedHeaderSize + data.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(raw, ((uint)raw.Length << 2) | 2);
        BinaryPrimitives.WriteUInt32LittleEndian(raw.AsSpan(HeaderSize), (uint)rawSize | ((uint)method << 30));
        data.CopyTo(raw.AsSpan(CompressedHeaderSize));
        return raw;
    }
}
