using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Spgist.Redo;

/// <summary>
/// Redo of SP-GiST records, one block at a time and from nothing but the record, the block id and the page. Leaves the bytes that PostgreSQL's spgxlog.c leaves. PostgreSQL takes care of
/// the order in which it changes the pages of one record, so that no link dangles in between; here each page is as of one position of the log, so there is no in-between.
/// </summary>
public static class SpgistRedo
{
    /// <summary>
    /// Applies what the record does to its block <paramref name="blockId"/> and sets the page LSN. A block whose image redo restores is complete with it and is left as it is.
    /// </summary>
    /// <exception cref="StorageException">I10: unknown op code or a body that does not fit the page.</exception>
    public static void Apply(WalRecord record, int blockId, in BufferTag tag, Page page)
    {
        if (record.Block(blockId).ApplyImage)
        {
            return;
        }

        switch (record.OpCode)
        {
            case SpgistOp.AddLeaf:
                SpgistLeafRedo.Add(record, blockId, page);
                break;
            case SpgistOp.MoveLeaves:
                SpgistLeafRedo.Move(record, blockId, page);
                break;
            case SpgistOp.AddNode:
                AddNode(record, blockId, page);
                break;
            case SpgistOp.SplitTuple:
                SplitTuple(record, blockId, page);
                break;
            case SpgistOp.PickSplit:
                SpgistPickSplitRedo.Apply(record, blockId, page);
                break;
            case SpgistOp.VacuumLeaf when blockId == 0:
                SpgistVacuumRedo.Leaf(record, page);
                break;
            case SpgistOp.VacuumRoot when blockId == 0:
                _ = SpgistPage.Opaque(page);
                IndexPage.DeleteMany(page, SpgistVacuumRoot.Read(record.MainData).Deleted);
                break;
            case SpgistOp.VacuumRedirect when blockId == 0:
                SpgistVacuumRedo.Redirect(record, page);
                break;
            default:
                throw record.Malformed($"unknown SP-GiST op code, or one without block {blockId}, for {tag}");
        }

        page.Lsn = record.End;
    }

    internal static StorageException BadBlock(WalRecord record, int blockId) => record.Malformed($"this SP-GiST record has no block {blockId}");

    /// <summary>Adds an entry at a number that is the next one or a placeholder's.</summary>
    internal static void AddOrReplace(WalRecord record, Page page, ReadOnlySpan<byte> entry, int number)
    {
        ref SpgistOpaque opaque = ref SpgistPage.Opaque(page);
        if (number <= page.ItemCount)
        {
            if (SpgistTuple.State(Entry(record, page, number)) != SpgistTupleState.Placeholder || opaque.Placeholders == 0)
            {
                throw record.Malformed($"item {number} is no placeholder, or the page counts none");
            }

            opaque.Placeholders--;
            IndexPage.Delete(page, number);
        }

        IndexPage.Add(page, entry, number);
    }

    /// <summary>Puts another entry at the number of one that goes.</summary>
    internal static void Replace(Page page, ReadOnlySpan<byte> entry, int number)
    {
        _ = SpgistPage.Opaque(page);
        IndexPage.Delete(page, number);
        IndexPage.Add(page, entry, number);
    }

    internal static void SetLink(WalRecord record, Page page, int number, int node, Tid link)
    {
        _ = SpgistPage.Opaque(page);
        SpgistTuple.SetNodeLink(Entry(record, page, number), node, link);
    }

    /// <summary>An entry of the page, long enough for its header.</summary>
    internal static Span<byte> Entry(WalRecord record, Page page, int number)
    {
        Span<byte> entry = IndexPage.CheckedItem(page, number);
        return entry.Length >= SpgistTuple.MinSize ? entry : throw record.Malformed($"item {number} of its page has {entry.Length} bytes");
    }

    /// <summary>
    /// Deletes entries, given in any order, and puts dead ones at their numbers: <paramref name="first"/> for the one that is named first, <paramref name="rest"/> for the others
    /// (spgPageIndexMultiDelete). Redirections lead to <paramref name="target"/>.
    /// </summary>
    internal static void ReplaceByDead(
        WalRecord record, Page page, ReadOnlySpan<ushort> numbers, SpgistTupleState first, SpgistTupleState rest, Tid target, Xid xid)
    {
        ref SpgistOpaque opaque = ref SpgistPage.Opaque(page);
        if (numbers.Length > page.ItemCount)
        {
            throw record.Malformed($"it deletes {numbers.Length} items of a page with {page.ItemCount}");
        }

        if (numbers.IsEmpty)
        {
            return;
        }

        Span<ushort> sorted = stackalloc ushort[numbers.Length];
        numbers.CopyTo(sorted);
        sorted.Sort();
        IndexPage.DeleteMany(page, sorted);
        Span<byte> dead = stackalloc byte[SpgistTuple.DeadSize];
        foreach (ushort number in sorted)
        {
            SpgistTupleState state = number == numbers[0] ? first : rest;
            SpgistTuple.WriteDead(dead, state, target, xid);
            IndexPage.Add(page, dead, number);
            Count(ref opaque, state);
        }
    }

    private static void Count(ref SpgistOpaque opaque, SpgistTupleState state)
    {
        if (state == SpgistTupleState.Redirect)
        {
            opaque.Redirections++;
        }
        else if (state == SpgistTupleState.Placeholder)
        {
            opaque.Placeholders++;
        }
    }

    private static void AddNode(WalRecord record, int blockId, Page page)
    {
        var body = SpgistAddNode.Read(record.MainData);
        ReadOnlySpan<byte> entry = body.Entry[..SpgistTuple.InnerSize(body.Entry)];
        if (!record.HasBlock(1))
        {
            if (blockId != 0)
            {
                throw BadBlock(record, blockId);
            }

            Replace(page, entry, body.Offset);
            return;
        }

        var moved = new Tid(record.Block(1).Tag.Block, body.NewOffset);
        switch (blockId)
        {
            case 0:
                ref SpgistOpaque opaque = ref SpgistPage.Opaque(page);
                SpgistTupleState state = body.State.IsBuild ? SpgistTupleState.Placeholder : SpgistTupleState.Redirect;
                Span<byte> dead = stackalloc byte[SpgistTuple.DeadSize];
                SpgistTuple.WriteDead(dead, state, moved, body.State.Xid);
                Replace(page, dead, body.Offset);
                Count(ref opaque, state);
                break;
            case 1:
                if (body.NewPage)
                {
                    SpgistPage.Initialize(page, SpgistPageFlags.None);
                }

                AddOrReplace(record, page, entry, body.NewOffset);
                break;
            case 2 when body.ParentBlock == 2:
                break;
            default:
                throw BadBlock(record, blockId);
        }

        if (blockId == body.ParentBlock)
        {
            SetLink(record, page, body.Parent, body.Node, moved);
        }
    }

    private static void SplitTuple(WalRecord record, int blockId, Page page)
    {
        var body = SpgistSplitTuple.Read(record.MainData);
        int prefixSize = SpgistTuple.InnerSize(body.Entries);
        ReadOnlySpan<byte> postfix = body.Entries[prefixSize..];
        postfix = postfix[..SpgistTuple.InnerSize(postfix)];
        switch (blockId)
        {
            case 0:
                Replace(page, body.Entries[..prefixSize], body.PrefixOffset);
                if (body.SamePage)
                {
                    AddOrReplace(record, page, postfix, body.PostfixOffset);
                }

                break;
            case 1 when !body.SamePage:
                if (body.NewPage)
                {
                    SpgistPage.Initialize(page, SpgistPageFlags.None);
                }

                AddOrReplace(record, page, postfix, body.PostfixOffset);
                break;
            default:
                throw BadBlock(record, blockId);
        }
    }
}
