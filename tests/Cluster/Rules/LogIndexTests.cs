using SharedStorage.TestKit;

namespace SharedStorage.Cluster.Rules;

/// <summary>R6: the index of the log is cut while a page is on its way from storage, and behind pages in memory; neither loses an update.</summary>
public sealed class LogIndexTests
{
    private const string Query = "select count(*) || ' ' || sum(v) from {0}";

    [SkippableTheory]
    [InlineData("buffers.before-read")]
    [InlineData("buffers.after-read")]
    public void An_update_that_is_flushed_and_announced_while_a_page_is_read_shows(string point) => RulesTemplate.Run(1, cluster =>
    {
        (ClusterNode writer, ClusterNode reader) = (cluster.Nodes[0], cluster.Nodes[1]);
        var read = new FaultDoor(cluster, point);
        writer.Start("writer");
        reader.Start("reader", FaultDoor.Arguments(read));
        using var session = new NodeSession(reader);

        // Catalogs and plans of a table of the same kind first, so that the next page that is read is one of the other table's.
        session.Scalar(Of("first"));
        session.Execute("prepare second as " + Of("second"));
        Assert.Equal("10000 0", session.Scalar(Of("third")));
        read.Close();
        Task<string> reading = Task.Run(() => session.Scalar("execute second"));
        read.AwaitReached();
        PassBehind(writer, reader, "update second set v = 1");
        read.Open();

        // Its snapshot is from before the update; the next one is not, and finds the same frames.
        Assert.Equal("10000 0", reading.GetAwaiter().GetResult());
        Assert.Equal("10000 10000", session.Scalar("execute second"));

        // Pages that were in memory all along, and that nobody looked at while the index was cut past them.
        PassBehind(writer, reader, "update third set v = 2");
        PassBehind(writer, reader, "update third set v = v + 1 where id % 100 = 0");
        Assert.Equal("10000 20100", session.Scalar(Of("third")));
        Assert.Equal(writer.Psql(Of("second")), reader.Psql(Of("second")));
        cluster.StopAll();
    });

    /// <summary>The change is applied on the reader, durable in files, announced as such, and cut from the reader's index.</summary>
    private static void PassBehind(ClusterNode writer, ClusterNode reader, string change)
    {
        writer.Psql(change);
        ulong changed = writer.Status().Flushed;
        writer.Psql("checkpoint");
        ClusterNode.Await("the announcement", () => reader.Status().Consistent >= changed);
        reader.CatchUpWith(writer);

        // The cut follows an announcement when the tail looks next: at the latest with the log of this.
        writer.Psql("insert into subs values (0)");
        reader.CatchUpWith(writer);
    }

    private static string Of(string table) => Query.Replace("{0}", table, StringComparison.Ordinal);
}
