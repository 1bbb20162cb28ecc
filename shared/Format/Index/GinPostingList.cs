using System.Buffers.Binary;
using SharedStorage.Primitives;

namespace SharedStorage.Format.Index;

/// <summary>
/// A compressed list of rows in a GIN index, a segment (GinPostingList, ginpostinglist.c): the first place as it is, the length of what follows, then each next place as the
/// difference to the one before, 7 bits a byte. As a number a place is its block followed by 11 bits for the item.
/// </summary>
public static class GinPostingList
{
    /// <summary>First place and length.</summary>
    public const int HeaderSize = Tid.Size + sizeof(ushort);

    internal const int ItemBits = 11;
    internal const int NumberBits = 43;

    /// <summary>The bytes of the segment that begins here, padded to 16 bits; checked to lie within.</summary>
    /// <exception cref="StorageException">It does not.</exception>
    public static int SizeOf(ReadOnlySpan<byte> from)
    {
        int length = from.Length < HeaderSize ? 0 : BinaryPrimitives.ReadUInt16LittleEndian(from[Tid.Size..]);
        int size = HeaderSize + ((length + 1) & ~1);
        return size <= from.Length ? size : throw Damaged($"a segment of {size} bytes in {from.Length}");
    }

    /// <exception cref="StorageException">It cannot be a row's place in a list.</exception>
    public static ulong ToNumber(Tid tid) =>
        tid.Offset is > 0 and < 1 << ItemBits ? ((ulong)tid.Block.Value << ItemBits) | tid.Offset : throw Damaged($"item number {tid.Offset}");

    internal static StorageException Damaged(string what) => new($"damaged GIN posting list: {what}") { SqlState = SqlStates.IndexCorrupted };
}

/// <summary>Goes through the places of one segment, as numbers.</summary>
public ref struct GinPostingDecoder
{
    /// <summary>43 bits need at most this many bytes of 7.</summary>
    private const int MaxBytes = 7;

    private readonly ReadOnlySpan<byte> _first;
    private ReadOnlySpan<byte> _rest;
    private bool _begun;

    /// <exception cref="StorageException">The segment does not lie within the bytes.</exception>
    public GinPostingDecoder(ReadOnlySpan<byte> segment)
    {
        GinPostingList.SizeOf(segment);
        _first = segment[..Tid.Size];
        _rest = segment.Slice(GinPostingList.HeaderSize, BinaryPrimitives.ReadUInt16LittleEndian(segment[Tid.Size..]));
    }

    public ulong Current { get; private set; }

    /// <exception cref="StorageException">A number is cut off or too large.</exception>
    public bool MoveNext()
    {
        if (!_begun)
        {
            _begun = true;
            Current = GinPostingList.ToNumber(IndexTuple.ReadTid(_first));
            return true;
        }

        if (_rest.IsEmpty)
        {
            return false;
        }

        ulong delta = 0;
        int at = 0;
        byte b;
        do
        {
            if (at == _rest.Length || at == MaxBytes)
            {
                throw GinPostingList.Damaged("a number is cut off");
            }

            b = _rest[at];
            delta |= (ulong)(b & 0x7F) << (7 * at++);
        }
        while ((b & 0x80) != 0);

        _rest = _rest[at..];
        Current += delta;
        if (Current >> GinPostingList.NumberBits != 0)
        {
            throw GinPostingList.Damaged("a place is beyond the last block");
        }

        return true;
    }
}

/// <summary>Writes the places of one segment, in ascending order (ginCompressPostingList without a limit but the room).</summary>
public ref struct GinPostingEncoder(Span<byte> into)
{
    private readonly Span<byte> _into = into;
    private ulong _previous;
    private int _size;

    /// <exception cref="StorageException">The place is not behind the one before, or there is no room.</exception>
    public void Add(Tid tid) => Add(GinPostingList.ToNumber(tid));

    public void Add(ulong number)
    {
        if (_size == 0)
        {
            Need(GinPostingList.HeaderSize);
            IndexTuple.WriteTid(_into, new Tid(new BlockNumber((uint)(number >> GinPostingList.ItemBits)), (ushort)(number & ((1 << GinPostingList.ItemBits) - 1))));
            _size = GinPostingList.HeaderSize;
            _previous = number;
            return;
        }

        if (number <= _previous)
        {
            throw GinPostingList.Damaged("places are not in order");
        }

        ulong delta = number - _previous;
        _previous = number;
        while (delta > 0x7F)
        {
            Put((byte)(0x80 | (delta & 0x7F)));
            delta >>= 7;
        }

        Put((byte)delta);
    }

    /// <summary>Writes the length and the padding; gives the segment's size.</summary>
    public int Finish()
    {
        BinaryPrimitives.WriteUInt16LittleEndian(_into[Tid.Size..], (ushort)(_size - GinPostingList.HeaderSize));
        if ((_size & 1) != 0)
        {
            Put(0);
        }

        return _size;
    }

    private void Put(byte b)
    {
        Need(1);
        _into[_size++] = b;
    }

    private readonly void Need(int bytes)
    {
        if (_into.Length - _size < bytes)
        {
            throw GinPostingList.Damaged($"a segment does not fit {_into.Length} bytes");
        }
    }
}
