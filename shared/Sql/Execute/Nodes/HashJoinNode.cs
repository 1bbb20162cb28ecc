using System.Runtime.InteropServices;
using SharedStorage.Format.Tuples;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Execute.Nodes;

/// <summary>
/// Builds a hash table of its inner side; the outer side looks up (nodeHashjoin.c). Kinds: inner, left, full, semi, anti. An inner side beyond work_mem times hash_mem_multiplier
/// is parted by hash into files, the outer one with it, and the parts are joined one after the other (HashJoinNode.Batches.cs).
/// </summary>
public sealed partial class HashJoinNode : ExecNode
{
    /// <summary>What an entry takes in memory beyond its row: itself, and its place in the table.</summary>
    private const int EntryOverhead = 96;

    private readonly ExecNode _outer, _inner;
    private readonly JoinKind _kind;
    private readonly IReadOnlyList<(int Entry, short Column)> _innerColumns;
    private readonly SlotRef[] _innerPlaces;
    private readonly Slot _slot = new();
    private readonly Datum[] _nullRow;
    private readonly KeyComparer _comparer;
    private readonly Dictionary<Datum[], Entry> _table;
    private readonly List<Entry> _all = [];
    private readonly Datum[] _key;
    private readonly Evaluator[] _outerKeys, _innerKeys;
    private readonly ExecContext _context;
    private long _for = -1;
    private long _used;
    private Entry? _current;
    private bool _haveOuter, _matched;
    private int _unmatched;

    public HashJoinNode(ExecContext context, ExecNode outer, ExecNode inner, JoinKind kind, PgType[] keyTypes, Evaluator[] outerKeys, Evaluator[] innerKeys,
        IReadOnlyList<(int Entry, short Column)> innerColumns, Env outerEnv, Env innerEnv)
    {
        (_context, _outer, _inner, _kind, _outerKeys, _innerKeys, _innerColumns) = (context, outer, inner, kind, outerKeys, innerKeys, innerColumns);
        _innerPlaces = [.. innerColumns.Select(c => innerEnv.Require(c.Entry, c.Column))];
        _nullRow = Slot.NullRow(innerColumns.Count);
        _comparer = new KeyComparer(keyTypes);
        _table = new Dictionary<Datum[], Entry>(_comparer);
        _key = new Datum[outerKeys.Length];
        _outerEnv = outerEnv;
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
        _image?.End();
        if (RebuildAlways || _for != _context.Execution)
        {
            Build();
        }

        _outer.Open();
        (_haveOuter, _unmatched) = (false, -1);
        if (_innerParts is not null)
        {
            BeginBatches();
        }

        foreach (Entry e in _kind == JoinKind.Full ? _all : [])
        {
            e.Matched = false;
        }
    }

    private void Build()
    {
        _for = _context.Execution;
        ForgetRows();
        long limit = _context.Spill.HashMemory;
        _inner.Open();
        while (_inner.Next())
        {
            if (_context.Cancel.IsSet)
            {
                _context.Cancel.Check();
            }

            var key = new Datum[_innerKeys.Length];
            bool hasNull = false;
            for (int i = 0; i < key.Length; i++)
            {
                key[i] = _innerKeys[i].Eval();
                hasNull |= key[i].IsNull;
            }

            if (hasNull && _kind != JoinKind.Full)
            {
                continue;
            }

            Datum[] row = RowCopy.Take(_innerPlaces);
            if (_innerParts is not null)
            {
                AddToPart(_innerParts, key, row);
                continue;
            }

            AddEntry(key, row, hasNull);
            if (_used > limit)
            {
                BeginParts();
            }
        }

        _innerParts?.Finish();
        _inner.Close();
    }

    private void AddEntry(Datum[] key, Datum[] row, bool hasNull)
    {
        var entry = new Entry(row);
        _used += RowBuffer.SizeOf(key) + RowBuffer.SizeOf(row) + EntryOverhead;
        if (_kind == JoinKind.Full)
        {
            _all.Add(entry);
        }

        if (hasNull)
        {
            return;
        }

        ref Entry? head = ref CollectionsMarshal.GetValueRefOrAddDefault(_table, key, out _);
        entry.Next = head;
        head = entry;
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
                if (_kind == JoinKind.Full && NextUnmatched())
                {
                    return true;
                }

                if (!NextBatch())
                {
                    return false;
                }

                continue;
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
        if (_unmatched >= 0)
        {
            return false;
        }

        if (_innerParts is not null)
        {
            return _outerRows is null ? PartOuter() : NextOfBatch();
        }

        if (!_outer.Next())
        {
            return false;
        }

        (_haveOuter, _matched, _current) = (true, false, null);
        if (ReadOuterKey())
        {
            _table.TryGetValue(_key, out _current);
        }

        return true;
    }

    /// <summary>False: a part of the key is null, so it has no partner.</summary>
    private bool ReadOuterKey()
    {
        for (int i = 0; i < _key.Length; i++)
        {
            _key[i] = _outerKeys[i].Eval();
            if (_key[i].IsNull)
            {
                return false;
            }
        }

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
        ForgetRows();
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
