using SharedStorage.Primitives;
using SharedStorage.Sql.Session;
using SharedStorage.TestKit;
using SharedStorage.Unit.Catalog;

namespace SharedStorage.Unit.Sql;

/// <summary>
/// ALTER TABLE, REINDEX, CLUSTER, VACUUM FULL: the same statements by a session of ours and on stock PostgreSQL, on copies of one directory. Ours ends in a crash, so that
/// stock PostgreSQL also replays what we logged; then rows, catalogs and pg_dump are compared and amcheck looks at every heap and index.
/// </summary>
public sealed class AlterTests
{
    private const string Fill =
        """
        CREATE TABLE t (a int PRIMARY KEY, b text, c varchar(10), n numeric(6,2) DEFAULT 1.5, x text);
        ALTER TABLE t ALTER COLUMN x SET STORAGE EXTERNAL;
        CREATE INDEX t_b ON t (b);
        CREATE INDEX t_lower ON t (lower(c)) WHERE a > 10;
        INSERT INTO t (a, b, c) SELECT i, 'row ' || (997 * i) % 1000, 'c' || i FROM generate_series(1, 900) i;
        INSERT INTO t (a, b, c, x) SELECT i, 'long ' || i, 'long', repeat(i || '-', 700) FROM generate_series(1001, 1006) i;
        DELETE FROM t WHERE a % 3 = 0 AND a < 1000;
        UPDATE t SET n = n + a WHERE a % 5 = 0;
        UPDATE t SET c = 'x' || a WHERE a % 7 = 0;
        """;

    private const string Rows = "SELECT md5(string_agg(r::text, '|' ORDER BY r::text)) FROM t r";

    [SkippableFact]
    public void Columns_that_are_added_and_dropped_are_as_on_PostgreSQL() => Compare(
        """
        ALTER TABLE t ADD COLUMN d int;
        ALTER TABLE t ADD COLUMN e int NOT NULL DEFAULT 5, ADD COLUMN f text DEFAULT 'x' || 'y';
        INSERT INTO t (a, b) VALUES (2000, 'new'), (2001, 'newer');
        ALTER TABLE t ADD COLUMN g numeric(8,3) DEFAULT 2.125;
        ALTER TABLE t DROP COLUMN c;
        UPDATE t SET d = a WHERE a < 50;
        ALTER TABLE t ALTER COLUMN e SET DEFAULT 6, ALTER COLUMN f DROP DEFAULT;
        ALTER TABLE t ALTER COLUMN e DROP NOT NULL, ALTER COLUMN b SET NOT NULL;
        ALTER TABLE t ADD COLUMN IF NOT EXISTS d int, DROP COLUMN IF EXISTS nosuch;
        ALTER TABLE t ADD CHECK (d < 10000), ADD COLUMN u int UNIQUE;
        """);

    [SkippableFact]
    public void Rows_that_are_written_anew_are_as_on_PostgreSQL() => Compare(
        """
        ALTER TABLE t ADD COLUMN d int DEFAULT 3;
        ALTER TABLE t ALTER COLUMN a TYPE bigint;
        ALTER TABLE t ALTER COLUMN n TYPE text USING 'n' || n;
        ALTER TABLE t ADD COLUMN v boolean DEFAULT random() < 2;
        ALTER TABLE t ALTER COLUMN c TYPE varchar(20), DROP COLUMN d;
        """,
        numbers: false);

    [SkippableFact]
    public void Tables_and_indexes_that_are_rebuilt_are_as_on_PostgreSQL() => Compare(
        """
        REINDEX INDEX t_b;
        REINDEX TABLE t;
        VACUUM FULL t;
        UPDATE t SET c = 'y' || a WHERE a % 11 = 0;
        CLUSTER t USING t_pkey;
        ALTER TABLE t ADD COLUMN d int DEFAULT 3;
        CLUSTER t;
        VACUUM FULL t;
        """,
        numbers: false);

    [SkippableFact]
    public void Names_and_options_are_as_on_PostgreSQL() => Compare(
        """
        ALTER TABLE t RENAME COLUMN n TO amount;
        ALTER INDEX t_b RENAME TO t_by_b;
        ALTER TABLE t RENAME CONSTRAINT t_pkey TO t_key;
        ALTER TABLE t RENAME TO t2;
        ALTER TABLE t2 RENAME TO t;
        ALTER TABLE t SET (fillfactor = 60, autovacuum_enabled = false);
        ALTER TABLE t RESET (autovacuum_enabled);
        ALTER INDEX t_by_b SET (fillfactor = 70);
        ALTER TABLE t CLUSTER ON t_by_b;
        ALTER TABLE t SET WITHOUT CLUSTER;
        ALTER TABLE t ALTER COLUMN b SET STATISTICS 50;
        CREATE SCHEMA s;
        ALTER SCHEMA s RENAME TO s2;
        """);

    [SkippableFact]
    public void Sequences_and_serial_columns_are_as_on_PostgreSQL() => Compare(
        """
        CREATE SEQUENCE s1;
        CREATE SEQUENCE s2 AS smallint INCREMENT -3 MAXVALUE 100 MINVALUE -20 START 50 CACHE 5 CYCLE;
        CREATE TABLE owner (id serial PRIMARY KEY, big bigserial, v text);
        INSERT INTO owner (v) SELECT 'v' || i FROM generate_series(1, 100) i;
        SELECT nextval('s1'), nextval('s1'), nextval('s2');
        SELECT setval('s1', 1000), setval('s2', 20, false), setval('owner_id_seq', 300), setval('owner_big_seq', 300);
        CREATE SEQUENCE s3 OWNED BY owner.v;
        ALTER SEQUENCE s3 RENAME TO s4;
        CREATE SEQUENCE gone;
        DROP SEQUENCE gone;
        """,
        also: "SELECT (SELECT md5(string_agg(o::text, '|' ORDER BY id)) FROM owner o), (SELECT last_value || ' ' || is_called FROM s4), nextval('s1'), nextval('s2')");

    [SkippableTheory]
    [InlineData("ALTER TABLE t ADD COLUMN d int DEFAULT 3, DROP COLUMN c")]
    [InlineData("ALTER TABLE t ALTER COLUMN a TYPE bigint")]
    [InlineData("CLUSTER t USING t_b")]
    [InlineData("REINDEX TABLE t")]
    [InlineData("ALTER TABLE t RENAME TO other")]
    public void A_statement_that_is_rolled_back_leaves_the_table_as_it_was(string statement) => Run(
        (engine, session) =>
        {
            string before = Execute(session, Rows);
            Execute(session, "BEGIN");
            Execute(session, statement);
            Execute(session, "ROLLBACK");
            Assert.Equal(before, Execute(session, Rows));
            _ = engine;
        },
        (theirs, ours) => Assert.Equal(theirs.Psql(Rows), ours.Psql(Rows)));

    [SkippableFact]
    public void A_snapshot_from_before_CLUSTER_still_sees_what_was_deleted_after_it() => Run(
        (engine, session) =>
        {
            using SqlSession old = NewSession(engine);
            Execute(old, "BEGIN ISOLATION LEVEL REPEATABLE READ");
            string before = Execute(old, "SELECT 1");
            using SqlSession other = NewSession(engine);
            string rows = Execute(other, Rows);
            Execute(session, "DELETE FROM t WHERE a % 2 = 0");
            Execute(session, "UPDATE t SET b = 'later' WHERE a % 5 = 0");
            Execute(session, "CLUSTER t USING t_pkey");
            Execute(session, "VACUUM FULL t");
            Assert.Equal("1", before);
            Assert.Equal(rows, Execute(old, Rows));
            Assert.Equal("row 988", Execute(old, "SELECT b FROM t WHERE a = 4"));
            Execute(old, "COMMIT");
            Execute(session, "VACUUM FULL t");
            Execute(session, "DELETE FROM t WHERE a < 0");
        },
        null);

    [SkippableTheory]
    [InlineData("ALTER TABLE t ADD COLUMN a int", "42701")]
    [InlineData("ALTER TABLE t ADD COLUMN xmin int", "42701")]
    [InlineData("ALTER TABLE t ADD COLUMN q int NOT NULL", "23502")]
    [InlineData("ALTER TABLE t ALTER COLUMN b TYPE int", "42804")]
    [InlineData("ALTER TABLE t ALTER COLUMN b TYPE int USING b::int", "22P02")]
    [InlineData("ALTER TABLE t ALTER COLUMN a DROP NOT NULL", "42P16")]
    [InlineData("ALTER TABLE t DROP COLUMN nosuch", "42703")]
    [InlineData("ALTER TABLE pg_class ADD COLUMN q int", "42501")]
    [InlineData("ALTER TABLE t RENAME COLUMN a TO b", "42701")]
    [InlineData("ALTER TABLE t RENAME TO t_b", "42P07")]
    [InlineData("CLUSTER t USING t_lower", "0A000")]
    [InlineData("CLUSTER t USING nosuch", "42704")]
    [InlineData("CLUSTER t", "42704")]
    [InlineData("REINDEX INDEX t", "42809")]
    [InlineData("REINDEX TABLE pg_class", "0A000")]
    public void What_cannot_be_done_is_refused(string statement, string state) => Run(
        (_, session) =>
        {
            PgException e = Assert.Throws<PgException>(() => Execute(session, statement));
            Assert.Equal(state, e.SqlState);
        },
        null);

    private static void Compare(string statements, bool numbers = true, string also = Rows) => Run(
        (_, session) =>
        {
            foreach (string statement in Split(statements))
            {
                Execute(session, statement);
            }
        },
        (theirs, ours) =>
        {
            foreach (string statement in Split(statements))
            {
                theirs.Psql(statement);
            }

            Assert.Equal(theirs.Psql(Rows), ours.Psql(Rows));
            Assert.Equal(theirs.Psql(also), ours.Psql(also));
            Assert.Equal(CatalogComparison.Dump(theirs), CatalogComparison.Dump(ours));
            if (numbers)
            {
                foreach (string query in CatalogComparison.Catalogs)
                {
                    Assert.Equal(theirs.Psql(query), ours.Psql(query));
                }
            }
        });

    /// <summary>Fills the table on both sides, runs ours, crashes it, and lets stock PostgreSQL look at both.</summary>
    private static void Run(Action<WriterEngine, SqlSession> ours, Action<StockPostgres, StockPostgres>? compare)
    {
        Skip.IfNot(StockPostgres.IsInstalled, "PostgreSQL 15 is not installed");
        using StockPostgres theirs = StockPostgres.Create(["autovacuum = off"]);
        using StockPostgres judge = theirs.Clone();
        var engine = new WriterEngine(judge.DataDirectory, new SqlComparators());
        try
        {
            using SqlSession session = NewSession(engine);
            foreach (string statement in Split(Fill))
            {
                Execute(session, statement);
            }

            ours(engine, session);
        }
        finally
        {
            engine.Crash();
        }

        judge.Start("autovacuum=off");
        judge.Psql("CREATE EXTENSION amcheck; SELECT bt_index_parent_check(c.oid, true) FROM pg_class c WHERE relkind = 'i' AND relam = 403;"
            + "SELECT count(*) FROM pg_class c, verify_heapam(c.oid) v WHERE relkind IN ('r', 't') AND relam = 2");
        Assert.Equal("", judge.Psql("SELECT relname, v.* FROM pg_class c, LATERAL verify_heapam(c.oid) v WHERE relkind IN ('r', 't')"));
        judge.Psql("DROP EXTENSION amcheck");
        if (compare is null)
        {
            return;
        }

        theirs.Start();
        foreach (string statement in Split(Fill))
        {
            theirs.Psql(statement);
        }

        compare(theirs, judge);
    }

    private static SqlSession NewSession(WriterEngine engine) => new(
        new SqlNode { Engine = engine.Engine, Catalogs = engine.Manager, Oids = engine.Oids },
        new SessionStartup { User = "postgres", Database = "postgres", ProcessId = 1 });

    private static IEnumerable<string> Split(string statements) =>
        statements.Split(";\n", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(s => s.TrimEnd(';'));

    private static string Execute(SqlSession session, string sql)
    {
        var sink = new TextSink(session);
        session.ExecuteSimple(sql, sink);
        return sink.Text;
    }
}
