using SharedStorage.TestKit;

namespace SharedStorage.Cluster.Rules;

/// <summary>R10: what a promoted reader has acknowledged survives its death, whether its first checkpoint is made or not; stock PostgreSQL finds it by the control file and the history file.</summary>
public sealed class PromotionTests
{
    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void PostgreSQL_has_every_row_acknowledged_by_a_promoted_reader_that_was_killed(bool afterCheckpoint) => RulesTemplate.Run(1, cluster =>
    {
        int seed = Environment.TickCount;
        cluster.Note($"seed {seed}");
        (ClusterNode writer, ClusterNode promoted) = (cluster.Nodes[0], cluster.Nodes[1]);
        var checkpoint = new FaultDoor(cluster, "checkpoint-after-redo");
        writer.Start("writer");
        promoted.Start("reader", FaultDoor.Arguments(checkpoint));
        var load = new AcknowledgedLoad();
        KillTests.KillUnderLoad(cluster, load, new Random(seed));
        if (!afterCheckpoint)
        {
            // It asks for one by itself.
            checkpoint.Close();
        }

        Assert.Equal(2u, promoted.Promote().Timeline);
        if (afterCheckpoint)
        {
            promoted.Psql("checkpoint");
        }

        Task<(int, string)> bench = Task.Run(() => promoted.Pgbench("-c", "4", "-j", "2", "-T", "60", "-M", "prepared"));
        load.Begin(promoted, 4);
        load.WaitForMore(200);
        Assert.Equal(!afterCheckpoint, checkpoint.IsReached);
        promoted.Kill();
        load.Join();
        bench.GetAwaiter().GetResult();
        cluster.Judge(clean: false, stock => load.Check(s => stock.Psql(s)));
    });
}
