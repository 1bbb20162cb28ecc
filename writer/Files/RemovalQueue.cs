using SharedStorage.Buffers;
using SharedStorage.Hosting.Cluster;
using SharedStorage.Io;
using SharedStorage.Primitives;
using SharedStorage.Transactions;
using SharedStorage.Transactions.Slru;

namespace SharedStorage.Writer.Files;

/// <summary>
/// Rule I5: files vanish last. What a record drops is removed once every leased reader has applied the record and has no snapshot older than it (R1, R2). Entries are
/// kept in <c>cluster/removals</c> by each checkpoint, since no replay names them again after it.
/// </summary>
public sealed class RemovalQueue(string dataDirectory, RelationFiles files, BufferPool pool, Func<Lsn> passedByAll) : IRelationRemoval
{
    private readonly string _path = Path.Combine(dataDirectory, "cluster", "removals");
    private readonly Lock _lock = new();
    private readonly PendingRemovals<RelFileNode> _relations = new();
    private readonly PendingRemovals<(SlruFiles Files, uint[] Segments)> _segments = new();
    private readonly PendingRemovals<(Oid Tablespace, Oid Database)> _folders = new();

    // What the file holds since this writer's last save, so that a checkpoint without news needs no room.
    private byte[] _saved = [];

    /// <summary>Asked before each unlink: the writer's lease (I8).</summary>
    public Func<bool> MayWrite { get; init; } = static () => true;

    public int Pending
    {
        get
        {
            lock (_lock)
            {
                return _relations.Count + _segments.Count + _folders.Count;
            }
        }
    }

    public void RemoveRelations(ReadOnlySpan<RelFileNode> relations, Lsn end)
    {
        lock (_lock)
        {
            foreach (RelFileNode rel in relations)
            {
                _relations.Add(end, rel);
            }
        }

        Advance();
    }

    public void RemoveSegments(SlruFiles files, IReadOnlyList<uint> segments, Lsn end)
    {
        lock (_lock)
        {
            _segments.Add(end, (files, [.. segments]));
        }

        Advance();
    }

    /// <summary>A database's folder, or with no database a whole tablespace, goes; a tablespace after all that is pending in it (R2).</summary>
    public void RemoveFolder(Oid tablespace, Oid database, Lsn end)
    {
        if (database.IsValid && !Directory.Exists(FolderOf(tablespace, database)))
        {
            // Gone already: its pages have no place to go to.
            pool.ForgetDatabase(tablespace, database);
            return;
        }

        lock (_lock)
        {
            _folders.Add(end, (tablespace, database));
        }

        Advance();
    }

    /// <summary>Removes what all readers have passed by now. Called when they move on.</summary>
    public void Advance()
    {
        if (Pending == 0 || !MayWrite())
        {
            return;
        }

        Lsn passed = passedByAll();
        var relations = new List<RelFileNode>();
        var segments = new List<(SlruFiles Files, uint[] Segments)>();
        var folders = new List<(Oid Tablespace, Oid Database)>();
        lock (_lock)
        {
            _relations.TakePassed(passed, relations);
            _segments.TakePassed(passed, segments);
            _folders.TakePassed(passed, folders);
        }

        foreach (RelFileNode rel in relations)
        {
            Remove(rel);
        }

        foreach ((SlruFiles area, uint[] numbers) in segments)
        {
            foreach (uint segment in numbers)
            {
                area.Delete(segment);
            }
        }

        // Databases before tablespaces, and relations before both.
        foreach ((Oid tablespace, Oid database) in folders.OrderByDescending(f => f.Database.Value))
        {
            RemoveNow(tablespace, database);
        }
    }

    /// <summary>Makes the pending entries durable: before a checkpoint whose redo lies behind their records.</summary>
    public void Save()
    {
        var record = new ClusterRecord();
        lock (_lock)
        {
            foreach ((Lsn end, RelFileNode rel) in _relations.Entries)
            {
                record.Add("relation", $"{end} {rel.Tablespace.Value} {rel.Database.Value} {rel.Relation.Value}");
            }

            foreach ((Lsn end, (Oid tablespace, Oid database)) in _folders.Entries)
            {
                record.Add("folder", $"{end} {tablespace.Value} {database.Value}");
            }
        }

        byte[] bytes = record.ToBytes();
        if (!bytes.AsSpan().SequenceEqual(_saved))
        {
            DurableFile.Write(_path, bytes);
            _saved = bytes;
        }
    }

    /// <summary>Takes up what a former writer of ours left pending. <paramref name="inUse"/> tells a path that a catalog uses (again).</summary>
    public void Load(Func<RelFileNode, bool> inUse)
    {
        if (DurableFile.TryRead(_path) is not { } bytes || ClusterRecord.TryParse(bytes) is not { } record)
        {
            return;
        }

        foreach (string entry in record.All("relation"))
        {
            string[] parts = entry.Split(' ');
            var rel = new RelFileNode(Number(parts[1]), Number(parts[2]), Number(parts[3]));
            if (!inUse(rel))
            {
                RemoveRelations([rel], Lsn.Parse(parts[0]));
            }
        }

        foreach (string entry in record.All("folder"))
        {
            string[] parts = entry.Split(' ');
            (Oid tablespace, Oid database) = (Number(parts[1]), Number(parts[2]));
            if (!inUse(new RelFileNode(tablespace, database, Oid.Invalid)))
            {
                RemoveFolder(tablespace, database, Lsn.Parse(parts[0]));
            }
        }

        static Oid Number(string text) => new(uint.Parse(text, System.Globalization.CultureInfo.InvariantCulture));
    }

    private string FolderOf(Oid tablespace, Oid database) =>
        Path.Combine(dataDirectory, RelationFiles.RelativeDirectory(new RelFileNode(tablespace, database, Oid.Invalid)));

    private void RemoveNow(Oid tablespace, Oid database)
    {
        if (database.IsValid)
        {
            pool.ForgetDatabase(tablespace, database);
            DeleteFolder(FolderOf(tablespace, database));
            return;
        }

        string link = RelationFiles.TablespaceLink(dataDirectory, tablespace);
        DeleteFolder(Path.Combine(link, RelationFiles.TablespaceVersionFolder));
        if (new DirectoryInfo(link).LinkTarget is not null)
        {
            DurableFile.Remove(link);
        }
        else
        {
            DeleteFolder(link);
        }
    }

    private static void DeleteFolder(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private void Remove(RelFileNode rel)
    {
        for (ForkNumber fork = ForkNumber.Main; fork <= ForkNumber.Init; fork++)
        {
            pool.Discard(rel, fork, 0);
            FaultPoint.Hit("files.before-unlink");
            files.Unlink(rel, fork);
            FaultPoint.Hit("files.after-unlink");
        }

        pool.Forget(rel);
    }
}
