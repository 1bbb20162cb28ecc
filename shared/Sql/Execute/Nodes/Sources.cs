using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Functions;

namespace SharedStorage.Sql.Execute.Nodes;

/// <summary>A source whose rows are arrays of one range table entry.</summary>
public abstract class EntryNode(int entry, int columns) : ExecNode
{
    private readonly Datum[] _nullRow = Slot.NullRow(columns);

    public Slot Slot { get; } = new();
    protected int Columns { get; } = columns;

    public override void Publish(Env env)
    {
        for (int i = 0; i < Columns; i++)
        {
            env.Add(entry, (short)(i + 1), new SlotRef(Slot, i));
        }
    }

    public override void NullExtend() => Slot.Values = _nullRow;
}

/// <summary>One row without columns, if the condition holds (SELECT without FROM).</summary>
public sealed class ResultNode(Evaluator? condition) : ExecNode
{
    private bool _done;

    public override void Open() => _done = false;

    public override bool Next()
    {
        if (_done)
        {
            return false;
        }

        _done = true;
        return condition is null || condition.IsTrue();
    }

    public override void Publish(Env env)
    {
    }

    public override void NullExtend()
    {
    }
}

public sealed class ValuesNode(int entry, int columns, Evaluator[][] rows) : EntryNode(entry, columns)
{
    private readonly Datum[] _row = new Datum[columns];
    private int _next;

    public Evaluator? Filter { get; set; }
    public override void Open() => _next = 0;

    public override bool Next()
    {
        Slot.Values = _row;
        while (_next < rows.Length)
        {
            Evaluator[] row = rows[_next++];
            for (int i = 0; i < row.Length; i++)
            {
                _row[i] = row[i].Eval();
            }

            if (Filter is null || Filter.IsTrue())
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary>A call of a function in FROM.</summary>
public sealed record FunctionSource(SetFunction? Set, Evaluator? Scalar, Evaluator[] Args, bool Strict, int Columns);

public sealed class FunctionNode(ExecContext context, int entry, int columns, FunctionSource[] sources, bool ordinality) : EntryNode(entry, columns)
{
    private readonly Datum[] _row = new Datum[columns];
    private readonly SetRows?[] _rows = new SetRows?[sources.Length];
    private long _number;

    public Evaluator? Filter { get; set; }

    public override void Open()
    {
        _number = 0;
        for (int i = 0; i < sources.Length; i++)
        {
            FunctionSource s = sources[i];
            var args = new Datum[s.Args.Length];
            bool empty = false;
            for (int a = 0; a < args.Length; a++)
            {
                args[a] = s.Args[a].Eval();
                empty |= s.Strict && args[a].IsNull;
            }

            _rows[i] = s.Set is null ? new OneRow(s.Scalar!.Eval()) : empty ? null : s.Set.Call(args, context.Eval);
        }
    }

    public override bool Next()
    {
        Slot.Values = _row;
        while (Advance())
        {
            context.Cancel.Check();
            if (Filter is null || Filter.IsTrue())
            {
                return true;
            }
        }

        return false;
    }

    private bool Advance()
    {
        bool any = false;
        int at = 0;
        for (int i = 0; i < sources.Length; i++)
        {
            Span<Datum> part = _row.AsSpan(at, sources[i].Columns);
            if (_rows[i]?.Next(part) == true)
            {
                any = true;
            }
            else
            {
                part.Fill(Datum.Null);
                _rows[i] = null;
            }

            at += sources[i].Columns;
        }

        if (ordinality)
        {
            _row[at] = Datum.FromInt64(++_number);
        }

        return any;
    }

    private sealed class OneRow(Datum value) : SetRows
    {
        private bool _done;

        public override bool Next(Span<Datum> row)
        {
            if (_done)
            {
                return false;
            }

            _done = true;
            if (value is { IsNull: false, Object: RowValue composite } && row.Length == composite.Values.Length)
            {
                composite.Values.CopyTo(row);
            }
            else
            {
                row[0] = value;
            }

            return true;
        }
    }
}

/// <summary>A subquery in FROM: its row as columns of an entry.</summary>
public sealed class SubqueryNode(int entry, int columns, RowNode plan) : EntryNode(entry, columns)
{
    public Evaluator? Filter { get; set; }
    public override void Open() => plan.Open();

    public override bool Next()
    {
        while (plan.Next())
        {
            Slot.Values = plan.Output.Values;
            if (Filter is null || Filter.IsTrue())
            {
                return true;
            }
        }

        return false;
    }

    public override void Close() => plan.Close();
}

/// <summary>A WITH query: its rows are computed once in an execution and shared by all references.</summary>
public sealed class SharedRows(ExecContext context, RowNode plan)
{
    private readonly RowStore _rows = new(context.Spill);
    private long _for = -1;
    private bool _complete;

    public RowStoreReader NewReader() => _rows.NewReader();

    public Datum[]? Get(long index, RowStoreReader reader)
    {
        if (_for != context.Execution)
        {
            _rows.Clear();
            (_for, _complete) = (context.Execution, false);
            plan.Open();
        }

        while (index >= _rows.Count && !_complete)
        {
            if (plan.Next())
            {
                _rows.Add([.. plan.Output.Values]);
            }
            else
            {
                _complete = true;
                plan.Close();
            }
        }

        return index < _rows.Count ? reader[index] : null;
    }
}

public sealed class CommonTableNode(int entry, int columns, SharedRows rows) : EntryNode(entry, columns)
{
    private readonly RowStoreReader _reader = rows.NewReader();
    private long _next;

    public Evaluator? Filter { get; set; }

    public override void Open()
    {
        _next = 0;
        _reader.Reset();
    }

    public override bool Next()
    {
        while (rows.Get(_next, _reader) is { } row)
        {
            _next++;
            Slot.Values = row;
            if (Filter is null || Filter.IsTrue())
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary>Keeps or drops rows of a node that has no filter of its own.</summary>
public sealed class FilterNode(ExecNode input, Evaluator condition) : ExecNode
{
    public override void Open() => input.Open();

    public override bool Next()
    {
        while (input.Next())
        {
            if (condition.IsTrue())
            {
                return true;
            }
        }

        return false;
    }

    public override void Close() => input.Close();
    public override void Publish(Env env) => input.Publish(env);
    public override void NullExtend() => input.NullExtend();
}
