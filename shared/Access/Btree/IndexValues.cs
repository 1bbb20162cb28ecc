using SharedStorage.Format.Compression;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Access.Btree;

/// <summary>Values between index entries and comparisons.</summary>
internal static class IndexValues
{
    /// <summary>The value without compression; index entries never point to a TOAST table.</summary>
    /// <exception cref="StorageException">It cannot be decompressed.</exception>
    public static Datum Plain(Datum value) =>
        !value.IsNull && value.Object is ToastedValue toasted ? Decompress(toasted) : value;

    /// <summary>Wider values are compressed (TOAST_INDEX_TARGET): a sixteenth of a page, with a 4-byte header.</summary>
    private const int CompressAbove = (Format.Pages.Page.Size - 32) / 16;

    /// <summary>The value as an index stores it: a name kept as a C string loses its padding, a wide value is compressed.</summary>
    public static Datum ForStorage(Datum value, TupleAttribute attribute)
    {
        if (value.IsNull || attribute.Length >= 0 || value.Object is ToastedValue)
        {
            return value;
        }

        byte[] bytes = value.Bytes;
        if (attribute.Length == -1)
        {
            if (bytes.Length + Varlena.HeaderSize > CompressAbove && (attribute.Storage is 'x' or 'm'))
            {
                Heap.Toaster.TryCompress(attribute, ref value);
            }

            return value;
        }

        int end = bytes.AsSpan().IndexOf((byte)0);
        return end < 0 ? value : Datum.FromBytes(bytes[..end]);
    }

    private static Datum Decompress(ToastedValue value)
    {
        if (!value.IsCompressedInline)
        {
            throw BtreePages.Corrupted("an index entry points to a TOAST table");
        }

        byte[] plain = new byte[value.RawSize];
        ReadOnlySpan<byte> data = value.Raw.AsSpan(Varlena.CompressedHeaderSize);
        int length = Varlena.CompressedMethod(value.Raw) switch
        {
            ToastCompression.Pglz => Pglz.Decompress(data, plain),
            ToastCompression.Lz4 => Lz4.Decompress(data, plain),
            _ => -1,
        };
        return length == plain.Length ? Datum.FromBytes(plain) : throw BtreePages.Corrupted("a compressed value in an index entry is damaged");
    }
}
