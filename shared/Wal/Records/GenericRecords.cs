using System.Buffers.Binary;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Records;

/// <summary>
/// The block data of a Generic record (PostgreSQL's generic_xlog.c): fragments, each a 16-bit offset in the page, a 16-bit length and so many bytes. The record has no body.
/// </summary>
public ref struct GenericDelta(ReadOnlySpan<byte> data)
{
    private const int HeaderSize = 2 * sizeof(ushort);
    private ReadOnlySpan<byte> _rest = data;

    public int Offset { get; private set; }
    public ReadOnlySpan<byte> Bytes { get; private set; }

    /// <summary>Goes to the next fragment; false at the end.</summary>
    /// <exception cref="StorageException">The fragment is cut short.</exception>
    public bool Next()
    {
        if (_rest.IsEmpty)
        {
            return false;
        }

        if (_rest.Length < HeaderSize)
        {
            throw new StorageException($"a fragment of a generic record has {_rest.Length} bytes, its header needs {HeaderSize}");
        }

        Offset = BinaryPrimitives.ReadUInt16LittleEndian(_rest);
        int length = BinaryPrimitives.ReadUInt16LittleEndian(_rest[sizeof(ushort)..]);
        _rest = _rest[HeaderSize..];
        if (length > _rest.Length)
        {
            throw new StorageException($"a fragment of a generic record names {length} bytes and has {_rest.Length}");
        }

        Bytes = _rest[..length];
        _rest = _rest[length..];
        return true;
    }
}
