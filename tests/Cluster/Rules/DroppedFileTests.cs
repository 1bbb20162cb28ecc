using SharedStorage.TestKit;

namespace SharedStorage.Cluster.Rules;

/// <summary>R2: a dropped file stays ordinary until it goes: its pages are flushed and counted in consistent, and its readers read on.</summary>
public sealed class DroppedFileTests
{
    [SkippableFact]
    public void A_cursor_reads_the_old_rows_of_a_truncated_table_from_storage() => RulesTemplate.Run(1, cluster =>
    {
        (ClusterNode writer, ClusterNode reader) = (cluster.Nodes[0], cluster.Nodes[1]);
        writer.Start("writer");
        reader.Start("reader", "--shared_buffers", "2MB");
        writer.Psql("checkpoint");
        writer.Psql("update first set v = 7");
        reader.CatchUpWith(writer);
        using var session = new NodeSession(reader);
        session.Execute("begin isolation level repeatable read");
        session.Execute("declare c no scroll cursor for select v from first");
        Assert.Equal(Enumerable.Repeat("7", 10), session.Column("fetch 10 from c"));

        // The update is in no file of the table that is dropped here.
        writer.Psql("truncate first");
        ulong truncated = writer.Status().Flushed;
        writer.Psql("insert into first values (1, 8, 'new')");
        writer.Psql("checkpoint");
        ClusterNode.Await("consistent to pass", () => reader.Status().Consistent >= truncated);

        // Several times what the reader's cache holds.
        Assert.Equal("100000", reader.Psql("select count(*) from pgbench_accounts"));
        Assert.Equal("100000", reader.Psql("select count(*) from pgbench_accounts"));
        Assert.Equal(Enumerable.Repeat("7", RulesTemplate.Rows - 10), session.Column("fetch all from c"));
        Assert.Equal($"{7L * RulesTemplate.Rows}", session.Scalar("select sum(v) from first"));
        session.Execute("commit");
        Assert.Equal("8", session.Scalar("select sum(v) from first"));
        cluster.StopAll();
        cluster.Judge(clean: true, stock => Assert.Equal("8", stock.Psql("select sum(v) from first")));
    });
}
