using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Visibility;

namespace SharedStorage.Access.Heap;

/// <summary>A sample of a table's rows for its statistics, in the order of the heap, with what it says of the whole table.</summary>
public sealed record HeapSample(IReadOnlyList<(Tid Tid, Datum[] Values)> Rows, double LiveRows, double DeadRows, uint Pages);

/// <summary>
/// Draws rows as ANALYZE does (acquire_sample_rows): pages at random, and of the rows on them each with the same chance.
/// </summary>
public static class HeapSampler
{
    /// <param name="engine">The node's storage.</param>
    /// <param name="relation">The table.</param>
    /// <param name="wanted">Rows at most (300 times the statistics target).</param>
    /// <param name="random">Seeded by the caller.</param>
    /// <param name="own">The asking transaction: its own changes count.</param>
    public static HeapSample Take(StorageEngine engine, Relation relation, int wanted, Random random, Transaction? own)
    {
        uint pages = engine.Buffers.BlockCount(relation.Node, ForkNumber.Main);
        var rows = new List<(Tid Tid, Datum[] Values)>();
        long live = 0;
        long dead = 0;
        uint scanned = 0;
        Lsn horizon = engine.Transactions.Horizon;
        foreach (uint block in ChooseBlocks(pages, wanted, random))
        {
            scanned++;
            var tag = new BufferTag(relation.Node, ForkNumber.Main, new BlockNumber(block));
            using PinnedPage page = engine.Buffers.Pin(tag);
            using SharedLatch latch = page.LatchShared();
            var context = new VisibilityContext(engine, page);
            for (int item = 1; !page.Page.IsNew && item <= page.Page.ItemCount; item++)
            {
                ItemId id = page.Page.Item(item);
                dead += id.IsDead ? 1 : 0;
                if (!id.IsNormal)
                {
                    continue;
                }

                ref HeapTupleHeader row = ref HeapTupleCodec.Header(page.Page.ItemBytes(item));
                TupleVacuumState state = HeapVisibility.SatisfiesVacuum(ref context, ref row, horizon, own);
                dead += state is TupleVacuumState.Dead or TupleVacuumState.RecentlyDead ? 1 : 0;
                if (!Counts(row, state, own))
                {
                    continue;
                }

                live++;
                int place = rows.Count < wanted ? rows.Count : (int)random.NextInt64(live);
                if (place < wanted)
                {
                    var values = new Datum[relation.Desc.Count];
                    HeapTupleCodec.Deform(relation.Desc, page.Page.ItemBytes(item), values);
                    Keep(rows, place, (new Tid(tag.Block, (ushort)item), values));
                }
            }
        }

        foreach ((_, Datum[] values) in rows)
        {
            Detoaster.Replace(engine, relation, values);
        }

        rows.Sort((a, b) => a.Tid.CompareTo(b.Tid));
        double scale = scanned == 0 ? 0 : (double)pages / scanned;
        return new HeapSample(rows, Math.Floor((live * scale) + 0.5), Math.Floor((dead * scale) + 0.5), pages);
    }

    /// <summary>Rows that are there now; those that a transaction inserts or deletes just now count by whose it is.</summary>
    private static bool Counts(in HeapTupleHeader row, TupleVacuumState state, Transaction? own) => state switch
    {
        TupleVacuumState.Live => true,
        TupleVacuumState.InsertInProgress => own is not null && own.IsOwn(row.Xmin),
        TupleVacuumState.DeleteInProgress => own is null || !own.IsOwn(row.Xmax),
        _ => false,
    };

    private static void Keep(List<(Tid Tid, Datum[] Values)> rows, int place, (Tid Tid, Datum[] Values) row)
    {
        if (place == rows.Count)
        {
            rows.Add(row);
        }
        else
        {
            rows[place] = row;
        }
    }

    /// <summary>So many pages in order, each set of them with the same chance (Knuth's algorithm S).</summary>
    private static IEnumerable<uint> ChooseBlocks(uint pages, int wanted, Random random)
    {
        uint needed = (uint)Math.Min(wanted, pages);
        for (uint block = 0; block < pages && needed > 0; block++)
        {
            if (random.NextInt64(pages - block) < needed)
            {
                needed--;
                yield return block;
            }
        }
    }
}
