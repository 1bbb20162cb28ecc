using System.Buffers.Binary;
using SharedStorage.Access.Gin.Redo;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Unit.Wal;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Unit.Gin;

/// <summary>Redo of GIN records where stock PostgreSQL cannot judge it (walcheck does the rest): pages of PostgreSQL 9.3, bodies that are wrong; and the lists by themselves.</summary>
public sealed class GinRedoTests
{
    private const uint Block = 5;

    [Fact]
    public void Lists_give_back_what_was_put_in()
    {
        Tid[] places = [new(new(0), 1), new(new(0), 2), new(new(0), 291), new(new(1), 1), new(new(70000), 9), new(new(uint.MaxValue - 1), 2047)];
        byte[] segment = Segment(places);
        Assert.Equal(segment.Length, GinPostingList.SizeOf(segment));
        Assert.Equal(places, Places(segment));
    }

    [Fact]
    public void Actions_on_segments_leave_the_others_alone()
    {
        byte[][] old = [Segment(At(1)), Segment(At(10), At(12)), Segment(At(20)), Segment(At(30))];
        byte[] data =
        [
            4, 0,
            1, (byte)GinSegmentAction.AddItems, 2, 0, .. Raw(At(9)), .. Raw(At(11)),
            2, (byte)GinSegmentAction.Delete,
            3, (byte)GinSegmentAction.Insert, .. Segment(At(25), At(26)),
            3, (byte)GinSegmentAction.Replace, .. Segment(At(31)),
        ];
        byte[] page = MadeRecord.Redo(LeafRecord(data), Block, Leaf([.. old.SelectMany(s => s)]));
        byte[] expected = [.. old[0], .. Segment(At(9), At(10), At(11), At(12)), .. Segment(At(25), At(26)), .. Segment(At(31))];
        Assert.Equal(expected, GinPage.Data(new Page(page)).ToArray());
    }

    [Fact]
    public void A_leaf_of_PostgreSQL_9_3_is_compressed_first()
    {
        byte[] page = Leaf([]);
        var old = new Page(page);
        GinPage.Opaque(old).Flags &= ~GinPageFlags.Compressed;
        GinPage.Opaque(old).Count = 3;
        byte[] places = [.. Raw(At(4)), .. Raw(At(5)), .. Raw(At(500))];
        places.CopyTo(page, GinPage.DataOffset);
        old.Header.Lower = PageHeader.Size;
        byte[] made = MadeRecord.Redo(LeafRecord([1, 0, 0, (byte)GinSegmentAction.AddItems, 1, 0, .. Raw(At(6))]), Block, page);
        Assert.Equal(Segment(At(4), At(5), At(6), At(500)), GinPage.Data(new Page(made)).ToArray());
        Assert.Equal((GinPageFlags.Data | GinPageFlags.Leaf | GinPageFlags.Compressed, (ushort)0), (GinPage.Opaque(new Page(made)).Flags, GinPage.Opaque(new Page(made)).Count));
    }

    [Fact]
    public void A_child_goes_before_the_one_that_it_was_split_from()
    {
        byte[] bytes = new byte[Page.Size];
        var page = new Page(bytes);
        GinPage.Initialize(page, GinPageFlags.Data);
        GinPage.Opaque(page).Count = 1;
        Child(3, At(0)).CopyTo(bytes, GinPage.DataOffset);
        WalRecord record = MadeRecord.Make(Rmgr.Gin, GinOp.Insert, [1, 0, 0, 0, 3, 0, 0, 0, 8, 0], (0, Block, [1, 0, .. Child(3, At(77))]), (1, 3, []));
        byte[] made = MadeRecord.Redo(record, Block, bytes);
        Assert.Equal([.. Child(3, At(77)), .. Child(8, At(0))], made[GinPage.DataOffset..(GinPage.DataOffset + 20)]);
        Assert.Equal((2, GinPage.DataOffset + 20), (GinPage.Opaque(new Page(made)).Count, new Page(made).Header.Lower));
    }

    [Fact]
    public void Bodies_that_do_not_fit_are_refused()
    {
        byte[] leaf = Leaf(Segment(At(1), At(3)));
        RefusedLeaf(leaf, [1]);
        RefusedLeaf(leaf, [2, 0, 0, 1]);
        RefusedLeaf(leaf, [1, 0, 0, 1, 0]);
        RefusedLeaf(leaf, [1, 0, 0, 9]);
        RefusedLeaf(leaf, [1, 0, 2, 1]);
        RefusedLeaf(leaf, [1, 0, 1, 1]);
        RefusedLeaf(leaf, [2, 0, 0, 1, 0, 1]);
        RefusedLeaf(leaf, [1, 0, 0, 4, 1, 0, .. Raw(At(3))]);
        RefusedLeaf(leaf, [1, 0, 0, 4, 2, 0, .. Raw(At(9)), .. Raw(At(8))]);
        RefusedLeaf(leaf, [1, 0, 0, 4, 1, 0, .. Raw(new Tid(new(1), 3000))]);
        RefusedLeaf(Leaf([1, 2, 3]), [1, 0, 0, 1]);
        RefusedLeaf(Leaf([0, 0, 1, 0, 1, 0, 2, 0, 0xFF, 0xFF]), [1, 0, 0, 4, 1, 0, .. Raw(At(3))]);

        byte[] tree = new byte[Page.Size];
        GinPage.Initialize(new Page(tree), GinPageFlags.Leaf);
        Refused(GinOp.Insert, [2, 0], tree, [1, 0, 1, 0, .. new byte[8]]);
        Refused(GinOp.Insert, [2, 0], tree, [7, 0, 0, 0, .. Entry()]);
        Refused(GinOp.Insert, [3, 0], tree, [0, 0]);
        Refused(GinOp.Insert, [8, 0], tree, [1, 0, 0, 0, .. Entry()]);
        Refused(GinOp.Split, new byte[26], tree, []);
        Refused(GinOp.VacuumPage, [], tree, []);
        Refused(GinOp.DeletePage, new byte[12], tree, []);
        Refused(GinOp.CreatePostingTree, [0xFF, 0xFF, 0, 0], tree, []);
        Refused(GinOp.InsertListPage, [0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0], tree, Entry());
        Refused(GinOp.InsertListPage, [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0], tree, Entry());
        Refused(GinOp.UpdateMetaPage, new byte[83], tree, []);
        Refused(0x00, [], tree, []);
        Refused(0xA0, [], tree, []);
    }

    /// <summary>Whatever becomes of the bytes, redo either makes some page or says that they are wrong; it never fails in another way.</summary>
    [Fact]
    public void Damaged_actions_are_refused_or_make_a_sound_page()
    {
        byte[] leaf = Leaf([.. Segment(At(1), At(3)), .. Segment(At(50), At(90), At(9000)), .. Segment(At(70000))]);
        byte[] data =
        [
            3, 0,
            0, (byte)GinSegmentAction.AddItems, 2, 0, .. Raw(At(2)), .. Raw(At(4)),
            1, (byte)GinSegmentAction.Replace, .. Segment(At(50), At(9000)),
            2, (byte)GinSegmentAction.Insert, .. Segment(At(9100)),
        ];
        var random = new Random(15);
        int refused = 0;
        for (int round = 0; round < 3000; round++)
        {
            byte[] changed = [.. data];
            byte[] page = [.. leaf];
            for (int n = random.Next(1, 4); n > 0; n--)
            {
                changed[random.Next(changed.Length)] = (byte)random.Next(256);
                page[random.Next(GinPage.DataOffset, GinPage.DataOffset + 40)] = (byte)random.Next(256);
            }

            try
            {
                GinRecompressRedo.Apply(new Page(page), changed);
                Assert.True(new Page(page).HasSaneHeader);
            }
            catch (StorageException)
            {
                refused++;
            }
        }

        Assert.InRange(refused, 1, 2999);
    }

    [Fact]
    public void The_mask_hides_what_a_page_of_the_pending_list_had_but_not_a_deleted_page_of_a_posting_tree()
    {
        byte[] one = new byte[Page.Size];
        GinPage.Initialize(new Page(one), GinPageFlags.Deleted);
        byte[] other = [.. one];
        IndexPage.Add(new Page(other), Entry(), 1);
        GinPage.Opaque(new Page(other)).RightLink = 7;
        GinMask.Apply(new Page(one));
        GinMask.Apply(new Page(other));
        Assert.Equal(one, other);

        byte[] leaf = Leaf(Segment(At(1)));
        GinPage.Opaque(new Page(leaf)).Flags |= GinPageFlags.Deleted;
        byte[] another = Leaf(Segment(At(2)));
        GinPage.Opaque(new Page(another)).Flags |= GinPageFlags.Deleted;
        GinMask.Apply(new Page(leaf));
        GinMask.Apply(new Page(another));
        Assert.NotEqual(leaf, another);
    }

    private static void RefusedLeaf(byte[] page, byte[] data) => Assert.Throws<StorageException>(() => MadeRecord.Redo(LeafRecord(data), Block, page));

    private static void Refused(byte opCode, byte[] body, byte[] page, byte[] data)
    {
        WalRecord record = MadeRecord.Make(Rmgr.Gin, opCode, body, (0, Block, data));
        Assert.Throws<StorageException>(() => MadeRecord.Redo(record, Block, page));
    }

    private static WalRecord LeafRecord(byte[] data) => MadeRecord.Make(Rmgr.Gin, GinOp.VacuumDataLeafPage, [], (0, Block, data));

    private static byte[] Leaf(byte[] lists)
    {
        byte[] bytes = new byte[Page.Size];
        GinPage.Initialize(new Page(bytes), GinPageFlags.Data | GinPageFlags.Leaf | GinPageFlags.Compressed);
        GinPage.SetData(new Page(bytes), lists);
        return bytes;
    }

    private static Tid At(uint block) => new(new BlockNumber(block), 3);

    private static byte[] Raw(Tid place)
    {
        byte[] bytes = new byte[Tid.Size];
        IndexTuple.WriteTid(bytes, place);
        return bytes;
    }

    private static byte[] Child(ushort block, Tid key)
    {
        byte[] bytes = new byte[GinPage.PostingItemSize];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2), block);
        IndexTuple.WriteTid(bytes.AsSpan(4), key);
        return bytes;
    }

    private static byte[] Entry()
    {
        byte[] bytes = new byte[16];
        IndexTuple.WriteHeader(bytes, At(1), bytes.Length, hasNulls: false, hasVarWidths: false);
        return bytes;
    }

    private static byte[] Segment(params Tid[] places)
    {
        byte[] bytes = new byte[200];
        var encoder = new GinPostingEncoder(bytes);
        foreach (Tid place in places)
        {
            encoder.Add(place);
        }

        return bytes[..encoder.Finish()];
    }

    private static List<Tid> Places(byte[] segment)
    {
        var found = new List<Tid>();
        var decoder = new GinPostingDecoder(segment);
        while (decoder.MoveNext())
        {
            found.Add(new Tid(new BlockNumber((uint)(decoder.Current >> 11)), (ushort)(decoder.Current & 0x7FF)));
        }

        return found;
    }
}
