using System.Text.Json;
using SharedStorage.Access.Brin.Redo;
using SharedStorage.Access.Btree.Redo;
using SharedStorage.Access.Generic.Redo;
using SharedStorage.Access.Gin.Redo;
using SharedStorage.Access.Gist.Redo;
using SharedStorage.Access.Hash.Redo;
using SharedStorage.Access.Heap.Redo;
using SharedStorage.Access.Sequence.Redo;
using SharedStorage.Access.Spgist.Redo;
using SharedStorage.Format.Pages;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Redo;
using SharedStorage.Recovery.Replay;
using SharedStorage.Recovery.Walcheck;
using SharedStorage.TestKit;
using SharedStorage.Wal;
using SharedStorage.Wal.Reading;

namespace SharedStorage.Golden;

/// <summary>
/// The short form of scripts/redo-oracle.sh: our redo against images and files of stock PostgreSQL; and the oracle itself against routines and files that are broken on purpose.
/// </summary>
public sealed class WalcheckTests(WalcheckTests.Log log) : IClassFixture<WalcheckTests.Log>
{
    /// <summary>A directory from before a mixed load, and the one that its clean stop left, with all log in between.</summary>
    public sealed class Log : IDisposable
    {
        private readonly StockPostgres? _base;
        private readonly StockPostgres? _server;

        public Log()
        {
            if (!StockPostgres.IsInstalled)
            {
                return;
            }

            Root = StockPostgres.NewRoot();
            _base = StockPostgres.Create(
                ["fsync = off", "wal_keep_size = 10GB", "max_wal_size = 4GB", "wal_consistency_checking = all", "wal_compression = lz4", "autovacuum_naptime = 1s", "max_prepared_transactions = 5"]);
            _server = _base.Clone();
            try
            {
                Write(_server);
            }
            catch
            {
                Dispose();
                throw;
            }
        }

        public string Root { get; } = "";
        public string Base => _base!.DataDirectory;
        public string Data => _server!.DataDirectory;
        public StockPostgres Server => _server!;

        /// <summary>The log up to here has records of all resource managers that write images; it is a small part of it all.</summary>
        public Lsn Early { get; private set; }

        /// <summary>Paths below the data directory.</summary>
        public string Table { get; private set; } = "";
        public string Index { get; private set; } = "";

        public WalcheckOptions Options => new() { Base = Base, Wal = Path.Combine(Data, "pg_wal"), Output = Path.Combine(Root, "differing"), MaxDetails = 2, Frames = 8192 };

        public void Dispose()
        {
            _server?.Dispose();
            _base?.Dispose();
            if (Root.Length > 0)
            {
                Directory.Delete(Root, recursive: true);
            }
        }

        private void Write(StockPostgres server)
        {
            string locks = Path.Combine(Root, "locks.sql");
            File.WriteAllText(locks, """
                \set a random(1, 20)
                BEGIN;
                SELECT k FROM oracle_locks WHERE k = :a FOR KEY SHARE;
                UPDATE oracle_locks SET v = v + 1 WHERE k = :a;
                COMMIT;
                """);
            server.Start();
            server.Psql("CREATE SEQUENCE early");
            server.Psql("SELECT nextval('early')");
            server.Psql("CREATE TABLE early_index (k int, a int[])");
            server.Psql("CREATE INDEX early_hash ON early_index USING hash (k)");
            server.Psql("CREATE INDEX early_gin ON early_index USING gin (a) WITH (fastupdate = off)");
            server.Psql("INSERT INTO early_index SELECT i, ARRAY[i, i % 3] FROM generate_series(1, 500) i");
            server.Pgbench("-i", "-s", "1", "-q", "--foreign-keys");
            server.Pgbench("-c", "4", "-t", "150", "-b", "tpcb-like", "-M", "prepared");
            server.PsqlFile("""
                CREATE EXTENSION bloom;
                CREATE TABLE early_shapes (i int, t text, p point);
                CREATE INDEX ON early_shapes USING gist (p);
                CREATE INDEX ON early_shapes USING spgist (t);
                CREATE INDEX ON early_shapes USING brin (i) WITH (pages_per_range = 1);
                CREATE INDEX ON early_shapes USING bloom (i);
                INSERT INTO early_shapes SELECT i, md5(i::text), point(i % 30, i % 7) FROM generate_series(1, 500) i;
                SELECT brin_summarize_new_values('early_shapes_i_idx');
                INSERT INTO early_shapes SELECT i, md5(i::text), point(i % 30, i % 7) FROM generate_series(1, 500) i;
                """);
            Early = Lsn.Parse(server.Psql("SELECT pg_current_wal_flush_lsn()"));
            server.PsqlFile(Script("redo-oracle.sql"));
            server.PsqlFile(Script("redo-oracle-indexes.sql"));
            server.PsqlFile(Script("redo-oracle-hashgin.sql"));
            server.Pgbench("-n", "-c", "4", "-t", "100", "-f", locks, "--max-tries=10");
            server.Psql("CHECKPOINT");
            server.Pgbench("-c", "4", "-t", "100", "-b", "simple-update");


            // Hints set after a checkpoint are logged then by records without their image.
            server.Psql("ALTER SYSTEM SET full_page_writes = off");
            server.Psql("SELECT pg_reload_conf()");
            server.Psql("UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid % 10 = 0");
            server.Psql("CHECKPOINT");
            server.Psql("SELECT count(*) FROM pgbench_accounts");
            server.Psql("ALTER SYSTEM RESET full_page_writes");
            server.Psql("SELECT pg_reload_conf()");
            server.Psql("VACUUM (FREEZE)");
            Table = server.Psql("SELECT pg_relation_filepath('pgbench_accounts')");
            Index = server.Psql("SELECT pg_relation_filepath('pgbench_accounts_pkey')");
            server.Psql("CREATE DATABASE copied STRATEGY wal_log");
            server.Psql("CREATE DATABASE dropped STRATEGY wal_log");
            server.Psql("DROP DATABASE dropped");
            server.Stop();
            server.Start("wal_level=minimal", "max_wal_senders=0");
            server.PsqlFile(Script("redo-oracle-minimal.sql"));
            server.Stop();
        }

        private static string Script(string name) => File.ReadAllText(Path.Combine(AppContext.BaseDirectory, name));
    }

    [SkippableFact]
    public void Redo_equals_each_image_and_each_file_of_PostgreSQL()
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        (int code, string output, string error) = ToolRunner.Run("walcheck", "--base", log.Base, "--wal", log.Options.Wal, "--against", log.Data, "--output", log.Options.Output!, "--json");
        Assert.True(output.StartsWith('{'), output + error);
        using var json = JsonDocument.Parse(output);
        JsonElement root = json.RootElement;
        Assert.True(code == 0 && root.GetProperty("clean").GetBoolean(), root.GetProperty("details").GetRawText() + root.GetProperty("files").GetRawText() + root.GetProperty("failure"));
        Assert.Equal(0, root.GetProperty("mismatches").GetInt64());
        Assert.True(root.GetProperty("compared").GetInt64() > 50_000, $"{root.GetProperty("compared")} pages compared");
        Assert.True(root.GetProperty("files").GetProperty("Pages").GetInt64() > 4_000, "few pages of files compared");
        foreach (string complete in (string[])["Sequence", "Hash", "Gin", "Gist", "SPGist", "BRIN", "Generic"])
        {
            // The log has each op code of these.
            Assert.Empty(root.GetProperty("neverMet").GetProperty(complete).EnumerateArray().Select(o => o.GetString()));
        }

        string[] met = [.. root.GetProperty("operations").EnumerateArray().Where(o => o.GetProperty("compared").GetInt64() > 0).Select(o => o.GetProperty("operation").GetString()!)];
        string[] needed =
        [
            "PRUNE", "VACUUM", "FREEZE_PAGE", "VISIBLE", "MULTI_INSERT", "LOCK_UPDATED", "INSERT", "DELETE", "UPDATE", "HOT_UPDATE", "LOCK", "INPLACE", "INSERT+INIT",
            "INSERT_LEAF", "INSERT_UPPER", "SPLIT_L", "SPLIT_R", "INSERT_POST", "DEDUP", "NEWROOT", "UNLINK_PAGE", "MARK_PAGE_HALFDEAD", "LOG",
        ];
        Assert.Empty(needed.Except(met));
    }

    [SkippableFact]
    public void Following_the_log_allocates_nothing_per_record()
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        using var replay = new OfflineReplay(new ReplayOptions { Base = log.Base, Wal = log.Options.Wal, To = log.Early, Frames = 64 }, TimeProvider.System);
        replay.Follow(CancellationToken.None);
        long before = replay.Tail.Records;
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(WalRead.End, replay.Tail.Run(Lsn.Max, CancellationToken.None));
        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        long records = replay.Tail.Records - before;
        Assert.True(records > 50_000, $"{records} records");

        // What is remembered grows (8 bytes for each transaction, relations dropped and cut); the smallest object for each record would be 24 bytes.
        Assert.InRange(allocated, 0, 12 * records);
    }

    [SkippableTheory]
    [InlineData(Rmgr.Heap, "does nothing")]
    [InlineData(Rmgr.Heap, "flips a bit")]
    [InlineData(Rmgr.Heap2, "does nothing")]
    [InlineData(Rmgr.Heap2, "flips a bit")]
    [InlineData(Rmgr.Btree, "does nothing")]
    [InlineData(Rmgr.Btree, "flips a bit")]
    [InlineData(Rmgr.Hash, "does nothing")]
    [InlineData(Rmgr.Hash, "flips a bit")]
    [InlineData(Rmgr.Gin, "does nothing")]
    [InlineData(Rmgr.Gin, "flips a bit")]
    [InlineData(Rmgr.Sequence, "does nothing")]
    [InlineData(Rmgr.Sequence, "flips a bit")]
    [InlineData(Rmgr.Gist, "does nothing")]
    [InlineData(Rmgr.Gist, "flips a bit")]
    [InlineData(Rmgr.Spgist, "does nothing")]
    [InlineData(Rmgr.Spgist, "flips a bit")]
    [InlineData(Rmgr.Brin, "does nothing")]
    [InlineData(Rmgr.Brin, "flips a bit")]
    [InlineData(Rmgr.Generic, "does nothing")]
    [InlineData(Rmgr.Generic, "flips a bit")]
    public void A_broken_redo_routine_is_found(Rmgr rmgr, string fault)
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        using var checker = new WalChecker(log.Options with { To = log.Early }, TimeProvider.System);
        checker.Redo.Replace(rmgr, fault == "does nothing" ? (_, _, in _, _) => { } : FlipsABit(rmgr));
        WalcheckReport report = checker.Run(CancellationToken.None);

        Assert.False(report.IsClean);
        Assert.Null(report.Failure);
        Assert.All(report.Rows().Where(r => r.Mismatches > 0), r => Assert.Equal(rmgr, r.Rmgr));
        Assert.True(report.Rows().Any(r => r.Rmgr == rmgr && r.Mismatches > 0), $"no mismatch of {rmgr}");
        PageMismatch first = report.Details[0];
        Assert.True(first.Lsn.IsValid && first.Offset >= 0, first.ToString());
        Assert.Equal(Page.Size, new FileInfo(first.Ours!).Length);
        Assert.Equal(Page.Size, new FileInfo(first.Theirs!).Length);
    }

    [SkippableFact]
    public void Changed_files_are_found()
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        using StockPostgres copy = log.Server.Clone();
        string data = copy.DataDirectory;
        Flip(Path.Combine(data, log.Table), (3 * Page.Size) + 8000);
        Flip(Path.Combine(data, log.Table + "_vm"), PageHeader.Size);
        Flip(Path.Combine(data, "pg_xact/0000"), 300);
        Flip(Path.Combine(data, "pg_multixact/members/0000"), 4);
        Flip(Path.Combine(data, "global/pg_filenode.map"), 100);
        using (FileStream cut = File.OpenWrite(Path.Combine(data, log.Index)))
        {
            cut.SetLength(cut.Length - Page.Size);
        }

        using var checker = new WalChecker(log.Options with { Against = data }, TimeProvider.System);
        WalcheckReport report = checker.Run(CancellationToken.None);

        Assert.False(report.IsClean);
        Assert.Equal(0, report.Mismatches);
        Assert.Equal(2, report.Files!.DifferingPages);
        Assert.Equal(2, report.Files.DifferingSlruPages);
        Assert.Equal(1, report.Files.DifferingMaps);
        Assert.Contains(log.Index, Assert.Single(report.Files.Problems), StringComparison.Ordinal);
    }

    [SkippableFact]
    public void A_base_that_does_not_fit_the_log_is_refused()
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        (int code, _, string error) = ToolRunner.Run("walcheck", "--base", log.Base, "--wal", log.Root);
        Assert.Equal(1, code);
        Assert.Contains("checkpoint", error, StringComparison.Ordinal);
    }

    /// <summary>The right routine, and then one bit of the newest row or entry is wrong.</summary>
    private static PageRoutine FlipsABit(Rmgr rmgr)
    {
        return (WalRecord record, int id, in BufferTag tag, Page page) =>
        {
            switch (rmgr)
            {
                case Rmgr.Heap:
                    HeapRedo.Apply(record, id, tag, page);
                    break;
                case Rmgr.Heap2:
                    Heap2Redo.Apply(record, id, tag, page);
                    break;
                case Rmgr.Btree:
                    BtreeRedo.Apply(record, id, tag, page);
                    break;
                case Rmgr.Hash:
                    HashRedo.Apply(record, id, tag, page);
                    break;
                case Rmgr.Gin:
                    GinRedo.Apply(record, id, tag, page);
                    break;
                case Rmgr.Gist:
                    GistRedo.Apply(record, id, tag, page);
                    break;
                case Rmgr.Spgist:
                    SpgistRedo.Apply(record, id, tag, page);
                    break;
                case Rmgr.Brin:
                    BrinRedo.Apply(record, id, tag, page);
                    break;
                case Rmgr.Generic:
                    GenericRedo.Apply(record, id, tag, page);
                    break;
                default:
                    SequenceRedo.Apply(record, page);
                    break;
            }

            bool image = id >= 0 && record.Block(id).ApplyImage;
            if (tag.Fork == ForkNumber.Main && !image && page.Header.Upper is > 0 and < Page.Size)
            {
                page.Bytes[page.Header.Upper] ^= 1;
            }
        };
    }

    private static void Flip(string path, int offset)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
        file.Position = offset;
        int old = file.ReadByte();
        file.Position = offset;
        file.WriteByte((byte)(old ^ 1));
    }
}
