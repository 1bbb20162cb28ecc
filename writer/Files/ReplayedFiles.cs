using SharedStorage.Hosting.Engine;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Wal.Records;

namespace SharedStorage.Writer.Files;

/// <summary>
/// Carries out on storage what the tail has noted: forks cut, relations dropped, relation maps, databases made and dropped. Done when a node becomes the writer and before
/// it writes log, so every one of these is durable before anything can depend on it.
/// </summary>
internal static class ReplayedFiles
{
    /// <param name="awaitInherited">Called before a file is really cut or a directory really removed: returns when no reader of an earlier writer can need it (R1, R13).</param>
    public static void CarryOut(NodeEngine engine, RemovalQueue removals, bool foreign, Action awaitInherited)
    {
        string data = engine.Files.DataDirectory;
        foreach ((Oid tablespace, string location) in engine.Effects.TablespacesMade)
        {
            MakeTablespace(data, tablespace, location);
        }

        foreach ((Oid tablespace, Oid database) in engine.Effects.DatabasesMade)
        {
            MakeDatabase(data, tablespace, database);
        }

        foreach (DatabaseCopyRecord copy in engine.Effects.DatabasesCopied)
        {
            // R17: the record follows a copy that is whole and synced, on this storage.
            string folder = RelationFiles.RelativeDirectory(new RelFileNode(copy.Tablespace, copy.Database, Oid.Invalid));
            if (!File.Exists(Path.Combine(data, folder, "PG_VERSION")))
            {
                throw new StorageException($"the log says that database {copy.Database} was copied to \"{folder}\", but it is not there (R17)");
            }
        }

        foreach (((Oid database, Oid tablespace), byte[] content) in engine.Effects.MapsToWrite)
        {
            string folder = database.IsValid ? RelationFiles.RelativeDirectory(new RelFileNode(tablespace, database, Oid.Invalid)) : "global";
            DurableFile.Write(Path.Combine(data, folder, "pg_filenode.map"), content);
        }

        foreach ((RelFileNode rel, ForkNumber fork) in engine.Effects.FilesToCut)
        {
            // To the virtual size: blocks that the log has added again since the cut stay. What the cut left void there is made anew from the log.
            uint blocks = engine.Pool.BlockCount(rel, fork);
            if (engine.Files.BlockCount(rel, fork) > blocks)
            {
                awaitInherited();
                engine.Files.Truncate(rel, fork, blocks);
            }
        }

        // Entries of earlier checkpoints first: the log names them no more. After stock PostgreSQL a path may be in use again, so none is removed.
        removals.Load(inUse: _ => foreign);
        removals.RemoveRelations([.. engine.Effects.FilesToRemove], engine.Applied.Value);
        foreach ((Oid tablespace, Oid database) in engine.Effects.DatabasesDropped)
        {
            removals.RemoveFolder(tablespace, database, engine.Applied.Value);
        }

        foreach (Oid tablespace in engine.Effects.TablespacesDropped)
        {
            removals.RemoveFolder(tablespace, Oid.Invalid, engine.Applied.Value);
        }

        engine.Effects.ForgetPendingFiles();
    }

    /// <summary>The place, the folder of this version in it, and the link to it; what is there already stays (create_tablespace_directories).</summary>
    private static void MakeTablespace(string data, Oid tablespace, string location)
    {
        string link = RelationFiles.TablespaceLink(data, tablespace);
        if (location.Length == 0)
        {
            Directory.CreateDirectory(link, FolderMode);
        }
        else if (!Path.Exists(link))
        {
            Directory.CreateDirectory(location, FolderMode);
            File.CreateSymbolicLink(link, location);
        }

        Directory.CreateDirectory(Path.Combine(link, RelationFiles.TablespaceVersionFolder), FolderMode);
        DurableFile.SyncDirectory(Path.GetDirectoryName(link)!);
    }

    private const UnixFileMode FolderMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private static void MakeDatabase(string data, Oid tablespace, Oid database)
    {
        string folder = Path.Combine(data, RelationFiles.RelativeDirectory(new RelFileNode(tablespace, database, Oid.Invalid)));
        Directory.CreateDirectory(folder, FolderMode);
        string version = Path.Combine(folder, "PG_VERSION");
        if (!File.Exists(version))
        {
            DurableFile.Write(version, "15\n"u8);
        }
    }
}
