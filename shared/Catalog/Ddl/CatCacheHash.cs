using System.Buffers.Binary;
using System.Numerics;
using SharedStorage.Catalog.Invalidation;
using SharedStorage.Format.Tuples;

namespace SharedStorage.Catalog.Ddl;

/// <summary>
/// The hash by which an invalidation message names an entry of a catalog cache: stock standbys and later stock servers compare it with their own, so it is
/// PostgreSQL's (catcache.c): each key column's hash, turned by eight bits a column, combined by exclusive or.
/// </summary>
internal static class CatCacheHash
{
    public static uint Compute(SysCache cache, TupleDesc desc, ReadOnlySpan<Datum> row)
    {
        uint hash = 0;
        for (int i = cache.Keys.Count - 1; i >= 0; i--)
        {
            int column = cache.Keys[i] - 1;
            hash ^= BitOperations.RotateLeft(OfValue(desc[column].TypeId.Value, row[column]), 8 * i);
        }

        return hash;
    }

    private static uint OfValue(uint type, Datum value)
    {
        switch (type)
        {
            case PgTypes.Bool:
            case PgTypes.Char:
                return Murmur((uint)(int)(sbyte)value.Bits);
            case PgTypes.Int2:
                return Murmur((uint)(int)value.Int16);
            case PgTypes.Int4:
            case PgTypes.Oid:
            case PgTypes.RegProc:
                return Murmur(value.UInt32);
            case PgTypes.Name:
                ReadOnlySpan<byte> name = value.Bytes;
                int zero = name.IndexOf((byte)0);
                return HashBytes(zero < 0 ? name : name[..zero]);
            case PgTypes.Text:
                return HashBytes(value.Bytes);
            case PgTypes.OidVector:
                ReadOnlySpan<byte> vector = value.Bytes;
                return HashBytes(vector[20..]);
            default:
                throw new InvalidOperationException($"no catalog cache has a key of type {type}");
        }
    }

    /// <summary>The finalizer of MurmurHash3 (murmurhash32, hashutils.h).</summary>
    private static uint Murmur(uint h)
    {
        h ^= h >> 16;
        h *= 0x85ebca6b;
        h ^= h >> 13;
        h *= 0xc2b2ae35;
        return h ^ (h >> 16);
    }

    /// <summary>Bob Jenkins' lookup3 with PostgreSQL's seed (hash_bytes, hashfn.c).</summary>
    internal static uint HashBytes(ReadOnlySpan<byte> key)
    {
        uint a = 0x9e3779b9 + (uint)key.Length + 3923095, b = a, c = a;
        while (key.Length >= 12)
        {
            a += BinaryPrimitives.ReadUInt32LittleEndian(key);
            b += BinaryPrimitives.ReadUInt32LittleEndian(key[4..]);
            c += BinaryPrimitives.ReadUInt32LittleEndian(key[8..]);
            Mix(ref a, ref b, ref c);
            key = key[12..];
        }

        // The lowest byte of c is reserved for the length, so the last part's bytes 8 to 10 go into its upper three.
        for (int i = 0; i < key.Length; i++)
        {
            if (i < 4)
            {
                a += (uint)key[i] << (8 * i);
            }
            else if (i < 8)
            {
                b += (uint)key[i] << (8 * (i - 4));
            }
            else
            {
                c += (uint)key[i] << (8 * (i - 7));
            }
        }

        Final(ref a, ref b, ref c);
        return c;
    }

    private static void Mix(ref uint a, ref uint b, ref uint c)
    {
        a -= c;
        a ^= BitOperations.RotateLeft(c, 4);
        c += b;
        b -= a;
        b ^= BitOperations.RotateLeft(a, 6);
        a += c;
        c -= b;
        c ^= BitOperations.RotateLeft(b, 8);
        b += a;
        a -= c;
        a ^= BitOperations.RotateLeft(c, 16);
        c += b;
        b -= a;
        b ^= BitOperations.RotateLeft(a, 19);
        a += c;
        c -= b;
        c ^= BitOperations.RotateLeft(b, 4);
        b += a;
    }

    private static void Final(ref uint a, ref uint b, ref uint c)
    {
        c ^= b;
        c -= BitOperations.RotateLeft(b, 14);
        a ^= c;
        a -= BitOperations.RotateLeft(c, 11);
        b ^= a;
        b -= BitOperations.RotateLeft(a, 25);
        c ^= b;
        c -= BitOperations.RotateLeft(b, 16);
        a ^= c;
        a -= BitOperations.RotateLeft(c, 4);
        b ^= a;
        b -= BitOperations.RotateLeft(a, 14);
        c ^= b;
        c -= BitOperations.RotateLeft(b, 24);
    }
}
