using SharedStorage.Primitives;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster.Rules;

/// <summary>I8 and R12: a reader without its writer answers from where it stands, or fails clearly; beside a live writer it is never wrong.</summary>
public sealed class FrozenReaderTests
{
    /// <summary>Several times what a cache of 2 MB holds.</summary>
    private static readonly string[] Queries =
    [
        "select count(*) || ' ' || sum(abalance) from pgbench_accounts",
        "select count(*) || ' ' || sum(v) from first",
        "select count(*) || ' ' || sum(v) from second",
        "select count(*) || ' ' || sum(v) from third",
        "select id || ' ' || v from first where id = 9000",
        "select count(*) || ' ' || sum(delta) || ' ' || (select sum(tbalance) from pgbench_tellers) || ' ' || (select sum(bbalance) from pgbench_branches) from pgbench_history",
    ];

    [SkippableFact]
    public void Readers_answer_and_their_sessions_go_on_when_the_writer_is_dead() => RulesTemplate.Run(2, cluster =>
    {
        cluster.Writer.Start("writer");
        foreach (ClusterNode reader in cluster.Readers)
        {
            reader.Start("reader", "--shared_buffers", "2MB");
            ClusterNode.Await("sizes", () => reader.Log.Contains("relations are known", StringComparison.Ordinal));
        }

        var load = new AcknowledgedLoad();
        load.Begin(cluster.Writer, 2);
        Task<(int, string)> bench = Task.Run(() => cluster.Writer.Pgbench("-c", "4", "-j", "2", "-T", "60", "-M", "prepared"));
        load.WaitForMore(200);
        NodeSession[] sessions = [.. cluster.Readers.Select(r => new NodeSession(r))];
        string[][] before = [.. sessions.Select(Begin)];
        load.WaitForMore(100);
        cluster.Writer.Kill();
        load.Join();
        bench.GetAwaiter().GetResult();
        foreach ((ClusterNode reader, NodeSession session, string[] mine) in cluster.Readers.Zip(sessions, before))
        {
            ClusterNode.Await($"{reader.Name} to freeze", () => reader.Status().State == "frozen");
            Lsn frozen = new(reader.Status().Applied);

            // A running transaction, its cursor, and new sessions, each reading the same again and again.
            Assert.Equal(mine, Queries.Select(session.Scalar));
            Assert.Equal(100_000 - 10, session.Column("fetch all from c").Length);
            Assert.Equal(mine, Queries.Select(session.Scalar));
            session.Execute("commit");
            string sums = ClusterFixture.Sums(reader);
            string[] now = [.. Queries.Select(session.Scalar)];
            Assert.NotEqual(mine, now);
            Assert.Equal(now, Queries.Select(reader.Psql));
            Assert.Equal(sums, ClusterFixture.Sums(reader));
            Assert.Equal(("frozen", frozen), (reader.Status().State, new Lsn(reader.Status().Applied)));
        }

        cluster.Writer.Start("writer");
        foreach ((ClusterNode reader, NodeSession session) in cluster.Readers.Zip(sessions))
        {
            reader.CatchUpWith(cluster.Writer);
            ClusterNode.Await($"{reader.Name} to be active", () => reader.Status().State == "active");
            load.Check(reader.Psql);
            Assert.Equal(ClusterFixture.Sums(cluster.Writer), ClusterFixture.Sums(reader));
            Assert.Equal(reader.Psql(Queries[0]), session.Scalar(Queries[0]));
            session.Dispose();
        }

        cluster.StopAll();
    });

    [SkippableFact]
    public void A_reader_cut_off_from_a_live_writer_fails_or_shows_what_PostgreSQL_shows_at_its_position() => RulesTemplate.Run(1, cluster =>
    {
        (ClusterNode writer, ClusterNode reader) = (cluster.Nodes[0], cluster.Nodes[1]);
        string copy = cluster.CopyData("copy");
        using var cable = new ControlProxy(writer.ControlPort);
        writer.Start("writer");
        reader.Start("reader", "--shared_buffers", "2MB", "--sharedstorage.peers", cable.Address);
        writer.Psql("update first set v = id");
        reader.CatchUpWith(writer);
        ClusterNode.Await("sizes", () => reader.Log.Contains("relations are known", StringComparison.Ordinal));
        using PgbenchRun bench = PgbenchRun.Begin(writer, "-c", "4", "-j", "2", "-M", "prepared");
        using var session = new NodeSession(reader);
        cable.Cut();
        ClusterNode.Await("the reader to freeze", () => reader.Status().State == "frozen");
        var frozen = new Lsn(reader.Status().Applied);
        writer.Psql("insert into subs values (1)");
        string log = Path.Combine(cluster.Root, "log");

        // A file may get another name meanwhile, or go.
        StockPostgres.Run("/bin/sh", ["-c", "mkdir \"$2\"; for f in \"$1\"/0*; do cp -a \"$f\" \"$2\"/ || [ ! -e \"$f\" ] || exit 1; done", "sh", Path.Combine(cluster.DataDirectory, "pg_wal"), log]);
        var answers = new List<(string Query, string Answer)>();
        int failures = AskAll(reader, answers);
        Assert.True(answers.Count > 0, "it answers nothing, though hardly anything has changed");

        // Nobody waits for it: rows go, files are cut, dropped and made anew, and all of it reaches storage.
        ClusterNode.Await("the writer to evict the reader", () => !writer.ReaderStatus(reader.Name).Leased);
        foreach (string change in new[]
        {
            $"delete from first where id > {RulesTemplate.Rows / 2}", "vacuum first", "truncate second", "insert into second values (1, 5, 'new')", "drop table third", "vacuum",
            "create table third (id int primary key, v int)", "insert into third values (1, 6)", "checkpoint", "insert into first select 20000 + i, 1, 'y' from generate_series(1, 8000) i", "checkpoint",
        })
        {
            writer.Psql(change);
            failures += AskAll(reader, answers);
        }

        Assert.True(failures > 0, "it fails nothing, though it cannot know: the changes have not reached it on storage");
        Assert.Equal(frozen, new Lsn(reader.Status().Applied));
        bench.End();
        writer.Psql("checkpoint");
        failures += AskAll(reader, answers);
        cluster.Note($"{answers.Count} answers, {failures} failures at {frozen}");

        // The log that it needs may be gone by now: nothing kept it. Then it begins anew by itself.
        cable.Restore();
        ClusterNode.Await("the reader to come back", () => reader.TryPsql("select count(*) from first where id > 20000").Output.TrimEnd() == "8000");
        reader.CatchUpWith(writer);
        Assert.Equal(Queries.Select(writer.Psql), Queries.Select(reader.Psql));
        string[] expected = StockAt.Ask(log, copy, frozen, stock => Queries.Select(q => stock.Psql(q)).ToArray());
        foreach ((string query, string answer) in answers)
        {
            Assert.Equal((query, expected[Array.IndexOf(Queries, query)]), (query, answer));
        }

        cluster.StopAll();
        cluster.Judge(clean: true);
    });

    private static string[] Begin(NodeSession session)
    {
        session.Execute("begin isolation level repeatable read");
        string[] answers = [.. Queries.Select(session.Scalar)];
        session.Execute("declare c no scroll cursor for select aid from pgbench_accounts");
        Assert.Equal(10, session.Column("fetch 10 from c").Length);
        return answers;
    }

    /// <summary>Notes the answers; how many queries failed, each with a clear error.</summary>
    private static int AskAll(ClusterNode reader, List<(string Query, string Answer)> answers)
    {
        int failures = 0;
        foreach (string query in Queries)
        {
            (int code, string output, string error) = reader.TryPsql(query);
            if (code == 0)
            {
                answers.Add((query, output.TrimEnd('\n')));
                continue;
            }

            Assert.Contains("55000: the page may have changed since this reader lost its writer", error, StringComparison.Ordinal);
            failures++;
        }

        return failures;
    }
}
