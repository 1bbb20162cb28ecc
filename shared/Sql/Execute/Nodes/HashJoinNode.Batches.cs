using SharedStorage.Format.Tuples;
using SharedStorage.Sql.Analyze;
using SharedStorage.Sql.Execute.Spill;

namespace SharedStorage.Sql.Execute.Nodes;

/// <summary>
/// The join in batches. Rows lie in the files with their key in front. The inner parts of the first level stay for as long as the node may be opened anew; what is read for
/// the last time gives its room back.
/// </summary>
public sealed partial class HashJoinNode
{
    private readonly Env _outerEnv;
    private SlotImage? _image;
    private readonly Stack<(RowTape? Inner, RowTape? Outer, int Level)> _waiting = new();
    private TempFile? _file;
    private Partitions? _innerParts, _outerParts;
    private RowTapeReader? _outerRows;

    private SlotImage Image => _image ??= new SlotImage(_outerEnv);

    /// <summary>The inner side is too large: what is in memory goes to the files, the rest follows.</summary>
    private void BeginParts()
    {
        _file = _context.Spill.NewFile();
        _innerParts = new Partitions(_context.Spill, _file, 0);
        PartTable(_innerParts);
    }

    private void AddToPart(Partitions parts, Datum[] key, Datum[] row) => parts.Add(parts.NumberOf(_comparer.GetHashCode(key)), [.. key, .. row]);

    private void BeginBatches()
    {
        ForgetTable();
        _waiting.Clear();
        _outerRows = null;
        _outerParts = new Partitions(_context.Spill, _file!, 0);
    }

    /// <summary>Reads the outer side into its parts. True: this row needs no partner to be looked for, so it goes on at once.</summary>
    private bool PartOuter()
    {
        bool alone = _kind is JoinKind.Left or JoinKind.Full or JoinKind.Anti;
        while (_outerParts is not null && _outer.Next())
        {
            if (_context.Cancel.IsSet)
            {
                _context.Cancel.Check();
            }

            if (ReadOuterKey())
            {
                int number = _outerParts.NumberOf(_comparer.GetHashCode(_key));
                if (_innerParts![number] is not null)
                {
                    Datum[] row = Image.Take(_key.Length);
                    _key.CopyTo(row, 0);
                    _outerParts.Add(number, row);
                    continue;
                }
            }

            if (alone)
            {
                (_haveOuter, _matched, _current) = (true, false, null);
                return true;
            }
        }

        if (_outerParts is not null)
        {
            _outerParts.Finish();
            Push(_innerParts!, _outerParts, 0);
            _outerParts = null;
        }

        return false;
    }

    private void Push(Partitions inner, Partitions outer, int level)
    {
        for (int i = 0; i < Partitions.Fan; i++)
        {
            // Outer rows alone are still rows of the answer, unless the join wants partners.
            bool outerAlone = outer[i] is not null && (_kind is JoinKind.Left or JoinKind.Anti);
            if (_kind == JoinKind.Full ? inner[i] is not null || outer[i] is not null : outerAlone || (inner[i] is not null && outer[i] is not null))
            {
                _waiting.Push((inner[i], outer[i], level));
            }
        }
    }

    /// <summary>Loads the next part's inner rows; false when there is none.</summary>
    private bool NextBatch()
    {
        while (_waiting.TryPop(out (RowTape? Inner, RowTape? Outer, int Level) batch))
        {
            ForgetTable();
            _unmatched = -1;
            if (batch.Inner is null || Load(batch.Inner, batch.Outer, batch.Level))
            {
                _outerRows = (batch.Outer ?? new RowTape(_context.Spill, _file!)).Read(release: true);
                return true;
            }
        }

        return false;
    }

    /// <summary>False: the part does not fit either and was parted again.</summary>
    private bool Load(RowTape inner, RowTape? outer, int level)
    {
        RowTapeReader rows = inner.Read(release: level > 0);
        long limit = level == Partitions.LastLevel ? long.MaxValue : _context.Spill.HashMemory;
        int keys = _key.Length;
        Partitions? parts = null;
        while (rows.Next() is { } row)
        {
            Datum[] key = row[..keys];
            if (parts is not null)
            {
                parts.Add(parts.NumberOf(_comparer.GetHashCode(key)), row);
                continue;
            }

            bool hasNull = false;
            foreach (Datum d in key)
            {
                hasNull |= d.IsNull;
            }

            AddEntry(key, row[keys..], hasNull);

            // One key alone cannot be parted.
            if (_used > limit && _table.Count + (_all.Count > 0 ? 1 : 0) > 1)
            {
                parts = new Partitions(_context.Spill, _file!, level + 1);
                PartTable(parts);
            }
        }

        if (parts is null)
        {
            return true;
        }

        parts.Finish();
        var outerParts = new Partitions(_context.Spill, _file!, level + 1);
        RowTapeReader? outerRows = outer?.Read(release: true);
        while (outerRows?.Next() is { } row)
        {
            outerParts.Add(outerParts.NumberOf(_comparer.GetHashCode(row[..keys])), row);
        }

        outerParts.Finish();
        Push(parts, outerParts, level + 1);
        return false;
    }

    private void PartTable(Partitions parts)
    {
        foreach ((Datum[] key, Entry first) in _table)
        {
            for (Entry? e = first; e is not null; e = e.Next)
            {
                e.Matched = true;
                AddToPart(parts, key, e.Row);
            }
        }

        // Rows with a null in the key are in no chain; only a full join keeps them.
        foreach (Entry e in _all)
        {
            if (!e.Matched)
            {
                AddToPart(parts, Slot.NullRow(_key.Length), e.Row);
            }
        }

        ForgetTable();
    }

    private bool NextOfBatch()
    {
        if (_outerRows!.Next() is not { } row)
        {
            return false;
        }

        if (_context.Cancel.IsSet)
        {
            _context.Cancel.Check();
        }

        row.AsSpan(0, _key.Length).CopyTo(_key);
        Image.PutBack(row, _key.Length);
        (_haveOuter, _matched) = (true, false);
        _table.TryGetValue(_key, out _current);
        return true;
    }

    private void ForgetTable()
    {
        _table.Clear();
        _all.Clear();
        _used = 0;
    }

    private void ForgetRows()
    {
        ForgetTable();
        _image?.End();
        _waiting.Clear();
        _file?.Dispose();
        (_file, _innerParts, _outerParts, _outerRows) = (null, null, null, null);
    }
}
