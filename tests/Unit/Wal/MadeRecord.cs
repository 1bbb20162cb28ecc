using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Redo;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Reading;

namespace SharedStorage.Unit.Wal;

/// <summary>A record that is put together by a test, as a reader of the log gets it: for redo of what stock PostgreSQL writes rarely, or never (malformed bodies).</summary>
internal static class MadeRecord
{
    public static readonly RelFileNode Relation = new(RelFileNode.DefaultTablespace, new Oid(5), new Oid(16400));

    public static BufferTag Tag(uint block) => new(Relation, ForkNumber.Main, new BlockNumber(block));

    /// <summary>Blocks are given with their id and data; none has an image.</summary>
    public static unsafe WalRecord Make(Rmgr rmgr, byte opCode, ReadOnlySpan<byte> body, params (int Id, uint Block, byte[] Data)[] blocks)
    {
        using var log = new WalLog();
        using (WalInserter wal = log.Start())
        {
            WalRecordBuilder builder = wal.Begin(new Xid(700)).AddData(body);
            foreach ((int id, uint block, byte[] data) in blocks)
            {
                builder.AddBlock(id, Tag(block), null, WalBlockFlags.NoImage).AddBlockData(id, data);
            }

            wal.Flush(wal.Insert(builder, rmgr, opCode));
        }

        using WalReader reader = log.Open();
        var record = new WalRecord();
        Assert.Equal(WalRead.Record, reader.Read(record));
        return record;
    }

    /// <summary>Redo through the table, as a node does it.</summary>
    public static byte[] Redo(WalRecord record, uint block, byte[]? page = null)
    {
        byte[] bytes = page is null ? new byte[Page.Size] : [.. page];
        new RedoTable().Apply(record, Tag(block), new Page(bytes));
        return bytes;
    }
}
