using System.Globalization;
using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Recovery.Tail;
using SharedStorage.Wal.Records;

namespace SharedStorage.Recovery.Walcheck;

/// <summary>
/// Databases that the log copies by file (R17). A node finds the copy on the storage that it shares; walcheck's base is from before it and stays as it is, so the copy is made in a folder
/// aside: the source's pages as of the record, brought forward by redo, and its relation map. From then on the pool reads the new database there.
/// </summary>
internal sealed class DatabaseCopies(WalcheckOptions options, RelationFiles files, BufferPool pool, ReplayEffects effects) : IDisposable
{
    private const string MapName = "pg_filenode.map";
    private readonly byte[] _page = new byte[Page.Size];
    private readonly Dictionary<(Oid Tablespace, Oid Database), string> _folders = [];
    private string? _root;

    /// <summary>Called by the tail at the record: a pin gives what lies before it.</summary>
    public void Copy(in DatabaseCopyRecord record, IEnumerable<(RelFileNode Rel, ForkNumber Fork)> met)
    {
        (Oid Tablespace, Oid Database) source = (record.SourceTablespace, record.SourceDatabase);
        _root ??= Directory.CreateTempSubdirectory("walcheck-").FullName;
        string folder = Path.Combine(_root, string.Create(CultureInfo.InvariantCulture, $"{record.Tablespace.Value}_{record.Database.Value}_{_folders.Count}"));
        Directory.CreateDirectory(folder);
        HashSet<(RelFileNode Rel, ForkNumber Fork)> forks = [.. met.Where(f => (f.Rel.Tablespace, f.Rel.Database) == source)];
        forks.UnionWith(pool.ForksMadeByLog(source.Tablespace, source.Database));
        string there = FolderOf(source);
        if (Directory.Exists(there))
        {
            RelationFolders.Collect(there, source.Tablespace, source.Database, forks);
        }

        foreach ((RelFileNode rel, ForkNumber fork) in forks)
        {
            // Free space maps are hints that nobody compares; files of dropped relations are gone before a database is copied.
            if (fork != ForkNumber.FreeSpaceMap && !effects.FilesToRemove.Contains(rel))
            {
                CopyFork(rel, fork, folder);
            }
        }

        byte[]? map = effects.MapsToWrite.GetValueOrDefault((source.Database, source.Tablespace));
        string oldMap = Path.Combine(there, MapName);
        if (map is not null || File.Exists(oldMap))
        {
            File.WriteAllBytes(Path.Combine(folder, MapName), map ?? File.ReadAllBytes(oldMap));
        }

        _folders[(record.Tablespace, record.Database)] = folder;
        files.ReadElsewhere(record.Tablespace, record.Database, folder);
    }

    /// <summary>The folder of a database as the log begins with it: in the base, or a copy.</summary>
    public string FolderOf((Oid Tablespace, Oid Database) database) => _folders.GetValueOrDefault(database)
        ?? Path.Combine(options.Base, RelationFiles.RelativeDirectory(new RelFileNode(database.Tablespace, database.Database, Oid.Invalid)));

    public void Dispose()
    {
        if (_root is not null)
        {
            Directory.Delete(_root, recursive: true);
        }
    }

    private void CopyFork(RelFileNode rel, ForkNumber fork, string folder)
    {
        string path = Path.Combine(folder, Path.GetFileName(RelationFiles.RelativePath(rel, fork)));
        uint blocks = pool.BlockCount(rel, fork);
        uint block = 0;
        do
        {
            uint segment = block / RelationFiles.BlocksPerSegment;
            using FileStream file = File.Create(segment == 0 ? path : string.Create(CultureInfo.InvariantCulture, $"{path}.{segment}"));
            for (; block < blocks && block / RelationFiles.BlocksPerSegment == segment; block++)
            {
                using (PinnedPage pin = pool.Pin(new BufferTag(rel, fork, new BlockNumber(block))))
                {
                    pin.Page.Bytes.CopyTo(_page);
                }

                if (!new Page(_page).IsNew)
                {
                    PageChecksum.Store(_page, block);
                }

                file.Write(_page);
            }
        }
        while (block < blocks);
    }
}
