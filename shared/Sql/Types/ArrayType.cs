using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>Arrays of any type: "{1,2}", "[0:1]={1,2}", nested braces for more dimensions; and the vectors int2vector, oidvector apart.</summary>
public sealed class ArrayType(PgType element) : PgType
{
    public override PgType Element => element;

    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context) =>
        new ArrayParser(this, element, typeModifier, context).Parse(text);

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context)
    {
        var array = new ArrayView(value.Bytes);
        int dimensions = array.Dimensions;
        int count = array.Count;
        if (count == 0)
        {
            TextScan.Write("{}"u8, output);
            return;
        }

        Span<int> lengths = stackalloc int[dimensions];
        bool bounds = false;
        for (int i = 0; i < dimensions; i++)
        {
            lengths[i] = array.Length(i);
            bounds |= array.LowerBound(i) != 1;
        }

        if (bounds)
        {
            WriteBounds(array, output);
        }

        var reader = new ArrayReader(array, element);
        var item = new ArrayBufferWriter<byte>(32);
        Span<int> at = stackalloc int[dimensions];
        at.Clear();
        for (int i = 0; i < count; i++)
        {
            // Each dimension that begins here opens a brace.
            int opens = dimensions;
            while (opens > 0 && at[opens - 1] == 0)
            {
                opens--;
            }

            if (i > 0)
            {
                TextScan.Write((byte)Delimiter, output);
            }

            for (int d = opens; d < dimensions; d++)
            {
                TextScan.Write((byte)'{', output);
            }

            WriteElement(reader.Next(), item, output, context);
            for (int d = dimensions - 1; d >= 0; d--)
            {
                if (++at[d] < lengths[d])
                {
                    break;
                }

                at[d] = 0;
                TextScan.Write((byte)'}', output);
            }
        }
    }

    private static void WriteBounds(ArrayView array, IBufferWriter<byte> output)
    {
        for (int i = 0; i < array.Dimensions; i++)
        {
            int low = array.LowerBound(i);
            TextScan.WriteAscii(string.Create(CultureInfo.InvariantCulture, $"[{low}:{low + array.Length(i) - 1}]"), output);
        }

        TextScan.Write((byte)'=', output);
    }

    private void WriteElement(Datum value, ArrayBufferWriter<byte> item, IBufferWriter<byte> output, EvalContext context)
    {
        if (value.IsNull)
        {
            TextScan.Write("NULL"u8, output);
            return;
        }

        item.ResetWrittenCount();
        element.Output(value, item, context);
        ReadOnlySpan<byte> text = item.WrittenSpan;
        if (!NeedsQuotes(text))
        {
            TextScan.Write(text, output);
            return;
        }

        TextScan.Write((byte)'"', output);
        foreach (byte b in text)
        {
            if (b is (byte)'"' or (byte)'\\')
            {
                TextScan.Write((byte)'\\', output);
            }

            TextScan.Write(b, output);
        }

        TextScan.Write((byte)'"', output);
    }

    private bool NeedsQuotes(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty || (text.Length == 4 && Ascii.EqualsIgnoreCase(text, "NULL"u8)))
        {
            return true;
        }

        foreach (byte b in text)
        {
            if (b is (byte)'"' or (byte)'\\' or (byte)'{' or (byte)'}' || b == Delimiter || TextScan.IsSpace(b))
            {
                return true;
            }
        }

        return false;
    }

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        int dimensions = TakeInt32(ref data);
        int flags = TakeInt32(ref data);
        uint type = (uint)TakeInt32(ref data);
        if (dimensions is < 0 or > ArrayView.MaxDimensions || flags is not (0 or 1))
        {
            throw new PgException(SqlStates.InvalidBinaryRepresentation, $"invalid number of dimensions: {dimensions}");
        }

        if (type != element.Id)
        {
            throw new PgException(SqlStates.DatatypeMismatch, $"binary data has array element type {type} instead of expected {element.Id}");
        }

        var lengths = new int[dimensions];
        var bounds = new int[dimensions];
        long count = dimensions == 0 ? 0 : 1;
        for (int i = 0; i < dimensions; i++)
        {
            lengths[i] = TakeInt32(ref data);
            bounds[i] = TakeInt32(ref data);
            count *= lengths[i];
        }

        // Each element takes four bytes at least: a larger count is a lie.
        if (count < 0 || count * 4 > data.Length)
        {
            throw new PgException(SqlStates.InvalidBinaryRepresentation, "insufficient data left in message");
        }

        var values = new Datum[count];
        for (int i = 0; i < values.Length; i++)
        {
            int length = TakeInt32(ref data);
            if (length < -1 || length > data.Length)
            {
                throw new PgException(SqlStates.InvalidBinaryRepresentation, "insufficient data left in message");
            }

            values[i] = length == -1 ? Datum.Null : element.Receive(data[..length], typeModifier, context);
            data = data[Math.Max(length, 0)..];
        }

        return count == 0 ? ArrayBuilder.Empty(element) : ArrayBuilder.Build(element, values, lengths, bounds);
    }

    private static int TakeInt32(ref ReadOnlySpan<byte> data)
    {
        if (data.Length < 4)
        {
            throw new PgException(SqlStates.ProtocolViolation, "insufficient data left in message");
        }

        int v = BinaryPrimitives.ReadInt32BigEndian(data);
        data = data[4..];
        return v;
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context)
    {
        var array = new ArrayView(value.Bytes);
        BinaryOutput.Integer(array.Dimensions, 4, output);
        BinaryOutput.Integer(array.HasNulls ? 1 : 0, 4, output);
        BinaryOutput.Integer(element.Id, 4, output);
        for (int i = 0; i < array.Dimensions; i++)
        {
            BinaryOutput.Integer(array.Length(i), 4, output);
            BinaryOutput.Integer(array.LowerBound(i), 4, output);
        }

        var item = new ArrayBufferWriter<byte>(32);
        foreach (Datum v in array.ToDatums(element))
        {
            if (v.IsNull)
            {
                BinaryOutput.Integer(-1, 4, output);
                continue;
            }

            item.ResetWrittenCount();
            element.Send(v, item, context);
            BinaryOutput.Integer(item.WrittenCount, 4, output);
            TextScan.Write(item.WrittenSpan, output);
        }
    }

    /// <summary>Element by element, nulls last; then by count, dimensions, lengths and bounds (btarraycmp).</summary>
    public override int Compare(Datum a, Datum b, Collation? collation)
    {
        var left = new ArrayView(a.Bytes);
        var right = new ArrayView(b.Bytes);
        int countLeft = left.Count;
        int countRight = right.Count;
        var readLeft = new ArrayReader(left, element);
        var readRight = new ArrayReader(right, element);
        for (int i = 0; i < Math.Min(countLeft, countRight); i++)
        {
            Datum x = readLeft.Next();
            Datum y = readRight.Next();
            int c = x.IsNull || y.IsNull ? x.IsNull.CompareTo(y.IsNull) : element.Compare(x, y, collation);
            if (c != 0)
            {
                return c;
            }
        }

        int rest = countLeft.CompareTo(countRight);
        rest = rest != 0 ? rest : left.Dimensions.CompareTo(right.Dimensions);
        for (int i = 0; rest == 0 && i < left.Dimensions; i++)
        {
            rest = left.Length(i).CompareTo(right.Length(i));
        }

        for (int i = 0; rest == 0 && i < left.Dimensions; i++)
        {
            rest = left.LowerBound(i).CompareTo(right.LowerBound(i));
        }

        return rest;
    }

    public override int Hash(Datum value)
    {
        var array = new ArrayView(value.Bytes);
        var hash = default(HashCode);
        foreach (Datum v in array.ToDatums(element))
        {
            hash.Add(v.IsNull ? 0 : element.Hash(v));
        }

        return hash.ToHashCode();
    }

    public override int ParseTypeModifier(IReadOnlyList<int> parts) => element.ParseTypeModifier(parts);
    public override string FormatTypeModifier(int typeModifier) => element.FormatTypeModifier(typeModifier);
}

/// <summary>int2vector and oidvector: numbers with blanks between; stored as arrays that count from 0.</summary>
internal sealed class VectorType(PgType element) : PgType
{
    public override PgType Element => element;

    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        var values = new List<Datum>();
        foreach (string part in Encoding.UTF8.GetString(text).Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            values.Add(element.InputText(part, -1, context));
        }

        return ArrayBuilder.Build(element, [.. values], [values.Count], [0]);
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context)
    {
        bool first = true;
        foreach (Datum v in new ArrayView(value.Bytes).ToDatums(element))
        {
            if (!first)
            {
                TextScan.Write((byte)' ', output);
            }

            first = false;
            element.Output(v, output, context);
        }
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => Array().Send(value, output, context);
    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context) => Array().Receive(data, typeModifier, context);

    /// <summary>Shorter ones first (btoidvectorcmp), else as arrays.</summary>
    public override int Compare(Datum a, Datum b, Collation? collation)
    {
        int c = new ArrayView(a.Bytes).Count.CompareTo(new ArrayView(b.Bytes).Count);
        return c != 0 ? c : Array().Compare(a, b, collation);
    }

    public override bool AreEqual(Datum a, Datum b) => a.Bytes.AsSpan().SequenceEqual(b.Bytes);
    public override int Hash(Datum value) => HashMix.Of(value.Bytes);

    private PgType Array() => TypeRegistry.Find(new Oid(element.ArrayId))!;
}
