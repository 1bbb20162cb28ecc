using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;

namespace SharedStorage.Wal;

/// <summary>
/// Taking a record apart. The bytes are whole and their checksum is verified before; every length and offset is checked all the same, since a
/// checksum proves what was written, not that the writer was sound.
/// </summary>
public sealed partial class WalRecord
{
    private const byte DataShort = 255;
    private const byte DataLong = 254;
    private const byte OriginId = 253;
    private const byte TopLevelXidId = 252;

    /// <summary>The buffer that the record's bytes are put together in; what is in it is kept when it grows.</summary>
    internal Span<byte> Buffer(int length)
    {
        if (_bytes.Length < length)
        {
            Array.Resize(ref _bytes, Math.Max(length, 2 * _bytes.Length));
        }

        return _bytes;
    }

    /// <summary>Whether the checksum of the record's bytes in the buffer is right.</summary>
    internal bool ChecksumHolds()
    {
        int length = (int)Header.TotalLength;
        uint crc = Crc32C.Append(Crc32C.Initial, _bytes.AsSpan(WalRecordHeader.Size, length - WalRecordHeader.Size));
        crc = Crc32C.Append(crc, _bytes.AsSpan(0, WalRecordHeader.CrcOffset));
        return Crc32C.Finish(crc) == Header.Crc;
    }

    /// <summary>Decodes the bytes in the buffer.</summary>
    /// <exception cref="StorageException">A length or an offset is wrong; the message has the LSN.</exception>
    internal void Decode(Lsn start, Lsn end)
    {
        Start = start;
        End = end;
        TopLevelXid = Xid.Invalid;
        Origin = 0;
        BlockCount = 0;
        _mainLength = 0;

        var cursor = new Cursor(this, WalRecordHeader.Size, (int)Header.TotalLength);
        int payload = DecodeHeaders(ref cursor);
        if (cursor.Remaining != payload)
        {
            ThrowMalformed($"its parts add up to {payload} bytes where {cursor.Remaining} follow");
        }

        int at = cursor.Position;
        for (int i = 0; i < BlockCount; i++)
        {
            ref WalBlock block = ref _blocks[i];
            if (block.InUse)
            {
                block.ImageOffset = at;
                at += block.ImageLength;
                block.DataOffset = at;
                at += block.DataLength;
            }
        }

        _mainOffset = at;
    }

    private int DecodeHeaders(ref Cursor cursor)
    {
        int payload = 0;
        RelFileNode relation = default;
        bool hasRelation = false;
        while (cursor.Remaining > payload)
        {
            byte id = cursor.Byte();
            switch (id)
            {
                case DataShort:
                    _mainLength = cursor.Byte();
                    return payload + _mainLength;
                case DataLong:
                    uint length = cursor.UInt32();
                    if (length > Header.TotalLength)
                    {
                        ThrowMalformed($"main data of {length} bytes");
                    }

                    _mainLength = (int)length;
                    return payload + _mainLength;
                case OriginId:
                    Origin = cursor.UInt16();
                    break;
                case TopLevelXidId:
                    TopLevelXid = new Xid(cursor.UInt32());
                    break;
                case < MaxBlocks:
                    payload += DecodeBlock(ref cursor, id, ref relation, ref hasRelation);
                    break;
                default:
                    ThrowMalformed($"block id {id}");
                    break;
            }
        }

        return payload;
    }

    private int DecodeBlock(ref Cursor cursor, int id, ref RelFileNode relation, ref bool hasRelation)
    {
        if (id < BlockCount)
        {
            ThrowMalformed($"block id {id} is out of order");
        }

        for (int absent = BlockCount; absent < id; absent++)
        {
            _blocks[absent].InUse = false;
        }

        BlockCount = id + 1;
        ref WalBlock block = ref _blocks[id];
        block.InUse = true;
        block.Flags = cursor.Byte();
        block.HasImage = (block.Flags & WalBlock.HasImageFlag) != 0;
        block.HasData = (block.Flags & WalBlock.HasDataFlag) != 0;
        block.DataLength = cursor.UInt16();
        block.ApplyImage = false;
        block.ImageLength = block.HoleOffset = block.HoleLength = block.ImageInfo = 0;
        if (block.HasData != (block.DataLength != 0))
        {
            ThrowMalformed($"block {id} has {block.DataLength} bytes of data and flags {block.Flags:X2}");
        }

        if (block.HasImage)
        {
            DecodeImageHeader(ref cursor, id, ref block);
        }

        if ((block.Flags & WalBlock.SameRelationFlag) == 0)
        {
            relation = new RelFileNode(new Oid(cursor.UInt32()), new Oid(cursor.UInt32()), new Oid(cursor.UInt32()));
            hasRelation = true;
        }
        else if (!hasRelation)
        {
            ThrowMalformed($"block {id} refers to a relation before it, and there is none");
        }

        var fork = (ForkNumber)(block.Flags & WalBlock.ForkMask);
        if (fork > ForkNumber.Init)
        {
            ThrowMalformed($"block {id} has fork number {(int)fork}");
        }

        block.Tag = new BufferTag(relation, fork, new BlockNumber(cursor.UInt32()));
        return block.ImageLength + block.DataLength;
    }

    private void DecodeImageHeader(ref Cursor cursor, int id, ref WalBlock block)
    {
        block.ImageLength = cursor.UInt16();
        block.HoleOffset = cursor.UInt16();
        block.ImageInfo = cursor.Byte();
        block.ApplyImage = (block.ImageInfo & WalBlock.ImageApply) != 0;
        bool hole = (block.ImageInfo & WalBlock.ImageHasHole) != 0;
        bool compressed = (block.ImageInfo & WalBlock.ImageCompressed) != 0;
        if (block.ImageLength > Page.Size)
        {
            ThrowMalformed($"the image of block {id} has {block.ImageLength} bytes");
        }

        block.HoleLength = compressed ? (hole ? cursor.UInt16() : (ushort)0) : (ushort)(Page.Size - block.ImageLength);
        bool sound = hole
            ? block.HoleOffset != 0 && block.HoleLength != 0 && block.ImageLength != Page.Size
                && block.HoleOffset + block.HoleLength <= Page.Size
            : block.HoleOffset == 0 && block.HoleLength == 0;
        sound &= !compressed || block.ImageLength != Page.Size;
        if (!sound)
        {
            ThrowMalformed($"the image of block {id} has length {block.ImageLength}, hole {block.HoleOffset}+{block.HoleLength}, flags {block.ImageInfo:X2}");
        }
    }

    [DoesNotReturn]
    private void ThrowMalformed(string what) => throw Malformed(what);

    private ref struct Cursor(WalRecord record, int position, int end)
    {
        private readonly ReadOnlySpan<byte> _bytes = record._bytes.AsSpan(0, end);

        public int Position = position;
        public readonly int Remaining => _bytes.Length - Position;

        public byte Byte() => Take(1)[0];
        public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2));
        public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

        private ReadOnlySpan<byte> Take(int n)
        {
            if (n > Remaining)
            {
                record.ThrowMalformed("it ends within a header");
            }

            ReadOnlySpan<byte> taken = _bytes.Slice(Position, n);
            Position += n;
            return taken;
        }
    }
}
