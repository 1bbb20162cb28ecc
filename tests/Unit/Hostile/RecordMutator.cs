using System.Buffers.Binary;
using SharedStorage.Wal;

namespace SharedStorage.Unit.Hostile;

/// <summary>Makes wrong records of right ones, by a seeded generator: in their bytes, or in their parts so that the framing stays right and the wrongness reaches redo.</summary>
internal sealed class RecordMutator(Random random)
{
    private static readonly uint[] Odd = [0, 1, 2, 7, 8, 23, 24, 0x7F, 0x80, 0xFF, 0x100, 0x1FFF, 0x2000, 0x2001, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF];

    /// <summary>One to three mutations of a record; the result has the right length and checksum.</summary>
    public byte[] Mutate(RecordParts source)
    {
        RecordParts parts = source.Clone();
        for (int i = random.Next(3); i >= 0; i--)
        {
            MutateParts(parts);
        }

        byte[] bytes = parts.Compose();
        if (random.Next(3) == 0)
        {
            bytes = MutateBytes(bytes);
        }

        RecordParts.Seal(bytes);
        return bytes;
    }

    private void MutateParts(RecordParts parts)
    {
        switch (random.Next(9))
        {
            case 0:
                parts.Main = Resize(parts.Main);
                break;
            case 1 or 2:
                parts.Main = Scribble(parts.Main);
                break;
            case 3:
                // The operation: another one of the same resource manager, with or without its flags.
                parts.Header[16] = random.Next(2) == 0 ? (byte)(random.Next(16) << 4) : (byte)(parts.Header[16] ^ (1 << random.Next(8)));
                break;
            case 4 when random.Next(4) == 0:
                parts.Header[17] = (byte)random.Next(22);
                break;
            case 4:
                BinaryPrimitives.WriteUInt32LittleEndian(parts.Header.AsSpan(4), Odd[random.Next(Odd.Length)]);
                break;
            default:
                if (parts.Blocks.Count > 0)
                {
                    MutateBlock(parts, random.Next(parts.Blocks.Count));
                }

                break;
        }
    }

    private void MutateBlock(RecordParts parts, int at)
    {
        List<RecordParts.Part> blocks = parts.Blocks;
        RecordParts.Part block = blocks[at];
        switch (random.Next(9))
        {
            case 0:
                blocks[at] = block.WithData(Resize(block.Data));
                break;
            case 1 or 2:
                blocks[at] = block with { Data = Scribble(block.Data) };
                break;
            case 3:
                blocks[at] = block.WithoutImage();
                break;
            case 4:
                blocks[at] = block with { Block = random.Next(2) == 0 ? Odd[random.Next(Odd.Length)] : block.Block ^ (1u << random.Next(8)) };
                break;
            case 5:
                blocks[at] = block with { Relation = Scribble(block.Relation) };
                break;
            case 6:
                // Two blocks change places: the right pages under the wrong ids.
                int other = random.Next(blocks.Count);
                (blocks[at], blocks[other]) = (blocks[other] with { Id = block.Id }, block with { Id = blocks[other].Id });
                break;
            case 7 when random.Next(2) == 0:
                blocks.RemoveAt(at);
                break;
            case 7:
                blocks[at] = block with { Id = (byte)random.Next(34) };
                break;
            default:
                blocks[at] = block with { Flags = (byte)(block.Flags ^ random.Next(1, 16)), ImageHeader = Scribble(block.ImageHeader), Image = Scribble(block.Image) };
                break;
        }
    }

    private byte[] MutateBytes(byte[] bytes)
    {
        if (random.Next(4) == 0)
        {
            return bytes[..random.Next(WalRecordHeader.Size, bytes.Length + 1)];
        }

        for (int i = random.Next(3); i >= 0; i--)
        {
            // Headers are a small part of most records and the most rewarding one.
            int end = random.Next(2) == 0 ? Math.Min(bytes.Length, WalRecordHeader.Size + 60) : bytes.Length;
            bytes[random.Next(16, end)] ^= (byte)(1 << random.Next(8));
        }

        return bytes;
    }

    private byte[] Resize(byte[] bytes)
    {
        int length = random.Next(3) switch
        {
            0 => random.Next(bytes.Length + 1),
            1 => bytes.Length + random.Next(40),
            _ => Math.Max(0, bytes.Length - random.Next(1, 9)),
        };
        byte[] resized = new byte[length];
        bytes.AsSpan(0, Math.Min(length, bytes.Length)).CopyTo(resized);
        return resized;
    }

    private byte[] Scribble(byte[] bytes)
    {
        if (bytes.Length == 0)
        {
            return bytes;
        }

        byte[] changed = [.. bytes];
        int at = random.Next(changed.Length);
        uint odd = Odd[random.Next(Odd.Length)];
        switch (random.Next(4))
        {
            case 0 when at + 4 <= changed.Length:
                BinaryPrimitives.WriteUInt32LittleEndian(changed.AsSpan(at), odd);
                break;
            case 1 when at + 2 <= changed.Length:
                BinaryPrimitives.WriteUInt16LittleEndian(changed.AsSpan(at), (ushort)odd);
                break;
            case 2:
                changed[at] = (byte)odd;
                break;
            default:
                changed[at] ^= (byte)(1 << random.Next(8));
                break;
        }

        return changed;
    }
}
