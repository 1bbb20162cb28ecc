using SharedStorage.Format.Tuples;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Execute.Nodes;

/// <summary>
/// INTERSECT and EXCEPT, with or without ALL, by counting equal rows on both sides (nodeSetOp.c). When the rows of the left side do not fit into memory, both sides are parted
/// by hash into files and counted part by part.
/// </summary>
public sealed class SetOperationExecNode(ExecContext context, RowNode left, RowNode right, SetOperator op, bool all, int columns, PgType[] types) : RowNode
{
    private const int Overhead = 120;

    private readonly KeyComparer _comparer = new(types);
    private readonly Dictionary<Datum[], Counts> _table = new(new KeyComparer(types));
    private readonly List<(Datum[] Row, Counts Counts)> _rows = [];
    private readonly Stack<(RowTape Left, RowTape? Right, int Level)> _waiting = new();
    private TempFile? _file;
    private int _next;
    private long _repeat, _used;

    private sealed class Counts
    {
        public long Left { get; set; }
        public long Right { get; set; }
    }

    public override void Open()
    {
        Forget();
        Partitions? parts = null;
        left.Open();
        while (left.Next())
        {
            context.Cancel.Check();
            AddLeft(left.Output.Values.AsSpan(0, columns).ToArray(), 1, ref parts, 0);
        }

        left.Close();
        Partitions? rightParts = parts is null ? null : new Partitions(context.Spill, _file!, 0);
        right.Open();
        while (right.Next())
        {
            context.Cancel.Check();
            AddRight(right.Output.Values.AsSpan(0, columns), rightParts);
        }

        right.Close();
        Push(parts, rightParts);
    }

    /// <summary>A row in a file has behind its columns how often it came.</summary>
    private void AddLeft(Datum[] row, long times, ref Partitions? parts, int level)
    {
        if (parts is not null)
        {
            parts.Add(parts.NumberOf(_comparer.GetHashCode(row)), [.. row, Datum.FromInt64(times)]);
            return;
        }

        if (!_table.TryGetValue(row, out Counts? counts))
        {
            _table[row] = counts = new Counts();
            _rows.Add((row, counts));
            _used += RowBuffer.SizeOf(row) + Overhead;
        }

        counts.Left += times;
        if (_used > context.Spill.HashMemory && level <= Partitions.LastLevel)
        {
            _file ??= context.Spill.NewFile();
            parts = new Partitions(context.Spill, _file, level);
            foreach ((Datum[] kept, Counts c) in _rows)
            {
                parts.Add(parts.NumberOf(_comparer.GetHashCode(kept)), [.. kept, Datum.FromInt64(c.Left)]);
            }

            ForgetTable();
        }
    }

    private void AddRight(ReadOnlySpan<Datum> row, Partitions? parts)
    {
        Datum[] key = row.ToArray();
        if (parts is not null)
        {
            parts.Add(parts.NumberOf(_comparer.GetHashCode(key)), row);
        }
        else if (_table.TryGetValue(key, out Counts? counts))
        {
            counts.Right++;
        }
    }

    private void Push(Partitions? parts, Partitions? rightParts)
    {
        parts?.Finish();
        rightParts?.Finish();
        for (int i = 0; parts is not null && i < Partitions.Fan; i++)
        {
            if (parts[i] is { } tape)
            {
                _waiting.Push((tape, rightParts![i], parts.Level + 1));
            }
        }
    }

    private bool NextPart()
    {
        if (!_waiting.TryPop(out (RowTape Left, RowTape? Right, int Level) part))
        {
            return false;
        }

        ForgetTable();
        Partitions? parts = null;
        RowTapeReader rows = part.Left.Read(release: true);
        while (rows.Next() is { } row)
        {
            context.Cancel.Check();
            AddLeft(row[..columns], row[columns].Int64, ref parts, part.Level);
        }

        Partitions? rightParts = parts is null ? null : new Partitions(context.Spill, _file!, part.Level);
        rows = (part.Right ?? new RowTape(context.Spill, _file!)).Read(release: true);
        while (rows.Next() is { } row)
        {
            context.Cancel.Check();
            AddRight(row, rightParts);
        }

        Push(parts, rightParts);
        return true;
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
                if (!NextPart())
                {
                    return false;
                }

                continue;
            }

            (Datum[] row, Counts c) = _rows[_next++];
            Output.Values = row;
            _repeat = op == SetOperator.Intersect
                ? all ? Math.Min(c.Left, c.Right) : c.Right > 0 ? 1 : 0
                : all ? Math.Max(0, c.Left - c.Right) : c.Right == 0 ? 1 : 0;
        }
    }

    private void ForgetTable()
    {
        _table.Clear();
        _rows.Clear();
        (_next, _repeat, _used) = (0, 0, 0);
    }

    private void Forget()
    {
        ForgetTable();
        _waiting.Clear();
        _file?.Dispose();
        _file = null;
    }

    public override void Close()
    {
        Forget();
        left.Close();
        right.Close();
    }
}
