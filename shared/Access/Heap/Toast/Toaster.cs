using SharedStorage.Access.Btree;
using SharedStorage.Format.Compression;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Access.Heap;

/// <summary>
/// Makes rows that are too long fit (heap_toast_insert_or_update): compresses values, then moves them to the TOAST table, the longest first. Values of the old
/// version that stay keep their pointers; those that go are deleted.
/// </summary>
internal sealed class Toaster(StorageEngine engine, Relation relation)
{
    /// <summary>Rows longer than this are TOASTed, to at most this length: a quarter of a page (TOAST_TUPLE_THRESHOLD).</summary>
    public const int Threshold = 2032;

    /// <summary>What columns of storage "main" may fill at last: a whole page (TOAST_TUPLE_TARGET_MAIN).</summary>
    private const int MainTarget = 8160;

    /// <summary>A value that is not longer stays where it is: its pointer would not be shorter.</summary>
    private const int SmallestWorthIt = 24;

    /// <summary>Data bytes of a chunk: four rows on a page (TOAST_MAX_CHUNK_SIZE).</summary>
    private const int ChunkSize = 1996;

    private readonly TupleDesc _desc = relation.Desc;

    public static bool HasExternal(ReadOnlySpan<Datum> values)
    {
        foreach (ref readonly Datum value in values)
        {
            if (!value.IsNull && value.Object is ToastedValue { IsExternal: true })
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The values as they are to be stored. <paramref name="old"/> are those of the version that is replaced, or empty.</summary>
    public Datum[] Store(Transaction tx, ReadOnlySpan<Datum> values, ReadOnlySpan<Datum> old, HeapInsertOptions options)
    {
        Datum[] stored = values.ToArray();
        var settled = new bool[stored.Length];
        for (int i = 0; i < stored.Length; i++)
        {
            if (_desc[i].Length == -1)
            {
                Prepare(tx, i, ref stored[i], old.IsEmpty ? Datum.Null : old[i], ref settled[i]);
            }
        }

        var incompressible = new bool[stored.Length];
        int target = Threshold - HeaderLength(stored);
        while (DataSize(stored) > target && Biggest(stored, settled, incompressible, main: false) is >= 0 and int i)
        {
            if (_desc[i].Storage != 'x' || !TryCompress(_desc[i], ref stored[i]))
            {
                incompressible[i] = true;
            }

            if (StoredSize(stored[i]) > target && relation.Toast is not null)
            {
                stored[i] = MoveOut(tx, stored[i], options);
            }
        }

        while (relation.Toast is not null && DataSize(stored) > target && Biggest(stored, settled, null, main: false) is >= 0 and int i)
        {
            stored[i] = MoveOut(tx, stored[i], options);
        }

        while (DataSize(stored) > target && Biggest(stored, settled, incompressible, main: true) is >= 0 and int i)
        {
            incompressible[i] = !TryCompress(_desc[i], ref stored[i]);
        }

        target = MainTarget - HeaderLength(stored);
        while (relation.Toast is not null && DataSize(stored) > target && Biggest(stored, settled, null, main: true) is >= 0 and int i)
        {
            stored[i] = MoveOut(tx, stored[i], options);
        }

        return stored;
    }

    /// <summary>Deletes the values that a deleted row has in the TOAST table.</summary>
    public void Delete(Transaction tx, ReadOnlySpan<byte> row)
    {
        var values = new Datum[_desc.Count];
        HeapTupleCodec.Deform(_desc, row, values);
        foreach (Datum value in values)
        {
            if (!value.IsNull && value.Object is ToastedValue { IsExternal: true } toasted)
            {
                DeleteChunks(tx, toasted.Pointer);
            }
        }
    }

    /// <summary>Decides about one value: an unchanged one keeps its pointer, one from elsewhere is made whole, the old one's chunks go.</summary>
    private void Prepare(Transaction tx, int column, ref Datum value, in Datum old, ref bool settled)
    {
        ToastedValue? oldPointer = !old.IsNull && old.Object is ToastedValue { IsExternal: true } o ? o : null;
        ToastedValue? pointer = !value.IsNull && value.Object is ToastedValue { IsExternal: true } n ? n : null;
        if (oldPointer is not null)
        {
            if (IsSame(oldPointer, pointer, value))
            {
                value = old;
                settled = true;
                return;
            }

            DeleteChunks(tx, oldPointer.Pointer);
        }

        if (pointer is not null)
        {
            value = Datum.FromBytes(Detoaster.Fetch(engine, relation, pointer));
        }
        else if (_desc[column].Storage == 'p' && !value.IsNull && value.Object is ToastedValue compressed)
        {
            value = Datum.FromBytes(Detoaster.Fetch(engine, relation, compressed));
        }
    }

    /// <summary>Scans hand out values whole, so a value that an update does not change comes back as bytes: worth a look before it is stored again.</summary>
    private bool IsSame(ToastedValue old, ToastedValue? pointer, in Datum value)
    {
        if (pointer is not null)
        {
            return pointer.Raw.AsSpan().SequenceEqual(old.Raw);
        }

        return !value.IsNull && value.Object is byte[] bytes && bytes.Length == old.RawSize
            && Detoaster.Fetch(engine, relation, old).AsSpan().SequenceEqual(bytes);
    }

    private int DataSize(Datum[] values) => HeapTupleCodec.Size(_desc, values) - HeaderLength(values);

    private int HeaderLength(Datum[] values)
    {
        bool hasNulls = false;
        for (int i = 0; i < values.Length; i++)
        {
            hasNulls |= values[i].IsNull || _desc[i].IsDropped;
        }

        return Format.Pages.Page.AlignUp(HeapTupleHeader.Size + (hasNulls ? (values.Length + 7) >> 3 : 0));
    }

    /// <summary>The longest value that may still be compressed (<paramref name="incompressible"/> is given) or moved out; -1 for none.</summary>
    private int Biggest(Datum[] values, bool[] settled, bool[]? incompressible, bool main)
    {
        int best = -1;
        int size = SmallestWorthIt;
        for (int i = 0; i < values.Length; i++)
        {
            if (_desc[i].Length != -1 || values[i].IsNull || settled[i] || (main ? _desc[i].Storage != 'm' : _desc[i].Storage is not ('x' or 'e')))
            {
                continue;
            }

            var toasted = values[i].Object as ToastedValue;
            if (toasted is { IsExternal: true } || (incompressible is not null && (incompressible[i] || toasted is not null)))
            {
                continue;
            }

            int own = StoredSize(values[i]);
            if (own > size)
            {
                size = own;
                best = i;
            }
        }

        return best;
    }

    private static int StoredSize(in Datum value) => value.Object is ToastedValue toasted ? toasted.Raw.Length : value.Bytes.Length + Varlena.HeaderSize;

    /// <summary>Compresses a plain value by the column's method. False: that saves nothing.</summary>
    internal static bool TryCompress(TupleAttribute column, ref Datum value)
    {
        byte[] payload = value.Bytes;
        bool lz4 = column.Compression == 'l';
        byte[] compressed = new byte[lz4 ? payload.Length : Pglz.MaxOutput(payload.Length)];
        int size = lz4 ? Lz4.Compress(payload, compressed) : Pglz.Compress(payload, compressed);
        if (size <= 0 || size + Varlena.CompressedHeaderSize >= payload.Length - 2)
        {
            return false;
        }

        value = new ToastedValue(Varlena.MakeCompressed(payload.Length, lz4 ? ToastCompression.Lz4 : ToastCompression.Pglz, compressed.AsSpan(0, size))).ToDatum();
        return true;
    }

    /// <summary>Stores a value in the TOAST table and gives its pointer (toast_save_datum).</summary>
    private Datum MoveOut(Transaction tx, in Datum value, HeapInsertOptions options)
    {
        (Relation toast, IndexInfo info) = Detoaster.TablesOf(relation);
        byte[] data;
        ToastPointer pointer;
        Oid id = NewValueId(info);
        if (value.Object is ToastedValue compressed)
        {
            data = compressed.Raw[Varlena.HeaderSize..];
            uint method = (uint)Varlena.CompressedMethod(compressed.Raw);
            pointer = new ToastPointer(compressed.RawSize + Varlena.HeaderSize, (uint)data.Length | (method << 30), id, toast.Id);
        }
        else
        {
            data = value.Bytes;
            pointer = new ToastPointer(data.Length + Varlena.HeaderSize, (uint)data.Length, id, toast.Id);
        }

        var table = new HeapTable(engine, toast);
        var index = new BtreeIndex(engine, info);
        for (int at = 0, sequence = 0; at < data.Length; at += ChunkSize, sequence++)
        {
            byte[] chunk = data[at..Math.Min(at + ChunkSize, data.Length)];
            Datum[] row = [Datum.FromOid(id), Datum.FromInt32(sequence), Datum.FromBytes(chunk)];
            Tid tid = table.Insert(tx, row, options);
            index.Insert(tx, row.AsSpan(0, 2), tid, info.IsUnique ? UniqueCheck.Yes : UniqueCheck.No, table);
        }

        return new ToastedValue(pointer.ToBytes()).ToDatum();
    }

    /// <summary>A number that no value in the TOAST table has (GetNewOidWithIndex).</summary>
    private Oid NewValueId(IndexInfo info)
    {
        Func<Oid> next = engine.NewOid ?? throw new InvariantException("I4", "a node that does not write was asked for an object number");
        while (true)
        {
            Oid id = next();
            using BtreeScan scan = new BtreeIndex(engine, info).Scan([new BtreeScanKey(0, BtreeStrategy.Equal, Datum.FromOid(id))]);
            if (id.IsValid && !scan.Next())
            {
                return id;
            }
        }
    }

    private void DeleteChunks(Transaction tx, in ToastPointer pointer)
    {
        (Relation toast, IndexInfo info) = Detoaster.TablesOf(relation);
        var table = new HeapTable(engine, toast);
        var places = new List<Tid>();
        using (BtreeScan scan = new BtreeIndex(engine, info).Scan([new BtreeScanKey(0, BtreeStrategy.Equal, Datum.FromOid(pointer.ValueId))]))
        {
            while (scan.Next())
            {
                places.Add(scan.Tid);
            }
        }

        foreach (Tid tid in places)
        {
            table.DeleteChunk(tx, tid);
        }
    }
}
