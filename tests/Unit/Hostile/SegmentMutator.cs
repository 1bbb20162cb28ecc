using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Hostile;

/// <summary>Segments that are wrong in their raw bytes, without a checksum made right: bits, pages in each other's place, headers, ends. The bytes given are put right again.</summary>
internal sealed class SegmentMutator(Random random)
{
    private readonly WalRecord _record = new();

    /// <summary>Gives 1 when the reader found the log's end, 0 when a sound record made no sense. Nothing else may happen.</summary>
    public int Try(WalDirectory directory, Lsn start, byte[] bytes)
    {
        int pages = bytes.Length / WalLayout.PageSize;
        int page = random.Next(pages);
        int other = random.Next(pages);
        byte[] saved = Copy(bytes, page);
        byte[] savedOther = Copy(bytes, other);
        byte[] first = Copy(bytes, 0);
        int length = Mutate(bytes, page, other);
        try
        {
            using var reader = new WalReader(directory, directory.ReadHistory(new TimelineId(1)), new Memory(start, bytes, length));
            Lsn from = start + (ulong)(Math.Max(0, page - random.Next(3)) * WalLayout.PageSize);
            if (!reader.SeekFirst(from, _record))
            {
                return 1;
            }

            Lsn before = reader.Position;
            Lsn stop = start + (ulong)Math.Min(bytes.Length, (page + 3) * WalLayout.PageSize);
            while (reader.Position < stop && reader.Read(_record) == WalRead.Record)
            {
                Assert.True(reader.Position > before, $"the reader does not go on at {before}");
                before = reader.Position;
            }

            Assert.True(reader.Position >= stop || reader.End is { Message.Length: > 0 });
            return reader.End is null ? 0 : 1;
        }
        catch (StorageException e)
        {
            Assert.Contains("/", e.Message, StringComparison.Ordinal);
            return 0;
        }
        finally
        {
            first.CopyTo(bytes, 0);
            savedOther.CopyTo(bytes, other * WalLayout.PageSize);
            saved.CopyTo(bytes, page * WalLayout.PageSize);
        }
    }

    private int Mutate(byte[] bytes, int page, int other)
    {
        int at = page * WalLayout.PageSize;
        Span<byte> target = bytes.AsSpan(at, WalLayout.PageSize);
        switch (random.Next(6))
        {
            case 0:
                for (int i = random.Next(4); i >= 0; i--)
                {
                    target[random.Next(target.Length)] ^= (byte)(1 << random.Next(8));
                }

                break;
            case 1:
                byte[] moved = target.ToArray();
                bytes.AsSpan(other * WalLayout.PageSize, WalLayout.PageSize).CopyTo(target);
                moved.CopyTo(bytes, other * WalLayout.PageSize);
                break;
            case 2:
                target[random.Next(WalPageHeader.LongSize)] = (byte)random.Next(256);
                break;
            case 3:
                // The long header says whose log this is.
                bytes[random.Next(WalPageHeader.LongSize)] ^= (byte)(1 << random.Next(8));
                break;
            case 4:
                target[random.Next(target.Length)..].Clear();
                break;
            default:
                // The file ends here.
                return at + random.Next(WalLayout.PageSize);
        }

        return bytes.Length;
    }

    private static byte[] Copy(byte[] bytes, int page) => bytes.AsSpan(page * WalLayout.PageSize, WalLayout.PageSize).ToArray();

    /// <summary>One segment in memory; only whole pages of it can be read.</summary>
    private sealed class Memory(Lsn start, byte[] bytes, int length) : IWalPageSource
    {
        public bool TryGet(Lsn page, int need, Lsn limit, out ReadOnlySpan<byte> found, out string? problem)
        {
            bool there = page >= start && page - start <= (ulong)(length - WalLayout.PageSize) && length >= WalLayout.PageSize;
            found = there ? bytes.AsSpan((int)(page - start), WalLayout.PageSize) : default;
            problem = there ? null : "the segment is missing";
            return there;
        }

        public void Invalidate()
        {
        }

        public void Dispose()
        {
        }
    }
}
