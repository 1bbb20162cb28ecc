using System.Buffers.Binary;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Sql.Types;

/// <summary>
/// An array value without its length header, as array.h lays it out: number of dimensions, offset of the data (0 without nulls; it counts the
/// length header), element type, lengths, lower bounds, bitmap of nulls, elements each at its alignment.
/// </summary>
public readonly ref struct ArrayView(ReadOnlySpan<byte> bytes)
{
    public const int MaxDimensions = 6;
    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public int Dimensions => BinaryPrimitives.ReadInt32LittleEndian(_bytes);
    public bool HasNulls => DataOffset != 0;
    public uint ElementType => BinaryPrimitives.ReadUInt32LittleEndian(_bytes[8..]);

    public int Count
    {
        get
        {
            int n = Dimensions == 0 ? 0 : 1;
            for (int i = 0; i < Dimensions; i++)
            {
                n *= Length(i);
            }

            return n;
        }
    }

    internal ReadOnlySpan<byte> Data => _bytes[((HasNulls ? DataOffset : ArrayBuilder.Align(16 + (8 * Dimensions), 8)) - 4)..];
    internal ReadOnlySpan<byte> NullBitmap => HasNulls ? _bytes[(12 + (8 * Dimensions))..] : [];
    private int DataOffset => BinaryPrimitives.ReadInt32LittleEndian(_bytes[4..]);

    public int Length(int dimension) => BinaryPrimitives.ReadInt32LittleEndian(_bytes[(12 + (4 * dimension))..]);
    public int LowerBound(int dimension) => BinaryPrimitives.ReadInt32LittleEndian(_bytes[(12 + (4 * Dimensions) + (4 * dimension))..]);

    /// <summary>All elements in storage order (the last dimension runs fastest).</summary>
    public Datum[] ToDatums(PgType element)
    {
        var result = new Datum[Count];
        ArrayReader reader = new(this, element);
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = reader.Next();
        }

        return result;
    }
}

/// <summary>Reads the elements of an array one after the other.</summary>
internal ref struct ArrayReader(ArrayView array, PgType element)
{
    private readonly ReadOnlySpan<byte> _data = array.Data;
    private readonly ReadOnlySpan<byte> _nulls = array.NullBitmap;
    private int _index;
    private int _at;

    public Datum Next()
    {
        int i = _index++;
        return !_nulls.IsEmpty && (_nulls[i / 8] & (1 << (i % 8))) == 0 ? Datum.Null : ElementCodec.Read(_data, ref _at, element);
    }
}

/// <summary>One value at its alignment, as arrays (and rows) hold it.</summary>
internal static class ElementCodec
{
    public static Datum Read(ReadOnlySpan<byte> data, ref int at, PgType type)
    {
        if (type.Length == -1)
        {
            // A short header needs no alignment; arrays are written with long ones.
            if (at < data.Length && (data[at] & 1) != 0)
            {
                int shortLength = data[at] >> 1;
                Datum v = Datum.FromBytes(data.Slice(at + 1, shortLength - 1).ToArray());
                at += shortLength;
                return v;
            }

            at = ArrayBuilder.Align(at, type.Alignment);
            int length = (int)(BinaryPrimitives.ReadUInt32LittleEndian(data[at..]) >> 2);
            Datum value = Datum.FromBytes(data.Slice(at + 4, length - 4).ToArray());
            at += length;
            return value;
        }

        at = ArrayBuilder.Align(at, type.Alignment);
        ReadOnlySpan<byte> s = data.Slice(at, type.Length);
        at += type.Length;
        if (!type.ByValue)
        {
            return Datum.FromBytes(s.ToArray());
        }

        return type.Length switch
        {
            1 => Datum.FromInt16((sbyte)s[0]),
            2 => Datum.FromInt16(BinaryPrimitives.ReadInt16LittleEndian(s)),
            4 => Datum.FromInt32(BinaryPrimitives.ReadInt32LittleEndian(s)),
            _ => Datum.FromInt64(BinaryPrimitives.ReadInt64LittleEndian(s)),
        };
    }
}

/// <summary>Builds an array value.</summary>
public static class ArrayBuilder
{
    private const int MaxElements = 0x3FFFFFFF / 16;

    public static int Align(int at, int alignment) => (at + alignment - 1) & ~(alignment - 1);

    public static Datum Empty(PgType element) => Build(element, [], [], []);

    /// <summary>One dimension, counted from 1.</summary>
    public static Datum Build(PgType element, ReadOnlySpan<Datum> values) =>
        values.Length == 0 ? Empty(element) : Build(element, values, [values.Length], [1]);

    /// <exception cref="PgException">54000: too many dimensions or elements.</exception>
    public static Datum Build(PgType element, ReadOnlySpan<Datum> values, ReadOnlySpan<int> lengths, ReadOnlySpan<int> lowerBounds)
    {
        if (lengths.Length > ArrayView.MaxDimensions)
        {
            throw new PgException(SqlStates.ProgramLimitExceeded,
                $"number of array dimensions ({lengths.Length}) exceeds the maximum allowed ({ArrayView.MaxDimensions})");
        }

        if (values.Length > MaxElements)
        {
            throw new PgException(SqlStates.ProgramLimitExceeded, "array size exceeds the maximum allowed (134217727)");
        }

        int dimensions = lengths.Length;
        bool hasNulls = false;
        int size = 0;
        foreach (Datum v in values)
        {
            hasNulls |= v.IsNull;
            size = v.IsNull ? size : SizeAfter(size, element, v);
        }

        int header = 16 + (8 * dimensions) + (hasNulls ? (values.Length + 7) / 8 : 0);

        // An empty array has no dimensions and no padding after its header.
        int start = dimensions == 0 ? header : Align(header, 8);
        var bytes = new byte[start - 4 + size];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, dimensions);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), hasNulls ? start : 0);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), element.Id);
        for (int i = 0; i < dimensions; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12 + (4 * i)), lengths[i]);
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12 + (4 * dimensions) + (4 * i)), lowerBounds[i]);
        }

        Span<byte> nulls = bytes.AsSpan(12 + (8 * dimensions));
        Span<byte> data = bytes.AsSpan(start - 4);
        int at = 0;
        for (int i = 0; i < values.Length; i++)
        {
            if (values[i].IsNull)
            {
                continue;
            }

            if (hasNulls)
            {
                nulls[i / 8] |= (byte)(1 << (i % 8));
            }

            Write(data, ref at, element, values[i]);
        }

        return Datum.FromBytes(bytes);
    }

    private static int SizeAfter(int at, PgType type, Datum v)
    {
        at = Align(at, type.Alignment) + (type.Length == -1 ? 4 + v.Bytes.Length : type.Length);
        return Align(at, type.Alignment);
    }

    private static void Write(Span<byte> data, ref int at, PgType type, Datum v)
    {
        if (type.Length == -1)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(data[at..], (uint)(v.Bytes.Length + 4) << 2);
            v.Bytes.CopyTo(data[(at + 4)..]);
            at = Align(at + 4 + v.Bytes.Length, type.Alignment);
            return;
        }

        Span<byte> s = data.Slice(at, type.Length);
        if (!type.ByValue)
        {
            v.Bytes.CopyTo(s);
        }
        else if (type.Length == 1)
        {
            s[0] = (byte)v.Bits;
        }
        else if (type.Length == 2)
        {
            BinaryPrimitives.WriteInt16LittleEndian(s, (short)v.Bits);
        }
        else if (type.Length == 4)
        {
            BinaryPrimitives.WriteInt32LittleEndian(s, (int)v.Bits);
        }
        else
        {
            BinaryPrimitives.WriteInt64LittleEndian(s, v.Bits);
        }

        at = Align(at + type.Length, type.Alignment);
    }
}
