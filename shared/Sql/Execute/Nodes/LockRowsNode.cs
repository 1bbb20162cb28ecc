using SharedStorage.Access;
using SharedStorage.Access.Heap;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Execute.Spill;

namespace SharedStorage.Sql.Execute.Nodes;

/// <summary>One table of a FOR UPDATE: where its row lies in the input's row.</summary>
/// <param name="Columns">For each column of the table its place in the input's row; -1 when it is not carried.</param>
public sealed record LockTarget(RowMark Mark, Relation Table, SlotRef Place, (int Column, SlotRef Place)[] Columns);

/// <summary>
/// Locks the rows of its input (SELECT FOR ...). A row that was changed meanwhile is read anew and tested again (EvalPlanQual): read committed only.
/// </summary>
public sealed class LockRowsNode(ExecContext context, ExecNode input, LockTarget[] targets, Func<bool> isRepeatableRead) : ExecNode
{
    /// <summary>The whole WHERE and join conditions, over the carried columns.</summary>
    public Evaluator? Recheck { get; set; }

    public override void Open() => input.Open();

    public override bool Next()
    {
        while (input.Next())
        {
            if (LockAll())
            {
                return true;
            }
        }

        return false;
    }

    private bool LockAll()
    {
        bool changed = false;
        foreach (LockTarget target in targets)
        {
            Datum place = target.Place.Slot.Values[target.Place.Index];
            if (place.IsNull)
            {
                continue;
            }

            Tid tid = SystemColumn.Unpack(place.Bits), old = tid;
            var heap = new HeapTable(context.Engine, target.Table);
            ModifyResult result = heap.Lock(context.Transaction, ref tid, context.Snapshot, target.Mark.Mode, target.Mark.Wait, !isRepeatableRead());
            switch (result.Outcome)
            {
                case ModifyOutcome.Ok:
                    break;
                case ModifyOutcome.SelfModified:
                    return false;
                case ModifyOutcome.WouldBlock when target.Mark.Wait == LockWait.Skip:
                    return false;
                case ModifyOutcome.WouldBlock:
                    throw new PgException(SqlStates.LockNotAvailable, $"could not obtain lock on row in relation \"{target.Table.Name}\"");
                case ModifyOutcome.Updated when isRepeatableRead():
                    throw new PgException(SqlStates.SerializationFailure, "could not serialize access due to concurrent update");
                case ModifyOutcome.Deleted when isRepeatableRead():
                    throw new PgException(SqlStates.SerializationFailure, "could not serialize access due to concurrent delete");
                default:
                    return false;
            }

            if (tid != old)
            {
                changed = true;
                if (!Reload(heap, target, tid))
                {
                    return false;
                }
            }
        }

        return !changed || Recheck is null || Recheck.IsTrue();
    }

    private static bool Reload(HeapTable heap, LockTarget target, Tid tid)
    {
        var values = new Datum[target.Table.Desc.Count];
        if (!heap.TryFetchVersion(tid, values))
        {
            return false;
        }

        foreach ((int column, SlotRef place) in target.Columns)
        {
            place.Slot.Values[place.Index] = values[column];
        }

        target.Place.Slot.Values[target.Place.Index] = Datum.FromInt64(SystemColumn.Pack(tid));
        return true;
    }

    public override void Close() => input.Close();
    public override void Publish(Env env) => input.Publish(env);
    public override void NullExtend() => input.NullExtend();
}

/// <summary>
/// Copies the columns that are needed above into a row of its own, with values to sort by, and sorts. For statements that go on working with tables' columns
/// above the sort (row locks).
/// </summary>
public sealed class ColumnSortNode : ExecNode
{
    private readonly ExecContext _context;
    private readonly ExecNode _input;
    private readonly IReadOnlyList<(int Entry, short Column)> _columns;
    private readonly SlotRef[] _places;
    private readonly Evaluator[] _values;
    private readonly Slot _slot = new();
    private readonly RowSorter _sorter;

    /// <param name="keys">Their columns count from the end of the carried ones.</param>
    public ColumnSortNode(ExecContext context, ExecNode input, Env inputEnv, IReadOnlyList<(int Entry, short Column)> columns, Evaluator[] values, SortKey[] keys)
    {
        (_context, _input, _columns, _values) = (context, input, columns, values);
        _places = [.. columns.Select(c => inputEnv.Require(c.Entry, c.Column))];
        _sorter = new RowSorter(context.Spill, (a, b) => SortKey.Compare(keys, a, b), context.Cancel);
    }

    public override void Open()
    {
        _sorter.Clear();
        _sorter.Limit = _context.Spill.SortMemory;
        _input.Open();
        while (_input.Next())
        {
            _context.Cancel.Check();
            var row = new Datum[_places.Length + _values.Length];
            for (int i = 0; i < _places.Length; i++)
            {
                row[i] = _places[i].Slot.Values[_places[i].Index];
            }

            for (int i = 0; i < _values.Length; i++)
            {
                row[_places.Length + i] = _values[i].Eval();
            }

            _sorter.Add(row);
        }

        _input.Close();
        _sorter.Finish();
    }

    public override bool Next()
    {
        if (_sorter.Next() is not { } row)
        {
            return false;
        }

        _slot.Values = row;
        return true;
    }

    public override void Close()
    {
        _sorter.Clear();
        _input.Close();
    }

    public override void Publish(Env env)
    {
        for (int i = 0; i < _columns.Count; i++)
        {
            env.Add(_columns[i].Entry, _columns[i].Column, new SlotRef(_slot, i));
        }
    }

    public override void NullExtend() => _slot.Values = Slot.NullRow(_places.Length + _values.Length);
}
