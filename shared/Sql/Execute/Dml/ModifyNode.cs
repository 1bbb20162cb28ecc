using SharedStorage.Access.Heap;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Sql.Execute.Expressions;
using SharedStorage.Sql.Execute.Nodes;
using SharedStorage.Sql.Execute.Spill;

namespace SharedStorage.Sql.Execute.Dml;

/// <summary>What the three changing statements have in common: they run to the end at once, and keep the rows of RETURNING.</summary>
public abstract class ModifyNode(ExecContext context, ExecNode input, TableWriter writer) : RowNode
{
    private readonly RowStore _returned = new(context.Spill);
    private RowStoreReader? _reader;
    private long _next;

    protected ExecContext Context { get; } = context;
    protected ExecNode Input { get; } = input;
    protected TableWriter Writer { get; } = writer;

    /// <summary>RETURNING; null when there is none.</summary>
    public Evaluator[]? Returning { get; set; }

    /// <summary>Rows inserted, updated or deleted by the last execution.</summary>
    public long Count { get; protected set; }

    public override void Open()
    {
        _returned.Clear();
        _reader = null;
        (_next, Count) = (0, 0);
        Writer.Reset();
        Input.Open();
        while (Input.Next())
        {
            Process();
        }

        Input.Close();
        Writer.Finish();
    }

    protected abstract void Process();

    protected void Return()
    {
        if (Returning is not null)
        {
            var row = new Datum[Returning.Length];
            for (int i = 0; i < row.Length; i++)
            {
                row[i] = Returning[i].Eval();
            }

            _returned.Add(row);
        }
    }

    public override bool Next()
    {
        if (_next >= _returned.Count)
        {
            return false;
        }

        Output.Values = (_reader ??= _returned.NewReader())[_next++];
        return true;
    }

    public override void Close()
    {
        _returned.Clear();
        Input.Close();
    }
}

public sealed class InsertNode(ExecContext context, ExecNode input, TableWriter writer, Evaluator[] values, Slot newRow) : ModifyNode(context, input, writer)
{
    protected override void Process()
    {
        // The row may be queued for foreign keys, so each has an array of its own.
        var row = new Datum[values.Length];
        for (int i = 0; i < row.Length; i++)
        {
            row[i] = values[i].Eval();
        }

        newRow.Values = row;
        Writer.Insert(row);
        Count++;
        Return();
    }
}

/// <summary>Where the changed table's columns lie in the input's row.</summary>
public sealed class TargetRow(SlotRef place, SlotRef?[] columns)
{
    public bool IsNull => place.Slot.Values[place.Index].IsNull;
    public Tid Tid => SystemColumn.Unpack(place.Slot.Values[place.Index].Bits);

    public Datum[] Take()
    {
        var row = new Datum[columns.Length];
        for (int i = 0; i < row.Length; i++)
        {
            row[i] = columns[i] is { } c ? c.Slot.Values[c.Index] : Datum.Null;
        }

        return row;
    }

    /// <summary>Puts another version of the row in its place.</summary>
    public void Replace(Datum[] values, Tid tid)
    {
        // Kept rows are shared with others: the slot gets an array of its own.
        place.Slot.Values = [.. place.Slot.Values];
        for (int i = 0; i < columns.Length; i++)
        {
            if (columns[i] is { } c)
            {
                c.Slot.Values[c.Index] = values[i];
            }
        }

        place.Slot.Values[place.Index] = Datum.FromInt64(SystemColumn.Pack(tid));
    }
}

/// <summary>UPDATE and DELETE: rows by their place; rows that others changed meanwhile are tested anew (EvalPlanQual).</summary>
public abstract class ChangeNode(ExecContext context, ExecNode input, TableWriter writer, TargetRow target, Func<bool> isRepeatableRead) : ModifyNode(context, input, writer)
{
    protected TargetRow Target { get; } = target;

    /// <summary>WHERE and join conditions, over the input's row.</summary>
    public Evaluator? Recheck { get; set; }

    protected override void Process()
    {
        if (Target.IsNull)
        {
            return;
        }

        while (true)
        {
            ModifyResult result = Change(out bool done);
            switch (result.Outcome)
            {
                case ModifyOutcome.Ok:
                    Count++;
                    Return();
                    return;
                case ModifyOutcome.SelfModified:
                    // Changed by this very statement already: a join gave the row twice.
                    return;
                case ModifyOutcome.Updated or ModifyOutcome.Deleted when isRepeatableRead():
                    throw new PgException(SqlStates.SerializationFailure,
                        result.Outcome == ModifyOutcome.Updated ? "could not serialize access due to concurrent update" : "could not serialize access due to concurrent delete");
                case ModifyOutcome.Updated:
                    if (!FollowUpdate(result.NewTid))
                    {
                        return;
                    }

                    break;
                default:
                    return;
            }

            _ = done;
        }
    }

    protected abstract ModifyResult Change(out bool done);

    private bool FollowUpdate(Tid newTid)
    {
        Tid tid = newTid;
        ModifyResult locked = Writer.Heap.Lock(Context.Transaction, ref tid, Context.Snapshot, LockMode, LockWait.Wait, true);
        if (locked.Outcome != ModifyOutcome.Ok)
        {
            return false;
        }

        var values = new Datum[Writer.Table.Desc.Count];
        if (!Writer.Heap.TryFetchVersion(tid, values))
        {
            return false;
        }

        Target.Replace(values, tid);
        return Recheck is null || Recheck.IsTrue();
    }

    protected abstract RowLockMode LockMode { get; }
}

public sealed class UpdateNode(ExecContext context, ExecNode input, TableWriter writer, TargetRow target, Evaluator?[] values, Slot newRow, bool keyMayChange, Func<bool> isRepeatableRead)
    : ChangeNode(context, input, writer, target, isRepeatableRead)
{
    protected override RowLockMode LockMode => keyMayChange ? RowLockMode.Exclusive : RowLockMode.NoKeyExclusive;

    protected override ModifyResult Change(out bool done)
    {
        done = false;
        Datum[] old = Target.Take();
        var row = new Datum[values.Length];
        for (int i = 0; i < row.Length; i++)
        {
            row[i] = values[i] is { } v ? v.Eval() : old[i];
        }

        newRow.Values = row;
        return Writer.Update(Target.Tid, old, row);
    }
}

public sealed class DeleteNode(ExecContext context, ExecNode input, TableWriter writer, TargetRow target, Slot oldRow, Func<bool> isRepeatableRead)
    : ChangeNode(context, input, writer, target, isRepeatableRead)
{
    protected override RowLockMode LockMode => RowLockMode.Exclusive;

    protected override ModifyResult Change(out bool done)
    {
        done = false;
        Datum[] old = Writer.NeedsOldRow || Returning is not null ? Target.Take() : [];
        oldRow.Values = old;
        return Writer.Delete(Target.Tid, old);
    }
}
