using System.Globalization;
using SharedStorage.Io;
using SharedStorage.Primitives;

namespace SharedStorage.Transactions.TwoPhase;

/// <summary>
/// The prepared transactions of the cluster. A node reads pg_twophase once, where it begins, and from then on takes them from the log (R7): PREPARE adds one, COMMIT PREPARED and
/// ROLLBACK PREPARED take it away. Only the writer touches the folder: a checkpoint writes the state of those prepared before its redo.
/// </summary>
public sealed class PreparedTransactions(string dataDirectory)
{
    public const string FolderName = "pg_twophase";

    private readonly string _folder = Path.Combine(dataDirectory, FolderName);
    private readonly Dictionary<Xid, PreparedTransaction> _byXid = [];
    private readonly Lock _lock = new();

    /// <summary>Held while a file is written or removed, so that none is left of a transaction that ends meanwhile. Before <see cref="_lock"/>.</summary>
    private readonly Lock _files = new();

    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _byXid.Count;
            }
        }
    }

    /// <summary>By xid.</summary>
    public IReadOnlyList<PreparedTransaction> List()
    {
        lock (_lock)
        {
            return [.. _byXid.Values.OrderBy(p => p.Xid.Value)];
        }
    }

    public PreparedTransaction? Find(string globalId)
    {
        lock (_lock)
        {
            return _byXid.Values.FirstOrDefault(p => p.GlobalId == globalId);
        }
    }

    /// <summary>Whether the xid is one of a prepared transaction, or of its subtransactions.</summary>
    internal bool Owns(Xid xid)
    {
        lock (_lock)
        {
            foreach (PreparedTransaction p in _byXid.Values)
            {
                if (p.Owns(xid))
                {
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>
    /// Reads the folder for a node that begins where <paramref name="next"/> is the next xid. Files of later transactions, and of those that have ended, are left from a
    /// checkpoint whose redo is later: the log tells of them, and they are not taken.
    /// </summary>
    /// <exception cref="StorageException">A file is damaged.</exception>
    internal void Load(Xid next, Func<Xid, bool> hasEnded)
    {
        lock (_lock)
        {
            _byXid.Clear();
            foreach ((string name, Xid xid) in Files())
            {
                // A file may be gone meanwhile: its transaction was committed, and the log says so beyond where we begin.
                if (xid.Precedes(next) && !hasEnded(xid) && DurableFile.TryRead(Path.Combine(_folder, name)) is { } bytes)
                {
                    _byXid[xid] = PreparedTransaction.FromFile(name, bytes);
                }
            }
        }
    }

    internal void Add(PreparedTransaction prepared)
    {
        lock (_lock)
        {
            _byXid[prepared.Xid] = prepared;
        }
    }

    internal PreparedTransaction? Remove(Xid xid)
    {
        lock (_lock)
        {
            return _byXid.Remove(xid, out PreparedTransaction? ended) ? ended : null;
        }
    }

    /// <summary>A node becomes the writer, with all log applied: files of transactions that have ended go; the others are of those that are still prepared.</summary>
    internal void OpenForWrites()
    {
        lock (_lock)
        {
            foreach ((string name, Xid xid) in Files())
            {
                if (_byXid.TryGetValue(xid, out PreparedTransaction? prepared))
                {
                    prepared.IsOnDisk = true;
                }
                else
                {
                    DurableFile.Remove(Path.Combine(_folder, name));
                }
            }
        }
    }

    /// <summary>A checkpoint's part (CheckPointTwoPhase): the state of all that were prepared before redo is durable in files. The log is flushed that far.</summary>
    /// <exception cref="StorageException">A write failed: the node must stop (I11).</exception>
    public void WriteFiles(Lsn redo)
    {
        foreach (PreparedTransaction p in List())
        {
            lock (_files)
            {
                bool runs;
                lock (_lock)
                {
                    runs = _byXid.ContainsKey(p.Xid);
                }

                if (runs && !p.IsOnDisk && p.End <= redo)
                {
                    DurableFile.Write(Path.Combine(_folder, p.FileName), p.ToFileBytes());
                    p.IsOnDisk = true;
                }
            }
        }
    }

    /// <summary>Takes away one that has ended, and its file. On the writer, once the record of the end is durable.</summary>
    internal void RemoveWithFile(Xid xid)
    {
        lock (_files)
        {
            if (Remove(xid) is { IsOnDisk: true } ended)
            {
                DurableFile.Remove(Path.Combine(_folder, ended.FileName));
            }
        }
    }

    private IEnumerable<(string Name, Xid Xid)> Files()
    {
        foreach (string path in Directory.Exists(_folder) ? Directory.GetFiles(_folder) : [])
        {
            string name = Path.GetFileName(path);
            if (name.Length == 8 && uint.TryParse(name, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint number))
            {
                yield return (name, new Xid(number));
            }
        }
    }
}
