using System.Runtime.CompilerServices;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute.Expressions;

namespace SharedStorage.Sql.Execute.Spill;

/// <summary>
/// Rows as bytes in a temporary file: a count, then each value with its kind. A value says by itself whether it is null, bits, bytes or a row, so no types are needed. Only
/// rows that are values (ROW(...)) need more: their description stays in memory and the file has its number.
/// </summary>
internal sealed class RowBuffer
{
    private const byte NullValue = 0, BitsValue = 1, BytesValue = 2, RowOfValues = 3;

    private readonly List<object> _descriptions = [];
    private byte[] _bytes = [];

    public int Length { get; private set; }
    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, Length);

    public void Clear() => Length = 0;

    public void Add(ReadOnlySpan<Datum> row)
    {
        Number((ulong)row.Length);
        foreach (Datum value in row)
        {
            Add(value);
        }
    }

    /// <summary>Reads the row at a place, which moves behind it.</summary>
    public Datum[] Read(ReadOnlySpan<byte> from, ref int at)
    {
        var row = new Datum[(int)Number(from, ref at)];
        for (int i = 0; i < row.Length; i++)
        {
            row[i] = ReadValue(from, ref at);
        }

        return row;
    }

    /// <summary>About what a row takes in memory, with the array that holds it.</summary>
    public static long SizeOf(ReadOnlySpan<Datum> row)
    {
        long size = 32 + (row.Length * (long)Unsafe.SizeOf<Datum>());
        foreach (Datum value in row)
        {
            if (value.IsNull || value.Object is not { } o)
            {
                continue;
            }

            size += o is byte[] bytes ? 24 + bytes.Length : o is RowValue inner ? 24 + SizeOf(inner.Values) : 64;
        }

        return size;
    }

    private void Add(Datum value)
    {
        if (value.IsNull)
        {
            Byte(NullValue);
        }
        else if (value.Object is null)
        {
            Byte(BitsValue);
            Number((ulong)((value.Bits << 1) ^ (value.Bits >> 63)));
        }
        else if (value.Object is byte[] bytes)
        {
            Byte(BytesValue);
            Number((ulong)bytes.Length);
            Reserve(bytes.Length);
            bytes.CopyTo(_bytes.AsSpan(Length));
            Length += bytes.Length;
        }
        else if (value.Object is RowValue row)
        {
            Byte(RowOfValues);
            int number = _descriptions.IndexOf(row.Shape);
            if (number < 0)
            {
                number = _descriptions.Count;
                _descriptions.Add(row.Shape);
            }

            Number((ulong)number);
            Add(row.Values);
        }
        else
        {
            throw PgException.NotSupported($"a temporary file with a value of {value.Object.GetType().Name}");
        }
    }

    private Datum ReadValue(ReadOnlySpan<byte> from, ref int at)
    {
        switch (from[at++])
        {
            case NullValue:
                return Datum.Null;
            case BitsValue:
                ulong bits = Number(from, ref at);
                return Datum.FromInt64((long)(bits >> 1) ^ -(long)(bits & 1));
            case BytesValue:
                int length = (int)Number(from, ref at);
                at += length;
                return Datum.FromBytes(from.Slice(at - length, length).ToArray());
            case RowOfValues:
                var description = (Analyze.RowExpr)_descriptions[(int)Number(from, ref at)];
                return Datum.FromObject(new RowValue(Read(from, ref at), description));
            case var kind:
                throw new InvariantException("SQL", $"a temporary file has a value of kind {kind}");
        }
    }

    private void Byte(byte value)
    {
        Reserve(1);
        _bytes[Length++] = value;
    }

    private void Number(ulong value)
    {
        Reserve(10);
        while (value >= 0x80)
        {
            _bytes[Length++] = (byte)(value | 0x80);
            value >>= 7;
        }

        _bytes[Length++] = (byte)value;
    }

    private static ulong Number(ReadOnlySpan<byte> from, ref int at)
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte b = from[at++];
            value |= (ulong)(b & 0x7F) << shift;
            if (b < 0x80)
            {
                return value;
            }
        }
    }

    private void Reserve(int more)
    {
        if (Length + more > _bytes.Length)
        {
            Array.Resize(ref _bytes, Math.Max(Math.Max(1024, _bytes.Length * 2), Length + more));
        }
    }
}
