namespace SharedStorage.Format.Compression;

/// <summary>
/// PostgreSQL's own LZ compression (format: pg_lzcompress.c). A control byte says of each of the next eight items whether it is a literal byte or a
/// reference back: 12 bits distance, 4 bits length minus 3; length 18 is followed by a byte that adds to it.
/// </summary>
public static partial class Pglz
{
    private const int LongLength = 18;

    /// <summary>
    /// Decompresses all of <paramref name="source"/>. Gives the bytes written, or -1 when the input is damaged. With <paramref name="exact"/> input and
    /// output must both be used up; else a prefix as long as <paramref name="destination"/> is enough.
    /// </summary>
    public static int Decompress(ReadOnlySpan<byte> source, Span<byte> destination, bool exact = true)
    {
        int s = 0;
        int d = 0;
        while (s < source.Length && d < destination.Length)
        {
            int control = source[s++];
            for (int bit = 0; bit < 8 && s < source.Length && d < destination.Length; bit++, control >>= 1)
            {
                if ((control & 1) == 0)
                {
                    destination[d++] = source[s++];
                    continue;
                }

                if (!TryReadReference(source, ref s, out int length, out int distance) || distance == 0 || distance > d)
                {
                    return -1;
                }

                length = Math.Min(length, destination.Length - d);
                CopyBack(destination, d, distance, length);
                d += length;
            }
        }

        return exact && (s != source.Length || d != destination.Length) ? -1 : d;
    }

    private static bool TryReadReference(ReadOnlySpan<byte> source, ref int s, out int length, out int distance)
    {
        length = distance = 0;
        if (s + 2 > source.Length)
        {
            return false;
        }

        length = (source[s] & 0x0F) + 3;
        distance = ((source[s] & 0xF0) << 4) | source[s + 1];
        s += 2;
        if (length == LongLength)
        {
            if (s >= source.Length)
            {
                return false;
            }

            length += source[s++];
        }

        return true;
    }

    private static void CopyBack(Span<byte> destination, int d, int distance, int length)
    {
        if (distance >= length)
        {
            destination.Slice(d - distance, length).CopyTo(destination[d..]);
            return;
        }

        // The regions overlap: what is copied first is repeated, so it goes byte by byte.
        for (int i = 0; i < length; i++)
        {
            destination[d + i] = destination[d + i - distance];
        }
    }
}
