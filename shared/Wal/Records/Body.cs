using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SharedStorage.Primitives;

namespace SharedStorage.Wal.Records;

/// <summary>Reads the fields of a record's body one after the other; running over the end is damage, reported as such.</summary>
internal ref struct BodyReader(ReadOnlySpan<byte> bytes)
{
    private readonly ReadOnlySpan<byte> _bytes = bytes;
    private int _position;

    public readonly int Remaining => _bytes.Length - _position;

    public byte Byte() => Take(1)[0];
    public bool Bool() => Take(1)[0] != 0;
    public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2));
    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Take(4));
    public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));
    public long Int64() => BinaryPrimitives.ReadInt64LittleEndian(Take(8));
    public double Double() => BinaryPrimitives.ReadDoubleLittleEndian(Take(8));
    public Oid Oid() => new(UInt32());
    public Xid Xid() => new(UInt32());
    public Lsn Lsn() => new(BinaryPrimitives.ReadUInt64LittleEndian(Take(8)));
    public RelFileNode Rel() => new(Oid(), Oid(), Oid());

    /// <summary>An array whose length was a field before it.</summary>
    public ReadOnlySpan<T> Array<T>(int count) where T : unmanaged
    {
        int size = Unsafe.SizeOf<T>();
        if (count < 0 || (long)count * size > Remaining)
        {
            throw Short();
        }

        return MemoryMarshal.Cast<byte, T>(Take(count * size));
    }

    public ReadOnlySpan<byte> Take(int count)
    {
        if ((uint)count > (uint)Remaining)
        {
            throw Short();
        }

        ReadOnlySpan<byte> taken = _bytes.Slice(_position, count);
        _position += count;
        return taken;
    }

    public void Skip(int count) => Take(count);

    public void Align(int to) => Skip(((_position + to - 1) & -to) - _position);

    /// <summary>A text that a zero byte ends.</summary>
    public ReadOnlySpan<byte> Text()
    {
        int end = _bytes[_position..].IndexOf((byte)0);
        if (end < 0)
        {
            throw Short();
        }

        ReadOnlySpan<byte> text = Take(end);
        Skip(1);
        return text;
    }

    private readonly StorageException Short() => new($"a log record's body of {_bytes.Length} bytes is too short");
}
