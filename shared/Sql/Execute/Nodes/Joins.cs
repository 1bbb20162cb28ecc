using SharedStorage.Format.Tuples;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute.Expressions;
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
    private readonly List<Datum[]> _rows = [];
    private readonly ExecContext _context;
    private long _for = -1;
    private int _next;

    public MaterializeNode(ExecContext context, ExecNode input, IReadOnlyList<(int Entry, short Column)> columns, Env inputEnv)
    {
        (_context, _input, _columns) = (context, input, columns);
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
        _rows.Clear();
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

        _slot.Values = _rows[_next++];
        return true;
    }

    public override void Close()
    {
        _for = -1;
        _rows.Clear();
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

/// <summary>Builds a hash table of its inner side; the outer side looks up. Kinds: inner, left, full, semi, anti.</summary>
public sealed class HashJoinNode : ExecNode
{
    private readonly ExecNode _outer, _inner;
    private readonly JoinKind _kind;
    private readonly IReadOnlyList<(int Entry, short Column)> _innerColumns;
    private readonly SlotRef[] _innerPlaces;
    private readonly Slot _slot = new();
    private readonly Datum[] _nullRow;
    private readonly Dictionary<Datum[], Entry> _table;
    private readonly List<Entry> _all = [];
    private readonly Datum[] _key;
    private readonly Evaluator[] _outerKeys, _innerKeys;
    private readonly ExecContext _context;
    private long _for = -1;
    private Entry? _current;
    private bool _haveOuter, _matched;
    private int _unmatched;

    public HashJoinNode(ExecContext context, ExecNode outer, ExecNode inner, JoinKind kind, PgType[] keyTypes, Evaluator[] outerKeys, Evaluator[] innerKeys,
        IReadOnlyList<(int Entry, short Column)> innerColumns, Env innerEnv)
    {
        (_context, _outer, _inner, _kind, _outerKeys, _innerKeys, _innerColumns) = (context, outer, inner, kind, outerKeys, innerKeys, innerColumns);
        _innerPlaces = [.. innerColumns.Select(c => innerEnv.Require(c.Entry, c.Column))];
        _nullRow = Slot.NullRow(innerColumns.Count);
        _table = new Dictionary<Datum[], Entry>(new KeyComparer(keyTypes));
        _key = new Datum[outerKeys.Length];
    }

    private sealed class Entry(Datum[] row)
    {
        public Datum[] Row { get; } = row;
        public Entry? Next { get; set; }
        public bool Matched { get; set; }
    }

    /// <summary>What the join condition says beyond the keys.</summary>
    public Evaluator? Condition { get; set; }
    public Evaluator? Filter { get; set; }

    /// <summary>The inner side depends on an outer query's row, so it is read at each start.</summary>
    public bool RebuildAlways { get; set; }

    public override void Open()
    {
        if (RebuildAlways || _for != _context.Execution)
        {
            Build();
        }

        _outer.Open();
        (_haveOuter, _unmatched) = (false, -1);
        foreach (Entry e in _kind == JoinKind.Full ? _all : [])
        {
            e.Matched = false;
        }
    }

    private void Build()
    {
        _for = _context.Execution;
        _table.Clear();
        _all.Clear();
        _inner.Open();
        while (_inner.Next())
        {
            var key = new Datum[_innerKeys.Length];
            bool hasNull = false;
            for (int i = 0; i < key.Length; i++)
            {
                key[i] = _innerKeys[i].Eval();
                hasNull |= key[i].IsNull;
            }

            var entry = new Entry(RowCopy.Take(_innerPlaces));
            if (_kind == JoinKind.Full)
            {
                _all.Add(entry);
            }

            if (hasNull)
            {
                continue;
            }

            ref Entry? head = ref System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(_table, key, out _);
            entry.Next = head;
            head = entry;
        }

        _inner.Close();
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
            if (!_haveOuter && !NextOuter())
            {
                return _kind == JoinKind.Full && NextUnmatched();
            }

            while (_current is { } entry)
            {
                _current = entry.Next;
                _slot.Values = entry.Row;
                if (Condition is not null && !Condition.IsTrue())
                {
                    continue;
                }

                _matched = true;
                entry.Matched = true;
                if (_kind == JoinKind.Anti)
                {
                    break;
                }

                if (_kind == JoinKind.Semi)
                {
                    _haveOuter = false;
                }

                return true;
            }

            _haveOuter = false;
            if (!_matched && _kind is JoinKind.Left or JoinKind.Full or JoinKind.Anti)
            {
                _slot.Values = _nullRow;
                return true;
            }
        }
    }

    private bool NextOuter()
    {
        if (_unmatched >= 0 || !_outer.Next())
        {
            return false;
        }

        (_haveOuter, _matched, _current) = (true, false, null);
        for (int i = 0; i < _key.Length; i++)
        {
            _key[i] = _outerKeys[i].Eval();
            if (_key[i].IsNull)
            {
                return true;
            }
        }

        _table.TryGetValue(_key, out _current);
        return true;
    }

    private bool NextUnmatched()
    {
        if (_unmatched < 0)
        {
            _unmatched = 0;
            _outer.NullExtend();
        }

        while (_unmatched < _all.Count)
        {
            Entry entry = _all[_unmatched++];
            if (!entry.Matched)
            {
                _slot.Values = entry.Row;
                return true;
            }
        }

        return false;
    }

    public override void Close()
    {
        _for = -1;
        _table.Clear();
        _all.Clear();
        _outer.Close();
        _inner.Close();
    }

    public override void Publish(Env env)
    {
        _outer.Publish(env);
        for (int i = 0; i < _innerColumns.Count; i++)
        {
            env.Add(_innerColumns[i].Entry, _innerColumns[i].Column, new SlotRef(_slot, i));
        }
    }

    public override void NullExtend()
    {
        _outer.NullExtend();
        _slot.Values = _nullRow;
    }
}
