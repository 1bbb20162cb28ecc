using System.Globalization;
using System.Text;

namespace SharedStorage.TestKit;

/// <summary>
/// A cluster of one writer and some readers on this host, on a copy of a directory that stock PostgreSQL has made and filled with pgbench's tables. Everything lies in one
/// temporary folder and goes with <see cref="Dispose"/>.
/// </summary>
public sealed class ClusterFixture : IDisposable
{
    /// <summary>What <see cref="Sums(ClusterNode)"/> asks: pgbench's sums, which are equal when no transaction is torn, and the number of transactions.</summary>
    public const string SumsQuery =
        "select (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers), "
        + "(select sum(bbalance) from pgbench_branches), (select coalesce(sum(delta), 0) from pgbench_history), (select count(*) from pgbench_history)";

    private static readonly Lazy<string> Template = new(MakeTemplate);

    private readonly string _root;
    private readonly List<ClusterNode> _nodes = [];
    private readonly List<string> _notes = [];

    private ClusterFixture(string root)
    {
        _root = root;
        DataDirectory = Path.Combine(root, "shared");
    }

    public string DataDirectory { get; }
    public string Root => _root;
    public ClusterNode Writer => _nodes[0];
    public IReadOnlyList<ClusterNode> Nodes => _nodes;
    public IEnumerable<ClusterNode> Readers => _nodes.Skip(1);

    /// <summary>A directory that stock PostgreSQL left cleanly: pgbench's tables at scale 1 and the table <c>acknowledged (id bigint)</c>. Not to be changed.</summary>
    public static string TemplateDirectory => Template.Value;

    /// <summary>Runs a test on a new cluster, not started; a failure carries the logs of all nodes.</summary>
    /// <param name="readers">How many readers are set up.</param>
    /// <param name="test">The test.</param>
    /// <param name="source">The directory that the cluster gets a copy of; null takes <see cref="TemplateDirectory"/>.</param>
    /// <param name="settings">Lines for each node's file of settings.</param>
    public static void Run(int readers, Action<ClusterFixture> test, string? source = null, params string[] settings)
    {
        using ClusterFixture cluster = Create(readers, source ?? TemplateDirectory, settings);
        try
        {
            test(cluster);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{e.Message}\n{cluster.Report()}", e);
        }
    }

    /// <summary>Something that a failure's reader needs to know: a seed, a round.</summary>
    public void Note(string text) => _notes.Add(text);

    /// <summary>The writer first, then the readers.</summary>
    public void StartAll()
    {
        Writer.Start("writer");
        foreach (ClusterNode reader in Readers)
        {
            reader.Launch("reader");
        }

        foreach (ClusterNode reader in Readers)
        {
            reader.WaitUntilReady();
        }
    }

    /// <summary>Readers first, then the writer, each cleanly.</summary>
    public void StopAll()
    {
        foreach (ClusterNode node in Readers.Append(Writer).Where(n => n.IsRunning))
        {
            node.Stop();
        }
    }

    /// <summary>Checks pgbench's sums on a server; the sums, with the number of transactions at the end.</summary>
    public static string Sums(Func<string, string> psql)
    {
        string sums = psql(SumsQuery);
        string[] parts = sums.Split('|');
        if (parts.Take(4).Distinct().Count() != 1)
        {
            throw new InvalidOperationException($"accounts, tellers, branches, history and its rows: {sums}");
        }

        return sums;
    }

    public static string Sums(ClusterNode node) => Sums(node.Psql);

    /// <summary>
    /// The judgement over a directory that our nodes have left: pg_checksums when it is clean, then stock PostgreSQL starts on it and pg_amcheck looks at everything. Leaves it
    /// stopped by stock PostgreSQL.
    /// </summary>
    /// <param name="clean">False after a crash: stock PostgreSQL recovers it by itself first.</param>
    /// <param name="look">What else is asked of stock PostgreSQL.</param>
    public void Judge(bool clean, Action<StockPostgres>? look = null)
    {
        if (clean)
        {
            StockPostgres.Tool("pg_checksums", "--check", "-D", DataDirectory);
        }

        using StockPostgres stock = StockPostgres.Adopt(DataDirectory);
        stock.Start();
        Sums(s => stock.Psql(s));
        string port = stock.Port.ToString(CultureInfo.InvariantCulture);
        (int code, string output, string error) = StockPostgres.TryTool(
            "pg_amcheck", "-h", "127.0.0.1", "-p", port, "-U", "postgres", "--all", "--install-missing", "--heapallindexed", "--parent-check");
        if (code != 0)
        {
            throw new InvalidOperationException($"pg_amcheck: {output}{error}");
        }

        look?.Invoke(stock);
        stock.Stop();
        StockPostgres.Tool("pg_checksums", "--check", "-D", DataDirectory);
    }

    /// <summary>What pg_controldata says, a line a field.</summary>
    public string ControlData() => StockPostgres.Tool("pg_controldata", "-D", DataDirectory);

    public string ControlState() =>
        ControlData().Split('\n').Single(l => l.StartsWith("Database cluster state:", StringComparison.Ordinal)).Split(':')[1].Trim();

    /// <summary>A copy of the directory as it is now, for a judge that changes it.</summary>
    public string CopyData(string name)
    {
        string copy = Path.Combine(_root, name);
        StockPostgres.Run("cp", ["-a", DataDirectory, copy]);
        return copy;
    }

    public void Dispose()
    {
        foreach (ClusterNode node in _nodes)
        {
            node.End();
        }

        Directory.Delete(_root, recursive: true);
    }

    private static ClusterFixture Create(int readers, string source, string[] settings)
    {
        var cluster = new ClusterFixture(StockPostgres.NewRoot());
        StockPostgres.Run("cp", ["-a", source, cluster.DataDirectory]);
        int[] ports = FreePorts(2 * (readers + 1));
        string peers = string.Join(',', Enumerable.Range(0, readers + 1).Select(i => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{ports[(2 * i) + 1]}")));
        for (int i = 0; i <= readers; i++)
        {
            string name = i == 0 ? "writer" : string.Create(CultureInfo.InvariantCulture, $"reader{i}");
            string local = Path.Combine(cluster._root, name);
            StockPostgres.Run("mkdir", [local]);
            var conf = new StringBuilder();
            conf.Append(CultureInfo.InvariantCulture, $"port = {ports[2 * i]}\nsharedstorage.node_name = '{name}'\n");
            conf.Append(CultureInfo.InvariantCulture, $"sharedstorage.control_port = {ports[(2 * i) + 1]}\nsharedstorage.peers = '{peers}'\n");
            conf.AppendJoin('\n', settings).Append('\n');
            File.WriteAllText(Path.Combine(local, "sharedstorage.conf"), conf.ToString());
            cluster._nodes.Add(new ClusterNode(name, cluster.DataDirectory, local, ports[2 * i], ports[(2 * i) + 1]));
        }

        return cluster;
    }

    private static int[] FreePorts(int count)
    {
        // Not all at once from the kernel: it may give one again. Duplicates are asked for anew.
        var ports = new HashSet<int>();
        while (ports.Count < count)
        {
            ports.Add(StockPostgres.FreePort());
        }

        return [.. ports];
    }

    private static string MakeTemplate()
    {
        using StockPostgres stock = StockPostgres.Create();
        stock.Start();
        stock.Pgbench("-i", "-s", "1", "-q");
        stock.Psql("create table acknowledged (id bigint)");
        stock.Stop();
        string root = StockPostgres.NewRoot();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(root, recursive: true);
        string template = Path.Combine(root, "pgbench");
        StockPostgres.Run("cp", ["-a", stock.DataDirectory, template]);
        return template;
    }

    private string Report()
    {
        var report = new StringBuilder();
        foreach (string note in _notes)
        {
            report.Append(note).Append('\n');
        }

        foreach (ClusterNode node in _nodes)
        {
            string log = node.Log;
            report.Append(CultureInfo.InvariantCulture, $"--- log of {node.Name}\n").Append(log.Length > 6000 ? log[^6000..] : log).Append('\n');
        }

        return report.ToString();
    }
}
