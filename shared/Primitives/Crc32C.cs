using System.Buffers.Binary;
using System.Numerics;

namespace SharedStorage.Primitives;

/// <summary>The Castagnoli checksum of log records, the control file, two-phase files and the relation map (PostgreSQL's pg_crc32c.h).</summary>
public static class Crc32C
{
    /// <summary>The state before the first byte.</summary>
    public const uint Initial = 0xFFFFFFFF;

    public static uint Append(uint state, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length >= sizeof(ulong))
        {
            state = BitOperations.Crc32C(state, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[sizeof(ulong)..];
        }

        // What is left of a small record counts: its header alone has four bytes of it.
        if (bytes.Length >= sizeof(uint))
        {
            state = BitOperations.Crc32C(state, BinaryPrimitives.ReadUInt32LittleEndian(bytes));
            bytes = bytes[sizeof(uint)..];
        }

        foreach (byte b in bytes)
        {
            state = BitOperations.Crc32C(state, b);
        }

        return state;
    }

    /// <summary>The checksum, from the state after the last byte.</summary>
    public static uint Finish(uint state) => ~state;

    public static uint Compute(ReadOnlySpan<byte> bytes) => Finish(Append(Initial, bytes));
}
