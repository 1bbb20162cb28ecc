using System.Globalization;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Recovery.Walcheck;

/// <summary>Finds the databases of a data directory, and the forks that lie in their folders, whatever the tablespace.</summary>
internal static class RelationFolders
{
    /// <summary>The folders of databases; that of the shared catalogs has database 0.</summary>
    public static IEnumerable<(Oid Tablespace, Oid Database, string Folder)> Databases(string data)
    {
        yield return (RelFileNode.GlobalTablespace, Oid.Invalid, Path.Combine(data, "global"));
        foreach ((Oid database, string folder) in Numbered(Path.Combine(data, "base")))
        {
            yield return (RelFileNode.DefaultTablespace, database, folder);
        }

        foreach ((Oid tablespace, string link) in Tablespaces(data))
        {
            foreach ((Oid database, string folder) in Numbered(Path.Combine(link, RelationFiles.TablespaceVersionFolder)))
            {
                yield return (tablespace, database, folder);
            }
        }
    }

    public static IEnumerable<(Oid Tablespace, string Link)> Tablespaces(string data) => Numbered(Path.Combine(data, "pg_tblspc"));

    /// <summary>Adds the forks whose first segments lie in a folder.</summary>
    public static void Collect(string folder, Oid tablespace, Oid database, HashSet<(RelFileNode Rel, ForkNumber Fork)> into)
    {
        foreach (string path in Directory.EnumerateFiles(folder))
        {
            // Temporary relations ("t3_16400") and further segments ("16400.1") do not parse.
            string[] parts = Path.GetFileName(path).Split('_');
            ForkNumber? fork = parts.Length == 1 ? ForkNumber.Main : parts[1] switch
            {
                "fsm" => ForkNumber.FreeSpaceMap,
                "vm" => ForkNumber.VisibilityMap,
                "init" => ForkNumber.Init,
                _ => null,
            };
            if (fork is not null && uint.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out uint relation))
            {
                into.Add((new RelFileNode(tablespace, database, new Oid(relation)), fork.Value));
            }
        }
    }

    private static IEnumerable<(Oid Number, string Folder)> Numbered(string folder)
    {
        foreach (string path in Directory.Exists(folder) ? Directory.GetDirectories(folder).Order(StringComparer.Ordinal).ToArray() : [])
        {
            if (uint.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out uint number))
            {
                yield return (new Oid(number), path);
            }
        }
    }
}
