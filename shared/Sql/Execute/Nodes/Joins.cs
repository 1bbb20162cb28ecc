using SharedStorage.Format.Tuples;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Execute.Nodes;

/// <summary>For each outer row the inner side is opened anew; an inner index scan takes its bounds from the outer row.</summary>
public sealed class NestedLoopNode(ExecNode outer, ExecNode inner, JoinKind kind) : ExecNode
{
    private bool _haveOuter, _matched;

    /// <summary>The join condition, over both sides.</summary>
    public Evaluator? Condition { get; set; }

    /// <summary>A condition of WHERE that an outer join cannot push down.</summary>
    public Evaluator? Filter { get; set; }

    public override void Open()
    {
        outer.Open();
        _haveOuter = false;
    }

    public override bool Next()
    {
        while (Advance())
        {
            if (Filter is null || Filter.IsTrue())
            {
                return true;
            }
        }

        return false;
    }

    private bool Advance()
    {
        while (true)
        {
            if (!_haveOuter)
            {
                if (!outer.Next())
                {
                    return false;
                }

                (_haveOuter, _matched) = (true, false);
                inner.Open();
            }

            while (inner.Next())
            {
                if (Condition is not null && !Condition.IsTrue())
                {
                    continue;
                }

                _matched = true;
                if (kind == JoinKind.Anti)
                {
                    break;
                }

                if (kind == JoinKind.Semi)
                {
                    _haveOuter = false;
                }

                return true;
            }

            _haveOuter = false;
            if (!_matched && kind is JoinKind.Left or JoinKind.Anti)
            {
                inner.NullExtend();
                return true;
            }
        }
    }

    public override void Close()
    {
        outer.Close();
        inner.Close();
    }

    public override void Publish(Env env)
    {
        outer.Publish(env);
        inner.Publish(env);
    }

    public override void NullExtend()
    {
        outer.NullExtend();
        inner.NullExtend();
    }
}

/// <summary>Keeps the wanted columns of its input, so that a nested loop can read it again and again.</summary>
public sealed class MaterializeNode : ExecNode
{
    private readonly ExecNode _input;
    private readonly IReadOnlyList<(int Entry, short Column)> _columns;
    private readonly SlotRef[] _places;
    private readonly Slot _slot = new();
    private readonly Datum[] _nullRow;
    private readonly RowStore _rows;
    private readonly RowStoreReader _reader;
    private readonly ExecContext _context;
    private long _for = -1;
    private long _next;

    public MaterializeNode(ExecContext context, ExecNode input, IReadOnlyList<(int Entry, short Column)> columns, Env inputEnv)
    {
        (_context, _input, _columns) = (context, input, columns);
        _rows = new RowStore(context.Spill);
        _reader = _rows.NewReader();
        _places = [.. columns.Select(c => inputEnv.Require(c.Entry, c.Column))];
        _nullRow = Slot.NullRow(columns.Count);
    }

    public override void Open()
    {
        _next = 0;
        if (_for == _context.Execution)
        {
            return;
        }

        _for = _context.Execution;
        Forget();
        _input.Open();
        while (_input.Next())
        {
            _rows.Add(RowCopy.Take(_places));
        }

        _input.Close();
    }

    public override bool Next()
    {
        if (_next >= _rows.Count)
        {
            return false;
        }

        _slot.Values = _reader[_next++];
        return true;
    }

    private void Forget()
    {
        _rows.Clear();
        _reader.Reset();
    }

    public override void Close()
    {
        _for = -1;
        Forget();
        _input.Close();
    }

    public override void Publish(Env env)
    {
        for (int i = 0; i < _columns.Count; i++)
        {
            env.Add(_columns[i].Entry, _columns[i].Column, new SlotRef(_slot, i));
        }
    }

    public override void NullExtend() => _slot.Values = _nullRow;
}

internal static class RowCopy
{
    public static Datum[] Take(SlotRef[] places)
    {
        var row = new Datum[places.Length];
        for (int i = 0; i < row.Length; i++)
        {
            row[i] = places[i].Slot.Values[places[i].Index];
        }

        return row;
    }
}

/// <summary>Equality of lists of values; nulls are equal here, joins leave them out before.</summary>
public sealed class KeyComparer(PgType[] types) : IEqualityComparer<Datum[]>
{
    public bool Equals(Datum[]? x, Datum[]? y)
    {
        for (int i = 0; i < types.Length; i++)
        {
            Datum a = x![i], b = y![i];
            if (a.IsNull || b.IsNull ? a.IsNull != b.IsNull : !types[i].AreEqual(a, b))
            {
                return false;
            }
        }

        return true;
    }

    public int GetHashCode(Datum[] key)
    {
        int hash = 17;
        for (int i = 0; i < types.Length; i++)
        {
            hash = (hash * 31) + (key[i].IsNull ? 0 : types[i].Hash(key[i]));
        }

        return hash;
    }
}
