using System.Buffers.Binary;
using SharedStorage.Access.Heap;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Wal;

namespace SharedStorage.Access.Sequence.Redo;

/// <summary>A sequence's record carries its one row, so its page is made anew each time (PostgreSQL's seq_redo, sequence.c).</summary>
public static class SequenceRedo
{
    private const byte LogOp = 0x00;
    private const uint Magic = 0x1717;

    /// <exception cref="StorageException">I10: unknown op code or malformed body.</exception>
    public static void Apply(WalRecord record, Page page)
    {
        if (record.OpCode != LogOp)
        {
            throw record.Malformed("unknown op code of sequences");
        }

        ReadOnlySpan<byte> row = record.MainData;
        if (row.Length <= RelFileNode.Size)
        {
            throw record.Malformed("a sequence without its row");
        }

        row = row[RelFileNode.Size..];
        page.Initialize(sizeof(uint));
        BinaryPrimitives.WriteUInt32LittleEndian(page.SpecialSpace, Magic);
        if (!HeapPage.TryPlace(page, 1, row.Length, out Span<byte> place))
        {
            throw record.Malformed("a sequence's row that does not fit its page");
        }

        row.CopyTo(place);
        page.Lsn = record.End;
    }
}
