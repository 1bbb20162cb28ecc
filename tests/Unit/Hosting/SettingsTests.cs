using System.Collections;
using SharedStorage.Hosting.Cluster;
using SharedStorage.Hosting.Settings;
using SharedStorage.Primitives;

namespace SharedStorage.Unit.Hosting;

public sealed class SettingsTests : IDisposable
{
    private readonly string _data = Directory.CreateTempSubdirectory("settings").FullName;
    private readonly string _local = Directory.CreateTempSubdirectory("settings").FullName;

    public void Dispose()
    {
        Directory.Delete(_data, recursive: true);
        Directory.Delete(_local, recursive: true);
    }

    private NodeSettings Load(string? cluster = null, string? local = null, Hashtable? environment = null, params (string, string)[] args)
    {
        File.WriteAllText(Path.Combine(_data, "postgresql.conf"), cluster ?? "");
        File.WriteAllText(Path.Combine(_local, "sharedstorage.conf"), local ?? "");
        return NodeSettings.Load(_data, _local, environment ?? [], args.Select(a => KeyValuePair.Create(a.Item1, a.Item2)));
    }

    [Fact]
    public void Later_sources_win()
    {
        var environment = new Hashtable { ["SHAREDSTORAGE_LEASE"] = "7s", ["OTHER"] = "x" };
        NodeSettings s = Load("shared_buffers = 256MB # ours too\nsharedstorage.lease = '6s'\n", "shared_buffers='64MB'\n", environment, ("port", "6000"));
        Assert.Equal(64L << 20, s.Number("shared_buffers"));
        Assert.Equal(TimeSpan.FromSeconds(7), s.Lease.Lease);
        Assert.Equal(6000, s.Number("port"));
        Assert.Equal("command line", s.SourceOf("port"));
    }

    [Fact]
    public void The_clusters_port_is_stock_PostgreSQLs_own() => Assert.Equal(5432, Load("port = 1234\n").Number("port"));

    [Theory]
    [InlineData("no_such_setting = 1\n", "")]
    [InlineData("", "logical_decoding_work_mem = 4MB\n")]
    [InlineData("", "sharedstorage.no_such = 1\n")]
    [InlineData("sharedstorage.no_such = 1\n", "")]
    [InlineData("", "port = abc\n")]
    [InlineData("", "port = 70000\n")]
    [InlineData("", "sharedstorage.lease = 5 parsecs\n")]
    [InlineData("", "fsync = maybe\n")]
    [InlineData("", "synchronous_commit = sometimes\n")]
    [InlineData("", "port 'unterminated\n")]
    [InlineData("", "= 5\n")]
    [InlineData("", "port = 5 6\n")]
    public void A_bad_setting_is_refused_with_its_place(string cluster, string local)
    {
        PgException e = Assert.Throws<PgException>(() => Load(cluster, local));
        Assert.Contains("line 1", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void PostgreSQLs_other_settings_may_stand_in_the_clusters_file() => Load("work_mem = 4MB\nmy.extension = 1\nlc_messages = 'C'\n");

    [Fact]
    public void Numbers_take_PostgreSQLs_units()
    {
        NodeSettings s = Load("shared_buffers = 1000\nmin_wal_size = 100\ncheckpoint_timeout = 60\n");
        Assert.Equal(8192000, s.Number("shared_buffers"));
        Assert.Equal(100L << 20, s.Number("min_wal_size"));
        Assert.Equal(TimeSpan.FromMinutes(1), s.Time("checkpoint_timeout"));
    }

    [Fact]
    public void A_cluster_record_is_read_back_and_a_damaged_one_is_not_believed()
    {
        byte[] bytes = new ClusterRecord().Add("reader", "a b").Add("reader", "c").Add("at", new Lsn(0x1_0000_0028)).ToBytes();
        ClusterRecord record = ClusterRecord.TryParse(bytes)!;
        Assert.Equal(["a b", "c"], record.All("reader"));
        Assert.Equal(new Lsn(0x1_0000_0028), record.Lsn("at"));
        for (int i = 0; i < bytes.Length - 1; i++)
        {
            byte[] damaged = [.. bytes];
            damaged[i] ^= 1;
            Assert.Null(ClusterRecord.TryParse(damaged));
        }
    }

    [Fact]
    public void A_process_that_has_ended_is_known_to_be_dead()
    {
        Assert.False(ProcessIdentity.Current.IsDead());
        Assert.True((ProcessIdentity.Current with { StartTime = 1 }).IsDead());
        Assert.Null((ProcessIdentity.Current with { BootId = "another" }).IsDead());
    }
}
