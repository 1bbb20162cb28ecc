using SharedStorage.Format.Tuples;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Execute.Spill;
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

/// <summary>
/// Groups by hashing; without keys there is one group even without rows. When the groups fill work_mem times hash_mem_multiplier, rows of further groups wait in files, by the
/// hash of their keys, until these groups are given out (nodeAgg.c).
/// </summary>
public sealed class AggregateNode : ExecNode
{
    /// <summary>About what a group takes beyond its key, and what each of its aggregates takes.</summary>
    private const int GroupOverhead = 160, StateOverhead = 64;

    /// <summary>A group's share for ordered arguments once there is no room.</summary>
    private const long LeastBuffer = 16 << 10;

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
    private readonly KeyComparer _comparer;
    private readonly Env _inputEnv;
    private SlotImage? _image;
    private readonly Stack<(RowTape Rows, int Level)> _waiting = new();
    private TempFile? _file;
    private Partitions? _parts;
    private int _level;
    private long _used, _limit;
    private int _next;

    public AggregateNode(ExecContext context, ExecNode input, Expr[] keyExprs, Evaluator[] keys, PgType[] keyTypes, AggregateSpec[] aggregates,
        (VarExpr Var, Evaluator Value)[] carried, Env inputEnv)
    {
        (_context, _input, _keyExprs, _keys, _aggregates, _carried) = (context, input, keyExprs, keys, aggregates, carried);
        _comparer = new KeyComparer(keyTypes);
        _inputEnv = inputEnv;
        _groups = new Dictionary<Datum[], Group>(_comparer);
        _key = new Datum[keys.Length];
        _args = new Datum[8];
        _slot.Values = new Datum[Width];
    }

    private int Width => _keys.Length + _aggregates.Length + _carried.Length;

    private SlotImage Image => _image ??= new SlotImage(_inputEnv);

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
        Forget();
        _limit = _context.Spill.HashMemory;
        _input.Open();
        if (_keys.Length == 0)
        {
            RunPlain();
        }
        else
        {
            while (_input.Next())
            {
                AddRow();
            }

            FinishParts();
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

    /// <summary>Adds the input's row to its group, or puts it aside when there is no room for another group.</summary>
    private void AddRow()
    {
        for (int i = 0; i < _key.Length; i++)
        {
            _key[i] = _keys[i].Eval();
        }

        if (!_groups.TryGetValue(_key, out Group? group))
        {
            if (_used > _limit && _level <= Partitions.LastLevel)
            {
                _file ??= _context.Spill.NewFile();
                _parts ??= new Partitions(_context.Spill, _file, _level);
                _parts.Add(_parts.NumberOf(_comparer.GetHashCode(_key)), Image.Take(0));
                return;
            }

            Datum[] key = [.. _key];
            group = NewGroup(key, true);
            _groups.Add(key, group);
            _order.Add(group);
            _used += RowBuffer.SizeOf(key) + GroupOverhead + (StateOverhead * _aggregates.Length);
        }

        Accumulate(group);
    }

    private void FinishParts()
    {
        if (_parts is null)
        {
            return;
        }

        _parts.Finish();
        for (int i = 0; i < Partitions.Fan; i++)
        {
            if (_parts[i] is { } tape)
            {
                _waiting.Push((tape, _level + 1));
            }
        }

        _parts = null;
    }

    /// <summary>Groups the rows of a part; false when none waits.</summary>
    private bool NextPart()
    {
        if (!_waiting.TryPop(out (RowTape Rows, int Level) part))
        {
            return false;
        }

        _groups.Clear();
        _order.Clear();
        (_next, _used, _level) = (0, 0, part.Level);
        RowTapeReader rows = part.Rows.Read(release: true);
        while (rows.Next() is { } row)
        {
            Image.PutBack(row, 0);
            AddRow();
        }

        _image?.End();
        FinishParts();
        return true;
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
                buffers[i] = new AggregateBuffer(_context, _aggregates[i]);
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
                _used += buffer.Add(_used > _limit ? LeastBuffer : _context.Spill.SortMemory);
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
        do
        {
            while (_next < _order.Count)
            {
                WriteRow(_order[_next++]);
                if (Having is null || Having.IsTrue())
                {
                    return true;
                }
            }
        }
        while (NextPart());
        return false;
    }

    private void WriteRow(Group group)
    {
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
    }

    private void Forget()
    {
        _image?.End();
        _groups.Clear();
        _order.Clear();
        _waiting.Clear();
        _file?.Dispose();
        (_file, _parts, _level, _used, _next) = (null, null, 0, 0, 0);
    }

    public override void Close()
    {
        Forget();
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
