using System.Text;
using SharedStorage.Primitives;
using SharedStorage.Sql.Session;
using SharedStorage.TestKit;
using Xunit;

namespace SharedStorage.Unit.Sql;

public sealed class QueryTests(SqlFixture fixture) : IClassFixture<SqlFixture>
{
    private static string Run(SqlSession session, string sql)
    {
        var sink = new TextSink(session);
        try
        {
            session.ExecuteSimple(sql, sink);
            return sink.Text;
        }
        catch (PgException e)
        {
            return "ERROR: " + e.Message;
        }
    }

    [SkippableFact]
    public void Queries_give_what_stock_PostgreSQL_gives()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using SqlSession session = fixture.NewSession();
        var differences = new StringBuilder();
        for (int i = 0; i < Queries.All.Length; i++)
        {
            string got = Run(session, Queries.All[i]);
            if (got != fixture.Expected[i])
            {
                differences.Append(Queries.All[i]).Append("\n  wanted: ").Append(fixture.Expected[i]).Append("\n  got:    ").Append(got).Append('\n');
            }
        }

        Assert.Equal("", differences.ToString());
    }

    [SkippableFact]
    public void Queries_give_the_same_when_tables_are_read_by_indexes_alone_or_not()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using SqlSession session = fixture.NewSession();
        var differences = new StringBuilder();
        int only = 0;
        foreach (string off in new[] { "enable_seqscan", "enable_indexonlyscan" })
        {
            Run(session, $"set {off} = off");
            for (int i = 0; i < Queries.All.Length; i++)
            {
                string query = Queries.All[i];
                only += Run(session, "explain " + query).Contains("Index Only Scan", StringComparison.Ordinal) ? 1 : 0;
                bool ordered = query.Contains("order by", StringComparison.Ordinal);
                if (!ordered && query.Contains("limit", StringComparison.Ordinal))
                {
                    continue;
                }

                string got = Run(session, query);
                if (ordered ? got != fixture.Expected[i] : !got.Split('\n').Order(StringComparer.Ordinal).SequenceEqual(fixture.Expected[i].Split('\n').Order(StringComparer.Ordinal)))
                {
                    differences.Append(query).Append("\n  wanted: ").Append(fixture.Expected[i]).Append("\n  got:    ").Append(got).Append('\n');
                }
            }
        }

        Assert.True(differences.Length == 0, differences.ToString());
        Assert.True(only > 0, "no query was planned with an index-only scan");
    }

    [SkippableTheory]
    [InlineData("select count(*) from many where k > 0", "Index Only Scan using many_pkey")]
    [InlineData("select sum(k) from many where k > 0", "Index Only Scan using many_pkey")]
    public void An_index_only_scan_allocates_nothing_per_row(string query, string plan)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using SqlSession session = fixture.NewSession();
        Run(session, "set enable_seqscan = off");
        Assert.Contains(plan, Run(session, "explain " + query), StringComparison.Ordinal);
        session.Prepare("q", query, []);
        long allocated = long.MaxValue;
        for (int i = 0; i < 5; i++)
        {
            var sink = new TextSink(session);
            session.Bind("", "q", [], [], []);
            long before = GC.GetAllocatedBytesForCurrentThread();
            session.Execute("", 0, sink);
            allocated = Math.Min(allocated, GC.GetAllocatedBytesForCurrentThread() - before);
            session.Sync();
            Assert.Equal(query.Contains("count", StringComparison.Ordinal) ? "20000" : "200010000", sink.Text);
        }

        // What a scan keeps of a leaf is some bytes a row of one leaf, whatever the number of leaves.
        Assert.True(allocated < 60_000, $"{allocated} bytes for 20000 rows");
    }

    [SkippableFact]
    public void Prepared_statements_give_the_same_again_and_again()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using SqlSession session = fixture.NewSession();
        session.Prepare("p", "select name, $2 from e where id = $1", [default, default]);
        RowDescription? description = session.DescribeStatement("p", out IReadOnlyList<Oid> types);
        Assert.Equal(["name", "?column?"], description!.Columns.Select(c => c.Name));
        Assert.Equal([23u, 25u], types.Select(t => t.Value));
        foreach ((string id, string name) in new[] { ("1", "Ann"), ("2", "Bob"), ("9", ""), ("3", "Cy") })
        {
            var sink = new TextSink(session);
            session.Bind("", "p", [], [(ReadOnlyMemory<byte>?)Encoding.UTF8.GetBytes(id), (ReadOnlyMemory<byte>?)Encoding.UTF8.GetBytes("x")], []);
            ExecuteResult result = session.Execute("", 0, sink);
            session.Sync();
            Assert.Equal(name.Length == 0 ? "SELECT 0" : "SELECT 1", result.Tag);
            Assert.Equal(name.Length == 0 ? "" : name + "|x", sink.Text);
        }
    }

    [SkippableFact]
    public void A_portal_stops_at_its_row_limit_and_goes_on()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using SqlSession session = fixture.NewSession();
        session.Prepare("", "select id from e order by id", []);
        session.Bind("c", "", [], [], []);
        var sink = new TextSink(session);
        Assert.Equal(ExecuteOutcome.Suspended, session.Execute("c", 3, sink).Outcome);
        Assert.Equal(ExecuteOutcome.Complete, session.Execute("c", 3, sink).Outcome);
        Assert.Equal("1\n2\n3\n4", sink.Text);
        session.Sync();
        Assert.Throws<PgException>(() => session.Execute("c", 0, sink));
    }

    [SkippableTheory]
    [InlineData("insert into d values (9,'x')", "cannot execute INSERT in a read-only transaction")]
    [InlineData("update d set name = 'x'", "cannot execute UPDATE in a read-only transaction")]
    [InlineData("delete from d", "cannot execute DELETE in a read-only transaction")]
    [InlineData("select * from d for update", "cannot execute SELECT FOR UPDATE in a read-only transaction")]
    [InlineData("create table x(a int)", "cannot execute CREATE TABLE in a read-only transaction")]
    [InlineData("truncate d", "cannot execute TRUNCATE TABLE in a read-only transaction")]
    [InlineData("drop table d", "cannot execute DROP TABLE in a read-only transaction")]
    [InlineData("copy d from stdin", "cannot execute COPY during recovery")]
    [InlineData("vacuum d", "cannot execute VACUUM during recovery")]
    [InlineData("checkpoint", "cannot execute CHECKPOINT during recovery")]
    public void A_reader_refuses_to_write(string sql, string message)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using SqlSession session = fixture.NewSession();
        PgException e = Assert.Throws<PgException>(() => session.ExecuteSimple(sql, new TextSink(session)));
        Assert.Equal(SqlStates.ReadOnlySqlTransaction, e.SqlState);
        Assert.Equal(message, e.Message);
        Assert.Equal("1", Run(session, "select 1"));
    }

    [SkippableFact]
    public void A_failed_block_waits_for_its_rollback_and_a_savepoint_saves_it()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using SqlSession session = fixture.NewSession();
        Assert.Equal(TransactionBlockState.Idle, session.State);
        Run(session, "begin");
        Assert.Equal(TransactionBlockState.InBlock, session.State);
        Run(session, "savepoint a");
        Run(session, "set work_mem = '8MB'");
        Assert.Equal("ERROR: division by zero", Run(session, "select 1/0"));
        Assert.Equal(TransactionBlockState.Failed, session.State);
        Assert.Equal("ERROR: current transaction is aborted, commands ignored until end of transaction block", Run(session, "select 1"));
        Run(session, "rollback to a");
        Assert.Equal(TransactionBlockState.InBlock, session.State);
        Assert.Equal("4MB", Run(session, "show work_mem"));
        Assert.Equal("1", Run(session, "select 1"));
        Run(session, "select 1/0");
        var sink = new TextSink(session);
        session.ExecuteSimple("commit", sink);
        Assert.Equal(["ROLLBACK"], sink.Tags);
        Assert.Equal(TransactionBlockState.Idle, session.State);
    }

    [SkippableFact]
    public void Cursors_move_both_ways()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using SqlSession session = fixture.NewSession();
        Run(session, "begin");
        Run(session, "declare c cursor for select id from e order by id");
        Assert.Equal("1\n2", Run(session, "fetch 2 from c"));
        Assert.Equal("1", Run(session, "fetch backward 1 from c"));
        Assert.Equal("4", Run(session, "fetch last from c"));
        Assert.Equal("", Run(session, "fetch next from c"));
        Assert.Equal("4\n3\n2\n1", Run(session, "fetch backward all from c"));
        Assert.Equal("3", Run(session, "fetch absolute 3 from c"));
        Run(session, "declare n no scroll cursor for select id from e");
        Run(session, "fetch 2 from n");
        Assert.Equal("ERROR: cursor can only scan forward", Run(session, "fetch prior from n"));
        Run(session, "rollback");
    }

    [SkippableFact]
    public void Settings_follow_the_transaction()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using SqlSession session = fixture.NewSession();
        Run(session, "begin; set local datestyle = 'german'; set timezone = 'Europe/Berlin'; commit");
        Assert.Equal("ISO, MDY", Run(session, "show datestyle"));
        Assert.Equal("Europe/Berlin", Run(session, "show timezone"));
        Run(session, "begin; set timezone = 'UTC'; rollback");
        Assert.Equal("Europe/Berlin", Run(session, "show timezone"));
        Run(session, "reset timezone");
        Assert.NotEqual("Europe/Berlin", Run(session, "show timezone"));
        Assert.Equal("ERROR: unrecognized configuration parameter \"nosuch\"", Run(session, "set nosuch = 1"));
        Assert.Equal("on", Run(session, "show transaction_read_only"));
    }

    [SkippableFact]
    public void Copy_writes_text_and_csv()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using SqlSession session = fixture.NewSession();
        Assert.Equal("1\teng\tx\n2\tops\t\\N\n3\thr\tnowhere", Run(session, "copy d to stdout"));
        Assert.Equal("id,t\n1,\"a,\"\"b\"", Run(session, "copy (select 1 as id, 'a,\"b' as t) to stdout with (format csv, header)"));
    }

    [SkippableFact]
    public void A_cancelled_query_ends_and_the_session_goes_on()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        using SqlSession session = fixture.NewSession();
        Run(session, "set statement_timeout = 50");
        Assert.Equal("ERROR: canceling statement due to statement timeout",
            Run(session, "select count(*) from generate_series(1,100000) a, generate_series(1,100000) b where a + b < 0"));
        Run(session, "set statement_timeout = 0");
        Assert.Equal("1", Run(session, "select 1"));
    }
}
