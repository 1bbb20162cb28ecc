using System.Globalization;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>Damage that happens to good directories: it is told from the end of the log, named by file and block, and costs nothing that was sound (I12).</summary>
public sealed class DamageTests
{
    [SkippableFact]
    public void A_flipped_byte_in_the_middle_of_the_log_is_refused_and_not_taken_for_its_end()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(0, cluster =>
        {
            var load = new AcknowledgedLoad();
            cluster.Writer.Start("writer");
            load.Begin(cluster.Writer, 4);
            load.WaitForMore(500);

            // The mark is the lease file, renewed once a second: two renewals later it proves the log up to here.
            long proven = (long)(cluster.Writer.Status().Flushed & 0xFFFFFF);
            for (int i = 0; i < 2; i++)
            {
                byte[] lease = File.ReadAllBytes(Path.Combine(cluster.DataDirectory, "cluster", "lease"));
                ClusterNode.Await("a renewal", () => !File.ReadAllBytes(Path.Combine(cluster.DataDirectory, "cluster", "lease")).AsSpan().SequenceEqual(lease));
            }

            cluster.Writer.Kill();
            load.Join();
            (string segment, long[] offsets) = RecordsSinceRedo(cluster);
            long[] before = [.. offsets.Where(o => o < proven)];
            long middle = before[before.Length / 2] + 26;
            BadDirectoryTests.Flip(cluster, segment, middle);
            BadDirectoryTests.ExpectRefusal(cluster.Writer, "the log is damaged at");

            // The refusal changed nothing: mended, the directory has everything.
            BadDirectoryTests.Flip(cluster, segment, middle);
            cluster.Writer.Start("writer");
            load.Check(cluster.Writer.Psql);
            cluster.Writer.Stop();
        });
    }

    [SkippableFact]
    public void A_torn_tail_of_the_log_is_its_end()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(0, cluster =>
        {
            using (StockPostgres stock = StockPostgres.Adopt(cluster.DataDirectory))
            {
                stock.Start();
                stock.Psql("insert into acknowledged select generate_series(1, 1000)");
                stock.Psql("insert into acknowledged values (1001)");
                stock.Kill();
            }

            // Without a lease file there is no durable mark behind the redo pointer: as for PostgreSQL, the log ends where a record fails its check.
            (string segment, long[] offsets) = RecordsSinceRedo(cluster);
            BadDirectoryTests.Flip(cluster, segment, offsets[^1] + 25);
            cluster.Writer.Start("writer");
            Assert.Contains(cluster.Writer.Psql("select count(*) from acknowledged"), new[] { "1000", "1001" });
            cluster.Writer.Psql("insert into acknowledged values (1002)");
            cluster.Writer.Stop();
            cluster.Judge(clean: true);
        });
    }

    [SkippableFact]
    public void A_data_page_with_a_bad_checksum_is_named_and_the_other_tables_go_on()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.Writer.Start("writer");
            string file = cluster.Writer.Psql(
                "select 'base/' || (select oid from pg_database where datname = 'postgres') || '/' || relfilenode from pg_class where relname = 'pgbench_accounts'");
            cluster.Writer.Stop();
            BadDirectoryTests.Flip(cluster, file, (3 * 8192) + 4000);
            cluster.StartAll();
            foreach (ClusterNode node in cluster.Nodes)
            {
                (int code, _, string error) = node.TryPsql("select sum(abalance) from pgbench_accounts");
                Assert.NotEqual(0, code);
                Assert.Contains("XX001", error, StringComparison.Ordinal);
                Assert.Contains($"block 3 of file \"{file}\"", error, StringComparison.Ordinal);
                Assert.Equal("10", node.Psql("select count(*) from pgbench_tellers"));
            }

            Assert.True(cluster.Writer.IsRunning);
            cluster.StopAll();
        });
    }

    /// <summary>The segment that holds the log since the last checkpoint's redo, as a path in the directory, and where in it records begin; all by PostgreSQL's own programs.</summary>
    private static (string Segment, long[] Offsets) RecordsSinceRedo(ClusterFixture cluster)
    {
        string[] control = cluster.ControlData().Split('\n');
        string Field(string name) => control.Single(l => l.StartsWith(name, StringComparison.Ordinal))[name.Length..].Trim();
        string redo = Field("Latest checkpoint's REDO location:");
        string segment = Field("Latest checkpoint's REDO WAL file:");

        // It ends with an error at the end of the log, which is no failure here.
        string records = StockPostgres.TryTool("pg_waldump", "-p", Path.Combine(cluster.DataDirectory, "pg_wal"), "-s", redo, segment).Output;
        long[] offsets = [.. records.Split('\n').Where(l => l.StartsWith("rmgr:", StringComparison.Ordinal))
            .Select(l => l.Split("lsn: ")[1].Split(',')[0].Split('/')[1])
            .Select(h => long.Parse(h, NumberStyles.HexNumber, CultureInfo.InvariantCulture) & 0xFFFFFF)];
        Assert.True(offsets.Length > 3, records);
        return ("pg_wal/" + segment, offsets);
    }
}
