using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Access.Heap;
using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Catalog.Ddl;

/// <summary>
/// Fills a new index from its table (heapam_index_build_range_scan): all versions that some snapshot may see, each under the place of its update chain's root,
/// where an index scan looks for it.
/// </summary>
internal static class IndexBuild
{
    /// <returns>The number of rows in the table.</returns>
    public static double Run(StorageEngine engine, Transaction tx, Relation table, IndexInfo index, IIndexExpressions? expressions)
    {
        if (expressions is null && (index.HasExpressions || index.HasPredicate))
        {
            throw PgException.NotSupported("an index on expressions or with a predicate");
        }

        double count = 0;
        Lsn horizon = engine.Transactions.Horizon;
        new BtreeIndex(engine, index).BuildRows(tx, Rows(engine, tx, table, index, expressions, horizon, () => count++), index.IsUnique, index.Relation.Name);
        return count;
    }

    /// <summary>
    /// What the index is to have: each version under its chain's root. Of an updated chain only the last version goes in; older ones have the same key, as
    /// another key would have ended the chain.
    /// </summary>
    internal static IEnumerable<BtreeBuildRow> Rows(
        StorageEngine engine, Transaction tx, Relation table, IndexInfo index, IIndexExpressions? expressions, Lsn horizon, Action counted)
    {
        var row = new Datum[table.Desc.Count];
        var roots = new ushort[HeapPage.MaxItems + 1];
        BlockNumber rootsOf = BlockNumber.Invalid;
        using var scan = new HeapVersionScan(engine, table, tx, horizon);
        while (scan.MoveNext())
        {
            if (scan.IsAlive)
            {
                counted();
            }
            else if (scan.Header.IsHotUpdated)
            {
                continue;
            }

            scan.Read(row);
            if (expressions is not null && index.HasPredicate && !expressions.Accepts(row))
            {
                continue;
            }

            Tid tid = scan.Tid;
            if (scan.Header.IsHeapOnly)
            {
                if (tid.Block != rootsOf)
                {
                    FindRoots(engine, table.Node, tid.Block, roots);
                    rootsOf = tid.Block;
                }

                tid = new Tid(tid.Block, roots[tid.Offset]);
            }

            yield return new BtreeBuildRow(Values(table, index, expressions, row, scan.IsAlive), tid, scan.IsAlive);
        }
    }

    internal static Datum[] Values(Relation table, IndexInfo index, IIndexExpressions? expressions, Datum[] row, bool isAlive)
    {
        var values = new Datum[index.Columns.Count];
        Datum[] computed = [];
        if (index.HasExpressions)
        {
            computed = new Datum[index.Columns.Count(c => c.HeapAttribute == 0)];
            expressions!.Evaluate(row, computed);
        }

        int next = 0;
        for (int i = 0; i < values.Length; i++)
        {
            short column = index.Columns[i].HeapAttribute;
            values[i] = column == 0 ? computed[next++] : row[column - 1];
            if (isAlive && index.IsPrimary && i < index.KeyCount && values[i].IsNull)
            {
                string name = table.Desc[column - 1].Name;
                throw new PgException(SqlStates.NotNullViolation, $"column \"{name}\" of relation \"{table.Name}\" contains null values")
                {
                    Table = table.Name,
                    Column = name,
                };
            }
        }

        return values;
    }

    /// <summary>For each heap-only row of a page the item where its chain begins (heap_get_root_tuples).</summary>
    private static void FindRoots(StorageEngine engine, RelFileNode node, BlockNumber block, ushort[] roots)
    {
        Array.Clear(roots);
        using PinnedPage pinned = engine.Buffers.Pin(new BufferTag(node, ForkNumber.Main, block));
        using SharedLatch latch = pinned.LatchShared();
        Page page = pinned.Page;
        for (ushort n = 1; n <= page.ItemCount; n++)
        {
            ItemId item = page.Item(n);
            ushort next;
            Xid expected = Xid.Invalid;
            if (item.IsRedirected)
            {
                next = item.RedirectTarget;
            }
            else if (item.IsNormal && HeapTupleCodec.ReadHeader(page.ItemBytes(n)) is { IsHeapOnly: false, IsHotUpdated: true } first)
            {
                next = first.Ctid.Offset;
                expected = new Xid(first.RawXmax);
            }
            else
            {
                continue;
            }

            Follow(page, n, next, expected, roots);
        }
    }

    private static void Follow(Page page, ushort root, ushort next, Xid expected, ushort[] roots)
    {
        while (next >= 1 && next <= page.ItemCount && page.Item(next).IsNormal && roots[next] == 0)
        {
            HeapTupleHeader row = HeapTupleCodec.ReadHeader(page.ItemBytes(next));

            // A chain goes on only to the row that its updater inserted; anything else took over the item later.
            if (expected.IsValid && !row.XmaxIsMulti && row.RawXmin != expected.Value)
            {
                return;
            }

            roots[next] = root;
            if (!row.IsHotUpdated)
            {
                return;
            }

            next = row.Ctid.Offset;
            expected = row.XmaxIsMulti ? Xid.Invalid : new Xid(row.RawXmax);
        }
    }
}
