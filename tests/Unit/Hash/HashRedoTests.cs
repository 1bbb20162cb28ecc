using System.Buffers.Binary;
using SharedStorage.Access.Hash.Redo;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Unit.Wal;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Unit.Hash;

/// <summary>Redo of hash records where stock PostgreSQL cannot judge it in the time of a test (walcheck does the rest), and of bodies that are wrong.</summary>
public sealed class HashRedoTests
{
    private static readonly byte[] Reused = [0, 16, 1];
    private static readonly byte[] NotReused = [0, 16, 0];

    /// <summary>Buckets are doubled ten times and then added in four steps to each doubling (hashutil.c), 307 rows to a bucket. The oracle compares such a metapage with stock PostgreSQL's.</summary>
    [Theory]
    [InlineData(0, 1u, 3u, 1u)]
    [InlineData(1000, 3u, 7u, 2u)]
    [InlineData(100000, 511u, 1023u, 9u)]
    [InlineData(1000000, 3583u, 4095u, 20u)]
    public void The_metapage_has_the_buckets_that_PostgreSQL_chooses(int rows, uint maxBucket, uint highMask, uint splitPoint)
    {
        byte[] bytes = Meta(rows);
        HashMetaHeader header = new HashMeta(new Page(bytes)).Header;
        Assert.Equal((maxBucket, highMask, highMask >> 1, splitPoint), (header.MaxBucket, header.HighMask, header.LowMask, header.SplitPoint));
        Assert.Equal(1u, new HashMeta(new Page(bytes)).Spare(splitPoint));
        Assert.Equal(4568, new Page(bytes).Header.Lower);
    }

    [Fact]
    public void A_new_bitmap_page_counts_as_an_overflow_page_too()
    {
        WalRecord record = MadeRecord.Make(
            Rmgr.Hash, HashOp.AddOverflowPage, NotReused, (0, 40, Number(7)), (1, 8, []), (3, 41, []), (4, 0, Number(32769)));
        byte[] before = Meta(0);
        var meta = new HashMeta(new Page(MadeRecord.Redo(record, 0, before)));
        Assert.Equal((32769u, 1u, 3u), (meta.Header.FirstFree, meta.Header.MapCount, meta.Spare(1)));

        var bitmap = new Page(MadeRecord.Redo(record, 41));
        Assert.Equal(HashPageFlags.Bitmap, HashPage.Opaque(bitmap).Flags);
        Assert.True(bitmap.Bytes.Slice(PageHeader.Size, 4096).IndexOfAnyExcept((byte)0xFF) < 0);
        Assert.Equal(PageHeader.Size + 4096, bitmap.Header.Lower);

        HashOpaque overflow = HashPage.Opaque(new Page(MadeRecord.Redo(record, 40)));
        Assert.Equal((8u, uint.MaxValue, 7u, HashPageFlags.Overflow), (overflow.Prev, overflow.Next, overflow.Bucket, overflow.Flags));
        Assert.Equal(record.End, bitmap.Lsn);
    }

    [Fact]
    public void The_first_page_of_a_bucket_that_is_only_locked_stays_as_it_is()
    {
        byte[] bucket = new byte[Page.Size];
        HashPage.Initialize(new Page(bucket), HashPageFlags.Bucket, 1, 0);
        WalRecord record = MadeRecord.Make(Rmgr.Hash, HashOp.Delete, [1, 0], (0, 1, []), (1, 9, [1, 0]));
        Assert.Equal(bucket, MadeRecord.Redo(record, 1, bucket));
    }

    [Fact]
    public void Bodies_that_do_not_fit_are_refused()
    {
        byte[] meta = Meta(0);
        byte[] bucket = new byte[Page.Size];
        HashPage.Initialize(new Page(bucket), HashPageFlags.Bucket, 1, 0);
        byte[] bitmap = MadeRecord.Redo(MadeRecord.Make(Rmgr.Hash, HashOp.InitBitmapPage, [0, 16], (0, 3, []), (1, 0, [])), 3);

        Refused(HashOp.Insert, [9, 0], 1, bucket, (0, 1, new byte[16]));
        Refused(HashOp.Insert, [1], 1, bucket, (0, 1, new byte[16]));
        Refused(HashOp.InitMetaPage, new byte[14], 0, new byte[Page.Size], (0, 0, []));
        Refused(HashOp.InitBitmapPage, [0xFF, 0xFF], 3, new byte[Page.Size], (0, 3, []));
        Refused(HashOp.AddOverflowPage, Reused, 3, bitmap, (2, 3, Number(32768)));
        Refused(HashOp.AddOverflowPage, Reused, 9, new byte[Page.Size], (0, 9, Number(1)));
        Refused(HashOp.SplitAllocatePage, [9, 0, 0, 0, 0, 0, 0, 0, 2], 0, meta, (2, 0, [.. Number(98), .. Number(1)]));
        Refused(HashOp.SplitPage, [], 1, bucket, (0, 1, []));
        Refused(HashOp.MovePageContents, [2, 0, 1], 1, bucket, (1, 1, [1, 0, 2, 0, .. new byte[16]]));
        Refused(HashOp.SqueezePage, [.. Number(1), .. Number(2), 1, 0, 1, 1], 2, bucket, (3, 2, []));
        Refused(HashOp.VacuumOnePage, [.. Number(0), .. Number(uint.MaxValue)], 1, bucket, (0, 1, []));
        Refused(HashOp.VacuumOnePage, [.. Number(0), .. Number(1), 5, 0], 1, bucket, (0, 1, []));
        Refused(0xD0, [], 1, bucket, (0, 1, []));
        Refused(HashOp.UpdateMetaPage, new byte[8], 1, bucket, (0, 1, []));
    }

    [Fact]
    public void The_mask_hides_dead_marks_and_nothing_else()
    {
        byte[] one = new byte[Page.Size];
        var page = new Page(one);
        HashPage.Initialize(page, HashPageFlags.Bucket, 1, 0);
        byte[] entry = new byte[16];
        IndexTuple.WriteHeader(entry, new Tid(new BlockNumber(3), 4), 16, hasNulls: false, hasVarWidths: false);
        IndexPage.Add(page, entry, 1);
        byte[] other = [.. one];
        var marked = new Page(other);
        marked.Item(1) = new ItemId(marked.Item(1).Offset, ItemState.Dead, marked.Item(1).Length);
        HashPage.Opaque(marked).Flags |= HashPageFlags.HasDeadTuples;
        Assert.NotEqual(one, other);
        HashMask.Apply(page);
        HashMask.Apply(marked);
        Assert.Equal(one, other);
        marked.Item(1) = new ItemId(marked.Item(1).Offset, ItemState.Redirect, marked.Item(1).Length);
        HashMask.Apply(marked);
        Assert.NotEqual(one, other);
    }

    private static void Refused(byte opCode, byte[] body, uint block, byte[] page, params (int Id, uint Block, byte[] Data)[] blocks)
    {
        WalRecord record = MadeRecord.Make(Rmgr.Hash, opCode, body, blocks);
        Assert.Throws<StorageException>(() => MadeRecord.Redo(record, block, page));
    }

    private static byte[] Meta(double rows)
    {
        byte[] body = new byte[14];
        BinaryPrimitives.WriteDoubleLittleEndian(body, rows);
        BinaryPrimitives.WriteUInt16LittleEndian(body.AsSpan(12), 307);
        return MadeRecord.Redo(MadeRecord.Make(Rmgr.Hash, HashOp.InitMetaPage, body, (0, 0, [])), 0);
    }

    private static byte[] Number(uint value) => BitConverter.GetBytes(value);
}
