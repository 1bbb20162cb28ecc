using SharedStorage.TestKit;

namespace SharedStorage.Cluster.Rules;

/// <summary>The directory that these tests begin with: pgbench's tables, and tables of a few hundred pages to be cut, dropped and updated. Made by stock PostgreSQL once a run.</summary>
internal static class RulesTemplate
{
    public const int Rows = 10_000;
    private static readonly Lazy<string> Template = new(Make);

    /// <summary>
    /// Runs a test on a cluster with this directory. Autovacuum is off: what is vacuumed, and when, is the test's.
    /// </summary>
    public static void Run(int readers, Action<ClusterFixture> test, params string[] settings)
    {
        Skip.IfNot(StockPostgres.IsInstalled);
        ClusterFixture.Run(readers, test, Template.Value, ["autovacuum = off", "checkpoint_timeout = 1h", .. settings]);
    }

    /// <summary>Rows, sum and a hash of a table: equal only when every row is.</summary>
    public static string Hash(StockPostgres stock, string table) => stock.Psql($"select count(*) || ' ' || md5(coalesce(string_agg(md5(t::text), '' order by t::text collate \"C\"), '')) from {table} t");

    public static string[] Tables(StockPostgres stock) => stock.Psql("select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1").Split('\n');

    private static string Make()
    {
        using StockPostgres stock = StockPostgres.Adopt(ClusterFixture.TemplateDirectory).Clone();
        stock.Start();
        foreach (string table in new[] { "first", "second", "third" })
        {
            stock.Psql($"create table {table} (id int primary key, v int, filler char(200)); insert into {table} select i, 0, 'x' from generate_series(1, {Rows}) i");
        }

        stock.Psql("create table subs (id int)");
        stock.Psql("vacuum freeze");
        stock.Stop();
        string root = StockPostgres.NewRoot();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(root, recursive: true);
        string template = Path.Combine(root, "rules");
        StockPostgres.Run("cp", ["-a", stock.DataDirectory, template]);
        return template;
    }
}
