using System.Buffers.Binary;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;
using SharedStorage.Wal;
using SharedStorage.Wal.Records;

namespace SharedStorage.Access.Heap.Redo;

/// <summary>
/// Redo of an update, for one of its pages. On one page for both versions the new row is put together from the record and from what it shares with the old
/// one (heap_xlog_update).
/// </summary>
internal static class HeapUpdateRedo
{
    public static void Apply(WalRecord record, int blockId, in BufferTag tag, Page page, bool hot)
    {
        HeapUpdateRecord body = HeapUpdateRecord.Read(record.MainData);
        bool onePage = !record.HasBlock(1);
        Span<byte> oldRow = default;
        if (onePage || blockId == 1)
        {
            oldRow = HeapRedo.RowBytes(record, page, body.OldOffset);
            ChangeOld(record, body, oldRow, page, hot);
        }

        if (blockId == 0)
        {
            if (!onePage && HeapInfo.IsInit(record.Info))
            {
                page.Initialize(0);
            }

            PlaceNew(record, body, oldRow, tag, page);
        }
    }

    private static void ChangeOld(WalRecord record, in HeapUpdateRecord body, Span<byte> oldRow, Page page, bool hot)
    {
        ref HeapTupleHeader row = ref HeapTupleCodec.Header(oldRow);
        HeapRow.SetInfoBits(ref row, body.OldBits);
        HeapRow.SetHotUpdated(ref row, hot);
        row.RawXmax = body.OldXmax.Value;
        HeapRow.SetCmax(ref row, CommandId.First, false);
        row.Ctid = new Tid(record.Block(0).Tag.Block, body.NewOffset);
        HeapPage.SetPrunable(page, record.Xid);
        if ((body.Flags & HeapUpdateFlags.OldAllVisibleCleared) != 0)
        {
            page.IsAllVisible = false;
        }
    }

    private static void PlaceNew(WalRecord record, in HeapUpdateRecord body, ReadOnlySpan<byte> oldRow, in BufferTag tag, Page page)
    {
        ReadOnlySpan<byte> data = record.BlockData(0);
        int prefix = TakeLength(ref data, (body.Flags & HeapUpdateFlags.PrefixFromOld) != 0);
        int suffix = TakeLength(ref data, (body.Flags & HeapUpdateFlags.SuffixFromOld) != 0);
        if (data.Length < HeapRowHeader.Size || ((prefix | suffix) != 0 && oldRow.IsEmpty))
        {
            throw HeapRedo.Malformed(record, "its new row is incomplete");
        }

        HeapRowHeader header = HeapRowHeader.Read(data);
        data = data[HeapRowHeader.Size..];
        Span<byte> row = HeapRedo.Place(record, page, body.NewOffset, HeapTupleHeader.Size + data.Length + prefix + suffix);
        Span<byte> rest = row[HeapTupleHeader.Size..];
        if (prefix > 0)
        {
            // The record has bitmap and padding first; the shared prefix is data.
            int bitmap = header.HeaderLength - HeapTupleHeader.Size;
            data[..bitmap].CopyTo(rest);
            oldRow.Slice(HeapTupleCodec.ReadHeader(oldRow).HeaderLength, prefix).CopyTo(rest[bitmap..]);
            data = data[bitmap..];
            rest = rest[(bitmap + prefix)..];
        }

        data.CopyTo(rest);
        if (suffix > 0)
        {
            oldRow[^suffix..].CopyTo(rest[data.Length..]);
        }

        HeapRedo.MakeHeader(record, row, header, body.NewXmax, new Tid(tag.Block, body.NewOffset));
        if ((body.Flags & HeapUpdateFlags.NewAllVisibleCleared) != 0)
        {
            page.IsAllVisible = false;
        }
    }

    private static int TakeLength(ref ReadOnlySpan<byte> data, bool present)
    {
        if (!present)
        {
            return 0;
        }

        int length = BinaryPrimitives.ReadUInt16LittleEndian(data);
        data = data[sizeof(ushort)..];
        return length;
    }
}
