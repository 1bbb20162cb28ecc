using System.Globalization;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Walcheck;
using SharedStorage.TestKit;
using SharedStorage.Transactions;
using SharedStorage.Wal;

namespace SharedStorage.Golden;

/// <summary>
/// Replay of what is not a page of a relation, judged by stock PostgreSQL: by the files of its clean stop, by what its hot standby shows at the same position, and the judges themselves by
/// replay that is broken on purpose.
/// </summary>
public sealed class XactRedoTests(XactRedoTests.Log log) : IClassFixture<XactRedoTests.Log>
{
    /// <summary>A directory from before the load, and the one that its clean stop left, with all log in between.</summary>
    public sealed class Log : IDisposable
    {
        /// <summary>Just before the end of a segment of pg_xact and of one of pg_commit_ts.</summary>
        private const string FirstXid = "1048200";

        private readonly StockPostgres? _base;
        private readonly StockPostgres? _server;

        public Log()
        {
            if (!StockPostgres.IsInstalled)
            {
                return;
            }

            _base = StockPostgres.Create(
            [
                "fsync = off", "wal_keep_size = 10GB", "max_wal_size = 4GB", "autovacuum = off", "max_prepared_transactions = 10", "track_commit_timestamp = on",
                "allow_in_place_tablespaces = on", "wal_level = logical",
            ]);
            foreach (string segment in new[] { "pg_xact/0000", "pg_multixact/offsets/0000" })
            {
                using FileStream file = File.OpenWrite(Path.Combine(_base.DataDirectory, segment));
                file.SetLength(262144);
            }

            StockPostgres.Tool("pg_resetwal", "-D", _base.DataDirectory, "-x", FirstXid, "-m", "65000,1");

            // A hot standby begins only at a checkpoint that was made with a higher wal_level than pg_resetwal's.
            _base.Start();
            _base.Stop();
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

        public string Base => _base!.DataDirectory;
        public StockPostgres BaseServer => _base!;
        public string Data => _server!.DataDirectory;

        /// <summary>Positions in the log, between two records, where transactions run and hold locks.</summary>
        public List<Lsn> Marks { get; } = [];

        /// <summary>What the primary said of prepared transactions at each mark.</summary>
        public List<string> PreparedAtMarks { get; } = [];

        public WalcheckOptions Options => new() { Base = Base, Wal = Path.Combine(Data, "pg_wal"), MaxDetails = 50, Frames = 8192 };

        public void Dispose()
        {
            _server?.Dispose();
            _base?.Dispose();
        }

        private void Write(StockPostgres server)
        {
            // track_commit_timestamp goes off and on again, and other settings change with it.
            server.Start();
            server.Psql("CREATE TABLE early AS SELECT 1 AS i");
            server.Stop();
            server.Start("track_commit_timestamp=off", "max_connections=110");
            server.Psql("CREATE TABLE untracked AS SELECT 1 AS i");
            server.Stop();
            server.Start("max_connections=120");
            server.PsqlFile("""
                CREATE TABLE locked (k int PRIMARY KEY, v int);
                INSERT INTO locked SELECT i, 0 FROM generate_series(1, 20) i;
                DO $$ BEGIN FOR i IN 1..700 LOOP UPDATE locked SET v = v + 1 WHERE k = 1 + i % 20; COMMIT; END LOOP; END $$;
                BEGIN; SELECT k FROM locked WHERE k < 5 FOR KEY SHARE; SAVEPOINT a; UPDATE locked SET v = v + 1 WHERE k < 5; SAVEPOINT b; UPDATE locked SET v = v + 1 WHERE k < 3; COMMIT;
                CREATE TABLE shrunk AS SELECT i FROM generate_series(1, 5000) i;
                DELETE FROM shrunk WHERE i > 100;
                VACUUM shrunk;
                CREATE TABLE empty (i int);
                VACUUM FULL pg_class;
                """);
            server.Psql("UPDATE pg_database SET datallowconn = true");
            StockPostgres.Tool("vacuumdb", "-h", "127.0.0.1", "-p", server.Port.ToString(CultureInfo.InvariantCulture), "-U", "postgres", "--all", "--freeze", "-q");
            server.Psql("CHECKPOINT");
            server.PsqlFile(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "redo-oracle-xact.sql")));
            Mark(server);
            WithOpenTransaction(server, "ALTER TABLE locked ADD COLUMN w int; SAVEPOINT a; INSERT INTO locked VALUES (21, 0); LOCK TABLE early", () =>
            {
                // A list of who runs, with locks, comes with the checkpoint.
                server.Psql("CHECKPOINT");
                Mark(server);
                server.Psql("COMMIT PREPARED 'xact_stays'");
            });
            server.Psql("CREATE TABLE late AS SELECT 1 AS i");
            Mark(server);
            server.Stop();
        }

        private void Mark(StockPostgres server)
        {
            Marks.Add(Lsn.Parse(server.Psql("SELECT pg_current_wal_insert_lsn()")));
            PreparedAtMarks.Add(server.Psql("SELECT transaction || ' ' || gid || ' ' || (SELECT oid FROM pg_database WHERE datname = database) FROM pg_prepared_xacts ORDER BY transaction::text::bigint"));
        }

        /// <summary>Has a session in the middle of a transaction meanwhile; then the session is ended.</summary>
        private static void WithOpenTransaction(StockPostgres server, string sql, Action action)
        {
            const string Find = "FROM pg_stat_activity WHERE query LIKE '%oracle_open%' AND wait_event = 'PgSleep' AND pid <> pg_backend_pid()";
            Task open = Task.Run(() => StockPostgres.TryTool(
                "psql", "-X", "-h", "127.0.0.1", "-p", server.Port.ToString(CultureInfo.InvariantCulture), "-U", "postgres", "-c", $"BEGIN; {sql}; SELECT 'oracle_open', pg_sleep(600)"));
            ClusterNode.Await("the open transaction", () => server.Psql($"SELECT count(*) {Find}") == "1");
            action();
            server.Psql($"SELECT pg_terminate_backend(pid) {Find}");
            open.GetAwaiter().GetResult();
        }
    }

    [SkippableFact]
    public void Replay_gives_all_that_a_clean_stop_of_PostgreSQL_leaves()
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        WalcheckReport report = Check(Rmgr.LogicalMessage, fault: false);
        Assert.True(report.IsClean, Text(report));
        Assert.Equal(2, report.Files!.PreparedTransactions);
        string[] met = [.. report.Rows().Select(r => $"{r.Rmgr} {r.Operation}")];
        string[] needed =
        [
            "Transaction PREPARE", "Transaction COMMIT_PREPARED", "Transaction ABORT_PREPARED", "Transaction ASSIGNMENT", "CommitTs ZEROPAGE", "CommitTs TRUNCATE", "Clog TRUNCATE", "Clog ZEROPAGE",
            "ReplicationOrigin SET", "ReplicationOrigin DROP", "Tablespace CREATE", "Tablespace DROP", "Database CREATE_FILE_COPY", "Database CREATE_WAL_LOG", "Database DROP", "Xlog PARAMETER_CHANGE",
            "Xlog NEXTOID", "Xlog RESTORE_POINT", "Standby LOCK", "Standby RUNNING_XACTS", "RelMap UPDATE", "MultiXact CREATE_ID", "Storage TRUNCATE",
        ];
        Assert.Empty(needed.Except(met));
    }

    [SkippableTheory]
    [InlineData(Rmgr.Transaction, "prepared transaction")]
    [InlineData(Rmgr.Storage, "blocks, by the log it has")]
    [InlineData(Rmgr.Clog, "pg_xact/0000")]
    [InlineData(Rmgr.Database, "database")]
    [InlineData(Rmgr.Tablespace, "tablespace")]
    [InlineData(Rmgr.MultiXact, "pg_multixact")]
    [InlineData(Rmgr.RelMap, "relation map")]
    [InlineData(Rmgr.CommitTs, "pg_commit_ts")]
    [InlineData(Rmgr.ReplicationOrigin, "replication origin")]
    [InlineData(Rmgr.Xlog, "next OID")]
    public void Replay_that_does_nothing_is_found(Rmgr rmgr, string found)
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        WalcheckReport report = Check(rmgr, fault: true);
        Assert.False(report.IsClean);
        Assert.Contains(found, Text(report), StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Locks_and_running_transactions_are_those_of_a_hot_standby_at_the_same_position()
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        for (int mark = 0; mark < log.Marks.Count; mark++)
        {
            using var checker = new WalChecker(log.Options with { To = log.Marks[mark] }, TimeProvider.System);
            WalcheckReport report = checker.Run(CancellationToken.None);
            Assert.True(report.IsClean, Text(report));
            string theirs = AskStandby(log.Marks[mark], checker.Transactions.NextXid);
            Assert.Equal(theirs, StateOf(checker.Transactions));
            Assert.Equal(log.PreparedAtMarks[mark], string.Join('\n', checker.Transactions.Prepared.List().Select(p => $"{p.Xid} {p.GlobalId} {p.Database}")));

            using var broken = new WalChecker(log.Options with { To = log.Marks[mark] }, TimeProvider.System);
            broken.Redo.ReplaceEffects(Rmgr.Standby, _ => { });
            broken.Run(CancellationToken.None);
            Assert.NotEqual(theirs, StateOf(broken.Transactions));
        }
    }

    /// <summary>Locks, xmin, xmax and who runs, as text.</summary>
    private static string StateOf(TransactionManager transactions)
    {
        IReadOnlyList<Xid> running = transactions.ReplayedRunning();
        Xid xmax = transactions.ReplayedXmax;
        Xid xmin = running.Count > 0 && running[0].Precedes(xmax) ? running[0] : xmax;
        IEnumerable<string> locks = transactions.ReplayedLocks.List().Select(l => (Database: l.Database.Value, Relation: l.Relation.Value)).Distinct().Order().Select(l => $"{l.Database}/{l.Relation}");
        return $"{string.Join(' ', locks)}|{xmin}|{xmax}|{string.Join(' ', running)}";
    }

    private string AskStandby(Lsn at, Xid next)
    {
        using StockPostgres standby = log.BaseServer.Clone();
        File.WriteAllText(Path.Combine(standby.DataDirectory, "standby.signal"), "");
        File.AppendAllText(Path.Combine(standby.DataDirectory, "postgresql.conf"), $"""

            restore_command = 'cp "{Path.Combine(log.Data, "pg_wal")}/%f" "%p"'
            recovery_target_lsn = '{at}'
            recovery_target_inclusive = off
            recovery_target_action = pause
            hot_standby = on
            max_connections = 200
            """);
        standby.Start();
        ClusterNode.Await("the standby to stop at the mark", () => standby.Psql("SELECT pg_get_wal_replay_pause_state()") == "paused");
        return standby.Psql($"""
            SELECT (SELECT coalesce(string_agg(database || '/' || relation, ' ' ORDER BY database, relation), '') FROM pg_locks WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock')
              || '|' || pg_snapshot_xmin(pg_current_snapshot()) || '|' || pg_snapshot_xmax(pg_current_snapshot()) || '|'
              || (SELECT coalesce(string_agg(x::text, ' ' ORDER BY x), '') FROM generate_series({next.Value} - 1000, {next.Value} - 1) x
                  WHERE x >= pg_snapshot_xmin(pg_current_snapshot())::text::bigint AND pg_xact_status(x::text::xid8) = 'in progress')
            """);
    }

    private WalcheckReport Check(Rmgr rmgr, bool fault)
    {
        using var checker = new WalChecker(log.Options with { Against = log.Data }, TimeProvider.System);
        if (fault)
        {
            checker.Redo.ReplaceEffects(rmgr, _ => { });
        }

        return checker.Run(CancellationToken.None);
    }

    private static string Text(WalcheckReport report) =>
        $"{report.Failure}\n{string.Join('\n', report.Files?.Problems ?? [])}\n{string.Join('\n', report.Details)}";
}
