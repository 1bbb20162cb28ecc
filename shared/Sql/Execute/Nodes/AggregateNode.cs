using SharedStorage.Format.Tuples;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Functions;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Execute.Nodes;

/// <summary>One aggregate of a grouping.</summary>
public sealed class AggregateSpec(AggExpr expr, AggregateFunction function, Evaluator[] args)
{
    public AggExpr Expr { get; } = expr;
    public AggregateFunction Function { get; } = function;
    public Evaluator[] Args { get; } = args;
    public Evaluator? Filter { get; init; }

    /// <summary>For DISTINCT: how argument values are compared.</summary>
    public PgType[]? DistinctTypes { get; init; }

    /// <summary>ORDER BY within the call: values to sort by are appended to the arguments.</summary>
    public SortKey[]? Order { get; init; }
    public Evaluator[] OrderValues { get; init; } = [];

    public bool IsBuffered => DistinctTypes is not null || Order is not null;
}

/// <summary>Groups by hashing; without keys there is one group even without rows.</summary>
public sealed class AggregateNode : ExecNode
{
    private readonly ExecContext _context;
    private readonly ExecNode _input;
    private readonly Expr[] _keyExprs;
    private readonly Evaluator[] _keys;
    private readonly AggregateSpec[] _aggregates;
    private readonly (VarExpr Var, Evaluator Value)[] _carried;
    private readonly Dictionary<Datum[], Group> _groups;
    private readonly List<Group> _order = [];
    private readonly Slot _slot = new();
    private readonly Datum[] _key, _args;
    private int _next;

    public AggregateNode(ExecContext context, ExecNode input, Expr[] keyExprs, Evaluator[] keys, PgType[] keyTypes, AggregateSpec[] aggregates,
        (VarExpr Var, Evaluator Value)[] carried)
    {
        (_context, _input, _keyExprs, _keys, _aggregates, _carried) = (context, input, keyExprs, keys, aggregates, carried);
        _groups = new Dictionary<Datum[], Group>(new KeyComparer(keyTypes));
        _key = new Datum[keys.Length];
        _args = new Datum[8];
        _slot.Values = new Datum[Width];
    }

    private int Width => _keys.Length + _aggregates.Length + _carried.Length;

    public Evaluator? Having { get; set; }

    private sealed class Group(Datum[] key, AggregateState[] states, Datum[] carried, AggregateBuffer?[]? buffers)
    {
        public Datum[] Key { get; } = key;
        public AggregateState[] States { get; } = states;
        public Datum[] Carried { get; } = carried;
        public AggregateBuffer?[]? Buffers { get; } = buffers;
    }

    public override void Open()
    {
        _groups.Clear();
        _order.Clear();
        _next = 0;
        _input.Open();
        if (_keys.Length == 0)
        {
            RunPlain();
        }
        else
        {
            while (_input.Next())
            {
                Accumulate(FindGroup());
            }
        }

        _input.Close();
    }

    private void RunPlain()
    {
        Group? group = null;
        while (_input.Next())
        {
            group ??= NewGroup([], true);
            Accumulate(group);
        }

        _order.Add(group ?? NewGroup([], false));
    }

    private Group FindGroup()
    {
        for (int i = 0; i < _key.Length; i++)
        {
            _key[i] = _keys[i].Eval();
        }

        if (!_groups.TryGetValue(_key, out Group? group))
        {
            Datum[] key = [.. _key];
            group = NewGroup(key, true);
            _groups.Add(key, group);
            _order.Add(group);
        }

        return group;
    }

    private Group NewGroup(Datum[] key, bool hasRow)
    {
        var states = new AggregateState[_aggregates.Length];
        AggregateBuffer?[]? buffers = null;
        for (int i = 0; i < states.Length; i++)
        {
            states[i] = _aggregates[i].Function.NewState(_context.Eval);
            if (_aggregates[i].IsBuffered)
            {
                buffers ??= new AggregateBuffer?[_aggregates.Length];
                buffers[i] = new AggregateBuffer(_aggregates[i]);
            }
        }

        var carried = new Datum[_carried.Length];
        for (int i = 0; i < carried.Length; i++)
        {
            carried[i] = hasRow ? _carried[i].Value.Eval() : Datum.Null;
        }

        return new Group(key, states, carried, buffers);
    }

    private void Accumulate(Group group)
    {
        if (_context.Cancel.IsSet)
        {
            _context.Cancel.Check();
        }

        for (int i = 0; i < _aggregates.Length; i++)
        {
            AggregateSpec a = _aggregates[i];
            if (a.Filter is not null && !a.Filter.IsTrue())
            {
                continue;
            }

            if (group.Buffers?[i] is { } buffer)
            {
                buffer.Add();
                continue;
            }

            switch (a.Args.Length)
            {
                case 0:
                    group.States[i].Add(Datum.Null);
                    break;
                case 1:
                    Datum value = a.Args[0].Eval();
                    if (!value.IsNull || !a.Function.SkipsNulls)
                    {
                        group.States[i].Add(value);
                    }

                    break;
                default:
                    bool skip = false;
                    for (int k = 0; k < a.Args.Length; k++)
                    {
                        _args[k] = a.Args[k].Eval();
                        skip |= _args[k].IsNull && a.Function.SkipsNulls;
                    }

                    if (!skip)
                    {
                        group.States[i].Add(_args.AsSpan(0, a.Args.Length));
                    }

                    break;
            }
        }
    }

    public override bool Next()
    {
        while (_next < _order.Count)
        {
            Group group = _order[_next++];
            Datum[] row = _slot.Values;
            int at = 0;
            foreach (Datum k in group.Key)
            {
                row[at++] = k;
            }

            for (int i = 0; i < _aggregates.Length; i++)
            {
                group.Buffers?[i]?.Drain(group.States[i]);
                row[at++] = group.States[i].Result(_context.Eval);
            }

            group.Carried.CopyTo(row, at);
            if (Having is null || Having.IsTrue())
            {
                return true;
            }
        }

        return false;
    }

    public override void Close()
    {
        _groups.Clear();
        _order.Clear();
        _input.Close();
    }

    public override void Publish(Env env)
    {
        int at = 0;
        foreach (Expr key in _keyExprs)
        {
            var place = new SlotRef(_slot, at++);
            if (key is VarExpr { LevelsUp: 0 } v)
            {
                env.Add(v.Entry, v.Column, place);
            }
            else
            {
                env.Add(key, place);
            }
        }

        foreach (AggregateSpec a in _aggregates)
        {
            env.Add(a.Expr, new SlotRef(_slot, at++));
        }

        foreach ((VarExpr v, _) in _carried)
        {
            env.Add(v.Entry, v.Column, new SlotRef(_slot, at++));
        }
    }

    public override void NullExtend() => _slot.Values = Slot.NullRow(Width);
}

/// <summary>The rows of an aggregate with DISTINCT or ORDER BY, until the group is complete.</summary>
internal sealed class AggregateBuffer(AggregateSpec spec)
{
    private readonly List<Datum[]> _rows = [];
    private readonly HashSet<Datum[]>? _seen = spec.DistinctTypes is null ? null : new HashSet<Datum[]>(new KeyComparer(spec.DistinctTypes));

    public void Add()
    {
        var row = new Datum[spec.Args.Length + spec.OrderValues.Length];
        for (int i = 0; i < spec.Args.Length; i++)
        {
            row[i] = spec.Args[i].Eval();
            if (row[i].IsNull && spec.Function.SkipsNulls)
            {
                return;
            }
        }

        for (int i = 0; i < spec.OrderValues.Length; i++)
        {
            row[spec.Args.Length + i] = spec.OrderValues[i].Eval();
        }

        if (_seen is null || _seen.Add(row))
        {
            _rows.Add(row);
        }
    }

    public void Drain(AggregateState state)
    {
        Datum[][] rows = [.. _rows];
        SortKey[]? order = spec.Order;
        if (order is null && spec.DistinctTypes is { } types)
        {
            // PostgreSQL sorts for DISTINCT, and what array_agg and its like give shows it.
            order = [.. types.Select((t, i) => new SortKey(i, t, null, false, false))];
        }

        if (order is not null)
        {
            MergeSort.Sort(rows, (a, b) => SortKey.Compare(order, a, b));
        }

        foreach (Datum[] row in rows)
        {
            state.Add(row.AsSpan(0, spec.Args.Length));
        }

        _rows.Clear();
    }
}
