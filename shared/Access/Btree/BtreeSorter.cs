using System.Buffers.Binary;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Access.Btree;

/// <summary>
/// Sorts the entries of an index to be built, in memory: the entries as bytes in chunks, and for each a number made of the beginning of its first column that
/// settles most comparisons.
/// </summary>
internal sealed class BtreeSorter(BtreeSchema schema, BtreeTuples tuples)
{
    private const int ChunkSize = 1 << 20;

    /// <summary>More entries than this do not fit the memory of a node that also serves; a sort on disk is not there yet.</summary>
    private const long MaxBytes = 8L << 30;

    private struct Entry
    {
        public long Prefix;
        public uint Chunk;
        public int Offset;

        /// <summary>-1 before all values, 1 behind them (null first column), else 0.</summary>
        public sbyte NullOrder;

        public bool IsAlive;
    }

    private readonly List<byte[]> _chunks = [new byte[ChunkSize]];
    private readonly byte[] _scratch = new byte[Page.Size];
    private Entry[] _entries = new Entry[1024];
    private int _used;

    public int Count { get; private set; }

    /// <exception cref="PgException">The entry is too large (54000), or all are (53200).</exception>
    public void Add(ReadOnlySpan<Datum> values, Tid tid, bool isAlive)
    {
        int size = tuples.FormLeaf(values, tid, _scratch);
        if (_used + size > ChunkSize)
        {
            if ((long)_chunks.Count * ChunkSize >= MaxBytes)
            {
                throw new PgException(SqlStates.OutOfMemory, $"index \"{schema.Name}\" is too large to be sorted in memory");
            }

            _chunks.Add(new byte[ChunkSize]);
            _used = 0;
        }

        _scratch.AsSpan(0, size).CopyTo(_chunks[^1].AsSpan(_used));
        if (Count == _entries.Length)
        {
            Array.Resize(ref _entries, Count * 2);
        }

        ref Entry entry = ref _entries[Count++];
        entry.Chunk = (uint)(_chunks.Count - 1);
        entry.Offset = _used;
        entry.IsAlive = isAlive;
        SetPrefix(ref entry, TupleOf(entry));
        _used += size;
    }

    public void Sort() => _entries.AsSpan(0, Count).Sort(Compare);

    public IndexTuple this[int index] => TupleOf(_entries[index]);

    /// <summary>Whether no snapshot to come sees the row: it is in the index for old ones, and no duplicate.</summary>
    public bool IsAlive(int index) => _entries[index].IsAlive;

    /// <summary>The order of two entries by their key columns alone.</summary>
    public int CompareKeys(IndexTuple a, IndexTuple b)
    {
        for (int i = 0; i < schema.KeyCount; i++)
        {
            int order = CompareColumn(i, a, b);
            if (order != 0)
            {
                return order;
            }
        }

        return 0;
    }

    private IndexTuple TupleOf(in Entry entry) => new(_chunks[(int)entry.Chunk].AsSpan(entry.Offset));

    private int Compare(Entry a, Entry b)
    {
        if (a.NullOrder != b.NullOrder)
        {
            return a.NullOrder.CompareTo(b.NullOrder);
        }

        int order = a.Prefix.CompareTo(b.Prefix);
        if (order != 0)
        {
            return order;
        }

        IndexTuple left = TupleOf(a);
        IndexTuple right = TupleOf(b);
        order = CompareKeys(left, right);
        return order != 0 ? order : left.RawTid.CompareTo(right.RawTid);
    }

    private int CompareColumn(int column, IndexTuple a, IndexTuple b)
    {
        KeyColumn c = schema.Columns[column];
        bool leftNull = a.IsNull(column);
        if (leftNull || b.IsNull(column))
        {
            return leftNull == b.IsNull(column) ? 0 : leftNull == c.NullsFirst ? -1 : 1;
        }

        if (c.Kind == KeyComparison.Number)
        {
            int order = IndexColumns.Number(schema.Desc, a, column).CompareTo(IndexColumns.Number(schema.Desc, b, column));
            return c.Descending ? -order : order;
        }

        var key = new KeyPart(IndexValues.Plain(IndexColumns.Value(schema.Desc, b, column)), null);
        int byValue = schema.CompareNotNull(column, a, key);
        return c.Descending ? -byValue : byValue;
    }

    /// <summary>A number that never contradicts the order: equal ones say nothing.</summary>
    private void SetPrefix(ref Entry entry, IndexTuple tuple)
    {
        KeyColumn c = schema.Columns[0];
        if (tuple.IsNull(0))
        {
            entry.NullOrder = c.NullsFirst ? (sbyte)-1 : (sbyte)1;
            return;
        }

        long prefix = 0;
        if (c.Kind == KeyComparison.Number)
        {
            prefix = IndexColumns.Number(schema.Desc, tuple, 0);
        }
        else if (c.Kind == KeyComparison.Bytes)
        {
            if (!IndexColumns.TryPayload(schema.Desc, tuple, 0, out ReadOnlySpan<byte> payload))
            {
                payload = IndexValues.Plain(IndexColumns.Value(schema.Desc, tuple, 0)).Bytes;
            }

            Span<byte> first = stackalloc byte[sizeof(long)];
            first.Clear();
            payload[..Math.Min(payload.Length, first.Length)].CopyTo(first);
            prefix = (long)(BinaryPrimitives.ReadUInt64BigEndian(first) ^ 0x8000_0000_0000_0000UL);
        }

        entry.Prefix = c.Descending ? ~prefix : prefix;
    }
}
