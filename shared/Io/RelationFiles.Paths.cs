using System.Collections.Concurrent;
using System.Globalization;
using SharedStorage.Primitives;

namespace SharedStorage.Io;

/// <summary>Where relation files lie (PostgreSQL's relpath.c), and the folders that come and go with them.</summary>
public sealed partial class RelationFiles
{
    /// <summary>The folder of one server version within a tablespace.</summary>
    public const string TablespaceVersionFolder = "PG_15_202209061";

    private readonly ConcurrentDictionary<string, byte> _changedDirectories = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(Oid Tablespace, Oid Database), string> _elsewhere = new();

    /// <summary>The path of a fork's first segment below the data directory ("base/5/16384_vm").</summary>
    public static string RelativePath(RelFileNode rel, ForkNumber fork)
    {
        string suffix = fork switch
        {
            ForkNumber.Main => "",
            ForkNumber.FreeSpaceMap => "_fsm",
            ForkNumber.VisibilityMap => "_vm",
            _ => "_init",
        };
        return string.Create(CultureInfo.InvariantCulture, $"{RelativeDirectory(rel)}/{rel.Relation.Value}{suffix}");
    }

    /// <summary>The folder of a relation's files below the data directory (GetDatabasePath).</summary>
    public static string RelativeDirectory(RelFileNode rel) =>
        rel.Tablespace == RelFileNode.GlobalTablespace ? "global"
        : rel.Tablespace == RelFileNode.DefaultTablespace ? string.Create(CultureInfo.InvariantCulture, $"base/{rel.Database.Value}")
        : string.Create(CultureInfo.InvariantCulture, $"pg_tblspc/{rel.Tablespace.Value}/{TablespaceVersionFolder}/{rel.Database.Value}");

    /// <summary>The relations that have a file now, in no order; those that come or go meanwhile may be among them.</summary>
    public IEnumerable<RelFileNode> Relations()
    {
        foreach (RelFileNode rel in RelationsIn(Path.Combine(DataDirectory, "global"), RelFileNode.GlobalTablespace, new Oid(0)))
        {
            yield return rel;
        }

        foreach ((string folder, Oid tablespace) in Tablespaces())
        {
            foreach (string database in Entries(folder))
            {
                if (TryNumber(database, out uint number))
                {
                    foreach (RelFileNode rel in RelationsIn(database, tablespace, new Oid(number)))
                    {
                        yield return rel;
                    }
                }
            }
        }
    }

    private IEnumerable<(string Folder, Oid Tablespace)> Tablespaces()
    {
        yield return (Path.Combine(DataDirectory, "base"), RelFileNode.DefaultTablespace);
        foreach (string link in Entries(Path.Combine(DataDirectory, "pg_tblspc")))
        {
            if (TryNumber(link, out uint number))
            {
                yield return (Path.Combine(link, TablespaceVersionFolder), new Oid(number));
            }
        }
    }

    private static IEnumerable<RelFileNode> RelationsIn(string folder, Oid tablespace, Oid database) =>
        Entries(folder).Select(f => TryNumber(f, out uint n) ? n : 0).Where(n => n != 0).Select(n => new RelFileNode(tablespace, database, new Oid(n)));

    private static string[] Entries(string folder)
    {
        try
        {
            return Directory.GetFileSystemEntries(folder);
        }
        catch (DirectoryNotFoundException)
        {
            // A database or tablespace that was dropped meanwhile.
            return [];
        }
    }

    private static bool TryNumber(string path, out uint number) => uint.TryParse(Path.GetFileName(path.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out number);

    /// <summary>The link in pg_tblspc to where a tablespace lies.</summary>
    public static string TablespaceLink(string dataDirectory, Oid tablespace) =>
        Path.Combine(dataDirectory, "pg_tblspc", tablespace.Value.ToString(CultureInfo.InvariantCulture));

    /// <summary>The files of a database are read from another folder: for who may not make it in its place (walcheck's base stays as it is).</summary>
    public void ReadElsewhere(Oid tablespace, Oid database, string folder) => _elsewhere[(tablespace, database)] = folder;

    private string SegmentPath(SegmentKey key)
    {
        string path = Path.Combine(DataDirectory, RelativePath(key.Rel, key.Fork));
        if (!_elsewhere.IsEmpty && _elsewhere.TryGetValue((key.Rel.Tablespace, key.Rel.Database), out string? folder))
        {
            path = Path.Combine(folder, Path.GetFileName(path));
        }

        return key.Segment == 0 ? path : string.Create(CultureInfo.InvariantCulture, $"{path}.{key.Segment}");
    }

    /// <summary>A database's folder in a tablespace that is not its own comes with its first relation there (TablespaceCreateDbspace).</summary>
    private void MakeDatabaseFolder(RelFileNode rel, string path)
    {
        string folder = Path.GetDirectoryName(path)!;
        if (rel.Tablespace != RelFileNode.GlobalTablespace && rel.Tablespace != RelFileNode.DefaultTablespace && !Directory.Exists(folder))
        {
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            NoteDirectoryChange(folder);
        }
    }

    private void NoteDirectoryChange(string path) => _changedDirectories[Path.GetDirectoryName(path)!] = 0;

    private void SyncDirectories()
    {
        foreach (string directory in _changedDirectories.Keys)
        {
            if (_changedDirectories.TryRemove(directory, out _) && Directory.Exists(directory))
            {
                DurableFile.SyncDirectory(directory);
            }
        }
    }
}
