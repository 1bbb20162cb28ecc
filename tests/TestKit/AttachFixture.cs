using System.Globalization;

namespace SharedStorage.TestKit;

/// <summary>A stock primary, a stock hot standby that streams from it, and our reader attached to the primary's directory. Goes with <see cref="Dispose"/>.</summary>
public sealed class AttachFixture : IDisposable
{
    private static readonly string[] ReplicationSettings = ["wal_level = replica", "max_wal_senders = 4", "wal_keep_size = '256MB'", "max_standby_streaming_delay = -1", "hot_standby = on"];

    private readonly string _root = StockPostgres.NewRoot();
    private readonly string[] _readerSettings;
    private readonly int _logged;

    /// <param name="primarySettings">Lines for the primary's postgresql.conf.</param>
    /// <param name="readerSettings">Arguments of the reader beyond its own.</param>
    /// <param name="standby">Whether there is a standby.</param>
    public AttachFixture(string[]? primarySettings = null, string[]? readerSettings = null, bool standby = true)
    {
        Primary = StockPostgres.Create([.. ReplicationSettings, .. primarySettings ?? []]);
        Primary.Start();
        if (standby)
        {
            string directory = Path.Combine(_root, "standby");
            StockPostgres.Tool("pg_basebackup", "-h", "127.0.0.1", "-p", Text(Primary.Port), "-U", "postgres", "-D", directory, "-R", "-X", "stream", "-c", "fast");
            Standby = StockPostgres.Adopt(directory);
            Standby.Start();
        }

        string local = Path.Combine(_root, "attached");
        StockPostgres.Run("mkdir", [local]);
        (int port, int control) = (StockPostgres.FreePort(), StockPostgres.FreePort());
        Reader = new ClusterNode("attached", Primary.DataDirectory, local, port, control);
        _logged = Primary.ReadLog().Length;
        _readerSettings = ["--port", Text(port), "--sharedstorage.control_port", Text(control), "--sharedstorage.attach", "on", .. readerSettings ?? []];
    }

    public StockPostgres Primary { get; }
    public StockPostgres? Standby { get; }
    public string StandbyDirectory => Path.Combine(_root, "standby");
    public ClusterNode Reader { get; }

    public void LaunchReader() => Reader.Launch("reader", _readerSettings);

    public void StartReader()
    {
        LaunchReader();
        Reader.WaitUntilReady();
    }

    /// <summary>Waits until the reader has applied what the primary has flushed now.</summary>
    public void CatchUp()
    {
        ulong flushed = Lsn(Primary.Psql("select pg_current_wal_flush_lsn()"));
        ClusterNode.Await("the attached reader to catch up", () => Reader.Status().Applied >= flushed);
    }

    /// <summary>Lines of the primary's log since it stands that a server in good order does not write.</summary>
    public string[] Complaints() =>
        [.. Primary.ReadLog()[_logged..].Split('\n').Where(l => new[] { "ERROR:", "FATAL:", "PANIC:", "WARNING:" }.Any(w => l.Contains(w, StringComparison.Ordinal)))];

    /// <summary>An LSN's number from its text.</summary>
    public static ulong Lsn(string text)
    {
        string[] parts = text.Split('/');
        return (ulong.Parse(parts[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture) << 32) | ulong.Parse(parts[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }

    public void Dispose()
    {
        Reader.End();
        Standby?.Dispose();
        Primary.Dispose();
        Directory.Delete(_root, recursive: true);
    }

    private static string Text(int n) => n.ToString(CultureInfo.InvariantCulture);
}
