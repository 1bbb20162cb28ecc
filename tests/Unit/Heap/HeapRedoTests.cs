using System.Globalization;
using SharedStorage.Access.Heap.Redo;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.TestKit;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;
using SharedStorage.Wal.Records;
using SharedStorage.Wal.Segments;

namespace SharedStorage.Unit.Heap;

/// <summary>Redo of heap records against the images that stock PostgreSQL adds to its log with wal_consistency_checking, and against its files.</summary>
public sealed class HeapRedoTests
{
    private const string Workload = """
        CREATE TABLE t (a int PRIMARY KEY, b text, c int) WITH (fillfactor = 70);
        CREATE TABLE child (a int REFERENCES t);
        INSERT INTO t SELECT i, repeat('x', i % 100), 0 FROM generate_series(1, 3000) i;
        INSERT INTO t SELECT -1, 'one row', 1;
        UPDATE t SET c = c + 1;
        UPDATE t SET c = c + 1;
        UPDATE t SET c = c + 1, b = 'same length';
        SELECT count(*) FROM t WHERE c > 0;
        VACUUM t;
        SELECT a FROM t WHERE a < 100 FOR SHARE;
        BEGIN; SELECT a FROM t WHERE a < 50 FOR KEY SHARE; SAVEPOINT s; UPDATE t SET c = 9 WHERE a < 50; ROLLBACK TO s; UPDATE t SET c = 8 WHERE a < 40; COMMIT;
        VACUUM (FREEZE) t;
        SELECT a FROM t WHERE a > 2900 FOR UPDATE;
        INSERT INTO child SELECT a FROM t WHERE a BETWEEN 1 AND 200;
        DELETE FROM t WHERE a > 1000 AND a % 3 = 0;
        DELETE FROM t WHERE a > 2500;
        VACUUM t;
        BEGIN; DELETE FROM t WHERE a > 2000; ROLLBACK;
        INSERT INTO t SELECT i, md5(i::text), 7 FROM generate_series(3000, 6000) i ON CONFLICT (a) DO UPDATE SET c = -1;
        UPDATE t SET a = a + 100000 WHERE a < 100 AND a > 200;
        UPDATE t SET b = repeat('long', 400) WHERE a % 10 = 0;
        VACUUM FREEZE t;
        CREATE TABLE big (v text); ALTER TABLE big ALTER v SET STORAGE EXTERNAL;
        INSERT INTO big SELECT repeat(md5(i::text), 500) FROM generate_series(1, 50) i;
        UPDATE big SET v = v || 'x'; DELETE FROM big WHERE v LIKE 'a%'; VACUUM big;
        CREATE TABLE n (x int, y text, z bigint);
        INSERT INTO n SELECT NULLIF(i % 3, 0), NULLIF(i::text, '5'), NULL FROM generate_series(1, 500) i;
        UPDATE n SET z = x; UPDATE n SET x = NULL; ANALYZE; VACUUM n; TRUNCATE n; INSERT INTO n VALUES (1, 'after', 2);
        CREATE TABLE frozen (a int); BEGIN; TRUNCATE frozen; COPY frozen FROM PROGRAM 'seq 1 2000' WITH (FREEZE); COMMIT;
        UPDATE frozen SET a = 0 WHERE a < 10; DELETE FROM frozen WHERE a > 1500; VACUUM frozen; DELETE FROM frozen WHERE a = 700; VACUUM FREEZE frozen;
        """;

    [SkippableFact]
    public void Redo_leaves_the_pages_that_PostgreSQL_had()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using StockPostgres server = StockPostgres.Create(["wal_consistency_checking = 'all'", "wal_keep_size = 4GB", "autovacuum = off", "max_prepared_transactions = 4"]);
        server.Start();
        server.Psql("CHECKPOINT");
        Lsn begin = Lsn.Parse(server.Psql("SELECT redo_lsn FROM pg_control_checkpoint()"));
        server.PsqlFile(Workload);
        server.Pgbench("-i", "-s", "1", "-q", "-I", "dtgvpf");
        server.Pgbench("-c", "4", "-t", "300");
        ShareRows(server);
        server.Psql("CHECKPOINT");
        server.Pgbench("-c", "2", "-t", "100");
        server.Psql("VACUUM");
        server.Psql("CHECKPOINT");
        Lsn end = Lsn.Parse(server.Psql("SELECT pg_current_wal_lsn()"));
        server.Stop();

        var walk = new Walk(server.DataDirectory);
        walk.Run(begin, end);
        Assert.Empty(walk.Differences);
        Assert.True(walk.Compared > 10000, $"{walk.Compared} images");
        string[] expected =
        [
            "Insert", "Delete", "Update", "HotUpdate", "Confirm", "Lock", "InPlace", "Prune", "Vacuum", "FreezePage", "Visible", "MultiInsert", "LockUpdated",
        ];
        Assert.True(expected.All(walk.Seen.ContainsKey), string.Join(' ', walk.Seen));
        walk.CompareFiles();
        Assert.Empty(walk.Differences);
    }

    /// <summary>A prepared transaction has updated rows whose key another one shares: later versions are locked too, by multixacts.</summary>
    private static void ShareRows(StockPostgres server) => server.PsqlFile("""
        BEGIN; UPDATE t SET c = c + 1 WHERE a < 5; PREPARE TRANSACTION 'updater';
        BEGIN; SELECT a FROM t WHERE a < 5 FOR KEY SHARE; PREPARE TRANSACTION 'sharer';
        BEGIN; SELECT a FROM t WHERE a < 3 FOR KEY SHARE; COMMIT;
        COMMIT PREPARED 'updater'; COMMIT PREPARED 'sharer';
        """);

    private sealed class Walk(string data)
    {
        private readonly Dictionary<BufferTag, byte[]> _pages = [];
        private readonly HashSet<BufferTag> _heapPages = [];

        public int Compared { get; private set; }
        public List<string> Differences { get; } = [];
        public SortedDictionary<string, int> Seen { get; } = new(StringComparer.Ordinal);

        public void Run(Lsn begin, Lsn end)
        {
            var directory = new WalDirectory(Path.Combine(data, "pg_wal"), 16 << 20, 0);
            using WalReader reader = WalReader.Open(directory, directory.ReadHistory(new TimelineId(1)), begin);
            reader.Limit = end;
            var record = new WalRecord();
            while (reader.Read(record) == WalRead.Record && Differences.Count < 10)
            {
                if (record.Rmgr == Rmgr.Storage && record.OpCode == 0x20)
                {
                    Forget(record);
                }

                Apply(record);
            }
        }

        /// <summary>Pages as redo left them against the files of the clean stop.</summary>
        public void CompareFiles()
        {
            int compared = 0;
            foreach ((BufferTag tag, byte[] page) in _pages)
            {
                string fork = tag.Fork == ForkNumber.VisibilityMap ? "_vm" : "";
                string path = Path.Combine(data, "base", tag.Rel.Database.Value.ToString(CultureInfo.InvariantCulture), tag.Rel.Relation.Value + fork);
                if (!_heapPages.Contains(tag) || tag.Rel.Tablespace != RelFileNode.DefaultTablespace || !File.Exists(path))
                {
                    continue;
                }

                byte[] file = File.ReadAllBytes(path);
                int offset = (int)tag.Block.Value * Page.Size;
                if (offset < file.Length)
                {
                    Compare("file", tag, page, file.AsSpan(offset, Page.Size).ToArray());
                    compared++;
                }
            }

            Assert.True(compared > 100, $"{compared} pages of files");
        }

        private void Apply(WalRecord record)
        {
            bool heap = record.Rmgr is Rmgr.Heap or Rmgr.Heap2;
            if (heap)
            {
                string name = record.Rmgr == Rmgr.Heap ? HeapInfo.HeapOp(record.Info).ToString() : HeapInfo.Heap2Op(record.Info).ToString();
                Seen[name] = Seen.GetValueOrDefault(name) + 1;
                Span<BufferTag> implied = stackalloc BufferTag[HeapRedo.MaxImpliedPages];
                int count = record.Rmgr == Rmgr.Heap ? HeapRedo.ImpliedPages(record, implied) : Heap2Redo.ImpliedPages(record, implied);
                foreach (BufferTag tag in implied[..count])
                {
                    if (_pages.TryGetValue(tag, out byte[]? map))
                    {
                        Redo(record, HeapRedo.Implied, tag, map);
                    }
                }
            }

            for (int id = 0; id < record.BlockCount; id++)
            {
                if (record.HasBlock(id))
                {
                    Apply(record, id, heap);
                }
            }
        }

        private void Apply(WalRecord record, int id, bool heap)
        {
            BufferTag tag = record.Block(id).Tag;
            bool known = _pages.TryGetValue(tag, out byte[]? page);
            page ??= new byte[Page.Size];
            if (record.Block(id).ApplyImage)
            {
                record.RestoreImage(id, page);
                new Page(page) { Lsn = record.End };
                _pages[tag] = page;
            }
            else if (heap && !known && !record.Block(id).WillInit && tag.Fork != ForkNumber.VisibilityMap)
            {
                Differences.Add($"{record}: {tag} is not known");
                return;
            }

            if (!heap)
            {
                return;
            }

            Redo(record, id, tag, page);
            _pages[tag] = page;
            _heapPages.Add(tag);
            if (record.Block(id).HasImage && !record.Block(id).ApplyImage)
            {
                byte[] image = new byte[Page.Size];
                record.RestoreImage(id, image);
                Compare(record.ToString(), tag, page, image);
                Compared++;
            }
        }

        private static void Redo(WalRecord record, int id, BufferTag tag, byte[] page)
        {
            if (record.Rmgr == Rmgr.Heap)
            {
                HeapRedo.Apply(record, id, tag, new Page(page));
            }
            else
            {
                Heap2Redo.Apply(record, id, tag, new Page(page));
            }
        }

        private void Compare(string what, BufferTag tag, byte[] ours, byte[] theirs)
        {
            byte[] a = (byte[])ours.Clone();
            byte[] b = (byte[])theirs.Clone();
            HeapMask.Apply(tag, a);
            HeapMask.Apply(tag, b);
            int at = a.AsSpan().CommonPrefixLength(b);
            if (at < Page.Size)
            {
                Differences.Add($"{what}: {tag} differs at {at}: {Convert.ToHexString(a, at, Math.Min(8, Page.Size - at))} for {Convert.ToHexString(b, at, Math.Min(8, Page.Size - at))}");
            }
        }

        /// <summary>A file is cut: what lay behind is gone.</summary>
        private void Forget(WalRecord record)
        {
            uint blocks = BitConverter.ToUInt32(record.MainData);
            uint relation = BitConverter.ToUInt32(record.MainData[12..]);
            foreach (BufferTag tag in _pages.Keys.Where(t => t.Rel.Relation.Value == relation && (t.Fork != ForkNumber.Main || t.Block.Value >= blocks)).ToList())
            {
                _pages.Remove(tag);
            }
        }
    }
}
