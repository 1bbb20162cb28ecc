using System.Runtime.InteropServices;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Compression;

/// <summary>LZ4 blocks (wal_compression = lz4, TOAST compression lz4) through the system's liblz4. Thread-safe.</summary>
public static unsafe partial class Lz4
{
    /// <summary>Gives the bytes written; negative when the input is damaged or does not fit.</summary>
    /// <exception cref="StorageException">The library is not installed.</exception>
    public static int Decompress(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        fixed (byte* s = source, d = destination)
        {
            try
            {
                return LZ4_decompress_safe(s, d, source.Length, destination.Length);
            }
            catch (DllNotFoundException e)
            {
                throw new StorageException("data compressed with lz4 needs the library liblz4.so.1", e);
            }
        }
    }

    /// <summary>Gives the bytes written; 0 when it does not fit.</summary>
    /// <exception cref="StorageException">The library is not installed.</exception>
    public static int Compress(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        fixed (byte* s = source, d = destination)
        {
            try
            {
                return LZ4_compress_default(s, d, source.Length, destination.Length);
            }
            catch (DllNotFoundException e)
            {
                throw new StorageException("wal_compression = lz4 needs the library liblz4.so.1", e);
            }
        }
    }

    /// <summary>Decompresses until <paramref name="destination"/> is full or the input ends.</summary>
    public static int DecompressPrefix(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        fixed (byte* s = source, d = destination)
        {
            try
            {
                return LZ4_decompress_safe_partial(s, d, source.Length, destination.Length, destination.Length);
            }
            catch (DllNotFoundException e)
            {
                throw new StorageException("data compressed with lz4 needs the library liblz4.so.1", e);
            }
        }
    }

    [LibraryImport("liblz4.so.1")]
    private static partial int LZ4_compress_default(byte* source, byte* destination, int sourceLength, int capacity);

    [LibraryImport("liblz4.so.1")]
    private static partial int LZ4_decompress_safe(byte* source, byte* destination, int sourceLength, int capacity);

    [LibraryImport("liblz4.so.1")]
    private static partial int LZ4_decompress_safe_partial(byte* source, byte* destination, int sourceLength, int wanted, int capacity);
}

/// <summary>Zstandard frames (wal_compression = zstd) through the system's libzstd. Thread-safe.</summary>
public static unsafe partial class Zstd
{
    /// <summary>Gives the bytes written; negative when the input is damaged or does not fit.</summary>
    /// <exception cref="StorageException">The library is not installed.</exception>
    public static int Decompress(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        fixed (byte* s = source, d = destination)
        {
            try
            {
                nuint n = ZSTD_decompress(d, (nuint)destination.Length, s, (nuint)source.Length);
                return ZSTD_isError(n) != 0 ? -1 : (int)n;
            }
            catch (DllNotFoundException e)
            {
                throw new StorageException("data compressed with zstd needs the library libzstd.so.1", e);
            }
        }
    }

    /// <summary>Gives the bytes written at the library's default level; -1 when it does not fit.</summary>
    /// <exception cref="StorageException">The library is not installed.</exception>
    public static int Compress(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        fixed (byte* s = source, d = destination)
        {
            try
            {
                nuint n = ZSTD_compress(d, (nuint)destination.Length, s, (nuint)source.Length, DefaultLevel);
                return ZSTD_isError(n) != 0 ? -1 : (int)n;
            }
            catch (DllNotFoundException e)
            {
                throw new StorageException("wal_compression = zstd needs the library libzstd.so.1", e);
            }
        }
    }

    private const int DefaultLevel = 3;

    [LibraryImport("libzstd.so.1")]
    private static partial nuint ZSTD_compress(byte* destination, nuint capacity, byte* source, nuint sourceLength, int level);

    [LibraryImport("libzstd.so.1")]
    private static partial nuint ZSTD_decompress(byte* destination, nuint capacity, byte* source, nuint sourceLength);

    [LibraryImport("libzstd.so.1")]
    private static partial uint ZSTD_isError(nuint code);
}
