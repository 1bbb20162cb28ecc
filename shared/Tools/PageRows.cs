using System.Text;
using SharedStorage.Format.Pages;
using SharedStorage.Format.Tuples;
using SharedStorage.Primitives;

namespace SharedStorage.Tools;

/// <summary>Page header, line pointers and rows as pageinspect's page_header and heap_page_items show them (rawpage.c, heapfuncs.c).</summary>
internal static class PageRows
{
    public static void Header(Page page, RowWriter table)
    {
        if (table.Begin("page_header", "lsn|checksum|flags|lower|upper|special|pagesize|version|prune_xid"))
        {
            ref PageHeader h = ref page.Header;
            table.Row(page.Lsn, (short)h.Checksum, (ushort)h.Flags, h.Lower, h.Upper, h.Special, h.SizeAndVersion & 0xFF00, h.SizeAndVersion & 0xFF, h.PruneXid);
        }
    }

    public static void HeapItems(Page page, RowWriter table)
    {
        if (!table.Begin("heap_page_items", "lp|lp_off|lp_flags|lp_len|t_xmin|t_xmax|t_field3|t_ctid|t_infomask2|t_infomask|t_hoff|t_bits|t_oid|t_data"))
        {
            return;
        }

        for (int item = 1; item <= page.ItemCount; item++)
        {
            ItemId id = page.Item(item);

            // Shown only when the row lies within the page; what is in it may still be wrong.
            if (id.HasStorage && id.Length >= Page.AlignUp(HeapTupleHeader.Size) && id.Offset == Page.AlignUp(id.Offset) && id.Offset + id.Length <= Page.Size)
            {
                HeapRow(item, id, page.ItemBytes(item), table);
            }
            else
            {
                table.Row(item, id.Offset, (int)id.State, id.Length, null, null, null, null, null, null, null, null, null, null);
            }
        }
    }

    public static void LinePointers(Page page, RowWriter table)
    {
        if (table.Begin("line_pointers", "lp|lp_off|lp_flags|lp_len|data"))
        {
            for (int item = 1; item <= page.ItemCount; item++)
            {
                ItemId id = page.Item(item);
                bool inside = id.HasStorage && id.Offset + id.Length <= Page.Size;
                table.Row(item, id.Offset, (int)id.State, id.Length, inside ? Hex(page.Bytes.Slice(id.Offset, id.Length)) : null);
            }
        }
    }

    public static void Special(Page page, RowWriter table)
    {
        if (page.Header.Special is >= PageHeader.Size and < Page.Size && table.Begin("special", "offset|data"))
        {
            table.Row(page.Header.Special, Hex(page.SpecialSpace));
        }
    }

    private static void HeapRow(int item, ItemId id, ReadOnlySpan<byte> bytes, RowWriter table)
    {
        HeapTupleHeader h = System.Runtime.InteropServices.MemoryMarshal.Read<HeapTupleHeader>(bytes);
        bool sound = h.HeaderLength >= HeapTupleHeader.Size && h.HeaderLength <= id.Length && h.HeaderLength == Page.AlignUp(h.HeaderLength);
        string? bits = null;
        uint? oid = null;
        if (sound && (h.InfoMask & HeapInfoMask.HasNull) != 0)
        {
            int length = (h.AttributeCount + 7) / 8;
            bits = length <= h.HeaderLength - HeapTupleHeader.Size ? Bits(bytes.Slice(HeapTupleHeader.Size, length)) : null;
        }

        if (sound && (h.InfoMask & HeapInfoMask.HasOidOld) != 0)
        {
            oid = BitConverter.ToUInt32(bytes[(h.HeaderLength - sizeof(uint))..]);
        }

        table.Row(
            item, id.Offset, (int)id.State, id.Length, h.RawXmin, h.RawXmax, (int)h.RawCommandId, Place(h.Ctid), (ushort)h.InfoMask2, (ushort)h.InfoMask, h.HeaderLength, bits, oid,
            sound ? Hex(bytes[h.HeaderLength..]) : null);
    }

    public static string Place(Tid tid) => $"({tid.Block.Value},{tid.Offset})";

    private static string Hex(ReadOnlySpan<byte> bytes) => "\\x" + Convert.ToHexStringLower(bytes);

    /// <summary>The first column's bit first; 1 is not null.</summary>
    private static string Bits(ReadOnlySpan<byte> bitmap)
    {
        var text = new StringBuilder(bitmap.Length * 8);
        foreach (byte b in bitmap)
        {
            for (int bit = 0; bit < 8; bit++)
            {
                text.Append((b >> bit) & 1);
            }
        }

        return text.ToString();
    }
}
