namespace SharedStorage.TestKit;

/// <summary>A load after which a server's log has records of all 22 resource managers, of nearly every kind that PostgreSQL 15 writes.</summary>
public static class EveryRecord
{
    /// <summary>What the server must be set to before its first start.</summary>
    public static string[] Settings =>
        ["wal_keep_size = 4GB", "max_prepared_transactions = 5", "wal_level = logical", "track_commit_timestamp = on", "autovacuum_naptime = 1s"];

    /// <summary>Starts the server, runs the load and stops it. Gives the redo position before, and that of the last checkpoint.</summary>
    /// <param name="checking">What wal_consistency_checking is set to for the last part.</param>
    public static (string Start, string End) Write(StockPostgres server, string checking)
    {
        string tablespace = StockPostgres.NewRoot();
        server.Start();
        string start = server.Psql("SELECT redo_lsn FROM pg_control_checkpoint()");
        server.Pgbench("-i", "-s", "2", "-q");
        server.Pgbench("-c", "4", "-t", "200", "-N");
        server.PsqlFile(Statements.Replace(":tablespace", tablespace, StringComparison.Ordinal));
        server.Pgbench("-c", "4", "-t", "200", "-M", "prepared");
        server.Psql("VACUUM FREEZE");
        server.PsqlFile(IndexStatements);
        server.Psql("ALTER SYSTEM SET wal_compression = lz4");
        server.Psql($"ALTER SYSTEM SET wal_consistency_checking = '{checking}'");
        server.Psql("SELECT pg_reload_conf()");
        server.Psql("CHECKPOINT");
        server.Pgbench("-c", "4", "-t", "100");
        server.Psql("DROP TABLE pgbench_history");
        server.Psql("CREATE DATABASE other STRATEGY file_copy");
        server.Psql("DROP DATABASE other");
        server.Psql("DROP TABLE far");
        server.Psql("DROP TABLESPACE space");
        server.Psql("SELECT pg_create_restore_point('here')");
        server.Stop();
        string end = StockPostgres.Tool("pg_controldata", server.DataDirectory).Split('\n')
            .First(l => l.StartsWith("Latest checkpoint location:", StringComparison.Ordinal))[38..].Trim();
        Directory.Delete(tablespace, recursive: true);
        return (start, end);
    }

    private const string Statements = """
        CREATE TABLESPACE space LOCATION ':tablespace';
        CREATE TABLE far (a int) TABLESPACE space;
        CREATE DATABASE copy_of_template;
        CREATE TABLE t (id serial PRIMARY KEY, b text, c int[], d tsvector, p point, r int4range);
        INSERT INTO t (b, c, d, p, r) SELECT repeat('x', i % 300), ARRAY[i, i+1], to_tsvector('word' || i % 50), point(i, i % 17), int4range(i, i + 9)
          FROM generate_series(1, 5000) i;
        UPDATE t SET b = b || 'y' WHERE id % 3 = 0;
        BEGIN; SAVEPOINT a; INSERT INTO t (b) VALUES ('s'); SAVEPOINT b; DELETE FROM t WHERE id < 50; ROLLBACK TO a; INSERT INTO t (b) VALUES ('q'); COMMIT;
        BEGIN; INSERT INTO t (b) VALUES ('two'); PREPARE TRANSACTION 'first';
        COMMIT PREPARED 'first';
        BEGIN; CREATE TABLE gone (a int); DROP TABLE far; CREATE TABLE far (a int) TABLESPACE space; PREPARE TRANSACTION 'second';
        ROLLBACK PREPARED 'second';
        BEGIN; SELECT * FROM t WHERE id = 100 FOR SHARE; SAVEPOINT x; SELECT * FROM t WHERE id = 100 FOR UPDATE; UPDATE t SET c = NULL WHERE id = 100; COMMIT;
        BEGIN; SELECT * FROM t WHERE id = 101 FOR KEY SHARE; SAVEPOINT x; UPDATE t SET b = 'm' WHERE id = 101; ROLLBACK TO x; UPDATE t SET b = 'n' WHERE id = 101; COMMIT;
        CREATE TABLE u (k int PRIMARY KEY, v int); INSERT INTO u VALUES (1, 1) ON CONFLICT (k) DO UPDATE SET v = 2; INSERT INTO u VALUES (1, 1) ON CONFLICT DO NOTHING;
        TRUNCATE u, t RESTART IDENTITY CASCADE;
        INSERT INTO t (b, c, d, p, r) SELECT repeat('x', i % 300), ARRAY[i, i+1], to_tsvector('word' || i % 50), point(i, i % 17), int4range(i, i + 9)
          FROM generate_series(1, 5000) i;
        SELECT pg_logical_emit_message(true, 'prefix', 'text'); SELECT pg_logical_emit_message(false, 'p', E'\\x00ff'::bytea);
        CREATE SEQUENCE s; SELECT nextval('s') FROM generate_series(1, 100);
        VACUUM FULL pg_class; CLUSTER t USING t_pkey; REINDEX TABLE t; ALTER TABLE t ADD z int DEFAULT 4; ANALYZE t;
        SELECT lo_from_bytea(0, repeat('large', 10000)::bytea);
        BEGIN; CREATE TABLE w (a int) ; INSERT INTO w SELECT generate_series(1, 1000); ROLLBACK;
        CREATE TABLE del (a int PRIMARY KEY); INSERT INTO del SELECT generate_series(1, 60000); DELETE FROM del WHERE a BETWEEN 100 AND 59000; VACUUM del;
        INSERT INTO del SELECT generate_series(100, 30000); DELETE FROM del WHERE a > 500; VACUUM del;
        CREATE TABLE w2 (a int); CREATE TABLE dup (a int); CREATE INDEX ON dup (a); INSERT INTO dup SELECT i % 10 FROM generate_series(1, 20000) i; DELETE FROM dup WHERE a = 3; VACUUM dup;
        DROP DATABASE copy_of_template;
        DO $$ BEGIN FOR i IN 1..33000 LOOP BEGIN INSERT INTO w2 VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$;
        SELECT pg_replication_origin_create('origin'); SELECT pg_replication_origin_session_setup('origin');
        BEGIN; SELECT pg_replication_origin_xact_setup('0/1234', now()); INSERT INTO u VALUES (9, 9); COMMIT;
        SELECT pg_replication_origin_session_reset(); SELECT pg_replication_origin_advance('origin', '0/5678'); SELECT pg_replication_origin_drop('origin');
        """;

    private const string IndexStatements = """
        CREATE INDEX ON t USING hash (id); CREATE INDEX ON t USING gin (c); CREATE INDEX ON t USING gin (d); CREATE INDEX ON t USING gist (p);
        CREATE INDEX ON t USING spgist (p); CREATE INDEX ON t USING spgist (b); CREATE INDEX ON t USING brin (id) WITH (pages_per_range = 2); CREATE INDEX ON t USING gist (r);
        INSERT INTO t (b, c, d, p, r) SELECT md5(i::text), ARRAY[i % 7, i+1], to_tsvector('word' || i % 50), point(i, i % 17), int4range(i, i + 9)
          FROM generate_series(1, 30000) i;
        CREATE EXTENSION bloom; CREATE INDEX ON t USING bloom (b); INSERT INTO t (b) SELECT i FROM generate_series(1, 500) i;
        DELETE FROM t WHERE id % 5 <> 0; VACUUM t; UPDATE t SET b = b || 'z', p = point(1, 1) WHERE id % 10 = 0; VACUUM t;
        SELECT brin_summarize_new_values('t_id_idx1'); SELECT brin_desummarize_range('t_id_idx1', 2);
        DELETE FROM t; VACUUM t; INSERT INTO t (c) SELECT ARRAY[i] FROM generate_series(1, 2000) i; SELECT gin_clean_pending_list('t_c_idx');
        """;
}
