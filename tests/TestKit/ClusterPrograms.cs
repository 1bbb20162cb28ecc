using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace SharedStorage.TestKit;

/// <summary>
/// The nodes' programs, copied once per run to a place that user postgres can reach: a checkout may lie below a folder that it may not look into. They are what users run, compiled ahead of time in
/// <c>out/</c>, if that was published from the assemblies that were built with the tests, and those assemblies themselves if it was not.
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

        string published = System.IO.Path.Combine(RepositoryRoot.Path, "out", "lib");
        string root = StockPostgres.NewRoot();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(root, recursive: true);
        string target = System.IO.Path.Combine(root, "bin");
        StockPostgres.Run("cp", ["-r", IsPublishedFrom(built, published) ? published : built, target], asCaller: true);
        StockPostgres.Run("chmod", ["-R", "a+rX", target], asCaller: true);
        return target;
    }

    /// <summary>Compiling ahead of time keeps a module's version id, and compiling anew gives it another one.</summary>
    private static bool IsPublishedFrom(string built, string published) => Directory.EnumerateFiles(built, "sharedstorage*.dll", new EnumerationOptions { MatchCasing = MatchCasing.CaseInsensitive })
        .All(assembly => System.IO.Path.Combine(published, System.IO.Path.GetFileName(assembly)) is var other && File.Exists(other) && VersionId(assembly) == VersionId(other));

    private static Guid VersionId(string assembly)
    {
        using var file = new PEReader(File.OpenRead(assembly));
        MetadataReader metadata = file.GetMetadataReader();
        return metadata.GetGuid(metadata.GetModuleDefinition().Mvid);
    }
}
