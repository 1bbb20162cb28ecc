using SharedStorage.Primitives;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster.Rules;

/// <summary>R4 and R7: a reader serves from its floor on, and takes what has no page LSN from the log, not from a disk that may be ahead of it.</summary>
public sealed class ActivationTests
{
    private const string Rows = "select count(*) || ' ' || coalesce(sum(id), 0) || ' ' || coalesce(min(id), 0) from first";
    private const string Subs = "select count(*) || ' ' || coalesce(sum(id), 0) from subs";
    private static readonly TimeSpan Chance = TimeSpan.FromSeconds(2);

    [SkippableFact]
    public void A_reader_that_was_held_before_its_activation_shows_what_PostgreSQL_shows_at_its_position() => RulesTemplate.Run(1, cluster =>
    {
        // PostgreSQL recovers the copy to a position from the cluster's own log, which no reader needs from there on.
        (ClusterNode writer, ClusterNode reader) = (cluster.Nodes[0], cluster.Nodes[1]);
        string copy = cluster.CopyData("copy");
        writer.Start("writer");
        var activation = new FaultDoor(cluster, "reader.before-activation");
        var tail = new FaultDoor(cluster, "reader.before-apply");
        activation.Close();
        reader.Launch("reader", FaultDoor.Arguments(activation, tail));
        activation.AwaitReached();
        tail.Close();

        // It stands before this, and nothing counts it: the rows go, for good, and pages and clog reach storage.
        writer.Psql("update third set v = 1");
        writer.Psql("delete from first where id % 3 = 0");
        writer.Psql("vacuum freeze first");
        writer.Psql("checkpoint");
        activation.Open();
        tail.AwaitReached();
        ClusterNode.Await("the activation", () => reader.Status().State is "activated" or "active");
        (_, string early, string refusal) = reader.TryPsql(Rows);
        Assert.True(refusal.Contains("the database system is not yet accepting connections", StringComparison.Ordinal), $"it serves below its floor: {early}{refusal}");

        tail.Open();
        reader.WaitUntilReady();
        using var session = new NodeSession(reader);
        session.Execute("begin isolation level repeatable read");
        string first = session.Scalar(Rows);
        var position = new Lsn(reader.Status().Visible);
        writer.Psql("delete from first where id % 3 = 1");
        writer.Psql("vacuum freeze first");
        writer.Psql("checkpoint");
        Assert.Equal(first, session.Scalar(Rows));
        string third = session.Scalar("select sum(v) from third");
        string expected = StockAt.Ask(Path.Combine(cluster.DataDirectory, "pg_wal"), copy, position, stock => stock.Psql(Rows) + "|" + stock.Psql("select sum(v) from third"));
        Assert.Equal(expected, first + "|" + third);
        session.Execute("commit");
        reader.CatchUpWith(writer);
        Assert.Equal(writer.Psql(Rows), reader.Psql(Rows));
        cluster.StopAll();
    }, "wal_keep_size = '1GB'");

    [SkippableFact]
    public void A_reader_that_joins_in_the_middle_of_a_hundred_subtransactions_sees_nothing_and_then_all() => RulesTemplate.Run(1, cluster =>
    {
        (ClusterNode writer, ClusterNode reader) = (cluster.Nodes[0], cluster.Nodes[1]);
        writer.Start("writer");
        using var session = new NodeSession(writer);
        session.Execute("begin");
        InsertInSubtransactions(session, 1, 100);
        var tail = new FaultDoor(cluster, "reader.before-apply");
        reader.Start("reader", FaultDoor.Arguments(tail));
        Assert.Equal("0 0", reader.Psql(Subs));
        InsertInSubtransactions(session, 101, 150);
        reader.CatchUpWith(writer);
        Assert.Equal("0 0", reader.Psql(Subs));

        tail.Close();
        writer.Psql("update third set v = 1 where id = 1");
        tail.AwaitReached();
        session.Execute("commit");

        // It asks for every page of clog to be written; those that tell of the commit are ahead of the reader.
        Task checkpoint = Task.Run(() => writer.Psql("checkpoint"));
        checkpoint.Wait(Chance);
        Assert.Equal("0 0", reader.Psql(Subs));
        using var later = new NodeSession(reader);
        Assert.Equal("0 0", later.Scalar(Subs));
        tail.Open();
        reader.CatchUpWith(writer);
        Assert.Equal("150 11325", reader.Psql(Subs));
        Assert.Equal("150 11325", later.Scalar(Subs));
        Assert.True(checkpoint.Wait(ClusterNode.Patience), "the checkpoint does not end though the reader has gone on");
        writer.Kill();
        reader.Kill();
        cluster.Judge(clean: false, stock => Assert.Equal("150 11325", stock.Psql(Subs)));
    });

    private static void InsertInSubtransactions(NodeSession session, int from, int to)
    {
        for (int i = from; i <= to; i++)
        {
            session.Execute($"savepoint s{i}; insert into subs values ({i})");
        }
    }
}
