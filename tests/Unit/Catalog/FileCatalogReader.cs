using SharedStorage.Access;
using SharedStorage.Catalog;
using SharedStorage.Format.Compression;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Transactions;

namespace SharedStorage.Unit.Catalog;

/// <summary>
/// Reads rows straight from the files of a cleanly stopped directory: what has no deleter is visible. Indexes are not used: rows are compared with the keys.
/// </summary>
internal sealed class FileCatalogReader(string dataDirectory) : ICatalogReader
{
    public void Scan(CatalogRelation catalog, CatalogIndex? index, Datum[] keys, Snapshot? snapshot, Action<Datum[], Tid> visit)
    {
        Scans++;
        ReadRows(catalog.Relation, (values, tid) =>
        {
            for (int i = 0; i < keys.Length; i++)
            {
                int column = index!.Columns[i] - 1;
                if (BuiltInComparators.ForType(catalog.Table.Desc[column].TypeId.Value)!(values[column], keys[i]) != 0)
                {
                    return;
                }
            }

            visit(values, tid);
        });
    }

    public int Scans { get; private set; }

    /// <summary>All live rows, detoasted.</summary>
    public void ReadRows(Relation relation, Action<Datum[], Tid> visit)
    {
        string path = Path.Combine(dataDirectory, RelationFiles.RelativePath(relation.Node, ForkNumber.Main));
        byte[] file = File.ReadAllBytes(path);
        for (uint block = 0; (block + 1) * Page.Size <= file.Length; block++)
        {
            var page = new Page(file.AsSpan((int)block * Page.Size, Page.Size));
            for (ushort n = 1; n <= page.ItemCount; n++)
            {
                if (!page.Item(n).IsNormal)
                {
                    continue;
                }

                ReadOnlySpan<byte> tuple = page.ItemBytes(n);
                HeapTupleHeader header = HeapTupleCodec.ReadHeader(tuple);
                bool deleted = header.RawXmax != 0 && (header.InfoMask & HeapInfoMask.XmaxInvalid) == 0 && !header.XmaxIsLockedOnly;
                if (deleted || header.XminInvalid)
                {
                    continue;
                }

                var values = new Datum[relation.Desc.Count];
                HeapTupleCodec.Deform(relation.Desc, tuple, values);
                for (int i = 0; i < values.Length; i++)
                {
                    if (!values[i].IsNull && values[i].Object is ToastedValue toasted)
                    {
                        values[i] = Datum.FromBytes(Detoast(relation, toasted));
                    }
                }

                visit(values, new Tid(new BlockNumber(block), n));
            }
        }
    }

    private byte[] Detoast(Relation relation, ToastedValue toasted)
    {
        var raw = new byte[toasted.RawSize];
        if (!toasted.IsExternal)
        {
            Pglz.Decompress(toasted.Raw.AsSpan(Varlena.CompressedHeaderSize), raw);
            return raw;
        }

        var chunks = new SortedDictionary<int, byte[]>();
        ReadRows(relation.Toast!, (v, _) =>
        {
            if (v[0].Oid == toasted.Pointer.ValueId)
            {
                chunks[v[1].Int32] = v[2].Bytes;
            }
        });
        byte[] stored = [.. chunks.Values.SelectMany(c => c)];
        if (!toasted.Pointer.IsCompressed)
        {
            return stored;
        }

        Pglz.Decompress(stored.AsSpan(Varlena.HeaderSize), raw);
        return raw;
    }
}
