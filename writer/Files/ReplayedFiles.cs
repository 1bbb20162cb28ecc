using SharedStorage.Hosting.Engine;
using SharedStorage.Io;
using SharedStorage.Primitives;

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
        foreach ((Oid tablespace, Oid database) in engine.Effects.DatabasesMade)
        {
            MakeDatabase(data, tablespace, database);
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
            string folder = Path.Combine(data, RelationFiles.RelativeDirectory(new RelFileNode(tablespace, database, Oid.Invalid)));
            if (Directory.Exists(folder))
            {
                awaitInherited();
                Directory.Delete(folder, recursive: true);
            }
        }

        engine.Effects.ForgetPendingFiles();
    }

    private static void MakeDatabase(string data, Oid tablespace, Oid database)
    {
        string folder = Path.Combine(data, RelationFiles.RelativeDirectory(new RelFileNode(tablespace, database, Oid.Invalid)));
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        string version = Path.Combine(folder, "PG_VERSION");
        if (!File.Exists(version))
        {
            DurableFile.Write(version, "15\n"u8);
        }
    }
}
