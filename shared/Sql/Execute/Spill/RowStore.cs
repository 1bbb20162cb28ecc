using SharedStorage.Format.Tuples;

namespace SharedStorage.Sql.Execute.Spill;

/// <summary>
/// Rows that are kept to be read again, forward, backward or by number: materialised inputs, WITH queries, cursors (PostgreSQL's tuplestore.c). In memory up to work_mem, then
/// in a temporary file; the rows since the last write stay in memory, so that reading behind a writer costs nothing.
/// </summary>
public sealed class RowStore(SpillOwner owner)
{
    /// <summary>Once it is in a file, so much is gathered before it is written: some blocks at a time.</summary>
    private const long Batch = 8 * TempFile.BlockSize;

    private readonly List<(long First, TempExtent Extent)> _extents = [];
    private readonly List<Datum[]> _tail = [];
    private TempFile? _file;
    private long _tailFirst, _tailSize;

    public long Count => _tailFirst + _tail.Count;
    public bool IsOnDisk => _file is not null;

    /// <summary>Keeps the row; the array is not changed afterwards.</summary>
    public void Add(Datum[] row)
    {
        _tail.Add(row);
        _tailSize += RowBuffer.SizeOf(row);
        if (_tailSize > (_file is null ? owner.SortMemory : Batch))
        {
            WriteTail();
        }
    }

    public void Clear()
    {
        _file?.Dispose();
        _file = null;
        _extents.Clear();
        _tail.Clear();
        (_tailFirst, _tailSize) = (0, 0);
    }

    /// <summary>A place to read from; several may read at once.</summary>
    public RowStoreReader NewReader() => new(this);

    internal Datum[] Get(long index, ref long blockFirst, ref Datum[][] block)
    {
        if (index >= _tailFirst)
        {
            return _tail[(int)(index - _tailFirst)];
        }

        if (index < blockFirst || index >= blockFirst + block.Length)
        {
            int at = _extents.BinarySearch((index, default), ByFirst);
            (blockFirst, block) = ReadBlock(at < 0 ? ~at - 1 : at);
        }

        return block[index - blockFirst];
    }

    private static readonly Comparer<(long First, TempExtent Extent)> ByFirst =
        Comparer<(long First, TempExtent Extent)>.Create(static (a, b) => a.First.CompareTo(b.First));

    private (long First, Datum[][] Rows) ReadBlock(int number)
    {
        (long first, TempExtent extent) = _extents[number];
        var bytes = new byte[extent.Length];
        _file!.Read(extent, bytes);
        var rows = new List<Datum[]>();
        for (int at = 0; at < bytes.Length;)
        {
            rows.Add(owner.Scratch.Read(bytes, ref at));
        }

        return (first, [.. rows]);
    }

    private void WriteTail()
    {
        _file ??= owner.NewFile();
        RowBuffer buffer = owner.Scratch;
        buffer.Clear();
        long first = _tailFirst;
        for (int i = 0; i < _tail.Count; i++)
        {
            buffer.Add(_tail[i]);
            if (buffer.Length >= TempFile.BlockSize * 3 / 4 || i == _tail.Count - 1)
            {
                _extents.Add((first, _file.Write(buffer.Written)));
                buffer.Clear();
                first = _tailFirst + i + 1;
            }
        }

        _tailFirst += _tail.Count;
        _tail.Clear();
        _tailSize = 0;
    }
}

/// <summary>Reads a <see cref="RowStore"/> by number and keeps the block that it read last.</summary>
public sealed class RowStoreReader(RowStore store)
{
    private Datum[][] _block = [];
    private long _blockFirst;

    public Datum[] this[long index] => store.Get(index, ref _blockFirst, ref _block);

    /// <summary>The store was cleared.</summary>
    public void Reset() => (_block, _blockFirst) = ([], 0);
}
