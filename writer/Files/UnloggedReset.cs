using SharedStorage.Buffers;
using SharedStorage.Format.Pages;
using SharedStorage.Hosting.Engine;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Writer.Files;

/// <summary>
/// R16: before a node opens for writes after anything but a clean stop, what unlogged relations hold is unknown: each is made anew from its init fork (reinit.c). The init fork itself is as
/// the log has it: some of its pages may be in no file yet, and reach it with the first checkpoint (R3).
/// </summary>
internal static class UnloggedReset
{
    private static readonly ForkNumber[] Forks = [ForkNumber.Main, ForkNumber.FreeSpaceMap, ForkNumber.VisibilityMap];

    /// <returns>How many relations were reset.</returns>
    public static int Run(NodeEngine engine)
    {
        var relations = new HashSet<RelFileNode>(OnStorage(engine.Files.DataDirectory));
        relations.UnionWith(engine.Pool.InitForksMadeByLog());
        relations.ExceptWith(engine.Effects.FilesToRemove);
        relations.RemoveWhere(r => engine.Effects.DatabasesDropped.Contains((r.Tablespace, r.Database)) || !engine.Pool.ForkExists(r, ForkNumber.Init));
        var page = new byte[Page.Size];
        foreach (RelFileNode relation in relations)
        {
            foreach (ForkNumber fork in Forks)
            {
                engine.Pool.Discard(relation, fork, 0);
                engine.Files.Unlink(relation, fork);
            }

            engine.Files.Create(relation, ForkNumber.Main, mayExist: false);
            uint blocks = engine.Pool.BlockCount(relation, ForkNumber.Init);
            for (uint block = 0; block < blocks; block++)
            {
                using (PinnedPage from = engine.Pool.Pin(new BufferTag(relation, ForkNumber.Init, new BlockNumber(block))))
                {
                    from.Page.Bytes.CopyTo(page);
                }

                PinnedPage to = engine.Pool.PinNew(relation, ForkNumber.Main);
                page.CopyTo(to.Page.Bytes);
                to.MarkDirty();
                to.Unlatch();
                to.Dispose();
            }
        }

        return relations.Count;
    }

    /// <summary>The relations that have a file of an init fork in a database's folder.</summary>
    private static IEnumerable<RelFileNode> OnStorage(string data)
    {
        IEnumerable<(Oid Tablespace, string Folder)> tablespaces = [(RelFileNode.DefaultTablespace, Path.Combine(data, "base"))];
        foreach (string link in Directory.EnumerateDirectories(Path.Combine(data, "pg_tblspc")))
        {
            string folder = Path.Combine(link, RelationFiles.TablespaceVersionFolder);
            if (Number(Path.GetFileName(link)) is { } tablespace && Directory.Exists(folder))
            {
                tablespaces = tablespaces.Append((tablespace, folder));
            }
        }

        foreach ((Oid tablespace, string folder) in tablespaces)
        {
            foreach (string database in Directory.EnumerateDirectories(folder))
            {
                if (Number(Path.GetFileName(database)) is not { } owner)
                {
                    continue;
                }

                foreach (string file in Directory.EnumerateFiles(database, "*_init"))
                {
                    if (Number(Path.GetFileName(file)[..^"_init".Length]) is { } relation)
                    {
                        yield return new RelFileNode(tablespace, owner, relation);
                    }
                }
            }
        }
    }

    private static Oid? Number(string name) =>
        uint.TryParse(name, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out uint number) ? new Oid(number) : null;
}
