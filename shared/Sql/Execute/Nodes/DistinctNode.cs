using SharedStorage.Format.Tuples;
using SharedStorage.Sql.Execute.Spill;
using SharedStorage.Sql.Types;

namespace SharedStorage.Sql.Execute.Nodes;

/// <summary>
/// DISTINCT: the first row of each key, in the order of the input. When the keys fill the memory, rows with other keys go to files by their hash, each part is looked through
/// by itself, and what is left is brought back into order.
/// </summary>
public sealed class DistinctNode : RowNode
{
    private const int Overhead = 32;

    private readonly ExecContext _context;
    private readonly RowNode _input;
    private readonly int[] _columns;
    private readonly KeyComparer _comparer;
    private readonly HashSet<Datum[]> _seen;
    private readonly RowSorter _late;
    private readonly Stack<(RowTape Rows, int Level)> _waiting = new();
    private TempFile? _file;
    private long _used;
    private bool _lateReady;

    public DistinctNode(ExecContext context, RowNode input, int[] columns, PgType[] types)
    {
        (_context, _input, _columns) = (context, input, columns);
        _comparer = new KeyComparer(types);
        _seen = new HashSet<Datum[]>(_comparer);

        // Behind its columns a row has its number.
        _late = new RowSorter(context.Spill, static (a, b) => a[^1].Int64.CompareTo(b[^1].Int64), context.Cancel);
    }

    public override void Open()
    {
        Forget();
        _input.Open();
    }

    public override bool Next()
    {
        if (_lateReady)
        {
            return NextLate();
        }

        while (_input.Next())
        {
            Datum[] key = KeyOf(_input.Output.Values);
            if (_used > _context.Spill.HashMemory)
            {
                PartRest(key);
                return NextLate();
            }

            if (_seen.Add(key))
            {
                _used += RowBuffer.SizeOf(key) + Overhead;
                Output.Values = _input.Output.Values;
                return true;
            }
        }

        return false;
    }

    private bool NextLate()
    {
        if (_late.Next() is not { } row)
        {
            return false;
        }

        Output.Values = row;
        return true;
    }

    private Datum[] KeyOf(Datum[] row)
    {
        var key = new Datum[_columns.Length];
        for (int i = 0; i < key.Length; i++)
        {
            key[i] = row[_columns[i]];
        }

        return key;
    }

    private void PartRest(Datum[] first)
    {
        _file = _context.Spill.NewFile();
        _late.Limit = _context.Spill.SortMemory;
        var parts = new Partitions(_context.Spill, _file, 0);
        long number = 0;
        Datum[]? key = first;
        while (key is not null)
        {
            _context.Cancel.Check();
            if (!_seen.Contains(key))
            {
                parts.Add(parts.NumberOf(_comparer.GetHashCode(key)), [.. _input.Output.Values, Datum.FromInt64(number++)]);
            }

            key = _input.Next() ? KeyOf(_input.Output.Values) : null;
        }

        Push(parts);
        while (_waiting.TryPop(out (RowTape Rows, int Level) part))
        {
            ReadPart(part.Rows, part.Level);
        }

        _seen.Clear();
        _late.Finish();
        _lateReady = true;
    }

    private void ReadPart(RowTape tape, int level)
    {
        long limit = level == Partitions.LastLevel ? long.MaxValue : _context.Spill.HashMemory;
        Partitions? parts = null;
        _seen.Clear();
        _used = 0;
        RowTapeReader rows = tape.Read(release: true);
        while (rows.Next() is { } row)
        {
            _context.Cancel.Check();
            Datum[] key = KeyOf(row);
            if (_used <= limit)
            {
                if (_seen.Add(key))
                {
                    _used += RowBuffer.SizeOf(key) + Overhead;
                    _late.Add(row);
                }
            }
            else if (!_seen.Contains(key))
            {
                parts ??= new Partitions(_context.Spill, _file!, level + 1);
                parts.Add(parts.NumberOf(_comparer.GetHashCode(key)), row);
            }
        }

        if (parts is not null)
        {
            Push(parts);
        }
    }

    private void Push(Partitions parts)
    {
        parts.Finish();
        for (int i = 0; i < Partitions.Fan; i++)
        {
            if (parts[i] is { } tape)
            {
                _waiting.Push((tape, parts.Level));
            }
        }
    }

    private void Forget()
    {
        _seen.Clear();
        _waiting.Clear();
        _late.Clear();
        _file?.Dispose();
        (_file, _used, _lateReady) = (null, 0, false);
    }

    public override void Close()
    {
        Forget();
        _input.Close();
    }
}
