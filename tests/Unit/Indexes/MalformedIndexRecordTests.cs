using System.Buffers.Binary;
using SharedStorage.Format.Index;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Redo;
using SharedStorage.Unit.Wal;
using SharedStorage.Wal;
using SharedStorage.Wal.Inserting;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Records;

namespace SharedStorage.Unit.Indexes;

/// <summary>Records of GiST, SP-GiST, BRIN and Generic whose bodies make no sense, or make sense by chance: redo refuses them by name, and touches nothing but its page.</summary>
public sealed class MalformedIndexRecordTests : IDisposable
{
    private const int Rounds = 400;
    private const int Guard = 64;
    private const byte Canary = 0xA5;
    private readonly WalLog _log = new();

    public void Dispose() => _log.Dispose();

    [Theory]
    [InlineData(Rmgr.Gist, new byte[] { GistOp.PageUpdate, GistOp.Delete, GistOp.PageSplit, GistOp.PageDelete })]
    [InlineData(Rmgr.Spgist, new byte[]
    {
        SpgistOp.AddLeaf, SpgistOp.MoveLeaves, SpgistOp.AddNode, SpgistOp.SplitTuple, SpgistOp.PickSplit, SpgistOp.VacuumLeaf, SpgistOp.VacuumRoot, SpgistOp.VacuumRedirect,
    })]
    [InlineData(Rmgr.Brin, new byte[]
    {
        BrinOp.CreateIndex, BrinOp.Insert, BrinOp.Insert | BrinOp.InitPage, BrinOp.Update, BrinOp.SamePageUpdate, BrinOp.RevmapExtend, BrinOp.Desummarize,
    })]
    [InlineData(Rmgr.Generic, new byte[] { 0 })]
    public void Redo_of_a_body_made_of_chance_is_refused_or_stays_on_its_page(Rmgr rmgr, byte[] ops)
    {
        var random = new Random(15);
        WriteRecords(rmgr, ops, random);
        var table = new RedoTable();
        byte[] memory = new byte[Guard + Page.Size + Guard];
        using WalReader reader = _log.Open();
        var record = new WalRecord();
        int applied = 0;
        int refused = 0;
        while (reader.Read(record) == WalRead.Record)
        {
            for (int id = 0; id < record.BlockCount; id++)
            {
                Array.Fill(memory, Canary);
                var page = new Page(memory.AsSpan(Guard, Page.Size));
                Fill(page, rmgr, random);
                try
                {
                    table.Apply(record, record.Block(id).Tag, page);
                    Assert.Equal(record.End, page.Lsn);
                    applied++;
                }
                catch (StorageException)
                {
                    refused++;
                }

                Assert.True(memory.AsSpan(0, Guard).IndexOfAnyExcept(Canary) < 0 && memory.AsSpan(Guard + Page.Size).IndexOfAnyExcept(Canary) < 0, record.ToString());
            }
        }

        Assert.True(applied > 0 && refused > 0, $"{applied} applied, {refused} refused");
    }

    [Theory]
    [InlineData(Rmgr.Gist, (byte)0x40)]
    [InlineData(Rmgr.Spgist, (byte)0x00)]
    [InlineData(Rmgr.Spgist, (byte)0x90)]
    [InlineData(Rmgr.Brin, (byte)0x60)]
    [InlineData(Rmgr.Brin, BrinOp.CreateIndex | BrinOp.InitPage)]
    [InlineData(Rmgr.Generic, (byte)0x10)]
    public void An_op_code_that_PostgreSQL_15_does_not_have_is_refused_with_its_position(Rmgr rmgr, byte op)
    {
        WriteRecords(rmgr, [op], new Random(1));
        using WalReader reader = _log.Open();
        var record = new WalRecord();
        Assert.Equal(WalRead.Record, reader.Read(record));
        byte[] memory = new byte[Page.Size];
        var refused = Assert.Throws<StorageException>(() => new RedoTable().Apply(record, record.Block(0).Tag, new Page(memory)));
        Assert.Contains(record.Start.ToString(), refused.Message, StringComparison.Ordinal);
    }

    private unsafe void WriteRecords(Rmgr rmgr, byte[] ops, Random random)
    {
        using WalInserter wal = _log.Start();
        byte[] bytes = new byte[200];
        for (int i = 0; i < Rounds * ops.Length; i++)
        {
            WalRecordBuilder builder = wal.Begin(new Xid(7));
            for (int id = 0; id < 4; id++)
            {
                var tag = new BufferTag(new RelFileNode(RelFileNode.DefaultTablespace, new Oid(5), new Oid(16384)), ForkNumber.Main, new BlockNumber((uint)id));
                builder.AddBlock(id, tag, null, WalBlockFlags.NoImage).AddBlockData(id, Chance(bytes, random));
            }

            wal.Insert(builder.AddData(Chance(bytes, random)), rmgr, ops[i % ops.Length]);
        }

        wal.Flush(wal.Reserved);
    }

    /// <summary>Mostly small numbers, since counts and item numbers are; and sizes of entries that fit.</summary>
    private static ReadOnlySpan<byte> Chance(byte[] bytes, Random random)
    {
        int length = random.Next(bytes.Length);
        for (int at = 0; at + 1 < bytes.Length; at += 2)
        {
            int value = random.Next(8) switch
            {
                0 => random.Next(65536),
                1 => random.Next(64) * 8,
                2 => 64,
                _ => random.Next(4),
            };
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(at), (ushort)value);
        }

        return bytes.AsSpan(0, length);
    }

    /// <summary>A page of the method with some items, some of them empty line pointers or placeholders.</summary>
    private static void Fill(Page page, Rmgr rmgr, Random random)
    {
        switch (rmgr)
        {
            case Rmgr.Gist:
                GistPage.Initialize(page, GistPageFlags.Leaf);
                break;
            case Rmgr.Spgist:
                SpgistPage.Initialize(page, SpgistPageFlags.Leaf);
                SpgistPage.Opaque(page).Placeholders = 2;
                SpgistPage.Opaque(page).Redirections = 2;
                break;
            case Rmgr.Brin:
                BrinPage.Initialize(page, (BrinPageType)(random.Next(3) + (int)BrinPageType.Meta));
                break;
            default:
                page.Initialize(0);
                break;
        }

        Span<byte> item = stackalloc byte[32];
        int count = random.Next(6);
        for (int i = 1; i <= count && !(rmgr == Rmgr.Brin && BrinPage.Type(page) != BrinPageType.Regular); i++)
        {
            random.NextBytes(item);
            BinaryPrimitives.WriteUInt16LittleEndian(item[6..], 32);
            if (rmgr == Rmgr.Spgist && random.Next(2) == 0)
            {
                SpgistTuple.WriteDead(item, (SpgistTupleState)random.Next(1, 4), Tid.Invalid, Xid.Invalid);
            }

            IndexPage.Add(page, item, i);
        }
    }
}
