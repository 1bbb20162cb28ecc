using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Access.Btree;

/// <summary>Makes index entries: leaf entries from values, and the pivots that separate pages, cut to what is needed (nbtutils.c).</summary>
internal sealed class BtreeTuples
{
    private readonly BtreeSchema _schema;
    private readonly TupleDesc[] _prefixes;

    public BtreeTuples(BtreeSchema schema)
    {
        _schema = schema;
        _prefixes = new TupleDesc[schema.KeyCount + 1];
        for (int n = 0; n <= schema.KeyCount; n++)
        {
            _prefixes[n] = new TupleDesc(schema.Desc.Attributes[..n].ToArray());
        }
    }

    /// <summary>Writes a leaf entry; gives its size.</summary>
    /// <exception cref="PgException">54000: larger than a third of a page.</exception>
    public int FormLeaf(ReadOnlySpan<Datum> values, Tid tid, Span<byte> into)
    {
        int size = IndexTupleCodec.Size(_schema.Desc, values);
        return size <= BtreePage.MaxItemSize ? IndexTupleCodec.Form(_schema.Desc, values, tid, into) : throw TooLarge(size, tid);
    }

    /// <summary>
    /// Writes the high key for a leaf that ends with <paramref name="lastLeft"/> where the next begins with <paramref name="firstRight"/>: as many columns of
    /// the latter as tell them apart, and when none do, also the last place of the former (_bt_truncate).
    /// </summary>
    public int FormHighKey(IndexTuple lastLeft, IndexTuple firstRight, Span<byte> into)
    {
        int keyCount = _schema.KeyCount;
        int keep = ColumnsToKeep(lastLeft, firstRight);
        int columns = Math.Min(keep, keyCount);
        int size = CopyColumns(firstRight, columns, into);
        if (keep <= keyCount)
        {
            new IndexTuple(into[..size]).SetPivot(keep, heapTid: false);
            return size;
        }

        int withTid = size + Page.AlignUp(Tid.Size);
        into[size..withTid].Clear();
        IndexTuple.WriteSize(into, withTid);
        new IndexTuple(into[..withTid]).SetPivot(keyCount, heapTid: true);
        IndexTuple.WriteTid(into[(withTid - Tid.Size)..], lastLeft.MaxHeapTid);
        return withTid;
    }

    /// <summary>The first column, from 1, by whose order two leaf entries differ; one more than there are when none does.</summary>
    public int ColumnsToKeep(IndexTuple left, IndexTuple right)
    {
        int keep = 1;
        for (int i = 0; i < _schema.KeyCount; i++, keep++)
        {
            if (left.IsNull(i) != right.IsNull(i))
            {
                break;
            }

            if (left.IsNull(i) || SameStored(left, right, i))
            {
                continue;
            }

            var value = new KeyPart(IndexValues.Plain(IndexColumns.Value(_schema.Desc, right, i)), null);
            if (_schema.CompareNotNull(i, left, value) != 0)
            {
                break;
            }
        }

        return keep;
    }

    /// <summary>The same by the bytes of the values: cheaper, and what decides on merging (_bt_keep_natts_fast).</summary>
    public int ColumnsToKeepByBytes(IndexTuple left, IndexTuple right)
    {
        int keep = 1;
        for (int i = 0; i < _schema.KeyCount; i++, keep++)
        {
            if ((left.IsPivot && i >= left.PivotColumns) || left.IsNull(i) != right.IsNull(i) || (!left.IsNull(i) && !SameStored(left, right, i)))
            {
                break;
            }
        }

        return keep;
    }

    private bool SameStored(IndexTuple left, IndexTuple right, int column)
    {
        bool plain = IndexColumns.TryPayload(_schema.Desc, left, column, out ReadOnlySpan<byte> a);
        if (plain == IndexColumns.TryPayload(_schema.Desc, right, column, out ReadOnlySpan<byte> b))
        {
            return a.SequenceEqual(b);
        }

        return IndexValues.Plain(IndexColumns.Value(_schema.Desc, left, column)).Bytes
            .AsSpan().SequenceEqual(IndexValues.Plain(IndexColumns.Value(_schema.Desc, right, column)).Bytes);
    }

    private int CopyColumns(IndexTuple from, int columns, Span<byte> into)
    {
        if (columns == _schema.ColumnCount)
        {
            int size = from.KeySize;
            from.Bytes[..size].CopyTo(into);
            IndexTuple.WriteSize(into, size);
            return size;
        }

        Datum[] values = new Datum[columns];
        IndexTupleCodec.Deform(_prefixes[columns], from.Bytes, columns, values);
        return IndexTupleCodec.Form(_prefixes[columns], values, from.RawTid, into);
    }

    private PgException TooLarge(int size, Tid tid) => new(
        SqlStates.ProgramLimitExceeded,
        $"index row size {size} exceeds btree version {BtreeMeta.CurrentVersion} maximum {BtreePage.MaxItemSize} for index \"{_schema.Name}\"")
    {
        Detail = $"Index row references tuple ({tid.Block.Value},{tid.Offset}) in its table.",
        Hint = "Values larger than 1/3 of a buffer page cannot be indexed.\n"
            + "Consider a function index of an MD5 hash of the value, or use full text indexing.",
    };
}
