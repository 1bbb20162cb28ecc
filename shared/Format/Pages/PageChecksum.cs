using System.Buffers.Binary;

namespace SharedStorage.Format.Pages;

/// <summary>The checksum of a data page: 32 interleaved FNV-1a sums with a twist, mixed with the block number (PostgreSQL's checksum_impl.h).</summary>
public static class PageChecksum
{
    private const int Lanes = 32;
    private const uint Prime = 16777619;

    private static readonly uint[] Offsets =
    [
        0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
        0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
        0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
        0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
    ];

    /// <summary>The checksum that the page should carry; the stored one (bytes 8 and 9) counts as zero.</summary>
    public static ushort Compute(ReadOnlySpan<byte> page, uint blockNumber)
    {
        Span<uint> sums = stackalloc uint[Lanes];
        Offsets.CopyTo(sums);
        ReadOnlySpan<uint> words = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, uint>(page[..Page.Size]);
        for (int row = 0; row < Page.Size / (sizeof(uint) * Lanes); row++)
        {
            ReadOnlySpan<uint> line = words.Slice(row * Lanes, Lanes);
            for (int lane = 0; lane < Lanes; lane++)
            {
                // The checksum is the low half of the third word.
                uint word = row == 0 && lane == 2 ? line[lane] & 0xFFFF0000 : line[lane];
                uint mixed = sums[lane] ^ word;
                sums[lane] = (mixed * Prime) ^ (mixed >> 17);
            }
        }

        for (int round = 0; round < 2; round++)
        {
            for (int lane = 0; lane < Lanes; lane++)
            {
                uint mixed = sums[lane];
                sums[lane] = (mixed * Prime) ^ (mixed >> 17);
            }
        }

        uint result = 0;
        foreach (uint sum in sums)
        {
            result ^= sum;
        }

        result ^= blockNumber;
        return (ushort)((result % 65535) + 1);
    }

    public static ushort Stored(ReadOnlySpan<byte> page) => BinaryPrimitives.ReadUInt16LittleEndian(page[8..]);

    public static void Store(Span<byte> page, uint blockNumber) =>
        BinaryPrimitives.WriteUInt16LittleEndian(page[8..], Compute(page, blockNumber));
}
