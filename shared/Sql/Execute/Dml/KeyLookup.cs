using SharedStorage.Access;
using SharedStorage.Access.Btree;
using SharedStorage.Access.Heap;
using SharedStorage.Catalog;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Types;
using SharedStorage.Transactions;

namespace SharedStorage.Sql.Execute.Dml;

/// <summary>Finds rows by the values of columns: through an index whose leading columns they are, else by reading the table.</summary>
internal sealed class KeyLookup
{
    private readonly ExecContext _context;
    private readonly short[] _columns;
    private readonly PgType[] _types;
    private readonly BtreeIndex? _index;
    private readonly int[] _order = [];
    private readonly Comparison<Datum>?[] _compare = [];

    /// <param name="index">The index of the constraint; 0 to look for one.</param>
    public KeyLookup(ExecContext context, ExprCompiler compiler, Relation table, short[] columns, Oid index, Oid[] valueTypes)
    {
        (_context, Table, _columns) = (context, table, columns);
        Heap = new HeapTable(context.Engine, table);
        _types = [.. columns.Select(c => compiler.TypeOf(table.Desc[c - 1].TypeId))];
        foreach (IndexInfo candidate in context.Catalog.Indexes(table.Id))
        {
            bool fits = candidate.AccessMethod.Value == PgOids.BtreeAm && candidate.IsValid && !candidate.HasPredicate && candidate.KeyCount >= columns.Length
                && (!index.IsValid || candidate.Relation.Id == index);
            int[] order = [.. columns.Select(c => candidate.Columns.Take(columns.Length).ToList().FindIndex(x => x.HeapAttribute == c))];
            if (!fits || order.Contains(-1))
            {
                continue;
            }

            var compare = new Comparison<Datum>?[columns.Length];
            bool comparable = true;
            for (int i = 0; i < order.Length; i++)
            {
                IndexColumn key = candidate.Columns[order[i]];
                if (valueTypes[i] != key.InputType && valueTypes[i] != key.Attribute.TypeId)
                {
                    compare[i] = context.Catalog.CrossComparison(key.OperatorFamily, key.InputType, valueTypes[i], key.Collation);
                    comparable &= compare[i] is not null;
                }
            }

            if (comparable)
            {
                (_index, _order, _compare) = (new BtreeIndex(context.Engine, candidate), order, compare);
                break;
            }
        }
    }

    public Relation Table { get; }
    public HeapTable Heap { get; }

    /// <summary>The rows with these values; the row's array is used again for the next one.</summary>
    public IEnumerable<(Tid Tid, Datum[] Row)> Find(Datum[] values, Snapshot snapshot)
    {
        var row = new Datum[Table.Desc.Count];
        if (_index is null)
        {
            using HeapScan scan = Heap.Scan(snapshot);
            while (scan.Next(row))
            {
                _context.Cancel.Check();
                if (Matches(row, values))
                {
                    yield return (scan.Tid, row);
                }
            }

            yield break;
        }

        var keys = new BtreeScanKey[values.Length];
        for (int i = 0; i < keys.Length; i++)
        {
            keys[_order[i]] = new BtreeScanKey(_order[i], BtreeStrategy.Equal, values[i]) { Compare = _compare[i] };
        }

        using BtreeScan entries = _index.Scan(keys);
        while (entries.Next())
        {
            Tid tid = entries.Tid;
            if (Heap.TryFetch(ref tid, snapshot, row, out bool allDead))
            {
                yield return (tid, row);
            }
            else if (allDead)
            {
                entries.KillCurrent();
            }
        }
    }

    public bool StillMatches(Tid tid, Datum[] values)
    {
        var row = new Datum[Table.Desc.Count];
        return Heap.TryFetchVersion(tid, row) && Matches(row, values);
    }

    private bool Matches(Datum[] row, Datum[] values)
    {
        for (int i = 0; i < values.Length; i++)
        {
            Datum d = row[_columns[i] - 1];
            if (d.IsNull || !_types[i].AreEqual(d, values[i]))
            {
                return false;
            }
        }

        return true;
    }
}
