using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Spgist.Redo;

/// <summary>Redo of leaf entries that come, alone (ADD_LEAF) or as a chain from another page (MOVE_LEAFS).</summary>
internal static class SpgistLeafRedo
{
    public static void Add(WalRecord record, int blockId, Page page)
    {
        var body = SpgistAddLeaf.Read(record.MainData);
        ReadOnlySpan<byte> entry = body.Entry[..SpgistTuple.LeafSize(body.Entry)];
        switch (blockId)
        {
            case 0:
                if (body.NewPage)
                {
                    InitializeLeaf(page, body.StoresNulls);
                }

                if (body.Leaf == body.Head)
                {
                    // In the place of a dead one, to which the parent points.
                    SpgistRedo.Replace(page, entry, body.Leaf);
                    break;
                }

                SpgistRedo.AddOrReplace(record, page, entry, body.Leaf);
                if (body.Head != 0)
                {
                    SpgistTuple.SetNext(SpgistRedo.Entry(record, page, body.Head), body.Leaf);
                }

                break;
            case 1 when body.Parent != 0:
                SpgistRedo.SetLink(record, page, body.Parent, body.Node, new Tid(record.Block(0).Tag.Block, body.Leaf));
                break;
            default:
                throw SpgistRedo.BadBlock(record, blockId);
        }
    }

    public static void Move(WalRecord record, int blockId, Page page)
    {
        var body = SpgistMoveLeaves.Read(record.MainData);
        var head = new Tid(record.Block(1).Tag.Block, body.Inserted[^1]);
        switch (blockId)
        {
            case 0:
                SpgistTupleState first = body.State.IsBuild ? SpgistTupleState.Placeholder : SpgistTupleState.Redirect;
                SpgistRedo.ReplaceByDead(record, page, body.Deleted, first, SpgistTupleState.Placeholder, head, body.State.Xid);
                break;
            case 1:
                if (body.NewPage)
                {
                    InitializeLeaf(page, body.StoresNulls);
                }

                ReadOnlySpan<byte> entries = body.Entries;
                foreach (ushort number in body.Inserted)
                {
                    SpgistRedo.AddOrReplace(record, page, Take(ref entries), number);
                }

                break;
            case 2:
                SpgistRedo.SetLink(record, page, body.Parent, body.Node, head);
                break;
            default:
                throw SpgistRedo.BadBlock(record, blockId);
        }
    }

    internal static void InitializeLeaf(Page page, bool nulls) =>
        SpgistPage.Initialize(page, SpgistPageFlags.Leaf | (nulls ? SpgistPageFlags.Nulls : SpgistPageFlags.None));

    /// <summary>The leaf entry that begins the data, which goes on behind it.</summary>
    internal static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> entries)
    {
        int size = SpgistTuple.LeafSize(entries);
        ReadOnlySpan<byte> entry = entries[..size];
        entries = entries[size..];
        return entry;
    }
}
