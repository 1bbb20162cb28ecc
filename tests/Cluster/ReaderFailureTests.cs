using System.Globalization;
using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>
/// The writer never depends on a reader: readers stop or die under a load whose pages are many times what the writer's pool holds. The long form, with a table second by second, is
/// scripts/reader-failures.sh.
/// </summary>
public sealed class ReaderFailureTests
{
    /// <summary>Far below the template's tables, so that every frame is dirty and ahead of the stopped reader within a second or two.</summary>
    private const string SmallPool = "shared_buffers = '2MB'";

    private static readonly string[] Settings = [SmallPool, "sharedstorage.lease = '5s'"];

    [SkippableFact]
    public void Transactions_logins_DDL_and_a_checkpoint_go_on_while_all_readers_are_stopped()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(
            2,
            cluster =>
            {
                cluster.StartAll();
                using PgbenchRun load = Load(cluster);
                AwaitTransactions(cluster, 500);
                foreach (ClusterNode reader in cluster.Readers)
                {
                    reader.Signal("STOP");
                }

                Work(cluster, "all_stopped");
                Assert.True(TakenCopies(cluster), "no page was ahead of a reader: there was nothing to see");
                foreach (ClusterNode reader in cluster.Readers)
                {
                    ClusterNode.Await($"the lease of {reader.Name} to end", () => cluster.Writer.ReaderStatus(reader.Name).State == "evicted");
                    reader.Signal("CONT");
                }

                foreach (ClusterNode reader in cluster.Readers)
                {
                    AnswersRightOrNotAtAll(reader);
                    ClusterNode.Await($"{reader.Name} to be activated again", () => cluster.Writer.ReaderStatus(reader.Name).Leased);
                }

                load.End();
                EndWithEqualSums(cluster);
            },
            null,
            Settings);
    }

    [SkippableFact]
    public void Transactions_logins_DDL_and_a_checkpoint_go_on_when_a_reader_is_killed_and_it_comes_back()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(
            2,
            cluster =>
            {
                cluster.StartAll();
                using PgbenchRun load = Load(cluster);
                AwaitTransactions(cluster, 500);
                ClusterNode killed = cluster.Nodes[1];
                killed.Kill();
                Work(cluster, "one_killed");
                killed.Start("reader");
                ClusterNode.Await("the restarted reader to be active", () => cluster.Writer.ReaderStatus(killed.Name).Leased && killed.TryPsql("select 1").ExitCode == 0);
                ClusterFixture.Sums(killed);
                load.End();
                EndWithEqualSums(cluster);
            },
            null,
            Settings);
    }

    [SkippableFact]
    public void Without_room_for_frozen_copies_changes_wait_for_the_lease_and_reads_and_DDL_do_not()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(
            1,
            cluster =>
            {
                cluster.StartAll();
                using PgbenchRun load = Load(cluster);
                AwaitTransactions(cluster, 500);
                cluster.Nodes[1].Signal("STOP");
                Work(cluster, "no_room");
                Assert.Contains("changes have waited for a reader", cluster.Writer.Log, StringComparison.Ordinal);
                cluster.Nodes[1].Signal("CONT");
                load.End();
                EndWithEqualSums(cluster);
            },
            null,
            [.. Settings, "sharedstorage.frozen_spill_size = 0"]);
    }

    private static PgbenchRun Load(ClusterFixture cluster) => PgbenchRun.Begin(cluster.Writer, "-c", "6", "-j", "2", "-M", "prepared");

    private static long Transactions(ClusterFixture cluster) => long.Parse(cluster.Writer.Psql("select count(*) from pgbench_history"), CultureInfo.InvariantCulture);

    private static void AwaitTransactions(ClusterFixture cluster, long more)
    {
        long target = Transactions(cluster) + more;
        ClusterNode.Await("transactions", () => Transactions(cluster) >= target);
    }

    /// <summary>Each psql is a login of its own.</summary>
    private static void Work(ClusterFixture cluster, string table)
    {
        cluster.Writer.Psql("select count(*) from pg_class");
        cluster.Writer.Psql($"create table {table} (a int primary key, b text)");
        cluster.Writer.Psql($"insert into {table} select i, repeat('x', 100) from generate_series(1, 50) i");
        cluster.Writer.Psql($"alter table {table} add column c int");
        AwaitTransactions(cluster, 100);
        cluster.Writer.Psql("checkpoint");
        cluster.Writer.Psql($"drop table {table}");
        AwaitTransactions(cluster, 100);
    }

    private static bool TakenCopies(ClusterFixture cluster) =>
        cluster.Writer.Log.Split('\n').Any(l => l.Contains(" frozen copies taken", StringComparison.Ordinal) && !l.Contains(" 0 frozen copies taken", StringComparison.Ordinal));

    /// <summary>Right after SIGCONT: an answer is that of one moment, or there is none and the session is told why.</summary>
    private static void AnswersRightOrNotAtAll(ClusterNode reader)
    {
        (int code, string output, string error) = reader.TryPsql(ClusterFixture.SumsQuery);
        if (code == 0)
        {
            ClusterFixture.Sums(_ => output.TrimEnd('\n'));
        }
        else
        {
            Assert.Matches("57P03|40001|55000|not yet accepting connections|server closed the connection", error);
        }
    }

    private static void EndWithEqualSums(ClusterFixture cluster)
    {
        string sums = ClusterFixture.Sums(cluster.Writer);
        foreach (ClusterNode reader in cluster.Readers)
        {
            reader.CatchUpWith(cluster.Writer);
            Assert.Equal(sums, ClusterFixture.Sums(reader));
            Assert.Empty(Directory.GetFiles(Path.Combine(reader.LocalDirectory, "frozen_pages")));
        }

        cluster.StopAll();
        cluster.Judge(clean: true);
    }
}
