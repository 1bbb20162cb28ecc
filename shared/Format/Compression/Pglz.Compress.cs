using System.Runtime.InteropServices;

namespace SharedStorage.Format.Compression;

/// <summary>
/// Compression with PostgreSQL's default strategy (its pglz_compress), so that the same input gives the same output: candidates are found through
/// chains of earlier positions with the same hash of four bytes, the newest first, and the demand on a match falls with each candidate looked at.
/// </summary>
public static partial class Pglz
{
    private const int MinInput = 32;
    private const int MinSavedPercent = 25;
    private const int FirstSuccessBy = 1024;
    private const int GoodMatch = 128;
    private const int GoodDropPercent = 10;
    private const int History = 4096;
    private const int MaxDistance = 0x0FFF;
    private const int MaxMatch = 273;

    [ThreadStatic] private static Chains? _chains;

    /// <summary>The room that a destination must have.</summary>
    public static int MaxOutput(int length) => length + 4;

    /// <summary>Gives the bytes written, or -1 when a quarter at least is not saved.</summary>
    public static int Compress(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        if (source.Length < MinInput)
        {
            return -1;
        }

        int limit = source.Length > int.MaxValue / 100
            ? source.Length / 100 * (100 - MinSavedPercent)
            : source.Length * (100 - MinSavedPercent) / 100;
        Chains chains = _chains ??= new Chains();
        chains.Start(source.Length);
        int d = 0;
        int controlAt = 0;
        int control = 0;
        int bit = 8;
        bool anyMatch = false;
        for (int s = 0; s < source.Length;)
        {
            if (d >= limit || (!anyMatch && d >= FirstSuccessBy))
            {
                return -1;
            }

            if (bit == 8)
            {
                destination[controlAt] = (byte)control;
                controlAt = d++;
                control = bit = 0;
            }

            int length = chains.FindMatch(source, s, out int distance);
            if (length > 2)
            {
                control |= 1 << bit;
                d = WriteReference(destination, d, length, distance);
                anyMatch = true;
            }
            else
            {
                length = 1;
                destination[d++] = source[s];
            }

            for (; length > 0; length--)
            {
                chains.Add(source, s++);
            }

            bit++;
        }

        destination[controlAt] = (byte)control;
        return d < limit ? d : -1;
    }

    private static int WriteReference(Span<byte> destination, int d, int length, int distance)
    {
        int high = (distance & 0xF00) >> 4;
        if (length >= LongLength)
        {
            destination[d++] = (byte)(high | 0x0F);
            destination[d++] = (byte)distance;
            destination[d++] = (byte)(length - LongLength);
        }
        else
        {
            destination[d++] = (byte)(high | (length - 3));
            destination[d++] = (byte)distance;
        }

        return d;
    }

    /// <summary>Earlier positions by hash. Entries are used round and round; entry 0 is "none".</summary>
    private sealed class Chains
    {
        private readonly short[] _first = new short[8192];
        private readonly Entry[] _entries = new Entry[History + 1];
        private int _mask;
        private int _next;
        private bool _recycling;

        private struct Entry
        {
            public short Older;
            public short Newer;
            public int Hash;
            public int Position;
        }

        public void Start(int length)
        {
            int size = length switch { < 128 => 512, < 256 => 1024, < 512 => 2048, < 1024 => 4096, _ => 8192 };
            _mask = size - 1;
            _next = 1;
            _recycling = false;
            _first.AsSpan(0, size).Clear();
        }

        public int FindMatch(ReadOnlySpan<byte> source, int at, out int distance)
        {
            int best = 0;
            int good = GoodMatch;
            distance = 0;
            for (int e = _first[Hash(source, at)]; e != 0;)
            {
                int candidate = _entries[e].Position;
                int back = at - candidate;
                if (back >= MaxDistance)
                {
                    break;
                }

                int longest = Math.Min(MaxMatch, source.Length - at);
                int length = source.Slice(at, longest).CommonPrefixLength(source.Slice(candidate, longest));
                if (length > best)
                {
                    best = length;
                    distance = back;
                }

                e = _entries[e].Older;
                if (e != 0)
                {
                    if (best >= good)
                    {
                        break;
                    }

                    good -= good * GoodDropPercent / 100;
                }
            }

            return best;
        }

        public void Add(ReadOnlySpan<byte> source, int at)
        {
            ref Entry entry = ref _entries[_next];
            if (_recycling)
            {
                Unlink(in entry);
            }

            int hash = Hash(source, at);
            short first = _first[hash];
            entry = new Entry { Older = first, Newer = 0, Hash = hash, Position = at };
            _entries[first].Newer = (short)_next;
            _first[hash] = (short)_next;
            if (++_next > History)
            {
                _next = 1;
                _recycling = true;
            }
        }

        private void Unlink(in Entry entry)
        {
            if (entry.Newer == 0)
            {
                _first[entry.Hash] = entry.Older;
            }
            else
            {
                _entries[entry.Newer].Older = entry.Older;
            }

            if (entry.Older != 0)
            {
                _entries[entry.Older].Newer = entry.Newer;
            }
        }

        // PostgreSQL hashes "char", which is signed on x86.
        private int Hash(ReadOnlySpan<byte> source, int at)
        {
            ReadOnlySpan<sbyte> s = MemoryMarshal.Cast<byte, sbyte>(source[at..]);
            return (s.Length < 4 ? s[0] : (s[0] << 6) ^ (s[1] << 4) ^ (s[2] << 2) ^ s[3]) & _mask;
        }
    }
}
