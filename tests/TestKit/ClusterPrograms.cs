namespace SharedStorage.TestKit;

/// <summary>
/// The nodes' programs as they were built with the tests, copied once per run to a place that user postgres can reach: a checkout may lie below a folder that it may not look into.
/// </summary>
public static class ClusterPrograms
{
    private static readonly Lazy<string> Staged = new(Stage);

    public static string Path(string program) => System.IO.Path.Combine(Staged.Value, program);

    private static string Stage()
    {
        string configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        string built = System.IO.Path.Combine(RepositoryRoot.Path, "reader", "bin", configuration, "net10.0");
        if (!File.Exists(System.IO.Path.Combine(built, "sharedstorage-writer")))
        {
            throw new InvalidOperationException($"the programs are not built: no {built}/sharedstorage-writer");
        }

        string root = StockPostgres.NewRoot();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(root, recursive: true);
        string target = System.IO.Path.Combine(root, "bin");
        StockPostgres.Run("cp", ["-r", built, target], asCaller: true);
        StockPostgres.Run("chmod", ["-R", "a+rX", target], asCaller: true);
        return target;
    }
}
