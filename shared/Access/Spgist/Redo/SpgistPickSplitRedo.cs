using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Spgist.Redo;

/// <summary>Redo of PICKSPLIT: a chain of leaf entries becomes an inner entry, its leaves go to the page that they were on and to another one.</summary>
internal static class SpgistPickSplitRedo
{
    public static void Apply(WalRecord record, int blockId, Page page)
    {
        var body = SpgistPickSplit.Read(record.MainData);
        int innerSize = SpgistTuple.InnerSize(body.Entries);
        var inner = new Tid(record.Block(2).Tag.Block, body.InnerOffset);
        switch (blockId)
        {
            case 0 when !body.IsRootSplit:
                if (body.InitSource)
                {
                    SpgistLeafRedo.InitializeLeaf(page, body.StoresNulls);
                }
                else
                {
                    // While an index is built no scan needs to be led on.
                    SpgistTupleState first = body.State.IsBuild ? SpgistTupleState.Placeholder : SpgistTupleState.Redirect;
                    SpgistRedo.ReplaceByDead(record, page, body.Deleted, first, SpgistTupleState.Placeholder, inner, body.State.Xid);
                }

                AddLeaves(record, page, body, body.Entries[innerSize..], onTarget: false);
                break;
            case 1:
                if (body.InitTarget)
                {
                    SpgistLeafRedo.InitializeLeaf(page, body.StoresNulls);
                }

                AddLeaves(record, page, body, body.Entries[innerSize..], onTarget: true);
                break;
            case 2:
                if (body.InitInner)
                {
                    SpgistPage.Initialize(page, body.StoresNulls ? SpgistPageFlags.Nulls : SpgistPageFlags.None);
                }

                SpgistRedo.AddOrReplace(record, page, body.Entries[..innerSize], body.InnerOffset);
                if (body.InnerIsParent)
                {
                    SpgistRedo.SetLink(record, page, body.Parent, body.Node, inner);
                }

                break;
            case 3:
                SpgistRedo.SetLink(record, page, body.Parent, body.Node, inner);
                break;
            default:
                throw SpgistRedo.BadBlock(record, blockId);
        }
    }

    private static void AddLeaves(WalRecord record, Page page, scoped in SpgistPickSplit body, ReadOnlySpan<byte> entries, bool onTarget)
    {
        for (int i = 0; i < body.Inserted.Length; i++)
        {
            ReadOnlySpan<byte> entry = SpgistLeafRedo.Take(ref entries);
            if (body.OnTarget[i] != 0 == onTarget)
            {
                SpgistRedo.AddOrReplace(record, page, entry, body.Inserted[i]);
            }
        }
    }
}
