using System.Collections.Concurrent;
using System.Globalization;
using SharedStorage.Format.RelMap;
using SharedStorage.Primitives;

namespace SharedStorage.Catalog;

/// <summary>
/// The relation maps of a node: one for the shared catalogs (database 0), one for each database. Read from disk when first needed; a node that applies
/// takes later versions from the log (R7). Thread-safe.
/// </summary>
public sealed class RelationMaps(string dataDirectory)
{
    private readonly ConcurrentDictionary<Oid, RelationMapFile> _maps = new();

    /// <param name="database">0 for the shared catalogs.</param>
    /// <param name="tablespace">The database's default tablespace.</param>
    /// <exception cref="StorageException">The file is missing or damaged.</exception>
    public RelationMapFile Get(Oid database, Oid tablespace) =>
        _maps.TryGetValue(database, out RelationMapFile? map) ? map : _maps.GetOrAdd(database, Load(database, tablespace));

    /// <summary>
    /// Reads the maps of all databases that there are now. Beside a stock writer a map that is read later may be newer than what is applied (R7); one that is read before
    /// the node serves, at a position that covers it, is not.
    /// </summary>
    public void LoadAll()
    {
        Get(Oid.Invalid, RelFileNode.GlobalTablespace);
        LoadDatabases(Path.Combine(dataDirectory, "base"), RelFileNode.DefaultTablespace);
        foreach (string link in Directory.EnumerateDirectories(Path.Combine(dataDirectory, "pg_tblspc")))
        {
            if (uint.TryParse(Path.GetFileName(link), NumberStyles.None, CultureInfo.InvariantCulture, out uint tablespace))
            {
                LoadDatabases(Path.Combine(link, "PG_15_202209061"), new Oid(tablespace));
            }
        }
    }

    /// <summary>A record of the log carried a new version of a map (XLOG_RELMAP_UPDATE).</summary>
    public void Apply(Oid database, ReadOnlySpan<byte> bytes) =>
        _maps[database] = RelationMapFile.Read(bytes, string.Create(CultureInfo.InvariantCulture, $"relation map of database {database.Value} in the log"));

    private void LoadDatabases(string folder, Oid tablespace)
    {
        if (!Directory.Exists(folder))
        {
            return;
        }

        foreach (string path in Directory.EnumerateDirectories(folder))
        {
            // Without a map it is being made or dropped, or holds what other databases have in this tablespace.
            if (uint.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out uint database) && File.Exists(Path.Combine(path, RelationMapFile.FileName)))
            {
                Get(new Oid(database), tablespace);
            }
        }
    }

    private RelationMapFile Load(Oid database, Oid tablespace)
    {
        string directory = !database.IsValid
            ? "global"
            : tablespace == RelFileNode.DefaultTablespace
                ? Path.Combine("base", database.ToString())
                : Path.Combine("pg_tblspc", tablespace.ToString(), "PG_15_202209061", database.ToString());
        string path = Path.Combine(dataDirectory, directory, RelationMapFile.FileName);
        try
        {
            return RelationMapFile.Read(File.ReadAllBytes(path), path);
        }
        catch (IOException e) when (e is not StorageException)
        {
            throw new StorageException($"could not read file \"{path}\": {e.Message}", e);
        }
    }
}
