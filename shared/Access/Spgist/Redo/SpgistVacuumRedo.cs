using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Spgist.Redo;

/// <summary>Redo of what VACUUM does to SP-GiST pages: entries die, chains close up, redirections and placeholders go.</summary>
internal static class SpgistVacuumRedo
{
    public static void Leaf(WalRecord record, Page page)
    {
        var body = SpgistVacuumLeaf.Read(record.MainData);
        SpgistRedo.ReplaceByDead(record, page, body.ToDead, SpgistTupleState.Dead, SpgistTupleState.Dead, Tid.Invalid, Xid.Invalid);
        ToPlaceholders(record, page, body.ToPlaceholder);
        for (int i = 0; i < body.MoveFrom.Length; i++)
        {
            // The two change numbers, not places.
            _ = SpgistRedo.Entry(record, page, body.MoveFrom[i]);
            _ = SpgistRedo.Entry(record, page, body.MoveTo[i]);
            ref ItemId from = ref page.Item(body.MoveFrom[i]);
            ref ItemId to = ref page.Item(body.MoveTo[i]);
            (from, to) = (to, from);
        }

        ToPlaceholders(record, page, body.MoveFrom);
        for (int i = 0; i < body.ChainFrom.Length; i++)
        {
            SpgistTuple.SetNext(SpgistRedo.Entry(record, page, body.ChainFrom[i]), body.ChainTo[i]);
        }
    }

    public static void Redirect(WalRecord record, Page page)
    {
        var body = SpgistVacuumRedirect.Read(record.MainData);
        ref SpgistOpaque opaque = ref SpgistPage.Opaque(page);
        int changed = body.ToPlaceholder.Length;
        if (opaque.Redirections < changed)
        {
            throw record.Malformed($"{changed} redirections of a page with {opaque.Redirections}");
        }

        foreach (ushort number in body.ToPlaceholder)
        {
            Span<byte> entry = SpgistRedo.Entry(record, page, number);
            if (SpgistTuple.State(entry) != SpgistTupleState.Redirect || entry.Length < SpgistTuple.DeadSize)
            {
                throw record.Malformed($"item {number} is no redirection");
            }

            SpgistTuple.RedirectToPlaceholder(entry);
        }

        opaque.Redirections -= (ushort)changed;
        opaque.Placeholders += (ushort)changed;
        if (body.FirstPlaceholder == 0)
        {
            return;
        }

        int count = page.ItemCount - body.FirstPlaceholder + 1;
        if (count <= 0 || count > opaque.Placeholders)
        {
            throw record.Malformed($"placeholders from item {body.FirstPlaceholder} on, of a page with {page.ItemCount} items and {opaque.Placeholders} placeholders");
        }

        opaque.Placeholders -= (ushort)count;
        Span<ushort> last = stackalloc ushort[count];
        for (int i = 0; i < count; i++)
        {
            last[i] = (ushort)(body.FirstPlaceholder + i);
        }

        IndexPage.DeleteMany(page, last);
    }

    private static void ToPlaceholders(WalRecord record, Page page, ReadOnlySpan<ushort> numbers) =>
        SpgistRedo.ReplaceByDead(record, page, numbers, SpgistTupleState.Placeholder, SpgistTupleState.Placeholder, Tid.Invalid, Xid.Invalid);
}
