using System.Runtime.CompilerServices;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Tuples;

/// <summary>
/// A value of any SQL type, 16 bytes. Types that PostgreSQL passes by value (bool, int2, int4, int8, oid, float4, float8, date, time, timestamp,
/// timestamptz, "char", xid, cid, pg_lsn) lie in the bits, sign-extended; all others are a byte array: for a varlena its payload WITHOUT the
/// length header (text is its bytes in the server encoding, numeric its on-disk digits after the header), for a fixed-length type (name 64, uuid 16,
/// interval 16, tid 6) just its bytes. The array of a datum is never changed after it is made.
/// </summary>
public readonly struct Datum
{
    private static readonly object NullMark = new();
    private readonly object? _reference;
    private readonly long _bits;

    private Datum(object? reference, long bits)
    {
        _reference = reference;
        _bits = bits;
    }

    public static Datum Null { get; } = new(NullMark, 0);

    public bool IsNull => ReferenceEquals(_reference, NullMark);

    public long Bits => _bits;
    public short Int16 => (short)_bits;
    public int Int32 => (int)_bits;
    public long Int64 => _bits;
    public bool Bool => _bits != 0;
    public uint UInt32 => (uint)_bits;
    public Oid Oid => new((uint)_bits);
    public double Double => BitConverter.Int64BitsToDouble(_bits);
    public float Single => BitConverter.Int32BitsToSingle((int)_bits);

    /// <summary>The bytes of a type that is passed by reference.</summary>
    public byte[] Bytes => Unsafe.As<byte[]>(_reference!);

    /// <summary>A value that is neither bits nor bytes (an aggregate's state, a decoded array); never stored.</summary>
    public object? Object => _reference;

    public static Datum FromInt16(short v) => new(null, v);
    public static Datum FromInt32(int v) => new(null, v);
    public static Datum FromInt64(long v) => new(null, v);
    public static Datum FromBool(bool v) => new(null, v ? 1 : 0);
    public static Datum FromUInt32(uint v) => new(null, v);
    public static Datum FromOid(Oid v) => new(null, v.Value);
    public static Datum FromDouble(double v) => new(null, BitConverter.DoubleToInt64Bits(v));
    public static Datum FromSingle(float v) => new(null, BitConverter.SingleToInt32Bits(v));
    public static Datum FromBytes(byte[] v) => new(v, 0);
    public static Datum FromText(string v) => new(System.Text.Encoding.UTF8.GetBytes(v), 0);
    public static Datum FromObject(object v) => new(v, 0);

    /// <summary>The value as text; for types whose bytes are characters (text, varchar, bpchar; name without its padding).</summary>
    public string AsText()
    {
        ReadOnlySpan<byte> bytes = Bytes;
        int end = bytes.IndexOf((byte)0);
        return System.Text.Encoding.UTF8.GetString(end < 0 ? bytes : bytes[..end]);
    }
}
