using SharedStorage.Format.Tuples;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Execute.Nodes;

/// <summary>UNION ALL: one input after the other.</summary>
public sealed class AppendNode(RowNode[] inputs) : RowNode
{
    private int _current;

    public override void Open()
    {
        _current = 0;
        inputs[0].Open();
    }

    public override bool Next()
    {
        while (_current < inputs.Length)
        {
            if (inputs[_current].Next())
            {
                Output.Values = inputs[_current].Output.Values;
                return true;
            }

            inputs[_current].Close();
            if (++_current < inputs.Length)
            {
                inputs[_current].Open();
            }
        }

        return false;
    }

    public override void Close()
    {
        foreach (RowNode input in inputs)
        {
            input.Close();
        }
    }
}

/// <summary>INTERSECT and EXCEPT, with or without ALL, by counting equal rows on both sides.</summary>
public sealed class SetOperationExecNode(RowNode left, RowNode right, SetOperator op, bool all, int columns, PgType[] types) : RowNode
{
    private readonly List<(Datum[] Row, Counts Counts)> _rows = [];
    private int _next;
    private long _repeat;

    private sealed class Counts
    {
        public long Left { get; set; }
        public long Right { get; set; }
    }

    public override void Open()
    {
        _rows.Clear();
        (_next, _repeat) = (0, 0);
        var table = new Dictionary<Datum[], Counts>(new KeyComparer(types));
        left.Open();
        while (left.Next())
        {
            Datum[] row = left.Output.Values.AsSpan(0, columns).ToArray();
            if (!table.TryGetValue(row, out Counts? counts))
            {
                table[row] = counts = new Counts();
                _rows.Add((row, counts));
            }

            counts.Left++;
        }

        left.Close();
        right.Open();
        while (right.Next())
        {
            if (table.TryGetValue(right.Output.Values, out Counts? counts))
            {
                counts.Right++;
            }
        }

        right.Close();
    }

    public override bool Next()
    {
        while (true)
        {
            if (_repeat > 0)
            {
                _repeat--;
                return true;
            }

            if (_next >= _rows.Count)
            {
                return false;
            }

            (Datum[] row, Counts c) = _rows[_next++];
            Output.Values = row;
            _repeat = op == SetOperator.Intersect
                ? all ? Math.Min(c.Left, c.Right) : c.Right > 0 ? 1 : 0
                : all ? Math.Max(0, c.Left - c.Right) : c.Right == 0 ? 1 : 0;
        }
    }

    public override void Close()
    {
        _rows.Clear();
        left.Close();
        right.Close();
    }
}
