using System.Globalization;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster.Rules;

/// <summary>R3: what recovery has left to be redone counts as dirty, so the first checkpoint brings all of it to disk, whatever was touched.</summary>
public sealed class RecoveryTests
{
    private const string Touch = "update third set v = v + 1000 where id <= 3";
    private static readonly string[] Load =
    [
        "update pgbench_accounts set filler = 'changed'", "update first set v = v + 1", "insert into subs select i from generate_series(1, 20000) i", "update second set v = v + 1 where id % 2 = 0", "delete from subs where id % 7 = 0",
    ];

    [SkippableFact]
    public void A_checkpoint_after_instant_recovery_brings_every_table_to_disk() => RulesTemplate.Run(0, cluster =>
    {
        ulong size = ulong.Parse(Environment.GetEnvironmentVariable("TEST_RULES_WAL_MB") ?? "100", CultureInfo.InvariantCulture) << 20;
        ClusterNode writer = cluster.Writer;
        writer.Start("writer", "--max_wal_size", "16GB");
        ulong from = writer.Status().Flushed;
        Task<(int, string)> bench = Task.Run(() => writer.Pgbench("-c", "2", "-T", "3600", "-M", "prepared"));
        for (int i = 0; writer.Status().Flushed - from < size; i++)
        {
            writer.Psql(Load[i % Load.Length]);
        }

        writer.Kill();
        bench.GetAwaiter().GetResult();
        using StockPostgres expected = StockPostgres.Adopt(cluster.CopyData("copy"));
        expected.Start();
        expected.Psql(Touch);

        writer.Start("writer", "--max_wal_size", "16GB");
        writer.Psql(Touch);
        writer.Psql("checkpoint");
        writer.Kill();
        cluster.Judge(clean: false, stock =>
        {
            foreach (string table in RulesTemplate.Tables(expected))
            {
                Assert.Equal(table + " " + RulesTemplate.Hash(expected, table), table + " " + RulesTemplate.Hash(stock, table));
            }
        });
        expected.Stop();
    });
}
