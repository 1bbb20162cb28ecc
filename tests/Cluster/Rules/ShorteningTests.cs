using System.Globalization;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster.Rules;

/// <summary>R1: a file is cut once every leased reader has applied the record, and neither a checkpoint's redo nor consistent passes the record before. Stock PostgreSQL judges what a kill leaves.</summary>
public sealed class ShorteningTests
{
    private const int Half = RulesTemplate.Rows / 2;

    /// <summary>What a checkpoint gets to end that must not end, before the kill. Too short, the test shows less; it fails for no other reason.</summary>
    private static readonly TimeSpan Chance = TimeSpan.FromSeconds(2);

    [SkippableTheory]
    [InlineData("shorten-after-record")]
    [InlineData("files.before-truncate")]
    public void A_checkpoint_and_a_kill_in_the_middle_of_a_cut_bring_no_deleted_row_back(string point) => RulesTemplate.Run(1, cluster =>
    {
        (ClusterNode writer, ClusterNode reader) = (cluster.Nodes[0], cluster.Nodes[1]);
        var cut = new FaultDoor(cluster, point);
        writer.Start("writer", FaultDoor.Arguments(cut));
        reader.Start("reader");
        DeleteTailAndStop(writer, reader);

        // The tail's pages, with their deleted rows, are in no file; they are given up with the cut. The file has the rows of before.
        cut.Close();
        Task vacuum = Task.Run(() => writer.TryPsql("vacuum first"));
        cut.AwaitReached();
        Task checkpoint = Task.Run(() => writer.TryPsql("checkpoint"));
        checkpoint.Wait(Chance);
        writer.Kill();
        Task.WaitAll(vacuum, checkpoint);
        reader.Kill();
        cluster.Judge(clean: false, stock =>
        {
            Assert.Equal(Text(Half), stock.Psql("select count(*) from first"));
            Assert.Equal("0", stock.Psql($"set enable_seqscan = off; select count(*) from first where id > {Half}"));
        });
    });

    [SkippableFact]
    public void Rows_inserted_where_a_tail_was_cut_before_the_reader_goes_on_are_all_there() => RulesTemplate.Run(1, cluster =>
    {
        (ClusterNode writer, ClusterNode reader) = (cluster.Nodes[0], cluster.Nodes[1]);
        cluster.StartAll();
        DeleteTailAndStop(writer, reader);

        // The insert waits for the cut, and the cut for the reader's lease. Then the file grows again over what was cut.
        Task<string> vacuum = Task.Run(() => writer.Psql("vacuum first"));
        Task<string> insert = Task.Run(() => writer.Psql($"insert into first select {RulesTemplate.Rows} + i, 1, 'y' from generate_series(1, {RulesTemplate.Rows}) i"));
        Assert.True(Task.WaitAll([vacuum, insert], ClusterNode.Patience), "VACUUM or INSERT still waits for a reader whose lease is over");
        writer.Psql("checkpoint");
        string expected = $"{Half + RulesTemplate.Rows}|{RulesTemplate.Rows}";
        const string query = "select count(*), sum(v) from first";
        Assert.Equal(expected, writer.Psql(query));

        reader.Signal("CONT");
        reader.CatchUpWith(writer);
        ClusterNode.Await("the reader to serve again", () => reader.TryPsql("select 1").ExitCode == 0);
        Assert.Equal(expected, reader.Psql(query));
        writer.Psql("update first set v = 2 where v = 1");
        writer.Kill();
        reader.Kill();
        cluster.Judge(clean: false, stock => Assert.Equal($"{Half + RulesTemplate.Rows}|{2 * RulesTemplate.Rows}", stock.Psql(query)));
    });

    /// <summary>The deletion is known to the reader, and in no file.</summary>
    private static void DeleteTailAndStop(ClusterNode writer, ClusterNode reader)
    {
        writer.Psql("checkpoint");
        writer.Psql($"delete from first where id > {Half}");
        ulong deleted = writer.Status().Flushed;
        ClusterNode.Await("the reader's acknowledgement", () => writer.ReaderStatus(reader.Name).Applied >= deleted);
        reader.Signal("STOP");
    }

    private static string Text(int n) => n.ToString(CultureInfo.InvariantCulture);
}
