using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>In from PostgreSQL: the writer opens what stock PostgreSQL left, however it left it.</summary>
public sealed class FromPostgresTests
{
    [SkippableFact]
    public void A_directory_left_by_SIGKILL_in_the_middle_of_pgbench_is_recovered_and_goes_on()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            using (StockPostgres stock = StockPostgres.Adopt(cluster.DataDirectory))
            {
                stock.Start();
                Task bench = Task.Run(() => StockPostgres.TryTool(
                    "pgbench", "-n", "-h", "127.0.0.1", "-p", $"{stock.Port}", "-U", "postgres", "-c", "8", "-j", "2", "-T", "30", "-M", "prepared", "postgres"));
                ClusterNode.Await("transactions", () => long.Parse(stock.Psql("select count(*) from pgbench_history"), System.Globalization.CultureInfo.InvariantCulture) > 1000);
                stock.Kill();
                bench.GetAwaiter().GetResult();
            }

            cluster.StartAll();
            string sums = ClusterFixture.Sums(cluster.Writer);
            Assert.True(long.Parse(sums.Split('|')[4], System.Globalization.CultureInfo.InvariantCulture) > 1000, sums);
            PgbenchTests.Expect(cluster.Writer.Pgbench("-c", "8", "-j", "2", "-T", "2", "-M", "prepared"));
            foreach (ClusterNode reader in cluster.Readers)
            {
                reader.CatchUpWith(cluster.Writer);
                Assert.Equal(ClusterFixture.Sums(cluster.Writer), ClusterFixture.Sums(reader));
            }

            cluster.StopAll();
            cluster.Judge(clean: true);
        });
    }

    [SkippableFact]
    public void Prepared_transactions_stay_prepared_and_are_ended_here_or_by_PostgreSQL()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            File.AppendAllText(Path.Combine(cluster.DataDirectory, "postgresql.conf"), "\nmax_prepared_transactions = 10\n");
            using (StockPostgres stock = StockPostgres.Adopt(cluster.DataDirectory))
            {
                stock.Start();
                stock.Psql("CREATE TABLE prepared (k int PRIMARY KEY, v text)");
                stock.Psql("INSERT INTO prepared SELECT i, 'old' FROM generate_series(1, 10) i");
                Prepare(stock, 1, "in_file");
                stock.Psql("CHECKPOINT");
                foreach ((int k, string name) in new[] { (2, "rolled_back"), (3, "here"), (4, "kept"), (5, "undone_by_stock"), (6, "committed_by_stock") })
                {
                    Prepare(stock, k, name);
                }

                stock.Kill();
            }

            cluster.StartAll();
            ClusterNode reader = cluster.Readers.First();
            Assert.Equal("0", cluster.Writer.Psql("SELECT count(*) FROM prepared WHERE v <> 'old'"));
            (int code, _, string error) = cluster.Writer.TryPsql("SET lock_timeout = '300ms'; UPDATE prepared SET v = 'mine' WHERE k = 4");
            Assert.True(code != 0 && error.Contains("lock timeout", StringComparison.Ordinal), error);
            (code, _, error) = cluster.Writer.TryPsql("COMMIT PREPARED 'nobody'");
            Assert.True(code != 0 && error.Contains("does not exist", StringComparison.Ordinal), error);
            cluster.Writer.Psql("COMMIT PREPARED 'in_file'");
            cluster.Writer.Psql("ROLLBACK PREPARED 'rolled_back'");
            cluster.Writer.Psql("UPDATE prepared SET v = 'after' WHERE k = 2");
            cluster.Writer.Psql("CHECKPOINT");
            cluster.Writer.Psql("COMMIT PREPARED 'here'");
            const string Look = "SELECT k, v FROM prepared WHERE v <> 'old' ORDER BY k";
            Assert.Equal("1|in_file\n2|after\n3|here", cluster.Writer.Psql(Look));
            reader.CatchUpWith(cluster.Writer);
            Assert.Equal("1|in_file\n2|after\n3|here", reader.Psql(Look));

            // They outlive a crash of the writer, and a clean stop of all.
            cluster.Writer.Kill();
            cluster.Writer.Start("writer");
            Assert.Equal("1|in_file\n2|after\n3|here", cluster.Writer.Psql(Look));
            cluster.StopAll();
            using (StockPostgres stock = StockPostgres.Adopt(cluster.DataDirectory))
            {
                stock.Start();
                Assert.Equal("committed_by_stock,kept,undone_by_stock", stock.Psql("SELECT string_agg(gid, ',' ORDER BY gid) FROM pg_prepared_xacts"));
                stock.Psql("COMMIT PREPARED 'committed_by_stock'");
                stock.Psql("ROLLBACK PREPARED 'undone_by_stock'");
                stock.Psql("COMMIT PREPARED 'kept'");
                Assert.Equal("1|in_file\n2|after\n3|here\n4|kept\n6|committed_by_stock", stock.Psql(Look));
                stock.Stop();
            }

            // Only now: amcheck waits for the locks of what is prepared.
            cluster.Judge(clean: true);
        });

        static void Prepare(StockPostgres stock, int k, string name) =>
            stock.PsqlFile($"BEGIN; UPDATE prepared SET v = '{name}' WHERE k = {k}; SAVEPOINT s; INSERT INTO prepared VALUES ({k + 100}, 'old'); PREPARE TRANSACTION '{name}';");
    }
}
