using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Types;

/// <summary>int2, int4, int8 by their length.</summary>
internal sealed class IntegerType(long min, long max) : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context) =>
        Datum.FromInt64(TextScan.ParseInteger(text, min, max, this));

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.WriteInteger(value.Bits, output);

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, Length);
        return Datum.FromInt64(Length switch
        {
            2 => BinaryPrimitives.ReadInt16BigEndian(data),
            4 => BinaryPrimitives.ReadInt32BigEndian(data),
            _ => BinaryPrimitives.ReadInt64BigEndian(data),
        });
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => BinaryOutput.Integer(value.Bits, Length, output);
    public override int Compare(Datum a, Datum b, Collation? collation) => a.Bits.CompareTo(b.Bits);
    public override bool AreEqual(Datum a, Datum b) => a.Bits == b.Bits;
    public override int Hash(Datum value) => HashMix.Of(value.Bits);
}

/// <summary>oid, xid, cid: unsigned, 32 bits.</summary>
internal sealed class UnsignedType(bool ordered) : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context) =>
        Datum.FromUInt32(TextScan.ParseUInt32(text, this));

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.WriteInteger(value.UInt32, output);

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, 4);
        return Datum.FromUInt32(BinaryPrimitives.ReadUInt32BigEndian(data));
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => BinaryOutput.Integer(value.UInt32, 4, output);

    public override int Compare(Datum a, Datum b, Collation? collation) =>
        ordered ? a.UInt32.CompareTo(b.UInt32) : base.Compare(a, b, collation);

    public override bool AreEqual(Datum a, Datum b) => a.UInt32 == b.UInt32;
    public override int Hash(Datum value) => HashMix.Of(value.UInt32);
}

/// <summary>xid8: unsigned, 64 bits.</summary>
internal sealed class Xid8Type : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        ReadOnlySpan<byte> s = TextScan.Trim(text);
        return ulong.TryParse(s, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out ulong v)
            ? Datum.FromInt64((long)v)
            : throw InvalidInput(text);
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) =>
        TextScan.WriteAscii(((ulong)value.Bits).ToString(System.Globalization.CultureInfo.InvariantCulture), output);

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, 8);
        return Datum.FromInt64(BinaryPrimitives.ReadInt64BigEndian(data));
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => BinaryOutput.Integer(value.Bits, 8, output);
    public override int Compare(Datum a, Datum b, Collation? collation) => ((ulong)a.Bits).CompareTo((ulong)b.Bits);
    public override int Hash(Datum value) => HashMix.Of(value.Bits);
}

internal sealed class BoolType : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context) =>
        TryParse(TextScan.Trim(text)) is { } v ? Datum.FromBool(v) : throw InvalidInput(text);

    /// <summary>Any unambiguous beginning of true, false, yes, no, on, off; 1, 0.</summary>
    public static bool? TryParse(ReadOnlySpan<byte> s)
    {
        Span<byte> lower = stackalloc byte[8];
        if (s.Length is 0 or > 8)
        {
            return null;
        }

        Ascii.ToLower(s, lower, out int n);
        lower = lower[..n];
        return n switch
        {
            _ when "true"u8.StartsWith(lower) => true,
            _ when "false"u8.StartsWith(lower) => false,
            _ when "yes"u8.StartsWith(lower) => true,
            _ when "no"u8.StartsWith(lower) => false,
            _ when lower.SequenceEqual("on"u8) || lower.SequenceEqual("1"u8) => true,
            _ when (n >= 2 && "off"u8.StartsWith(lower)) || lower.SequenceEqual("0"u8) => false,
            _ => null,
        };
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) =>
        TextScan.Write(value.Bool ? (byte)'t' : (byte)'f', output);

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, 1);
        return Datum.FromBool(data[0] != 0);
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.Write(value.Bool ? (byte)1 : (byte)0, output);
    public override int Compare(Datum a, Datum b, Collation? collation) => a.Bool.CompareTo(b.Bool);
    public override bool AreEqual(Datum a, Datum b) => a.Bool == b.Bool;
    public override int Hash(Datum value) => value.Bool ? 1 : 0;
}

/// <summary>The one-byte type "char".</summary>
internal sealed class CharType : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        // \ooo stands for a byte that is no ASCII character.
        if (text.Length == 4 && text[0] == (byte)'\\' && text[1] is >= (byte)'0' and <= (byte)'7'
            && text[2] is >= (byte)'0' and <= (byte)'7' && text[3] is >= (byte)'0' and <= (byte)'7')
        {
            return Datum.FromInt16((sbyte)(((text[1] - '0') << 6) | ((text[2] - '0') << 3) | (text[3] - '0')));
        }

        return Datum.FromInt16(text.Length == 0 ? (short)0 : (sbyte)text[0]);
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context)
    {
        byte b = (byte)value.Bits;
        if (b >= 0x80)
        {
            TextScan.Write([(byte)'\\', (byte)('0' + (b >> 6)), (byte)('0' + ((b >> 3) & 7)), (byte)('0' + (b & 7))], output);
        }
        else if (b != 0)
        {
            TextScan.Write(b, output);
        }
    }

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, 1);
        return Datum.FromInt16((sbyte)data[0]);
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.Write((byte)value.Bits, output);
    public override int Compare(Datum a, Datum b, Collation? collation) => ((byte)a.Bits).CompareTo((byte)b.Bits);
    public override bool AreEqual(Datum a, Datum b) => (byte)a.Bits == (byte)b.Bits;
    public override int Hash(Datum value) => (byte)value.Bits;
}

/// <summary>tid: "(block,offset)"; six bytes.</summary>
internal sealed class TidType : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context)
    {
        string s = Encoding.UTF8.GetString(text).Trim();
        int comma = s.IndexOf(',', StringComparison.Ordinal);
        var none = System.Globalization.NumberStyles.None;
        if (s.StartsWith('(') && s.EndsWith(')') && comma > 0
            && long.TryParse(s.AsSpan(1, comma - 1), System.Globalization.NumberStyles.AllowLeadingSign, null, out long block)
            && block is >= int.MinValue and <= uint.MaxValue
            && ushort.TryParse(s.AsSpan(comma + 1, s.Length - comma - 2), none, null, out ushort offset))
        {
            return From(new Tid(new BlockNumber((uint)block), offset));
        }

        throw InvalidInput(text);
    }

    public static Datum From(Tid tid)
    {
        var bytes = new byte[Tid.Size];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)(tid.Block.Value >> 16));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2), (ushort)tid.Block.Value);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(4), tid.Offset);
        return Datum.FromBytes(bytes);
    }

    public static Tid Read(Datum value)
    {
        ReadOnlySpan<byte> b = value.Bytes;
        uint block = ((uint)BinaryPrimitives.ReadUInt16LittleEndian(b) << 16) | BinaryPrimitives.ReadUInt16LittleEndian(b[2..]);
        return new Tid(new BlockNumber(block), BinaryPrimitives.ReadUInt16LittleEndian(b[4..]));
    }

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) => TextScan.WriteAscii(Read(value).ToString(), output);

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, 6);
        return From(new Tid(new BlockNumber(BinaryPrimitives.ReadUInt32BigEndian(data)), BinaryPrimitives.ReadUInt16BigEndian(data[4..])));
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context)
    {
        Tid tid = Read(value);
        BinaryOutput.Integer(tid.Block.Value, 4, output);
        BinaryOutput.Integer(tid.Offset, 2, output);
    }

    public override int Compare(Datum a, Datum b, Collation? collation) => Read(a).CompareTo(Read(b));
    public override int Hash(Datum value) => Read(value).GetHashCode();
}

/// <summary>pg_lsn.</summary>
internal sealed class LsnType : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context) =>
        Lsn.TryParse(Encoding.UTF8.GetString(text), out Lsn lsn) ? Datum.FromInt64((long)lsn.Value) : throw InvalidInput(text);

    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) =>
        TextScan.WriteAscii(new Lsn((ulong)value.Bits).ToString(), output);

    public override Datum Receive(ReadOnlySpan<byte> data, int typeModifier, EvalContext context)
    {
        CheckLength(data, 8);
        return Datum.FromInt64(BinaryPrimitives.ReadInt64BigEndian(data));
    }

    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) => BinaryOutput.Integer(value.Bits, 8, output);
    public override int Compare(Datum a, Datum b, Collation? collation) => ((ulong)a.Bits).CompareTo((ulong)b.Bits);
    public override int Hash(Datum value) => HashMix.Of(value.Bits);
}

/// <summary>void and other pseudo-types that only give text back.</summary>
internal sealed class VoidType : PgType
{
    public override Datum Input(ReadOnlySpan<byte> text, int typeModifier, EvalContext context) => Datum.FromInt32(0);
    public override void Output(Datum value, IBufferWriter<byte> output, EvalContext context) { }
    public override void Send(Datum value, IBufferWriter<byte> output, EvalContext context) { }
}

/// <summary>Big-endian integers of the binary protocol.</summary>
internal static class BinaryOutput
{
    public static void Integer(long value, int length, IBufferWriter<byte> output)
    {
        Span<byte> span = output.GetSpan(8);
        switch (length)
        {
            case 1: span[0] = (byte)value; break;
            case 2: BinaryPrimitives.WriteInt16BigEndian(span, (short)value); break;
            case 4: BinaryPrimitives.WriteInt32BigEndian(span, (int)value); break;
            default: BinaryPrimitives.WriteInt64BigEndian(span, value); break;
        }

        output.Advance(length);
    }
}

/// <summary>Spreads bits over a hash value; stable within a process only.</summary>
internal static class HashMix
{
    public static int Of(long bits)
    {
        ulong h = (ulong)bits * 0x9E3779B97F4A7C15UL;
        return (int)((h ^ (h >> 32)) & uint.MaxValue);
    }

    public static int Of(ReadOnlySpan<byte> bytes)
    {
        var hash = default(HashCode);
        hash.AddBytes(bytes);
        return hash.ToHashCode();
    }
}
