using System.Globalization;
using SharedStorage.Access.Btree.Redo;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Records;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Btree;

/// <summary>Redo of btree records against the images that stock PostgreSQL adds to its log with wal_consistency_checking.</summary>
public sealed class BtreeRedoTests
{
    private const string Workload = """
        CREATE TABLE t (a int, b text, c int);
        CREATE INDEX t_a ON t (a);
        CREATE INDEX t_b ON t (b text_pattern_ops, a);
        CREATE INDEX t_c ON t (c) WITH (fillfactor = 70);
        CREATE UNIQUE INDEX t_u ON t (a, b, c) WITH (deduplicate_items = off);
        CREATE INDEX t_null ON t ((CASE WHEN a % 3 = 0 THEN NULL ELSE b END));
        INSERT INTO t SELECT (i * 7919) % 20011, md5((i % 500)::text) || repeat('x', i % 200), i % 13 FROM generate_series(1, 30000) i;
        INSERT INTO t SELECT i, md5(i::text), 5 FROM generate_series(100000, 110000) i;
        UPDATE t SET c = c + 1 WHERE a % 5 = 0;
        DELETE FROM t WHERE a % 7 = 0;
        VACUUM t;
        INSERT INTO t SELECT (i * 31) % 20011, md5((i % 500)::text), i % 13 FROM generate_series(1, 8000) i;
        DELETE FROM t WHERE a BETWEEN 2000 AND 18000;
        VACUUM t;
        DELETE FROM t WHERE a > 100500;
        VACUUM t;
        VACUUM t;
        INSERT INTO t SELECT i, md5(i::text), i % 3 FROM generate_series(1, 6000) i;
        CREATE TABLE u (k int PRIMARY KEY, v int) WITH (fillfactor = 100);
        INSERT INTO u SELECT i, 0 FROM generate_series(1, 3000) i;
        CREATE INDEX u_v ON u (v);
        """;

    [SkippableFact]
    public void Redo_leaves_the_pages_that_PostgreSQL_had()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = StockPostgres.Create(["wal_consistency_checking = 'all'", "wal_keep_size = 4GB", "autovacuum = off"]);
        server.Start();
        server.Psql("CHECKPOINT");
        Lsn begin = Lsn.Parse(server.Psql("SELECT redo_lsn FROM pg_control_checkpoint()"));
        server.PsqlFile(Workload);

        // Updates that each change an indexed column fill leaves with dead versions: deletion by sessions.
        for (int i = 0; i < 6; i++)
        {
            server.Psql("UPDATE u SET v = v + 1");
            server.Psql("SET enable_seqscan = off; SELECT count(k) FROM u WHERE k > 0; SELECT count(v) FROM u WHERE v >= 0");
        }

        server.Psql("CHECKPOINT");
        server.Pgbench("-i", "-s", "1", "-q");
        server.Pgbench("-c", "4", "-t", "200");
        server.PsqlFile("INSERT INTO t SELECT i, md5(i::text), 50 + i % 3 FROM generate_series(1, 3000) i; VACUUM t; VACUUM u");
        server.StopImmediately();

        var seen = new SortedDictionary<byte, int>();
        int compared = Walk(server.DataDirectory, begin, seen);
        Assert.True(compared > 10000, $"{compared} images");
        byte[] expected =
        [
            BtreeOp.InsertLeaf, BtreeOp.InsertUpper, BtreeOp.SplitLeft, BtreeOp.SplitRight, BtreeOp.InsertPost, BtreeOp.Dedup, BtreeOp.Delete,
            BtreeOp.UnlinkPage, BtreeOp.NewRoot, BtreeOp.MarkPageHalfDead, BtreeOp.Vacuum, BtreeOp.MetaCleanup,
        ];
        Assert.True(expected.All(seen.ContainsKey), string.Join(' ', seen.Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.Key:X2}:{s.Value}"))));
    }

    private static int Walk(string data, Lsn begin, SortedDictionary<byte, int> seen)
    {
        var directory = new WalDirectory(Path.Combine(data, "pg_wal"), 16 << 20, 0);
        using WalReader reader = WalReader.Open(directory, directory.ReadHistory(new TimelineId(1)), begin);
        var pages = new Dictionary<BufferTag, byte[]>();
        var record = new WalRecord();
        byte[] expected = new byte[Page.Size];
        byte[] actual = new byte[Page.Size];
        int compared = 0;
        while (reader.Read(record) == WalRead.Record)
        {
            for (int id = 0; id < record.BlockCount; id++)
            {
                if (!record.HasBlock(id))
                {
                    continue;
                }

                WalBlock block = record.Block(id);
                if (!pages.TryGetValue(block.Tag, out byte[]? bytes))
                {
                    pages[block.Tag] = bytes = new byte[Page.Size];
                }

                var page = new Page(bytes);
                if (block.ApplyImage)
                {
                    record.RestoreImage(id, bytes);
                    page.Lsn = record.End;
                }

                if (record.Rmgr != Rmgr.Btree)
                {
                    continue;
                }

                seen[record.OpCode] = seen.GetValueOrDefault(record.OpCode) + 1;
                BtreeRedo.Apply(record, id, block.Tag, page);
                Assert.Equal(record.End, page.Lsn);
                if (!block.HasImage)
                {
                    continue;
                }

                record.RestoreImage(id, expected);
                bytes.CopyTo(actual, 0);
                BtreeMask.Apply(new Page(expected));
                BtreeMask.Apply(new Page(actual));
                int at = expected.AsSpan().CommonPrefixLength(actual);
                Assert.True(at == Page.Size, $"{record} block {id} {block.Tag} differs at byte {at}");
                compared++;
            }
        }

        return compared;
    }
}
