using SharedStorage.Format.Tuples;
using SharedStorage.Sql.Execute.Nodes;

namespace SharedStorage.Sql.Execute.Spill;

/// <summary>
/// Sorts rows, equal ones in the order in which they came (PostgreSQL's tuplesort.c). What does not fit into memory becomes sorted runs on tapes, which are merged, in several
/// passes when there are more runs than memory has buffers for.
/// </summary>
internal sealed class RowSorter(SpillOwner owner, Comparison<Datum[]> compare, CancelFlag cancel)
{
    /// <summary>PostgreSQL's MINORDER and MAXORDER: fewer make too many passes, more gain nothing.</summary>
    private const int LeastOrder = 6, MostOrder = 500;

    private readonly List<Datum[]> _rows = [];
    private List<RowTape> _runs = [];
    private TempFile? _file;
    private Datum[][] _sorted = [];
    private int _next;
    private Merge? _merge;

    /// <summary>Bytes of rows in memory before they become a run.</summary>
    public long Limit { get; set; } = owner.SortMemory;

    /// <summary>Bytes of rows in memory.</summary>
    public long Held { get; private set; }

    public long Count { get; private set; }
    public bool IsOnDisk => _file is not null;

    /// <summary>Takes the row; the array is not changed afterwards.</summary>
    public void Add(Datum[] row)
    {
        _rows.Add(row);
        Count++;
        Held += RowBuffer.SizeOf(row);
        if (Held > Limit)
        {
            WriteRun();
        }
    }

    /// <summary>No row follows: they can be read in order.</summary>
    public void Finish()
    {
        if (_runs.Count == 0)
        {
            _sorted = [.. _rows];
            _rows.Clear();
            MergeSort.Sort(_sorted, compare);
            _next = 0;
            return;
        }

        WriteRun();
        int order = (int)Math.Clamp(owner.SortMemory / (2 * TempFile.BlockSize), LeastOrder, MostOrder);
        while (_runs.Count > order)
        {
            var next = new List<RowTape>();
            foreach (RowTape[] some in _runs.Chunk(order))
            {
                var into = new RowTape(owner, _file!);
                var merge = new Merge(some, compare);
                while (merge.Next() is { } row)
                {
                    cancel.Check();
                    into.Add(row);
                }

                into.Finish();
                next.Add(into);
            }

            _runs = next;
        }

        _merge = new Merge(_runs, compare);
    }

    /// <summary>The next row in order, once; null at the end.</summary>
    public Datum[]? Next() => _merge is not null ? _merge.Next() : _next < _sorted.Length ? _sorted[_next++] : null;

    /// <summary>Forgets the rows; others can be sorted.</summary>
    public void Clear()
    {
        _file?.Dispose();
        (_file, _merge) = (null, null);
        _rows.Clear();
        _runs = [];
        _sorted = [];
        (Held, Count, _next) = (0, 0, 0);
    }

    private void WriteRun()
    {
        if (_rows.Count == 0)
        {
            return;
        }

        Datum[][] rows = [.. _rows];
        _rows.Clear();
        Held = 0;
        MergeSort.Sort(rows, compare);
        _file ??= owner.NewFile();
        var run = new RowTape(owner, _file);
        foreach (Datum[] row in rows)
        {
            cancel.Check();
            run.Add(row);
        }

        run.Finish();
        _runs.Add(run);
    }

    /// <summary>The rows of some runs in order; of equal ones those of the earlier run first.</summary>
    private sealed class Merge
    {
        private readonly RowTapeReader[] _readers;
        private readonly PriorityQueue<int, (Datum[] Row, int Run)> _heads;
        private int _last = -1;

        public Merge(IReadOnlyList<RowTape> runs, Comparison<Datum[]> compare)
        {
            _readers = [.. runs.Select(r => r.Read(release: true))];
            _heads = new PriorityQueue<int, (Datum[] Row, int Run)>(_readers.Length, Comparer<(Datum[] Row, int Run)>.Create((a, b) =>
            {
                int c = compare(a.Row, b.Row);
                return c != 0 ? c : a.Run.CompareTo(b.Run);
            }));
            for (int i = 0; i < _readers.Length; i++)
            {
                Enqueue(i);
            }
        }

        public Datum[]? Next()
        {
            if (_last >= 0)
            {
                Enqueue(_last);
            }

            if (!_heads.TryDequeue(out _last, out (Datum[] Row, int Run) head))
            {
                _last = -1;
                return null;
            }

            return head.Row;
        }

        private void Enqueue(int run)
        {
            if (_readers[run].Next() is { } row)
            {
                _heads.Enqueue(run, (row, run));
            }
        }
    }
}
