using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog;

/// <summary>
/// One-dimensional arrays of the element types that catalogs use, as PostgreSQL stores them (array.h), without the length header:
/// dimensions, offset of the data (0 without nulls; counted from the length header), element type, length and lower bound of each dimension, elements.
/// </summary>
public static class ArrayCodec
{
    private const int HeaderSize = 20;

    public static short[] ReadInt16s(Datum d) => MemoryMarshal.Cast<byte, short>(Elements(d, out int n)[..(n * 2)]).ToArray();
    public static int[] ReadInt32s(Datum d) => MemoryMarshal.Cast<byte, int>(Elements(d, out int n)[..(n * 4)]).ToArray();
    public static Oid[] ReadOids(Datum d) => MemoryMarshal.Cast<byte, Oid>(Elements(d, out int n)[..(n * 4)]).ToArray();
    public static float[] ReadSingles(Datum d) => MemoryMarshal.Cast<byte, float>(Elements(d, out int n)[..(n * 4)]).ToArray();

    public static char[] ReadChars(Datum d)
    {
        ReadOnlySpan<byte> bytes = Elements(d, out int n);
        var result = new char[n];
        for (int i = 0; i < n; i++)
        {
            result[i] = (char)bytes[i];
        }

        return result;
    }

    public static string[] ReadTexts(Datum d)
    {
        ReadOnlySpan<byte> bytes = Elements(d, out int n);
        var result = new string[n];
        int at = 0;
        for (int i = 0; i < n; i++)
        {
            result[i] = Encoding.UTF8.GetString(NextVarlena(bytes, ref at));
        }

        return result;
    }

    public static Datum Int2Vector(short[] v) => Make(21, 0, alwaysDimension: true, MemoryMarshal.AsBytes(v.AsSpan()), v.Length);
    public static Datum OidVector(Oid[] v) => Make(26, 0, alwaysDimension: true, MemoryMarshal.AsBytes(v.AsSpan()), v.Length);
    public static Datum Int16s(short[] v) => Make(21, 1, alwaysDimension: false, MemoryMarshal.AsBytes(v.AsSpan()), v.Length);
    public static Datum Int32s(int[] v) => Make(23, 1, alwaysDimension: false, MemoryMarshal.AsBytes(v.AsSpan()), v.Length);
    public static Datum Oids(Oid[] v) => Make(26, 1, alwaysDimension: false, MemoryMarshal.AsBytes(v.AsSpan()), v.Length);
    public static Datum Singles(float[] v) => Make(700, 1, alwaysDimension: false, MemoryMarshal.AsBytes(v.AsSpan()), v.Length);
    public static Datum Chars(char[] v) => Make(18, 1, alwaysDimension: false, Array.ConvertAll(v, c => (byte)c), v.Length);

    public static Datum Texts(string[] v)
    {
        var data = new List<byte>();
        Span<byte> header = stackalloc byte[4];
        foreach (string s in v)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(s);
            Pad(data, 4);

            // Elements of arrays keep the four-byte length header, however short they are.
            BinaryPrimitives.WriteUInt32LittleEndian(header, (uint)(bytes.Length + 4) << 2);
            data.AddRange(header);
            data.AddRange(bytes);
        }

        Pad(data, 4);
        return Make(25, 1, alwaysDimension: false, CollectionsMarshal.AsSpan(data), v.Length);
    }

    /// <summary>The element type that an array names in its header.</summary>
    public static Oid ElementType(Datum d) => new(BinaryPrimitives.ReadUInt32LittleEndian(d.Bytes.AsSpan(8)));

    private static void Pad(List<byte> data, int alignment)
    {
        while (data.Count % alignment != 0)
        {
            data.Add(0);
        }
    }

    private static ReadOnlySpan<byte> NextVarlena(ReadOnlySpan<byte> bytes, ref int at)
    {
        if ((bytes[at] & 1) != 0)
        {
            int shortLength = bytes[at] >> 1;
            ReadOnlySpan<byte> s = bytes.Slice(at + 1, shortLength - 1);
            at += shortLength;
            return s;
        }

        at = (at + 3) & ~3;
        int length = (int)(BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]) >> 2);
        ReadOnlySpan<byte> result = bytes.Slice(at + 4, length - 4);
        at += length;
        return result;
    }

    private static ReadOnlySpan<byte> Elements(Datum d, out int count)
    {
        ReadOnlySpan<byte> bytes = d.Bytes;
        int dimensions = BinaryPrimitives.ReadInt32LittleEndian(bytes);
        if (dimensions == 0)
        {
            count = 0;
            return [];
        }

        if (dimensions != 1 || BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]) != 0)
        {
            throw new StorageException("an array in a system catalog has several dimensions or nulls");
        }

        count = BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]);
        return bytes[HeaderSize..];
    }

    private static Datum Make(uint elementType, int lowerBound, bool alwaysDimension, ReadOnlySpan<byte> data, int count)
    {
        bool empty = count == 0 && !alwaysDimension;
        var bytes = new byte[empty ? 12 : HeaderSize + data.Length];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, empty ? 0 : 1);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), elementType);
        if (!empty)
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), count);
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(16), lowerBound);
            data.CopyTo(bytes.AsSpan(HeaderSize));
        }

        return Datum.FromBytes(bytes);
    }
}
