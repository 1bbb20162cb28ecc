using SharedStorage.Access.Btree;
using SharedStorage.Buffers;
using SharedStorage.Format.Compression;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Visibility;

namespace SharedStorage.Access.Heap;

/// <summary>Values that are stored compressed or in a TOAST table, made whole (detoast.c, toast_internals.c).</summary>
public static class Detoaster
{
    /// <summary>Replaces each TOASTed value of a row by the value itself.</summary>
    public static void Replace(StorageEngine engine, Relation relation, Span<Datum> values)
    {
        for (int i = 0; i < values.Length; i++)
        {
            if (!values[i].IsNull && values[i].Object is ToastedValue toasted)
            {
                values[i] = Datum.FromBytes(Fetch(engine, relation, toasted));
            }
        }
    }

    /// <summary>The value's payload.</summary>
    /// <exception cref="StorageException">Chunks are missing or damaged.</exception>
    public static byte[] Fetch(StorageEngine engine, Relation relation, ToastedValue value)
    {
        if (!value.IsExternal)
        {
            return Decompress(value.Raw.AsSpan(Varlena.HeaderSize), value.RawSize);
        }

        ToastPointer pointer = value.Pointer;
        byte[] stored = FetchStored(engine, relation, pointer);
        return pointer.IsCompressed ? Decompress(stored, pointer.RawSize - Varlena.HeaderSize) : stored;
    }

    /// <summary>The bytes in the TOAST table: the payload, or the word with raw size and method and the compressed data.</summary>
    internal static byte[] FetchStored(StorageEngine engine, Relation relation, in ToastPointer pointer)
    {
        (Relation toast, IndexInfo index) = TablesOf(relation);
        byte[] stored = new byte[pointer.StoredSize];
        int at = 0;
        int sequence = 0;
        var chunk = new Datum[3];
        using BtreeScan scan = new BtreeIndex(engine, index).Scan([new BtreeScanKey(0, BtreeStrategy.Equal, Datum.FromOid(pointer.ValueId))]);
        while (scan.Next())
        {
            if (!TryReadChunk(engine, toast, scan.Tid, chunk))
            {
                continue;
            }

            byte[] data = chunk[2].Bytes;
            if (chunk[1].Int32 != sequence || at + data.Length > stored.Length)
            {
                throw new StorageException(
                    $"unexpected chunk number {chunk[1].Int32} (expected {sequence}) for toast value {pointer.ValueId} in {toast.Name}");
            }

            data.CopyTo(stored, at);
            at += data.Length;
            sequence++;
        }

        return at == stored.Length ? stored
            : throw new StorageException($"missing chunk number {sequence} for toast value {pointer.ValueId} in {toast.Name}");
    }

    internal static (Relation Table, IndexInfo Index) TablesOf(Relation relation) =>
        relation.Toast is { } table && relation.ToastIndex is { } index ? (table, index)
            : throw new StorageException($"\"{relation.Name}\" has a TOASTed value and no TOAST table");

    private static bool TryReadChunk(StorageEngine engine, Relation toast, Tid tid, Datum[] chunk)
    {
        using PinnedPage page = engine.Buffers.Pin(new BufferTag(toast.Node, ForkNumber.Main, tid.Block));
        using SharedLatch latch = page.LatchShared();
        if (tid.Offset > page.Page.ItemCount || !page.Page.Item(tid.Offset).IsNormal)
        {
            return false;
        }

        Span<byte> row = page.Page.ItemBytes(tid.Offset);
        var context = new VisibilityContext(engine, page);
        if (!HeapVisibility.SatisfiesToast(ref context, ref HeapTupleCodec.Header(row)))
        {
            return false;
        }

        HeapTupleCodec.Deform(toast.Desc, row, chunk);
        return true;
    }

    /// <summary>Decompresses data that begins with the word of raw size and method.</summary>
    private static byte[] Decompress(ReadOnlySpan<byte> stored, int rawSize)
    {
        if (stored.Length < sizeof(uint))
        {
            throw new StorageException("a compressed value is too short");
        }

        uint info = System.Buffers.Binary.BinaryPrimitives.ReadUInt32LittleEndian(stored);
        ReadOnlySpan<byte> data = stored[sizeof(uint)..];
        byte[] raw = new byte[rawSize];
        int written = (ToastCompression)(info >> 30) switch
        {
            ToastCompression.Pglz => Pglz.Decompress(data, raw),
            ToastCompression.Lz4 => Lz4.Decompress(data, raw),
            _ => -1,
        };
        return written == rawSize && rawSize == (int)(info & 0x3FFFFFFF) ? raw : throw new StorageException("compressed data is corrupted");
    }
}
