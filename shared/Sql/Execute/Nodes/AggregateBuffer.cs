using SharedStorage.Format.Tuples;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Execute.Nodes;

/// <summary>
/// The rows of an aggregate with DISTINCT or ORDER BY, until the group is complete. DISTINCT is done by sorting, as PostgreSQL does, and what array_agg and its like give
/// shows it.
/// </summary>
internal sealed class AggregateBuffer
{
    private readonly AggregateSpec _spec;
    private readonly RowSorter _rows;
    private readonly KeyComparer? _equal;

    public AggregateBuffer(ExecContext context, AggregateSpec spec)
    {
        _spec = spec;
        SortKey[] order = spec.Order ?? [];
        if (spec.DistinctTypes is { } types)
        {
            _equal = new KeyComparer(types);
            order = [.. order, .. types.Select((t, i) => new SortKey(i, t, null, false, false))];
        }

        _rows = new RowSorter(context.Spill, (a, b) => SortKey.Compare(order, a, b), context.Cancel);
    }

    /// <summary>Keeps a row; gives how much more memory that takes.</summary>
    /// <param name="limit">What this group's rows may take.</param>
    public long Add(long limit)
    {
        var row = new Datum[_spec.Args.Length + _spec.OrderValues.Length];
        for (int i = 0; i < _spec.Args.Length; i++)
        {
            row[i] = _spec.Args[i].Eval();
            if (row[i].IsNull && _spec.Function.SkipsNulls)
            {
                return 0;
            }
        }

        for (int i = 0; i < _spec.OrderValues.Length; i++)
        {
            row[_spec.Args.Length + i] = _spec.OrderValues[i].Eval();
        }

        long before = _rows.Held;
        _rows.Limit = limit;
        _rows.Add(row);
        return _rows.Held - before;
    }

    public void Drain(AggregateState state)
    {
        _rows.Finish();
        Datum[]? last = null;
        while (_rows.Next() is { } row)
        {
            if (_equal is null || last is null || !_equal.Equals(last, row))
            {
                state.Add(row.AsSpan(0, _spec.Args.Length));
                last = row;
            }
        }

        _rows.Clear();
    }
}
