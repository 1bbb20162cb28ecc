using System.Buffers.Binary;
using SharedStorage.Primitives;
using SharedStorage.Wal;

namespace SharedStorage.Unit.Hostile;

/// <summary>A log record in parts that can be changed one by one and put together again, rightly framed: so a mutation gets as far as it can.</summary>
internal sealed class RecordParts
{
    private const byte SameRelation = 0x80;
    private const byte HasImage = 0x10;
    private const byte HasData = 0x20;
    private const byte ImageHasHole = 0x01;
    private const byte ImageApply = 0x02;
    private const byte ImageCompressed = 0x1C;

    public byte[] Header { get; private set; } = new byte[WalRecordHeader.Size];
    public List<Part> Blocks { get; private set; } = [];
    public byte[] Other { get; private set; } = [];
    public byte[] Main { get; set; } = [];

    /// <summary>A block reference: its header's fields as bytes, and what it carries.</summary>
    public sealed record Part(byte Id, byte Flags, byte[] ImageHeader, byte[] Relation, uint Block, byte[] Image, byte[] Data)
    {
        public bool Has(byte flag) => (Flags & flag) != 0;
        public Part WithoutImage() => this with { Flags = (byte)(Flags & ~HasImage), ImageHeader = [], Image = [] };
        public Part WithData(byte[] data) => this with { Data = data, Flags = (byte)(data.Length > 0 ? Flags | HasData : Flags & ~HasData) };
    }

    /// <summary>Takes a sound record apart.</summary>
    public static RecordParts Parse(ReadOnlySpan<byte> bytes)
    {
        var parts = new RecordParts { Header = bytes[..WalRecordHeader.Size].ToArray() };
        int at = WalRecordHeader.Size;
        var heads = new List<(Part Part, int Image, int Data)>();
        var other = new List<byte>();
        byte[] relation = [];
        int payload = 0;
        int main = 0;
        while (bytes.Length - at > payload + main)
        {
            byte id = bytes[at++];
            if (id is 255 or 254)
            {
                main = id == 255 ? bytes[at] : (int)BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);
                at += id == 255 ? 1 : 4;
                break;
            }

            if (id is 253 or 252)
            {
                int size = id == 253 ? 2 : 4;
                other.Add(id);
                other.AddRange(bytes.Slice(at, size));
                at += size;
                continue;
            }

            byte flags = bytes[at++];
            int data = BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);
            at += 2;
            byte[] imageHeader = [];
            int image = 0;
            if ((flags & HasImage) != 0)
            {
                image = BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);
                byte info = bytes[at + 4];
                int size = (info & ImageCompressed) != 0 && (info & ImageHasHole) != 0 ? 7 : 5;
                imageHeader = bytes.Slice(at, size).ToArray();
                at += size;
            }

            if ((flags & SameRelation) == 0)
            {
                relation = bytes.Slice(at, 12).ToArray();
                at += 12;
            }

            uint block = BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);
            at += 4;
            heads.Add((new Part(id, flags, imageHeader, relation, block, [], []), image, data));
            payload += image + data;
        }

        foreach ((Part part, int image, int data) in heads)
        {
            parts.Blocks.Add(part with { Image = bytes.Slice(at, image).ToArray(), Data = bytes.Slice(at + image, data).ToArray() });
            at += image + data;
        }

        parts.Other = [.. other];
        parts.Main = bytes.Slice(at, main).ToArray();
        return parts;
    }

    public RecordParts Clone() => new() { Header = [.. Header], Blocks = [.. Blocks], Other = Other, Main = Main };

    /// <summary>Without images that are there for checking only: they change nothing, and mutations should not be spent on them.</summary>
    public RecordParts WithoutChecks()
    {
        RecordParts copy = Clone();
        copy.Blocks = [.. Blocks.Select(b => b.Has(HasImage) && (b.ImageHeader[4] & ImageApply) == 0 ? b.WithoutImage() : b)];
        return copy;
    }

    /// <summary>The record's bytes, with the right length, and the right checksum once <see cref="Seal"/> has run.</summary>
    public byte[] Compose()
    {
        var bytes = new List<byte>(Header);
        byte[]? relation = null;
        Span<byte> number = stackalloc byte[4];
        foreach (Part block in Blocks)
        {
            bool same = relation is not null && relation.AsSpan().SequenceEqual(block.Relation);
            bytes.Add(block.Id);
            bytes.Add((byte)(same ? block.Flags | SameRelation : block.Flags & ~SameRelation));
            BinaryPrimitives.WriteUInt16LittleEndian(number, (ushort)block.Data.Length);
            bytes.AddRange(number[..2]);
            bytes.AddRange(block.ImageHeader);
            if (!same)
            {
                bytes.AddRange(block.Relation);
            }

            BinaryPrimitives.WriteUInt32LittleEndian(number, block.Block);
            bytes.AddRange(number);
            relation = block.Relation;
        }

        bytes.AddRange(Other);
        if (Main.Length is > 0 and < 256)
        {
            bytes.AddRange([255, (byte)Main.Length]);
        }
        else if (Main.Length > 0)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(number, (uint)Main.Length);
            bytes.Add(254);
            bytes.AddRange(number);
        }

        foreach (Part block in Blocks)
        {
            bytes.AddRange(block.Image);
            bytes.AddRange(block.Data);
        }

        bytes.AddRange(Main);
        return [.. bytes];
    }

    /// <summary>Makes length and checksum right, whatever else is wrong: what the reader verifies first must not hide what comes after.</summary>
    public static void Seal(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, (uint)bytes.Length);
        uint crc = Crc32C.Append(Crc32C.Initial, bytes[WalRecordHeader.Size..]);
        crc = Crc32C.Append(crc, bytes[..WalRecordHeader.CrcOffset]);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[WalRecordHeader.CrcOffset..], Crc32C.Finish(crc));
    }
}
