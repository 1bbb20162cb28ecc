using SharedStorage.TestKit;

namespace SharedStorage.Cluster;

/// <summary>Directories that a node must not open: each is refused with words that say why, and nothing in it changes.</summary>
public sealed class BadDirectoryTests
{
    [SkippableFact]
    public void A_directory_of_another_major_version_is_refused() => Refused(
        c => Write(c, "PG_VERSION", "14\n"), "initialized by PostgreSQL version 14", c => Write(c, "PG_VERSION", "15\n"));

    [SkippableFact]
    public void A_directory_without_checksums_is_refused_with_the_command_that_enables_them() => Refused(
        c => StockPostgres.Tool("pg_checksums", "--disable", "-D", c.DataDirectory), "pg_checksums --enable", c => StockPostgres.Tool("pg_checksums", "--enable", "-D", c.DataDirectory));

    [SkippableFact]
    public void A_directory_that_initdb_did_not_make_is_refused() => Refused(
        c =>
        {
            string empty = Path.Combine(c.Root, "empty");
            StockPostgres.Run("mkdir", ["-m", "700", empty]);
            c.Writer.DataDirectory = empty;
        },
        "is not a valid data directory",
        c => c.Writer.DataDirectory = c.DataDirectory);

    [SkippableFact]
    public void A_damaged_control_file_is_refused()
    {
        const int at = 100;
        Refused(c => Flip(c, "global/pg_control", at), "incorrect checksum in control file", c => Flip(c, "global/pg_control", at));
    }

    [SkippableFact]
    public void A_directory_of_another_user_is_refused()
    {
        Skip.IfNot(StockPostgres.IsRoot, "only root can give a directory to another user");
        Refused(
            c => StockPostgres.Run("chown", ["root", c.DataDirectory], asCaller: true),
            "has wrong ownership",
            c => StockPostgres.Run("chown", ["postgres", c.DataDirectory], asCaller: true));
    }

    [SkippableFact]
    public void A_directory_on_tmpfs_is_refused()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        Skip.IfNot(TmpfsByCaller(), "/dev/shm is no tmpfs here");
        string place = StockPostgres.Run("mktemp", ["-d", "/dev/shm/sharedstorage-test-XXXXXX"]).Trim();
        try
        {
            Refused(
                c =>
                {
                    StockPostgres.Run("cp", ["-a", c.DataDirectory, place + "/data"]);
                    c.Writer.DataDirectory = place + "/data";
                },
                "is on tmpfs",
                c => c.Writer.DataDirectory = c.DataDirectory);
        }
        finally
        {
            Directory.Delete(place, recursive: true);
        }
    }

    [SkippableFact]
    public void Ours_and_a_stock_postmaster_keep_out_of_each_others_directory()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(0, cluster =>
        {
            using (StockPostgres stock = StockPostgres.Adopt(cluster.DataDirectory))
            {
                stock.Start();
                ExpectRefusal(cluster.Writer, "Is another postmaster");
                Assert.Equal("1", stock.Psql("select 1"));
                stock.Stop();
            }

            cluster.Writer.Start("writer");
            using (StockPostgres stock = StockPostgres.Adopt(cluster.DataDirectory))
            {
                InvalidOperationException e = Assert.Throws<InvalidOperationException>(() => stock.Start());
                Assert.Contains("lock file \"postmaster.pid\" already exists", e.Message, StringComparison.Ordinal);
            }

            cluster.Writer.Psql("insert into acknowledged values (1)");
            cluster.Writer.Stop();
        });
    }

    [SkippableFact]
    public void A_second_writer_on_the_same_storage_is_refused_and_the_first_goes_on()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            cluster.Writer.Start("writer");
            ExpectRefusal(cluster.Nodes[1], "another writer holds this storage");
            cluster.Writer.Psql("insert into acknowledged values (1)");
            cluster.Writer.Stop();
        });
    }

    [SkippableFact]
    public void A_reader_of_another_cluster_is_refused()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(1, cluster =>
        {
            // Another set of arguments, so a directory of its own with its own system identifier.
            using StockPostgres other = StockPostgres.Create(null, "--wal-segsize=1");
            cluster.Nodes[1].DataDirectory = other.DataDirectory;
            cluster.Writer.Start("writer");
            cluster.Nodes[1].Launch("reader");
            (int code, string log) = cluster.Nodes[1].WaitForEnd();
            Assert.NotEqual(0, code);
            Assert.Contains("another cluster", log, StringComparison.Ordinal);
            cluster.Writer.Stop();
        });
    }

    [SkippableFact]
    public void Unknown_settings_are_refused_with_their_place()
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(0, cluster =>
        {
            ExpectRefusal(cluster.Writer, "unrecognized configuration parameter \"no_such_setting\" (command line)", "--no-such-setting", "1");
            ExpectRefusal(cluster.Writer, "\"port\"", "--port", "70000");
            File.AppendAllText(Path.Combine(cluster.Writer.LocalDirectory, "sharedstorage.conf"), "sharedstorage.leese = 5s\n");
            ExpectRefusal(cluster.Writer, "unrecognized configuration parameter \"sharedstorage.leese\"");
            Assert.Contains("sharedstorage.conf\" line", cluster.Writer.Log, StringComparison.Ordinal);
        });
    }

    /// <summary>Spoils a directory, expects the refusal, mends it, and expects that everything is as it was.</summary>
    private static void Refused(Action<ClusterFixture> spoil, string words, Action<ClusterFixture> mend)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(0, cluster =>
        {
            spoil(cluster);
            ExpectRefusal(cluster.Writer, words);
            mend(cluster);
            Assert.Equal("shut down", cluster.ControlState());
            Assert.False(File.Exists(Path.Combine(cluster.DataDirectory, "postmaster.pid")));
        });
    }

    internal static void ExpectRefusal(ClusterNode node, string words, params string[] settings)
    {
        node.Launch("writer", settings);
        (int code, string log) = node.WaitForEnd();
        Assert.NotEqual(0, code);
        Assert.Contains(words, log, StringComparison.Ordinal);
    }

    internal static void Flip(ClusterFixture cluster, string file, long at)
    {
        using FileStream stream = File.Open(Path.Combine(cluster.DataDirectory, file), FileMode.Open, FileAccess.ReadWrite);
        stream.Position = at;
        int b = stream.ReadByte();
        stream.Position = at;
        stream.WriteByte((byte)(b ^ 0x10));
    }

    private static void Write(ClusterFixture cluster, string file, string text) => File.WriteAllText(Path.Combine(cluster.DataDirectory, file), text);

    private static bool TmpfsByCaller() => StockPostgres.Run("stat", ["-f", "-c", "%T", "/dev/shm"], asCaller: true).Trim() == "tmpfs";
}
