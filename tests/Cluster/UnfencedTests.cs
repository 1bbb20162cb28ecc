using SharedStorage.Control.V1;
using SharedStorage.Primitives;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>R13: a reader is promoted while the former writer is not known to be dead. What that one began to write lands late, over newer pages and the control file.</summary>
public sealed class UnfencedTests
{
    private const int PageSize = 8192;

    [SkippableFact]
    public void Late_writes_of_a_former_writer_that_was_not_fenced_are_found_and_put_right()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            (ClusterNode former, ClusterNode promoted) = (cluster.Nodes[0], cluster.Nodes[1]);
            cluster.StartAll();
            former.Psql("CREATE TABLE t (i int, v int)");
            former.Psql("INSERT INTO t SELECT i, 0 FROM generate_series(1, 2000) i");
            former.Psql("CREATE TABLE large (i int, filler text)");
            former.Psql("INSERT INTO large SELECT i, repeat('x', 500) FROM generate_series(1, 12000) i");
            former.Psql("CHECKPOINT");
            string file = Path.Combine(cluster.DataDirectory, former.Psql("SELECT 'base/' || (SELECT oid FROM pg_database WHERE datname = 'postgres') || '/' || relfilenode FROM pg_class WHERE relname = 't'"));
            byte[] oldPage = File.ReadAllBytes(file)[..PageSize];
            string control = Path.Combine(cluster.DataDirectory, "global", "pg_control");
            byte[] oldControl = File.ReadAllBytes(control);
            promoted.CatchUpWith(former);
            former.Signal("STOP");
            try
            {
                promoted.Promote(fenced: false);
                Assert.True(promoted.Status().FormerUnfenced);
                promoted.Psql("UPDATE t SET v = v + 1");
                promoted.Psql("VACUUM t");
                promoted.Psql("CHECKPOINT");
                string before = cluster.ControlData();
                Assert.NotEqual(oldPage, File.ReadAllBytes(file)[..PageSize]);

                // The pool is much smaller than this: t is read again afterwards.
                promoted.Psql("SELECT count(filler) FROM large");
                Overwrite(file, oldPage);
                Overwrite(control, oldControl);
                Assert.Equal("2000|2000", promoted.Psql("SELECT count(*) || '|' || sum(v) FROM t"));
                ClusterNode.Await("the control file to be written again", () => cluster.ControlData() == before);

                Overwrite(file, oldPage);
                promoted.ConfirmFenced();
                Assert.False(promoted.Status().FormerUnfenced);
                Assert.NotEqual(oldPage, File.ReadAllBytes(file)[..PageSize]);
                promoted.Psql("CHECKPOINT");
                Assert.NotEqual(before, cluster.ControlData());
            }
            finally
            {
                former.Kill();
            }

            promoted.Stop();
            cluster.Judge(clean: true, stock => Assert.Equal("2000|2000", stock.Psql("SELECT count(*) || '|' || sum(v) FROM t")));
        }, null, "shared_buffers = '1MB'");
    }

    [SkippableFact]
    public void A_former_writer_whose_process_is_seen_to_be_gone_is_fenced()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            (ClusterNode former, ClusterNode promoted) = (cluster.Nodes[0], cluster.Nodes[1]);
            cluster.StartAll();
            former.Psql("INSERT INTO acknowledged VALUES (1)");
            promoted.CatchUpWith(former);
            former.Signal("STOP");
            promoted.Promote(fenced: false);
            promoted.Psql("INSERT INTO acknowledged VALUES (2)");

            // The writer dies unfenced; started again it does not know more than before, until the first one is gone.
            promoted.Kill();
            promoted.Start("writer");
            Assert.True(promoted.Status().FormerUnfenced);
            former.Kill();
            ClusterNode.Await("the former writer to be seen dead", () => !promoted.Status().FormerUnfenced);
            Assert.Equal("2", promoted.Psql("SELECT count(*) FROM acknowledged"));
            promoted.Stop();
            cluster.Judge(clean: true);
        });
    }

    private static void Overwrite(string path, byte[] content)
    {
        using FileStream file = File.OpenWrite(path);
        file.Write(content);
        file.Flush(flushToDisk: true);
    }
}
