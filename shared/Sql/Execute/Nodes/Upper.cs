using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Functions;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Execute.Nodes;

/// <summary>Computes the target list.</summary>
public sealed class ProjectNode : RowNode
{
    private readonly ExecNode _input;
    private readonly Evaluator[] _targets;
    private readonly Datum[] _row;

    public ProjectNode(ExecNode input, Evaluator[] targets)
    {
        (_input, _targets) = (input, targets);
        _row = new Datum[targets.Length];
        Output.Values = _row;
    }

    public override void Open() => _input.Open();

    public override bool Next()
    {
        if (!_input.Next())
        {
            return false;
        }

        for (int i = 0; i < _targets.Length; i++)
        {
            _row[i] = _targets[i].Eval();
        }

        return true;
    }

    public override void Close() => _input.Close();
}

/// <summary>A target that returns a set.</summary>
public sealed record SetTarget(SetFunction Function, Evaluator[] Args, bool Strict);

/// <summary>A target list with set-returning functions: they run in step, the shorter ones are filled with nulls.</summary>
public sealed class ProjectSetNode : RowNode
{
    private readonly ExecContext _context;
    private readonly ExecNode _input;
    private readonly Evaluator?[] _plain;
    private readonly SetTarget?[] _sets;
    private readonly SetRows?[] _rows;
    private readonly Datum[] _row;
    private readonly Datum[] _one = new Datum[1];
    private bool _haveRow;

    public ProjectSetNode(ExecContext context, ExecNode input, Evaluator?[] plain, SetTarget?[] sets)
    {
        (_context, _input, _plain, _sets) = (context, input, plain, sets);
        _rows = new SetRows?[sets.Length];
        _row = new Datum[plain.Length];
        Output.Values = _row;
    }

    public override void Open()
    {
        _input.Open();
        _haveRow = false;
    }

    public override bool Next()
    {
        while (true)
        {
            if (!_haveRow)
            {
                if (!_input.Next())
                {
                    return false;
                }

                Start();
            }

            bool any = false;
            for (int i = 0; i < _row.Length; i++)
            {
                if (_sets[i] is null)
                {
                    continue;
                }

                bool got = _rows[i]?.Next(_one) == true;
                _row[i] = got ? _one[0] : Datum.Null;
                _rows[i] = got ? _rows[i] : null;
                any |= got;
            }

            if (any)
            {
                return true;
            }

            _haveRow = false;
        }
    }

    private void Start()
    {
        _haveRow = true;
        for (int i = 0; i < _row.Length; i++)
        {
            if (_sets[i] is not { } set)
            {
                _row[i] = _plain[i]!.Eval();
                continue;
            }

            var args = new Datum[set.Args.Length];
            bool empty = false;
            for (int a = 0; a < args.Length; a++)
            {
                args[a] = set.Args[a].Eval();
                empty |= set.Strict && args[a].IsNull;
            }

            _rows[i] = empty ? null : set.Function.Call(args, _context.Eval);
        }
    }

    public override void Close() => _input.Close();
}

/// <summary>How a column of a row takes part in an order.</summary>
public sealed record SortKey(int Column, PgType Type, Collation? Collation, bool Descending, bool NullsFirst)
{
    public static int Compare(SortKey[] keys, Datum[] x, Datum[] y)
    {
        foreach (SortKey key in keys)
        {
            Datum a = x[key.Column], b = y[key.Column];
            if (a.IsNull || b.IsNull)
            {
                if (a.IsNull != b.IsNull)
                {
                    return a.IsNull == key.NullsFirst ? -1 : 1;
                }

                continue;
            }

            int c = key.Type.Compare(a, b, key.Collation);
            if (c != 0)
            {
                return key.Descending ? -c : c;
            }
        }

        return 0;
    }
}

/// <summary>Sorts all rows, or with a limit keeps only the first ones as long as they fit into memory.</summary>
public sealed class SortNode : RowNode
{
    private readonly ExecContext _context;
    private readonly RowNode _input;
    private readonly SortKey[] _keys;
    private readonly Func<long>? _limit;
    private readonly RowSorter _sorter;
    private readonly List<Datum[]> _first = [];
    private bool _bounded;
    private int _next;

    public SortNode(ExecContext context, RowNode input, SortKey[] keys, Func<long>? limit)
    {
        (_context, _input, _keys, _limit) = (context, input, keys, limit);
        _sorter = new RowSorter(context.Spill, (a, b) => SortKey.Compare(keys, a, b), context.Cancel);
    }

    public override void Open()
    {
        Forget();
        _input.Open();
        _sorter.Limit = _context.Spill.SortMemory;
        long bound = _limit?.Invoke() ?? long.MaxValue;
        _bounded = bound <= 10_000 && ReadFirst((int)bound);
        if (!_bounded)
        {
            while (_input.Next())
            {
                _context.Cancel.Check();
                _sorter.Add([.. _input.Output.Values]);
            }

            _sorter.Finish();
        }

        _input.Close();
    }

    // A heap of the best rows so far, the worst on top. Rows carry their number, so that equal ones keep their order. False: they do not fit, and went to the sorter.
    private bool ReadFirst(int bound)
    {
        var heap = new PriorityQueue<(Datum[] Row, long Number), (Datum[] Row, long Number)>(Comparer<(Datum[] Row, long Number)>.Create((a, b) =>
        {
            int c = SortKey.Compare(_keys, b.Row, a.Row);
            return c != 0 ? c : b.Number.CompareTo(a.Number);
        }));
        long number = 0, size = 0;
        while (bound > 0 && _input.Next())
        {
            _context.Cancel.Check();
            if (heap.Count < bound)
            {
                (Datum[] Row, long) item = ([.. _input.Output.Values], number++);
                size += RowBuffer.SizeOf(item.Row);
                heap.Enqueue(item, item);
            }
            else if (SortKey.Compare(_keys, _input.Output.Values, heap.Peek().Row) < 0)
            {
                (Datum[] Row, long) item = ([.. _input.Output.Values], number++);
                size += RowBuffer.SizeOf(item.Row) - RowBuffer.SizeOf(heap.DequeueEnqueue(item, item).Row);
            }

            if (size > _sorter.Limit)
            {
                foreach ((Datum[] row, _) in heap.UnorderedItems.Select(i => i.Element).OrderBy(e => e.Number))
                {
                    _sorter.Add(row);
                }

                return false;
            }
        }

        while (heap.Count > 0)
        {
            _first.Add(heap.Dequeue().Row);
        }

        _first.Reverse();
        return true;
    }

    public override bool Next()
    {
        Datum[]? row = !_bounded ? _sorter.Next() : _next < _first.Count ? _first[_next++] : null;
        if (row is null)
        {
            return false;
        }

        Output.Values = row;
        return true;
    }

    private void Forget()
    {
        _sorter.Clear();
        _first.Clear();
        _next = 0;
    }

    public override void Close()
    {
        Forget();
        _input.Close();
    }
}

/// <summary>A stable merge sort: equal rows keep their order, and a comparison that throws does no harm.</summary>
internal static class MergeSort
{
    public static void Sort<T>(T[] items, Comparison<T> compare)
    {
        var buffer = new T[items.Length];
        Sort(items, buffer, 0, items.Length, compare);
    }

    private static void Sort<T>(T[] items, T[] buffer, int from, int to, Comparison<T> compare)
    {
        if (to - from <= 12)
        {
            for (int i = from + 1; i < to; i++)
            {
                T item = items[i];
                int j = i - 1;
                while (j >= from && compare(items[j], item) > 0)
                {
                    items[j + 1] = items[j];
                    j--;
                }

                items[j + 1] = item;
            }

            return;
        }

        int middle = (from + to) / 2;
        Sort(items, buffer, from, middle, compare);
        Sort(items, buffer, middle, to, compare);
        if (compare(items[middle - 1], items[middle]) <= 0)
        {
            return;
        }

        Array.Copy(items, from, buffer, from, middle - from);
        int left = from, right = middle;
        for (int k = from; left < middle; k++)
        {
            items[k] = right < to && compare(items[right], buffer[left]) < 0 ? items[right++] : buffer[left++];
        }
    }
}

public sealed class LimitNode(RowNode input, Evaluator? offset, Evaluator? limit, SortKey[]? ties) : RowNode
{
    private long _skip, _left;
    private Datum[]? _last;

    public override void Open()
    {
        _skip = Value(offset, "OFFSET", SqlStatesMore.InvalidOffset) ?? 0;
        _left = Value(limit, "LIMIT", SqlStatesMore.InvalidLimit) ?? long.MaxValue;
        _last = null;
        input.Open();
    }

    public static long? Value(Evaluator? e, string name, string state)
    {
        Datum d = e?.Eval() ?? Datum.Null;
        return d.IsNull ? null : d.Int64 >= 0 ? d.Int64 : throw new PgException(state, $"{name} must not be negative");
    }

    public override bool Next()
    {
        while (_skip > 0)
        {
            if (!input.Next())
            {
                return false;
            }

            _skip--;
        }

        if (_left <= 0)
        {
            return ties is not null && _last is not null && NextTie();
        }

        if (!input.Next())
        {
            return false;
        }

        _left--;
        Output.Values = input.Output.Values;
        if (ties is not null)
        {
            _last = input.Output.Values;
        }

        return true;
    }

    private bool NextTie()
    {
        if (!input.Next() || SortKey.Compare(ties!, input.Output.Values, _last!) != 0)
        {
            _last = null;
            return false;
        }

        Output.Values = input.Output.Values;
        return true;
    }

    public override void Close() => input.Close();
}

internal static class SqlStatesMore
{
    public const string InvalidLimit = "2201W", InvalidOffset = "2201X";
}
