using SharedStorage.Control.Leases;
using SharedStorage.Primitives;

namespace SharedStorage.Hosting.Settings;

/// <summary>
/// The settings of a node. Later sources win: defaults, the cluster's postgresql.conf and postgresql.auto.conf in the data directory, the node's
/// sharedstorage.conf in its local directory, the environment (SHAREDSTORAGE_NAME), the command line (--name value). An unknown name is an error,
/// except PostgreSQL's own in the cluster's files, which stock PostgreSQL has written there for itself.
/// </summary>
public sealed class NodeSettings
{
    private static readonly Dictionary<string, SettingDefinition> Known = Definitions().ToDictionary(d => d.Name, StringComparer.Ordinal);
    private readonly Dictionary<string, (string Value, string Source)> _values = new(StringComparer.Ordinal);

    public static IReadOnlyCollection<SettingDefinition> All => Known.Values;

    public string this[string name] => _values.TryGetValue(name, out (string Value, string Source) v) ? v.Value : Known[name].Default;

    /// <summary>Where the value comes from: "default", a file with its line, "environment", "command line".</summary>
    public string SourceOf(string name) => _values.TryGetValue(name, out (string Value, string Source) v) ? v.Source : "default";

    /// <summary>The values that sessions see as their defaults.</summary>
    public IReadOnlyDictionary<string, string> ForSessions() => Known.Keys.ToDictionary(name => name, name => this[name], StringComparer.OrdinalIgnoreCase);

    public long Number(string name) => Known[name].Number(this[name]);
    public bool Bool(string name) => Known[name].Bool(this[name]);
    public TimeSpan Time(string name) => TimeSpan.FromMilliseconds(Number(name));

    public LeaseSettings Lease => new LeaseSettings
    {
        Lease = Time("sharedstorage.lease"),
        Renewal = Time("sharedstorage.lease_renewal"),
        EvictionBytes = (ulong)Number("sharedstorage.eviction_bytes"),
        EvictionTime = Time("sharedstorage.eviction_time"),
        FrozenAnswers = Time("sharedstorage.frozen_answers"),
    }.Validated();

    /// <exception cref="PgException">Unknown name, bad value or unreadable file; the message has the source.</exception>
    public static NodeSettings Load(string dataDirectory, string localDirectory, System.Collections.IDictionary environment, IEnumerable<KeyValuePair<string, string>> commandLine)
    {
        var settings = new NodeSettings();
        foreach (string file in new[] { "postgresql.conf", "postgresql.auto.conf" })
        {
            string path = Path.Combine(dataDirectory, file);
            if (File.Exists(path))
            {
                settings.AddFile(path, cluster: true);
            }
        }

        string local = Path.Combine(localDirectory, "sharedstorage.conf");
        if (File.Exists(local))
        {
            settings.AddFile(local, cluster: false);
        }

        foreach (System.Collections.DictionaryEntry entry in environment)
        {
            if (entry.Key is string key && key.StartsWith("SHAREDSTORAGE_", StringComparison.Ordinal))
            {
                string bare = key["SHAREDSTORAGE_".Length..].ToLowerInvariant();
                settings.Set(Known.ContainsKey(bare) ? bare : "sharedstorage." + bare, (string)entry.Value!, "environment");
            }
        }

        foreach ((string name, string value) in commandLine)
        {
            settings.Set(name, value, "command line");
        }

        _ = settings.Lease;
        return settings;
    }

    public void Set(string name, string value, string source)
    {
        if (!Known.TryGetValue(name, out SettingDefinition? definition))
        {
            throw new PgException(SqlStates.UndefinedObject, $"unrecognized configuration parameter \"{name}\" ({source})");
        }

        try
        {
            definition.Check(value);
        }
        catch (PgException e)
        {
            throw new PgException(e.SqlState, $"{e.Message} ({source})") { Hint = e.Hint };
        }

        _values[name] = (value, source);
    }

    private void AddFile(string path, bool cluster)
    {
        foreach (ConfLine line in ConfFile.Read(path))
        {
            string source = $"\"{line.File}\" line {line.Line}";
            bool ours = Known.ContainsKey(line.Name) || line.Name.StartsWith("sharedstorage.", StringComparison.Ordinal);
            bool nodesOwn = line.Name is "port" or "listen_addresses";
            if (cluster && (!ours || nodesOwn))
            {
                // Stock PostgreSQL's own settings stay its own: the file serves both. Ports and addresses are each node's.
                if (!PostgresSettings.IsKnown(line.Name) && !line.Name.Contains('.', StringComparison.Ordinal))
                {
                    throw new PgException(SqlStates.UndefinedObject, $"unrecognized configuration parameter \"{line.Name}\" ({source})");
                }

                continue;
            }

            Set(line.Name, line.Value, source);
        }
    }

    private static IEnumerable<SettingDefinition> Definitions()
    {
        yield return new("listen_addresses", "localhost", "there is no password check yet, so only loopback is let in");
        yield return Count("port", "5432", "PostgreSQL's", 1, 65535);
        yield return Count("max_connections", "100", "PostgreSQL's; each session has a thread", 1, 10_000);
        yield return Count("superuser_reserved_connections", "3", "PostgreSQL's: of max_connections", 0, 10_000);
        yield return Size("shared_buffers", "128MB", "PostgreSQL's", 8192, 1 << 20);
        yield return Size("work_mem", "4MB", "PostgreSQL's", 1024, 64 << 10);
        yield return Size("maintenance_work_mem", "64MB", "PostgreSQL's", 1024, 1 << 20);
        yield return new("hash_mem_multiplier", "2", "PostgreSQL's: a hash table may take so many times work_mem");
        yield return Size("temp_file_limit", "-1", "PostgreSQL's: no limit", 1024, -1024);
        yield return Size("wal_buffers", "16MB", "one segment: PostgreSQL's automatic value at its upper end", 8192, 256 << 10);
        yield return Size("min_wal_size", "80MB", "PostgreSQL's: five segments; at least two of the smallest", 1 << 20, 2 << 20);
        yield return Size("max_wal_size", "1GB", "PostgreSQL's", 1 << 20, 2 << 20);
        yield return Size("wal_keep_size", "0", "PostgreSQL's", 1 << 20, 0);
        yield return Time("checkpoint_timeout", "5min", "PostgreSQL's", 1000, 30_000);
        yield return new SettingDefinition("checkpoint_completion_target", "0.9", "PostgreSQL's: the writes of a checkpoint spread over this share of the time to the next");
        yield return Flag("full_page_writes", "on", "torn pages are rebuilt from the log");
        yield return Flag("fsync", "on", "PostgreSQL's; off loses data");
        yield return new("synchronous_commit", "on", "PostgreSQL's") { Words = ["off", "local", "on", "remote_write", "remote_apply"] };
        yield return Count("commit_delay", "0", "PostgreSQL's; microseconds", 0, 100_000);
        yield return Count("commit_siblings", "5", "PostgreSQL's", 0, 1000);
        yield return Time("deadlock_timeout", "1s", "PostgreSQL's", 1, 1);
        yield return Flag("autovacuum", "on", "PostgreSQL's; off leaves the vacuums against wraparound");
        yield return Time("autovacuum_naptime", "1min", "PostgreSQL's", 1000, 1000);
        yield return Count("autovacuum_max_workers", "3", "PostgreSQL's", 1, 100);
        yield return Count("autovacuum_vacuum_threshold", "50", "PostgreSQL's", 0, int.MaxValue);
        yield return Count("autovacuum_vacuum_scale_factor", "0.2", "PostgreSQL's", 0, 100);
        yield return Count("autovacuum_vacuum_insert_threshold", "1000", "PostgreSQL's; -1: not for inserts", -1, int.MaxValue);
        yield return Count("autovacuum_vacuum_insert_scale_factor", "0.2", "PostgreSQL's", 0, 100);
        yield return Count("autovacuum_analyze_threshold", "50", "PostgreSQL's", 0, int.MaxValue);
        yield return Count("autovacuum_analyze_scale_factor", "0.1", "PostgreSQL's", 0, 100);
        yield return Count("autovacuum_freeze_max_age", "200000000", "PostgreSQL's", 100_000, 2_000_000_000);
        yield return Count("autovacuum_multixact_freeze_max_age", "400000000", "PostgreSQL's", 10_000, 2_000_000_000);
        yield return Time("autovacuum_vacuum_cost_delay", "2ms", "PostgreSQL's; -1 takes vacuum_cost_delay", 1, -1);
        yield return Count("autovacuum_vacuum_cost_limit", "-1", "PostgreSQL's: vacuum_cost_limit", -1, 10_000);
        yield return new("sharedstorage.node_name", "", "given by the operator; in messages, files and status");
        yield return new("sharedstorage.peers", "", "the control addresses of the cluster's nodes, host:port with commas");
        yield return Count("sharedstorage.control_port", "0", "0 takes a free port", 0, 65535);
        yield return Time("sharedstorage.lease", "5s", "longer than the filesystem's own peer time-out", 1, 100);
        yield return Time("sharedstorage.lease_renewal", "1s", "five chances within one lease", 1, 10);
        yield return Size("sharedstorage.eviction_bytes", "1GB", "some seconds of replay", 1, 1 << 20);
        yield return Time("sharedstorage.eviction_time", "30s", "bounds how long any reader can hold the writer", 1, 1000);
        yield return Time("sharedstorage.frozen_answers", "10min", "a failover takes seconds; longer is a forgotten reader", 1, 0);
        yield return Time("sharedstorage.max_snapshot_age", "1h", "bounds what a live reader holds", 1, 1000);
        yield return Size("sharedstorage.log_index_size", "128MB", "entries of some seconds under full load; the rest goes to local disk", 1, 64 << 10);
        yield return Size("sharedstorage.frozen_spill_size", "1GB", "pages that wait for a reader, on local disk: the order of the log that it may lag", 1, 0);
        yield return Time("max_standby_streaming_delay", "30s", "PostgreSQL's; -1 waits for ever. For an attached reader", 1, -1);
        yield return Flag("sharedstorage.attach", "off", "a reader on the directory of a running stock PostgreSQL, which never notices it");
        yield return Flag("sharedstorage.allow_tmpfs", "off", "O_DIRECT means nothing there; for tests");
        yield return new("sharedstorage.fault_points", "", "for tests: name=action, with commas");
        yield return new("log_level", "info", "one line an event") { Words = ["debug", "info", "warning", "error"] };
    }

    private static SettingDefinition Count(string name, string value, string why, long min, long max) =>
        new(name, value, why) { IsNumber = true, Min = min, Max = max };

    private static SettingDefinition Size(string name, string value, string why, long plain, long min) =>
        new(name, value, why) { IsNumber = true, Unit = SettingUnit.Bytes, PlainUnit = plain, Min = min };

    private static SettingDefinition Time(string name, string value, string why, long plain, long min) =>
        new(name, value, why) { IsNumber = true, Unit = SettingUnit.Milliseconds, PlainUnit = plain, Min = min };

    private static SettingDefinition Flag(string name, string value, string why) => new(name, value, why) { IsBool = true };
}
