using SharedStorage.Format.Tuples;

namespace SharedStorage.Sql.Execute.Spill;

/// <summary>Rows in the order in which they were written, in blocks of a temporary file that other tapes share: a sorted run, a partition of a hash table.</summary>
internal sealed class RowTape(SpillOwner owner, TempFile file)
{
    private readonly List<TempExtent> _extents = [];
    private byte[]? _block;
    private int _used;

    public long Count { get; private set; }

    public void Add(ReadOnlySpan<Datum> row)
    {
        RowBuffer scratch = owner.Scratch;
        scratch.Clear();
        scratch.Add(row);
        Count++;
        if (_used + scratch.Length > TempFile.BlockSize)
        {
            Flush();
        }

        if (scratch.Length > TempFile.BlockSize)
        {
            _extents.Add(file.Write(scratch.Written));
            return;
        }

        scratch.Written.CopyTo((_block ??= new byte[TempFile.BlockSize]).AsSpan(_used));
        _used += scratch.Length;
    }

    /// <summary>No row follows: its memory goes.</summary>
    public void Finish()
    {
        Flush();
        _block = null;
    }

    /// <param name="release">The rows are not read again: their blocks are free as soon as they are read.</param>
    public RowTapeReader Read(bool release)
    {
        Finish();
        return new RowTapeReader(owner, file, _extents, release);
    }

    private void Flush()
    {
        if (_used > 0)
        {
            _extents.Add(file.Write(_block.AsSpan(0, _used)));
            _used = 0;
        }
    }
}

internal sealed class RowTapeReader(SpillOwner owner, TempFile file, List<TempExtent> extents, bool release)
{
    private byte[] _block = [];
    private int _next, _at, _length;

    /// <summary>The next row, in an array of its own; null at the end.</summary>
    public Datum[]? Next()
    {
        if (_at >= _length)
        {
            if (_next >= extents.Count)
            {
                return null;
            }

            TempExtent extent = extents[_next++];
            if (_block.Length < extent.Length)
            {
                _block = new byte[Math.Max(extent.Length, TempFile.BlockSize)];
            }

            file.Read(extent, _block);
            (_at, _length) = (0, extent.Length);
            if (release)
            {
                file.Free(extent);
            }
        }

        return owner.Scratch.Read(_block.AsSpan(0, _length), ref _at);
    }
}
